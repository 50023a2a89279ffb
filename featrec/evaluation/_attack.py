"""attack: search for small changes of images that make fitted models wrong, using only their outputs (square attack)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._corrupt import seed_from
from featrec.evaluation._measures import wilson_interval
from featrec.evaluation._plan import batches, check_fitted_models, naming
from featrec.evaluation._report import check_confidence
from featrec.evaluation._result import (
    Curve,
    ModelResults,
    Table,
    draw_curves,
    frame,
    number,
    percent,
    percent_range,
    report_progress,
)
from featrec.exceptions import InputError
from featrec.images import as_uint8
from featrec.labels import as_labels
from featrec.lazy import Images
from featrec.shared_docs import with_shared_docs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["Attack", "ModelAttack", "attack"]

# Share of the image that the first squares cover. The area is halved when these shares of the budget are used, as in the paper.
FIRST_SHARE = 0.8
HALVED_AT = np.array([0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8])


@dataclass(frozen=True, eq=False)
class ModelAttack:
    """Result of one model.

    Attributes
    ----------
    name : str
    access : {"decision_function", "predict_proba", "predict"}
        The method whose answers the attack used.
    accuracy : float
        Accuracy on the unchanged images.
    interval : tuple of (low, high)
        Wilson interval.
    attacked_accuracy : float
        Share of the images for which the attack found no change that makes the model wrong.
    attacked_interval : tuple of (low, high)
        Wilson interval.
    relative_drop : float
        Share of the accuracy that is lost.
    median_queries : float or None
        Median number of queries over the successful attacks.
    queries : array of shape (n,)
        Number of queries until the model was wrong; 0 if it is wrong without changes, -1 if it stayed right.
    """

    name: str
    access: str
    accuracy: float
    interval: tuple[float, float]
    attacked_accuracy: float
    attacked_interval: tuple[float, float]
    relative_drop: float
    median_queries: float | None
    queries: np.ndarray

    def accuracy_after(self, n_queries: int) -> float:
        """Return the share of images for which the model is still right after this number of queries."""
        return float(((self.queries < 0) | (self.queries > n_queries)).mean())


@dataclass(frozen=True, eq=False, repr=False)
class Attack(ModelResults[ModelAttack]):
    """Result of :func:`attack`. Proportions are between 0 and 1.

    Attributes
    ----------
    results : tuple of ModelAttack
        Highest accuracy under attack first.
    epsilon : int
        Largest change of a pixel value, where white is 255.
    n_queries : int
        Budget of queries per image.
    n : int
        Number of images.
    confidence : float
        Confidence level of the intervals.
    seed : int
    """

    results: tuple[ModelAttack, ...]
    epsilon: int
    n_queries: int
    n: int
    confidence: float
    seed: int

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per model, the highest accuracy under attack first. Needs pandas."""
        names = ("access", "accuracy", "attacked_accuracy", "relative_drop", "median_queries")
        columns: dict[str, Any] = {name: [getattr(result, name) for result in self.results] for name in names}
        columns["low"], columns["high"] = zip(*(result.interval for result in self.results), strict=True)
        columns["attacked_low"], columns["attacked_high"] = zip(
            *(result.attacked_interval for result in self.results), strict=True
        )
        return frame(columns, index=self._names())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the accuracy against the number of queries, with intervals. Needs matplotlib."""
        from featrec.plotting import INK, axes_for

        ax = axes_for(ax, 6.0, 4.2)
        places = np.unique(np.linspace(0, self.n_queries, 50).astype(int)).tolist()
        curves = {}
        for result in self.results:
            shares = [result.accuracy_after(n) for n in places]
            bounds = [wilson_interval(round(share * self.n), self.n, self.confidence) for share in shares]
            curves[result.name] = Curve(places, shares, *zip(*bounds, strict=True))
        draw_curves(ax, curves, markers=False)
        ax.locator_params(axis="x", integer=True)
        ax.set_xlabel(f"queries per image; largest change {self.epsilon} of 255", color=INK)
        ax.set_ylabel(f"accuracy in %, with {100 * self.confidence:g} % interval", color=INK)
        return ax

    def _heading(self) -> str:
        return "Accuracy under attack"

    def _table(self) -> Table:
        interval = f"{100 * self.confidence:g} % interval"
        header = ["model", "accuracy", "under attack", interval, "relative drop", "median queries"]
        return Table(header, list(map(_row, self.results)))

    def _sentences(self) -> list[str]:
        labels = [result.name for result in self.results if result.access == "predict"]
        weaker = [f"Attacked using labels only, which is a weaker attack: {', '.join(labels)}."] if labels else []
        return [
            f"{self.n:,} images; square attack with at most {self.n_queries:,} queries per image and changes of at most "
            f"{self.epsilon} of 255.",
            "The accuracy under attack is an upper bound: a stronger attack may find more errors.",
            *weaker,
        ]


def _row(result: ModelAttack) -> list[str]:
    attacked = [percent(result.attacked_accuracy), percent_range(result.attacked_interval)]
    return [result.name, percent(result.accuracy), *attacked, percent(result.relative_drop), number(result.median_queries)]


@with_shared_docs
def attack(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    epsilon: int = 8,
    n_queries: int = 200,
    random_state: Any = None,
    confidence: float = 0.95,
    verbose: int = 0,
) -> Attack:
    """Search for small changes of images that make fitted models wrong, and measure the remaining accuracy.

    The search is the square attack, which uses only the outputs of a model. It starts with random vertical stripes, then
    changes random squares, and keeps a change if the lead of the true class becomes smaller. If a model has no scores, only its
    labels are used, and the search is random.

    Parameters
    ----------
    models : dict of name to fitted model
        Models with ``decision_function`` or ``predict_proba`` are attacked by their scores, others by their labels.
    X, y : images and their labels
        Images that the models were not fitted on.
    epsilon : int, default=8
        Largest change of a pixel value, where white is 255.
    n_queries : int, default=200
        Budget: maximum number of changed images that a model predicts for each image.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the search. The random numbers of an image depend on its position.
    confidence : float, default=0.95
        Confidence level of the intervals.

    Returns
    -------
    Attack

    Raises
    ------
    InputError
        If a model is not fitted, if labels do not match the images, or if a parameter is invalid.

    Notes
    -----
    The accuracy under attack is an upper bound: a larger budget, or an attack that uses the internals of the model, may find
    more errors. The attack takes as long as up to ``n_queries`` predictions per image.

    References
    ----------
    Andriushchenko, Croce, Flammarion and Hein, "Square attack: a query-efficient black-box adversarial attack via random
    search", ECCV 2020.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.evaluation import attack
    >>> from featrec.recipes import tiny_knn
    >>> train, test = load_dataset("digits")
    >>> model = tiny_knn(size=(8, 8)).fit(train, train.labels)
    >>> result = attack({"tiny": model}, test[:20], test.labels[:20], epsilon=64, n_queries=20, random_state=0)
    >>> result["tiny"].attacked_accuracy < result["tiny"].accuracy
    True
    """
    check_confidence(confidence)
    _check_budget(epsilon, n_queries)
    images, y_true = check_fitted_models("attack", models, X, y)
    seed = seed_from(random_state)
    results = []
    for name, model in models.items():
        target = _Target(name, model)
        queries = np.empty(len(images), int)
        for rows in batches(len(images)):
            queries[rows] = _attacked(target, images[rows], y_true[rows], int(epsilon), int(n_queries), (seed, rows.start))
        results.append(_summary(name, target.access, queries, confidence))
        report_progress(
            verbose, f"{name}: {percent(results[-1].accuracy)} %, {percent(results[-1].attacked_accuracy)} % under attack"
        )
    results.sort(key=lambda result: -result.attacked_accuracy)
    return Attack(tuple(results), int(epsilon), int(n_queries), len(images), confidence, seed)


def _check_budget(epsilon: Any, n_queries: Any) -> None:
    for name, value, most in (("epsilon", epsilon, 255), ("n_queries", n_queries, None)):
        fits = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
        if not fits or (most is not None and int(value) > most):
            limit = "at least 1" if most is None else f"1 to {most}"
            raise InputError(f"{name} must be an integer, {limit}; got {value!r}")


class _Target:
    """A model under attack. Its margin is the score of the true class minus the best score of any other class."""

    def __init__(self, name: str, model: Any):
        self.name, self.model = name, model
        self.classes = np.asarray(getattr(model, "classes_", ()))
        methods = ("decision_function", "predict_proba") if len(self.classes) else ()
        self.access = next((method for method in methods if hasattr(model, method)), "predict")

    def margins(self, images: list[np.ndarray], y_true: np.ndarray) -> np.ndarray:
        """Return one margin per image (1 or -1 if only labels are known). The model is wrong if the margin is 0 or less."""
        if self.access == "predict":
            return np.where(self._right(images, y_true), 1.0, -1.0)
        with naming(f"while predicting with the model {self.name!r}"):
            scores = np.asarray(getattr(self.model, self.access)(images), float)
        if scores.ndim == 1:
            scores = np.column_stack([-scores, scores])
        if scores.shape[1] != len(self.classes):  # for example, scores for pairs of classes
            self.access = "predict"
            return self.margins(images, y_true)
        own = y_true[:, None] == self.classes
        margins = np.where(own, scores, -np.inf).max(axis=1) - np.where(own, -np.inf, scores).max(axis=1)
        # The scores may disagree with the label (calibrated models, ties); the label decides.
        close = np.flatnonzero(margins <= 0)
        if len(close):
            right = self._right([images[place] for place in close], y_true[close])
            margins[close[right]] = np.finfo(float).tiny
        return margins

    def _right(self, images: list[np.ndarray], y_true: np.ndarray) -> np.ndarray:
        with naming(f"while predicting with the model {self.name!r}"):
            predicted = self.model.predict(images)
        return as_labels(predicted, len(images), what=f"the prediction of the model {self.name!r}") == y_true


@dataclass
class _Search:
    """The search for one image."""

    original: np.ndarray
    epsilon: int
    random: np.random.Generator
    best: np.ndarray
    margin: float = np.inf

    def proposal(self, step: int, n_steps: int) -> np.ndarray:
        """Return a changed image: stripes in the first step, then the best image with a changed square."""
        height, width = self.original.shape[:2]
        channels = self.original.shape[2:]
        if step == 0:
            return self._moved(self.original, self._signs((1, width, *channels)))
        share = FIRST_SHARE / 2.0 ** np.count_nonzero(step >= HALVED_AT * n_steps)
        side = int(np.clip(round(np.sqrt(share * height * width)), 1, min(height, width)))
        top, left = self.random.integers(height - side + 1), self.random.integers(width - side + 1)
        window = slice(top, top + side), slice(left, left + side)
        changed = self.best.copy()
        changed[window] = self._moved(self.original[window], self._signs((1, 1, *channels)))
        return changed

    def _signs(self, shape: tuple[int, ...]) -> np.ndarray:
        return 2 * self.random.integers(2, size=shape) - 1

    def _moved(self, pixels: np.ndarray, signs: np.ndarray) -> np.ndarray:
        return np.clip(pixels.astype(int) + self.epsilon * signs, 0, 255).astype(np.uint8)

    def keep(self, image: np.ndarray, margin: float) -> None:
        if margin <= self.margin:
            self.best, self.margin = image, margin


def _attacked(
    target: _Target, images: Images, y_true: np.ndarray, epsilon: int, n_queries: int, seed: tuple[int, int]
) -> np.ndarray:
    """Return the number of changed images until the model was wrong: 0 if it is wrong without changes, -1 if it stays right."""
    originals = [as_uint8(image) for image in images]
    queries = np.where(target.margins(originals, y_true) > 0, -1, 0)
    searches = {
        place: _Search(originals[place], epsilon, np.random.default_rng((seed[0], seed[1] + place)), originals[place])
        for place in np.flatnonzero(queries < 0).tolist()
    }
    for step in range(n_queries):
        if not searches:
            break
        tried = {place: search.proposal(step, n_queries) for place, search in searches.items()}
        margins = target.margins(list(tried.values()), y_true[list(tried)])
        for (place, image), margin in zip(tried.items(), margins.tolist(), strict=True):
            searches[place].keep(image, margin)
            if margin <= 0:
                queries[place] = step + 1
                del searches[place]
    return queries


def _summary(name: str, access: str, queries: np.ndarray, confidence: float) -> ModelAttack:
    n, clean, attacked = len(queries), int((queries != 0).sum()), int((queries < 0).sum())
    return ModelAttack(
        name=name,
        access=access,
        accuracy=clean / n,
        interval=wilson_interval(clean, n, confidence),
        attacked_accuracy=attacked / n,
        attacked_interval=wilson_interval(attacked, n, confidence),
        relative_drop=1 - attacked / clean if clean else 0.0,
        median_queries=float(np.median(queries[queries > 0])) if (queries > 0).any() else None,
        queries=queries,
    )
