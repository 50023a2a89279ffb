"""featrec compare refuses before any work, has a default, and sets another program's predictions beside."""

import csv
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from featrec.cli import _compare, main
from featrec.datasets import ImageFolder
from tests.tiny_network import write_tiny_network

WORDS = ("--n-jobs", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Dark and light images."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (root / name).mkdir()
        for number in range(8):
            pixels = (level + rng.integers(-20, 20, (24, 32, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def no_work(monkeypatch):
    """Describing an image, and fitting, are work that must not have begun."""

    def refuse(*anything):
        raise AssertionError("work has begun")

    monkeypatch.setattr("sklearn.neighbors.KNeighborsClassifier.fit", refuse)


def run(*words) -> int:
    return main([str(word) for word in (*words, *WORDS)])


def write_rows(file, rows, header=("path", "label"), delimiter=","):
    with open(file, "w", newline="", encoding="utf-8") as out:
        csv.writer(out, delimiter=delimiter).writerows([header, *rows] if header else rows)
    return f"mine={file}"


def right(folder):
    """The true label of each image, by its path below the folder."""
    images = ImageFolder(folder)
    return {os.path.relpath(path, folder): label for path, label in zip(images.paths, images.labels, strict=True)}


def test_without_recipes_there_is_a_default(folder, capsys):
    assert run("compare", folder) == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:5]]
    assert sorted(rows) == sorted(_compare.USUAL.split(","))


def test_the_default_takes_the_smallest_images(tmp_path, capsys):
    for number in range(12):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        Image.new("L", (1 + number % 3, 2), 20 * number).save(tmp_path / "ab"[number % 2] / f"{number}.png")
    assert run("compare", tmp_path, "--cv", "2") == 0
    assert "12 images in 2 folds" in capsys.readouterr().out


def test_a_missing_folder_is_told_before_anything_of_models(tmp_path, capsys):
    for words in ([], ["--recipes", ""], ["--recipes", "no_such"], ["--cnn", "no.onnx"]):
        assert run("compare", tmp_path / "nowhere", *words) == 2
        assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_result_that_cannot_be_written_is_told_before_work(folder, tmp_path, no_work, capsys, option):
    for out, told in ((tmp_path, "is a folder; use a file name"), (tmp_path / "no" / "c", "mkdir -p")):
        assert run("compare", folder, "--recipes", "tiny_knn", option, out) == 2
        assert told in capsys.readouterr().err
    assert run("compare", folder, "--json", tmp_path / "c", "--markdown", tmp_path / "c") == 2
    assert "is used for two outputs" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_result_that_must_not_be_written_is_told_before_work(folder, tmp_path, no_work, capsys):
    tmp_path.chmod(0o500)
    assert run("compare", folder, "--recipes", "tiny_knn", "--json", tmp_path / "c") == 2
    assert "cannot be written because of its permissions" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "suggest"])
@pytest.mark.parametrize("value", ["1", "0", "-2", "many", "2.5"])
def test_a_number_of_folds_is_two_or_more(folder, capsys, command, value):
    with pytest.raises(SystemExit, match="2"):
        run(command, folder, "--cv", value)
    assert f"argument --cv: a number of folds must be an integer of at least 2; got {value}" in capsys.readouterr().err


def test_more_folds_than_images_of_a_class_are_refused(folder, no_work, capsys):
    assert run("compare", folder, "--recipes", "tiny_knn", "--cv", "9") == 2
    assert "cv=9 puts an image of each class into each of 9 folds, but class 'dark' has 8 images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (",layer=no", "layer must be an output of"),
        (",size=1", "size"),
        (",preprocessing=no", "preprocessing"),
    ],
)  # fmt: skip
def test_a_network_that_cannot_be_used_is_told_before_work(folder, tmp_path, no_work, capsys, options, told):
    network = write_tiny_network(tmp_path / "net.onnx")
    assert run("compare", folder, "--recipes", "tiny_knn", "--cnn", f"{network}{options}") == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("header", "delimiter"), [
    (("path", "label"), ","), (("path", "prediction"), ";"), (("path", "label"), "\t"), (None, "\t"),
])  # fmt: skip
def test_predictions_of_another_program_stand_beside(folder, tmp_path, capsys, header, delimiter):
    labels = right(folder) | {os.path.join("dark", "3.png"): "light"}
    file = write_rows(tmp_path / "mine.csv", labels.items(), header, delimiter)
    out = tmp_path / "c.json"
    assert run("compare", folder, "--recipes", "tiny_knn", "--cv", "2", "--predictions", file, "--json", out) == 0
    held = json.loads(out.read_text(encoding="utf-8"))
    (mine,) = [row for row in held["results"] if row["name"] == "mine"]
    assert mine["accuracy"] == 15 / 16
    assert mine["kind"] == "predictions"
    wrong = [path for path, true, said in zip(held["paths"], held["y_true"], mine["y_pred"], strict=True) if true != said]
    assert wrong == [str(folder / "dark" / "3.png")]
    assert "mine" in capsys.readouterr().out


def test_what_predict_prints_is_taken(folder, tmp_path, capsys):
    model, file = tmp_path / "m", tmp_path / "printed.tsv"
    assert run("train", folder, "--recipe", "tiny_knn", "--holdout", "0", "--out", model) == 0
    capsys.readouterr()
    assert main(["predict", str(model), str(folder)]) == 0
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert run("compare", folder, "--recipes", "", "--predictions", f"mine={file}") == 0
    assert "mine is the only model" in capsys.readouterr().out


