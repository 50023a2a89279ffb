"""LabeledImages: slicing, pickling, labels."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import KFold, cross_val_predict, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from featrec.datasets import LabeledImages
from featrec.exceptions import InputError

PIXELS = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
LABELS = ["b", "a", "a", "b", "c", "a"]


@pytest.fixture
def images():
    return LabeledImages(PIXELS, LABELS)


def flat(images):
    return np.array([image.ravel() for image in images], dtype=float)


def test_slices(images):
    assert images.shape == (6,)
    assert images.classes == ["a", "b", "c"]
    assert images[2].tolist() == PIXELS[2].tolist()
    part = images[np.array([5, 0]), ...]
    assert np.asarray(part).tolist() == PIXELS[[5, 0]].tolist()
    assert part.labels.tolist() == ["a", "b"]
    assert part.classes == ["a", "b", "c"]
    assert repr(part) == "LabeledImages(2 images, 3 classes)"
    assert [image.tolist() for image in part] == PIXELS[[5, 0]].tolist()


def test_a_slice_copies_no_image(images):
    assert np.shares_memory(images[[4, 1]][0], PIXELS)


def test_a_slice_is_pickled_with_its_own_images():
    images = LabeledImages(np.zeros((100, 40, 40), np.uint8), ["a"] * 100)
    state = pickle.dumps(images[7:9])
    assert len(state) < 10_000
    assert np.asarray(pickle.loads(state)).shape == (2, 40, 40)


def test_masks_follow_slices():
    masks = np.arange(6 * 4 * 5).reshape(6, 4, 5) % 7 == 0
    images = LabeledImages(PIXELS, LABELS, masks=masks)
    train, test = train_test_split(images, test_size=2, random_state=0)
    for part in (
        images,
        images[1:4],
        images[[5, 0]][::-1],
        images[np.array(LABELS) == "a"],
        train,
        pickle.loads(pickle.dumps(test)),
    ):
        assert part.masks.shape == part.shape
        for image, mask in zip(part, part.masks, strict=True):
            assert mask.dtype == bool
            np.testing.assert_array_equal(mask, masks[image[0, 0] // 20])
    assert np.asarray(images.masks[2:4]).tolist() == masks[2:4].tolist()
    assert np.shares_memory(images[[4, 1]].masks[0], masks)
    assert LabeledImages(PIXELS, LABELS)[:2].masks is None


def test_a_slice_is_pickled_with_its_own_masks():
    images = LabeledImages(np.zeros((100, 40, 40), np.uint8), ["a"] * 100, masks=np.ones((100, 40, 40), bool))
    assert len(pickle.dumps(images[7:9])) < 15_000


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="expected one mask for each image; got 6 images and 5 masks"):
        LabeledImages(PIXELS, LABELS, masks=np.zeros((5, 4, 5), bool))
    several = [np.zeros((3, 4)), np.ones((5, 5, 3))]
    LabeledImages(several, ["a", "b"], masks=[np.zeros((3, 4), bool), np.ones((5, 5), bool)])
    for second, found in (
        (np.ones((5, 5)), r"float64 of shape \(5, 5\).*mask > 0"),
        (np.ones((4, 5), bool), r"bool of shape \(4, 5\)"),
    ):
        with pytest.raises(
            InputError, match=rf"mask 1 must be an array of bool of the shape of its image, \(5, 5\); got {found}"
        ):
            LabeledImages(several, ["a", "b"], masks=[np.zeros((3, 4), bool), second])


def test_images_of_several_sizes():
    images = LabeledImages([np.zeros((3, 4), np.uint8), np.ones((5, 5, 3))], ["a", "b"])
    assert images[[1]][0].shape == (5, 5, 3)
    assert pickle.loads(pickle.dumps(images[1:]))[0].shape == (5, 5, 3)
    with pytest.raises(InputError, match=r"images of the same shape; found 2.*Resize"):
        np.asarray(images)


def test_scikit_learn_splits_it(images):
    train, test = train_test_split(images, test_size=2, random_state=0)
    assert sorted(train.labels.tolist() + test.labels.tolist()) == sorted(LABELS)
    model = make_pipeline(FunctionTransformer(flat), KNeighborsClassifier(1))
    predicted = cross_val_predict(model, images, images.labels, cv=KFold(3))
    assert predicted.tolist() == cross_val_predict(model, PIXELS, images.labels, cv=KFold(3)).tolist()


def test_labels_that_do_not_match_are_refused():
    with pytest.raises(InputError, match=r"expected one label for each image; got 6 images and labels of shape \(5,\)"):
        LabeledImages(PIXELS, LABELS[:5])
    with pytest.raises(InputError, match=r"the labels \['c'\] are not among the classes \['a', 'b'\]"):
        LabeledImages(PIXELS, LABELS, ["a", "b"])
