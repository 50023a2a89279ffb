"""featrec demo and featrec recipes."""

import os
import subprocess
import sys

import pytest

from featrec import datasets, recipes
from featrec.cli import _recipes, main


def test_recipes_are_listed_with_their_descriptions(capsys):
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(line.endswith(recipes.describe(line.split()[0])) for line in lines)


def test_the_demo_has_features_and_classifiers_of_every_kind():
    parts = " ".join(repr(recipes.make(name)) for name in _recipes.IN_DEMO)
    for part in ("DenseSIFT", "ORB", "HOG", "ColorHistogram", "TinyImage", "SVC", "KNeighbors", "RandomForest"):
        assert part in parts


def test_the_demo_prints_a_table_and_the_next_command(capsys, monkeypatch):
    load, seeds = datasets.load_dataset, []

    def few(name, *, n_train=24, n_test=16, random_state):
        seeds.append((name, random_state))
        return load(name, n_train=n_train, n_test=n_test, random_state=random_state)

    monkeypatch.setattr(datasets, "load_dataset", few)
    monkeypatch.setattr(_recipes, "IN_DEMO", ("tiny_knn", "color_forest"))
    assert main(["demo", "--seed", "3"]) == 0
    captured = capsys.readouterr()
    assert set(seeds) == {("shapes", 3)}
    assert captured.out.count("color_forest") >= 2
    assert "color_forest makes" in captured.out or "tiny_knn makes" in captured.out
    assert "featrec compare DIR" in captured.out
    assert captured.err == ""


@pytest.mark.slow
def test_the_demo_compiles_before_the_comparison(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "featrec", "demo"]
    printed = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert ["Compiled the loops of the recipes" in text for text in printed] == [True, False]
    assert not any("compile s" in text for text in printed)
    assert all(name in text for name in _recipes.IN_DEMO for text in printed)
