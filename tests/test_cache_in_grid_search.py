"""A grid search through a cached extractor describes each image once, and finds what one without a cache finds."""

import runpy
from pathlib import Path

import cv2
import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import HOG, SIFT, DenseSIFT, DescriptorCache
from featrec.encoders import BagOfWords

FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)
PAGE = Path(__file__).resolve().parents[1] / "docs" / "how_to" / "cache.py"
LOCAL = {"bagofwords__vocabulary": [3, 6]}
GLOBAL = {"linearsvc__C": [0.01, 1]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Paths of 24 images to search with and 8 to predict."""
    train, test = load_dataset("shapes", n_train=24, n_test=8, size=48, random_state=0)
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number, image in enumerate([*(train[i] for i in range(24)), *(test[i] for i in range(8))]):
        paths.append(folder / f"{number:02}.png")
        Image.fromarray(np.asarray(image)).save(paths[-1])
    return paths[:24], np.asarray(train.labels), paths[24:]


def pipeline(extractor):
    if isinstance(extractor, HOG):
        return make_pipeline(extractor, LinearSVC(random_state=0)), GLOBAL
    return make_pipeline(extractor, BagOfWords(random_state=0), LinearSVC(random_state=0)), LOCAL


EXTRACTORS = {
    "SIFT": lambda **cache: SIFT(contrast_threshold=0.001, **cache),
    "DenseSIFT": lambda **cache: DenseSIFT(step=8, bin_sizes=4, **cache),
    "HOG": lambda **cache: HOG(**cache),
}


@pytest.fixture(params=EXTRACTORS)
def extractor(request):
    return EXTRACTORS[request.param]


@pytest.fixture
def cache(tmp_path):
    return DescriptorCache(tmp_path / "cache")


@pytest.mark.parametrize("threads", [1, 3])
def test_each_image_is_described_once(threads, extractor, cache, data):
    X, y, unknown = data
    model, grid = pipeline(extractor(cache=cache))
    with joblib.parallel_config("threading", n_jobs=threads):
        search = GridSearchCV(model, grid, cv=FOLDS, error_score="raise").fit(X, y)
    assert cache.info().misses == len(X), "2 vocabularies, 3 folds, the fit and the test of each, and the last fit"
    first = search.predict(unknown)
    assert (search.predict(unknown) == first).all()
    assert cache.info().misses == len(X) + len(unknown), "the images that are predicted, too"


def test_a_search_with_a_cache_finds_what_one_without_finds(extractor, cache, data):
    X, y, unknown = data
    searches = []
    for used in (None, cache, cache):
        model, grid = pipeline(extractor(cache=used))
        searches.append(GridSearchCV(model, grid, cv=FOLDS, error_score="raise").fit(X, y))
    plain, *cached = searches
    for search in cached:
        for name in (f"split{fold}_test_score" for fold in range(3)):
            np.testing.assert_array_equal(search.cv_results_[name], plain.cv_results_[name])
        np.testing.assert_array_equal(search.decision_function(unknown), plain.decision_function(unknown))


def test_a_changed_file_parameter_and_opencv_each_miss(extractor, cache, data, tmp_path, monkeypatch):
    X, y, _ = data
    copies = [tmp_path / path.name for path in X]
    for path, copy in zip(X, copies, strict=True):
        copy.write_bytes(path.read_bytes())

    def described_by_a_search(**parameters):
        model, grid = pipeline(extractor(cache=cache).set_params(**parameters))
        before = cache.info().misses
        GridSearchCV(model, grid, cv=FOLDS, error_score="raise").fit(copies, y)
        return cache.info().misses - before

    assert described_by_a_search() == 24
    assert described_by_a_search() == 0
    Image.fromarray(255 - np.asarray(Image.open(copies[7]))).save(copies[7])
    assert described_by_a_search() == 1
    changed = {HOG: {"orientations": 8}, SIFT: {"sigma": 1.5}, DenseSIFT: {"window_size": 2.0}}[type(extractor())]
    assert described_by_a_search(**changed) == 24
    monkeypatch.setattr(cv2, "__version__", "4.0.0")
    assert described_by_a_search() == 24


def test_an_extractor_itself_may_be_searched(data, cache):
    X, y, _ = data
    model = make_pipeline(HOG(cache=cache), LinearSVC(random_state=0))
    grid = {"hog__orientations": [6, 9], "hog__cache": [None, cache]}
    search = GridSearchCV(model, grid, cv=FOLDS, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores[:2], scores[2:])


def test_the_how_to_runs(data, cache):
    X, y, _ = data
    grid = {"bagofwords__vocabulary": [3, 4, 5, 6]}
    runpy.run_path(str(PAGE))["search"](SIFT(contrast_threshold=0.001, cache=cache)).set_params(param_grid=grid).fit(X, y)
    assert cache.info().misses == 24
    assert cache.info().hits == 24 * 21, "wanted 22 times, as the page says"
