"""The benchmark of unknown classes on a small set: rows are kept and resumed, and figures are those of the whole model."""

import json

import numpy as np
import pytest
from scipy.stats import betabinom
from sklearn.metrics import roc_auc_score

from benchmarks import unknown
from featrec import recipes
from featrec.classifiers import RejectUnknown
from featrec.cli._bench_results import read_results
from featrec.datasets import load_dataset

MODELS = {
    "small": ("lbp_svm", {"radius": 1, "grids": ((1, 1),)}),
    "mirrored": ("fisher_svm", {"n_words": 4, "n_dimensions": 8, "bin_sizes": (4,), "step": 12, "mirror": True}),
}


@pytest.fixture(scope="module")
def data():
    return load_dataset("textures", n_train=30, n_test=12)


@pytest.fixture
def small(monkeypatch, data):
    monkeypatch.setattr(unknown, "load_dataset", lambda name: data)
    monkeypatch.setattr(unknown, "MODELS", MODELS)
    monkeypatch.setattr(unknown, "N_KNOWN", 5)
    monkeypatch.setattr(unknown, "N_TEST", 10)
    monkeypatch.setattr(unknown, "BATCH", 30)
    monkeypatch.setattr(unknown, "N_CALIBRATION", 40)


def test_rows_are_kept_and_resumed(small, tmp_path, capsys, monkeypatch):
    out = tmp_path / "rows.jsonl"
    unknown.main(["unknown", "--only", "small", "--draws", "1", "--out", str(out), "--n-jobs", "1"])
    first = out.read_text()
    unknown.main(["unknown", "--only", "small", "--draws", "2", "--out", str(out), "--n-jobs", "1"])
    unknown.main(["coverage", "--only", "small", "--draws", "3", "--out", str(out), "--n-jobs", "1"])
    assert out.read_text().startswith(first)
    rows = list(read_results(out).values())
    assert [row["key"] for row in rows] == [
        *(f"unknown, small, {seed}" for seed in (0, 1)),
        *(f"coverage, small, {seed}" for seed in (0, 1, 2)),
    ]
    monkeypatch.setattr(unknown, "make", None)
    capsys.readouterr()
    unknown.main(["coverage", "--only", "small", "--draws", "3", "--out", str(out)])
    unknown.main(["show", "--out", str(out)])
    shown = capsys.readouterr().out
    assert "| draw | maximal score | confidence | distance | accuracy, % | ECE, % |" in shown
    assert f"| 0 | {' | '.join(f'{value:.3f}' for value in rows[0]['auroc'].values())} |" in shown
    assert "small: conformal sets with a nominal coverage of 90 %" in shown


@pytest.mark.parametrize("title", MODELS)
def test_the_figures_are_those_of_the_model_around_the_pipeline(small, data, title):
    row = unknown.unknown_row(title, 3, 1, None)
    train, test = data
    own = np.flatnonzero(np.isin(train.labels, row["known"]))
    test = test[unknown.drawn(test.labels, 3)]
    assert np.unique(test.labels, return_counts=True)[1].tolist() == [10] * 8
    new = ~np.isin(test.labels, row["known"])
    assert (row["n_known"], row["n_unknown"], row["n_train"], row["n_calibration"]) == (50, 30, 135, 15)
    for method in unknown.METHODS:
        whole = recipes.make(MODELS[title][0], **MODELS[title][1], random_state=3)
        model = RejectUnknown(whole, method=method, calibration_fraction=0.1, random_state=3)
        model.fit(train[own], train.labels[own])
        review = model.review(test)
        assert row["auroc"][method] == pytest.approx(roc_auc_score(new, review.novelties), abs=1e-9)
        assert row["known_accepted"][method] == review.accepted[~new].mean()
        assert row["unknown_rejected"][method] == (~review.accepted[new]).mean()
    scores = model.decision_function(test)
    assert row["auroc"]["maximal score"] == pytest.approx(roc_auc_score(new, -scores.max(axis=1)), abs=1e-9)
    assert row["accuracy"] == (review.most_likely == test.labels)[~new].mean()
    assert 0 < row["ece"]["after"] < row["ece"]["before"]


def test_covered_images_are_counted_on_the_others():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 900)
    scores = random.normal(size=(900, 3)) + 2 * np.eye(3)[truth]
    found = [unknown.covered("random", scores, np.arange(3), truth, seed) for seed in range(20)]
    assert {row["n_calibration"] + row["n_test"] for row in found} == {900}
    assert all(row["coverage"] == row["n_covered"] / row["n_test"] for row in found)
    assert abs(np.mean([row["coverage"] for row in found]) - 0.9) < 0.01
    inside = [row["interval"][0] <= row["coverage"] <= row["interval"][1] for row in found]
    assert sum(inside) >= 18


def test_the_interval_is_that_of_the_beta_binomial():
    low, high = unknown.interval(500, 400, 0.9)
    law = betabinom(400, 451, 50)
    assert law.cdf(round(high * 400)) - law.cdf(round(low * 400) - 1) >= 0.99
    assert law.cdf(round(high * 400) - 1) - law.cdf(round(low * 400)) < 0.99
    draws = np.random.default_rng(1).random((4000, 900))
    thresholds = np.sort(draws[:, :500], axis=1)[:, 450]
    shares = (draws[:, 500:] <= thresholds[:, None]).mean(axis=1)
    assert abs(((shares >= low) & (shares <= high)).mean() - 0.99) < 0.01


def test_the_stored_rows_are_complete():
    rows = list(read_results(unknown.RESULTS).values())
    if not rows:
        pytest.skip("nothing was measured yet")
    for row in rows:
        assert row["key"] == f"{row['key'].partition(',')[0]}, {row['title']}, {row['seed']}"
        assert row["title"] in unknown.MODELS
    assert unknown.show(rows)
    assert json.dumps(rows)
