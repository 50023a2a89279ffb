"""HistogramKernel as a callable kernel, and for precomputed kernels and distances."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from featrec.exceptions import InputError
from featrec.pairwise import HistogramKernel, chi2_kernel, intersection_kernel


@pytest.fixture
def codes(rng):
    labels = np.repeat(["kitchen", "forest", "coast"], 25)
    counts = rng.gamma(0.7, 1.0, (75, 20)) + 0.6 * np.repeat(rng.random((3, 20)) > 0.7, 25, axis=0)
    order = rng.permutation(75)
    return (counts / counts.sum(axis=1, keepdims=True))[order], labels[order]


@pytest.mark.parametrize("kernel", [HistogramKernel(), HistogramKernel("chi2", gamma=2.0, n_jobs=2)])
def test_callable_and_precomputed_svm_agree(codes, kernel):
    X, y = codes
    called = clone(SVC(kernel=kernel, C=10)).fit(X[:50], y[:50])
    computed = make_pipeline(kernel, SVC(kernel="precomputed", C=10)).fit(X[:50], y[:50])
    np.testing.assert_allclose(called.decision_function(X[50:]), computed.decision_function(X[50:]), atol=1e-4)
    assert called.score(X[50:], y[50:]) > 0.6
    again = pickle.loads(pickle.dumps(called))
    np.testing.assert_array_equal(again.decision_function(X), called.decision_function(X))


def test_the_call_returns_the_kernel_for_any_output(codes):
    X, _ = codes
    np.testing.assert_array_equal(HistogramKernel(output="distance")(X, X[:5]), intersection_kernel(X, X[:5]))
    np.testing.assert_array_equal(HistogramKernel("chi2", gamma=3.0)(X), chi2_kernel(X, gamma=3.0))


@pytest.mark.parametrize("kind", ["intersection", "chi2"])
def test_neighbours_by_precomputed_distance(codes, kind):
    X, y = codes
    kernel = HistogramKernel(kind, output="distance")
    model = make_pipeline(kernel, KNeighborsClassifier(3, metric="precomputed")).fit(X[:50], y[:50])
    similarity = HistogramKernel(kind)(X[50:], X[:50])
    nearest = np.argsort(-similarity, axis=1)[:, :3]
    found = model[-1].kneighbors(model[:-1].transform(X[50:]), return_distance=False)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(nearest, axis=1))


def test_gamma_mean_is_the_reciprocal_of_the_mean_training_distance(codes):
    X, _ = codes
    kernel = HistogramKernel("chi2", gamma="mean").fit(X)
    mean = -np.log(chi2_kernel(X).astype(float)).mean()
    assert kernel.gamma_ == pytest.approx(1 / mean, rel=1e-4)
    np.testing.assert_allclose(kernel.transform(X[:5]), chi2_kernel(X[:5], X, gamma=1 / mean), rtol=1e-4)


def test_grid_search_sets_its_parameters(codes):
    X, y = codes
    splits = list(KFold(3).split(X))
    called = GridSearchCV(SVC(kernel=HistogramKernel("chi2")), {"kernel__gamma": [0.1, 5.0]}, cv=splits).fit(X, y)
    step = make_pipeline(HistogramKernel("chi2"), SVC(kernel="precomputed"))
    computed = GridSearchCV(step, {"histogramkernel__gamma": [0.1, 5.0]}, cv=splits).fit(X, y)
    np.testing.assert_allclose(called.cv_results_["mean_test_score"], computed.cv_results_["mean_test_score"])


def test_columns_are_training_codes(codes):
    X, _ = codes
    kernel = HistogramKernel().set_output(transform="pandas").fit(X[:4])
    assert kernel.transform(X).columns.tolist() == [f"histogramkernel{i}" for i in range(4)]


def test_later_changes_of_the_training_codes_have_no_effect(codes):
    X = np.ascontiguousarray(codes[0], np.float32)
    kernel = HistogramKernel().fit(X)
    before = kernel.transform(X[:3])
    held = X[:3].copy()
    X[:] = 0
    np.testing.assert_array_equal(kernel.transform(held), before)


def test_errors_give_advice(codes):
    X, y = codes
    with pytest.raises(InputError, match=r'gamma="mean"\) needs the training codes.*precomputed'):
        SVC(kernel=HistogramKernel("chi2", gamma="mean")).fit(X, y)
    with pytest.raises(InputError, match=r"Negative values in data passed to HistogramKernel"):
        HistogramKernel().fit(-X)
