import pickle

import numpy as np
import pytest
from skimage import data
from skimage.transform import downscale_local_mean
from sklearn.base import clone

from featrec.descriptors import TinyImage
from featrec.exceptions import InputError


def test_a_tiny_pixel_is_the_mean_of_its_area(rng):
    image = rng.random((48, 80))
    expected = downscale_local_mean(image, (3, 5)).ravel()
    np.testing.assert_allclose(TinyImage(normalize=False).extract(image), expected, atol=1e-6)


def test_a_pixel_on_a_border_counts_by_its_parts():
    assert TinyImage(size=(1, 2), normalize=False).extract(np.array([[0.0, 0.6, 0.9]])) == pytest.approx([0.2, 0.8])


def test_an_image_long_in_one_direction_and_short_in_the_other(rng):
    image = rng.random((1, 64))
    tiny = TinyImage(size=(4, 16), normalize=False).extract(image).reshape(4, 16)
    np.testing.assert_allclose(tiny, np.tile(image.reshape(16, 4).mean(axis=1), (4, 1)), atol=1e-6)


def test_normalised_rows_have_mean_zero_and_length_one(rng):
    row = TinyImage().extract(rng.random((50, 40, 3)))
    assert row.shape == (256,)
    assert row.mean() == pytest.approx(0, abs=1e-7)
    assert np.linalg.norm(row) == pytest.approx(1)


def test_brightness_and_contrast_are_taken_out(rng):
    image = rng.random((30, 30))
    np.testing.assert_allclose(TinyImage().extract(0.3 + image / 2), TinyImage().extract(image), atol=1e-6)


@pytest.mark.parametrize("value", [0, 1, 77, 255])
@pytest.mark.parametrize("color", [False, True])
def test_a_flat_image_is_zero(value, color):
    for image in (np.full((37, 23), value, np.uint8), np.full((37, 23, 3), value / 255), np.full((1, 1), value, np.uint8)):
        assert (TinyImage(color=color).extract(image) == 0).all()


def test_colour_keeps_three_channels(rng):
    image = rng.random((32, 32, 3))
    tiny = TinyImage(size=(4, 4), color=True, normalize=False).extract(image)
    np.testing.assert_allclose(tiny.reshape(4, 4, 3), downscale_local_mean(image, (8, 8, 1)), atol=1e-6)
    gray = TinyImage(size=(4, 4), color=True).extract(image[..., 0]).reshape(16, 3)
    np.testing.assert_array_equal(gray[:, 0], gray[:, 2])


def test_integers_and_floats_of_one_image_agree():
    image = data.astronaut()[:100, :120]
    code = TinyImage().extract(image)
    for same in (image.astype(np.uint16) * 257, image / 255, (image / 255).astype(np.float32)):
        np.testing.assert_allclose(TinyImage().extract(same), code, atol=1e-5)


def test_every_kind_of_image_whatever_the_number_of_threads(ragged):
    codes = TinyImage(size=(5, 7)).fit_transform(ragged * 3)
    assert codes.shape == (18, 35)
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()
    np.testing.assert_array_equal(TinyImage(size=(5, 7), n_jobs=2).fit_transform(ragged * 3), codes)


def test_names_clone_and_pickle(ragged):
    tiny = TinyImage(size=(2, 2)).set_output(transform="pandas").fit(ragged)
    frame = pickle.loads(pickle.dumps(tiny)).transform(ragged)
    assert list(frame.columns) == ["tinyimage0", "tinyimage1", "tinyimage2", "tinyimage3"]
    assert clone(tiny).get_params() == tiny.get_params()


def test_a_wrong_size_is_named():
    with pytest.raises(InputError, match=r"size must be 2 positive integers, or a single one for all; got \(16, 0\)"):
        TinyImage(size=(16, 0)).extract(np.zeros((2, 2)))
