"""WideRidge equals scikit-learn's RidgeClassifier; leave-one-out scores equal those of models fitted without the row."""

import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from featrec.classifiers import WideRidge, WideScaler, _wide_ridge, _wide_scaler


def material(n=90, d=40, n_classes=4, away=0.4, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    codes = random.normal(size=(n, d)) + 3 + away * random.normal(size=(n_classes, d))[labels]
    return codes.astype(np.float32), np.array([f"class {label}" for label in labels])


@pytest.fixture(params=["float64", "float32"])
def kept_in(request, monkeypatch):
    """Large problems are solved in float32 and in pieces; small ones in float64."""
    if request.param == "float32":
        monkeypatch.setattr(_wide_ridge, "SMALL", 0)
        for name in ("GRAM_ROWS", "GRAM_COLUMNS", "SWEPT_ROWS"):
            monkeypatch.setattr(_wide_scaler, name, 17)
    return request.param


@pytest.mark.parametrize(("n", "d"), [(90, 40), (40, 90)])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alphas", [0.02, (0.02, 0.1, 1.0, 3.0)])
def test_the_solution_is_that_of_scikit_learn(n, d, n_classes, weighted, alphas, kept_in):
    codes, labels = material(n, d, n_classes)
    others, _ = material(50, d, n_classes, seed=1)
    weights = np.random.default_rng(1).uniform(0.1, 5, n) if weighted else None
    class_weight, times = ({"class 0": 3.0}, 2.5) if weighted else (None, 1)
    ours = WideRidge(alphas=alphas, class_weight=class_weight).fit(codes, labels, weights)
    theirs = RidgeClassifier(alpha=ours.penalty_, class_weight=class_weight).fit(codes.astype(float), labels, weights)
    assert ours.coef_.dtype == np.float32
    # For two classes, some versions of scikit-learn return a vector.
    np.testing.assert_allclose(ours.coef_, np.atleast_2d(theirs.coef_), atol=times * 2e-5 * np.abs(theirs.coef_).max())
    np.testing.assert_allclose(ours.intercept_, np.atleast_1d(theirs.intercept_), rtol=times * 1e-4, atol=times * 1e-5)
    np.testing.assert_allclose(ours.decision_function(others), theirs.decision_function(others), atol=times * 2e-5)
    np.testing.assert_array_equal(ours.predict(others), theirs.predict(others))


@pytest.mark.parametrize(("n", "d"), [(90, 40), (40, 90)])
@pytest.mark.parametrize(("n_classes", "weighted"), [(2, False), (4, False), (4, True)])
def test_leave_one_out_scores_are_those_of_models_without_the_row(n, d, n_classes, weighted, kept_in):
    codes, labels = material(n, d, n_classes, away=0.3)
    weights = np.random.default_rng(1).uniform(0.2, 3, n) if weighted else np.ones(n)
    ours = WideRidge(alphas=(0.01, 0.1, 1.0), loo_samples=None).fit(codes, labels, weights)
    scale = ours.penalty_ / ours.alpha_
    expected = []
    for alpha in ours.alphas:
        right = np.zeros(n)
        for i in range(n):
            kept = np.arange(n) != i
            without = RidgeClassifier(alpha=alpha * scale).fit(codes[kept].astype(float), labels[kept], weights[kept])
            right[i] = without.predict(codes[i : i + 1])[0] == labels[i]
        expected.append(np.average(right, weights=weights))
    np.testing.assert_allclose(ours.loo_scores_, expected, atol=1e-12)
    assert len(set(expected)) > 1
    assert ours.loo_scores_[ours.alphas.index(ours.alpha_)] == max(expected)


def test_scaled_and_moved_codes_choose_the_same_penalty():
    codes, labels = material(away=0.3)
    one, other = WideRidge().fit(codes, labels), WideRidge().fit(1000 * codes - 50, labels)
    assert one.alpha_ == other.alpha_
    np.testing.assert_allclose(one.loo_scores_, other.loo_scores_)
    np.testing.assert_allclose(one.decision_function(codes), other.decision_function(1000 * codes - 50), atol=1e-3)


def test_the_number_of_threads_does_not_change_the_model(kept_in):
    codes, labels = material(600, 50)
    one, two = (WideRidge(n_jobs=n_jobs, loo_samples=100).fit(codes, labels) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    np.testing.assert_array_equal(one.loo_scores_, two.loo_scores_)


@pytest.mark.parametrize("alpha", [0.5, np.float32(0.5), [0.5], np.array([0.5])])
def test_a_single_penalty_has_no_leave_one_out_scores(alpha):
    codes, labels = material()
    model = WideRidge(alphas=alpha).fit(codes, labels)
    assert model.alpha_ == 0.5
    assert np.isnan(model.loo_scores_).tolist() == [True]


def test_constant_codes_and_repeated_rows_can_be_fitted():
    constant = WideRidge().fit(np.ones((6, 3)), np.repeat(["a", "b"], [4, 2]))
    assert constant.predict([[1, 1, 1]])[0] == "a"
    codes, labels = material(30, 50)
    doubled = WideRidge(alphas=(1e-3, 1e-2)).fit(np.concatenate([codes, codes]), np.concatenate([labels, labels]))
    assert np.isfinite(doubled.coef_).all()


def test_several_tiles_in_float32():
    codes, labels = material(2600, 2500, away=0.05)
    WideScaler(unit_length=True, copy=False).fit_transform(codes)
    ours = WideRidge(loo_samples=60, n_jobs=2).fit(codes, labels)
    theirs = RidgeClassifier(alpha=ours.penalty_).fit(codes, labels)
    np.testing.assert_allclose(ours.decision_function(codes), theirs.decision_function(codes), atol=2e-3)
    np.testing.assert_array_equal(ours.predict(codes), theirs.predict(codes))


def test_the_codes_are_neither_copied_nor_changed():
    codes, labels = material(60_000, 100)
    before = codes.copy()
    WideRidge(loo_samples=50).fit(codes[:500], labels[:500])
    tracemalloc.start()
    model = WideRidge(loo_samples=50).fit(codes, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(codes, before)
    assert peak < codes.nbytes / 2
    assert peak + codes.nbytes < model.memory_needed(*codes.shape, 4)


def test_memory_is_shown_and_compared_with_the_machine(capsys, monkeypatch):
    assert 4.0e9 < WideRidge(n_jobs=2).memory_needed(50_000, 16_000) < 4.5e9
    codes, labels = material()
    WideRidge(verbose=1).fit(codes, labels)
    shown = capsys.readouterr().err
    assert "GB of memory" in shown
    assert "Cholesky" in shown
    one, many = (WideRidge(n_jobs=n_jobs).memory_needed(2400, 14_400) for n_jobs in (1, 40))
    assert many - one < 40 * (2**25 + 1e7), "a single tile is filled by one worker"
    monkeypatch.setattr(WideRidge, "memory_needed", lambda self, *shape: 10**15)
    with pytest.raises(ValueError, match=r"1e\+06 GB of memory; this machine, or its container, has .* fewer words"):
        WideRidge().fit(codes, labels)


def test_wrong_input_is_refused():
    codes, labels = material()
    with pytest.raises(ValueError, match="at least two classes"):
        WideRidge().fit(codes, ["one"] * len(codes))
    with pytest.raises(ValueError, match="above 0"):
        WideRidge(alphas=(0.1, -1.0)).fit(codes, labels)
    with pytest.raises(ValueError, match=r"alphas from 0\.001 to 1 are too far apart .* 256 times the smallest"):
        WideRidge(alphas=(1e-3, 1.0)).fit(codes, labels)
    with pytest.raises(ValueError, match="NaN"):
        WideRidge().fit(np.full((4, 3), np.nan), labels[:4])
