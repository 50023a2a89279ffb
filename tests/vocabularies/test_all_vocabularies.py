"""Rules that hold for every vocabulary."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from featrec import Bag
from featrec.exceptions import InputError, MetricError
from featrec.vocabularies import BinaryVocabulary, GaussianVocabulary, KMeansVocabulary, RandomVocabulary

every = pytest.mark.parametrize("kind", [BinaryVocabulary, GaussianVocabulary, KMeansVocabulary, RandomVocabulary])


def bag(rng, n, metric, d=8):
    numbers = rng.integers(0, 256, (n, d), np.uint8)
    return Bag(numbers, metric="hamming") if metric == "hamming" else Bag(numbers + rng.normal(size=(n, d)))


@every
def test_words_depend_on_the_seed_and_not_on_n_jobs(rng, kind):
    bags = [bag(rng, 900, kind.metric) for _ in range(12)]
    options = {"max_descriptors": 9000}
    one, two, other = (
        kind(20, random_state=seed, n_jobs=n_jobs, **options).fit(bags) for seed, n_jobs in ((1, 1), (1, 2), (2, 1))
    )
    for name in ("words_", "weights_", "means_", "covariances_"):
        if hasattr(one, name):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
            assert not np.array_equal(getattr(one, name), getattr(other, name))


@every
def test_errors_give_advice(rng, kind):
    name = kind.size_parameter
    given = bag(rng, 4, kind.metric)
    with pytest.raises(InputError, match=rf"9 {name[2:]} cannot be learned from 4 descriptors.*Lower {name}"):
        kind(9).fit([given])
    with pytest.raises(InputError, match=r"all bags are empty.*none of the 3 images"):
        kind(2).fit([bag(rng, 0, kind.metric)] * 3)
    other = bag(rng, 4, "euclidean" if kind.metric == "hamming" else "hamming")
    with pytest.raises(
        MetricError, match=f"{kind.__name__} needs .*({'KMeans' if kind.metric == 'hamming' else 'Binary'}Vocabulary)"
    ):
        kind(2).fit([other])
    with pytest.raises(NotFittedError, match="not fitted"):
        kind(2).nearest(given)
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        kind(0).fit([given])
