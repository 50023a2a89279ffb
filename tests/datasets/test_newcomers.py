"""Folders with all kinds of files, and common mistakes."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from featrec.datasets import ImageFolder
from featrec.exceptions import DatasetError, InputError, SkippedFileWarning
from featrec.images import check_images
from featrec.recipes import hog_svm

SKIPPED = r"skipped images next to the class folders \(1\), linked folders \(1\), \.txt \(1\)\."
pytestmark = pytest.mark.filterwarnings("ignore::featrec.exceptions.DroppedImageWarning")


def usable(place, rgb, rng):
    """Write files of every kind that cameras and programs write."""
    rgb.convert("CMYK").save(place / "cmyk.jpg")
    Image.fromarray(rng.integers(0, 65536, (40, 60)).astype(np.uint16)).save(place / "gray16.png")
    cv2.imwrite(str(place / "colour16.png"), rng.integers(0, 65536, (40, 60, 3)).astype(np.uint16))
    more = [rgb.rotate(90)] * 3
    for name in ("frames.gif", "frames.webp", "pages.tif"):
        rgb.save(place / name, save_all=True, append_images=more)
    turned = Image.Exif()
    turned[274] = 6
    rgb.save(place / "turned.jpg", exif=turned)
    rgb.convert("P").save(place / "palette.png")
    rgb.convert("RGBA").save(place / "alpha.png")
    rgb.convert("1").save(place / "bits.png")
    rgb.save(place / "UPPER.BMP")
    rgb.save(place / "a png named.jpg", "PNG")


def damaged(place):
    (place / "zero.jpg").write_bytes(b"")
    data = (place / "turned.jpg").read_bytes()
    (place / "cut.jpg").write_bytes(data[: len(data) // 2])
    (place / "text.jpg").write_text("hello")
    (place / "page.png").write_text("<!DOCTYPE html><html>404</html>")
    (place / "nowhere.jpg").symlink_to("/nowhere.jpg")
    (place / "itself.jpg").symlink_to("itself.jpg")


def no_images(place, root):
    (place / "notes.txt").write_text("")
    (place / ".hidden.jpg").write_bytes(b"")
    (place / "Thumbs.db").write_bytes(b"")
    (place / "loop").symlink_to(root)
    (root / "desktop.ini").write_text("")


@pytest.fixture
def mixed(tmp_path, rng):
    rgb = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        usable(tmp_path / name, rgb, rng)
    damaged(tmp_path / "cat")
    no_images(tmp_path / "cat", tmp_path)
    rgb.save(tmp_path / "beside.jpg")
    return tmp_path


def test_a_model_is_fitted_on_a_folder_with_all_kinds_of_files(mixed):
    with pytest.warns(SkippedFileWarning, match=SKIPPED):
        folder = ImageFolder(mixed, on_error="drop")
    dropped = [os.path.basename(failure.item) for failure in folder.dropped]
    assert sorted(dropped) == ["cut.jpg", "itself.jpg", "nowhere.jpg", "page.png", "text.jpg", "zero.jpg"]
    assert folder.labels.tolist() == ["cat"] * 12 + ["dog"] * 12
    assert {image.shape[:2] for image in folder} == {(40, 60), (60, 40)}
    predicted = hog_svm().fit(folder, folder.labels).predict(folder)
    assert predicted.shape == (24,)


@pytest.mark.parametrize(("names", "split"), [
    (["Train", "Test"], {"train": "Train", "test": "Test"}),
    (["training", "validation"], {"train": "training", "test": "validation"}),
    (["test", "train", "val"], {}),
])  # fmt: skip
def test_parts_of_a_split_are_not_classes(tmp_path, names, split):
    for name in names:
        (tmp_path / name / "cat").mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / name / "cat" / "1.png")
    with pytest.raises(DatasetError, match="parts of a split, not classes") as caught:
        ImageFolder(tmp_path)
    named = "".join(f", {half}={name!r}" for half, name in split.items())
    assert f"ImageFolder.split(path{named})" in str(caught.value)
    assert [len(half) for half in ImageFolder.split(tmp_path, **split)] == [1, 1]


def test_an_empty_class_folder(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "dog" / "1.png")
    with pytest.raises(DatasetError, match=r"\['cat'\] of '.*' contain no image\. Remove them"):
        ImageFolder(tmp_path)
    for name in ("1.heic", "2.heic", ".3"):
        (tmp_path / "cat" / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"contain no image, only \.heic \(2\)\. Remove them.*\.jpg"):
        ImageFolder(tmp_path)


@pytest.mark.parametrize("name", ["folder", "x.zip", "x.tar.gz", "table.csv"])
def test_the_path_of_a_folder_is_refused_as_a_batch(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_bytes(b"")
    refusal = rf"the path of a folder or archive \('.*{name}'\)\. featrec\.datasets\.ImageFolder\(path\) reads"
    for given in (path, str(path)):
        with pytest.raises(InputError, match=refusal):
            check_images(given)
    with pytest.raises(InputError, match=r"one image \(str\)\. Use a list"):
        check_images("nowhere\0.jpg")
