"""featrec train --reject, and featrec predict with the reasons; featrec predict --augmented."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.frozen import FrozenEstimator

from featrec.cli import main
from featrec.datasets import ImageFolder
from featrec.persistence import load
from featrec.preprocessing import PredictAugmented
from tests.cli.folders import write_dark_and_light


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dark_and_light(tmp_path_factory.mktemp("images"), 12)


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """An image unlike those of both classes: stripes."""
    path = tmp_path_factory.mktemp("strange") / "stripes.png"
    Image.fromarray(np.tile(np.repeat([[0, 255]], 4, axis=1), (24, 4)).astype(np.uint8)).save(path)
    return path


def train(folder, out, *words):
    return main(["train", str(folder), *words, "--out", str(out), "--holdout", "0", "--n-jobs", "1"])


@pytest.fixture(scope="module")
def rejecting(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "rejecting.featrec"
    assert train(folder, out, "--recipe", "hog_svm", "--reject", "distance", "--coverage", "0.7") == 0
    return out


def test_the_model_file_contains_the_threshold(rejecting):
    model = load(rejecting)
    assert (model.method, model.coverage, model.random_state) == ("distance", 0.7, 0)
    assert np.isfinite(model.threshold_)


def test_reasons_are_printed(folder, rejecting, strange, capsys):
    good = folder / "dark" / "1.png"
    assert main(["predict", str(rejecting), str(good), str(strange)]) == 0
    assert capsys.readouterr().out == f"{good}\tdark\n{strange}\tunknown: none of the known classes\n"
    assert main(["predict", str(rejecting), str(strange), "--top", "2"]) == 0
    path, label, *scores = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (path, label, len(scores)) == (str(strange), "unknown: none of the known classes", 2)


def test_reasons_in_json(folder, rejecting, strange, capsys):
    good = folder / "dark" / "1.png"
    assert main(["predict", str(rejecting), str(good), str(strange), "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    review = load(rejecting).review([str(good), str(strange)])
    assert (first["label"], first["accepted"], first["reason"]) == ("dark", True, None)
    assert (second["label"], second["accepted"], second["reason"]) == ("unknown", False, "none of the known classes")
    assert second["most_likely"] == review.most_likely[1]
    assert [first["confidence"], second["confidence"]] == pytest.approx(review.confidences)
    assert first["scores"]["dark"] == first["confidence"]
    assert "set" not in first


def test_sets_in_json(folder, tmp_path, capsys):
    out = tmp_path / "m"
    assert train(folder, out, "--recipe", "tiny_knn", "--reject", "conformal", "--coverage", "0.75") == 0
    capsys.readouterr()
    assert main(["predict", str(out), str(folder / "dark" / "1.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["set"][0] == "dark"


def test_too_little_to_see(folder, tmp_path, capsys):
    flat = tmp_path / "flat.png"
    Image.new("L", (32, 24), 128).save(flat)
    out = tmp_path / "m"
    options = ["--set", "n_words=4", "--set", "levels=1"]
    assert train(folder, out, "--recipe", "bovw_svm", *options, "--reject", "confidence") == 0
    capsys.readouterr()
    assert main(["predict", str(out), str(flat)]) == 0
    assert capsys.readouterr().out == f"{flat}\tunknown: too little to see\n"


def test_wrong_combinations_are_refused_before_training(folder, tmp_path, capsys):
    out = tmp_path / "m"
    assert train(folder, out, "--recipe", "hog_svm", "--coverage", "0.9") == 2
    assert "--coverage works only with --reject confidence, score, distance or conformal" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        train(folder, out, "--recipe", "hog_svm", "--reject", "distance", "--coverage", "1")
    assert "it must be between 0 and 1, such as 0.9; got 1" in capsys.readouterr().err
    assert train(folder, out, "--recipe", "hog_svm", "--reject", "conformal") == 2
    assert "coverage=0.95 needs at least 19 held-out images; there are 4" in capsys.readouterr().err
    assert not out.exists()


def test_predictions_averaged_over_mirror_images(folder, tmp_path, rejecting, capsys):
    out = tmp_path / "m"
    assert train(folder, out, "--recipe", "hog_svm") == 0
    capsys.readouterr()
    image = folder / "dark" / "1.png"
    assert main(["predict", str(out), str(image), "--augmented", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    images = ImageFolder(folder)
    model = PredictAugmented(FrozenEstimator(load(out))).fit(images, images.labels)
    assert max(found["scores"].values()) == pytest.approx(abs(model.decision_function([str(image)])[0]))
    assert main(["predict", str(rejecting), str(image), "--augmented"]) == 2
    assert "its threshold holds for images as they are, so omit --augmented" in capsys.readouterr().err