def test_predictions_for_all_serve_a_part_that_is_held_out(folder, tmp_path, capsys):
    file = write_rows(tmp_path / "mine.csv", right(folder).items())
    assert run("compare", folder, "--recipes", "tiny_knn", "--holdout", "0.5", "--predictions", file) == 0
    assert "8 test images" in capsys.readouterr().out


@pytest.mark.filterwarnings("always::featrec.exceptions.UnknownLabelWarning")
def test_a_label_of_another_spelling_is_told(folder, tmp_path, capsys):
    file = write_rows(tmp_path / "mine.csv", [(path, label.title()) for path, label in right(folder).items()])
    assert run("compare", folder, "--recipes", "tiny_knn", "--predictions", file, "--cv", "2") == 0
    told = capsys.readouterr()
    assert "mine predicts labels that no image has" in told.err
    assert "'Dark' (8 of 16; did you mean 'dark'?)" in told.out


def test_predictions_that_do_not_fit_are_refused_before_work(folder, tmp_path, no_work, capsys):
    rows = list(right(folder).items())

    def refused(given, told, header=("path", "label"), name="mine"):
        file = write_rows(tmp_path / "mine.csv", given, header).replace("mine=", f"{name}=")
        assert run("compare", folder, "--recipes", "tiny_knn", "--cv", "2", "--predictions", file) == 2
        assert told in capsys.readouterr().err

    refused(rows[:-1], "the predictions 'mine' have no label for '")
    refused([*rows, ("dark/99.png", "dark")], "name 'dark/99.png', which is no image of this comparison")
    refused([*rows, rows[0]], "names 'dark/0.png' twice, the second time in row 18; keep one of the two")
    refused([*rows, (str(folder / "dark" / "0.png"), "dark")], "/dark/0.png' twice; keep one label for each image")
    refused([*rows, ("dark/1.png", "")], "row 18 of")
    refused(
        rows, "needs the columns path and label (or prediction) in its first row; it has ['file', 'class']", ("file", "class")
    )
    refused([], "needs the columns path and label", ())
    refused(rows, "the name 'tiny_knn' of --predictions is already used by a model", name="tiny_knn")
    for words, told in (
        (["mine"], "--predictions expects NAME=FILE.csv"),
        (["mine=nowhere.csv"], "the predictions in 'nowhere.csv' cannot be read: No such file"),
        (["a=x.csv", "--predictions", "a=y.csv"], "two --predictions have the same name 'a'"),
    ):
        assert run("compare", folder, "--recipes", "tiny_knn", "--predictions", *words) == 2
        assert told in capsys.readouterr().err


def test_predictions_may_name_an_image_that_cannot_be_read(tmp_path, capsys):
    for number in range(12):
        (tmp_path / "p" / "ab"[number % 2]).mkdir(exist_ok=True, parents=True)
        Image.new("L", (9, 9), 20 * number).save(tmp_path / "p" / "ab"[number % 2] / f"{number}.png")
    labels = right(tmp_path / "p")
    (tmp_path / "p" / "a" / "4.png").write_bytes(b"no image")
    file = write_rows(tmp_path / "mine.csv", labels.items())
    assert run("compare", tmp_path / "p", "--recipes", "tiny_knn", "--cv", "2", "--predictions", file) == 1
    told = capsys.readouterr()
    assert "11 images in 2 folds" in told.out
    assert re.search(r"warning: the predictions 'mine' name '.*4\.png', which cannot be read; ignored", told.err)


@pytest.mark.parametrize(
    "named", [os.path.abspath, lambda path: os.path.relpath(path), lambda path: "/".join(path.split("/")[-2:])]
)
def test_a_damaged_image_may_be_named_in_any_way(tmp_path, capsys, monkeypatch, named):
    for number in range(20):
        place = tmp_path / "p" / ("train" if number < 10 else "test") / "ab"[number % 2]
        place.mkdir(exist_ok=True, parents=True)
        Image.new("L", (9, 9), 10 * number).save(place / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    labels = {str(path): path.parent.name for path in sorted((tmp_path / "p" / "test").glob("*/*.png"))}
    (tmp_path / "p" / "test" / "a" / "14.png").write_bytes(b"hi")
    file = write_rows(tmp_path / "mine.csv", [(named(path), label) for path, label in labels.items()])
    assert run("compare", "p", "--recipes", "tiny_knn", "--predictions", file) == 1
    told = capsys.readouterr()
    assert re.search(r"error: '?p/test/a/14\.png'?: unsupported image format", told.err)
    assert re.search(r"warning: the predictions 'mine' name '.*14\.png', which cannot be read; ignored", told.err)


def test_an_error_in_the_middle_names_the_model(tmp_path, capsys):
    for number in range(8):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        Image.new("L", (8, 8), 20 * number).save(tmp_path / "ab"[number % 2] / f"{number}.png")
    assert run("compare", tmp_path, "--recipes", "tiny_knn,orb_knn", "--cv", "2") == 2
    told = capsys.readouterr().err
    assert "(while fitting the model 'orb_knn')" in told
    assert told.count("\n") == 1
