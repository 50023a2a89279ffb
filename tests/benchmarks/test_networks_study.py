"""The matrix of networks and engineered features: rows are kept and resumed; the sentences follow from the rows."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel

from benchmarks import networks_study as study, networks_table
from featrec.cli._bench_results import labels_of, packed, read_results
from featrec.datasets import load_dataset
from tests.tiny_network import write_tiny_network

N = 200


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Two draws of textures, a tiny network, and one engineered recipe."""
    path = write_tiny_network(tmp_path / "tiny.onnx")
    draws = [{"n_train": 5, "n_test": 3, "random_state": seed} for seed in (0, 1)]
    monkeypatch.setattr(study, "DATASETS", {"textures": draws})
    monkeypatch.setattr(study, "NETWORKS", {"tiny": study.Network(str(path), "map", "conv", 32, "tf")})
    monkeypatch.setattr(study, "FROZEN", {"textures": {"tiny": list(study.KINDS)}})
    monkeypatch.setattr(study, "ENGINEERED", {"textures": [("thumbnails", "tiny_knn", {})]})
    monkeypatch.setattr(study, "N_DIMENSIONS", 4)
    monkeypatch.setattr(study, "N_WORDS", {"fisher": 2, "inner": 2, "sift": 2})
    return [str(tmp_path), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "rows.jsonl")]


@pytest.mark.filterwarnings("ignore:Liblinear failed")
def test_rows_are_kept_and_resumed(small, capsys):
    study.main([*small, "--only", "thumbnails"])
    titles = ["thumbnails", "tiny, pooled", "tiny, pooled + inner Fisher"]
    study.main([*small, *(part for title in titles for part in ("--only", title))])
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    rows = list(read_results(study.Path(small[-1])).values())
    assert [row["title"] for row in rows] == [title for title in titles for _ in range(2)]
    for row in rows:
        true, predicted = labels_of(row)
        assert true.tolist() == load_dataset("textures", **row["draw"])[1].labels.tolist()
        assert row["accuracy"] == np.mean(true == predicted)
        assert row["fit_cpu_seconds"] >= 0 < row["predict_cpu_ms"]
        assert row["n_bytes"] > 0
    assert [row["pretrained_on"] for row in rows] == ["–"] * 2 + ["ImageNet-1k"] * 4
    assert "| thumbnails |" in networks_table.table(rows)


def test_the_features_are_those_of_their_parts(small, tmp_path):
    one = study.Study("textures", {"n_train": 4, "n_test": 1}, tmp_path, tmp_path / "cache")
    train, test = load_dataset("textures", **one.draw)
    found = {part: one.features("tiny", part) for part in ("pooled", "inner", "sift")}
    maps = study.CNNMaps(**study.NETWORKS["tiny"].options(tmp_path, "pooled")).fit(train)
    means = np.stack([bag.descriptors.mean(axis=0) for bag in maps.transform(test)])
    np.testing.assert_allclose(found["pooled"].test, means / np.linalg.norm(means, axis=1, keepdims=True), rtol=1e-5)
    assert [features.train.shape for features in found.values()] == [(32, 8), (32, 2 * 2 * 4), (32, 2 * 2 * 80)]
    again = one.features("tiny", "inner")
    np.testing.assert_array_equal(again.train, found["inner"].train)
    assert (again.fit_seconds, again.n_bytes) == (found["inner"].fit_seconds, found["inner"].n_bytes)


@pytest.mark.filterwarnings("ignore:Liblinear failed")
def test_penalties_are_chosen_on_training_images(small, capsys, monkeypatch):
    monkeypatch.setattr(study, "measured", None)
    monkeypatch.setattr(study, "PENALTIES", (1.0,))
    study.main([*small[:-2], "--choose", "textures", "--only", "tiny, pooled"])
    assert capsys.readouterr().out.startswith("tiny, pooled 1: ")


