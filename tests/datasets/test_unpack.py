"""Archives of published datasets: only files of the dataset are unpacked, and they appear in one step."""

import io
import tarfile
import zipfile
from dataclasses import replace

import pytest

from featrec.datasets._download import fetch
from featrec.datasets._home import PublishedSet, dataset_folder
from featrec.exceptions import DatasetError
from tests.datasets.test_archive import add
from tests.datasets.test_download import published_file

CONTENT = ("names.txt", "images")


def tar(members: dict[str, bytes | str]) -> bytes:
    """Build a .tar.gz of files (bytes) and links (str)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as file:
        for name, content in members.items():
            if isinstance(content, str):
                add(file, name, type=tarfile.SYMTYPE, linkname=content)
            else:
                add(file, name, content)
    return stream.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(name, content)
    return stream.getvalue()


WHOLE = tar({"tiny/names.txt": b"a b", "tiny/images/a/1.bin": b"one", "tiny/images/b/2.bin": b"two"})


def put(site, content: bytes, name: str = "tiny.tar.gz", inner: str | None = None) -> PublishedSet:
    site.files[name] = content
    archive = published_file(name, content, site.address)
    return PublishedSet("tiny", "tiny", CONTENT, "https://example.org", archive=archive, inner=inner)


def files_in(home) -> dict[str, bytes]:
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


EXPECTED = {"tiny/names.txt": b"a b", "tiny/images/a/1.bin": b"one", "tiny/images/b/2.bin": b"two", ".tiny.lock": b""}


def test_a_tar_file_alone_and_in_a_zip_file(site, tmp_path):
    assert dataset_folder(put(site, WHOLE), tmp_path / "tar", True) == tmp_path / "tar" / "tiny"
    inside = tar({"names.txt": b"a b", "images/a/1.bin": b"one", "images/b/2.bin": b"two"})
    fetch(put(site, zipped("tiny/content.tar.gz", inside), "tiny.zip", "tiny/content.tar.gz"), tmp_path / "zip")
    assert files_in(tmp_path / "tar") == files_in(tmp_path / "zip") == EXPECTED


def test_only_files_of_the_dataset_are_written(site, tmp_path):
    content = tar(
        {
            "tiny/names.txt": b"a b",
            "tiny/readme": b"not needed",
            "tiny/images/a/1.bin": b"one",
            "tiny/images/link": "../../outside",
            "../up": b"out",
            "tiny/../../up": b"out",
            "tiny/images/../../../up": b"out",
            "/images": b"out",
            "tiny": "elsewhere",
        }
    )
    home = tmp_path / "home"
    fetch(put(site, content), home)
    assert files_in(home) == {"tiny/names.txt": b"a b", "tiny/images/a/1.bin": b"one", ".tiny.lock": b""}
    assert list(tmp_path.iterdir()) == [home]


def test_existing_files_are_not_changed(site, tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "names.txt").write_bytes(b"mine")
    fetch(put(site, WHOLE), tmp_path)
    assert files_in(tmp_path) == EXPECTED | {"tiny/names.txt": b"mine"}
    fetch(put(site, WHOLE), tmp_path)
    assert len(site.requests) == 1, "nothing is missing"


def test_an_existing_archive_is_used_and_kept(site, tmp_path):
    (tmp_path / "tiny.tar.gz").write_bytes(WHOLE)
    fetch(put(site, WHOLE), tmp_path)
    assert files_in(tmp_path) == EXPECTED | {"tiny.tar.gz": WHOLE}
    assert site.requests == []


def test_another_archive_of_the_same_name_is_not_overwritten(site, tmp_path):
    (tmp_path / "tiny.tar.gz").write_bytes(b"mine")
    with pytest.raises(DatasetError, match=r"tiny.tar.gz' is not the published file .*move this file away"):
        fetch(put(site, WHOLE), tmp_path)
    assert (tmp_path / "tiny.tar.gz").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "content, inner",
    [
        (b"no archive at all", None),
        (tar({"tiny/names.txt": bytes(range(256)) * 9})[:200], None),
        (b"no archive at all", "tiny/content.tar.gz"),
        (zipped("tiny/other.tar.gz", WHOLE), "tiny/content.tar.gz"),
    ],
    ids=["no tar", "half a tar", "no zip", "no such member"],
)
def test_an_archive_that_cannot_be_unpacked(site, tmp_path, content, inner):
    message = r"cannot be unpacked .*, although its checksum is correct; expected: tiny/ with names.txt"
    with pytest.raises(DatasetError, match=message):
        fetch(put(site, content, "tiny.bin", inner), tmp_path)
    assert [path for path in files_in(tmp_path) if path.startswith("tiny/")] == []
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.bin", ".tiny.lock"}


def test_an_incomplete_archive(site, tmp_path):
    lacking = replace(put(site, WHOLE), content=(*CONTENT, "more.txt"))
    with pytest.raises(DatasetError, match=r"is incomplete in '.*tiny': missing more.txt"):
        dataset_folder(lacking, tmp_path, True)
