"""The dataset "digits": scikit-learn's small handwritten digits."""

from __future__ import annotations

import numpy as np

from featrec.datasets._dataset import Dataset
from featrec.datasets._labeled import LabeledImages
from featrec.datasets._options import seeded

__all__ = ["load_digits"]

DESCRIPTION = (
    "1,797 handwritten digits of 8×8 pixels, the test part of a UCI dataset, as shipped with scikit-learn; the "
    "original values from 0 to 16 are scaled to 0 to 255. Two thirds of each class are drawn for training, the rest is for "
    "testing. The writers are not recorded, so both parts contain digits of the same writers. The "
    "images are too small for keypoints and for dense SIFT."
)
CITATION = (
    "E. Alpaydin and C. Kaynak (1998). Optical Recognition of Handwritten Digits. UCI Machine Learning Repository. "
    "https://archive.ics.uci.edu/dataset/80"
)


def load_digits(*, random_state: int = 0) -> Dataset:
    """The digits, split randomly."""
    from sklearn.datasets import load_digits as shipped
    from sklearn.model_selection import train_test_split

    images, targets = shipped(return_X_y=True)
    images = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    dataset = LabeledImages(images, targets.astype(str))
    rows = np.arange(len(images))
    train, test = train_test_split(rows, test_size=1 / 3, stratify=targets, random_state=seeded(random_state))
    return Dataset("digits", dataset[np.sort(train)], dataset[np.sort(test)], "CC BY 4.0", CITATION, DESCRIPTION)
