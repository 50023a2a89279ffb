"""WideLinearSVC against scikit-learn's LinearSVC on the codes themselves."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.svm import LinearSVC

from featrec.classifiers import WideLinearSVC
from featrec.exceptions import InputError


def wide(n_classes=4, n=60, d=400, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    codes = random.normal(size=(n, d)).astype(np.float32)
    codes[:, :40] += 2 * random.normal(size=(n_classes, 40))[labels]
    return codes / np.linalg.norm(codes, axis=1, keepdims=True), np.array([f"class {label}" for label in labels])


def exact(**options):
    return LinearSVC(dual=False, tol=1e-8, max_iter=5000, **options)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("C", [0.1, 10.0])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_the_same_solution_as_in_the_codes_themselves(n_classes, C, class_weight):
    codes, labels = wide(n_classes)
    codes, labels = codes[:50], labels[:50]
    weights = np.random.default_rng(1).uniform(0.5, 2, len(codes))
    ours = WideLinearSVC(C=C, class_weight=class_weight, tol=1e-8).fit(codes, labels, weights)
    theirs = exact(C=C, class_weight=class_weight).fit(codes, labels, weights)
    others, _ = wide(n_classes, n=30, seed=2)
    assert ours.coef_.dtype == np.float32
    np.testing.assert_allclose(ours.decision_function(others), theirs.decision_function(others), atol=2e-4)
    np.testing.assert_array_equal(ours.predict(codes), theirs.predict(codes))


def test_narrow_codes_are_passed_to_scikit_learn():
    codes, labels = make_classification(200, 20, n_informative=8, n_classes=3, random_state=0)
    ours = WideLinearSVC(C=0.5).fit(codes, labels)
    theirs = LinearSVC(C=0.5, dual=False).fit(codes.astype(np.float32), labels)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)


def test_repeated_and_empty_codes_can_be_fitted():
    codes, labels = wide()
    codes = np.concatenate([codes, codes[:20], np.zeros((3, codes.shape[1]), np.float32)])
    labels = np.concatenate([labels, labels[:20], labels[:3]])
    model = WideLinearSVC(tol=1e-8).fit(codes, labels)
    assert np.isfinite(model.coef_).all()
    expected = exact().fit(codes, labels).decision_function(codes)
    np.testing.assert_allclose(model.decision_function(codes), expected, atol=2e-3)
    empty = np.zeros((6, 30), np.float32)
    assert np.isfinite(WideLinearSVC().fit(empty, np.repeat(["a", "b"], 3)).decision_function(empty)).all()


def test_thousands_of_codes_of_nearly_one_direction_are_separated():
    random = np.random.default_rng(0)
    codes = (random.random((1500, 3)) @ random.random((3, 3000))).astype(np.float32)
    labels = codes[:, 0] > np.median(codes[:, 0])
    assert WideLinearSVC(C=10.0).fit(codes, labels).score(codes, labels) > 0.95


def test_the_error_for_codes_that_cannot_be_factored_gives_advice(monkeypatch):
    monkeypatch.setattr("featrec.classifiers._wide_linear_svc.RIDGES", (-2.0,))
    with pytest.raises(InputError, match=r"cannot be factored; use codes of unit length \(Normalizer\(\)\)"):
        WideLinearSVC().fit(*wide())


def test_a_repeated_row_is_a_doubled_weight():
    codes, labels = wide()
    weights = 1.0 + (np.arange(len(codes)) < 20)
    weighted = WideLinearSVC(tol=1e-8).fit(codes, labels, weights)
    repeated = WideLinearSVC(tol=1e-8).fit(np.concatenate([codes, codes[:20]]), np.concatenate([labels, labels[:20]]))
    np.testing.assert_allclose(weighted.decision_function(codes), repeated.decision_function(codes), atol=1e-4)


def test_the_number_of_threads_does_not_change_the_model():
    codes, labels = wide(n=70, d=40_000)
    one, two = (WideLinearSVC(n_jobs=n_jobs).fit(codes, labels) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)
