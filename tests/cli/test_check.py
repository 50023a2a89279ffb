"""featrec check: every damaged file is listed."""

import io
import json

import pytest

from featrec.cli import main
from featrec.datasets import ImageFolder
from tests.datasets.test_damaged import BAD, SOURCES, files


@pytest.mark.parametrize("kind", SOURCES)
def test_damaged_images_are_listed_with_reasons(tmp_path, kind, capsys):
    path = SOURCES[kind](tmp_path, files())
    assert main(["check", str(path), "--n-jobs", "2"]) == 1
    captured = capsys.readouterr()
    lines = [line.split("\t") for line in captured.out.splitlines()]
    paths = ImageFolder(path).paths
    assert [path for path, _ in lines] == [paths[place] for place in sorted(BAD)]
    assert "zero bytes" in lines[0][1]
    assert "3 of 15 images cannot be read" in captured.err
    assert main(["check", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["n_images"] == 15
    assert [[item["path"], item["reason"]] for item in found["damaged"]] == lines


def test_a_folder_without_damaged_images(tmp_path, capsys):
    path = SOURCES["folder"](tmp_path, files({}))
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == "15 of 15 images can be read\n"
    assert main(["check", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"n_images": 15, "damaged": [], "skipped": []}


def test_train_and_test_folders_and_images_without_a_class(tmp_path, capsys):
    contents = {f"{half}/{name}": data for half in ("train", "test") for name, data in files().items()}
    path = SOURCES["folder"](tmp_path, contents | {"loose.png": b""})
    assert main(["check", str(path)]) == 1
    assert "7 of 31 images cannot be read" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_skipped_files_are_counted_and_listed(tmp_path, capsys):
    path = SOURCES["folder"](tmp_path, files({}) | {"cat/a.heic": b"", "cat/b.heic": b"", "dog/n.txt": b"", "dog/.x": b""})
    assert main(["check", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    assert "warning: " in captured.err
    assert "skipped .heic (2), .txt (1)." in captured.err
    skipped = [str(path / name) for name in ("cat/a.heic", "cat/b.heic", "dog/.x", "dog/n.txt")]
    assert json.loads(captured.out)["skipped"] == skipped


def test_missing_files_of_a_manifest_are_listed(tmp_path, capsys):
    path = SOURCES["manifest"](tmp_path, files({}))
    (tmp_path / "below/dog/08.png").unlink()
    assert main(["check", str(path)]) == 1
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'below/dog/08.png'}\tno such file")


def test_files_and_paths_from_standard_input(tmp_path, capsys, monkeypatch):
    path = SOURCES["folder"](tmp_path, files())
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{path / 'dog/07.png'}\n{path / 'dog/08.png'}\n"))
    assert main(["check", "-", str(path / "cat/01.png"), "nowhere.png"]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert "3 of 4 images" in captured.err
