"""Damaged images are reported and left out; the results equal those without them."""

import re

import numpy as np
import pytest
from PIL import Image

from featrec.cli import main
from featrec.datasets import load_dataset


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


def accuracy(text):
    return re.search(r"accuracy ([\d.]+) %.*?(\d+) images of", text).groups()


@pytest.mark.parametrize(("n", "n_bad"), [(120, 6), pytest.param(3000, 30, marks=pytest.mark.slow)])
def test_training_reports_the_damaged_images_and_equals_a_run_without_them(n, n_bad, tmp_path, capsys):
    mixed, clean = tmp_path / "mixed", tmp_path / "clean"
    damaged = write_folder(mixed, n, n_bad)
    write_folder(clean, n, 0)
    for path in damaged:
        (clean / path.relative_to(mixed)).unlink()
    words = ["--recipe", "hog_svm", "--n-jobs", "2", "--test"]
    assert main(["train", str(mixed), *words, str(mixed), "--out", str(tmp_path / "a.featrec")]) == 1
    captured = capsys.readouterr()
    named = sorted(set(re.findall(r"error: .*?'([^']+\.png)'", captured.err)))
    assert named == [str(path) for path in damaged]
    assert f"{2 * len(damaged)} of " in captured.err, "counted once in the training and once in the test images"
    assert main(["train", str(clean), *words, str(clean), "--out", str(tmp_path / "b.featrec")]) == 0
    assert accuracy(captured.out) == accuracy(capsys.readouterr().out)
