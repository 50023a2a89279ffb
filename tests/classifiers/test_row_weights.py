"""Row and class weights; those of WideRidge against scikit-learn are in test_wide_ridge.py."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import balanced_accuracy_score

from featrec.classifiers import KernelRidgeClassifier, NystroemRidgeClassifier, WideRidge
from featrec.exceptions import InputError
from tests.classifiers.test_wide_ridge import material


@pytest.mark.parametrize(("landmarks", "solver"), [(None, "cholesky"), (None, "cg"), (30, "cholesky")])
@pytest.mark.parametrize("alphas", [0.1, (0.05, 0.2)])
def test_kernel_ridge_with_weights_is_that_of_scikit_learn(landmarks, solver, alphas):
    codes, labels = material(60, 12)
    weights = np.random.default_rng(1).uniform(0.1, 5, 60)
    model = KernelRidgeClassifier(alphas=alphas, landmarks=landmarks, solver=solver, random_state=0)
    model.fit(codes, labels, weights)
    targets = np.where(labels[:, None] == model.classes_, 1.0, -1.0)
    means = np.average(targets, axis=0, weights=weights)
    others, _ = material(30, 12, seed=1)
    if landmarks is None:
        theirs = KernelRidge(kernel="rbf", gamma=model.scale_, alpha=model.alpha_).fit(codes, targets - means, weights)
        expected = theirs.predict(others) + means
    else:
        expected = nystroem(codes, others, targets - means, weights, model) + means
    np.testing.assert_allclose(model.decision_function(others), expected, atol=2e-3)


def nystroem(codes, others, targets, weights, model):
    """Solve weighted ridge regression in the span of the landmarks by normal equations."""
    kept = model.X_fit_.astype(float)

    def kernel(left):
        return np.exp(-model.scale_ * ((left[:, None].astype(float) - kept) ** 2).sum(axis=2))

    root = np.linalg.cholesky(kernel(kept) + 1e-5 * np.eye(len(kept)))
    features = np.linalg.solve(root, kernel(codes).T)
    normal = (features * weights) @ features.T + model.alpha_ * np.eye(len(kept))
    solved = np.linalg.solve(normal, (features * weights) @ targets)
    return np.linalg.solve(root, kernel(others).T).T @ solved


@pytest.mark.parametrize("options", [{}, {"solver": "cg"}, {"landmarks": 20}])
def test_held_out_scores_of_kernel_ridge_count_by_the_weights(options):
    codes, labels = material(60, 12)
    weights = np.where(labels == "class 0", 1.0, 1e-9)
    model = KernelRidgeClassifier(held_out=0.5, random_state=0, **options).fit(codes, labels, weights)
    # Only one class has a weight, so nearly all held-out rows with weight are of this class and predicted correctly.
    np.testing.assert_allclose(model.held_out_scores_, 1.0, atol=1e-6)


KERNELS = [KernelRidgeClassifier(random_state=0), NystroemRidgeClassifier(random_state=0)]


@pytest.mark.parametrize("model", [WideRidge(alphas=0.1), WideRidge(), *KERNELS], ids=str)
def test_rows_of_weight_0_are_left_out(model):
    codes, labels = material(60, 20)
    weights = (np.arange(60) % 3 > 0).astype(float)
    scores = model.fit(codes, labels, weights).decision_function(codes)
    kept = weights > 0
    np.testing.assert_array_equal(model.fit(codes[kept], labels[kept]).decision_function(codes), scores)


@pytest.mark.parametrize("model", [WideRidge(), WideRidge(loo_samples=None), *KERNELS], ids=str)
def test_balanced_weights_help_the_small_class(model):
    random = np.random.default_rng(0)
    sizes = (400, 12)
    labels = np.repeat(["often", "seldom"], sizes)
    codes = random.normal(size=(sum(sizes), 10)) + 1.0 * (labels == "seldom")[:, None] * np.eye(10)[0]
    test = random.normal(size=(400, 10)) + 1.0 * (np.arange(400) % 2)[:, None] * np.eye(10)[0]
    truth = np.where(np.arange(400) % 2, "seldom", "often")
    plain, balanced = (
        balanced_accuracy_score(
            truth, model.set_params(class_weight=weight).fit(codes.astype(np.float32), labels).predict(test)
        )
        for weight in (None, "balanced")
    )
    assert balanced > plain + 0.05


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (np.ones(5), r"one number for each of the 60 rows; got an array of shape \(5,\)"),
        (np.ones((60, 1)), r"shape \(60, 1\)"),
        (np.r_[np.ones(59), -1], "item 59 is -1"),
        (np.r_[np.nan, np.ones(59)], "item 0 is nan"),
        (np.zeros(60), "every sample_weight is zero"),
        (["heavy"] * 60, "one number for each row"),
    ],
)
@pytest.mark.parametrize("model", [WideRidge(), KernelRidgeClassifier()])
def test_wrong_weights_are_refused(model, weights, match):
    codes, labels = material(60, 20)
    with pytest.raises(InputError, match=match):
        model.fit(codes, labels, weights)
