"""The dataset "scene15": gray photographs of fifteen categories of scenes, in folders."""

from __future__ import annotations

import os

from featrec.datasets._dataset import Dataset
from featrec.datasets._folder import ImageFolder
from featrec.datasets._home import dataset_folder
from featrec.datasets._published import PublishedSet

__all__ = ["load_scene15"]

# torchvision and tensorflow-datasets list no checksum, and none was found in a citable source.
SCENE15 = PublishedSet(
    "scene15",
    "scene15",
    ("train", "test"),
    "https://doi.org/10.6084/m9.figshare.7007177 (one folder for each class; the split is drawn from them)",
)


def load_scene15(
    *, data_home: str | os.PathLike | None = None, download: bool = False, _published: PublishedSet = SCENE15
) -> Dataset:
    """Photographs of scenes, in the split of the folder."""
    folder = dataset_folder(_published, data_home, download)
    train, test = ImageFolder.split(folder)
    return Dataset(
        "scene15",
        train,
        test,
        "not stated; collected for research",
        "S. Lazebnik, C. Schmid and J. Ponce (2006). Beyond Bags of Features: Spatial Pyramid Matching for Recognizing Natural "
        "Scene Categories. CVPR. After A. Oliva and A. Torralba (2001) and L. Fei-Fei and P. Perona (2005).",
        "4,485 gray photographs of fifteen categories of scenes, about 250×250 pixels in varying sizes; 100 of each "
        "class are for training, "
        "the rest for testing. Some photographs occur twice.",
    )
