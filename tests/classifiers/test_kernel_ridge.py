"""KernelRidgeClassifier against scikit-learn's KernelRidge in float64."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import pairwise_distances

from featrec.classifiers import KernelRidgeClassifier
from featrec.exceptions import InputError
from featrec.persistence import load, save


@pytest.fixture
def small_tiles(monkeypatch):
    """Make tiles so small that small inputs consist of many tiles and pieces."""
    monkeypatch.setattr("featrec.classifiers._exact_ridge.LEAST_TILE", 64)
    monkeypatch.setattr("featrec.classifiers._exact_ridge.TILE", 64)
    monkeypatch.setattr("featrec.classifiers._exact_ridge.COLUMNS", 16)
    monkeypatch.setattr("featrec.classifiers._landmark_ridge.TILE", 64)


def material(n=300, d=40, n_classes=3, seed=0, spread=2.0):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    centres = spread * random.normal(size=(n_classes, d)) / np.sqrt(d)
    codes = random.normal(size=(n, d)) + 3 * centres[labels]
    return codes.astype(np.float32), np.array(["coat", "shirt", "trouser", "boot", "bag"])[labels]


def peer(X, y, alpha, kernel="rbf", gamma=0.5):
    """Return the scores of scikit-learn with the same targets."""
    X = X.astype(np.float64)
    targets = 2.0 * (y[:, None] == np.unique(y)) - 1
    mean = targets.mean(axis=0)
    scale = gamma / (pairwise_distances(X) ** 2).mean()
    model = KernelRidge(alpha=alpha, kernel=kernel, gamma=scale).fit(X, targets - mean)
    return lambda Z: model.predict(Z.astype(np.float64)) + mean


@pytest.mark.parametrize(("kernel", "alpha"), [("rbf", 0.03), ("rbf", 0.5), ("linear", 3.0), ("linear", 30.0)])
def test_scores_are_those_of_scikit_learn(small_tiles, kernel, alpha):
    X, y = material()
    Z, _ = material(seed=1)
    model = KernelRidgeClassifier(kernel=kernel, gamma=1.5, alphas=alpha).fit(X, y)
    expected = peer(X, y, alpha, kernel, 1.5)(Z)
    np.testing.assert_allclose(model.decision_function(Z), expected, atol=5e-4)
    assert (model.predict(Z) == model.classes_[expected.argmax(axis=1)]).all()
    assert model.alpha_ == alpha
    assert model.held_out_scores_ is None


@pytest.mark.parametrize("offset", [5, 200, 3000])
@pytest.mark.parametrize("options", [{}, {"landmarks": 300}, {"landmarks": 120}], ids=str)
def test_a_common_offset_changes_nothing(small_tiles, offset, options):
    X, y = material()
    Z, _ = material(seed=1)
    X, Z = np.round(64 * X) / 64, np.round(64 * Z) / 64  # which float32 holds at any of the offsets
    here = KernelRidgeClassifier(alphas=0.1, random_state=0, **options).fit(X, y)
    away = KernelRidgeClassifier(alphas=0.1, random_state=0, **options).fit(X + np.float32(offset), y)
    assert here.origin_ is None
    np.testing.assert_allclose(away.origin_, X.mean(axis=0) + offset, rtol=1e-5)
    np.testing.assert_allclose(away.decision_function(Z + np.float32(offset)), here.decision_function(Z), atol=5e-4)


@pytest.mark.parametrize("options", [{}, {"solver": "cg"}, {"landmarks": 150}], ids=str)
@pytest.mark.parametrize(("spread", "chosen"), [(3.0, 0.01), (0.3, 2.56)])
def test_the_chosen_penalty_gives_the_scores_of_a_fit_with_it_alone(small_tiles, options, spread, chosen):
    """A small penalty is best for classes that are far apart, and a large penalty for classes that overlap."""
    X, y = material(spread=spread)
    Z, _ = material(seed=1)
    options = {"random_state": 0, **options}
    model = KernelRidgeClassifier(alphas=(0.01, 0.16, 2.56), **options).fit(X, y)
    assert model.alpha_ == chosen
    alone = KernelRidgeClassifier(alphas=chosen, **options).fit(X, y)
    np.testing.assert_allclose(model.decision_function(Z), alone.decision_function(Z), atol=5e-3 if options else 5e-4)


@pytest.mark.parametrize("options", [{}, {"solver": "cg"}, {"landmarks": 400}], ids=str)
@pytest.mark.parametrize("shares", [(1, 1, 1), (8, 1, 1)], ids=["equal classes", "unequal classes"])
def test_held_out_scores_predict_the_accuracy_on_new_codes(options, shares):
    """If held-out rows were used to fit, the model would predict all of them correctly."""
    random = np.random.default_rng(0)
    labels = random.choice(3, 3000, p=np.array(shares) / sum(shares))
    codes = (random.normal(size=(3000, 20)) + 0.7 * random.normal(size=(3, 20))[labels]).astype(np.float32)
    X, y, Z, truth = codes[:1000], labels[:1000], codes[1000:], labels[1000:]
    options = {"held_out": 0.3, "random_state": 0, **options}
    model = KernelRidgeClassifier(gamma=4.0, alphas=(0.01, 0.1, 1.0), **options).fit(X, y)
    for alpha, share in zip((0.01, 0.1, 1.0), model.held_out_scores_, strict=True):
        alone = KernelRidgeClassifier(gamma=4.0, alphas=alpha, **options).fit(X, y)
        assert alone.score(X, y) > 0.9
        assert share == pytest.approx(alone.score(Z, truth), abs=0.06)
    assert model.held_out_scores_[(0.01, 0.1, 1.0).index(model.alpha_)] == model.held_out_scores_.max()


@pytest.mark.parametrize(("share", "n_held_out"), [(None, 100), (0.3, 300)])
def test_the_share_of_held_out_rows(share, n_held_out):
    X, y = material(n=1000, spread=0.5)
    right = KernelRidgeClassifier(alphas=(0.1, 0.3), held_out=share, random_state=0).fit(X, y).held_out_scores_ * n_held_out
    np.testing.assert_allclose(right, right.round(), atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"landmarks": 150}], ids=["exact", "landmarks"])
def test_a_rare_class_is_held_out_with_the_rule_that_predicts(options):
    random = np.random.default_rng(0)
    X = random.normal(size=(1000, 5)).astype(np.float32)
    y = X[:, 0] + 2 * random.normal(size=1000) > 3
    model = KernelRidgeClassifier(random_state=0, **options).fit(X, y)
    assert (y == 0).mean() - 0.02 < model.held_out_scores_.min() <= model.held_out_scores_.max() < (y == 0).mean() + 0.05


def test_two_classes_have_one_score():
    X, y = material(n_classes=2, n=80)
    model = KernelRidgeClassifier(alphas=0.1).fit(X, y)
    scores = model.decision_function(X)
    assert scores.shape == (80,)
    np.testing.assert_allclose(scores, peer(X, y, 0.1)(X)[:, 1], atol=1e-4)
    np.testing.assert_array_equal(model.predict(X), model.classes_[(scores > 0).astype(int)])


def test_repeated_rows_can_be_fitted():
    X, y = material(n=60)
    X[10:30] = X[10]
    y[10:30] = y[10]
    model = KernelRidgeClassifier(random_state=0).fit(X, y)
    assert np.isfinite(model.dual_coef_).all()
    assert (model.predict(X[10:30]) == y[10]).all()


def unequal_lengths(n=900):
    random = np.random.default_rng(0)
    X = random.normal(size=(n, 50)).astype(np.float32)
    X[:20] = 3000 * random.normal(size=50) + 0.3 * random.normal(size=(20, 50))
    return X, X[:, 0] > 0


def test_landmarks_of_very_unequal_lengths_are_factored_or_the_error_gives_advice(monkeypatch):
    X, y = unequal_lengths()
    model = KernelRidgeClassifier(kernel="linear", landmarks=800, alphas=1.0, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9
    monkeypatch.setattr("featrec.classifiers._landmark_ridge.JITTERS", (-2.0,))
    with pytest.raises(InputError, match=r"800 landmarks cannot be factored: .* Use fewer landmarks"):
        KernelRidgeClassifier(landmarks=800, random_state=0).fit(X, y)


def test_equal_rows_predict_the_largest_class():
    X, y = np.ones((20, 3), np.float32), np.array(["a"] * 13 + ["b"] * 7)
    model = KernelRidgeClassifier(random_state=0).fit(X, y)
    assert model.mean_squared_distance_ == 1.0
    assert (model.predict(X) == "a").all()


def test_float32_codes_are_stored_without_a_copy_and_not_changed():
    X, y = material(n=50)
    before = X.copy()
    X.setflags(write=False)
    model = KernelRidgeClassifier(random_state=0).fit(X, y)
    assert np.shares_memory(model.X_fit_, X)
    np.testing.assert_array_equal(X, before)


def test_float16_codes_take_half_and_predict_the_same(small_tiles):
    X, y = material(n=400)
    Z, _ = material(seed=1)
    full = KernelRidgeClassifier(random_state=0, alphas=0.1).fit(X, y)
    half = KernelRidgeClassifier(random_state=0, alphas=0.1, dtype="float16").fit(X, y)
    assert half.X_fit_.nbytes * 2 == full.X_fit_.nbytes
    np.testing.assert_allclose(half.decision_function(Z), full.decision_function(Z), atol=0.02)
    given = KernelRidgeClassifier(random_state=0, alphas=0.1, dtype="float16").fit(X.astype(np.float16), y)
    np.testing.assert_array_equal(given.decision_function(Z), half.decision_function(Z))


def test_far_codes_predict_the_mean_of_the_targets():
    X, y = material(n=90)
    model = KernelRidgeClassifier(random_state=0).fit(X, y)
    np.testing.assert_allclose(model.decision_function(X[:1] + 1e4), model.intercept_[None], atol=1e-6)


def test_wrong_codes_labels_and_penalties_are_refused():
    X, y = material(n=30)
    with pytest.raises(InputError, match="codes are too large for float16; standardise them first"):
        KernelRidgeClassifier(dtype="float16").fit(1e6 * X, y)
    with pytest.raises(InputError, match=r"needs at least two classes; the labels have one class, .coat."):
        KernelRidgeClassifier().fit(X, ["coat"] * 30)
    for alphas in (0.0, (), (0.1, -1.0), (0.1, np.inf), "few"):
        with pytest.raises(ValueError, match="alphas"):
            KernelRidgeClassifier(alphas=alphas).fit(X, y)
    with pytest.raises(InputError, match=r"alphas from 0.01 to 3 are too far apart.* may be at most 256 times"):
        KernelRidgeClassifier(alphas=(0.01, 3.0)).fit(X, y)
    X[1] = X[0]
    with pytest.raises(InputError, match=r"not positive definite at row \d+ of 30.*a larger penalty"):
        KernelRidgeClassifier(alphas=1e-12).fit(X, y)
    X[3, 4] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        KernelRidgeClassifier().fit(X, y)


def test_memory_is_shown_before_it_is_allocated(capsys):
    X, y = material(n=50)
    model = KernelRidgeClassifier(random_state=0, verbose=1).fit(X, y)
    expected = f"KernelRidgeClassifier for 50 codes: {model.memory_needed(50, 40, 3) / 1e9:.3g} GB of memory"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "dtype", "landmarks", "beside"),
    [
        ("float32", "float32", None, 0),
        ("float32", "float16", None, 4),
        ("float32", "float16", 20, 2),
        ("float16", "float16", 20, 0),
        ("float16", "float32", 20, -2),
    ],
)
def test_codes_that_are_converted_count_twice(monkeypatch, given, dtype, landmarks, beside):
    announced = []
    monkeypatch.setattr("featrec.classifiers._kernel_ridge.announce", lambda stage, needed, *rest: announced.append(needed))
    X, y = material(n=50)
    model = KernelRidgeClassifier(landmarks=landmarks, dtype=dtype, random_state=0).fit(X.astype(given), y)
    assert announced == [model.memory_needed(*X.shape, 3) + beside * X.size]


def test_memory_for_60_000_codes():
    model = KernelRidgeClassifier()
    codes = 60_000 * 1000 * 4
    assert 7.4e9 < model.memory_needed(60_000, 1000) - codes < 7.7e9
    assert KernelRidgeClassifier(dtype="float16").memory_needed(60_000, 14_400) < model.memory_needed(60_000, 14_400) - 8e8
    assert KernelRidgeClassifier(landmarks=8000).memory_needed(60_000, 1000) - codes < 1.6e9
    one, many = (KernelRidgeClassifier(n_jobs=n_jobs).memory_needed(300, 14_400) for n_jobs in (1, 40))
    assert many - one == 39 * 2**25, "workers without a tile need none"
    one, many = (KernelRidgeClassifier(n_jobs=n_jobs, landmarks=300).memory_needed(30_000, 500) for n_jobs in (1, 40))
    assert many - one < 40 * (2**25 + 1e6)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_landmarks_are_the_nystroem_approximation(small_tiles, kernel):
    X, y = material(n=400, spread=0.7)
    Z, _ = material(seed=1, spread=0.7)
    model = KernelRidgeClassifier(kernel=kernel, gamma=2.0, landmarks=100, alphas=0.2, random_state=0).fit(X, y)
    marks = model.X_fit_.astype(np.float64)

    def values(A, B):
        return np.exp(-model.scale_ * pairwise_distances(A, B) ** 2) if kernel == "rbf" else A @ B.T

    across, among = values(X.astype(float), marks), values(marks, marks)
    among += 1e-5 * among.diagonal().mean() * np.eye(len(marks))
    targets = 2.0 * (y[:, None] == model.classes_) - 1 - model.intercept_
    weights = np.linalg.solve(across.T @ across + 0.2 * among, across.T @ targets)
    expected = values(Z.astype(float), marks) @ weights + model.intercept_
    np.testing.assert_allclose(model.decision_function(Z), expected, atol=2e-3)
    assert len(np.unique(marks, axis=0)) == 100


def test_as_many_landmarks_as_codes_are_the_exact_solution():
    X, y = material(n=60)
    exactly = KernelRidgeClassifier(random_state=0).fit(X, y)
    marked = KernelRidgeClassifier(random_state=0, landmarks=60).fit(X, y)
    np.testing.assert_array_equal(marked.dual_coef_, exactly.dual_coef_)


@pytest.mark.parametrize("landmarks", [None, 25])
def test_few_rows_of_a_rare_class(landmarks):
    X, y = material(n=40)
    y[:] = "coat"
    y[:2], y[2] = "shirt", "boot"
    X[:3] += 5
    model = KernelRidgeClassifier(random_state=0, landmarks=landmarks).fit(X, y)
    assert list(model.classes_) == ["boot", "coat", "shirt"]
    assert model.decision_function(X).shape == (40, 3)


def test_two_rows_are_enough():
    model = KernelRidgeClassifier(random_state=0).fit(np.array([[0.0], [1.0]]), ["a", "b"])
    assert list(model.predict([[-0.5], [1.5]])) == ["a", "b"]


@pytest.mark.parametrize("options", [{}, {"solver": "cg"}], ids=str)
def test_the_number_of_threads_does_not_change_the_model(few_landmarks, options):
    X, y = material()
    first, second = (KernelRidgeClassifier(n_jobs=n, random_state=0, **options).fit(X, y) for n in (1, 2))
    np.testing.assert_allclose(first.dual_coef_, second.dual_coef_, rtol=0, atol=0 if options else 1e-4)
    assert first.alpha_ == second.alpha_


@pytest.mark.parametrize(
    "arguments", [{"dtype": "float16"}, {"dtype": "int8"}, {"landmarks": 20}, {"kernel": "linear", "alphas": 5.0}]
)
def test_model_file_gives_the_same_scores(arguments, tmp_path):
    X, y = material(n=60)
    model = KernelRidgeClassifier(random_state=0, **arguments).fit(X, y)
    save(model, tmp_path / "model.featrec")
    np.testing.assert_array_equal(load(tmp_path / "model.featrec").decision_function(X), model.decision_function(X))


@pytest.fixture
def few_landmarks(monkeypatch, small_tiles):
    """With a weak preconditioner, several rounds are needed."""
    monkeypatch.setattr("featrec.classifiers._iterative_solvers.LANDMARKS", 20)
    monkeypatch.setattr("featrec.classifiers._iterative_solvers.ROWS", 64)


@pytest.mark.parametrize("kernel, alpha", [("rbf", 0.03), ("linear", 3.0)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_conjugate_gradients_find_the_exact_solution(few_landmarks, kernel, alpha, n_classes):
    X, y = material(n_classes=n_classes)
    Z, _ = material(seed=1)
    options = {"kernel": kernel, "gamma": 1.5, "alphas": alpha}
    expected = KernelRidgeClassifier(**options).fit(X, y).decision_function(Z)
    model = KernelRidgeClassifier(solver="cg", **options).fit(X, y)
    np.testing.assert_allclose(model.decision_function(Z), expected, atol=0.01)


def test_conjugate_gradients_show_their_rounds_and_stop_at_a_limit(few_landmarks, monkeypatch, capsys):
    X, y = material()
    KernelRidgeClassifier(solver="cg", alphas=0.1, verbose=1).fit(X, y)
    assert "rounds of conjugate gradients for a penalty of 0.1" in capsys.readouterr().err
    monkeypatch.setattr("featrec.classifiers._iterative_solvers.MOST_ROUNDS", 1)
    with pytest.raises(InputError, match=r'did not converge in 1 rounds with a penalty of 1e-05; .* solver="cholesky"'):
        KernelRidgeClassifier(solver="cg", alphas=1e-5).fit(X, y)


@pytest.mark.parametrize("options", [{}, {"solver": "cg"}, {"landmarks": 100}], ids=str)
def test_bytes_take_a_quarter_and_predict_nearly_the_same(small_tiles, options):
    X, y = material()
    Z, _ = material(seed=1)
    options = {"alphas": 0.1, "random_state": 0, **options}
    expected = KernelRidgeClassifier(**options).fit(X, y).decision_function(Z)
    model = KernelRidgeClassifier(dtype="int8", **options).fit(X, y)
    assert model.X_fit_.dtype == np.int8
    assert model.step_ == pytest.approx(np.sqrt(np.mean(X.astype(float) ** 2)) / 25.4)
    np.testing.assert_allclose(model.decision_function(Z), expected, atol=0.05)


def test_codes_beyond_the_range_of_bytes_are_clipped():
    X, y = material()
    model = KernelRidgeClassifier(dtype="int8", alphas=0.1).fit(X, y)
    far = np.full((1, X.shape[1]), 1e6, np.float32)
    np.testing.assert_array_equal(model.decision_function(far), model.decision_function(far * 10))
