"""Deskew against its naive twin and SciPy's affine transform."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform
from sklearn.exceptions import NotFittedError

from featrec.compiled._pixels import shear
from featrec.datasets import load_dataset
from featrec.images import as_gray
from featrec.persistence import load, save
from featrec.preprocessing import Deskew
from featrec.preprocessing._deskew import _lean
from tests.naive import deskew as naive


def blob(tilt, *, shape=(28, 28), center=(13.5, 13.5), white=1.0):
    """A smooth stroke that leans by `tilt` columns per row."""
    y, x = np.indices(shape) - np.array(center)[:, None, None]
    return white * np.exp(-(((x - tilt * y) / 2.0) ** 2) - (y / 6.0) ** 2)


def skew_of(image):
    return _lean(as_gray(image).astype(float))[2]


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (9, 12)])
def test_lean_equals_the_naive_twin(rng, shape):
    mass, expected = rng.random(shape), np.zeros(3)
    naive.lean(mass, expected)
    np.testing.assert_allclose(_lean(mass), expected, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "skew, across, down", [(0, 0, 0), (0.4, -2.3, 0), (-1.7, 5.5, 1.25), (0.2, 0.5, -2.5), (0, 2, -3), (9, 0, 40)]
)
def test_shear_equals_the_naive_twin(rng, channels, skew, across, down):
    image = rng.random((8, 10, channels))
    found, expected = np.full(image.shape, np.nan), np.zeros(image.shape)
    shear(image, skew, across, down, 0.3, found)
    naive.shear(image, skew, across, down, 0.3, expected)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("center", [False, True])
def test_the_shear_agrees_with_scipys_affine_transform(center):
    image = blob(0.6, center=(12, 15.3))
    y, x = np.indices(image.shape)
    mean_y, mean_x = (image * y).sum() / image.sum(), (image * x).sum() / image.sum()
    skew = (image * (x - mean_x) * (y - mean_y)).sum() / (image * (y - mean_y) ** 2).sum()
    matrix = np.array([[1, 0], [skew, 1]])
    source = np.array([mean_y, mean_x])
    offset = source - matrix @ ([13.5, 13.5] if center else source)
    expected = affine_transform(image, matrix, offset, order=1, mode="grid-constant")
    np.testing.assert_allclose(Deskew(center=center).apply(image), expected, atol=1e-12)


@pytest.mark.parametrize("tilt", [-0.8, -0.2, 0.5])
@pytest.mark.parametrize("background", ["dark", "light", "auto"])
def test_a_slanted_stroke_becomes_vertical(tilt, background):
    image = blob(tilt)
    expected = blob(0.0)
    if background == "light":
        image, expected = 1 - image, 1 - expected
    changed = Deskew(background=background).apply(image)
    np.testing.assert_allclose(changed, expected, atol=0.06)  # interpolation lowers the peak of a narrow stroke
    mass = 1 - changed if background == "light" else changed
    assert abs(skew_of(mass)) < 0.02


def test_the_background_is_found_at_the_border():
    image = blob(0.5)
    np.testing.assert_array_equal(Deskew().apply(image), Deskew(background="dark").apply(image))
    np.testing.assert_array_equal(Deskew().apply(1 - image), Deskew(background="light").apply(1 - image))
    np.testing.assert_allclose(Deskew().apply(1 - image), 1 - Deskew().apply(image), atol=1e-12)


def test_a_second_application_changes_little():
    train, _ = load_dataset("digits")
    step = Deskew(background="dark")
    for digit in train[:40]:
        once = step.apply(np.pad(digit, 4).repeat(3, 0).repeat(3, 1).astype(np.uint8))
        assert abs(skew_of(once)) < 0.05
        assert np.abs(step.apply(once).astype(float) - once).mean() < 4


def test_channels_are_sheared_by_the_skew_of_the_luma():
    image = np.stack([blob(0.5), blob(-0.3), blob(0.1)], axis=-1)
    changed = Deskew(background="dark").apply(image)
    assert abs(skew_of(changed)) < 0.02
    assert skew_of(changed[..., 0]) > 0.1 > -0.1 > skew_of(changed[..., 1])


def test_a_single_row_is_centred_but_not_sheared():
    image = np.zeros((9, 9), np.uint8)
    image[2, 1:4] = 90
    np.testing.assert_array_equal(Deskew().apply(image), image)
    np.testing.assert_array_equal(Deskew(center=True).apply(image), np.roll(image, (2, 2), (0, 1)))


def leaning(lean):
    """Bars with a dot, whose place is the class, each sheared by three angles."""
    random = np.random.default_rng(0)
    images, labels = [], []
    for label in range(8):
        for tilt in (-lean, 0.0, lean):
            image = np.zeros((28, 28))
            image[2:26, 12:16] = 1
            y, x = 2 + 6 * (label // 2), 16 if label % 2 else 8
            image[y : y + 4, x : x + 4] = 1
            moved = np.stack([np.roll(image[row], round(tilt * (row - 13.5))) for row in range(28)])
            images.append(np.clip(moved + random.normal(0, 0.03, moved.shape), 0, 1))
            labels.append(f"dot {label}")
    return images, np.array(labels)


def test_auto_decides_by_the_training_images(tmp_path):
    images, labels = leaning(0.4)
    model = Deskew(when="auto").fit(images, labels)
    assert model.applied_ is True
    np.testing.assert_array_equal(model.transform(images)[3], Deskew().transform(images)[3])
    upright, labels = leaning(0.0)
    model = Deskew(when="auto").fit(upright, labels)
    assert model.applied_ is False
    np.testing.assert_array_equal(model.transform(upright)[3], upright[3])
    save(model, tmp_path / "deskew.featrec")
    assert load(tmp_path / "deskew.featrec").applied_ is False


def test_auto_without_labels_leaves_images_unchanged():
    images, _ = leaning(0.4)
    assert Deskew(when="auto").fit(images).applied_ is False
    with pytest.raises(NotFittedError, match="decides in fit whether to straighten images"):
        Deskew(when="auto").transform(images)


def test_auto_leaves_objects_and_tiny_digits_unchanged():
    for name, options in (("shapes", {"n_train": 300, "n_test": 6, "random_state": 0}), ("digits", {})):
        train, _ = load_dataset(name, **options)
        assert Deskew(when="auto").fit(train, train.labels).applied_ is False
