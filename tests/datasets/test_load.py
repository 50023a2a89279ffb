"""load_dataset: names, options, and properties of all datasets."""

import os
import pickle

import numpy as np
import pytest

from featrec.datasets import Dataset, dataset_names, load_dataset
from featrec.exceptions import DatasetError, InputError

SMALL = {"digits": {}, "faces": {}, "shapes": {"n_train": 16, "n_test": 8}, "textures": {"n_train": 3, "n_test": 2}}
LARGE = ("caltech101", "cifar10", "cifar100", "fashion-mnist", "mnist", "scene15")
SIZES = {
    "caltech101": (3030, None, None),
    "cifar10": (50000, 10000, (32, 32, 3)),
    "cifar100": (50000, 10000, (32, 32, 3)),
    "digits": (1198, 599, (8, 8)),
    "faces": (100, 100, (25, 25)),
    "fashion-mnist": (60000, 10000, (28, 28)),
    "mnist": (60000, 10000, (28, 28)),
    "scene15": (1500, 2985, None),
    "shapes": (16, 8, (96, 96, 3)),
    "textures": (24, 16, (64, 64)),
}


@pytest.fixture(params=[*SMALL, *(pytest.param(name, marks=pytest.mark.data) for name in LARGE)])
def dataset(request) -> Dataset:
    if request.param in LARGE and not os.environ.get("FEATREC_DATA"):
        pytest.skip("FEATREC_DATA is not set")
    try:
        return load_dataset(request.param, **SMALL.get(request.param, {}))
    except DatasetError as error:
        if "is incomplete" not in str(error):
            raise
        pytest.skip(f"FEATREC_DATA has no {request.param}")


def test_every_dataset_is_tested():
    assert dataset_names() == sorted([*SMALL, *LARGE]) == sorted(SIZES)


def test_promises_of_every_dataset(dataset):
    n_train, n_test, shape = SIZES[dataset.name]
    train, test = dataset
    assert (len(dataset), len(train)) == (2, n_train)
    assert n_test is None or len(test) == n_test
    assert dataset[0] is train
    assert dataset[-1] is test
    assert dataset.classes == train.classes == test.classes
    for half in dataset:
        assert half.labels.dtype.kind == "U"
        assert set(half.labels) == set(dataset.classes)
        assert half[0].dtype == np.uint8
        assert half[0].shape == shape or shape is None
    assert dataset.license
    assert dataset.citation
    assert dataset.description


def test_slices_can_be_pickled(dataset):
    part = pickle.loads(pickle.dumps(dataset.test[2:4]))
    assert part[1].tolist() == dataset.test[3].tolist()
    assert part.labels.tolist() == dataset.test.labels[2:4].tolist()


@pytest.mark.parametrize("name", SMALL)
def test_the_same_call_gives_the_same_images(name):
    for first, second in zip(load_dataset(name, **SMALL[name]), load_dataset(name, **SMALL[name]), strict=True):
        assert np.array_equal(np.asarray(first), np.asarray(second))
        assert first.labels.tolist() == second.labels.tolist()


@pytest.mark.parametrize("name", ["digits", "shapes", "textures"])
def test_another_seed_gives_other_images_and_invalid_seeds_are_refused(name):
    first, second = (load_dataset(name, **SMALL[name], random_state=seed).train for seed in (0, 1))
    assert not np.array_equal(np.asarray(first), np.asarray(second))
    with pytest.raises(InputError, match="random_state must be a non-negative integer, a RandomState or None; got -1"):
        load_dataset(name, random_state=-1)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(3)], ids=["None", "RandomState"])
def test_random_seeds(random_state):
    first, second = (load_dataset("textures", n_train=1, n_test=1, random_state=random_state).train for _ in range(2))
    assert not np.array_equal(np.asarray(first), np.asarray(second))


def test_repr():
    assert repr(load_dataset("faces")) == "Dataset('faces': 100 + 100 images, 2 classes)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Digit", r"no dataset 'Digit'; did you mean 'digits'\? The available datasets are caltech101, .*ImageFolder"),
        ("quux", r"no dataset 'quux'\. The available datasets are"),
        (["digits"], r"no dataset \['digits'\]"),
    ],
)
def test_an_unknown_name_is_refused(name, message):
    with pytest.raises(DatasetError, match=message):
        load_dataset(name)


def test_an_unknown_option_is_refused():
    with pytest.raises(InputError, match="'textures' has no option colour; its options are n_train, n_test, random_state"):
        load_dataset("textures", colour=1)
    with pytest.raises(InputError, match="'faces' has no option seed; it has no options"):
        load_dataset("faces", seed=1)
    with pytest.raises(InputError, match=r"'mnist' has no option _published; its options are data_home, download$"):
        load_dataset("mnist", _published=None)


@pytest.mark.parametrize("name", LARGE)
def test_a_missing_large_dataset(name, monkeypatch, tmp_path):
    monkeypatch.delenv("FEATREC_DATA", raising=False)
    with pytest.raises(DatasetError, match=rf"{name}'.*FEATREC_DATA or data_home=\.\.\., but neither is set; .*https://"):
        load_dataset(name)
    with pytest.raises(DatasetError, match=rf"{name}' is incomplete in '{tmp_path}.*: missing .*expected: .*https://"):
        load_dataset(name, data_home=tmp_path)
    monkeypatch.setenv("FEATREC_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=f"is incomplete in '{tmp_path}"):
        load_dataset(name)
