"""Models travel between versions. Which combinations were run, and how, is in docs/versions.md."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import featrec
from benchmarks import cross_version

PACKAGE = Path(featrec.__file__).parent
# Modules that opencv-python and opencv-python-headless do not have.
CONTRIB = {"bgsegm", "face", "img_hash", "saliency", "xfeatures2d", "ximgproc", "xphoto"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    arguments = ["write", str(folder), "--train", "16", "--test", "8", "--models", "tiny_knn,cnn_svm,sift_svm"]
    assert cross_version.main(arguments) == 0
    return folder


def test_one_installation_agrees_with_itself(written, capsys):
    assert cross_version.main(["check", str(written), "--json"]) == 0
    rows = {row["model"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert list(rows) == ["shapes drawn", "jpeg read", "png read", "tiny_knn", "cnn_svm", "sift_svm"]
    assert {row["codes"] for row in rows.values()} == {0}
    assert [rows[name]["fitted anew"] for name in ("tiny_knn", "cnn_svm", "sift_svm")] == [0, 0, 0]
    assert not any(row.get("told") for row in rows.values())


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("tiny_knn predictions", "| tiny_knn | 0 | 0 of 8 | 1 of 8 | 1 of 8 |"),
        ("cnn_svm codes", "| 1 of 8 | 0 of 8 | 0 of 8 |"),
    ],
)
def test_a_difference_is_counted(written, tmp_path, capsys, name, line):
    for path in written.iterdir():
        os.link(path, tmp_path / path.name)
    with np.load(written / "expected.npz") as kept:
        expected = dict(kept)
    expected[name][3] = "none" if name.endswith("predictions") else expected[name][3] + 2e-5 * np.abs(expected[name]).max()
    os.unlink(tmp_path / "expected.npz")
    np.savez(tmp_path / "expected.npz", **expected)
    assert cross_version.main(["check", str(tmp_path)]) == 1
    assert line in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("here_first", [True, False], ids=["from here", "to here"])
def test_another_installation_predicts_the_same(here_first, tmp_path):
    if "FEATREC_OTHER_PYTHON" not in os.environ:
        pytest.skip("FEATREC_OTHER_PYTHON names no Python of another installation")
    pythons = [sys.executable, os.environ["FEATREC_OTHER_PYTHON"]]
    first, second = pythons if here_first else reversed(pythons)
    for python, action in ((first, "write"), (second, "check")):
        done = subprocess.run([python, cross_version.__file__, action, str(tmp_path)], capture_output=True, text=True)
        sys.stdout.write(done.stdout)
        assert done.returncode == 0, done.stderr


def test_every_wheel_of_opencv_has_what_is_used():
    used = {
        node.attr
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cv2"
    }
    assert {"SIFT", "ORB", "dnn"} <= used
    assert not used & CONTRIB
    assert [name for name in used if not hasattr(cv2, name)] == []
