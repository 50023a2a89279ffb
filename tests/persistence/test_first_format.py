"""Every later version reads files of the first format and predicts the same."""

import json
import warnings

import numpy as np
import pytest
import sklearn

from featrec.exceptions import ModelFileError, VersionWarning
from featrec.persistence import load
from tests.data.make_model_fixtures import FOLDER, LABELS, PREFIX, models, pictures, scores
from tests.persistence.archives import unpacked

ANSWERS = json.loads((FOLDER / f"{PREFIX}.json").read_text(encoding="utf-8"))


def read(name):
    """Load a file. A different minor version of scikit-learn may not support its older objects."""
    path = FOLDER / f"{PREFIX}_{name}.featrec"
    written = unpacked(path.read_bytes())[0]["versions"]["scikit-learn"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionWarning)
            return load(path)
    except ModelFileError:
        if written.split(".")[:2] == sklearn.__version__.split(".")[:2]:
            raise
        pytest.skip(f"scikit-learn {sklearn.__version__} cannot read the objects of {written}")


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_files_of_the_first_format_give_the_same_predictions(name):
    model, given = read(name), pictures()
    assert model.predict(given).tolist() == ANSWERS[name]["labels"]
    assert scores(model, given) == pytest.approx(np.array(ANSWERS[name]["scores"]), abs=2e-3)


def test_the_predictions_are_not_trivial():
    assert sorted(ANSWERS) == sorted(models())
    for name, answer in ANSWERS.items():
        assert (np.array(answer["labels"]) == LABELS).mean() > 0.85, name


def test_the_files_are_small_and_of_the_first_format():
    for name in ANSWERS:
        data = (FOLDER / f"{PREFIX}_{name}.featrec").read_bytes()
        assert len(data) < 100_000
        assert unpacked(data)[0]["format"] == 1
