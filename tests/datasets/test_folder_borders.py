"""ImageFolder: unusual names, links, devices, and files that change after they were listed."""

import os
import pickle
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from featrec.datasets import ImageFolder
from featrec.exceptions import DatasetError, ImageError, MissingImageError, UnreadableImageError
from featrec.images import check_images
from tests.datasets.test_folder import put, relative

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_a_deleted_file(tmp_path):
    folder = ImageFolder(put(tmp_path, "a/1.png", "a/2.png"))
    os.remove(folder.paths[1])
    with pytest.raises(MissingImageError, match=r"2\.png'.*the file was deleted after it was listed.*ImageFolder again"):
        folder[1]
    with pytest.raises(MissingImageError, match=r"^image 1 \('.*2\.png'\): the file was deleted"):
        list(check_images(folder))
    assert folder[0].shape == (4, 6)


def test_a_changed_file(tmp_path):
    folder = ImageFolder(put(tmp_path, "a/1.png"))
    copy = pickle.loads(pickle.dumps(folder))
    path = Path(folder.paths[0])
    data, time = path.read_bytes(), path.stat().st_mtime_ns
    for content, change in ((b"0123456789", r"its size was \d+ bytes and is now 10 bytes"),
                            (data, "bytes, but its modification time is different")):  # fmt: skip
        path.write_bytes(content)
        os.utime(path, ns=(time + 10**9, time + 10**9))  # some file systems store only full seconds
        for listed in (folder, copy):
            with pytest.raises(ImageError, match=rf"1\.png'.*changed after it was listed \(.*{change}\); create"):
                listed[0]
    assert ImageFolder(tmp_path)[0].shape == (4, 6)


def test_files_replaced_by_a_folder_or_a_pipe(tmp_path):
    folder = ImageFolder(put(tmp_path, "a/1.png", "a/2.png"))
    for path in folder.paths:
        os.remove(path)
    os.mkdir(folder.paths[0])
    os.mkfifo(folder.paths[1])  # opening a pipe would block
    for position in (0, 1):
        with pytest.raises(ImageError, match="it is no longer a file"):
            folder[position]


def test_a_class_folder_replaced_by_a_file(tmp_path):
    folder = ImageFolder(put(tmp_path, "a/1.png"))
    (tmp_path / "a" / "1.png").unlink()
    (tmp_path / "a").rmdir()
    (tmp_path / "a").write_text("")
    with pytest.raises(MissingImageError, match="the file was deleted"):
        folder[0]


def test_an_error_of_the_device(tmp_path, monkeypatch):
    folder = ImageFolder(put(tmp_path, "a/1.png"))

    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "stat", broken)
    with pytest.raises(UnreadableImageError, match=r"1\.png'.*cannot be opened .*Input/output error"):
        folder[0]


@pytest.mark.filterwarnings("ignore::featrec.exceptions.SkippedFileWarning")
def test_devices_and_pipes_are_skipped(tmp_path):
    put(tmp_path, "a/1.png")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    (tmp_path / "a" / "zero.png").symlink_to("/dev/zero")
    folder = ImageFolder(tmp_path)
    assert relative(folder) == ["a/1.png"]
    assert relative(folder, folder.skipped) == ["a/pipe.png", "a/zero.png"]


def test_links_to_images_are_followed_and_broken_links_are_errors_when_read(tmp_path):
    put(tmp_path, "a/1.png")
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "3.png").symlink_to(tmp_path / "a" / "nowhere.png")
    (tmp_path / "a" / "4.png").symlink_to(tmp_path / "a" / "4.png")
    folder = ImageFolder(tmp_path)
    assert relative(folder) == ["a/1.png", "a/2.png", "a/3.png", "a/4.png"]
    assert folder[1].tolist() == folder[0].tolist()
    for position in (2, 3):
        with pytest.raises(MissingImageError, match=r"[34]\.png'.*a link to a missing file; remove"):
            folder[position]


@pytest.mark.filterwarnings("ignore::featrec.exceptions.SkippedFileWarning")
def test_circular_links(tmp_path):
    root = put(tmp_path / "root", "a/1.png", "a/b/2.png")
    (root / "a" / "b" / "up").symlink_to(root)
    (root / "round").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    (root / "itself").symlink_to(root / "itself")
    folder = ImageFolder(root)
    assert relative(folder) == ["a/1.png", "a/b/2.png"]
    assert sorted(relative(folder, folder.skipped)) == ["a/b/up", "above", "itself", "round"]


