"""A grid search over words and pyramids equals a loop by hand, on every form of input."""

from itertools import product

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import ImageFolder, load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords, SpatialPyramid

FOLDS = StratifiedKFold(2, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def ragged():
    train, _ = load_dataset("shapes", n_train=32, n_test=8, random_state=1)
    images = [np.asarray(train[i])[: 96 - i % 7, : 96 - i % 5] for i in range(len(train))]
    return images, np.asarray(train.labels)


@pytest.fixture(scope="module")
def folder(ragged, tmp_path_factory):
    root = tmp_path_factory.mktemp("folder")
    for i, (image, label) in enumerate(zip(*ragged, strict=True)):
        (root / label).mkdir(exist_ok=True)
        Image.fromarray(image).save(root / label / f"{i:03}.png")
    return ImageFolder(root)


def plain():
    return make_pipeline(DenseSIFT(step=8, bin_sizes=4), BagOfWords(5, random_state=0), LinearSVC(random_state=0))


def nested():
    pyramid = SpatialPyramid(BagOfWords(5, random_state=0), levels=1)
    return make_pipeline(DenseSIFT(step=8, bin_sizes=4), pyramid, LinearSVC(random_state=0))


WORDS = {"bagofwords__vocabulary": [4, 9], "bagofwords__norm": ["l1", "hellinger"]}
REGIONS = {"spatialpyramid__encoder__vocabulary": [4, 9], "spatialpyramid__levels": [1, [(1, 1), (2, 2)]]}


def by_hand(model, grid, X, y):
    """Mean accuracy over the folds for each point of the grid, in GridSearchCV's order."""
    names = sorted(grid)
    means = []
    for values in product(*(grid[name] for name in names)):
        scores = []
        for train, test in FOLDS.split(np.zeros(len(y)), y):
            fitted = clone(model).set_params(**dict(zip(names, values, strict=True))).fit([X[i] for i in train], y[train])
            scores.append((fitted.predict([X[i] for i in test]) == y[test]).mean())
        means.append(np.mean(scores))
    return means


@pytest.mark.parametrize(
    ("make", "grid", "form", "n_jobs"),
    [
        (plain, WORDS, "arrays", 1),
        (plain, WORDS, "paths", 2),
        (nested, REGIONS, "arrays", 2),
        (nested, REGIONS, "folder", 1),
    ],
)
def test_grid_search_equals_a_loop_by_hand(ragged, folder, make, grid, form, n_jobs):
    images = {"arrays": ragged[0], "paths": list(folder.paths), "folder": folder}
    X, y = images[form], ragged[1] if form == "arrays" else folder.labels
    search = GridSearchCV(make(), grid, cv=FOLDS, n_jobs=n_jobs, error_score="raise").fit(X, y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], by_hand(make(), grid, X, y))
    assert len(search.predict(X)) == len(y)


def test_a_grid_may_be_searched_over_kinds_of_vocabulary(ragged):
    from sklearn.cluster import MiniBatchKMeans

    from featrec.vocabularies import KMeansVocabulary

    kinds = [4, KMeansVocabulary(4, random_state=0), MiniBatchKMeans(4, n_init=1, random_state=0)]
    search = GridSearchCV(plain(), {"bagofwords__vocabulary": kinds}, cv=2, error_score="raise").fit(*ragged)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
