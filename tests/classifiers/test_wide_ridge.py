"""WideRidge against scikit-learn's RidgeClassifier, and its rows left out against models fitted without them."""

import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from featrec.classifiers import WideRidge, WideScaler, _wide_ridge
from featrec.classifiers._centred_codes import CentredCodes
from featrec.classifiers._conjugate_gradients import conjugate_gradients
from featrec.classifiers._memory import OF_BLAS
from featrec.classifiers._shifted_factor import ShiftedFactor
from featrec.classifiers._triangle import Triangle
from featrec.persistence import load, save

SHAPES = [(90, 40), (40, 90)]


def material(n=90, d=40, n_classes=4, away=0.4, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    codes = random.normal(size=(n, d)) + 3 + away * random.normal(size=(n_classes, d))[labels]
    return codes.astype(np.float32), np.array([f"class {label}" for label in labels])


@pytest.fixture(params=["float64", "float32"])
def kept_in(request, monkeypatch):
    """Small problems are solved in float64; the other way is that of large ones."""
    if request.param == "float32":
        monkeypatch.setattr(_wide_ridge, "SMALL", 0)
    return request.param


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("alphas", [0.02, (0.02, 0.1, 1.0, 3.0)])
def test_it_finds_what_scikit_learn_finds(n, d, n_classes, alphas, kept_in):
    codes, labels = material(n, d, n_classes)
    others, _ = material(50, d, n_classes, seed=1)
    ours = WideRidge(alphas=alphas).fit(codes, labels)
    theirs = RidgeClassifier(alpha=ours.penalty_).fit(codes.astype(float), labels)
    assert ours.coef_.dtype == np.float32
    # Two classes have one row here, and none in some versions of scikit-learn.
    np.testing.assert_allclose(ours.coef_, np.atleast_2d(theirs.coef_), atol=2e-5 * np.abs(theirs.coef_).max())
    np.testing.assert_allclose(ours.intercept_, np.atleast_1d(theirs.intercept_), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.decision_function(others), theirs.decision_function(others), atol=2e-5)
    np.testing.assert_array_equal(ours.predict(others), theirs.predict(others))


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_scores_are_those_of_models_without_the_row(n, d, n_classes, kept_in):
    codes, labels = material(n, d, n_classes, away=0.3)
    ours = WideRidge(alphas=(0.01, 0.1, 1.0), loo_samples=None).fit(codes, labels)
    scale = ours.penalty_ / ours.alpha_
    expected = []
    for alpha in ours.alphas:
        right = 0
        for i in range(n):
            without = RidgeClassifier(alpha=alpha * scale).fit(np.delete(codes, i, 0).astype(float), np.delete(labels, i))
            right += without.predict(codes[i : i + 1])[0] == labels[i]
        expected.append(right / n)
    np.testing.assert_allclose(ours.loo_scores_, expected, atol=1e-12)
    assert len(set(expected)) > 1
    assert ours.loo_scores_[ours.alphas.index(ours.alpha_)] == max(expected)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_residuals_and_leverages_are_those_of_the_formula(n, d, kept_in):
    codes, _ = material(n, d)
    targets = np.random.default_rng(1).normal(size=(n, 3)).astype(np.float32)
    system = _wide_ridge._System.of(codes, targets, None)
    assert system.size == min(n, d)
    triangle, penalties = system.gram(0), [0.05 * system.scale, 0.3 * system.scale, 2 * system.scale]
    triangle.add_to_diagonal(penalties[1])
    triangle.cholesky()
    factor = ShiftedFactor(triangle, penalties[1], penalties)
    rows = np.array([3, 0, n - 1])
    left = system.one_less_leverage(factor, rows)
    residuals = system.residuals(penalties, factor.solutions(system.right), rows)
    centred = codes - codes.mean(axis=0, dtype=float)
    for i, penalty in enumerate(penalties):
        hat = centred @ np.linalg.solve(centred.T @ centred + penalty * np.eye(d), centred.T) + 1 / n
        np.testing.assert_allclose(left[i], 1 - np.diag(hat)[rows], rtol=2e-3 if i != 1 else 1e-5)
        np.testing.assert_allclose(residuals[i], (targets - hat @ targets)[rows], atol=2e-3)


def test_one_factor_serves_other_penalties():
    random = np.random.default_rng(0)
    root = random.normal(size=(60, 60)) * np.geomspace(1, 1e-2, 60)
    gram, right = root @ root.T, random.normal(size=(60, 70))
    factor = Triangle(60, 16, dtype=np.float64)
    factor.fill(lambda rows, columns, out: np.copyto(out, gram[rows, columns]))
    factor.add_to_diagonal(0.5)
    factor.cholesky()
    penalties = [0.05, 0.5, 8.0]
    shifted = ShiftedFactor(factor, 0.5, penalties)
    solutions = shifted.solutions(right)
    forms = shifted.forms(right, lambda forms, bounds: bool(np.all(bounds < 1e-9 * forms)))
    for penalty, solution, form in zip(penalties, solutions, forms, strict=True):
        exact = np.linalg.solve(gram + penalty * np.eye(60), right)
        np.testing.assert_allclose(solution, exact, atol=2e-4 * np.abs(exact).max())
        np.testing.assert_allclose(form, (right * exact).sum(axis=0), rtol=1e-8)


def test_bounds_hold_at_every_step():
    random = np.random.default_rng(0)
    root = random.normal(size=(50, 50)) * np.geomspace(1, 1e-2, 50)
    gram, right = root @ root.T, random.normal(size=(50, 4))
    factor = Triangle(50, dtype=np.float64)
    factor.fill(lambda rows, columns, out: np.copyto(out, gram[rows, columns]))
    factor.add_to_diagonal(0.5)
    factor.cholesky()
    penalties = [0.05, 4.0]
    exact = np.array([(right * np.linalg.solve(gram + penalty * np.eye(50), right)).sum(axis=0) for penalty in penalties])
    seen = []

    def enough(forms, bounds):
        seen.append(forms.copy())
        assert np.all(forms <= exact * (1 + 1e-9))
        assert np.all(exact - forms <= bounds + 1e-9 * exact)
        return len(seen) == 10

    ShiftedFactor(factor, 0.5, penalties).forms(right, enough)
    assert len(seen) == 10


def test_conjugate_gradients_reach_the_solution_from_a_rough_guess(rng):
    root, right = rng.normal(size=(30, 30)), rng.normal(size=(30, 3))
    right[:, 1] = 0
    matrix = root @ root.T + 5 * np.eye(30)
    rough = np.linalg.inv(matrix + 0.1 * np.eye(30))
    found = conjugate_gradients(lambda x: matrix @ x, lambda b: rough @ b, right, np.zeros((30, 3)))
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_with_centred_codes(rng, monkeypatch, dtype):
    from featrec.classifiers import _centred_codes

    for name in ("GRAM_ROWS", "GRAM_COLUMNS", "SWEPT_ROWS"):
        monkeypatch.setattr(_centred_codes, name, 7)
    codes = (rng.normal(size=(30, 20)) + 100).astype(np.float32)
    exact = codes.astype(float) - codes.mean(axis=0, dtype=float)
    centred = CentredCodes(codes, dtype, n_jobs=2)
    tolerance = {"atol": 1e-3 if dtype == np.float32 else 1e-9}
    np.testing.assert_allclose(centred.mean_squared_length, (exact**2).sum(axis=1).mean(), rtol=1e-6)
    weights, shares = rng.normal(size=(20, 2)), rng.normal(size=(30, 2))
    np.testing.assert_allclose(centred.times(weights), exact @ weights, **tolerance)
    np.testing.assert_allclose(centred.transposed_times(shares), exact.T @ shares, **tolerance)
    np.testing.assert_allclose(centred.squared_times(weights), exact.T @ exact @ weights, **tolerance)
    for part, gram in ((centred.gram_of_columns, exact.T @ exact), (centred.gram_of_rows, exact @ exact.T)):
        for rows, columns in ((slice(8, 16), slice(0, 8)), (slice(4, 12), slice(4, 12))):
            out = np.full((8, 8), np.nan, dtype)
            part(rows, columns, out)
            np.testing.assert_allclose(out, gram[rows, columns], **tolerance)


def test_scaled_and_moved_codes_choose_the_same_penalty():
    codes, labels = material(away=0.3)
    one, other = WideRidge().fit(codes, labels), WideRidge().fit(1000 * codes - 50, labels)
    assert one.alpha_ == other.alpha_
    np.testing.assert_allclose(one.loo_scores_, other.loo_scores_)
    np.testing.assert_allclose(one.decision_function(codes), other.decision_function(1000 * codes - 50), atol=1e-3)


def test_threads_change_nothing(kept_in):
    codes, labels = material(600, 50)
    one, two = (WideRidge(n_jobs=n_jobs, loo_samples=100).fit(codes, labels) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    np.testing.assert_array_equal(one.loo_scores_, two.loo_scores_)


def test_rows_left_out_are_spread_over_the_classes():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    rows = _wide_ridge._spread(labels, 100)
    assert len(np.unique(rows)) == 100
    np.testing.assert_allclose(np.bincount(labels[rows]), [60, 30, 10], atol=1)
    np.testing.assert_array_equal(_wide_ridge._spread(labels, None), np.arange(1000))
    np.testing.assert_array_equal(_wide_ridge._spread(labels, 5000), np.arange(1000))


@pytest.mark.parametrize("alpha", [0.5, np.float32(0.5), [0.5], np.array([0.5])])
def test_one_penalty_leaves_nothing_to_choose(alpha):
    codes, labels = material()
    model = WideRidge(alphas=alpha).fit(codes, labels)
    assert model.alpha_ == 0.5
    assert np.isnan(model.loo_scores_).tolist() == [True]


def test_codes_without_differences_and_copies_of_rows():
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


def test_the_memory_is_told_and_held_against_the_machine(capsys, monkeypatch):
    assert 4.0e9 < WideRidge(n_jobs=2).memory_needed(50_000, 16_000) < 4.5e9
    codes, labels = material()
    WideRidge(verbose=1).fit(codes, labels)
    told = capsys.readouterr().err
    assert "GB of memory" in told
    assert "Cholesky" in told
    one, many = (WideRidge(n_jobs=n_jobs).memory_needed(2400, 14_400) for n_jobs in (1, 40))
    assert many - one < 40 * (OF_BLAS + 1e7), "there is one tile, and one worker that fills it"
    monkeypatch.setattr(WideRidge, "memory_needed", lambda self, *shape: 10**15)
    with pytest.raises(ValueError, match=r"1e\+06 GB of memory and this machine, or its container, has .* fewer words"):
        WideRidge().fit(codes, labels)


def test_it_is_saved_and_loaded(tmp_path):
    codes, labels = material()
    model = WideRidge().fit(codes, labels)
    save(model, tmp_path / "ridge.featrec")
    again = load(tmp_path / "ridge.featrec")
    np.testing.assert_array_equal(again.decision_function(codes), model.decision_function(codes))
    assert again.alpha_ == model.alpha_


def test_what_it_refuses():
    codes, labels = material()
    with pytest.raises(ValueError, match="at least two classes"):
        WideRidge().fit(codes, ["one"] * len(codes))
    with pytest.raises(ValueError, match="above 0"):
        WideRidge(alphas=(0.1, -1.0)).fit(codes, labels)
    with pytest.raises(ValueError, match="too far apart"):
        WideRidge(alphas=(1e-3, 1.0)).fit(codes, labels)
    with pytest.raises(ValueError, match="NaN"):
        WideRidge().fit(np.full((4, 3), np.nan), labels[:4])
