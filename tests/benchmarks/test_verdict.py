"""The verdict of docs/comparison.md follows from the rows of all files."""

import json

import pytest

from benchmarks import verdict
from tests.benchmarks.test_comparison import made
from tests.benchmarks.test_networks_study import made as made_study


@pytest.fixture
def results(tmp_path):
    small = [
        made("hog", 900), made("net", 990, step="SmallResNet"), made("features", 850, step="CNNFeatures"),
        made("undertrained", 880, step="LeNet5"),
    ]  # fmt: skip
    small = [row | {"n_train": 60_000} for row in small]
    study = [
        made_study("sift", 150, family="engineered"), made_study("net", 100, family="trained here"),
        made_study("A, pooled", 152), made_study("A, pooled + Fisher + SIFT", 190),
    ]  # fmt: skip
    few = [
        made(title, n + seed, seed=seed, dataset="cifar10") | {"split": split}
        for title, n in {"kernel": 700, "small ResNet": 600, "MobileNetV2 features": 800}.items()
        for seed, split in ((seed, {"kind": "standard", "n_train": 10, "validation": None, "seed": seed}) for seed in range(3))
    ]
    few = [row | {"accuracy": row["accuracy"] + 0.002 * (row["title"] == "kernel") * row["seed"] ** 2} for row in few]
    for name, rows in {"small": small, "few_images": few, "networks_study": study}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_winners_and_costs(results):
    text = verdict.verdict(results)
    trained, pretrained, *_ = text.splitlines()
    assert trained == (
        "- **A network trained on the same images and nothing else** is better than the engineered recipe on MNIST with 60,000 "
        "images, worse on CIFAR-10 with 100 images and d with 100 images."
    )
    assert "is better than the engineered recipe on CIFAR-10 with 100 images, worse on MNIST" in pretrained
    assert "not significantly different on d with 100 images." in pretrained
    assert "| MNIST, 60,000 | 90.0 (hog) | 99.0 (net), p < 0.001 | 85.0 (features), p < 0.001 |" in text
    assert "| d, 100 | 75.0 (sift) | 50.0 (net), p < 0.001 | 76.0 (A, pooled), p = 0.500 |" in text
    assert "undertrained" not in text
    assert "- d: A, pooled has 2.00 MB, and takes 12.0 s of processor time to fit and 3.00 ms per image. sift has" in text


def test_results_that_do_not_exist_are_left_out(results):
    (results / "networks_study.jsonl").unlink()
    assert "| d," not in verdict.verdict(results)
