"""Damaged images are reported and left out; the results equal those without them."""

import re

import numpy as np
import pytest
from PIL import Image

from featrec.cli import main
from featrec.datasets import ImageFolder, load_dataset
from featrec.exceptions import FailedImageWarning
from featrec.recipes import hog_svm


def write_folder(root, n, n_bad):
    """Write n images of the dataset shapes, and return the paths of the damaged ones."""
    shapes, _ = load_dataset("shapes", n_train=n, n_test=8, size=48)
    bad = set(np.random.default_rng(0).choice(n, n_bad, replace=False).tolist())
    damaged = []
    for i in range(n):
        path = root / shapes.labels[i] / f"{i:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(shapes[i]).save(path)
        if i in bad:
            data = path.read_bytes()
            path.write_bytes([b"", data[: len(data) // 2], b"this is no image", data[:100] + bytes(200)][i % 4])
            damaged.append(path)
    return sorted(damaged)


@pytest.fixture(params=[pytest.param((120, 6), id="120"), pytest.param((3000, 30), id="3000", marks=pytest.mark.slow)])
def folders(request, tmp_path):
    """Return a folder with damaged images, the same folder without them, and the paths of the damaged images."""
    n, n_bad = request.param
    damaged = write_folder(tmp_path / "mixed", n, n_bad)
    write_folder(tmp_path / "clean", n, 0)
    for path in damaged:
        (tmp_path / "clean" / path.relative_to(tmp_path / "mixed")).unlink()
    return tmp_path / "mixed", tmp_path / "clean", damaged


def accuracy(text):
    return re.search(r"accuracy ([\d.]+) %.*?(\d+) images of", text).groups()


def test_training_reports_the_damaged_images_and_equals_a_run_without_them(folders, tmp_path, capsys):
    mixed, clean, damaged = folders
    words = ["--recipe", "hog_svm", "--n-jobs", "2", "--test"]
    assert main(["train", str(mixed), *words, str(mixed), "--out", str(tmp_path / "a.featrec")]) == 1
    captured = capsys.readouterr()
    named = sorted(set(re.findall(r"error: .*?'([^']+\.png)'", captured.err)))
    assert named == [str(path) for path in damaged]
    assert f"{2 * len(damaged)} of " in captured.err, "counted once in the training and once in the test images"
    assert main(["train", str(clean), *words, str(clean), "--out", str(tmp_path / "b.featrec")]) == 0
    assert accuracy(captured.out) == accuracy(capsys.readouterr().out)


def test_prediction_reports_the_damaged_images_and_predicts_the_others(folders, tmp_path, capsys):
    mixed, clean, damaged = folders
    assert main(["train", str(clean), "--recipe", "tiny_knn", "--out", str(tmp_path / "m.featrec"), "--holdout", "0"]) == 0
    files = [str(path) for path in ImageFolder(mixed).paths]
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "m.featrec"), *files]) == 1
    captured = capsys.readouterr()
    assert sorted(re.findall(r"error: '([^']+\.png)'", captured.err)) == [str(path) for path in damaged]
    assert len(captured.out.splitlines()) == len(files) - len(damaged)


def test_on_error_empty_reports_the_damaged_images(folders):
    mixed, clean, damaged = folders
    images, others = ImageFolder(mixed), ImageFolder(clean)
    model = hog_svm(on_error="empty", n_jobs=2).fit(others, others.labels)
    with pytest.warns(FailedImageWarning, match=f"{len(damaged)} of {len(images)} images could not be used"):
        predicted = model.predict(images)
    assert sorted(failure.item for failure in model["hog"].failures_) == [str(path) for path in damaged]
    rest = np.setdiff1d(np.arange(len(images)), [failure.index for failure in model["hog"].failures_])
    assert (predicted[rest] == model.predict(others)).all()
    assert (images.labels[rest] == others.labels).all()


def test_a_folder_of_damaged_images_is_an_error(tmp_path, capsys):
    write_folder(tmp_path / "p", 16, 16)
    assert main(["train", str(tmp_path / "p"), "--recipe", "tiny_knn", "--out", str(tmp_path / "m"), "--holdout", "0"]) == 2
    assert "can be read; the first error" in capsys.readouterr().err
