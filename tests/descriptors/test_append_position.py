"""AppendPosition: x, y and scale as dimensions, as Sánchez et al. and VLFeat have them."""

import numpy as np
import pytest

from featrec import Bag
from featrec.descriptors import ORB, AppendPosition, DenseSIFT
from featrec.encoders import BagOfWords
from featrec.exceptions import ImageError, MetricError


def plain(bag, weight, scale):
    """The formula, one descriptor at a time."""
    height, width = bag.size
    rows = []
    for descriptor, (x, y, diameter, _) in zip(bag.descriptors, bag.frames, strict=True):
        place = [(x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5]
        place += [np.log(diameter) - np.log(np.sqrt(height * width))] if scale else []
        rows.append([*descriptor, *(weight * number for number in place)])
    return np.array(rows)


@pytest.fixture
def bag(rng):
    frames = np.column_stack([rng.uniform(0, 60, 20), rng.uniform(0, 40, 20), rng.uniform(4, 30, 20), np.full(20, -1)])
    return Bag(rng.random((20, 5)), frames, (40, 60))


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_formula(bag, scale, weight):
    found = AppendPosition(scale=scale, weight=weight).apply(bag)
    assert found.descriptors.dtype == np.float32
    np.testing.assert_allclose(found.descriptors, plain(bag, weight, scale), atol=1e-6)
    assert found.size == bag.size
    assert found.frames is bag.frames


def test_it_is_vlfeats_xy_half_a_pixel_aside(bag):
    """VLFeat: frame / [width; height] - 0.5, in coordinates whose first pixel's centre is 1, 1."""
    vlfeat = (bag.frames[:, :2] + 1) / [60, 40] - 0.5
    half_pixel = np.array([0.5 / 60, 0.5 / 40])
    np.testing.assert_allclose(AppendPosition().apply(bag).descriptors[:, 5:], vlfeat - half_pixel, atol=1e-6)


def test_a_mirrored_image_gives_the_opposite_x(rng):
    original = rng.integers(0, 256, (40, 60), dtype=np.uint8)
    extractor = DenseSIFT(bin_sizes=4)
    there, back = (
        AppendPosition().apply(extractor.extract(image)).descriptors[:, -2:] for image in (original, original[:, ::-1])
    )
    assert np.abs(there).max() < 0.5
    lattice = extractor.extract(original).frames
    mirrored = Bag(np.zeros((len(lattice), 1)), np.column_stack([59 - lattice[:, 0], lattice[:, 1:]]), (40, 60))
    np.testing.assert_allclose(AppendPosition().apply(mirrored).descriptors[:, 1], -there[:, 0], atol=1e-6)
    np.testing.assert_array_equal(there, back)


def test_bytes_become_numbers():
    found = AppendPosition().apply(Bag(np.array([[255, 3]], np.uint8), [[1, 1, 2, -1]], (3, 3)))
    np.testing.assert_array_equal(found.descriptors, np.array([[255, 3, 0, 0]], np.float32))


@pytest.mark.parametrize(
    ("bag", "match"),
    [
        (Bag([[1.0]]), r"lacks frames\. Extractors provide both.*Bag\(descriptors, frames, size\)"),
        (Bag([[1.0]], [[0, 0, 1, -1]]), "lacks the image size"),
        (Bag([[1.0]], size=(3, 3)), "lacks frames"),
    ],
)
def test_bags_without_a_place_are_refused_with_the_way_out(bag, match):
    bags = AppendPosition().transform([Bag(np.empty((0, 1))), bag])
    with pytest.raises(ImageError, match=f"image 1: .*{match}"):
        bags[1]


def test_diameters_without_a_logarithm_are_refused():
    bag = Bag([[1.0], [1.0]], [[0, 0, 4, -1], [0, 0, 0, -1]], (9, 9))
    with pytest.raises(ImageError, match=r"positive diameters in the frames; got 0\. Use scale=False"):
        AppendPosition(scale=True).apply(bag)
    assert AppendPosition().apply(bag).descriptors.shape == (2, 3)


def test_packed_bits_are_refused_by_name(ragged):
    with pytest.raises(MetricError, match=r"AppendPosition expects numbers \(euclidean\); got packed bits"):
        AppendPosition().transform(ORB().transform(ragged))[0]


def test_names():
    given = ["a", "b"]
    assert list(AppendPosition().get_feature_names_out(given)) == ["a", "b", "appendposition_x", "appendposition_y"]
    assert list(AppendPosition(scale=True).get_feature_names_out(given))[2:] == [
        "appendposition_x",
        "appendposition_y",
        "appendposition_scale",
    ]


@pytest.mark.parametrize("wrong", [{"weight": 0}, {"weight": np.inf}, {"scale": "log"}], ids=str)
def test_wrong_values(bag, wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of AppendPosition must be"):
        AppendPosition(**wrong).fit([bag])


def test_weight_decides_between_looks_and_places():
    """The same two looks left and right: with a large weight the words are places, with a small one looks."""
    frames = [[0, 0, 1, -1], [9, 0, 1, -1]] * 2
    bags = [Bag([[0.0], [0.2], [0.2], [0.0]], frames, (1, 10))] * 3
    for weight, expected in ((10.0, [0, 1, 0, 1]), (0.001, [0, 1, 1, 0])):
        placed = AppendPosition(weight=weight).transform(bags)
        words = BagOfWords(2, random_state=0).fit(placed).vocabulary_.nearest(placed[0])
        assert (words == words[0]).tolist() == [index == expected[0] for index in expected]
