"""The frontier benchmark measures saved models in one run, and plots them with the stored accuracies."""

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from benchmarks import frontier
from featrec.datasets import load_dataset
from featrec.descriptors import HOG, TinyImage
from featrec.persistence import save
from tests.benchmarks.test_comparison import made

SPLIT = {"kind": "standard", "n_train": None, "n_test": None, "validation": None, "seed": 0}


def test_models_are_measured_on_one_core(tmp_path):
    train, _ = load_dataset("digits")
    files = {}
    for title, step in (("tiny", TinyImage(size=(4, 4), n_jobs=2)), ("hog", HOG(pixels_per_cell=(4, 4), cells_per_block=1))):
        files[title] = tmp_path / title
        save(make_pipeline(step, GaussianNB()).fit(train, train.labels), files[title])
    rows = frontier.measured("digits", files, n_images=20, rounds=2)
    assert [row["title"] for row in rows] == ["tiny", "hog"]
    assert all(row["images_per_second"] > 0 and row["n_images"] == 20 for row in rows)
    assert [row["model_bytes"] for row in rows] == [file.stat().st_size for file in files.values()]
    assert "instructions" in rows[0]["machine"]


def test_points_have_the_mean_accuracy_of_the_standard_split():
    judged = [made("a", 0, seed=seed, accuracy=share, split=SPLIT, key=str(seed)) for seed, share in enumerate((0.8, 0.9))]
    judged.append(made("a", 0, accuracy=0.1, split=SPLIT | {"validation": 0.1}, key="v"))
    dataset = judged[0]["dataset"]
    rows = [{"dataset": dataset, "title": title, "model_bytes": 2_000_000, "images_per_second": 300.0} for title in ("a", "b")]
    ((title, *numbers),) = frontier.points(rows, judged)[dataset]
    assert title == "a"
    assert numbers == pytest.approx([85, 2, 300])


def test_the_same_figures_give_the_same_bytes(tmp_path):
    found = {"cifar10": [("a", 85.0, 2.0, 300.0), ("b", 92.0, 6.0, 2000.0)]}
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    frontier.draw(found, first)
    frontier.draw(found, second)
    assert first.read_bytes() == second.read_bytes()
    assert np.char.find(first.read_text(encoding="utf-8"), "figures: ") > 0
