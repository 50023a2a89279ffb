"""Bad images are named and left out; everything else is as if they had never been there."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from featrec.cli import main
from featrec.datasets import ImageFolder, load_dataset
from featrec.exceptions import FailedImageWarning
from featrec.recipes import hog_svm

CLASSES = 8


def write_folder(root, n, n_bad, seed=0):
    """n images of the shapes, n_bad of them damaged in one way or another; the damaged ones' paths."""
    shapes, _ = load_dataset("shapes", n_train=n, n_test=8, size=48)
    bad = set(np.random.default_rng(seed).choice(n, n_bad, replace=False).tolist())
    damaged = []
    for i in range(n):
        path = root / shapes.labels[i] / f"{i:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(shapes[i]).save(path)
        if i in bad:
            damage(path, i)
            damaged.append(path)
    return sorted(damaged)


def damage(path, i):
    data = path.read_bytes()
    path.write_bytes([b"", data[: len(data) // 2], b"this is no image", data[:100] + bytes(200)][i % 4])


@pytest.fixture(params=[pytest.param((120, 6), id="120"), pytest.param((3000, 30), id="3000", marks=pytest.mark.slow)])
def folders(request, tmp_path):
    n, n_bad = request.param
    damaged = write_folder(tmp_path / "mixed", n, n_bad)
    write_folder(tmp_path / "clean", n, 0)
    for path in damaged:
        (tmp_path / "clean" / path.relative_to(tmp_path / "mixed")).unlink()
    return tmp_path / "mixed", tmp_path / "clean", damaged


def accuracy(text):
    return re.search(r"accuracy ([\d.]+) %.*?(\d+) images of", text).groups()


def test_training_names_exactly_the_bad_ones_and_equals_a_run_without_them(folders, tmp_path, capsys):
    mixed, clean, damaged = folders
    words = ["--recipe", "hog_svm", "--n-jobs", "2", "--test"]
    assert main(["train", str(mixed), *words, str(mixed), "--out", str(tmp_path / "a.featrec")]) == 1
    told = capsys.readouterr()
    named = sorted(set(re.findall(r"error: .*?'([^']+\.png)'", told.err)))
    assert named == [str(path) for path in damaged]
    assert f"{2 * len(damaged)} of " in told.err, "counted once in the training and once in the test images"
    assert main(["train", str(clean), *words, str(clean), "--out", str(tmp_path / "b.featrec")]) == 0
    assert accuracy(told.out) == accuracy(capsys.readouterr().out)


def test_prediction_names_exactly_the_bad_ones_and_answers_the_others(folders, tmp_path, capsys):
    mixed, clean, damaged = folders
    assert main(["train", str(clean), "--recipe", "tiny_knn", "--out", str(tmp_path / "m.featrec"), "--holdout", "0"]) == 0
    files = [str(path) for path in ImageFolder(mixed).paths]
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "m.featrec"), *files]) == 1
    told = capsys.readouterr()
    assert sorted(re.findall(r"error: '([^']+\.png)'", told.err)) == [str(path) for path in damaged]
    assert len(told.out.splitlines()) == len(files) - len(damaged)


def test_the_policy_in_code_reports_exactly_the_bad_ones(folders):
    mixed, clean, damaged = folders
    images, others = ImageFolder(mixed), ImageFolder(clean)
    model = hog_svm(on_error="empty", n_jobs=2).fit(others, others.labels)
    with pytest.warns(FailedImageWarning, match=f"{len(damaged)} of {len(images)} images could not be used"):
        predicted = model.predict(images)
    assert sorted(failure.item for failure in model["hog"].failures_) == [str(path) for path in damaged]
    rest = np.setdiff1d(np.arange(len(images)), [failure.index for failure in model["hog"].failures_])
    assert (predicted[rest] == model.predict(others)).all()
    assert (images.labels[rest] == others.labels).all()


def test_compare_goes_on_without_them(tmp_path, capsys):
    (bad,) = write_folder(tmp_path / "p", 48, 1)
    assert main(["compare", str(tmp_path / "p"), "--recipes", "tiny_knn,color_forest", "--cv", "2"]) == 1
    told = capsys.readouterr()
    assert str(bad) in told.err
    assert "47 images in 2 folds" in told.out


def test_nothing_but_bad_images_is_an_error(tmp_path, capsys):
    write_folder(tmp_path / "p", 16, 16)
    assert main(["train", str(tmp_path / "p"), "--recipe", "tiny_knn", "--out", str(tmp_path / "m"), "--holdout", "0"]) == 2
    assert "can be read; the first error" in capsys.readouterr().err


@pytest.fixture
def calibrated(tmp_path):
    write_folder(tmp_path / "p", 80, 0)
    model = tmp_path / "c.featrec"
    words = ["--recipe", "hog_svm", "--probability", "calibrated", "--holdout", "0"]
    assert main(["train", str(tmp_path / "p"), *words, "--out", str(model)]) == 0
    return model, str(sorted((tmp_path / "p" / "star").iterdir())[0])


def test_the_likeliest_labels_with_probabilities(calibrated, capsys):
    model, image = calibrated
    capsys.readouterr()
    assert main(["predict", str(model), image, "--top", "3"]) == 0
    path, label, *scores = capsys.readouterr().out.rstrip("\n").split("\t")
    assert path == image
    assert len(scores) == 3
    assert scores[0].startswith(label)
    values = [float(score.rpartition(" ")[2]) for score in scores]
    assert values == sorted(values, reverse=True)
    assert 0 <= sum(values) <= 1 + 1e-6


def test_too_little_confidence_gives_no_label(calibrated, capsys):
    model, image = calibrated
    capsys.readouterr()
    assert main(["predict", str(model), image, "--min-confidence", "1"]) == 0
    assert capsys.readouterr().out == f"{image}\t?\n"
    assert main(["predict", str(model), image, "--json", "--min-confidence", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] is None
    assert main(["predict", str(model), image, "--min-confidence", "0"]) == 0
    assert capsys.readouterr().out.split("\t")[1].strip() != "?"


def test_confidence_is_asked_of_models_that_have_it(tmp_path, capsys):
    write_folder(tmp_path / "p", 32, 0)
    model = tmp_path / "m.featrec"
    assert main(["train", str(tmp_path / "p"), "--recipe", "hog_svm", "--out", str(model), "--holdout", "0"]) == 0
    assert main(["predict", str(model), "x.png", "--min-confidence", "0.5"]) == 2
    assert "train it with --probability calibrated" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "message"), [
    (["--top", "0"], "a count must be an integer of at least 1; got 0"),
    (["--min-confidence", "2"], "it must be between 0 and 1, such as 0.2; got 2"),
])  # fmt: skip
def test_wrong_numbers_are_refused(words, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "m", "x.png", *words])
    assert message in capsys.readouterr().err
