"""The figures on scene15's course split, through the command line, as the lessons and the README quote them."""

import json
import os
import sys
from pathlib import Path

import pytest

from featrec.cli import main

LEAST = {
    "tiny_knn": 0.18,
    "bovw_svm": 0.75,
    "phow_svm": 0.814,
    "fisher_svm": 0.86,
    "squeezenet1_1": 0.86,
    "mobilenet_v2": 0.885,
}


@pytest.fixture(scope="module")
def home():
    if "FEATREC_DATA" not in os.environ:
        pytest.skip("FEATREC_DATA is not set")
    home = Path(os.environ["FEATREC_DATA"])
    if not (home / "scene15").is_dir() or not (home / "weights").is_dir():
        pytest.skip("FEATREC_DATA holds no scene15 or no weights")
    return home


@pytest.mark.data
def test_scene15_reaches_its_figures_and_the_network_wins(home, tmp_path, capsys):
    out = tmp_path / "scene15.json"
    weights = home / "weights"
    code = main([
        "compare", str(home / "scene15"), "--recipes", "tiny_knn,bovw_svm,phow_svm,fisher_svm",
        "--cnn", f"{weights}/squeezenet1_1.onnx,layer=feat,preprocessing=caffe,size=227",
        "--cnn", f"{weights}/mobilenet_v2.onnx,layer=feat,preprocessing=tf,size=224",
        "--json", str(out), "--n-jobs", "2",
    ])  # fmt: skip
    printed = capsys.readouterr().out
    assert code == 0
    sys.stdout.write(printed)
    found = {row["name"]: row for row in json.loads(out.read_text())["results"]}
    assert json.loads(out.read_text())["n"] == 2985
    for name, least in LEAST.items():
        row = next(row for key, row in found.items() if name in key)
        assert row["accuracy"] >= least, (name, row["accuracy"])
    assert found["tiny_knn"]["accuracy"] < 0.25
    bovw = found["bovw_svm"]
    assert bovw["fit_seconds"] + bovw["predict_seconds"] < 600
    assert "wins by" in printed
