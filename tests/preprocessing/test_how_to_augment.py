import importlib.util
from pathlib import Path

import numpy as np

from featrec.datasets import load_dataset

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how_to" / "augment.py"


def test_the_how_to_runs():
    specification = importlib.util.spec_from_file_location("augment", PAGE)
    page = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(page)
    train, _ = load_dataset("shapes", n_train=24, n_test=1, size=48)
    found = page.scores(
        train, train.labels, {name: page.SETTINGS[name] for name in ("as they are", "rotated")}, copies=1, folds=3
    )
    assert list(found) == ["as they are", "rotated"]
    assert np.isfinite(list(found.values())).all()
