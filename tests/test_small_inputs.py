"""Small images come in many forms; the recipes for them give the same answer to all."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from featrec import recipes
from featrec.datasets import load_dataset
from featrec.preprocessing import Unflatten

NETWORKS = [pytest.param(name, marks=pytest.mark.slow) for name in ("pixels_lenet5", "pixels_resnet")]
SMALL = ("patches_ridge", "patches_kernel", "hog_svm", "lbp_svm", *NETWORKS)
QUICK = {
    "patches_ridge": {"n_words": 40},
    "patches_kernel": {"n_words": 40},
    "hog_svm": {"deskew": True, "n_dimensions": 20},
    "pixels_lenet5": {"epochs": 60},
    "pixels_resnet": {"width": 8, "epochs": 8},
}
N_TRAIN, N_TEST = 60, 30


@pytest.fixture(scope="module")
def digits():
    """Images of 28×28 bytes: the digits that ship, three times as large, with a margin."""
    train, test = load_dataset("digits")
    large = [
        np.pad(np.kron(np.stack(list(part[:n])), np.ones((3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
        for part, n in ((train, N_TRAIN), (test, N_TEST))
    ]
    return large[0], np.asarray(train.labels[:N_TRAIN]), large[1]


@pytest.fixture(scope="module", params=SMALL)
def recipe(request):
    if request.param.startswith("pixels"):
        pytest.importorskip("skorch", reason="networks need the extra torch")
    return recipes.make(request.param, **QUICK.get(request.param, {}))


@pytest.fixture(scope="module")
def fitted(recipe, digits):
    return clone(recipe).fit(*digits[:2])


def as_files(images, folder):
    paths = [folder / f"{place:03}.png" for place in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return [str(path) for path in paths]


def as_frame(images, dtype):
    """What fetch_openml gives: a column for each pixel, whole numbers from 0 to 255 as floats or integers."""
    names = [f"pixel{place}" for place in range(1, 785)]
    index = [f"row {place}" for place in range(len(images))][::-1]
    return pd.DataFrame(images.reshape(len(images), -1).astype(dtype), columns=names, index=index)


def test_every_form_gives_the_same_predictions(recipe, fitted, digits, tmp_path):
    train, labels, test = digits
    expected = fitted.predict(test)
    assert len(set(expected)) > 1
    forms = {
        "list": (list, None),
        "with a channel": (lambda images: images[..., None], None),
        "rows": (lambda images: images.reshape(len(images), -1), None),
        "frame of floats": (lambda images: as_frame(images, np.float64), 255),
        "frame of integers": (lambda images: as_frame(images, np.int64), None),
    }
    for form, (change, white) in forms.items():
        flat = np.ndim(change(test)) == 2
        model = make_pipeline(Unflatten((28, 28), max_value=white), clone(recipe)) if flat else clone(recipe)
        assert (model.fit(change(train), labels).predict(change(test)) == expected).all(), form
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
    model = clone(recipe).fit(as_files(train, tmp_path / "train"), labels)
    assert (model.predict(as_files(test, tmp_path / "test")) == expected).all(), "paths"


def test_a_model_accepts_other_forms_than_it_was_fitted_on(fitted, digits, tmp_path):
    test = digits[2]
    expected = fitted.predict(test)
    assert (fitted.predict(as_files(test, tmp_path)) == expected).all()
    frame = as_frame(test, np.float64)
    assert (fitted.predict(Unflatten((28, 28), max_value=255).transform(frame)) == expected).all()
