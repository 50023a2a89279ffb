"""Models with only well-known classes are built without skops, and equal those that skops builds."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from featrec.descriptors import TinyImage
from featrec.persistence import _load, load
from featrec.recipes import color_forest, hog_svm, patches_ridge
from tests.persistence.archives import reloaded, saved

DATA = Path(__file__).parents[1] / "data"
FILES = sorted(DATA.glob("model_v1_*.featrec"))
PROBE = "import sys; from featrec.persistence import load; load(sys.argv[1]); print('skops' in sys.modules)"


def loads_skops():
    command = [sys.executable, "-c", PROBE, "model.featrec"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def by_skops(path, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(_load, "is_known", lambda schema, own: False)
        return load(path)


def attributes(model):
    """Return all values in an object, with their types."""
    if isinstance(model, np.ndarray):
        return ("array", model.dtype, model.shape, model.tolist() if model.dtype.kind != "O" else list(map(attributes, model)))
    if isinstance(model, dict):
        return {key: attributes(value) for key, value in model.items()}
    if isinstance(model, (list, tuple)):
        return [type(model), *map(attributes, model)]
    state = model.__getstate__() if hasattr(model, "__getstate__") and not isinstance(model, type) else None
    return (type(model), attributes(state)) if isinstance(state, (dict, tuple)) else (type(model), repr(model))


@pytest.mark.filterwarnings("ignore::featrec.exceptions.VersionWarning")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_model_equals_that_of_skops(path, monkeypatch):
    calls = []
    build = _load.build
    monkeypatch.setattr(_load, "build", lambda *given: calls.append(given) or build(*given))
    built, other = load(path), by_skops(path, monkeypatch)
    assert len(calls) == 1
    assert attributes(built) == attributes(other)


@pytest.mark.parametrize(
    ("make", "options"), [(hog_svm, {}), (color_forest, {"n_estimators": 10}), (patches_ridge, {"n_words": 20})]
)
def test_models_of_recipes_load_without_skops(make, options, rng):
    images = rng.integers(0, 256, (12, 24, 24, 3), dtype=np.uint8)
    model = make(random_state=0, **options).fit(images, ["a", "b"] * 6)
    assert (reloaded(model).predict(images) == model.predict(images)).all()
    assert loads_skops() == "False\n"


def test_a_model_with_another_part_is_built_by_skops(rng):
    images = rng.integers(0, 256, (12, 24, 24), dtype=np.uint8)
    saved(make_pipeline(TinyImage(size=4), LogisticRegression()).fit(images, ["a", "b"] * 6))
    assert loads_skops() == "True\n"
