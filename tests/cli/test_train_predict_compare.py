"""The way of a user's folder: train, predict, compare."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from featrec.cli import main
from featrec.persistence import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Dark and light images, which every recipe tells apart."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (root / name).mkdir()
        for number in range(10):
            pixels = (level + rng.integers(-20, 20, (24, 32, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "tiny.featrec"
    assert main(["train", str(folder), "--recipe", "tiny_knn", "--out", str(out), "--n-jobs", "1"]) == 0
    return out


def run(*words) -> int:
    return main([str(word) for word in words])


def test_train_reports_and_names_the_next_command(folder, tmp_path, capsys):
    out = tmp_path / "model.featrec"
    assert run("train", folder, "--recipe", "color_forest", "--out", out, "--holdout", "0.3", "--n-jobs", "1") == 0
    captured = capsys.readouterr()
    assert "100.0 %" in captured.out
    assert f"next: featrec predict {out} FILES" in captured.out
    assert captured.err == ""
    assert out.stat().st_size > 0


def test_train_without_a_test_reports_nothing(folder, tmp_path, capsys):
    assert run("train", folder, "--recipe", "tiny_knn", "--out", tmp_path / "m", "--holdout", "0", "--n-jobs", "1") == 0
    assert "precision" not in capsys.readouterr().out


def test_one_class_is_nothing_to_learn(folder, tmp_path, capsys):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "dark").symlink_to(folder / "dark", target_is_directory=True)
    assert run("train", tmp_path / "one", "--recipe", "fisher_svm", "--out", tmp_path / "m") == 2
    assert "one contains only one class, 'dark'; a classifier needs at least two" in capsys.readouterr().err


def test_a_model_is_saved_before_it_is_judged(folder, tmp_path, capsys, monkeypatch):
    def fail(*given):
        raise OSError("the reader has gone")

    monkeypatch.setattr("featrec.evaluation.evaluate", fail)
    assert run("train", folder, "--recipe", "tiny_knn", "--out", tmp_path / "m", "--n-jobs", "1") == 2
    assert run("predict", tmp_path / "m", folder / "dark" / "0.png") == 0
    assert capsys.readouterr().out.endswith("dark\n")


def test_train_refuses_before_it_trains(folder, model, tmp_path, capsys):
    before = model.read_bytes()
    refused = {
        (folder, "--recipe", "tiny_knn", "--out", model): "use --force to replace it",
        (folder, "--recipe", "tiny_knn", "--out", tmp_path): "is a folder; use a file name",
        (folder, "--recipe", "tiny_knn", "--out", tmp_path / "no" / "m"): f"mkdir -p {tmp_path / 'no'}",
        (folder, "--recipe", "tiny_knm", "--out", tmp_path / "m"): "Did you mean 'tiny_knn'?",
        (folder, "--recipe", "cnn_svm", "--out", tmp_path / "m"): "--cnn FILE",
        (folder, "--cnn", "no.onnx", "--out", tmp_path / "m"): "there is no file 'no.onnx'",
        (tmp_path / "no", "--recipe", "tiny_knn", "--out", tmp_path / "m"): "there is no folder",
    }
    for words, message in refused.items():
        assert run("train", *words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert model.read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_train_takes_options_of_a_recipe(folder, tmp_path, capsys):
    out = tmp_path / "m.featrec"
    options = ["--set", "n_neighbors=3", "--set", "size=[8, 8]"]
    assert main(["train", str(folder), "--recipe", "tiny_knn", "--out", str(out), *options]) == 0
    fitted = load(out)
    assert fitted[-1].n_neighbors == 3
    assert list(fitted[0].size) == [8, 8]
    for wrong, told in (
        (["--set", "n_neighbours=3"], "has no option 'n_neighbours' (did you mean 'n_neighbors'?)"),
        (["--set", "n_neighbors"], "--set expects NAME=VALUE"),
        (["--set", "random_state=3"], "the seed and the number of threads have their own keys"),
        (["--set", "probability=calibrated"], "--probability calibrated"),
    ):
        capsys.readouterr()
        assert main(["train", str(folder), "--recipe", "tiny_knn", "--out", str(tmp_path / "n.featrec"), *wrong]) == 2
        assert told in capsys.readouterr().err


def test_train_replaces_a_model_when_told(folder, tmp_path):
    out = tmp_path / "m"
    out.write_bytes(b"old")
    assert run("train", folder, "--recipe", "tiny_knn", "--out", out, "--force", "--n-jobs", "1") == 0
    assert out.read_bytes() != b"old"


def test_predict_prints_a_line_for_each_image(folder, model, capsys):
    files = [folder / "light" / "3.png", folder / "dark" / "1.png"]
    assert run("predict", model, *files) == 0
    assert capsys.readouterr().out == f"{files[0]}\tlight\n{files[1]}\tdark\n"


def test_predict_reads_paths_from_a_pipe(folder, model, capsys, monkeypatch):
    file = folder / "dark" / "1.png"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{file}\n\n{file}\n"))
    assert run("predict", model, "-") == 0
    assert capsys.readouterr().out == f"{file}\tdark\n" * 2


def test_predict_takes_folders_and_archives(folder, model, tmp_path, capsys):
    files = sorted(folder.rglob("*.png"))
    assert run("predict", model, *files) == 0
    expected = capsys.readouterr().out
    assert run("predict", model, folder) == 0
    assert capsys.readouterr().out == expected
    archive = shutil.make_archive(str(tmp_path / "pictures"), "zip", folder)
    assert run("predict", model, archive) == 0
    assert capsys.readouterr().out.replace(archive, str(folder)) == expected


def test_predict_says_that_a_folder_is_no_model(folder, capsys):
    assert run("predict", folder, folder / "light" / "3.png") == 2
    assert "a folder; a model is a single file" in capsys.readouterr().err


def test_predict_as_json_has_scores(folder, model, capsys):
    files = [folder / "light" / "3.png", folder / "dark" / "1.png"]
    assert run("predict", model, *files, "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"path": str(files[0]), "label": "light", "scores": {"light": 1.0, "dark": 0.0}}
    assert second["label"] == "dark"
    assert list(second["scores"]) == ["dark", "light"]


def test_decision_values_of_two_classes_are_scores_too(folder, tmp_path, capsys):
    out = tmp_path / "m"
    assert run("train", folder, "--recipe", "hog_svm", "--out", out, "--n-jobs", "1") == 0
    capsys.readouterr()
    assert run("predict", out, folder / "light" / "3.png", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert next(iter(answer["scores"])) == answer["label"]
    assert sum(answer["scores"].values()) == pytest.approx(0.0)


def test_a_bad_file_is_named_and_the_others_are_answered(folder, model, tmp_path, capsys):
    text = tmp_path / "notes.png"
    text.write_text("no image")
    good = folder / "dark" / "1.png"
    assert run("predict", model, text, good, tmp_path / "nowhere.png") == 1
    captured = capsys.readouterr()
    assert captured.out == f"{good}\tdark\n"
    lines = captured.err.splitlines()
    assert [line.startswith("featrec: error: ") for line in lines] == [True] * 2
    assert str(text) in lines[0]
    assert "nowhere.png" in lines[1]


def test_what_is_no_model_is_refused(folder, tmp_path, capsys):
    file = tmp_path / "m"
    file.write_bytes(b"no model")
    assert run("predict", file, folder / "dark" / "1.png") == 2
    assert capsys.readouterr().err.startswith("featrec: error: ")


def test_compare_prints_a_table_and_writes_it(folder, tmp_path, capsys):
    figures, table = tmp_path / "c.json", tmp_path / "c.md"
    options = ("--n-jobs", "1", "--json", figures, "--markdown", table)
    assert run("compare", folder, "--recipes", "tiny_knn,color_forest", *options) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    for text in (captured.out, figures.read_text(), table.read_text()):
        assert "tiny_knn" in text
        assert "color_forest" in text
    json.loads(figures.read_text())


def test_compare_by_cross_validation(folder, capsys):
    assert run("compare", folder, "--recipes", "tiny_knn", "--cv", "2", "--n-jobs", "1") == 0
    assert "tiny_knn" in capsys.readouterr().out


def test_compare_refuses_before_it_trains(folder, tmp_path, capsys):
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    refused = {
        (folder, "--recipes", ""): "nothing to compare",
        (folder, "--recipes", "tiny_knn", "--holdout", "0"): "--holdout must be more than 0",
        (folder, "--recipes", "tiny_knn", "--json", tmp_path / "no" / "c.json"): "mkdir -p",
        (folder, "--recipes", "tiny_knn", "--cnn", "no.onnx"): "there is no file 'no.onnx'",
        (tmp_path, "--recipes", "tiny_knn", "--cv", "3"): "omit --cv",
    }
    for words, message in refused.items():
        assert run("compare", *words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
