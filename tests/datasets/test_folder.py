"""ImageFolder: layout, order, slices and errors."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing

from featrec.datasets import ImageFolder
from featrec.exceptions import DatasetError, InputError
from featrec.images import check_images


def put(root: Path, *names: str) -> Path:
    """Write images in the given order, each filled with its number."""
    for value, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 6), value, np.uint8)).save(path, "PNG")
    return root


@pytest.fixture
def folder(tmp_path):
    return ImageFolder(put(tmp_path, "b/2.png", "b/1.png", "a/deep/er/0.png", "a/z.png", "a/B.PNG"))


def relative(folder: ImageFolder, paths: list[str] | None = None) -> list[str]:
    return [Path(path).relative_to(folder.path).as_posix() for path in (folder.paths if paths is None else paths)]


def test_images_are_sorted_by_class_and_path(folder):
    assert relative(folder) == ["a/B.PNG", "a/deep/er/0.png", "a/z.png", "b/1.png", "b/2.png"]
    assert folder.labels.tolist() == ["a", "a", "a", "b", "b"]
    assert folder.classes == ["a", "b"]
    assert len(folder) == 5
    assert folder.shape == (5,)


def test_an_image_is_decoded(folder):
    assert folder[0].tolist() == np.full((4, 6), 4).tolist()
    assert folder[-1].max() == 0
    assert [int(image[0, 0]) for image in folder] == [4, 2, 3, 1, 0]


@pytest.mark.parametrize("key", [slice(None, None, -2), [3, 0, 0], np.array([True, False, False, True, True]), []], ids=str)
def test_slices_select_the_rows_of_an_array(folder, key):
    rows = np.arange(5)[key]
    part = folder[key]
    assert part.shape == (len(rows),)
    assert part.paths == [folder.paths[row] for row in rows]
    assert part.labels.tolist() == folder.labels[rows].tolist()
    assert part.classes == folder.classes
    assert [part.name(position) for position in range(len(part))] == part.paths
    assert repr(part).startswith(f"ImageFolder({len(rows)} images, 2 classes, '")
    assert part[::-1].paths == part.paths[::-1]


def test_splitting_decodes_nothing(folder):
    for path in folder.paths:
        Path(path).write_bytes(b"no image")
    train, test, train_labels, test_labels = train_test_split(folder, folder.labels, test_size=2, random_state=0)
    assert train.labels.tolist() == train_labels.tolist()
    assert test.labels.tolist() == test_labels.tolist()
    assert sorted(train.paths + test.paths) == sorted(folder.paths)
    assert _safe_indexing(folder, [4, 1]).paths == [folder.paths[4], folder.paths[1]]


def test_a_slice_is_pickled_with_its_own_paths(folder):
    state = pickle.dumps(folder[3:])
    assert b"B.PNG" not in state
    copy = pickle.loads(state)
    assert copy.paths == folder.paths[3:]
    assert copy.labels.tolist() == ["b", "b"]
    assert copy[0].tolist() == folder[3].tolist()
    assert copy[[1]].paths == folder.paths[4:]


def test_it_is_a_batch_of_images(folder):
    images = check_images(folder)
    assert images.name(1) == folder.paths[1]
    assert images[2:][0].tolist() == folder[2].tolist()
    copy = pickle.loads(pickle.dumps(images[2:4]))
    assert [image.tolist() for image in copy] == [folder[2].tolist(), folder[3].tolist()]
    assert copy.name(0) == folder.paths[2]


def test_conversion_to_an_array_is_refused(folder):
    with pytest.raises(InputError, match=r"read image by image and cannot become one array.*folder\.paths"):
        np.asarray(folder)
    with pytest.raises(InputError, match="cannot become one array"):
        pd.Series(folder)


@pytest.mark.parametrize(
    "names, message",
    [
        ([], "contains no class folders. The layout of a folder of images is class/image.jpg"),
        (["1.png", "2.jpg"], "contains no class folders; it contains 2 images directly"),
    ],
)
def test_folders_without_classes(tmp_path, names, message):
    with pytest.raises(DatasetError, match=message):
        ImageFolder(put(tmp_path, *names))


def test_a_missing_folder_and_a_single_image_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"there is no folder '.*nowhere'; check the path"):
        ImageFolder(tmp_path / "nowhere")
    put(tmp_path, "1.png")
    with pytest.raises(DatasetError, match=r"1\.png' is a file\..*read_image"):
        ImageFolder(tmp_path / "1.png")


def test_a_class_may_be_called_train(tmp_path):
    assert ImageFolder(put(tmp_path, "train/1.png", "bus/1.png")).classes == ["bus", "train"]


def test_split_with_classes_missing_from_training(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/2.png", "test/a/3.png", "test/B/4.png")
    message = r"has the classes \['B'\], .* \(and the test set lacks \['b'\]\).*Use the same class names"
    with pytest.raises(DatasetError, match=message):
        ImageFolder.split(tmp_path)


def test_split_without_both_folders(tmp_path):
    with pytest.raises(DatasetError, match=r"no folder 'test'; it has \['train', 'val'\].*test=\.\.\."):
        ImageFolder.split(put(tmp_path, "train/a/1.png", "val/a/2.png"))
    assert len(ImageFolder.split(tmp_path, test="val")[1]) == 1
    with pytest.raises(DatasetError, match="there is no folder"):
        ImageFolder.split(tmp_path / "nowhere")
    assert not ImageFolder.is_split(tmp_path / "nowhere")
