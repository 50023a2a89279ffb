"""Drift: whether new images still look to a model like those that it was made for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from featrec.evaluation._drift_report import DriftLook, DriftReport, bins_of
from featrec.evaluation._training_summary import TrainingSummary
from featrec.evaluation._two_samples import (
    bin_edges,
    bin_features,
    correlation_length,
    kernel_distance,
    kernel_features,
    permutation_p,
    projected,
    ranks,
    stability,
)
from featrec.exceptions import InputError
from featrec.parallel import one_inner_thread

__all__ = ["Drift"]

# Minimum number of images that are compared, when most images are left out because they resemble each other.
LEAST_RECENT = 20
# A look that finds a difference is confirmed by the next look, if its p value is at most so many times the level.
CONFIRMING = 10
# While a drift lasts, p values up to this number do not end it. Few permutations suffice to compare with it.
ENDING_LEVEL = 0.01
MOST_LOOKS = 1000
# A smaller level would need more than 500,000 permutations in a test.
LEAST_LEVEL = 4e-6


class Drift:
    """Find out when new images stop looking to a model like a reference: those it was trained for, or the first images.

    A model goes on predicting when the light changes, a lens becomes dirty or a camera is turned. This class compares the codes
    and confidences of the latest images with those of a reference: by a maximum mean discrepancy (MMD) for codes and a
    population stability index (PSI) for confidences, each with a permutation test. Labels are not needed.

    **Repeated looks.** Each look has the level ``alpha * every / horizon``, divided by the number of tests. In `horizon` images
    without any change, the expected number of false alarms is at most `alpha`.

    **Two looks in a row.** A drift begins when a look finds a difference and the next one confirms it, at ten times the level.
    The level holds on average over references. A single reference is a sample, too: if it is unusual by chance, it is unusual
    at each look. The second look leaves room for that, and for a stream of images that come back. It costs `every` images.

    **Images that follow each other** in a film are not independent. The distance at which their correlation falls below 0.1 is
    estimated from the first images (of confidences, by ranks), and one image per 1.5 such distances is used. If all first
    images show one scene, another scene is a change, too.

    Parameters
    ----------
    reference : TrainingSummary or int
        A summary of images like those of the training set; or the number of first images to compare with. A fixed camera needs
        the first images, because its single scene always differs from a training set of many scenes.
    window : int, default=100
        Number of latest images that are compared with the reference. More images find smaller changes, later.
    every : int, default=25
        Number of images between looks.
    alpha : float, default=0.01
        Maximum expected number of false alarms in `horizon` images.
    horizon : int, default=2000
        With the defaults, one false alarm in 200,000 images, which a camera takes in two hours.
    thin : int or "auto", default="auto"
        Use one of so many images. "auto": as estimated from the first images. 1: all, if images are independent.
    random_state : int, default=0
        Seed of the permutations.

    References
    ----------
    A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf and A. Smola, "A kernel two-sample test", JMLR 2012.
    A. Rahimi and B. Recht, "Random features for large-scale kernel machines", NIPS 2007.
    J. Besag and P. Clifford, "Sequential Monte Carlo p-values", Biometrika 1991.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.evaluation import Drift
    >>> random = np.random.default_rng(0)
    >>> drift = Drift(200)
    >>> drift.update(random.normal(size=(600, 8)), random.uniform(size=600))
    >>> drift.drifted
    False
    >>> drift.update(random.normal(loc=1.0, size=(100, 8)), random.uniform(size=100))
    >>> drift.drifted, drift.report().alarms
    (True, (650,))
    """

    def __init__(
        self,
        reference: TrainingSummary | int,
        *,
        window: int = 100,
        every: int = 25,
        alpha: float = 0.01,
        horizon: int = 2000,
        thin: int | str = "auto",
        random_state: int = 0,
    ):
        self.reference, self.window, self.every = (
            reference,
            _integer("window", window, LEAST_RECENT),
            _integer("every", every, 1),
        )
        self.horizon = _integer("horizon", horizon, self.every)
        if not isinstance(alpha, (int, float)) or not 0 < alpha <= 1:
            raise InputError(f"alpha must be greater than 0 and at most 1, such as 0.05; got {alpha!r}")
        self.alpha, self.thin = float(alpha), thin if thin == "auto" else _integer("thin", thin, 1)
        if self.alpha * self.every / self.horizon / 2 < LEAST_LEVEL:
            raise InputError(
                f"alpha={alpha} in horizon={horizon} images with a look every {every} images leaves a level below "
                f"{LEAST_LEVEL:g} for a test, which would need too many permutations; look less often or use a greater alpha"
            )
        self.random_state = random_state
        self._random = np.random.default_rng(random_state)
        self._width: int | None = None
        self._codes, self._confidences = self._channels()
        self._n_images, self._drifted, self._suspected = 0, False, False
        self._alarms: list[int] = []
        self._looks: deque[DriftLook] = deque(maxlen=MOST_LOOKS)

    @property
    def drifted(self) -> bool:
        """Whether the latest images differ from the reference, found by a look and confirmed by the next."""
        return self._drifted

    @property
    def n_images(self) -> int:
        """Number of images so far."""
        return self._n_images

    def update(self, codes: Any = None, confidences: Any = None) -> None:
        """Add images in their order, and look at the latest ones every `every` images.

        Parameters
        ----------
        codes : array of shape (n, width), optional
            Inputs of the classifier. Always of the same width.
        confidences : array of shape (n,), optional
            How sure the model is of each image; always of the same kind.
        """
        rows, shares = self._checked(codes, confidences)
        n = next(len(given) for given in (rows, shares, ()) if given is not None)
        start = 0
        while start < n:
            end = min(n, start + self.every - self._n_images % self.every)
            self._codes.add(None if rows is None else rows[start:end])
            self._confidences.add(None if shares is None else shares[start:end])
            self._n_images, start = self._n_images + end - start, end
            if self._n_images % self.every == 0:
                with one_inner_thread():  # the products are small
                    self._look()

    def gauges(self) -> dict[str, float]:
        """Return the current measures by name, for the metrics of a server; NaN before the first look.

        Returns
        -------
        gauges : dict of str to float
            "drift" (0 or 1), "images", "alarms", "level", "codes_mmd", "codes_p", "confidence_psi" and "confidence_p".
        """
        last = self._looks[-1] if self._looks else DriftLook(0, False, None, None, None, None)
        known = {"codes_mmd": last.mmd, "codes_p": last.mmd_p, "confidence_psi": last.psi, "confidence_p": last.psi_p}
        counts = {"drift": self._drifted, "images": self._n_images, "alarms": len(self._alarms), "level": self._level()}
        return {name: math.nan if value is None else float(value) for name, value in (counts | known).items()}

    def report(self) -> DriftReport:
        """Return everything found so far.

        Returns
        -------
        report : DriftReport
        """
        channels = (self._codes, self._confidences)
        return DriftReport(
            reference=self._described(),
            n_images=self._n_images,
            drift=self._drifted,
            alarms=tuple(self._alarms),
            looks=tuple(self._looks),
            level=self._level(),
            alpha=self.alpha,
            horizon=self.horizon,
            thin_codes=self._codes.thin,
            thin_confidences=self._confidences.thin,
            n_reference=min((len(each.reference) for each in channels if each.reference is not None), default=0),
            n_recent=min((len(each.recent) for each in channels if each.reference is not None), default=0),
            **self._confidences.bins(),
        )

    def _channels(self) -> tuple[_Codes, _Confidences]:
        thin = None if self.thin == "auto" else int(self.thin)
        if isinstance(self.reference, TrainingSummary):
            summary = self.reference
            self._width = summary.width or None
            return _Codes(summary.codes, 0, self.window, thin), _Confidences(summary.confidences, 0, self.window, thin)
        n_first = _integer("reference", self.reference, LEAST_RECENT)
        return _Codes(None, n_first, self.window, thin), _Confidences(None, n_first, self.window, thin)

    def _described(self) -> str:
        if isinstance(self.reference, TrainingSummary):
            return f"the summary of {self.reference.n_images:,} images of the training set"
        return f"the first {self.reference:,} images"

    def _level(self) -> float:
        """Return the level of one test: a share of `alpha`, for each look in `horizon` images and for each of its tests."""
        n_tests = sum(channel.used for channel in (self._codes, self._confidences))
        return self.alpha * self.every / self.horizon / max(1, n_tests)

    def _look(self) -> None:
        level = ENDING_LEVEL if self._drifted else self._level() * (CONFIRMING if self._suspected else 1)
        mmd, mmd_p = self._codes.compared(level, self._random)
        psi, psi_p = self._confidences.compared(level, self._random)
        found = [p for p in (mmd_p, psi_p) if p is not None]
        if not found:
            return
        differs = min(found) <= level
        drift = differs and (self._suspected or self._drifted)
        if drift and not self._drifted:
            self._alarms.append(self._n_images)
        self._drifted, self._suspected = drift, differs
        self._looks.append(DriftLook(self._n_images, drift, mmd, mmd_p, psi, psi_p))

    def _checked(self, codes: Any, confidences: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
        rows = None if codes is None else np.asarray(codes)
        shares = None if confidences is None else np.asarray(confidences, np.float32)  # as in a summary
        if rows is not None:
            if rows.ndim != 2 or not np.isfinite(rows).all():
                raise InputError(f"codes must be finite numbers of shape (n, width); got shape {rows.shape}")
            if self._width not in (None, rows.shape[1]):
                raise InputError(f"the reference has codes of {self._width} columns; got {rows.shape[1]}. Use the same model")
            self._width = rows.shape[1]
            rows = projected(rows)
        if shares is not None and (shares.ndim != 1 or not np.isfinite(shares).all()):
            raise InputError(f"confidences must be finite numbers of shape (n,); got shape {shares.shape}")
        if rows is not None and shares is not None and len(rows) != len(shares):
            raise InputError(f"{len(rows)} codes and {len(shares)} confidences; give one of each per image")
        return rows, shares


class _Channel:
    """One kind of numbers: the rows of the reference, the latest rows, and their test.

    With `n_first`, the first rows become the reference. `thin` is estimated from these, or from the first `window` rows.
    """

    def __init__(self, reference: np.ndarray | None, n_first: int, window: int, thin: int | None):
        self.reference, self.n_first, self.window, self.thin = reference, n_first, window, thin
        self.first: list[np.ndarray] = []
        self.recent: deque[np.ndarray] = deque()
        self.n_rows = self.n_new = 0
        self.begun = False

    @property
    def used(self) -> bool:
        """Whether there are rows to compare, or will be."""
        return self.reference is not None or bool(self.first)

    def add(self, rows: np.ndarray | None) -> None:
        if rows is None or not (self.n_first or self.reference is not None):
            return
        for row in rows:
            if self.begun:
                self._take(row)
            else:
                self.first.append(row)
                if len(self.first) == (self.n_first or self.window):
                    self._begin()

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

    def compared(self, level: float, random: np.random.Generator) -> tuple[float | None, float | None]:
        """Return the statistic and the p value of the latest rows; None if they are too few, or not new."""
        if not self.begun or len(self.recent) < (self.recent.maxlen or 0) or not self.n_new:
            return None, None
        self.n_new = 0
        recent, reference, statistic = self._features()
        return permutation_p(recent, reference, statistic, level, random)

    def _features(self) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        raise NotImplementedError


class _Codes(_Channel):
    def _features(self) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        features = kernel_features(np.concatenate([np.array(self.recent), self.reference]))
        return features[: len(self.recent)], features[len(self.recent) :], kernel_distance


class _Confidences(_Channel):
    def _distance(self, first: np.ndarray) -> int:
        # Bins depend on the order only, and a few very confident images would hide that the others resemble each other.
        return correlation_length(ranks(first)[:, None])

    def _features(self) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        assert self.reference is not None
        edges = bin_edges(self.reference)
        recent, reference = bin_features(np.array(self.recent), edges), bin_features(self.reference, edges)
        return recent, reference, stability(len(recent), len(reference))

    def bins(self) -> dict[str, np.ndarray]:
        if self.reference is None or not self.recent:
            return dict.fromkeys(("edges", "reference_shares", "recent_shares", "stability_terms"), np.zeros(0))
        recent, reference, _ = self._features()
        return bins_of(bin_edges(self.reference), reference, recent)


def _integer(name: str, value: Any, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        kind = " or a TrainingSummary" if name == "reference" else ""
        raise InputError(f"{name} must be an integer of at least {least}{kind}; got {value!r:.80}")
    return int(value)
