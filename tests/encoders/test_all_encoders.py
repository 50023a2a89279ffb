"""Rules that hold for every encoder, with and without a pyramid."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans

from featrec import Bag
from featrec.encoders import (
    LLC,
    VLAD,
    BagOfWords,
    FisherVector,
    SignCode,
    SoftBagOfWords,
    SpatialPyramid,
    ThresholdCode,
    TriangleCode,
)
from featrec.exceptions import InputError, MetricError
from featrec.testing import check_encoder
from featrec.vocabularies import BinaryVocabulary, KMeansVocabulary
from tests.encoders.some_bags import bag, vocabulary_of
from tests.naive.encoders import spatial_pyramid

ENCODERS = [
    BagOfWords(7),
    SoftBagOfWords(7),
    SoftBagOfWords(7, n_neighbors=None),
    LLC(9),
    LLC(3, norm=None),
    VLAD(4),
    VLAD(4, average=True, power=0.5, norm=None),
    FisherVector(3),
    FisherVector(3, weight_gradients=True, power=1.0, norm=None),
    TriangleCode(5),
    ThresholdCode(5),
    SignCode(5, norm="l2"),
]
OF_NUMBERS = [encoder for encoder in ENCODERS if not isinstance(encoder, (BagOfWords, FisherVector))]
every = pytest.mark.parametrize("encoder", [encoder.set_params(random_state=0) for encoder in ENCODERS], ids=str)


@every
def test_encoders_pass_the_public_checks(encoder):
    check_encoder(encoder)
    check_encoder(SpatialPyramid(encoder, levels=2))


@every
@pytest.mark.parametrize("grids", [[(1, 1), (2, 1)], [(2, 3), (3, 2)]], ids=str)
def test_the_regions_of_a_pyramid_are_encoded_like_images(rng, encoder, grids):
    bags = [bag(rng, n) for n in (70, 300, 1, 2)]
    pyramid = SpatialPyramid(encoder, levels=grids).fit(bags)
    alone = pyramid.encoder_

    def encode(descriptors):
        return alone.transform([Bag(descriptors)])[0]

    expected = [spatial_pyramid(b.descriptors, b.frames, b.size, grids, encode, alone._width()) for b in bags]
    # The square root of a Fisher vector amplifies differences between tiny numbers.
    tolerance = 2e-3 if isinstance(encoder, FisherVector) else 2e-5
    np.testing.assert_allclose(pyramid.transform(bags), expected, atol=tolerance * max(1, np.abs(expected).max()))


@every
def test_bytes_are_encoded_as_numbers(rng, encoder):
    points = rng.integers(0, 256, (60, 8), np.uint8)
    fitted = clone(encoder).fit([Bag(points)])
    codes = (fitted.transform([Bag(points.astype(kind))]) for kind in (np.uint8, np.float32))
    np.testing.assert_allclose(*codes, rtol=1e-4, atol=1e-4)


@every
def test_read_only_descriptors_in_two_threads(rng, encoder):
    one = bag(rng, 700)
    one.descriptors.setflags(write=False)
    fitted = clone(encoder).fit([one])
    expected = fitted.transform([one])
    with ThreadPoolExecutor(2) as pool:
        for code in pool.map(lambda _: fitted.transform([one]), range(8)):
            np.testing.assert_array_equal(code, expected)


@pytest.mark.parametrize("encoder", [BagOfWords(7), *OF_NUMBERS], ids=str)
def test_k_means_of_scikit_learn_is_a_vocabulary(rng, encoder):
    bags = [bag(rng, 40), bag(rng, 25)]
    theirs = clone(encoder).set_params(vocabulary=KMeans(5, n_init=1, random_state=0)).fit(bags)
    ours = clone(encoder).set_params(vocabulary=vocabulary_of(theirs.vocabulary_.cluster_centers_)).fit(bags)
    np.testing.assert_allclose(theirs.transform(bags), ours.transform(bags), atol=1e-5)


@pytest.mark.parametrize("encoder", OF_NUMBERS, ids=str)
def test_packed_bits_are_refused(rng, encoder):
    bits = [Bag(rng.integers(0, 256, (30, 4), dtype=np.uint8), metric="hamming")]
    for vocabulary, message in (
        (4, r"hamming descriptors \(packed bits\) have no mean"),
        (KMeansVocabulary(4), "KMeansVocabulary needs numbers"),
        (
            BinaryVocabulary(4),
            f"{type(encoder).__name__} needs a vocabulary with numeric words.*BinaryVocabulary.*BagOfWords for packed",
        ),
    ):
        with pytest.raises(MetricError, match=message):
            clone(encoder).set_params(vocabulary=vocabulary).fit(bits)


@pytest.mark.parametrize("encoder", [BagOfWords(7), *OF_NUMBERS], ids=str)
def test_more_words_than_descriptors_are_refused(rng, encoder):
    with pytest.raises(InputError, match=r"40 words cannot be learned from 30 descriptors"):
        clone(encoder).set_params(vocabulary=40).fit([bag(rng, 30)])
