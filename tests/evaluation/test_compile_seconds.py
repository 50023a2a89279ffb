"""The time spent compiling is reported separately from fits and predictions."""

import json
import time

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from featrec.cli import _bench_cell, _train, main
from featrec.compilation import Spent
from featrec.compiled._cache import COMPILATIONS
from featrec.datasets import load_dataset
from featrec.evaluation import _plan, compare, evaluate

WAIT = 0.2  # seconds of a simulated compilation


def compile_something():
    """Simulate a compilation by numba."""
    time.sleep(WAIT)
    COMPILATIONS.seconds += WAIT


class Compiling(BaseEstimator):
    """Simulate compilations in the first fit and the first prediction."""

    todo = ()

    def fit(self, X, y):
        self._compile("fit")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        self._compile("predict")
        return np.repeat(self.classes_[:1], len(X))

    def _compile(self, what):
        if what in Compiling.todo:
            Compiling.todo = tuple(one for one in Compiling.todo if one != what)
            compile_something()


@pytest.fixture
def cold(monkeypatch):
    monkeypatch.setattr(Compiling, "todo", ("fit", "predict"))
    monkeypatch.setattr(COMPILATIONS, "seconds", COMPILATIONS.seconds)


X, Y = np.zeros((12, 2)), np.arange(12) % 2


def test_a_comparison_shows_compile_time_separately_and_once(cold):
    comparison = compare({"cold": Compiling(), "warm": Compiling()}, X, Y, test=(X, Y))
    first, second = comparison["cold"], comparison["warm"]
    assert first.compile_seconds == pytest.approx(2 * WAIT)
    assert first.fit_seconds < WAIT > first.predict_seconds
    assert second.compile_seconds == 0
    header, *rows = str(comparison).splitlines()[:3]
    assert "fit s  compile s  predict s" in header
    assert ["0.400" in row for row in rows] == [row.startswith("cold") for row in rows]
    assert "Compiling happens once on this machine and is not included in the times" in str(comparison)
    assert json.loads(comparison.to_json())["results"][0]["compile_seconds"] >= 0
    assert "compile" not in str(compare({"warm": Compiling()}, X, Y, test=(X, Y)))


def test_compile_time_of_the_checks_belongs_to_the_model(cold, monkeypatch):
    monkeypatch.setattr(Compiling, "todo", ())
    monkeypatch.setattr(_plan, "check_model", lambda name, *given: compile_something() if name == "cold" else None)
    comparison = compare({"warm": Compiling(), "cold": Compiling()}, X, Y, test=(X, Y))
    assert comparison["cold"].compile_seconds == pytest.approx(WAIT)
    assert comparison["warm"].compile_seconds == 0


def test_compile_times_of_folds_add_up(cold):
    comparison = compare({"cold": Compiling()}, X, Y, cv=2)
    assert comparison["cold"].compile_seconds == pytest.approx(2 * WAIT)
    assert comparison["cold"].fit_seconds < WAIT / 2


def test_a_report_shows_compile_time(cold):
    model = Compiling().fit(X, Y)
    report = evaluate(model, X, Y)
    assert report.compile_seconds == pytest.approx(WAIT)
    assert report.predict_seconds < WAIT
    assert "Compilation took another 0.200 s; it happens once per machine." in str(report)
    assert "ompil" not in str(evaluate(model, X, Y))


def test_a_benchmark_result_has_compile_time_separately(cold, monkeypatch):
    monkeypatch.setattr(_bench_cell, "make_model", lambda cell: Compiling())
    monkeypatch.setattr(_bench_cell, "_warm_up", lambda model, pool, train: None)
    split = {"kind": "standard", "n_train": None, "n_test": None, "validation": 0, "seed": 0}
    cell = {"dataset": "textures", "dataset_options": {"n_train": 3, "n_test": 2}, "split": split, "seed": 0, "n_jobs": 1}
    row = _bench_cell.run_cell(cell)
    assert row["compile_seconds"] == {"fit": pytest.approx(WAIT), "predict": pytest.approx(WAIT)}
    assert max(row["fit_seconds"], row["predict_seconds"], *row["fit_steps"].values(), *row["predict_steps"].values()) < WAIT
    assert "compile_seconds" not in _bench_cell.run_cell(cell)


def test_train_prints_compile_time(tmp_path, monkeypatch, capsys):
    train, _ = load_dataset("textures", n_train=3, n_test=2)
    spent = Spent(1.25, 0.0)

    class Timed:
        def __enter__(self):
            return spent

        def __exit__(self, *problem):
            pass

    monkeypatch.setattr(_train, "timed", Timed)
    monkeypatch.setattr(_train, "read_split", lambda arguments: (train, None))
    words = ["train", str(tmp_path), "--recipe", "tiny_knn", "--n-jobs", "1", "--out", str(tmp_path / "model"), "--force"]
    main(words)
    assert "images in 1.2 s\n" in capsys.readouterr().out
    spent.compile_seconds = 7.5
    main(words)
    told = "images in 1.2 s; compiling took another 7.5 s, which is needed only once on this machine\n"
    assert told in capsys.readouterr().out
