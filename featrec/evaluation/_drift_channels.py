"""Channels of drift: codes, confidences and brightness, each with its reference, its latest rows and its state."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from featrec.evaluation._two_samples import (
    bin_edges,
    bin_features,
    correlation_length,
    kernel_distance,
    kernel_features,
    permutation_p,
    ranks,
    stability,
)

__all__ = ["LEAST_RECENT", "Channel", "Codes", "Light", "Numbers"]

# Minimum number of images that are compared, when most images are left out because they resemble each other.
LEAST_RECENT = 20
# A look that finds a difference is confirmed by the next look, if its p value is at most so many times the level.
CONFIRMING = 10
# While a drift lasts, p values up to this number do not end it. Few permutations suffice to compare with it.
ENDING_LEVEL = 0.01

Measured = tuple[float | None, float | None]
Features = tuple[np.ndarray, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]


class Channel:
    """One kind of numbers: the rows of the reference, the latest rows, their test, and whether they differ.

    With `n_first`, the first rows become the reference. `thin` is estimated from these, or from the first `window` rows.
    """

    def __init__(self, reference: np.ndarray | None, n_first: int, window: int, thin: int | None):
        self.reference, self.n_first, self.window, self.thin = reference, n_first, window, thin
        self.first: list[np.ndarray] = []
        self.recent: deque[np.ndarray] = deque()
        self.n_rows = self.n_new = 0
        self.begun = self.suspected = self.differs = False

    @property
    def used(self) -> bool:
        """Whether rows were given that are compared, or will be."""
        return self.begun or bool(self.first)

    def add(self, rows: np.ndarray | None) -> None:
        """Add rows in their order, if there is a reference or will be one."""
        if rows is None or not (self.n_first or self.reference is not None):
            return
        for row in rows[np.isfinite(rows)] if rows.ndim == 1 else rows:  # NaN: the brightness of an image is unknown
            if self.begun:
                self._take(row)
            else:
                self.first.append(row)
                if len(self.first) == (self.n_first or self.window):
                    self._begin()

    def look(self, level: float, random: np.random.Generator) -> Measured:
        """Compare the latest rows with the reference. Return the statistic and the p value; None if too few rows are new.

        `differs` becomes True if a look has a p value up to `level` and the next one confirms it.
        """
        if not self.begun or len(self.recent) < (self.recent.maxlen or 0) or not self.n_new:
            return None, None
        self.n_new = 0
        level = ENDING_LEVEL if self.differs else level * (CONFIRMING if self.suspected else 1)
        recent, reference, statistic = self.features()
        value, p = permutation_p(recent, reference, statistic, level, random)
        self.differs, self.suspected = p <= level and (self.suspected or self.differs), p <= level
        return value, p

    def features(self) -> Features:
        """Return features of the latest rows and of the reference, and the statistic."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Decide how many rows to leave out, and make the reference of the first rows or compare them with it."""
        first = np.array(self.first)
        self.thin = self.thin or self._distance(first)
        self.recent = deque(maxlen=max(self.window // self.thin, LEAST_RECENT))
        self.begun, self.first = True, []
        if self.reference is None:
            self.reference = first[:: self.thin]
        else:
            for row in first:
                self._take(row)

    def _distance(self, first: np.ndarray) -> int:
        """Return the distance at which rows are independent."""
        return correlation_length(first)

    def _take(self, row: np.ndarray) -> None:
        if self.n_rows % (self.thin or 1) == 0:
            self.recent.append(row)
            self.n_new += 1
        self.n_rows += 1


class Codes(Channel):
    """Rows of several numbers."""

    def features(self) -> Features:
        features = kernel_features(np.concatenate([np.array(self.recent), self.reference]))
        return features[: len(self.recent)], features[len(self.recent) :], kernel_distance


class Numbers(Channel):
    """Single numbers, such as confidences."""

    def edges(self) -> np.ndarray:
        """Return the limits between bins."""
        assert self.reference is not None
        return bin_edges(self.reference)

    def features(self) -> Features:
        assert self.reference is not None
        edges = self.edges()
        recent, reference = bin_features(np.array(self.recent), edges), bin_features(self.reference, edges)
        return recent, reference, stability(len(recent), len(reference))

    def means(self) -> tuple[float | None, float | None]:
        """Return the mean of the latest numbers and of the reference."""
        if self.reference is None or not self.recent:
            return None, None
        return float(np.mean(self.recent)), float(np.mean(self.reference))

    def _distance(self, first: np.ndarray) -> int:
        # Bins depend on the order only, and a few very confident images would hide that the others resemble each other.
        return correlation_length(ranks(first)[:, None])


class Light(Numbers):
    """Brightness. Bins contain equally many images of both samples, so that few images of a reference suffice.

    Bins of the reference would not tell its darkest image from darker ones, nor black frames from brighter ones.
    """

    def edges(self) -> np.ndarray:
        assert self.reference is not None
        return bin_edges(np.concatenate([np.array(self.recent), self.reference]))
