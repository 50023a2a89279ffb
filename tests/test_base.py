import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from featrec import Bag, Bags, Images, parallel as parallel_module
from featrec.base import (
    CodesOutput,
    Estimator,
    NoOutputContainer,
    StrOptions,
    Transformer,
    check_bags,
    positive_integer,
    real_number,
    sample_descriptors,
    warn_of_empty_bags,
)
from featrec.classifiers import WideRidge
from featrec.descriptors import RootSIFT
from featrec.encoders import BagOfWords
from featrec.exceptions import EmptyBagWarning, InputError, MetricError


class Described:
    """Bags made when asked for: the i-th has sizes[i] descriptors, each (i, its place); counts what was read."""

    def __init__(self, sizes):
        self.sizes, self.read = sizes, []

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, position):
        self.read.append(position)
        size = self.sizes[position]
        return Bag(np.column_stack([np.full(size, position), np.arange(size)]).reshape(size, 2))


def rows(bag):
    return [tuple(row) for row in bag.descriptors.astype(int).tolist()]


# The sample.


@pytest.mark.parametrize(("size", "n_images", "least", "most"), [(500, 400, 10, 10), (30, 400, 34, 40), (500, 4, 4, 4)])
def test_a_sample_has_its_size_without_duplicates_and_reads_no_more_images_than_needed(size, n_images, least, most):
    source = Described([size] * n_images)
    drawn = rows(sample_descriptors(Bags(source), 1000, random_state=0))
    assert len(drawn) == len(set(drawn)) == 1000
    assert all(0 <= image < n_images and 0 <= place < size for image, place in drawn)
    assert least <= len(source.read) == len(set(source.read)) <= most


def test_few_images_contribute_equal_shares():
    drawn = rows(sample_descriptors(Bags(Described([500] * 4)), 1000, random_state=0))
    assert np.bincount([image for image, _ in drawn]).tolist() == [250] * 4


def test_a_sample_may_contain_all_descriptors():
    source = Described([3, 0, 5])
    assert sorted(rows(sample_descriptors(Bags(source), 1000, random_state=0))) == [(0, 0), (0, 1), (0, 2)] + [
        (2, place) for place in range(5)
    ]


