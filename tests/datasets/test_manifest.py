"""Manifests: valid rows are read, and invalid rows raise errors."""

import csv
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from featrec.datasets import ImageFolder
from featrec.exceptions import DatasetError, InputError


@pytest.fixture
def root(tmp_path):
    """Write images 0 to 4, each filled with its number."""
    (tmp_path / "images").mkdir()
    for value in range(5):
        Image.fromarray(np.full((4, 6), value, np.uint8)).save(tmp_path / "images" / f"{value}.png")
    return tmp_path


def write(root: Path, *lines: str, name: str = "table.csv", encoding: str = "utf-8", end: str = "\n") -> Path:
    path = root / name
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    return path


ROWS = (
    "path,label,person",
    "images/3.png,smile,Ada",
    "images/1.png,frown,Alan",
    "./images/2.png,smile,Ada",
)


def test_rows_keep_their_order(root):
    table = write(root, *ROWS)
    for folder in (ImageFolder(table), ImageFolder.from_manifest(table), ImageFolder.from_manifest(os.fsencode(table))):
        assert folder.labels.tolist() == ["smile", "frown", "smile"]
        assert folder.classes == ["frown", "smile"]
        assert folder.paths == [str(root / f"images/{n}.png") for n in (3, 1, 2)]
        assert [int(image[0, 0]) for image in folder] == [3, 1, 2]
        assert folder.column("person").tolist() == ["Ada", "Alan", "Ada"]
        assert list(folder.metadata) == ["person"]
        assert folder.skipped == []
        assert repr(folder).startswith("ImageFolder(3 images, 2 classes, '")


def test_slices_have_their_rows_of_the_columns(root):
    folder = ImageFolder(write(root, *ROWS))
    part = folder[folder.column("person") == "Ada"]
    assert part.column("person").tolist() == ["Ada", "Ada"]
    assert part[[1]].metadata["person"].tolist() == ["Ada"]
    copy = pickle.loads(pickle.dumps(folder[1:]))
    assert copy.column("person").tolist() == ["Alan", "Ada"]
    assert copy[[0]].column("person").tolist() == ["Alan"]
    assert b"3.png" not in pickle.dumps(folder[1:])


def test_an_unknown_column(root):
    folder = ImageFolder(write(root, *ROWS))
    with pytest.raises(InputError, match=r"has no column 'Person'; it has \['person'\]"):
        folder.column("Person")
    folders = root / "folders"
    (folders / "a").mkdir(parents=True)
    (root / "images" / "1.png").rename(folders / "a" / "1.png")
    assert ImageFolder(folders).metadata == {}
    with pytest.raises(InputError, match=r"it has \[\]\. Only manifests have columns; see ImageFolder\.from_manifest"):
        ImageFolder(folders).column("person")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_of_spreadsheet_programs(root, delimiter, end, encoding):
    lines = "label,Größe,path", "smile,5,images/3.png", "", 'frown,"6",images/1.png'
    folder = ImageFolder(write(root, *[line.replace(",", delimiter) for line in lines], encoding=encoding, end=end))
    assert folder.labels.tolist() == ["smile", "frown"]
    assert folder.column("Größe").tolist() == ["5", "6"]


def test_quoted_cells(root):
    lines = "path, label, note", 'images/3.png, smile, "a ""note"",', 'of two lines"', "images/1.png, x,"
    folder = ImageFolder(write(root, *lines))
    assert folder.labels.tolist() == ["smile", "x"]
    assert folder.column("note").tolist() == ['a "note",\nof two lines', ""]


def test_other_names_of_columns(root):
    table = write(root, "file,kind", "images/3.png,smile")
    assert len(ImageFolder.from_manifest(table, path="file", label="kind")) == 1
    names = r"no column 'path' and no column 'label' in its first line; it has \['file', 'kind'\]"
    with pytest.raises(DatasetError, match=rf"{names}\. Rename the columns to"):
        ImageFolder(table)
    with pytest.raises(DatasetError, match=r"no column 'label' in its first line"):
        ImageFolder.from_manifest(table, path="file")


def test_another_root(root):
    table = write(root / "images", "path,label", "3.png,smile")
    assert len(ImageFolder(table)) == 1
    table = table.rename(root / "table.csv")
    assert len(ImageFolder.from_manifest(table, root=root / "images")) == 1
    with pytest.raises(DatasetError, match=r"line 2 of .*: path '3\.png' does not exist; paths start at '.*'\. Correct"):
        ImageFolder(table)


def test_labels_are_composed_and_trimmed(root):
    folder = ImageFolder(write(root, "path,label", "images/3.png,cafe\u0301", "images/1.png,caf\u00e9 "))
    assert folder.classes == ["caf\u00e9"]


