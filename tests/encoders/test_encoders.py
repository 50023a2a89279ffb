import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.frozen import FrozenEstimator

from featrec import Bag
from featrec.encoders import LLC, BagOfWords, SoftBagOfWords, SpatialPyramid, TriangleCode
from featrec.exceptions import EmptyBagWarning, ImageError, InputError
from featrec.lazy import Bags
from featrec.vocabularies import KMeansVocabulary
from tests.encoders.some_bags import bag
from tests.naive import encoders as naive

GRIDS = [[(1, 1)], [(1, 1), (2, 2)], [(1, 1), (2, 2), (4, 4)], [(1, 1), (3, 1)], [(2, 3), (3, 2)]]


@pytest.fixture
def bags(rng):
    return [bag(rng, n) for n in (40, 25, 60, 31)]


@pytest.mark.parametrize("norm", ["l1", "l2", "hellinger", None])
def test_bag_of_words_agrees_with_plain_loops(bags, norm):
    encoder = BagOfWords(7, norm=norm, random_state=0).fit(bags)
    expected = [naive.bag_of_words(b.descriptors, encoder.vocabulary_.words_, norm) for b in bags]
    assert_allclose(encoder.transform(bags), expected, atol=1e-6)


@pytest.mark.parametrize("grids", GRIDS, ids=str)
def test_the_pyramid_agrees_with_plain_loops(bags, grids):
    pyramid = SpatialPyramid(BagOfWords(5, random_state=0), levels=grids).fit(bags)
    words = pyramid.encoder_.vocabulary_.words_
    encode = lambda x: naive.bag_of_words(x, words, "l1")  # noqa: E731
    expected = [naive.spatial_pyramid(b.descriptors, b.frames, b.size, grids, encode, 5) for b in bags]
    assert_allclose(pyramid.transform(bags), expected, atol=1e-6)


@pytest.mark.parametrize(("overlap", "margin"), [(0.3, 0.0), (0.0, 0.13), (0.55, 0.07), (0.9, 0.3)])
@pytest.mark.parametrize("pooling", ["sum", "max"])
def test_regions_that_overlap_and_a_margin(bags, overlap, margin, pooling):
    grids = [(1, 1), (3, 2), (4, 4)]
    inner = BagOfWords(5, norm="l1", random_state=0) if pooling == "sum" else LLC(9, norm=None, random_state=0)
    pyramid = SpatialPyramid(inner, levels=grids, overlap=overlap, margin=margin).fit(bags)
    encode = lambda x: pyramid.encoder_.transform([Bag(x)])[0]  # noqa: E731
    width = pyramid.encoder_._width()
    expected = [naive.spatial_pyramid(b.descriptors, b.frames, b.size, grids, encode, width, overlap, margin) for b in bags]
    assert_allclose(pyramid.transform(bags), expected, atol=1e-6)


@pytest.mark.parametrize("kind", [TriangleCode, SoftBagOfWords, LLC])
def test_huge_descriptors_give_a_finite_code_or_an_error(bags, kind):
    """Whether the code is finite or an error is raised depends on the processor."""
    encoder = kind(5, random_state=0).fit(bags)

    def is_handled():
        try:
            return np.isfinite(encoder.transform([bags[0], Bag(np.full((3, 6), 1e25))])).all()
        except ImageError as error:
            return "image 1: its descriptors are too large: the code is not finite" in str(error)

    with warnings.catch_warnings(action="ignore"):
        assert is_handled()


def test_three_levels_are_the_grids_of_the_paper(bags):
    inner, paper = BagOfWords(4, random_state=0), [(1, 1), (2, 2), (4, 4)]
    number, grids, array = (SpatialPyramid(inner, levels=given).fit_transform(bags) for given in (3, paper, np.array(paper)))
    assert_allclose(number, grids)
    assert_allclose(number, array)
    assert number.shape == (4, 4 * 21)


def test_descriptors_on_a_border_belong_to_the_later_region():
    frames = np.array([[1.5, 0, 4, -1], [1.49, 0, 4, -1]])
    one = Bag(np.eye(2), frames, (4, 4))
    code = SpatialPyramid(BagOfWords(2, norm=None, random_state=0), levels=[(1, 2)]).fit_transform([one])[0]
    assert code[:2].sum() == code[2:].sum() == 1


def test_idf_is_that_of_scikit_learn(bags):
    from sklearn.feature_extraction.text import TfidfTransformer

    bags = [*bags, *(Bag(b.descriptors[:3], b.frames[:3], b.size) for b in bags)]
    counts = BagOfWords(9, norm=None, random_state=0).fit_transform(bags)
    assert (counts == 0).any(axis=0).any(), "some words must be missing somewhere, or idf is one number"
    encoder = BagOfWords(9, norm="l2", use_idf=True, random_state=0)
    tfidf = TfidfTransformer(norm="l2").fit(counts)
    expected = tfidf.transform(counts).toarray()
    assert_allclose(encoder.fit(bags).idf_, tfidf.idf_, atol=1e-6)
    assert_allclose(encoder.fit_transform(bags), expected, atol=1e-5)
    assert_allclose(encoder.fit(bags).transform(bags), expected, atol=1e-5)


