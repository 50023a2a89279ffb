"""featrec check: every damaged file, before any work."""

import io
import json

import pytest

from featrec.cli import main
from featrec.datasets import ImageFolder
from tests.datasets.test_damaged import BAD, SOURCES, files


@pytest.mark.parametrize("kind", SOURCES)
def test_damaged_images_are_listed_with_the_reasons(tmp_path, kind, capsys):
    path = SOURCES[kind](tmp_path, files())
    assert main(["check", str(path), "--n-jobs", "2"]) == 1
    told = capsys.readouterr()
    lines = [line.split("\t") for line in told.out.splitlines()]
    paths = ImageFolder(path).paths
    assert [path for path, _ in lines] == [paths[place] for place in sorted(BAD)]
    assert "zero bytes" in lines[0][1]
    assert "3 of 15 images cannot be read" in told.err
    assert main(["check", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["n_images"] == 15
    assert [[item["path"], item["reason"]] for item in found["damaged"]] == lines


def test_a_clean_folder(tmp_path, capsys):
    path = SOURCES["folder"](tmp_path, files({}))
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == "15 of 15 images can be read\n"
    assert main(["check", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"n_images": 15, "damaged": [], "skipped": []}


def test_train_and_test_and_loose_images_alike(tmp_path, capsys):
    contents = {f"{half}/{name}": data for half in ("train", "test") for name, data in files().items()}
    path = SOURCES["folder"](tmp_path, contents | {"loose.png": b""})
    assert main(["check", str(path)]) == 1
    assert "7 of 31 images cannot be read" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_what_is_skipped_is_counted_and_listed(tmp_path, capsys):
    path = SOURCES["folder"](tmp_path, files({}) | {"cat/a.heic": b"", "cat/b.heic": b"", "dog/n.txt": b"", "dog/.x": b""})
    assert main(["check", str(path), "--json"]) == 0
    told = capsys.readouterr()
    assert "warning: " in told.err
    assert "skipped .heic (2), .txt (1)." in told.err
    assert json.loads(told.out)["skipped"] == [str(path / name) for name in ("cat/a.heic", "cat/b.heic", "dog/.x", "dog/n.txt")]


def test_a_manifest_with_missing_files(tmp_path, capsys):
    path = SOURCES["manifest"](tmp_path, files({}))
    (tmp_path / "below/dog/08.png").unlink()
    assert main(["check", str(path)]) == 1
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'below/dog/08.png'}\tno such file")


def test_files_and_paths_that_come_in(tmp_path, capsys, monkeypatch):
    path = SOURCES["folder"](tmp_path, files())
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{path / 'dog/07.png'}\n{path / 'dog/08.png'}\n"))
    assert main(["check", "-", str(path / "cat/01.png"), "nowhere.png"]) == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 3
    assert "3 of 4 images" in told.err


def test_nothing_to_check(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["check", "-"]) == 2
    assert "no images given" in capsys.readouterr().err
    assert main(["check", str(tmp_path)]) == 2
    assert "no images in" in capsys.readouterr().err
