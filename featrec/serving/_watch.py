"""Watch: predictions of frames one after another, smoothed over frames, with their times."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation import observed
from featrec.exceptions import InputError
from featrec.parallel import alone, one_inner_thread

if TYPE_CHECKING:
    from featrec.evaluation import Drift, DriftReport, Observed

__all__ = ["FramePrediction", "Watch", "WatchSummary"]

# Times of so many latest frames are kept for percentiles.
MOST_TIMES = 100_000


@dataclass(frozen=True)
class FramePrediction:
    """What the model says about one frame.

    Attributes
    ----------
    label : class
        Prediction of this frame alone.
    smoothed : class
        Prediction that takes the frames before into account.
    changed : bool
        Whether `smoothed` differs from that of the frame before; True for the first frame.
    confidence : float or None
        The largest probability, or the distance between the two largest decision values. None if the model has neither.
    scores : dict of class to float
        Probabilities, or else decision values, of this frame alone, the largest first; empty if the model has neither.
    seconds : float
        Time of the prediction, with smoothing and drift.
    drift : bool or None
        Whether the latest frames differ from the reference. None without a reference.
    differing : tuple of str
        In what they differ: "codes", "confidences" and "brightness".
    """

    label: Any
    smoothed: Any
    changed: bool
    confidence: float | None
    scores: dict[Any, float] = field(repr=False)
    seconds: float
    drift: bool | None
    differing: tuple[str, ...] = ()


@dataclass(frozen=True)
class WatchSummary:
    """Result of :meth:`Watch.summary`.

    Attributes
    ----------
    n_frames : int
        Number of frames that were predicted.
    seconds : float
        From the first prediction until now, including the time in which frames were read.
    frames_per_second : float
    p50_ms, p99_ms : float or None
        Median and 99th percentile of the time of a prediction. None without frames.
    shares : dict of class to float
        Share of frames with each smoothed label, the largest first.
    n_changes : int
        How often the smoothed label changed.
    drift : DriftReport or None
    """

    n_frames: int
    seconds: float
    frames_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    shares: dict[Any, float]
    n_changes: int
    drift: DriftReport | None

    def __str__(self) -> str:
        if not self.n_frames:
            return "no frames"
        speed = f"{self.frames_per_second:.1f} frames a second; prediction {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"
        lines = [f"{self.n_frames:,} frames in {self.seconds:.1f} s, {speed}"]
        shares = ", ".join(f"{label} {100 * share:.1f} %" for label, share in self.shares.items())
        lines.append(f"{shares}; {self.n_changes:,} changes")
        return "\n".join([*lines, *([] if self.drift is None else [str(self.drift).strip()])])

    def to_json(self) -> str:
        """Return all attributes as JSON on one line; of the drift, without its looks."""
        found = {name: value for name, value in vars(self).items() if name not in ("drift", "shares")}
        found["shares"] = {str(label): share for label, share in self.shares.items()}
        if self.drift is not None:
            found["drift"] = {**json.loads(self.drift.to_json()), "looks": len(self.drift.looks)}
        return json.dumps(found, ensure_ascii=False)


class Watch:
    """Predict frames one after another.

    Parameters
    ----------
    model : fitted classifier of images
    smoothing : {"exponential", "majority", "none"}, default="exponential"
        "exponential": mean of the scores, in which the weight of a frame decreases to about a third after `span` / 2 frames.
        Models without scores, or with a label for unknown images, have one vote per frame. "majority": the most frequent
        label of the last `span` frames; of equally frequent ones, the latest.
    span : int, default=10
        Number of frames over which to smooth.
    drift : Drift, optional
        Compares the frames with a reference.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.recipes import tiny_knn
    >>> from featrec.serving import Watch
    >>> day, night = np.full((48, 64, 3), 200, np.uint8), np.full((48, 64, 3), 20, np.uint8)
    >>> model = tiny_knn().fit([day, night], ["day", "night"])
    >>> watch = Watch(model, smoothing="majority", span=3)
    >>> [watch.predict(frame).smoothed for frame in (day, day, night, day)]
    ['day', 'day', 'day', 'day']
    >>> watch.summary().shares
    {'day': 1.0}
    """

    def __init__(self, model: Any, *, smoothing: str = "exponential", span: int = 10, drift: Drift | None = None):
        if smoothing not in _SMOOTHERS:
            raise InputError(f"smoothing must be one of {', '.join(_SMOOTHERS)}; got {smoothing!r}")
        if isinstance(span, bool) or not isinstance(span, (int, np.integer)) or span < 1:
            raise InputError(f"span must be an integer of at least 1; got {span!r}")
        if not hasattr(model, "predict"):
            raise InputError(f"expected a fitted classifier of images; got a {type(model).__name__} without predict")
        self.model, self.drift = model, drift
        self._smooth = _SMOOTHERS[smoothing](int(span), list(getattr(model, "classes_", ())))
        last = getattr(model, "steps", [(None, model)])[-1][1]
        self._rejects = hasattr(last, "review")  # scores of the classes cannot say that an image is of none of them
        self._shown: Any = None
        self._times: deque[float] = deque(maxlen=MOST_TIMES)
        self._counts: Counter[Any] = Counter()
        self._n_changes = 0
        self._begin: float | None = None
        self._end = 0.0

    def predict(self, image: np.ndarray) -> FramePrediction:
        """Predict one frame. The first one is predicted twice, because its first prediction may compile loops.

        Parameters
        ----------
        image : array of shape (h, w) or (h, w, 3)

        Returns
        -------
        prediction : FramePrediction
        """
        if self._begin is None:
            self._observed(image)
            self._begin = time.perf_counter()
        start = time.perf_counter()
        found = self._observed(image)
        label = _plain(found.labels[0])
        smoothed = _plain(self._smooth(label, None if found.scores is None or self._rejects else found.scores[0]))
        if self.drift is not None:
            self.drift.update(found.codes, found.confidences, found.brightness)
        self._end = time.perf_counter()
        changed = self._count(smoothed, self._end - start)
        return FramePrediction(
            label=label,
            smoothed=smoothed,
            changed=changed,
            confidence=None if found.confidences is None else float(found.confidences[0]),
            scores=self._scores(found),
            seconds=self._end - start,
            drift=None if self.drift is None else self.drift.drifted,
            differing=() if self.drift is None else self.drift.differing,
        )

    def summary(self) -> WatchSummary:
        """Summarize the frames so far.

        Returns
        -------
        summary : WatchSummary
        """
        n = sum(self._counts.values())
        seconds = self._end - self._begin if self._begin is not None and n else 0.0
        p50, p99 = 1000 * np.percentile(self._times, [50, 99]) if n else (None, None)
        return WatchSummary(
            n_frames=n,
            seconds=seconds,
            frames_per_second=n / seconds if seconds else 0.0,
            p50_ms=None if p50 is None else float(p50),
            p99_ms=None if p99 is None else float(p99),
            shares={label: count / n for label, count in self._counts.most_common()},
            n_changes=self._n_changes,
            drift=None if self.drift is None else self.drift.report(),
        )

    def _observed(self, image: np.ndarray) -> Observed:
        """Ask the model, on one core: starting threads for a single frame takes longer than they save."""
        with alone(), one_inner_thread():
            return observed(self.model, [image])

    def _count(self, smoothed: Any, seconds: float) -> bool:
        first = not self._times
        changed = first or smoothed != self._shown
        self._n_changes += changed and not first
        self._shown = smoothed
        self._times.append(seconds)
        self._counts[smoothed] += 1
        return changed

    def _scores(self, found: Observed) -> dict[Any, float]:
        if found.scores is None:
            return {}
        values = found.scores[0]
        return {_plain(self.model.classes_[place]): float(values[place]) for place in np.argsort(-values, kind="stable")}


class _Smoother:
    """Combines the latest labels or scores. It returns the label of the frame itself, unless a subclass does otherwise."""

    def __init__(self, span: int, classes: list[Any]):
        self.span, self.classes = span, classes

    def __call__(self, label: Any, scores: np.ndarray | None) -> Any:
        return label


class _Exponential(_Smoother):
    """Mean of scores with exponentially decreasing weights; of votes, if the model has no scores."""

    def __init__(self, span: int, classes: list[Any]):
        super().__init__(span, classes)
        self.weight = 2 / (span + 1)
        self.mean: np.ndarray = np.zeros(0)

    def __call__(self, label: Any, scores: np.ndarray | None) -> Any:
        if scores is None:
            if label not in self.classes:
                self.classes.append(label)
                self.mean = np.append(self.mean, 0.0) if len(self.mean) else self.mean
            scores = np.array([float(name == label) for name in self.classes])
        self.mean = self.mean + self.weight * (scores - self.mean) if len(self.mean) else np.array(scores, float)
        return self.classes[int(self.mean.argmax())]


class _Majority(_Smoother):
    """The most frequent of the latest labels; of equally frequent ones, the latest."""

    def __init__(self, span: int, classes: list[Any]):
        super().__init__(span, classes)
        self.latest: deque[Any] = deque(maxlen=span)

    def __call__(self, label: Any, scores: np.ndarray | None) -> Any:
        self.latest.append(label)
        counts = Counter(reversed(self.latest))  # most_common keeps the order of equally frequent labels
        return counts.most_common(1)[0][0]


_SMOOTHERS = {"exponential": _Exponential, "majority": _Majority, "none": _Smoother}


def _plain(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label
