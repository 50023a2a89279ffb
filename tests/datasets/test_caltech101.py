"""The split of caltech101, on a folder written here."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from featrec.datasets import load_dataset
from featrec.exceptions import InputError

SIZES = {"BACKGROUND_Google": 9, "Faces": 12, "accordion": 6, "airplanes": 8}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for name, n in SIZES.items():
        folder = root / "caltech-101" / "101_ObjectCategories" / name
        folder.mkdir(parents=True)
        for number in range(1, n + 1):
            Image.fromarray(np.full((5, 7, 3), number, np.uint8)).save(folder / f"image_{number:04d}.jpg")
    return root


def load(home, **options):
    return load_dataset("caltech101", data_home=home, **options)


def counts(half) -> dict[str, int]:
    return dict(zip(*np.unique(half.labels, return_counts=True), strict=True))


def test_so_many_of_each_class(home):
    train, test = load(home, n_train=4, n_test=3)
    assert counts(train) == {"Faces": 4, "accordion": 4, "airplanes": 4}
    assert counts(test) == {"Faces": 3, "accordion": 2, "airplanes": 3}
    assert train.classes == test.classes == ["Faces", "accordion", "airplanes"]
    assert train[0].shape == (5, 7, 3)


def test_all_of_the_rest(home):
    train, test = load(home, n_train=4, n_test=None)
    assert counts(test) == {"Faces": 8, "accordion": 2, "airplanes": 4}
    assert len({*train.paths, *test.paths}) == 26


def test_the_class_of_clutter_is_asked_for(home):
    with_clutter = load(home, n_train=4, background=True)
    assert with_clutter.classes == sorted(SIZES)
    assert counts(with_clutter.train)["BACKGROUND_Google"] == 4
    assert "including the background class" in with_clutter.description
    assert "background" not in load(home, n_train=4).description


def test_the_other_classes_are_drawn_alike_with_and_without_clutter(home):
    plain, cluttered = (load(home, n_train=4, background=flag).train.paths for flag in (False, True))
    assert plain == [path for path in cluttered if "BACKGROUND" not in path]


def test_the_seed_decides(home):
    first, same, other = (load(home, n_train=4, random_state=seed).train.paths for seed in (0, 0, 1))
    assert first == same
    assert first != other


def test_fewer_to_train_on_are_a_part_of_more_and_the_test_images_stay(home):
    few, many = (load(home, n_train=n, n_test=2) for n in (2, 4))
    assert set(few.train.paths) < set(many.train.paths)
    assert few.test.paths == many.test.paths


@pytest.mark.parametrize("n_train", [6, 7])
def test_a_class_that_is_too_small(home, n_train):
    with pytest.raises(InputError, match=rf"is {n_train}, but the class 'accordion' has 6 images, .* use n_train=5 or less"):
        load(home, n_train=n_train)


def test_options_out_of_range(home):
    with pytest.raises(InputError, match="n_train of the dataset 'caltech101' must be an integer of at least 1; got 0"):
        load(home, n_train=0)
    with pytest.raises(InputError, match=r"n_test of the dataset 'caltech101' must be an integer of at least 1; got 0\.5"):
        load(home, n_test=0.5)
    with pytest.raises(InputError, match="background of the dataset 'caltech101' must be True or False; got 1"):
        load(home, background=1)