def test_images_and_places_are_drawn_evenly():
    """No image and no part of an image is preferred: counts over 200 seeds against the binomial's five deviations."""
    images, places = np.zeros(10), np.zeros(4)
    for seed in range(200):
        for image, place in rows(sample_descriptors(Bags(Described([400] * 10)), 200, random_state=seed)):
            images[image] += 1
            places[place // 100] += 1
    assert images.sum() == 200 * 200
    assert np.abs(images / images.sum() - 0.1).max() < 5 * np.sqrt(0.1 * 0.9 / 400)  # 400 draws of an image in all
    assert np.abs(places / places.sum() - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 40000)


def test_neither_workers_nor_batches_change_the_sample(monkeypatch):
    sizes = list(np.random.default_rng(0).integers(0, 300, 200))
    expected = rows(sample_descriptors(Bags(Described(sizes)), 3000, random_state=5))
    assert rows(sample_descriptors(Bags(Described(sizes)), 3000, random_state=5)) == expected
    assert rows(sample_descriptors(Bags(Described(sizes)), 3000, random_state=6)) != expected
    for n_jobs in (1, 2, 3, -1):
        assert rows(sample_descriptors(Bags(Described(sizes)), 3000, random_state=5, n_jobs=n_jobs)) == expected
    with joblib.parallel_config("loky", n_jobs=2):
        assert rows(sample_descriptors(Bags(Described(sizes)), 3000, random_state=5)) == expected
    for largest in (1, 5, 1000):
        monkeypatch.setattr(parallel_module, "LARGEST_BATCH", largest)
        assert rows(sample_descriptors(Bags(Described(sizes)), 3000, random_state=5)) == expected


def test_the_sample_of_a_part_is_from_that_part():
    bags = Bags(Described([50] * 20))[[3, 17]]
    assert {image for image, _ in rows(sample_descriptors(bags, 80, random_state=0))} == {3, 17}


def test_type_and_metric_of_a_sample():
    bits = Bag(np.zeros((4, 8), np.uint8), np.zeros((4, 4)), (9, 9), "hamming")
    sample = sample_descriptors(Bags([bits, bits]), 6, random_state=0)
    assert (sample.metric, sample.descriptors.dtype, sample.descriptors.shape) == ("hamming", np.uint8, (6, 8))
    assert sample.frames is None


def test_a_sample_of_nothing():
    assert sample_descriptors(Bags([]), 10).descriptors.shape[0] == 0
    assert sample_descriptors(Bags([Bag(np.empty((0, 5)))]), 10).descriptors.shape == (0, 5)


def test_mixed_bags_are_refused():
    bits, numbers = Bag(np.zeros((4, 8), np.uint8), metric="hamming"), Bag(np.zeros((4, 8)))
    with pytest.raises(
        MetricError, match=r"some bags contain packed bits \(hamming\), others numbers \(euclidean\); use one extr"
    ):
        sample_descriptors(Bags([bits, numbers]), 100)
    with pytest.raises(InputError, match=r"all descriptors must have the same width; found widths \[5, 8\]"):
        sample_descriptors(Bags([numbers, Bag(np.zeros((4, 5)))]), 100)


def test_progress_of_a_sample(capsys, monkeypatch):
    monkeypatch.setattr("featrec.parallel.PATIENCE", 0.0)
    sample_descriptors(Bags(Described([10] * 50)), 100, verbose=1)
    assert "images sampled" in capsys.readouterr().err


# What encoders and vocabularies take.


def test_bags_and_lists_of_bags():
    bag = Bag(np.zeros((2, 3)))
    bags = Bags([bag])
    assert check_bags(bags, stage="BagOfWords") is bags
    objects = np.empty(1, dtype=object)
    objects[0] = bag
    for given in ([bag], (bag,), objects):
        assert check_bags(given, stage="BagOfWords")[0] is bag
    assert check_bags([], stage="BagOfWords").shape == (0,)


@pytest.mark.parametrize("take", [BagOfWords(2).fit, RootSIFT().transform], ids=["BagOfWords", "RootSIFT"])
@pytest.mark.parametrize(
    "given, message",
    [
        (Bag(np.zeros((2, 3))), r"BagOfWords expects a list of bags; got one Bag\. Use \[bag\]"),
        (Images([]), r"BagOfWords expects Bags; got Images\. Put an extractor such as DenseSIFT\(\)"),
        ("cat.jpg", r"expects Bags or a list of Bag; got str\. The transform method of an extractor returns Bags"),
        (pd.DataFrame(), r"got DataFrame"),
        (np.zeros((2, 3)), r"item 0 is an array of shape \(3,\)\..*for precomputed descriptors, use Bag\(array\)"),
        (
            [Bag(np.zeros((2, 3))), np.zeros((4, 4))],
            r"item 1 is an array of shape \(4, 4\)\. For images, use an extractor first",
        ),
        ([None], r"item 0 is a NoneType"),
    ],
)
def test_no_bags(take, given, message):
    with pytest.raises(InputError, match=message.replace("BagOfWords", type(take.__self__).__name__)):
        take(given)


def test_one_warning_counts_empty_bags():
    with pytest.warns(EmptyBagWarning, match=r"BagOfWords: 3 of 7 images have no descriptors; their codes are zero") as caught:
        warn_of_empty_bags(3, 7, "BagOfWords")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_empty_bags(0, 7, "BagOfWords")


# Estimators.


class Example(CodesOutput, Estimator):
    _parameter_constraints = {"n": [positive_integer(2)], "x": [real_number(0, 1)], "kind": [StrOptions({"a", "b"})]}

    def __init__(self, n=2, *, x=0.5, kind="a"):
        self.n, self.x, self.kind = n, x, kind

    def fit(self, X, y=None):
        self._check_parameters()
        return self


@pytest.mark.parametrize("bad", [{"n": 1}, {"n": 2.0}, {"n": "2"}, {"x": 1.5}, {"x": -1}, {"kind": "c"}])
def test_constraints_name_the_parameter(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"The '{name}' parameter of Example must be"):
        clone(Example()).set_params(**bad).fit(None)


def test_constraints_let_numpy_numbers_pass():
    example = Example(np.int64(3), x=np.float32(1), kind="b")
    assert example.fit(None) is example


def test_no_output_container_reaches_subclasses_of_subclasses():
    class First(NoOutputContainer, Transformer):
        def transform(self, X):
            return Images([])

    class Second(First):
        def transform(self, X):
            return Images([])

    assert isinstance(Second().set_output(transform="pandas").transform(None), Images)
    assert isinstance(clone(Second()).transform(None), Images)


def test_a_parameter_younger_than_the_model_file_has_its_default():
    model = WideRidge(alphas=0.5)
    state = {name: value for name, value in model.__getstate__().items() if name != "class_weight"}
    old = WideRidge.__new__(WideRidge)
    old.__setstate__(state)
    assert clone(old).get_params() == WideRidge(alphas=0.5).get_params()
