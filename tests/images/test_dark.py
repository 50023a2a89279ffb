import warnings

import cv2
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from featrec.descriptors import HOG, DenseSIFT
from featrec.encoders import BagOfWords
from featrec.exceptions import DarkImageWarning
from featrec.preprocessing import Rescale, Resize


@pytest.fixture
def scans(rng, tmp_path):
    """Files of 12 bits in 16, one ordinary image before them."""
    paths = [tmp_path / f"{name}.png" for name in "abcd"]
    for path, top in zip(paths, (256 << 8, 4096, 4000, 4096), strict=True):
        cv2.imwrite(str(path), rng.integers(0, top, (40, 40)).astype(np.uint16))
    return paths


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("stage", ["global", "local"])
def test_one_warning_a_batch_names_the_image_and_rescale(scans, stage, n_jobs):
    model = (
        HOG(n_jobs=n_jobs) if stage == "global" else make_pipeline(DenseSIFT(), BagOfWords(4, random_state=0, n_jobs=n_jobs))
    )
    with pytest.warns(DarkImageWarning, match=r"image \d \('.*[bcd].png'\): .* is nearly black.*Rescale\(bits=12\)") as told:
        model.fit_transform(scans)
    assert len(told) == 1


@pytest.mark.parametrize("step", [Rescale(bits=12), Rescale()], ids=repr)
def test_rescaled_images_are_no_matter(scans, step):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codes = make_pipeline(step, Resize(32), HOG()).fit_transform(scans[1:])
    assert len(codes) == len(scans[1:])


def test_black_8_bit_and_float_images_are_no_matter():
    images = [np.zeros((32, 32), np.uint16), np.ones((32, 32), np.uint8), np.full((32, 32), 0.01)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codes = HOG().fit_transform(images)
    assert not codes.any(), "these are flat"


def test_the_step_keeps_the_extractors_name(scans):
    assert repr(DenseSIFT().transform(scans)) == "Bags(4 of ImageItems → DenseSIFT)"