def test_a_class_folder_may_be_a_link(tmp_path):
    put(tmp_path / "elsewhere", "1.png")
    root = put(tmp_path / "root", "a/1.png")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    assert ImageFolder(root).labels.tolist() == ["a", "b"]


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "a/secret/2.png")
    listdir = os.listdir

    def denied(path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", denied)
    with pytest.raises(DatasetError, match=r"secret' cannot be listed \(Permission denied\).*Make it readable, or move it"):
        ImageFolder(tmp_path)


def test_names_that_differ_only_in_case(tmp_path):
    put(tmp_path, "cat/A.png", "cat/a.png", "Cat/a.png")
    if len(list(tmp_path.rglob("*.png"))) < 3:
        pytest.skip("this file system ignores case")
    folder = ImageFolder(tmp_path)
    assert folder.classes == ["Cat", "cat"]
    assert relative(folder) == ["Cat/a.png", "cat/A.png", "cat/a.png"]
    assert [int(image[0, 0]) for image in folder] == [2, 0, 1]


def test_labels_are_composed_and_paths_unchanged(tmp_path):
    folder = ImageFolder(put(tmp_path, f"{DECOMPOSED}/{DECOMPOSED}.png"))
    assert folder.classes == [COMPOSED]
    assert folder.labels.tolist() == [COMPOSED]
    assert relative(folder) == [f"{DECOMPOSED}/{DECOMPOSED}.png"]
    assert folder[0].shape == (4, 6)


def test_training_and_test_folder_from_different_systems(tmp_path):
    train, test = ImageFolder.split(put(tmp_path, f"train/{DECOMPOSED}/1.png", f"test/{COMPOSED}/1.png"))
    assert train.classes == test.classes == [COMPOSED]


def test_classes_that_look_the_same(tmp_path):
    put(tmp_path, f"{COMPOSED}/1.png", f"{DECOMPOSED}/1.png")
    with pytest.raises(DatasetError, match=r"look the same \('café'\).*'cafe\\u0301' and 'caf\\xe9'.*or rename one"):
        ImageFolder(tmp_path)


def test_a_class_name_that_is_not_utf8(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    put(tmp_path, os.fsdecode(b"caf\xe9/1.png"))
    with pytest.raises(DatasetError, match=r"caf\\udce9' is not valid UTF-8, so it cannot become a label; rename it"):
        ImageFolder(tmp_path)


def test_an_image_name_that_is_not_utf8(tmp_path):
    put(tmp_path, os.fsdecode(b"a/caf\xe9.png"))
    folder = pickle.loads(pickle.dumps(ImageFolder(tmp_path)))
    assert os.fsencode(folder.paths[0]).endswith(b"caf\xe9.png")
    assert folder[0].shape == (4, 6)


@pytest.mark.parametrize(
    "name, message",
    [
        ("x.tar.bz2", r"of an unsupported type; use \.zip, \.tar or \.tar\.gz"),
        ("x.rar", "of an unsupported type"),
        ("x.txt", r"is a file\. The layout of a folder of images"),
    ],
)
def test_unsupported_files_are_refused(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(DatasetError, match=message):
        ImageFolder(tmp_path / name)
    with pytest.raises(DatasetError, match=message):
        ImageFolder.split(tmp_path / name)
    assert not ImageFolder.is_split(tmp_path / name)


NAMES = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=("Cs",)), min_size=1, max_size=12)


@settings(max_examples=40)
@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=8, unique=True))
def test_any_names(tmp_path_factory, names):
    """Each image is either used or listed as skipped, unless the folder is refused."""
    root = tmp_path_factory.mktemp("names")
    written = set()
    for place, name in names:
        path = root / place / f"{name}.png"
        if place in (".", ".."):
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"P5 1 1 255 x")
        written.add(os.fspath(path))
    try:
        folder = ImageFolder(root)
    except DatasetError:
        return
    assert all(stat.S_ISREG(os.stat(path).st_mode) for path in folder.paths)
    hidden = {path for path in written if any(path.startswith(skipped) for skipped in folder.skipped)}
    assert set(folder.paths) | hidden == written
    assert [folder[position].shape for position in range(len(folder))] == [(1, 1)] * len(folder)
