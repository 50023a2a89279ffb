"""Tests of all steps from Bags to Bags, in addition to the tests of all estimators."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from featrec import Bag, Bags
from featrec.descriptors import DenseSIFT
from featrec.exceptions import MetricError
from tests.contract.estimators import kind, make, public_estimators
from tests.contract.test_contract import binary_bags, equal, histograms, numbers

STEPS = [pytest.param(cls, id=name) for name, cls in sorted(public_estimators().items()) if kind(cls) == "bag step"]
pytestmark = pytest.mark.parametrize("cls", STEPS)

NAMES = [f"dimension{i}" for i in range(8)]


class Counted(list):
    """Bags that count how often each Bag is read."""

    reads = 0

    def __getitem__(self, key):
        self.reads += 1
        return super().__getitem__(key)


@pytest.fixture
def step(cls):
    return make(cls, None).fit(histograms())


def test_nothing_is_computed_before_a_bag_is_read(cls):
    source = Counted(histograms())
    step = make(cls, None)
    fitted = step.fit(Bags(source))
    assert bool(source.reads) == step.__sklearn_tags__().requires_fit
    source.reads = 0
    bags = fitted.transform(Bags(source))
    assert (source.reads, bags.shape, len(bags[2:5])) == (0, (10,), 3)
    assert isinstance(bags[-1], Bag)
    assert source.reads == 1


def test_bags_lists_and_single_bags_agree(step):
    bags = histograms()
    expected = numbers(step.transform(bags))
    assert equal(numbers(step.transform(Bags(bags))), expected)
    assert equal(numbers(step.transform(bags).compute(n_jobs=2)), expected)
    assert np.array_equal(step.apply(bags[3]).descriptors, expected[3])
    assert equal(numbers(pickle.loads(pickle.dumps(step.transform(bags)))), expected)


def test_an_empty_bag_stays_empty_and_has_the_same_width(step):
    width = step.apply(histograms()[0]).descriptors.shape[1]
    standing_in = DenseSIFT()._nothing()
    for bag in (histograms()[0], Bag(np.empty((0, 8), np.uint8)), Bag(np.empty((0, 8)))):
        found = step.apply(replace(bag, descriptors=bag.descriptors[:0], frames=None))
        assert found.descriptors.shape == (0, width)
        assert found.descriptors.dtype == np.float32
    assert step.apply(standing_in).frames.shape == (0, 4)
    assert len(step.transform([])) == 0


def test_one_descriptor_is_enough(step):
    whole = step.apply(histograms()[0])
    bag = histograms()[0]
    one = step.apply(replace(bag, descriptors=bag.descriptors[:1], frames=bag.frames[:1]))
    np.testing.assert_allclose(one.descriptors, whole.descriptors[:1], atol=1e-5)


def test_frames_and_size_stay(step):
    before = histograms()[0]
    after = step.apply(before)
    assert np.array_equal(after.frames, before.frames)
    assert (after.size, after.metric) == (before.size, "euclidean")


def test_mirrored_descriptors_stay_marked(step):
    before = histograms()[0]
    marked = replace(before, mirrored=np.arange(len(before.descriptors)) % 3 == 0)
    assert np.array_equal(step.apply(marked).mirrored, marked.mirrored)
    assert np.array_equal(step.apply(marked).descriptors, step.apply(before).descriptors)
    assert step.apply(before).mirrored is None


def test_read_only_input_works_and_is_unchanged(cls):
    bags, untouched = histograms(), histograms()
    for bag in bags:
        bag.descriptors.setflags(write=False)
        bag.frames.setflags(write=False)
    list(make(cls, None).fit_transform(bags))
    assert equal([bag.descriptors for bag in bags], [bag.descriptors for bag in untouched])


def test_every_dimension_has_a_name(step):
    names = step.get_feature_names_out(NAMES)
    assert len(names) == len(set(names)) == step.apply(histograms()[0]).descriptors.shape[1]
    assert names.dtype == object


@pytest.mark.parametrize("container", ["default", "pandas"])
def test_set_output_changes_nothing(cls, step, container):
    expected = numbers(step.transform(histograms()))
    assert equal(numbers(make(cls, None).set_output(transform=container).fit_transform(histograms())), expected)
    with config_context(transform_output=container):
        assert equal(numbers(make(cls, None).fit_transform(histograms())), expected)


def test_a_second_fit_does_not_depend_on_the_first(cls):
    other = histograms()[4:]
    again = make(cls, None).fit(histograms()).fit(other)
    fresh = make(cls, None).fit(other)
    assert equal(numbers(again.transform(other)), numbers(fresh.transform(other)))


def test_two_threads_at_once_give_the_same_numbers(step):
    expected = numbers(step.transform(histograms()))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: numbers(step.transform(histograms())), range(6)))
    assert all(equal(result, expected) for result in results)


def test_bags_do_not_change_with_their_step(cls, step):
    bags = step.transform(histograms())
    expected = numbers(bags)
    for name, value in {"weight": 3.0, "n_components": 2, "whiten": False}.items():
        if name in step.get_params():
            step.set_params(**{name: value})
    step.fit([replace(bag, descriptors=bag.descriptors[:, ::-1]) for bag in histograms()])
    assert equal(numbers(bags), expected)


def test_it_works_between_an_extractor_and_another_step(cls, ragged):
    model = make_pipeline(DenseSIFT(bin_sizes=3, on_error="empty"), make(cls, None), make(cls, None))
    bags = clone(model).fit(ragged).transform([*ragged, "no such file"])
    assert [len(bag.descriptors) > 0 for bag in bags] == [True] * 5 + [False] * 2
    assert len(bags.failures) == 1
    assert len({bag.descriptors.shape[1] for bag in bags}) == 1


def test_bytes_and_floats_give_the_same_numbers(cls):
    rounded = [replace(bag, descriptors=(40 * bag.descriptors).clip(0, 255).round()) for bag in histograms()]
    packed = [replace(bag, descriptors=bag.descriptors.astype(np.uint8)) for bag in rounded]
    expected = numbers(make(cls, None).fit_transform(rounded))
    assert equal(numbers(make(cls, None).fit_transform(packed)), expected)


def test_packed_bits_are_refused_by_name(cls):
    with pytest.raises(MetricError, match=f"{cls.__name__} expects numbers .euclidean.; got packed bits .hamming."):
        numbers(make(cls, None).fit_transform(binary_bags()))
    with pytest.raises(MetricError, match=f"{cls.__name__} expects numbers"):
        make(cls, None).fit(histograms()).apply(binary_bags()[0])
