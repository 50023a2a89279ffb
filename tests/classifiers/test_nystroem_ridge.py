"""With all rows and dimensions, NystroemRidgeClassifier is exact kernel ridge regression; with fewer, it is close to it."""

import numpy as np
import pytest

from featrec.classifiers import NystroemRidgeClassifier, _codes_classifier, _landmark_ridge
from featrec.exceptions import InputError, ModelFileError
from featrec.persistence import load, save

EXACT = {"n_dimensions": None, "gamma": 1.0, "alphas": 0.1, "random_state": 0}


def blobs(rng, n, n_classes=3, width=8, spread=1.0):
    labels = np.arange(n) % n_classes
    centres = rng.normal(size=(n_classes, width))
    return (centres[labels] + spread * rng.normal(size=(n, width))).astype(np.float32), labels


def kernel_ridge(codes, labels, unseen, weights, alpha=0.1, gamma=1.0):
    """Solve (K + alpha / weights) x = targets in float64, as in textbooks."""
    codes, unseen = codes.astype(np.float64), unseen.astype(np.float64)
    distances = ((codes[:, None] - codes) ** 2).sum(axis=2)
    scale = gamma / distances.mean()
    weights = weights / weights.mean()
    targets = 2.0 * (labels[:, None] == np.unique(labels)) - 1
    mean = np.average(targets, axis=0, weights=weights)
    solved = np.linalg.solve(np.exp(-scale * distances) + np.diag(alpha / weights), targets - mean)
    return np.exp(-scale * ((unseen[:, None] - codes) ** 2).sum(axis=2)) @ solved + mean


@pytest.mark.parametrize("n_dimensions", [None, "auto"])
def test_with_all_rows_as_landmarks_it_is_kernel_ridge_regression(rng, n_dimensions):
    codes, labels = blobs(rng, 90)
    unseen = rng.normal(size=(20, 8)).astype(np.float32)
    model = NystroemRidgeClassifier(**EXACT | {"n_dimensions": n_dimensions}).fit(codes, labels)
    np.testing.assert_allclose(model.decision_function(unseen), kernel_ridge(codes, labels, unseen, np.ones(90)), atol=2e-3)
    assert model.landmarks_.shape == (90, 8)


def test_weights_of_rows_and_classes_are_those_of_their_errors(rng):
    codes, labels = blobs(rng, 90)
    labels = np.where(np.arange(90) < 60, labels, 0)
    weights = rng.uniform(0.2, 3, 90)
    unseen = rng.normal(size=(20, 8)).astype(np.float32)
    found = NystroemRidgeClassifier(**EXACT).fit(codes, labels, sample_weight=weights).decision_function(unseen)
    np.testing.assert_allclose(found, kernel_ridge(codes, labels, unseen, weights), atol=2e-3)
    of_classes = (90 / (3 * np.bincount(labels)))[labels]
    found = NystroemRidgeClassifier(**EXACT, class_weight="balanced").fit(codes, labels, weights).decision_function(unseen)
    np.testing.assert_allclose(found, kernel_ridge(codes, labels, unseen, weights * of_classes), atol=2e-3)


@pytest.mark.parametrize("n", [300, 2300])
def test_fewer_landmarks_and_dimensions_are_close_for_any_n_jobs(rng, n):
    """Rows are held out in folds, or in one part."""
    codes, labels = blobs(rng, n + 300, width=20, spread=1.5)
    seen, unseen = slice(0, n), slice(n, None)
    small = NystroemRidgeClassifier(n_dimensions=12, landmarks=60, random_state=0).fit(codes[seen], labels[seen])
    assert small.score(codes[unseen], labels[unseen]) > 0.85
    assert small.landmarks_.shape == (60, 12)
    assert small.held_out_scores_.shape == (1, 5)
    assert small.held_out_scores_.max() > 0.85
    again = NystroemRidgeClassifier(n_dimensions=12, landmarks=60, random_state=0, n_jobs=2).fit(codes[seen], labels[seen])
    np.testing.assert_array_equal(small.decision_function(codes), again.decision_function(codes))


def test_the_float32_of_many_landmarks_agrees_with_float64(rng, monkeypatch):
    codes, labels = blobs(rng, 400)
    double = NystroemRidgeClassifier(alphas=(0.1, 0.3), random_state=0).fit(codes, labels)
    monkeypatch.setattr(_landmark_ridge, "TILE", 100)
    single = NystroemRidgeClassifier(alphas=(0.1, 0.3), random_state=0).fit(codes, labels)
    scores = double.decision_function(codes), single.decision_function(codes)
    assert np.abs(scores[0] - scores[1]).max() > 0, "the same type twice shows nothing"
    np.testing.assert_allclose(*scores, atol=5e-3)


def test_a_penalty_that_float32_cannot_use_is_raised(rng, monkeypatch):
    codes, labels = blobs(rng, 500, width=2)
    monkeypatch.setattr(_landmark_ridge, "TILE", 100)
    model = NystroemRidgeClassifier(alphas=1e-7, random_state=0)
    monkeypatch.setattr(_landmark_ridge.Trials, "choose", lambda self: _first(self))
    model.fit(codes, labels)
    assert model.alpha_ > 1e-7
    assert np.isfinite(model.decision_function(codes)).all()


def _first(trials):
    """A choice between penalties would need the factor, too."""
    for held in trials.held_out:
        trials.trials.append(trials.equations.empty())
        trials.trials[-1].add(trials.views[0], trials._others(held))
    return _landmark_ridge.Best(1, trials.equations.task.alphas[0], np.zeros((1, 1)), None)


