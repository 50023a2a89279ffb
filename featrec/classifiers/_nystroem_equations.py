"""The normal equations of kernel ridge regression on landmarks, and which penalty and views held-out rows prefer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from featrec.classifiers._exact_ridge import Task
from featrec.classifiers._kernel_tiles import Kernel, Rows
from featrec.classifiers._landmark_ridge import _factor_of
from featrec.classifiers._penalties import ROUGH, middle, solutions
from featrec.classifiers._triangle import TILE, Triangle
from featrec.exceptions import InputError
from featrec.parallel import each_batch, map_batches

__all__ = ["Best", "Equations", "Trials"]

# Up to so many rows they are held out in folds, so that all of them are.
FEW, FOLDS = 2000, 5
MOST_HELD_OUT = 2500
# Other views are tried where models of the first ones are right about them nearly as often.
NEARLY = 0.1
# How far a penalty is raised where float32 cannot factor the equations.
MOST_TIMES = 64


@dataclass(frozen=True)
class Best:
    """What held-out rows prefer."""

    n_views: int
    alpha: float
    scores: np.ndarray
    other_views_score: float | None


class Equations:
    """FᵀWF and FᵀWT, summed over rows: F their features, W their weights and T their targets."""

    def __init__(self, kernel: Kernel, landmarks: Rows, basis: Triangle, task: Task, weights: np.ndarray):
        self.kernel, self.landmarks, self.basis, self.task = kernel, landmarks, basis, task
        self.row_weights = weights
        self.products = Triangle(len(landmarks), dtype=basis.dtype)
        self.products.fill(lambda some, others, out: out.fill(0))
        self.sums = np.zeros((len(landmarks), task.targets.shape[1]))

    @classmethod
    def of(cls, kernel: Kernel, landmarks: Rows, task: Task, weights: np.ndarray) -> Equations:
        """No rows yet; the factor of the landmarks' kernel, whose triangular solve turns kernel values into features."""
        basis = _factor_of(kernel, landmarks, task)
        return cls(kernel, landmarks, basis if basis.n <= TILE else _single(basis), task, weights)

    def empty(self) -> Equations:
        """The same without rows."""
        return Equations(self.kernel, self.landmarks, self.basis, self.task, self.row_weights)

    def copy(self) -> Equations:
        """The same, apart from it."""
        other = self.empty()
        other.products, other.sums = self.products.copy(), self.sums.copy()
        return other

    def features(self, rows: Rows) -> np.ndarray:
        """One column for each row."""
        values = np.empty((len(self.landmarks), len(rows)), np.float32)

        def part(some: range) -> None:
            here = slice(some.start, some.stop)
            self.kernel.tile(self.landmarks, here, rows, slice(0, len(rows)), values[here])

        map_batches(part, range(len(values)), n_jobs=self.task.n_jobs, batch_size=TILE, shared_memory=True)
        return self.basis.solve_lower(values, n_jobs=self.task.n_jobs)

    def add(self, view: Rows, places: np.ndarray) -> None:
        """The rows at these places, a block after another."""

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
        """Scores of rows for each penalty and view: (n_alphas, n_views, n_rows, n_columns)."""
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
        """One weight for each landmark and column, and the penalty; the products are overwritten."""
        kept, penalty = self.products.copy(), alpha
        self._factor(penalty)
        while not self.factored:
            if penalty >= MOST_TIMES * alpha:
                raise InputError(
                    f"the equations cannot be solved with penalties from {alpha:g} to {penalty:g}; give larger alphas"
                )
            self.products, penalty = kept.copy(), 2 * penalty
            self._factor(penalty)
        found = self.products.solve(self.sums, n_jobs=self.task.n_jobs)
        return self.basis.solve_upper(found, n_jobs=self.task.n_jobs), penalty

    def _factor(self, penalty: float) -> None:
        """What float32 cannot factor with this penalty it can with a larger one."""
        self.factored = False
        with suppress(InputError):
            self.products.add_to_diagonal(penalty)
            self.products.cholesky(self.task.n_jobs, self.task.verbose)
            self.factored = True


class Trials:
    """Equations without the rows that are held out, one for each fold of few rows, one in all for many."""

    def __init__(self, equations: Equations, views: list[Rows], order: np.ndarray, wanted: str):
        self.equations, self.views, self.order, self.wanted = equations, views, order, wanted
        n = len(order)
        if n <= FEW:
            self.held_out = [np.sort(order[start::FOLDS]) for start in range(min(FOLDS, n))]
        else:
            self.held_out = [np.sort(order[n - min(MOST_HELD_OUT, n // 10) :])]
        self.trials: list[Equations] = []
        self.firsts: list[Equations] = []

    def choose(self) -> Best:
        """The penalty and the views that are right most often, by weight; of several the one nearest to the targets."""
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
        """Models of the first views against models of all."""
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
        """The equations of all rows: the one trial's with the rows that it has not seen, or new ones."""
        single = len(self.trials) == 1
        equations = self.trials[0] if single else self.equations
        self.trials = []
        for view in self.views[: best.n_views]:
            equations.add(view, self.held_out[0] if single else np.arange(len(self.order)))
        return equations

    def _others(self, held: np.ndarray) -> np.ndarray:
        return np.setdiff1d(np.arange(len(self.order)), held)

    def _judged(self, found: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The share of right answers and the squared error for each penalty."""
        task, places = self.equations.task, np.concatenate(self.held_out)
        scores, weights = np.concatenate(found, axis=1), self.equations.row_weights[places]
        answers = scores[..., 0] > 0 if scores.shape[2] == 1 else scores.argmax(axis=2)
        errors = ((scores - task.targets[places] - task.intercept) ** 2).mean(axis=2)
        return (answers == task.labels[places]) @ weights / weights.sum(), errors @ weights / weights.sum()


def _place(right: np.ndarray, errors: np.ndarray) -> int:
    return int(np.lexsort((errors, -right))[0])


def _single(triangle: Triangle) -> Triangle:
    """The same numbers in float32."""
    found = triangle.leading(len(triangle.tiles))
    found.dtype = np.dtype(np.float32)
    found.tiles = [[tile.astype(np.float32) for tile in row] for row in triangle.tiles]
    return found
