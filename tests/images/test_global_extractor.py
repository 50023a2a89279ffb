"""Contributions of the user's own extractors: columns without a place, or the parts that `_code_parts` names."""

import numpy as np
import pytest

from featrec.exceptions import InputError
from featrec.images import GlobalExtractor, as_float, as_gray, rectangles
from tests.images.own_extractors import Means

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 12), dtype=np.uint8)


class Halves(GlobalExtractor):
    """Mean and maximum of the left and the right half."""

    def _describe(self, image):
        left, right = np.array_split(as_float(as_gray(image)), 2, axis=1)
        return [left.mean(), right.mean(), left.max(), right.max()]

    def _code_parts(self, height, width):
        edges = np.array([-0.5, width / 2 - 0.5, width - 0.5])
        top, bottom = np.full(2, -0.5), np.full(2, height - 0.5)
        return np.array([0, 1, 0, 1]), rectangles(edges[:2], top, edges[1:], bottom), ("left", "right")


def test_columns_are_parts_without_a_place():
    weights = np.array([2.0, -3.0])
    found = Means().fit([IMAGE]).contributions(IMAGE, weights)
    np.testing.assert_array_equal(found.values, weights * Means().extract(IMAGE))
    assert found.values.dtype == np.float64
    assert found.names == ("means0", "means1") == Means().contributions(IMAGE, weights).names
    assert found.outlines.shape == (2, 4, 2)
    assert np.isnan(found.outlines).all()
    assert np.isnan(found.frames[:, :3]).all()


def test_a_fitted_extractors_own_names_are_used():
    class Named(Means):
        def get_feature_names_out(self, input_features=None):
            return np.array(["mean", "deviation"], dtype=object)

    assert Named().fit([IMAGE]).contributions(IMAGE, [1, 1]).names == ("mean", "deviation")


def test_columns_of_one_part_are_added():
    weights = np.array([1.0, 10.0, 100.0, 1000.0])
    code = Halves().extract(IMAGE)
    found = Halves().contributions(IMAGE, weights)
    np.testing.assert_allclose(found.values, [code[0] + 100 * code[2], 10 * code[1] + 1000 * code[3]])
    np.testing.assert_array_equal(found.frames[:, :2], [[2.5, 4], [8.5, 4]])
    assert found.names == ("left", "right")


def test_any_kind_of_image(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "image.png"), IMAGE)
    expected = Halves().contributions(IMAGE, np.ones(4)).values
    for image in (tmp_path / "image.png", (tmp_path / "image.png").read_bytes(), IMAGE / 255.0):
        np.testing.assert_allclose(Halves().contributions(image, np.ones(4)).values, expected, rtol=1e-6)


@pytest.mark.parametrize("weights", [[1, 2, 3], np.ones((1, 4)), 1.0])
def test_weights_of_another_length_are_refused(weights):
    with pytest.raises(InputError, match=r"one finite number for each of the 4 columns that Halves computes .*; got an array"):
        Halves().contributions(IMAGE, weights)


def test_weights_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="got NaN or infinity"):
        Halves().contributions(IMAGE, [1, np.nan, 2, 3])
