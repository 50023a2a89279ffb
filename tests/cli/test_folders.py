"""Which images are learned from and which are tested on."""

from argparse import Namespace

import numpy as np
import pytest
from PIL import Image

from featrec.cli._train import read_split
from featrec.exceptions import InputError


@pytest.fixture
def write(tmp_path):
    """Write that many images into each class folder."""

    def write_folder(place, **counts):
        for name, count in counts.items():
            folder = tmp_path / place / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(np.full((8, 8), number, np.uint8)).save(folder / f"{number}.png")
        return tmp_path / place

    return write_folder


def split(folder, *, test=None, holdout=None, seed=0):
    return read_split(Namespace(folder=folder, test=test, holdout=holdout, seed=seed, n_jobs=1))


def test_a_fifth_of_each_class_is_held_out(write):
    train, test = split(write("all", cat=10, dog=15))
    assert test.labels.tolist() == ["cat"] * 2 + ["dog"] * 3
    assert len(train) == 20
    assert not set(train.paths) & set(test.paths)


def test_the_seed_decides_which(write):
    folder = write("all", cat=30)
    again, other = split(folder, seed=1)[1].paths, split(folder, seed=2)[1].paths
    assert split(folder, seed=1)[1].paths == again != other


def test_small_classes_stay_learnable(write):
    train, test = split(write("all", cat=1, dog=2, emu=3), holdout=0.9)
    assert train.labels.tolist() == ["cat", "dog", "emu"]
    assert test.labels.tolist() == ["dog", "emu", "emu"]


def test_nothing_is_held_out_when_nothing_is_asked_for(write):
    train, test = split(write("all", cat=3, dog=2), holdout=0.0)
    assert len(train) == 5
    assert test is None


def test_one_image_in_each_class_leaves_none_to_test_on(write):
    with pytest.raises(InputError, match="--holdout 0 trains on all"):
        split(write("all", cat=1, dog=1))


def test_train_and_test_folders_are_taken_as_they_are(write):
    folder = write("both/train", cat=2, dog=1).parent
    write("both/test", cat=1)
    train, test = split(folder)
    assert train.labels.tolist() == ["cat", "cat", "dog"]
    assert test.labels.tolist() == ["cat"]
    for options in ({"test": folder / "test"}, {"holdout": 0.5}):
        with pytest.raises(InputError, match="has its own train and test folders; omit --test and --holdout"):
            split(folder, **options)


def test_another_folder_can_be_tested_on(write):
    train, test = split(write("here", cat=2, dog=1), test=write("there", cat=3, dog=1))
    assert (len(train), len(test)) == (3, 4)