@pytest.mark.parametrize(
    "row, message",
    [
        ("images/1.png,", r"line 3 of the manifest '.*table\.csv': label '' is empty; enter the label"),
        ("images/1.png,  ", r"line 3 .*: label '.*' is empty"),
        (",smile", r"line 3 .*: path '' is empty; enter the path"),
        ("images/3.png,smile", r"line 3 .*: path 'images/3\.png' is already in line 2; remove one of the two"),
        ("images/../images/3.png,frown", r"line 3 .*: path '.*' is already in line 2"),
        ("images/9.png,smile", r"line 3 .*: path 'images/9\.png' does not exist; paths start at"),
        ("images\\1.png,smile", r"line 3 .*does not exist; .*, use '/' as separator"),
        ("images,smile", r"line 3 .*: path 'images' is not a file; each row must name one image"),
        (".,smile", r"line 3 .*: path '\.' is outside"),
        ("../secret.png,smile", r"'\.\./secret\.png' is outside '.*'; move the manifest to a folder above all images"),
        ("images/../../secret.png,smile", r"line 3 .*: path .* is outside"),
        ("/etc/passwd,smile", r"line 3 .*: path '/etc/passwd' is outside"),
        ("images/\0.png,smile", r"line 3 .*: path .* contains a null character"),
        ("images/1.png", r"line 3 of the manifest '.*' has 1 cells, but the header has 2. Cells are separated by commas"),
        ("images/1.png,smile,1", "line 3 .* has 3 cells"),
        ('images/1.png,"smile', r"line 3 of the manifest '.*' is not valid CSV .*unclosed double quote"),
        ('images/1.png,"smile"x', "line 3 .* is not valid CSV"),
    ],
)
def test_invalid_rows_are_refused(root, row, message):
    (root.parent / "secret.png").write_bytes((root / "images" / "1.png").read_bytes())
    with pytest.raises(DatasetError, match=message):
        ImageFolder(write(root, "path,label", "images/3.png,smile", row))


def test_absolute_paths_below_the_root(root):
    table = write(root, "path,label", f"{root}/images/3.png,smile")
    assert len(ImageFolder(table)) == 1
    assert len(ImageFolder.from_manifest(table, root="/")) == 1
    with pytest.raises(DatasetError, match="is outside"):
        ImageFolder.from_manifest(table, root=root / "other")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", r"has no column 'path' and no column 'label' in its first line; it has \[\]"),
        (b"path,label\n", "has a header but no rows"),
        (b"path,label,path\nx,y,z\n", r"has several columns with the same name, \['path'\]; rename them"),
        (b"path,label\nx.png,caf\xe9\n", r"line 2 of .* is not valid UTF-8 \(byte 0xe9\); save it as 'CSV UTF-8'"),
        ("path,label\n".encode("utf-16"), "line 1 .* is not valid UTF-8"),
        (b"path,label," + b"x" * 200_000 + b"\n", "has no column 'path'"),
        (b"path,label\nx.png," + b"x" * 200_000 + b"\n", "line 2 .* is not valid CSV .*field larger"),
    ],
)
def test_invalid_tables_are_refused(root, data, message):
    (root / "table.csv").write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        ImageFolder(root / "table.csv")


def test_a_missing_manifest_and_a_split_of_one(root):
    with pytest.raises(DatasetError, match=r"the manifest '.*nowhere\.csv' cannot be read \(No such file"):
        ImageFolder.from_manifest(root / "nowhere.csv")
    with pytest.raises(DatasetError, match="there is no folder"):
        ImageFolder(root / "nowhere.csv")
    with pytest.raises(DatasetError, match=r"is a manifest and has no folders; .*images\.column\(\"split\"\) == \"train\""):
        ImageFolder.split(write(root, *ROWS))
    assert not ImageFolder.is_split(root / "table.csv")


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
LABELS = TEXT.filter(lambda text: text.strip())


@settings(max_examples=60)
@given(st.lists(st.tuples(LABELS, TEXT), min_size=1, max_size=5), st.sampled_from([",", ";", "\t"]))
def test_files_of_the_csv_module_are_read(tmp_path_factory, rows, delimiter):
    root = tmp_path_factory.mktemp("manifest")
    with open(root / "table.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow(["path", "label", "note"])
        for number, (label, note) in enumerate(rows):
            (root / f"{number}.png").write_bytes(b"P5 1 1 255 x")
            writer.writerow([f"{number}.png", label, note])
    folder = ImageFolder(root / "table.csv")
    assert len(folder) == len(rows)
    assert folder.column("note").tolist() == [note for _, note in rows]


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda data: b"path,label\n" + data)))
def test_random_bytes_are_refused(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("manifest")
    (root / "table.csv").write_bytes(data)
    with pytest.raises(DatasetError, match="manifest"):
        ImageFolder(root / "table.csv")