def test_idf_of_a_pyramid_counts_images_not_regions(bags):
    plain = BagOfWords(6, use_idf=True, random_state=0).fit(bags)
    pyramid = SpatialPyramid(BagOfWords(6, use_idf=True, random_state=0), levels=2).fit(bags)
    assert_allclose(pyramid.encoder_.idf_, plain.idf_)


def test_each_image_is_computed_once_for_the_sample_and_once_for_the_codes(bags):
    reads = []
    lazy = Bags(bags).then(lambda b: reads.append(1) or b)
    BagOfWords(5, random_state=0).fit_transform(lazy)
    assert len(reads) == 2 * len(bags)
    reads.clear()
    BagOfWords(5, use_idf=True, random_state=0).fit_transform(lazy)
    assert len(reads) == 2 * len(bags)


def test_a_frozen_encoder_in_a_pyramid_is_not_fitted(bags):
    encoder = BagOfWords(5, use_idf=True, random_state=0).fit(bags[:2])
    before = encoder.idf_.copy()
    pyramid = SpatialPyramid(FrozenEstimator(encoder), levels=2).fit(bags)
    assert pyramid.encoder_ is encoder
    assert_allclose(encoder.idf_, before)
    assert pyramid.transform(bags).shape == (4, 25)


def test_empty_bags_are_zero_rows_and_one_warning_that_counts_them(bags):
    encoder = SpatialPyramid(BagOfWords(4, use_idf=True, random_state=0), levels=2).fit(bags)
    empty = Bag(np.empty((0, 6)), np.empty((0, 4)), (10, 10))
    with pytest.warns(EmptyBagWarning, match="2 of 3 images have no descriptors") as caught:
        codes = encoder.transform([empty, bags[0], empty])
    assert len(caught) == 1
    assert not codes[[0, 2]].any()
    assert codes[1].any()


class NoEncoder(KMeansVocabulary):
    def transform(self, X):
        return X


PLAIN, PACKED = Bag(np.ones((2, 6))), Bag(np.zeros((5, 6), np.uint8), metric="hamming")


@pytest.mark.parametrize(
    ("encoder", "given", "message"),
    [
        (BagOfWords(4), [PACKED], "hamming descriptors do not match a vocabulary of euclidean words"),
        (BagOfWords(4), [PLAIN, Bag(np.ones((2, 3)))], "image 1: 3-dimensional descriptors do not match a vocabulary of 6"),
        (SpatialPyramid(BagOfWords(4)), [PLAIN], "image 0: a spatial pyramid needs the positions of descriptors"),
        (SpatialPyramid(NoEncoder()), [], "SpatialPyramid needs an encoder"),
        *((SpatialPyramid(BagOfWords(4), levels=wrong), [], "levels must contain") for wrong in ([(1, 0)], [(1,)], [1, 2], [])),
    ],
)
def test_what_does_not_fit_is_refused(bags, encoder, given, message):
    with pytest.raises(InputError, match=message):
        encoder.fit(bags).transform(given)


def test_binary_words_count_the_nearest_in_hamming_space(rng):
    bits = [Bag(rng.integers(0, 256, (n, 4), dtype=np.uint8), metric="hamming") for n in (20, 30)]
    encoder = BagOfWords(6, norm=None, random_state=0).fit(bits)
    words = encoder.vocabulary_.words_
    for row, one in zip(encoder.transform(bits), bits, strict=True):
        distances = np.unpackbits(one.descriptors[:, None] ^ words[None], axis=2).sum(axis=2)
        assert_allclose(row, np.bincount(distances.argmin(axis=1), minlength=6))


@pytest.mark.parametrize("n", [1, 2])
def test_one_word_and_few_descriptors(n, rng):
    one = bag(rng, n)
    assert_allclose(BagOfWords(1).fit_transform([one]), [[1.0]])


class NeverZero(BagOfWords):
    """An encoder whose codes of empty Bags are not zero, for example because it centres rows."""

    def _finish(self, pooled, counts):
        return super()._finish(pooled, counts) + np.float32(1)


def test_regions_without_descriptors_are_zero_for_any_encoder(rng):
    full = bag(rng, 30)
    left = Bag(full.descriptors, np.column_stack([full.frames[:, 0] / 2.1, full.frames[:, 1:]]), full.size)
    code = SpatialPyramid(NeverZero(3, random_state=0), levels=[(1, 2)]).fit_transform([left])[0]
    assert code[:3].all()
    assert not code[3:].any()
