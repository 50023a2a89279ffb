"""Datasets shipped with scikit-learn and scikit-image."""

import numpy as np
import pytest
from skimage import data
from sklearn import datasets

from featrec.datasets import load_dataset
from featrec.datasets._load import CROP, GAP, TEXTURES, shipped_file
from featrec.exceptions import DatasetError, InputError
from featrec.images import as_gray, read_image


def found_at(image: np.ndarray, crop: np.ndarray) -> list[tuple[int, int]]:
    """Return the rows and columns of an image at which a crop occurs."""
    wanted = np.argwhere((image == crop[0, 0])[: 1 - CROP, : 1 - CROP]).tolist()
    wanted = [(y, x) for y, x in wanted if image[y, x : x + CROP].tobytes() == crop[0].tobytes()]
    return [(y, x) for y, x in wanted if np.array_equal(image[y : y + CROP, x : x + CROP], crop)]


def test_digits_are_the_shipped_images():
    shipped = datasets.load_digits()
    train, test = load_dataset("digits")
    assert np.asarray(train).max() == 255
    ours = np.concatenate([np.rint(np.asarray(half) * (16 / 255)) for half in (train, test)]).reshape(-1, 64)
    labels = np.concatenate([train.labels, test.labels]).astype(int)
    order, expected = (np.lexsort(np.column_stack([*rows.T])[:, ::-1].T) for rows in (ours, shipped.data))
    assert np.array_equal(ours[order], shipped.data[expected])
    assert np.array_equal(labels[order], shipped.target[expected])


def test_digits_are_split_equally_in_every_class():
    train, test = load_dataset("digits")
    for name in train.classes:
        share = np.mean(train.labels == name) / np.mean(test.labels == name)
        assert 0.97 < share < 1.03


def test_faces_keep_their_order():
    shipped = data.lfw_subset()
    train, test = load_dataset("faces")
    assert train.labels.tolist() == test.labels.tolist() == ["face"] * 50 + ["other"] * 50
    blocks = np.concatenate([np.asarray(train)[:50], np.asarray(test)[:50], np.asarray(train)[50:], np.asarray(test)[50:]])
    assert np.abs(blocks / 255 - shipped).max() <= 0.5 / 255 + 1e-9
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in test}


def test_training_and_test_crops_of_textures_share_no_pixel():
    train, test = load_dataset("textures", n_train=4, n_test=4)
    for name, file in TEXTURES.items():
        image = as_gray(read_image(shipped_file(file)))
        middle = image.shape[1] / 2
        for crop in train[train.labels == name]:
            places = found_at(image, crop)
            assert places
            assert max(x for _, x in places) + CROP <= middle - GAP / 2 + 1
        for crop in test[test.labels == name]:
            places = found_at(image, crop)
            assert places
            assert min(x for _, x in places) >= middle + GAP / 2 - 1


def test_the_number_of_crops():
    train, test = load_dataset("textures", n_train=2, n_test=1)
    assert train.labels.tolist() == np.repeat(sorted(TEXTURES), 2).tolist()
    assert test.labels.tolist() == sorted(TEXTURES)
    with pytest.raises(InputError, match="n_train of the dataset 'textures' must be an integer of at least 1; got 0"):
        load_dataset("textures", n_train=0)


def test_a_file_missing_from_scikit_image():
    with pytest.raises(DatasetError, match=r"lacks the file skin\.jpg .*pip install"):
        shipped_file("skin.jpg")
