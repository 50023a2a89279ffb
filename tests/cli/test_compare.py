"""featrec compare: the default recipes, and predictions of other programs."""

import csv
import json
import os
import re

import pytest

from featrec.cli import _compare, main
from featrec.datasets import ImageFolder
from tests.cli.folders import write_dark_and_light, write_gray

WORDS = ("--n-jobs", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dark_and_light(tmp_path_factory.mktemp("images"))


@pytest.fixture
def no_fit(monkeypatch):
    """Make every fit raise an error."""

    def refuse(*anything):
        raise AssertionError("a model was fitted")

    monkeypatch.setattr("sklearn.neighbors.KNeighborsClassifier.fit", refuse)


def run(*words) -> int:
    return main([str(word) for word in (*words, *WORDS)])


def write_rows(file, rows, header=("path", "label"), delimiter=","):
    with open(file, "w", newline="", encoding="utf-8") as out:
        csv.writer(out, delimiter=delimiter).writerows([header, *rows] if header else rows)
    return f"mine={file}"


def true_labels(folder):
    """Return the true label of each image, by its path relative to the folder."""
    images = ImageFolder(folder)
    return {os.path.relpath(path, folder): label for path, label in zip(images.paths, images.labels, strict=True)}


def test_the_default_recipes(folder, capsys):
    assert run("compare", folder) == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:5]]
    assert sorted(rows) == sorted(_compare.USUAL.split(","))


def test_the_default_recipes_accept_the_smallest_images(tmp_path, capsys):
    assert run("compare", write_gray(tmp_path, 12, (1, 2)), "--cv", "2") == 0
    assert "12 images in 2 folds" in capsys.readouterr().out


def test_the_table_is_printed_and_written(folder, tmp_path, capsys):
    figures, table = tmp_path / "c.json", tmp_path / "c.md"
    assert run("compare", folder, "--recipes", "tiny_knn,color_forest", "--json", figures, "--markdown", table) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    for text in (captured.out, figures.read_text(), table.read_text()):
        assert "tiny_knn" in text
        assert "color_forest" in text
    assert json.loads(figures.read_text())["results"]


@pytest.mark.parametrize(("header", "delimiter"), [
    (("path", "label"), ","), (("path", "prediction"), ";"), (("path", "label"), "\t"), (None, "\t"),
])  # fmt: skip
def test_predictions_of_another_program_are_evaluated(folder, tmp_path, capsys, header, delimiter):
    labels = true_labels(folder) | {os.path.join("dark", "3.png"): "light"}
    file = write_rows(tmp_path / "mine.csv", labels.items(), header, delimiter)
    out = tmp_path / "c.json"
    assert run("compare", folder, "--recipes", "tiny_knn", "--cv", "2", "--predictions", file, "--json", out) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    (mine,) = [row for row in found["results"] if row["name"] == "mine"]
    assert mine["accuracy"] == 15 / 16
    assert mine["kind"] == "predictions"
    rows = zip(found["paths"], found["y_true"], mine["y_pred"], strict=True)
    assert [path for path, true, predicted in rows if true != predicted] == [str(folder / "dark" / "3.png")]
    assert "mine" in capsys.readouterr().out


def test_the_output_of_predict_is_accepted(folder, tmp_path, capsys):
    model, file = tmp_path / "m", tmp_path / "printed.tsv"
    assert run("train", folder, "--recipe", "tiny_knn", "--holdout", "0", "--out", model) == 0
    capsys.readouterr()
    assert main(["predict", str(model), str(folder)]) == 0
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert run("compare", folder, "--recipes", "", "--predictions", f"mine={file}") == 0
    assert "mine is the only model" in capsys.readouterr().out


def test_predictions_may_include_training_images(folder, tmp_path, capsys):
    file = write_rows(tmp_path / "mine.csv", true_labels(folder).items())
    assert run("compare", folder, "--recipes", "tiny_knn", "--holdout", "0.5", "--predictions", file) == 0
    assert "8 test images" in capsys.readouterr().out


@pytest.mark.filterwarnings("always::featrec.exceptions.UnknownLabelWarning")
def test_labels_in_another_spelling_are_reported(folder, tmp_path, capsys):
    file = write_rows(tmp_path / "mine.csv", [(path, label.title()) for path, label in true_labels(folder).items()])
    assert run("compare", folder, "--recipes", "tiny_knn", "--predictions", file, "--cv", "2") == 0
    captured = capsys.readouterr()
    assert "mine predicts labels that no image has" in captured.err
    assert "'Dark' (8 of 16; did you mean 'dark'?)" in captured.out


def test_wrong_prediction_files_are_refused_before_any_fit(folder, tmp_path, no_fit, capsys):
    rows = list(true_labels(folder).items())

    def refused(given, message, header=("path", "label"), name="mine"):
        file = write_rows(tmp_path / "mine.csv", given, header).replace("mine=", f"{name}=")
        assert run("compare", folder, "--recipes", "tiny_knn", "--cv", "2", "--predictions", file) == 2
        assert message in capsys.readouterr().err

    refused(rows[:-1], "the predictions 'mine' have no label for '")
    refused([*rows, ("dark/99.png", "dark")], "contain 'dark/99.png', which is not an image of this comparison")
    refused([*rows, rows[0]], "lists 'dark/0.png' twice, the second time in row 18; keep one of the two")
    refused([*rows, (str(folder / "dark" / "0.png"), "dark")], "/dark/0.png' twice; keep one label for each image")
    refused([*rows, ("dark/1.png", "")], "row 18 of")
    columns = "needs the columns path and label (or prediction) in its first row"
    refused(rows, f"{columns}; it has ['file', 'class']", ("file", "class"))
    refused([], columns, ())
    refused(rows, "the name 'tiny_knn' of --predictions is already used by a model", name="tiny_knn")


