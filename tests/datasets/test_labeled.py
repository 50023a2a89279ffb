"""LabeledImages: slicing, pickling, labels."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.model_selection import KFold, cross_val_predict, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from featrec.datasets import LabeledImages
from featrec.exceptions import InputError
from featrec.images import check_images

PIXELS = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
LABELS = ["b", "a", "a", "b", "c", "a"]


@pytest.fixture
def pictures():
    return LabeledImages(PIXELS, LABELS)


def flat(images):
    return np.array([picture.ravel() for picture in images], dtype=float)


def test_it_is_sliced_like_an_array(pictures):
    assert pictures.shape == (6,)
    assert pictures.classes == ["a", "b", "c"]
    assert pictures[2].tolist() == PIXELS[2].tolist()
    part = pictures[np.array([5, 0]), ...]
    assert np.asarray(part).tolist() == PIXELS[[5, 0]].tolist()
    assert part.labels.tolist() == ["a", "b"]
    assert part.classes == ["a", "b", "c"]
    assert [picture.tolist() for picture in part] == PIXELS[[5, 0]].tolist()


def test_a_part_copies_no_picture(pictures):
    assert np.shares_memory(pictures[[4, 1]][0], PIXELS)


def test_a_pickled_part_takes_only_its_own_pictures_along():
    pictures = LabeledImages(np.zeros((100, 40, 40), np.uint8), ["a"] * 100)
    state = pickle.dumps(pictures[7:9])
    assert len(state) < 10_000
    assert np.asarray(pickle.loads(state)).shape == (2, 40, 40)


def test_pictures_of_several_sizes():
    pictures = LabeledImages([np.zeros((3, 4), np.uint8), np.ones((5, 5, 3))], ["a", "b"])
    assert pictures[[1]][0].shape == (5, 5, 3)
    assert pickle.loads(pickle.dumps(pictures[1:]))[0].shape == (5, 5, 3)
    with pytest.raises(InputError, match=r"pictures of one shape; these have 2.*Resize"):
        np.asarray(pictures)


def test_it_is_a_batch_of_pictures(pictures):
    images = check_images(pictures[1:])
    assert images[0].tolist() == PIXELS[1].tolist()
    assert [picture.tolist() for picture in pickle.loads(pickle.dumps(images[2:]))] == PIXELS[3:].tolist()


def test_scikit_learn_splits_it(pictures):
    train, test = train_test_split(pictures, test_size=2, random_state=0)
    assert sorted(train.labels.tolist() + test.labels.tolist()) == sorted(LABELS)
    model = make_pipeline(FunctionTransformer(flat), KNeighborsClassifier(1))
    predicted = cross_val_predict(model, pictures, pictures.labels, cv=KFold(3))
    assert predicted.tolist() == cross_val_predict(model, PIXELS, pictures.labels, cv=KFold(3)).tolist()


def test_labels_that_do_not_fit():
    with pytest.raises(InputError, match=r"one label for each picture is expected; got 6 pictures and labels \(5,\)"):
        LabeledImages(PIXELS, LABELS[:5])
    with pytest.raises(InputError, match=r"the labels \['c'\] are none of the classes \['a', 'b'\]"):
        LabeledImages(PIXELS, LABELS, ["a", "b"])


def test_how_it_reads(pictures):
    assert repr(pictures[:4]) == "LabeledImages(4 pictures, 3 classes)"
