"""RootSIFT and AppendPosition follow their formulas. Tests of all steps are in tests/contract/test_bag_steps.py."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import euclidean_distances

from featrec import Bag
from featrec.compiled._rows import root_shares
from featrec.descriptors import SIFT, AppendPosition, DenseSIFT, RootSIFT, Whiten
from featrec.encoders import BagOfWords
from featrec.exceptions import ImageError, InputError
from tests.naive.root_shares import root_shares as naive_root_shares


@pytest.fixture
def histograms(rng):
    return rng.gamma(0.5, 30, (40, 16)).astype(np.float32)


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (7, 3), (20, 128)])
def test_the_loop_equals_its_naive_twin(rng, kind, shape):
    rows = rng.integers(0, 256, shape).astype(kind)
    rows[::3] = 0
    if kind is np.float32:
        rows[1::4] *= -1
    found, expected = np.empty(shape, np.float32), np.empty(shape, np.float32)
    negative = (rows < 0).any(axis=1)
    assert root_shares(rows, found) == naive_root_shares(abs(rows), expected) + (rows < 0).sum()
    np.testing.assert_allclose(found[~negative], expected[~negative], atol=1e-6)


def test_distances_become_hellinger_distances(histograms):
    roots = RootSIFT().apply(Bag(histograms)).descriptors
    shares = histograms.astype(np.float64) / histograms.sum(axis=1, dtype=np.float64)[:, None]
    hellinger = [[((np.sqrt(p) - np.sqrt(q)) ** 2).sum() for q in shares] for p in shares]
    np.testing.assert_allclose(euclidean_distances(roots, squared=True), hellinger, atol=1e-5)
    np.testing.assert_allclose((roots.astype(np.float64) ** 2).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 512.0, 1e30])
def test_the_scale_does_not_matter(histograms, scale):
    expected = RootSIFT().apply(Bag(histograms)).descriptors
    scaled = RootSIFT().apply(Bag(histograms * np.float32(scale))).descriptors
    np.testing.assert_allclose(scaled, expected, atol=1e-5)


def test_zero_descriptors_stay_zero():
    roots = RootSIFT().apply(Bag([[0, 0, 0], [0, 4, 12]])).descriptors
    np.testing.assert_allclose(roots, [[0, 0, 0], [0, 0.5, np.sqrt(0.75)]], rtol=1e-6)


def test_results_on_images_have_unit_length(ragged):
    for extractor in (SIFT(), DenseSIFT()):
        for plain, roots in zip(extractor.transform(ragged), RootSIFT().transform(extractor.transform(ragged)), strict=True):
            sums = plain.descriptors.sum(axis=1)
            np.testing.assert_allclose(np.linalg.norm(roots.descriptors, axis=1), sums > 0, atol=1e-5)


def test_negative_numbers_are_an_error(histograms):
    whitened = Whiten().fit_transform([Bag(histograms)])
    with pytest.raises(InputError, match=r"without negative values; got -.*before steps such as Whiten"):
        RootSIFT().transform(whitened)[0]


def test_names_are_passed_through():
    names = DenseSIFT().get_feature_names_out()
    assert list(RootSIFT().get_feature_names_out(names)) == list(names)
    with pytest.raises(InputError, match="pass input_features"):
        RootSIFT().get_feature_names_out()


def by_formula(bag, weight, scale):
    """Compute the formula, one descriptor at a time."""
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
def test_positions_follow_the_formula(bag, scale, weight):
    found = AppendPosition(scale=scale, weight=weight).apply(bag)
    assert found.descriptors.dtype == np.float32
    np.testing.assert_allclose(found.descriptors, by_formula(bag, weight, scale), atol=1e-6)
    assert found.size == bag.size
    assert found.frames is bag.frames


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


@pytest.mark.parametrize(
    ("bag", "match"),
    [
        (Bag([[1.0]]), r"lacks frames\. Extractors provide both.*Bag\(descriptors, frames, size\)"),
        (Bag([[1.0]], [[0, 0, 1, -1]]), "lacks the image size"),
        (Bag([[1.0]], size=(3, 3)), "lacks frames"),
    ],
)
def test_a_bag_without_frames_or_size_is_an_error(bag, match):
    bags = AppendPosition().transform([Bag(np.empty((0, 1))), bag])
    with pytest.raises(ImageError, match=f"image 1: .*{match}"):
        bags[1]


def test_diameters_must_be_positive_for_the_scale():
    bag = Bag([[1.0], [1.0]], [[0, 0, 4, -1], [0, 0, 0, -1]], (9, 9))
    with pytest.raises(ImageError, match=r"positive diameters in the frames; got 0\. Use scale=False"):
        AppendPosition(scale=True).apply(bag)
    assert AppendPosition().apply(bag).descriptors.shape == (2, 3)


def test_names_are_appended():
    given = ["a", "b"]
    assert list(AppendPosition().get_feature_names_out(given)) == ["a", "b", "appendposition_x", "appendposition_y"]
    assert list(AppendPosition(scale=True).get_feature_names_out(given))[2:] == [
        "appendposition_x",
        "appendposition_y",
        "appendposition_scale",
    ]


def test_the_weight_decides_between_appearance_and_position():
    """Two descriptors occur on the left and on the right: with a large weight, positions determine the nearest words."""
    frames = [[0, 0, 1, -1], [9, 0, 1, -1]] * 2
    bags = [Bag([[0.0], [0.2], [0.2], [0.0]], frames, (1, 10))] * 3
    for weight, expected in ((10.0, [0, 1, 0, 1]), (0.001, [0, 1, 1, 0])):
        placed = AppendPosition(weight=weight).transform(bags)
        words = BagOfWords(2, random_state=0).fit(placed).vocabulary_.nearest(placed[0])
        assert (words == words[0]).tolist() == [index == expected[0] for index in expected]