@pytest.mark.parametrize(
    "named", [os.path.abspath, lambda path: os.path.relpath(path), lambda path: "/".join(path.split("/")[-2:])]
)
def test_predictions_for_a_damaged_image_are_ignored(tmp_path, capsys, monkeypatch, named):
    write_gray(tmp_path / "p" / "train", 10)
    labels = {str(path): path.parent.name for path in sorted(write_gray(tmp_path / "p" / "test", 10).glob("*/*.png"))}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p" / "test" / "a" / "4.png").write_bytes(b"hi")
    file = write_rows(tmp_path / "mine.csv", [(named(path), label) for path, label in labels.items()])
    assert run("compare", "p", "--recipes", "tiny_knn", "--predictions", file) == 1
    captured = capsys.readouterr()
    assert re.search(r"error: '?p/test/a/4\.png'?: unsupported image format", captured.err)
    assert re.search(r"warning: the predictions 'mine' include '.*4\.png', which cannot be read; these rows", captured.err)


def test_damaged_images_are_left_out_of_all_folds(tmp_path, capsys):
    labels = true_labels(write_gray(tmp_path / "p", 12))
    (tmp_path / "p" / "a" / "4.png").write_bytes(b"no image")
    file = write_rows(tmp_path / "mine.csv", labels.items())
    assert run("compare", tmp_path / "p", "--recipes", "tiny_knn,color_forest", "--cv", "2", "--predictions", file) == 1
    captured = capsys.readouterr()
    assert "11 images in 2 folds" in captured.out
    assert "p/a/4.png" in captured.err


def test_an_error_while_fitting_names_the_model(tmp_path, capsys):
    assert run("compare", write_gray(tmp_path, 8, (8, 8)), "--recipes", "tiny_knn,orb_knn", "--cv", "2") == 2
    message = capsys.readouterr().err
    assert "(while fitting the model 'orb_knn')" in message
    assert message.count("\n") == 1


def test_the_page_is_written_with_images(folder, tmp_path, capsys):
    page = tmp_path / "c.html"
    assert run("compare", folder, "--recipes", "tiny_knn,color_forest", "--html", page, "--calibration") == 0
    text = page.read_text(encoding="utf-8")
    assert "Where the models disagree" in text
    assert "log loss" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "told"), [
    (("--cv", "2", "--repeats", "2"), "4 splits of about 8 training and 8 test images"),
    (("--repeats", "3", "--holdout", "0.25"), "3 splits of about 12 training and 4 test images"),
])  # fmt: skip
def test_splits_are_repeated(folder, capsys, words, told):
    assert run("compare", folder, "--recipes", "tiny_knn,color_forest", *words) == 0
    out = capsys.readouterr().out
    assert told in out


def test_repeats_need_a_folder_without_test_images(folder, tmp_path, capsys, no_fit):
    assert run("compare", folder, "--recipes", "tiny_knn", "--repeats", "3", "--test", folder) == 2
    assert "--repeats draws test images from the folder; omit --test" in capsys.readouterr().err
    for half in ("train", "test"):
        write_dark_and_light(tmp_path / half, n=2)
    assert run("compare", tmp_path, "--recipes", "tiny_knn", "--repeats", "3") == 2
    assert "has its own test folder; omit --repeats" in capsys.readouterr().err


@pytest.mark.slow
def test_cost_is_measured_on_request(folder, capsys):
    assert run("compare", folder, "--recipes", "tiny_knn", "--cost") == 0
    assert "peak memory" in capsys.readouterr().out


def test_several_folders_are_several_datasets(folder, tmp_path, capsys):
    other = write_dark_and_light(tmp_path / "other", n=6)
    page, figures = tmp_path / "c.html", tmp_path / "c.json"
    words = ("--recipes", "tiny_knn,color_forest", "--html", page, "--json", figures)
    assert run("compare", folder, other, *words) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == folder.name
    assert "\nother\nmodel" in out
    assert "Accuracy of 2 models on 2 datasets, in percent." in out
    assert list(json.loads(figures.read_text())["comparisons"]) == [folder.name, "other"]
    assert "Mean ranks" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("words", "message"), [
    (("--predictions", "a=b.csv"), "--predictions works only with one dataset"),
    (("--test", "DIR"), "--test works only with one dataset"),
    (("--recipes", "tiny_knn"), "needs at least two models"),
])  # fmt: skip
def test_options_of_one_dataset_are_refused_for_several(folder, tmp_path, capsys, no_fit, words, message):
    other = write_dark_and_light(tmp_path / "other", n=2)
    assert run("compare", folder, other, *words) == 2
    assert message in capsys.readouterr().err
    assert run("compare", folder, folder) == 2
    assert "the same DIR is given twice" in capsys.readouterr().err
