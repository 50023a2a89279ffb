"""HOG(color=...): agreement with a naive implementation, the automatic choice, and the weight of the layout."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from featrec.descriptors import HOG
from featrec.descriptors._hog_codes import SPREADS, WEIGHT, color_layout
from featrec.exceptions import InputError
from featrec.persistence import load, save

AUTO = {"pixels_per_cell": "auto", "cells_per_block": (2, 2), "orientations": 6, "signed": True}


def naive(image):
    """Compute the layout cell by cell."""
    red, green, blue = np.moveaxis(image.astype(float) / 255, 2, 0)
    found = []
    for channel, spreads in zip(
        [(red + green + blue) / 3, (red - green) / 2, (red + green - 2 * blue) / 4], SPREADS.T, strict=True
    ):
        rows, columns = (np.append(np.arange(4) * length // 4, length) for length in channel.shape)
        cells = [channel[rows[i] : rows[i + 1], columns[j] : columns[j + 1]] for i in range(4) for j in range(4)]
        found += [cell.mean() / spreads[0] for cell in cells] + [cell.std() / spreads[1] for cell in cells]
    return np.array(found) * np.sqrt(WEIGHT / 96)


@pytest.mark.parametrize("shape", [(16, 20, 3), (17, 30, 3)])
def test_means_and_deviations_in_cells(rng, shape):
    images = rng.integers(0, 256, (3, *shape), dtype=np.uint8)
    expected = [naive(image) for image in images]
    np.testing.assert_allclose(color_layout(images, "rgb"), expected, atol=1e-4)
    np.testing.assert_allclose(color_layout(images / 255, "rgb"), expected, atol=1e-4)
    np.testing.assert_allclose(color_layout(images, "gray"), np.array(expected)[:, :32], atol=1e-4)
    gray = images[..., 0]
    three = color_layout(np.repeat(gray[..., None], 3, axis=3), "rgb")
    np.testing.assert_allclose(color_layout(gray, "rgb"), three, atol=1e-4)


def test_cells_of_an_image_with_fewer_pixels_than_cells_share_pixels(rng):
    images = rng.random((1, 2, 3))
    found = color_layout(images, "gray")[0].reshape(2, 4, 4)
    share = np.sqrt(WEIGHT / 96) / SPREADS[0, 0]
    np.testing.assert_allclose(found[0], images[0][[0, 0, 1, 1]][:, [0, 0, 1, 2]] * share, atol=1e-6)
    np.testing.assert_allclose(found[1], 0, atol=1e-6)


def test_the_layout_follows_the_gradients(rng):
    images = rng.integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
    both, alone = HOG(color="rgb").fit_transform(images), HOG().fit_transform(images)
    np.testing.assert_array_equal(both, np.hstack([alone, color_layout(images, "rgb")]))


def test_mirror_appends_the_code_of_the_mirror_image(rng):
    images = rng.integers(0, 256, (4, 24, 28, 3), dtype=np.uint8)
    plain = HOG(color="rgb", balance=True, **AUTO)
    codes = HOG(color="rgb", balance=True, mirror=True, **AUTO).fit_transform(images)
    expected = np.hstack([plain.fit_transform(images), plain.fit_transform(images[:, :, ::-1])])
    np.testing.assert_array_equal(codes, expected)


@pytest.mark.parametrize(("size", "cells"), [((32, 32), (4, 8, 16)), ((28, 28), (4, 7, 14)), ((64, 64), (8, 16, 32))])
def test_automatic_cell_sizes(rng, size, cells):
    image = rng.integers(0, 256, size, dtype=np.uint8)
    expected = HOG(**AUTO | {"pixels_per_cell": [(cell, cell) for cell in cells]}).extract(image)
    np.testing.assert_array_equal(HOG(**AUTO).extract(image), expected)


def test_balanced_cell_sizes_have_unit_length(rng):
    codes = HOG(balance=True, **AUTO).fit_transform(rng.integers(0, 256, (3, 32, 32), dtype=np.uint8))
    for part in np.split(codes, np.cumsum([49 * 24, 9 * 24]), axis=1):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, atol=1e-3)


def test_training_images_decide_about_colour(rng, tmp_path):
    gray = np.repeat(rng.integers(0, 256, (9, 24, 24, 1), dtype=np.uint8), 3, axis=3)
    some = gray.copy()
    some[4, 3, 3] = 255, 0, 0
    assert HOG(color="auto").fit(gray).color_ == "gray"
    hog = HOG(color="auto").fit(some)
    assert hog.color_ == "rgb"
    assert hog.transform(gray).shape[1] == HOG(color="gray").fit_transform(gray).shape[1] + 64
    save(hog, tmp_path / "hog.featrec")
    np.testing.assert_array_equal(load(tmp_path / "hog.featrec").transform(some), hog.transform(some))
    with pytest.raises(NotFittedError, match=r'HOG\(color="auto"\) decides in fit'):
        HOG(color="auto").transform(gray)
    with pytest.raises(InputError, match="each image needs one label"):
        HOG(color="auto").fit(gray, np.zeros(8))


def test_uninformative_colours_get_less_weight(rng):
    """Edges depend on the class; colours are random in the first case and depend on the class in the second."""
    labels = np.arange(60) % 2
    images = np.zeros((60, 24, 24, 3))
    images[labels == 0, :, 12:] = 0.5
    images[labels == 1, 12:] = 0.5
    images += 0.05 * rng.random(images.shape)
    colours = rng.uniform(0, 0.4, (60, 1, 1, 3))
    chance = HOG(color="auto").fit(images + colours, labels)
    informative = HOG(color="auto").fit(images + 0.4 * labels[:, None, None, None] * [1, 0, 0.5], labels)
    assert chance.color_scale_ < 0.6 * informative.color_scale_ <= 0.6
    assert chance.color_scale_ < HOG(color="auto").fit(images + colours).color_scale_, "without labels"
