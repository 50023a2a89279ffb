"""Images in archives are equal to those in folders, and the lists of members to those of the standard library."""

import gzip
import io
import os
import pickle
import random
import re
import tarfile
import threading
import tracemalloc
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from featrec.datasets import ImageFolder, _tar
from featrec.datasets._archive import Zip
from featrec.datasets._tar import Tar, TarGz
from featrec.exceptions import DatasetError, ImageError, MissingImageError, NotAnImageError
from featrec.images import check_images
from tests.datasets.test_folder import relative

NAMES = ("b/2.png", "b/1.png", "a/deep/er/0.png", "a/z.png", "a/Z.png", "犬/é.png")
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
KINDS = ("", *SUFFIXES)


def image(value: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.full((4, 6), value, np.uint8)).save(data, "PNG")
    return data.getvalue()


def pack(path: Path, files: dict[str, bytes] | list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an archive with the standard library; the suffix determines the kind. Without a suffix, write a folder."""
    pairs = files.items() if isinstance(files, dict) else files
    if not path.suffix:
        for name, data in pairs:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ignores the warning about duplicate names
            for name, data in pairs:
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
            for name, data in pairs:
                add(archive, name, data)
    return path


def add(archive: tarfile.TarFile, name: str, data: bytes = b"", **attributes: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    archive.addfile(member, io.BytesIO(data))


def images(*names: str, below: str = "") -> dict[str, bytes]:
    return {below + name: image(value) for value, name in enumerate(names)}


@pytest.fixture(params=SUFFIXES)
def suffix(request):
    return request.param


@pytest.fixture
def archive(tmp_path, suffix):
    return pack(tmp_path / f"images{suffix}", images(*NAMES))


@pytest.mark.parametrize("below", ["", "./", "top/", "./top/"])
def test_an_archive_equals_the_packed_folder(tmp_path, suffix, below):
    files = images(*NAMES)
    unpacked = ImageFolder(pack(tmp_path / "folder", files))
    packed = ImageFolder(pack(tmp_path / f"x{suffix}", {below + name: data for name, data in files.items()}))
    top = "top/" if "top" in below else ""
    assert relative(packed) == [top + name for name in relative(unpacked)]
    assert packed.labels.tolist() == unpacked.labels.tolist()
    assert packed.classes == unpacked.classes
    assert [image.tolist() for image in packed] == [image.tolist() for image in unpacked]
    assert {path.name for path in tmp_path.iterdir()} == {"folder", f"x{suffix}"}, "nothing is unpacked to disk"
    assert packed[[3, 1]].paths == [packed.paths[3], packed.paths[1]]
    assert check_images(packed).name(2) == packed.paths[2]


@pytest.mark.filterwarnings("ignore::featrec.exceptions.SkippedFileWarning")
def test_a_single_folder_around_all_class_folders_is_not_a_class(tmp_path, suffix):
    assert ImageFolder(pack(tmp_path / f"1{suffix}", images("cat/1.png", "cat/more/2.png"))).classes == ["cat"]
    assert ImageFolder(pack(tmp_path / f"2{suffix}", images("all/cat/1.png", "all/dog/2.png"))).classes == ["cat", "dog"]
    readme = {"README.txt": b"", **images("all/cat/1.png", "all/dog/2.png")}
    assert ImageFolder(pack(tmp_path / f"3{suffix}", readme)).classes == ["cat", "dog"]


@pytest.mark.filterwarnings("ignore::featrec.exceptions.SkippedFileWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_skipped_files(tmp_path, kind):
    files = images("a/1.png", "a/.hidden.png", "a/.cache/2.png", "a/.cache/3.png", "__MACOSX/a/._1.png", "loose.png")
    inner = pack(tmp_path / "inner.zip", images("a/1.png")).read_bytes()
    folder = ImageFolder(pack(tmp_path / f"x{kind}", files | {"a/notes.txt": b"", "a/inner.zip": inner, "a/._2.png": b""}))
    assert relative(folder) == ["a/1.png"]
    skipped = {"__MACOSX", "a/.cache", "a/.hidden.png", "a/._2.png", "a/inner.zip", "a/notes.txt", "loose.png"}
    assert set(relative(folder, folder.skipped)) == skipped


def test_an_empty_class_folder(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.png", image(1))
        archive.writestr("b/", b"")
    with pytest.raises(DatasetError, match=r"class folders \['b'\] of '.*x\.zip' contain no image"):
        ImageFolder(path)
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        add(archive, "a/1.png", image(1))
        add(archive, "b", type=tarfile.DIRTYPE)
    with pytest.raises(DatasetError, match=r"class folders \['b'\] of '.*x\.tar' contain no image"):
        ImageFolder(tmp_path / "x.tar")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("below", ["", "top/"])
def test_split(tmp_path, kind, below):
    below = below if kind else ""
    path = pack(tmp_path / f"x{kind}", images("train/a/1.png", "train/b/2.png", "test/b/3.png", below=below))
    assert ImageFolder.is_split(path)
    assert not ImageFolder.is_split(path, test="val")
    train, test = ImageFolder.split(path)
    assert relative(train) == ["a/1.png", "b/2.png"]
    assert test.labels.tolist() == ["b"]
    assert test.classes == train.classes == ["a", "b"]
    assert test[0].max() == 2
    with pytest.raises(DatasetError, match=r"no folder 'val'; it has \['test', 'train'\]"):
        ImageFolder.split(path, test="val")
    with pytest.raises(DatasetError, match=r"parts of a split, not classes: use train, test = ImageFolder\.split\(path\)"):
        ImageFolder(path)


def test_a_gzipped_tar_with_the_suffix_tar(tmp_path):
    path = pack(tmp_path / "x.tgz", images(*NAMES)).rename(tmp_path / "x.tar")
    assert len([*ImageFolder(path)]) == len(NAMES)


def test_it_keeps_no_file_handle_and_can_be_pickled(archive):
    folder = ImageFolder(archive)
    expected = [image.tolist() for image in folder]
    copy = pickle.loads(pickle.dumps(folder))
    assert [image.tolist() for image in copy] == expected
    part = pickle.dumps(folder[3:])
    assert b"deep" not in part
    assert [image.tolist() for image in pickle.loads(part)] == expected[3:]
    open_files = Path("/proc/self/fd")
    if open_files.exists():
        assert str(archive) not in {os.readlink(file) for file in open_files.iterdir() if file.exists()}


def test_many_threads_read_one_archive(archive):
    folder = pickle.loads(pickle.dumps(ImageFolder(archive)))  # without marks, so the threads create them
    expected = [int(image[0, 0]) for image in ImageFolder(archive)]
    rows = random.Random(0).choices(range(len(folder)), k=400)
    start = threading.Barrier(4)

    def read(part):
        start.wait()
        return [int(folder[row][0, 0]) for row in part]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read, [rows[i::4] for i in range(4)]))
    assert results == [[expected[row] for row in rows[i::4]] for i in range(4)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_image_is_named_in_the_error(tmp_path, kind):
    folder = ImageFolder(pack(tmp_path / f"x{kind}", {"a/1.png": b"no image", "a/2.png": b""}))
    with pytest.raises(NotAnImageError, match=rf"^'.*x{re.escape(kind)}/a/1\.png': unsupported image format"):
        folder[0]
    for part, position in ((folder, 1), (folder[1:], 0)):
        with pytest.raises(ImageError, match=rf"^image {position} \('.*/a/2\.png'\): zero bytes"):
            check_images(part)[position]


def test_a_deleted_or_changed_archive(archive):
    folder = ImageFolder(archive)
    data, time = archive.read_bytes(), archive.stat().st_mtime_ns
    archive.write_bytes(data + b"\0")
    with pytest.raises(ImageError, match=r"^'.*/a/Z\.png': .* \(its size was \d+ bytes and is now \d+ bytes\)"):
        folder[0]
    archive.write_bytes(data)
    os.utime(archive, ns=(time + 10**9, time + 10**9))
    with pytest.raises(ImageError, match=r"the archive changed after it was listed .*its modification time is different"):
        folder[0]
    os.utime(archive, ns=(time, time))
    assert folder[0].shape == (4, 6)
    archive.unlink()
    with pytest.raises(MissingImageError, match=r"^'.*/a/Z\.png': the archive was deleted after it was listed"):
        folder[0]


PARTS = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=("Cs",)), min_size=1, max_size=80)
COMMENTS = st.binary(max_size=30).filter(
    lambda comment: b"PK" not in comment
)  # the standard library then does not find the directory
FILES = st.dictionaries(st.lists(PARTS, min_size=1, max_size=4).map("/".join), st.binary(max_size=2000), max_size=6)


@settings(max_examples=40)
@given(FILES, st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]), st.booleans())
def test_tar_agrees_with_the_standard_library(tmp_path_factory, files, form, zipped):
    path = tmp_path_factory.mktemp("tar") / "x.tar"
    with tarfile.open(path, "w:gz" if zipped else "w", format=form) as archive:
        for name, data in files.items():
            try:
                add(archive, name, data)
            except ValueError:  # longer than USTAR allows
                continue
    with tarfile.open(path) as archive:
        expected = [(member.name, archive.extractfile(member).read()) for member in archive]
    ours = (TarGz if zipped else Tar)(os.fspath(path))
    found = list(ours.members())
    assert [(member.name, ours.read(member, member.name)) for member in found] == expected
    assert {member.kind for member in found} <= {"file"}


@settings(max_examples=40)
@given(FILES, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), st.binary(max_size=30), COMMENTS)
def test_zip_agrees_with_the_standard_library(tmp_path_factory, files, method, before, comment):
    path = tmp_path_factory.mktemp("zip") / "x.zip"
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
        archive.comment = comment
    with zipfile.ZipFile(path) as archive:
        expected = [(name, archive.read(name)) for name in archive.namelist()]
    ours = Zip(os.fspath(path))
    assert [(member.name, ours.read(member, member.name)) for member in ours.members()] == expected


def test_a_zip_written_as_a_stream_with_64_bit_fields(tmp_path):
    """In a streamed zip, the sizes follow the data and have 64 bits."""
    path = tmp_path / "x.zip"
    with (
        open(path, "wb") as file,
        zipfile.ZipFile(SimpleNamespace(write=file.write, flush=file.flush), "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        with archive.open("a/1.png", "w", force_zip64=True) as member:
            member.write(image(7))
        archive.writestr("a/2.png", image(8))
    assert [int(image[0, 0]) for image in ImageFolder(path)] == [7, 8]


def test_64_bit_fields(tmp_path, monkeypatch):
    """Make the library treat every number as too large for 32 bits, as in a zip of more than 4 GB."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = pack(tmp_path / "x.zip", images(*NAMES))
    data = path.read_bytes()
    assert data.count(b"PK\6\6") == data.count(b"PK\6\7") == 1
    assert data.count(b"\xff" * 8) >= len(NAMES)  # sizes and compressed sizes of all members
    assert [int(image[0, 0]) for image in ImageFolder(path)] == [4, 2, 3, 1, 0, 5]
    path.write_bytes(b"something in front" + data)
    assert [int(image[0, 0]) for image in ImageFolder(path)] == [4, 2, 3, 1, 0, 5]
    start = data.index(b"PK\1\2")
    for damaged in (
        data[:start] + data[start:].replace(b"\1\0\x18\0", b"\1\0\1\0"),
        data[:start] + data[start:].replace(b"\1\0\x18\0", b"\2\0\x18\0").replace(b"\1\0\x10\0", b"\2\0\x10\0"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match="sizes of more than 4 GB are missing"):
            ImageFolder(path)
    path.write_bytes(data.replace(b"PK\6\6", b"PK\6\5"))
    with pytest.raises(DatasetError, match="has a damaged directory"):
        ImageFolder(path)


@pytest.mark.slow
def test_more_than_65535_members(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(65_600):
            archive.writestr(zipfile.ZipInfo(f"{number % 3}/{number}.png"), b"no image")
    folder = ImageFolder(path)
    assert len(folder) == 65_600
    with pytest.raises(NotAnImageError, match=r"2/65582\.png"):
        folder[folder.paths.index(f"{path}/2/65582.png")]


def test_names_without_the_utf8_flag(tmp_path):
    """Some programs write names in UTF-8 without declaring this, or in the old code page."""
    path = pack(tmp_path / "x.zip", images("kaefer/1.png"))
    data = path.read_bytes()
    for raw, name in ((b"k\xc3\xa4fer/1.png", "käfer"), (b"k\x84fers/1.png", "käfers")):
        path.write_bytes(data.replace(b"kaefer/1.png", raw))
        assert ImageFolder(path).classes == [name]


def test_reading_resumes_from_marks(tmp_path, monkeypatch, rng):
    monkeypatch.setattr(_tar, "FIRST_SPACING", 5_000)
    monkeypatch.setattr(_tar, "MOST_MARKS", 8)
    monkeypatch.setattr(_tar, "CHUNK", 1_000)
    files = {f"a/{number}.png": rng.integers(0, 9, rng.integers(0, 9_000), dtype=np.uint8).tobytes() for number in range(60)}
    path = pack(tmp_path / "x.tgz", files)
    archive = TarGz(os.fspath(path))
    members = list(archive.members())
    assert 4 <= len(archive._marks._marks) <= 8
    rng.shuffle(members)
    for member in members:
        assert archive.read(member, "x") == files[member.name]


def test_several_gzip_streams_in_one_file(tmp_path, rng):
    """Parallel gzip programs write several streams; zeros may follow."""
    files = {f"a/{number}.png": rng.bytes(30_000) for number in range(9)}
    tar = pack(tmp_path / "x.tar", files).read_bytes()
    path = tmp_path / "x.tar.gz"
    path.write_bytes(b"".join(gzip.compress(tar[at : at + 40_000]) for at in range(0, len(tar), 40_000)) + bytes(600))
    archive = TarGz(os.fspath(path))
    assert {member.name: archive.read(member, "x") for member in archive.members()} == files


def test_reading_needs_little_memory(tmp_path, rng):
    files = {f"a/{number}.png": rng.bytes(200_000) for number in range(50)}
    path = pack(tmp_path / "x.tar.gz", files)
    tracemalloc.start()
    folder = ImageFolder(path)
    for row in (40, 3, 25):
        with pytest.raises(NotAnImageError, match="unsupported image format"):
            folder[row]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000 < sum(map(len, files.values()))
