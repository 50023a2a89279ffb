"""Kernel ridge regression in the span of some rows, the landmarks. The number of landmarks determines the memory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrec.classifiers._codes_classifier import ROUGH, middle, solutions, stratified_order
from featrec.classifiers._exact_ridge import Fit, Kernel, Rows, Task, compared, held_out_rows, times
from featrec.classifiers._triangle import TILE, Triangle
from featrec.exceptions import InputError
from featrec.parallel import each_batch, map_batches

__all__ = ["Equations", "Trials", "fit_landmarks"]

# Numbers to add to the diagonal of the landmarks' kernel, relative to its mean. The first number is roughly the precision of
# float32. If the factorisation fails because codes have very different lengths, the next number is tried.
JITTERS = (1e-5, 1e-4, 1e-3)
# If there are at most FEW rows, each is held out once, in FOLDS folds. Otherwise, at most MOST_TRIED rows are held out.
FEW, FOLDS = 2000, 5
MOST_TRIED = 2500
# Other views are used only if a model of the first views loses at most this much accuracy on them.
NEARLY = 0.1
# Maximum factor by which a penalty is raised if the equations cannot be factored in float32.
MOST_TIMES = 64


def fit_landmarks(kernel: Kernel, rows: Rows, landmarks: Rows, task: Task) -> Fit:
    """Fit a ridge regression on features whose products approximate the kernel.

    The normal equations of the kernel values themselves cannot be factored in float64. Therefore the kernel of the landmarks is
    factored first, and a triangular solve with this factor turns kernel values into features. All sums are float64.
    """
    basis = _factor_of(kernel, landmarks, task)
    products = Triangle(len(landmarks), dtype=np.float64)
    products.fill(lambda some, others, out: out.fill(0))
    sums = np.zeros((len(landmarks), task.targets.shape[1]))

    def add(part: np.ndarray | None) -> None:
        chosen = rows if part is None else rows.reordered(part)
        _accumulate(products, sums, kernel, chosen, landmarks, basis, slice(None) if part is None else part, task)

    alpha, scores = task.alphas[0], None
    if len(task.alphas) == 1:
        add(None)
    else:
        order, n_held = stratified_order(task.labels, task.random_state), held_out_rows(len(rows), task.held_out)
        seen, unseen = np.sort(order[:-n_held]), np.sort(order[-n_held:])
        add(seen)
        chosen, scores = _choose(products.copy(), sums, kernel, rows.reordered(unseen), landmarks, basis, unseen, task)
        alpha = task.alphas[chosen]
        add(unseen)
    products.add_to_diagonal(alpha)
    products.cholesky(task.n_jobs, task.verbose)
    weights = basis.solve_upper(products.solve(sums, n_jobs=task.n_jobs), n_jobs=task.n_jobs)
    return Fit(weights.astype(np.float32), alpha, scores)


def _factor_of(kernel: Kernel, landmarks: Rows, task: Task) -> Triangle:
    triangle = Triangle(len(landmarks), dtype=np.float64)
    for jitter in JITTERS:
        triangle.fill(lambda some, others, out: kernel.tile(landmarks, some, landmarks, others, out), n_jobs=task.n_jobs)
        diagonal = np.concatenate([row[-1].diagonal() for row in triangle.tiles])
        triangle.add_to_diagonal(jitter * max(float(diagonal.mean()), float(np.finfo(np.float32).tiny)))
        with suppress(InputError):
            triangle.cholesky(task.n_jobs, task.verbose)
            return triangle
    raise InputError(
        f"the kernel of {len(landmarks)} landmarks cannot be factored: their codes are too similar, or their lengths differ "
        "too much. Use fewer landmarks, or codes of unit length (Normalizer() before this step)"
    )


def _accumulate(
    products: Triangle,
    sums: np.ndarray,
    kernel: Kernel,
    rows: Rows,
    landmarks: Rows,
    basis: Triangle,
    part: Any,
    task: Task,
) -> None:
    """Add the products of features with features, and of features with targets, for some rows, block by block."""
    targets, roots = task.targets[part], task.roots(part)
    if roots is not None:
        targets = targets * roots[:, None]

    def block(some: range) -> None:
        here, values = slice(some.start, some.stop), np.empty((len(some), len(landmarks)), np.float32)

        def tile(others: range) -> None:
            columns = slice(others.start, others.stop)
            out = np.empty((len(some), len(others)), np.float32)
            kernel.tile(rows, here, landmarks, columns, out)
            values[:, columns] = out if roots is None else out * roots[here, None]

        map_batches(tile, range(len(landmarks)), n_jobs=task.n_jobs, batch_size=TILE, shared_memory=True)
        features = basis.solve_lower(values.T, n_jobs=task.n_jobs)

        def add(left: slice, right: slice, out: np.ndarray) -> None:
            out += features[left] @ features[right].T

        products.fill(add, n_jobs=task.n_jobs)
        for span in products.spans:
            sums[span] += features[span] @ targets[here]

    for _ in each_batch(block, range(len(rows)), n_jobs=1, batch_size=TILE, verbose=task.verbose, label="codes"):
        pass


def _choose(
    triangle: Triangle,
    sums: np.ndarray,
    kernel: Kernel,
    rows: Rows,
    landmarks: Rows,
    basis: Triangle,
    unseen: np.ndarray,
    task: Task,
) -> tuple[int, np.ndarray]:
    triangle.add_to_diagonal(middle(task.alphas))
    triangle.cholesky(task.n_jobs, task.verbose)

    def solve(b: np.ndarray) -> np.ndarray:
        return triangle.solve(b, n_jobs=task.n_jobs)

    weights = np.hstack(solutions(solve, sums, middle(task.alphas), task.alphas))
    found = kernel.products(rows, landmarks, basis.solve_upper(weights, n_jobs=task.n_jobs), task.n_jobs)
    return compared(times(found, task.roots(unseen)), unseen, task)


@dataclass(frozen=True)
class Best:
    """The number of views and the penalty with the best results on held-out rows."""

    n_views: int
    alpha: float
    scores: np.ndarray
    other_views_score: float | None


class Equations:
    """The sums FᵀWF and FᵀWT over rows with features F, weights W and targets T."""

    def __init__(self, kernel: Kernel, landmarks: Rows, basis: Triangle, task: Task, weights: np.ndarray):
        self.kernel, self.landmarks, self.basis, self.task = kernel, landmarks, basis, task
        self.row_weights = weights
        self.products = Triangle(len(landmarks), dtype=basis.dtype)
        self.products.fill(lambda some, others, out: out.fill(0))
        self.sums = np.zeros((len(landmarks), task.targets.shape[1]))

    @classmethod
    def of(cls, kernel: Kernel, landmarks: Rows, task: Task, weights: np.ndarray) -> Equations:
        """Factor the landmarks' kernel, and return equations without any rows."""
        basis = _factor_of(kernel, landmarks, task)
        return cls(kernel, landmarks, basis if basis.n <= TILE else _single(basis), task, weights)

    def empty(self) -> Equations:
        """Return equations for the same landmarks, without any rows."""
        return Equations(self.kernel, self.landmarks, self.basis, self.task, self.row_weights)

    def copy(self) -> Equations:
        """Return equations with a copy of the sums."""
        other = self.empty()
        other.products, other.sums = self.products.copy(), self.sums.copy()
        return other

    def features(self, rows: Rows) -> np.ndarray:
        """Compute features, with one column for each row of codes."""
        values = np.empty((len(self.landmarks), len(rows)), np.float32)

        def part(some: range) -> None:
            here = slice(some.start, some.stop)
            self.kernel.tile(self.landmarks, here, rows, slice(0, len(rows)), values[here])

        map_batches(part, range(len(values)), n_jobs=self.task.n_jobs, batch_size=TILE, shared_memory=True)
        return self.basis.solve_lower(values, n_jobs=self.task.n_jobs)

    def add(self, view: Rows, places: np.ndarray) -> None:
        """Add some rows of a view, block by block."""

        def block(some: range) -> None:
            here = places[some.start : some.stop]
            features, weights = self.features(view.reordered(here)), self.row_weights[here]
            weighted = (weights[:, None] * self.task.targets[here]).astype(features.dtype)
            for span in self.products.spans:
                self.sums[span] += features[span] @ weighted
            features *= np.sqrt(weights).astype(features.dtype)

            def add(left: slice, right: slice, out: np.ndarray) -> None:
                out += features[left] @ features[right].T

            self.products.fill(add, n_jobs=self.task.n_jobs)

        every = each_batch(
            block, range(len(places)), n_jobs=1, batch_size=TILE, verbose=self.task.verbose, label="codes", shared_memory=True
        )
        for _ in every:
            pass

    def answers(self, views: list[Rows], places: np.ndarray) -> np.ndarray:
        """Compute scores as an array of shape (n_alphas, n_views, n_rows, n_columns)."""
        weights = np.hstack(self._solutions())
        found = []
        for view in views:
            scores = np.hstack([self.features(view.reordered(places)).T @ weights])
            found.append(
                np.stack(np.split(scores + np.tile(self.task.intercept, len(self.task.alphas)), len(self.task.alphas), 1))
            )
        return np.stack(found, axis=1)

    def _solutions(self) -> list[np.ndarray]:
        triangle, alphas = self.products.copy(), self.task.alphas
        triangle.add_to_diagonal(middle(alphas))
        triangle.cholesky(self.task.n_jobs)
        right = self.sums.astype(triangle.dtype)
        return solutions(lambda b: triangle.solve(b, n_jobs=self.task.n_jobs), right, middle(alphas), alphas, ROUGH)

    def weights(self, alpha: float) -> tuple[np.ndarray, float]:
        """Return the weights of the landmarks, and the penalty that was used. The products are overwritten."""
        kept, penalty = self.products.copy(), alpha
        self._factor(penalty)
        while not self.factored:
            if penalty >= MOST_TIMES * alpha:
                raise InputError(
                    f"the equations cannot be solved with penalties from {alpha:g} to {penalty:g}; use larger alphas"
                )
            self.products, penalty = kept.copy(), 2 * penalty
            self._factor(penalty)
        found = self.products.solve(self.sums, n_jobs=self.task.n_jobs)
        return self.basis.solve_upper(found, n_jobs=self.task.n_jobs), penalty

    def _factor(self, penalty: float) -> None:
        """Factor the equations with this penalty. Set `factored` to False if float32 is not precise enough."""
        self.factored = False
        with suppress(InputError):
            self.products.add_to_diagonal(penalty)
            self.products.cholesky(self.task.n_jobs, self.task.verbose)
            self.factored = True


