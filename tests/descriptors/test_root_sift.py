"""RootSIFT: the square root of shares, whatever the input's scale and type."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import euclidean_distances

from featrec import Bag, Bags
from featrec.compiled._rows import root_shares
from featrec.descriptors import ORB, SIFT, DenseSIFT, RootSIFT, Whiten
from featrec.exceptions import InputError, MetricError
from tests.naive.root_shares import root_shares as naive_root_shares


@pytest.fixture
def histograms(rng):
    return rng.gamma(0.5, 30, (40, 16)).astype(np.float32)


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (7, 3), (20, 128)])
def test_the_loop_is_its_plain_twin(rng, kind, shape):
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


def test_bytes_are_numbers(histograms):
    rounded = np.minimum(histograms.round(), 255)
    expected = RootSIFT().apply(Bag(rounded)).descriptors
    found = RootSIFT().apply(Bag(rounded.astype(np.uint8))).descriptors
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_zero_descriptors_stay_zero():
    roots = RootSIFT().apply(Bag([[0, 0, 0], [0, 4, 12]])).descriptors
    np.testing.assert_allclose(roots, [[0, 0, 0], [0, 0.5, np.sqrt(0.75)]], rtol=1e-6)


def test_frames_size_and_the_given_bag_stay_as_they_are(histograms):
    histograms.setflags(write=False)
    frames = np.ones((40, 4), np.float32)
    bag = RootSIFT().apply(Bag(histograms, frames, (8, 9)))
    assert (bag.frames is frames, bag.size, bag.metric) == (True, (8, 9), "euclidean")


def test_sift_of_images(ragged):
    for extractor in (SIFT(), DenseSIFT()):
        for plain, roots in zip(extractor.transform(ragged), RootSIFT().transform(extractor.transform(ragged)), strict=True):
            sums = plain.descriptors.sum(axis=1)
            np.testing.assert_allclose(np.linalg.norm(roots.descriptors, axis=1), sums > 0, atol=1e-5)


def test_packed_bits_are_refused_by_name(ragged):
    bags = RootSIFT().transform(ORB().transform(ragged))
    with pytest.raises(
        MetricError, match=r"RootSIFT expects numbers \(euclidean\); got packed bits \(hamming\).*SIFT or DenseSIFT"
    ):
        bags[0]


def test_negative_numbers_are_refused_with_the_right_order(histograms):
    whitened = Whiten().fit_transform([Bag(histograms)])
    with pytest.raises(InputError, match=r"without negative numbers; got -.*before steps such as Whiten"):
        RootSIFT().transform(whitened)[0]


def test_names_are_handed_on():
    names = DenseSIFT().get_feature_names_out()
    assert list(RootSIFT().get_feature_names_out(names)) == list(names)
    with pytest.raises(InputError, match="pass input_features"):
        RootSIFT().get_feature_names_out()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (Bag([[1.0]]), r"RootSIFT expects the bags of several images; got one Bag. Use \[bag\]"),
        ([np.zeros((9, 9))], r"item 0 is an array of shape \(9, 9\)"),
        ("bags", "got str"),
    ],
)
def test_what_is_no_bags_is_refused(given, match):
    with pytest.raises(InputError, match=match):
        RootSIFT().transform(given)


def test_bags_show_the_step():
    assert repr(RootSIFT().transform([Bag([[1.0]])])) == "Bags(1 of list → RootSIFT)"
    assert isinstance(RootSIFT().transform([]), Bags)