def views(rng, n, noise, width=6):
    """Return codes of two noisy views. The second view has independent noise, or is the negative of the first."""
    codes, labels = blobs(rng, n, width=width, spread=0.3)
    first = codes + rng.normal(size=codes.shape) * 1.5
    second = codes + rng.normal(size=codes.shape) * 1.5 if noise == "own" else -first
    return np.hstack([first, second]).astype(np.float32), labels


def test_other_views_are_used_where_they_help(rng):
    codes, labels = views(rng, 900, "own")
    both = NystroemRidgeClassifier(n_views=2, random_state=0).fit(codes[:600], labels[:600])
    first = NystroemRidgeClassifier(n_views=2, views="first", random_state=0).fit(codes[:600], labels[:600])
    assert (both.n_views_, first.n_views_) == (2, 1)
    assert both.held_out_scores_.shape == (2, 5)
    assert both.score(codes[600:], labels[600:]) > first.score(codes[600:], labels[600:])


def test_other_views_of_other_classes_are_not_used(rng):
    codes, labels = views(rng, 600, "negative")
    model = NystroemRidgeClassifier(n_views=2, random_state=0).fit(codes, labels)
    assert model.n_views_ == 1
    assert model.other_views_score_ < model.held_out_scores_.max() - 0.1
    alone = NystroemRidgeClassifier(random_state=0).fit(codes[:, :6], labels)
    np.testing.assert_allclose(model.decision_function(codes), alone.decision_function(codes[:, :6]), atol=1e-5)
    assert NystroemRidgeClassifier(n_views=2, views="all", random_state=0).fit(codes, labels).n_views_ == 2


def test_wrong_codes_and_weights_are_refused(rng):
    codes, labels = blobs(rng, 30, width=7)
    with pytest.raises(InputError, match="codes of 7 values cannot be divided into n_views=2 views of equal length"):
        NystroemRidgeClassifier(n_views=2).fit(codes, labels)
    with pytest.raises(InputError, match="products of sample_weight and class_weight are zero"):
        NystroemRidgeClassifier().fit(codes, labels, sample_weight=np.zeros(30))
    with pytest.raises(InputError, match=r"0 or more for each of the 30 rows; got shape \(29,\)"):
        NystroemRidgeClassifier().fit(codes, labels, sample_weight=np.ones(29))
    with pytest.raises(InputError, match="a minimum of -1"):
        NystroemRidgeClassifier().fit(codes, labels, sample_weight=np.r_[np.ones(29), -1])
    with pytest.raises(InputError, match="needs at least two classes"):
        NystroemRidgeClassifier().fit(codes, np.zeros(30))


def test_too_much_memory_is_refused_before_work(rng, monkeypatch):
    codes, labels = blobs(rng, 30)
    monkeypatch.setattr(_codes_classifier, "_physical", lambda: 1000)
    with pytest.raises(InputError, match="use fewer landmarks or fewer dimensions"):
        NystroemRidgeClassifier().fit(codes, labels)
    assert NystroemRidgeClassifier().memory_needed(50_000, 8_000) > NystroemRidgeClassifier(landmarks=100).memory_needed(
        50_000, 8_000
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_views_", 3, "n_views=1 and n_views_=3 do not match"),
        ("mean_", np.zeros(7, np.float32), "a mean"),
        ("components_", np.zeros((8, 7), np.float32), "components"),
        ("landmarks_", np.zeros((40, 5), np.float32), "landmarks"),
        ("squared_lengths_", np.zeros(3, np.float32), "squared lengths"),
        ("dual_coef_", np.full((40, 3), np.nan, np.float32), "weights"),
    ],
)
def test_a_model_file_whose_arrays_do_not_fit_is_refused(rng, tmp_path, name, value, message):
    codes, labels = blobs(rng, 40)
    model = NystroemRidgeClassifier(random_state=0).fit(codes, labels)
    setattr(model, name, value)
    save(model, tmp_path / "model.featrec")
    with pytest.raises(ModelFileError, match=message):
        load(tmp_path / "model.featrec")


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (60, 60), (6, 30)])
@pytest.mark.parametrize("share", [2, 5])
def test_components_are_those_of_the_svd(rng, shape, share):
    codes = (rng.normal(size=shape) * 0.8 ** np.arange(shape[1])).astype(np.float32)
    number = max(1, min(shape) // share)
    model = NystroemRidgeClassifier(n_dimensions=number, random_state=0).fit(codes, np.arange(len(codes)) % 2)
    expected = np.linalg.svd(codes - codes.mean(axis=0), full_matrices=False)[2][:number]
    found = model.components_
    np.testing.assert_allclose(np.abs(np.sum(found * expected, axis=1)), 1, atol=1e-4)
    np.testing.assert_allclose(found @ found.T, np.eye(number), atol=1e-5)


def test_components_without_variance_are_dropped(rng):
    codes = np.repeat(rng.normal(size=(3, 12)), 5, axis=0).astype(np.float32)
    labels = np.arange(15) % 2
    assert len(NystroemRidgeClassifier(n_dimensions=10, random_state=0).fit(codes, labels).components_) == 2
    constant = NystroemRidgeClassifier(n_dimensions=5, random_state=0).fit(np.zeros_like(codes), labels)
    assert np.isfinite(constant.decision_function(codes)).all()
