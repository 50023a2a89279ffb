"""What each descriptor adds to a weighted sum of its code: sums, single descriptors, and the shortcuts of encoders."""

import numpy as np
import pytest

from featrec import Bag
from featrec.compiled import _mixture
from featrec.encoders import BagOfWords, Encoder, FisherVector, SpatialPyramid
from featrec.encoders._layout import share_of_maxima, share_of_sums
from featrec.exceptions import InputError
from featrec.testing import check_encoder
from tests.encoders.some_bags import bag
from tests.encoders.test_all_encoders import ENCODERS
from tests.naive import mixture as naive

every = pytest.mark.parametrize("encoder", ENCODERS, ids=str)


@every
@pytest.mark.parametrize("levels", [None, [(1, 1), (2, 3)]], ids=str)
def test_contributions_add_up_to_the_weighted_sum_of_the_code(rng, encoder, levels):
    bags = [bag(rng, n) for n in (80, 300, 3)]
    model = encoder if levels is None else SpatialPyramid(encoder, levels=levels, overlap=0.25)
    codes = model.fit(bags).transform(bags)
    weights = rng.normal(size=codes.shape[1])
    for one, code in zip(bags, codes, strict=True):
        found = model.contributions(one, weights)
        assert found.shape == (len(one.descriptors),)
        assert abs(found.sum() - weights @ code) < 1e-5 * np.abs(weights * code).sum()


@every
def test_shortcuts_equal_descriptors_that_are_pooled_one_by_one(rng, encoder):
    one = bag(rng, 60)
    encoder.fit([one, bag(rng, 200)])
    cells = rng.integers(0, 3, 60)
    weights = rng.normal(size=(3, encoder._pooled_width()))
    weights[:, encoder._width() :] = 0  # counts, which are not in the code
    alone = np.concatenate([encoder._pool(one.descriptors[i : i + 1], np.zeros(1, int), 1) for i in range(60)])
    found = encoder._share(one.descriptors, cells, weights)
    if encoder.pooling == "sum":
        np.testing.assert_allclose(found, (alone * weights[cells]).sum(axis=1), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(share_of_sums(encoder, one.descriptors, cells, weights), found, rtol=1e-4, atol=1e-4)
        return
    expected = np.zeros(60)
    for cell in range(3):
        inside = np.flatnonzero(cells == cell)
        for column, winner in enumerate(inside[alone[inside].argmax(axis=0)]):
            expected[winner] += weights[cell, column] * alone[winner, column]
    np.testing.assert_allclose(share_of_maxima(encoder, one.descriptors, cells, weights), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("with_weights", [False, True])
def test_fisher_shares_equal_their_naive_twin(rng, with_weights):
    k, d, n = 5, 7, 40
    points, cells = rng.normal(size=(n, d)).astype(np.float32), rng.integers(0, 3, n)
    mixture = rng.dirichlet(np.ones(k)), rng.normal(size=(k, d)), rng.uniform(0.3, 2, (k, d))
    on_gradients = rng.normal(size=(3, 2 * k * d + k * with_weights))
    found, expected = np.empty(n), np.empty(n)
    _mixture.fisher_shares(points, cells, *mixture, on_gradients, found)
    naive.fisher_shares(points, cells, *mixture, on_gradients, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_an_empty_bag_adds_nothing(rng):
    model = FisherVector(2, random_state=0).fit([bag(rng, 50)])
    assert model.contributions(Bag(np.zeros((0, 6))), np.ones(24)).shape == (0,)


def test_weights_have_one_value_per_column(rng):
    with pytest.raises(InputError, match=r"weights must have shape \(4,\), one per column; got \(3,\)"):
        BagOfWords(4, random_state=0).fit([bag(rng, 30)]).contributions(bag(rng, 3), np.ones(3))


class Rotated(BagOfWords):
    """A bag of words whose columns are mixed after pooling."""

    def _finish(self, pooled, counts):
        return super()._finish(pooled, counts) @ rotation(pooled.shape[1])


class ExplainedRotated(Rotated):
    def _weights_on_pooled(self, pooled, codes, weights):
        return super()._weights_on_pooled(
            pooled, super(Rotated, self)._finish(pooled, None), weights @ rotation(len(weights.T)).T
        )


class DescriptorsOfOthers(BagOfWords):
    def _share(self, descriptors, cells, weights):
        return super()._share(descriptors, cells, weights)[::-1] * 2


def rotation(k):
    return np.linalg.qr(np.random.default_rng(0).normal(size=(k, k)))[0].astype(np.float32)


def test_an_encoder_that_mixes_columns_must_override_the_weights():
    with pytest.raises(AssertionError, match="If _finish mixes columns, override _weights_on_pooled"):
        check_encoder(Rotated(4, random_state=0))
    check_encoder(ExplainedRotated(4, random_state=0))


def test_shares_that_do_not_add_up_are_refused():
    with pytest.raises(AssertionError, match="_share adds up to"):
        check_encoder(DescriptorsOfOthers(4, random_state=0))


class Presence(Encoder):
    """Which words occur: a user's encoder, which says nothing about explanations."""

    def __init__(self, vocabulary=5, max_descriptors=1000, random_state=0, n_jobs=None, verbose=0):
        self.vocabulary, self.max_descriptors, self.random_state = vocabulary, max_descriptors, random_state
        self.n_jobs, self.verbose = n_jobs, verbose

    def _pool(self, descriptors, cells, n_cells):
        words = self._nearest(descriptors)
        return np.bincount(cells * 5 + words, minlength=5 * n_cells).reshape(n_cells, 5).astype(np.float32)

    def _finish(self, pooled, counts):
        return (pooled > 0).astype(np.float32)

    def _width(self):
        return 5

    def _descriptor_kind(self):
        return self.vocabulary_.words_.shape[1], "euclidean"


def test_a_users_encoder_is_explained_without_a_further_line(rng):
    check_encoder(Presence())
    one = bag(rng, 30)
    model = Presence().fit([one, bag(rng, 40)])
    found, words = model.contributions(one, np.arange(5.0)), model._nearest(one.descriptors)
    np.testing.assert_allclose(found, words / np.bincount(words, minlength=5)[words], atol=1e-12)