class Trials:
    """Equations that omit held-out rows. If there are few rows, each fold has its own set; otherwise there is one set."""

    def __init__(self, equations: Equations, views: list[Rows], order: np.ndarray, wanted: str):
        self.equations, self.views, self.order, self.wanted = equations, views, order, wanted
        n = len(order)
        if n <= FEW:
            self.held_out = [np.sort(order[start::FOLDS]) for start in range(min(FOLDS, n))]
        else:
            self.held_out = [np.sort(order[n - min(MOST_TRIED, n // 10) :])]
        self.trials: list[Equations] = []
        self.firsts: list[Equations] = []

    def choose(self) -> Best:
        """Choose the penalty and the views with the best weighted accuracy and, if several are equal, the smallest error."""
        for held in self.held_out:
            self.trials.append(self.equations.empty())
            self.trials[-1].add(self.views[0], self._others(held))
        first = [trial.answers(self.views, held) for trial, held in zip(self.trials, self.held_out, strict=True)]
        own, alphas = self._judged([found[:, 0] for found in first]), self.equations.task.alphas
        if len(self.views) == 1 or self.wanted == "first":
            return Best(1, alphas[_place(*own)], own[0][None], None)
        others = max(self._judged([found[:, view] for found in first])[0].max() for view in range(1, len(self.views)))
        if self.wanted == "auto" and others < own[0].max() - NEARLY:
            return Best(1, alphas[_place(*own)], own[0][None], float(others))
        return self._compared(own, float(others))

    def _compared(self, own: tuple[np.ndarray, np.ndarray], others: float) -> Best:
        """Compare models of the first views with models of all views."""
        alphas = self.equations.task.alphas
        self.firsts = [trial.copy() for trial in self.trials] if self.wanted == "auto" else []
        for trial, held in zip(self.trials, self.held_out, strict=True):
            for view in self.views[1:]:
                trial.add(view, self._others(held))
        every = [trial.answers(self.views, held).mean(axis=1) for trial, held in zip(self.trials, self.held_out, strict=True)]
        both = self._judged(every)
        scores = np.stack([own[0], both[0]])
        place = _place(*(np.concatenate(pair) for pair in zip(own, both, strict=True))) if self.wanted == "auto" else None
        if place is None or place >= len(alphas):
            self.firsts = []
            return Best(len(self.views), alphas[_place(*both)], scores, others)
        self.trials, self.firsts = self.firsts, []
        return Best(1, alphas[place], scores, others)

    def final(self, best: Best) -> Equations:
        """Return the equations of all rows: a single trial's equations plus its held-out rows, or newly computed equations."""
        single = len(self.trials) == 1
        equations = self.trials[0] if single else self.equations
        self.trials = []
        for view in self.views[: best.n_views]:
            equations.add(view, self.held_out[0] if single else np.arange(len(self.order)))
        return equations

    def _others(self, held: np.ndarray) -> np.ndarray:
        return np.setdiff1d(np.arange(len(self.order)), held)

    def _judged(self, found: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the accuracy and squared error for each penalty."""
        task, places = self.equations.task, np.concatenate(self.held_out)
        scores, weights = np.concatenate(found, axis=1), self.equations.row_weights[places]
        answers = scores[..., 0] > 0 if scores.shape[2] == 1 else scores.argmax(axis=2)
        errors = ((scores - task.targets[places] - task.intercept) ** 2).mean(axis=2)
        return (answers == task.labels[places]) @ weights / weights.sum(), errors @ weights / weights.sum()


def _place(right: np.ndarray, errors: np.ndarray) -> int:
    return int(np.lexsort((errors, -right))[0])


def _single(triangle: Triangle) -> Triangle:
    found = triangle.leading(len(triangle.tiles))
    found.dtype = np.dtype(np.float32)
    found.tiles = [[tile.astype(np.float32) for tile in row] for row in triangle.tiles]
    return found
