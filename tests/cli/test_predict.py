"""featrec predict: labels, scores and probabilities of images, from files, folders, archives and a pipe."""

import io
import json
import shutil

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.cli import main
from featrec.datasets import ImageFolder
from featrec.descriptors import HOG
from featrec.persistence import save
from tests.cli.folders import write_dark_and_light, write_gray


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dark_and_light(tmp_path_factory.mktemp("images"), 10)


def train(folder, out, *words):
    assert main(["train", str(folder), *words, "--out", str(out), "--holdout", "0", "--n-jobs", "1"]) == 0
    return out


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    return train(folder, tmp_path_factory.mktemp("models") / "tiny.featrec", "--recipe", "tiny_knn")


@pytest.fixture(scope="module")
def decisions(folder, tmp_path_factory):
    """A model with decision values, but without probabilities."""
    return train(folder, tmp_path_factory.mktemp("models") / "hog.featrec", "--recipe", "hog_svm")


@pytest.fixture(scope="module")
def calibrated(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "calibrated.featrec"
    return train(folder, out, "--recipe", "hog_svm", "--probability", "calibrated")


def predict(*words) -> int:
    return main(["predict", *map(str, words)])


def test_one_line_per_image(folder, model, capsys):
    files = [folder / "light" / "3.png", folder / "dark" / "1.png"]
    assert predict(model, *files) == 0
    assert capsys.readouterr().out == f"{files[0]}\tlight\n{files[1]}\tdark\n"


def test_paths_from_a_pipe(folder, model, capsys, monkeypatch):
    file = folder / "dark" / "1.png"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{file}\n\n{file}\n"))
    assert predict(model, "-") == 0
    assert capsys.readouterr().out == f"{file}\tdark\n" * 2


def test_folders_and_archives(folder, model, tmp_path, capsys):
    assert predict(model, *sorted(folder.rglob("*.png"))) == 0
    expected = capsys.readouterr().out
    assert predict(model, folder) == 0
    assert capsys.readouterr().out == expected
    archive = shutil.make_archive(str(tmp_path / "images"), "zip", folder)
    assert predict(model, archive) == 0
    assert capsys.readouterr().out.replace(archive, str(folder)) == expected


def test_json_lines_have_scores(folder, model, capsys):
    files = [folder / "light" / "3.png", folder / "dark" / "1.png"]
    assert predict(model, *files, "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"path": str(files[0]), "label": "light", "scores": {"light": 1.0, "dark": 0.0}}
    assert second["label"] == "dark"
    assert list(second["scores"]) == ["dark", "light"]


def test_decision_values_of_two_classes_are_scores(folder, decisions, capsys):
    assert predict(decisions, folder / "light" / "3.png", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert next(iter(found["scores"])) == found["label"]
    assert sum(found["scores"].values()) == pytest.approx(0.0)


def test_the_most_likely_labels_with_probabilities(folder, calibrated, capsys):
    image = folder / "dark" / "1.png"
    assert predict(calibrated, image, "--top", "3") == 0
    path, label, *scores = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (path, label) == (str(image), "dark")
    assert [score.partition(" ")[0] for score in scores] == ["dark", "light"]
    assert sum(float(score.partition(" ")[2]) for score in scores) == pytest.approx(1)


def test_no_label_if_the_probability_is_too_low(folder, calibrated, capsys):
    image = folder / "dark" / "1.png"
    assert predict(calibrated, image, "--min-confidence", "1") == 0
    assert capsys.readouterr().out == f"{image}\t?\n"
    assert predict(calibrated, image, "--json", "--min-confidence", "1") == 0
    assert json.loads(capsys.readouterr().out)["label"] is None
    assert predict(calibrated, image, "--min-confidence", "0") == 0
    assert capsys.readouterr().out == f"{image}\tdark\n"


def test_min_confidence_needs_a_model_with_probabilities(decisions, capsys):
    assert predict(decisions, "x.png", "--min-confidence", "0.5") == 2
    assert "train it with --probability calibrated" in capsys.readouterr().err


def test_damaged_and_missing_files_are_reported_and_the_others_predicted(folder, model, tmp_path, capsys):
    text = tmp_path / "notes.png"
    text.write_text("no image")
    good = folder / "dark" / "1.png"
    assert predict(model, text, good, tmp_path / "nowhere.png") == 1
    captured = capsys.readouterr()
    assert captured.out == f"{good}\tdark\n"
    first, second = captured.err.splitlines()
    assert first.startswith(f"featrec: error: '{text}'")
    assert second.startswith(f"featrec: error: '{tmp_path / 'nowhere.png'}'")


def test_an_image_that_the_model_refuses_is_reported_and_the_others_predicted(folder, tmp_path, capsys):
    images = ImageFolder(folder)
    save(make_pipeline(HOG(), LinearSVC(random_state=0)).fit(images, images.labels), tmp_path / "m")
    good, other = folder / "dark" / "1.png", write_gray(tmp_path, 1, (50, 40)) / "a" / "0.png"
    assert predict(tmp_path / "m", good, other) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{good}\t")
    assert captured.out.count("\n") == 1
    assert captured.err.startswith(f"featrec: error: '{other}': ")