@pytest.mark.parametrize("dataset", ["scene15", "textures"])
def test_every_row_can_be_made(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATREC_DATA", str(tmp_path))
    for number in (0, 1, 2):
        (tmp_path / f"efficientnet-lite{number}-0.pth").write_bytes(b"")
    found = list(study.models(dataset, tmp_path, 1))
    assert len({model.title for model in found}) == len(found)
    for model in found:
        assert hasattr(model.make(), "fit") if model.make else study.NETWORKS[model.network].options(tmp_path, "inner")
    with pytest.raises(SystemExit, match=r"contains no file efficientnet-lite0-\*.pth; see docs/how_to/efficientnet.py"):
        study.lite_file("timm:efficientnet_lite0", tmp_path / "none")


def made(title, right, *, family="frozen", draw=None):
    """Return a row that predicts the first `right` of N images correctly."""
    true = np.arange(N) % 2
    predicted = np.where(np.arange(N) < right, true, 1 - true)
    return {
        "key": f"d, {draw}, {title}", "dataset": "d", "draw": {} if draw is None else {"random_state": draw}, "title": title,
        "family": family, "network": "A", "n_train": 100, "n_test": N, "classes": ["a", "b"], "labels": packed(true),
        "predicted": packed(predicted), "accuracy": right / N, "interval": [0.5, 1.0], "fit_cpu_seconds": 12.0,
        "predict_cpu_ms": 3.0, "n_bytes": 2_000_000, "pretrained_on": "ImageNet-1k",
    }  # fmt: skip


def test_tests_are_those_of_scipy_with_holm():
    rows = [made("A, pooled", 150), made("A, pooled + Fisher", 170), made("B, pooled", 150), made("B, pooled + Fisher", 152)]
    text = networks_table.table(rows)
    assert text.splitlines()[2] == "| A, pooled + Fisher | 85.00 (50.00 to 100.00) | 12.0 | 3.00 | 2.00 | ImageNet-1k |"
    assert binomtest(20, 20).pvalue * 2 < 0.001
    assert "- A, pooled + Fisher against A, pooled: +10.00 points, p < 0.001\n" in text
    assert "- B, pooled + Fisher against B, pooled: +1.00 points, p = 0.500" in text
    assert "\n**pooled + Fisher is better than pooled alone for A.** pooled + Fisher shows no significant gain over" in text


def test_draws_are_compared_in_pairs():
    accuracies = {"A, pooled": (150, 160, 140), "A, pooled + Fisher": (155, 164, 146)}
    rows = [made(title, n, draw=draw) for title, numbers in accuracies.items() for draw, n in enumerate(numbers)]
    text = networks_table.table(rows)
    p = ttest_rel((155, 164, 146), (150, 160, 140)).pvalue
    assert f"- A, pooled + Fisher against A, pooled: +2.50 points, p = {p:.3f}" in text
    assert "| A, pooled | 75.0 ± 5.0 (3 draws) |" in text


def test_other_questions():
    rows = [
        made("hog", 150, family="engineered"), made("net", 100, family="trained here"),
        made("A, pooled", 160), made("A, pooled + Fisher", 180),
        made("A, fine-tuned", 170, family="fine-tuned"), made("A, pooled + Fisher + SIFT", 190),
    ]  # fmt: skip
    text = networks_table.table(rows)
    for said in (
        "A, pooled against hog: +5.00 points", "hog against net: +25.00 points", "A, fine-tuned against A, pooled: +5.00",
        "A, pooled + Fisher + SIFT against A, pooled + Fisher: +5.00", "A, pooled + Fisher + SIFT against hog: +20.00 points",
    ):  # fmt: skip
        assert f"- {said}" in text


def test_engineered_recipes_on_scenes_are_joined(tmp_path):
    split = {"kind": "standard", "validation": None}
    scenes = [
        {"key": str(number), "title": title, "split": split | changed, "model_bytes": 1000, "accuracy": 0.8}
        for number, (title, changed) in enumerate(
            [("bovw_svm", {}), ("bovw_svm", {"kind": "random"}), ("fisher_svm", {"validation": 0.3}), ("tiny_knn", {})]
        )
    ]
    (tmp_path / "scenes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scenes))
    (tmp_path / "study.jsonl").write_text(json.dumps(made("A, pooled", 150)) + "\n")
    rows = networks_table.study_rows(tmp_path / "study.jsonl")
    assert [(row["title"], row["family"], row["n_bytes"]) for row in rows[1:]] == [("bovw_svm", "engineered", 1000)]
