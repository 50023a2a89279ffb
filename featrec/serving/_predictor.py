"""Predictor: one loaded model that answers batches of images from several threads."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from featrec.exceptions import FeatrecError, ImageError, InputError
from featrec.explanation import explain
from featrec.images import brightness, read_image
from featrec.parallel import LARGEST_BATCH, alone, map_batches, one_inner_thread
from featrec.persistence import load
from featrec.serving._answer import Answer
from featrec.serving._judge import Judgement, classes_of, judge, private_copy, unwrapped

__all__ = ["Predictor", "Watcher"]

LOG = logging.getLogger("featrec.serving")
MAX_PIXELS = 100_000_000  # the default of read_image
# Sizes of the images that warm() predicts: most models scale images, others accept only small ones of one size.
WARM_SIZES = ((120, 160), (32, 32), (28, 28), (8, 8))
ONE_ITEM = (str, bytes, bytearray, memoryview, os.PathLike)


class Watcher(Protocol):
    """An object that watches for drift, such as ``featrec.evaluation.Drift``."""

    def update(self, codes: np.ndarray | None, confidences: np.ndarray | None, brightness: np.ndarray | None) -> None:
        """Add a batch: the inputs of the classifier, if they are a matrix; how sure the model is, if it has scores; and the
        mean of all values of each image, from 0 to 1.
        """

    def gauges(self) -> dict[str, float]:
        """Return the current measures by name."""


@dataclass(frozen=True)
class _Image:
    """A decoded image, or the reason why there is none."""

    pixels: np.ndarray | None
    seconds: float
    error: Exception | None = None


class Predictor:
    """A fitted model that answers batches of encoded images, paths or arrays.

    A model file is loaded once. Several threads may call :meth:`predict` at the same time: each works on its own copy of the
    estimators, which share their arrays, so nothing is written on the model. An image that cannot be used does not stop the
    others: the reason is in its answer.

    Parameters
    ----------
    model : path or estimator
        A model file, or a fitted classifier of images.
    top : int, default=3
        Number of most likely classes in an answer.
    max_pixels : int, default=100_000_000
        See :func:`featrec.images.read_image`.
    batch_size : int, default=32
        Maximum number of images that are in memory and predicted at once, per thread.
    n_jobs : int, default=1
        Number of threads that one call uses. A server uses 1, because it answers several requests at the same time.
    anonymize : callable, optional
        Changes each image after decoding, before the model sees it; it receives and returns an array. An object with a method
        ``apply``, such as a step of :mod:`featrec.preprocessing`, is accepted, too.
    drift : object or callable, optional
        An object with the methods ``update(codes, confidences, brightness)`` and ``gauges()``, or a function that receives the
        model and returns such an object, or None. It is called for each batch, by one thread at a time.
    trusted : iterable of str or type, default=()
        See :func:`featrec.persistence.load`.

    Attributes
    ----------
    model : estimator
    classes : list
        The classes of the model.

    Notes
    -----
    Parameters of the model are changed in the copies: ``on_error="raise"``, so that an unusable image gives an error instead of
    a prediction for a row of zeros, and ``cache=None``, so that no description of a user's image is written to disk.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.recipes import tiny_knn
    >>> from featrec.serving import Predictor
    >>> train, test = load_dataset("digits")
    >>> predictor = Predictor(tiny_knn(size=(8, 8)).fit(train, train.labels), top=2)
    >>> answer, failed = predictor.predict([test[0], b"no image"])
    >>> answer.label, len(answer.top), answer.size
    ('1', 2, (8, 8))
    >>> type(failed.error).__name__
    'NotAnImageError'
    """

    def __init__(
        self,
        model: Any,
        *,
        top: int = 3,
        max_pixels: int = MAX_PIXELS,
        batch_size: int = LARGEST_BATCH,
        n_jobs: int | None = 1,
        anonymize: Callable[[np.ndarray], np.ndarray] | Any = None,
        drift: Any = None,
        trusted: Iterable[str | type] = (),
    ):
        self.model = load(model, trusted=trusted) if isinstance(model, (str, os.PathLike)) else model
        check_is_fitted(self.model)
        self.top = _at_least("top", top, 0)
        self.max_pixels = _at_least("max_pixels", max_pixels, 1)
        self.batch_size = _at_least("batch_size", batch_size, 1)
        self.n_jobs = n_jobs
        watches = drift is None or (hasattr(drift, "update") and not isinstance(drift, type))
        self.drift: Watcher | None = drift if watches else drift(self.model)
        self.anonymize = getattr(anonymize, "apply", anonymize)
        self.classes = classes_of(self.model)
        self._local, self._drift_lock = threading.local(), threading.Lock()

    def __repr__(self) -> str:
        return f"Predictor({type(self.model).__name__}, {len(self.classes)} classes)"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_local", "_drift_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _local=threading.local(), _drift_lock=threading.Lock())

    @property
    def has_confidence(self) -> bool:
        """Whether the model has probabilities."""
        return hasattr(self.model, "predict_proba")

    @property
    def can_reject(self) -> bool:
        """Whether the model can reject images of none of its classes."""
        return hasattr(unwrapped(self.model), "review")

    def predict(self, items: Sequence[Any], *, top: int | None = None, explain: bool = False) -> list[Answer]:
        """Answer a batch of images.

        Parameters
        ----------
        items : sequence of bytes, path or array
            Encoded images, paths of image files, or arrays of shape (h, w) or (h, w, 3).
        top : int, optional
            Number of most likely classes. Default: the parameter of the constructor.
        explain : bool, default=False
            Whether to explain each prediction, which takes longer than the prediction.

        Returns
        -------
        answers : list of Answer
            In the order of the items.
        """
        if isinstance(items, ONE_ITEM):
            raise InputError(f"expected a batch of images; got one item ({type(items).__name__}). Use a list: [image]")
        k = self.top if top is None else _at_least("top", top, 0)

        def answered(batch: Sequence[Any]) -> list[Answer]:
            return self._answers(batch, k, explain)

        size = self.batch_size
        if len(items) <= size:
            return answered(items)
        parts = map_batches(answered, items, n_jobs=self.n_jobs, batch_size=size, shared_memory=True)
        return [answer for part in parts for answer in part]

    def warm(self, *, explain: bool = False) -> float:
        """Predict a few generated images, so that compiled loops and decoders are ready for the first user.

        Parameters
        ----------
        explain : bool, default=False
            Whether to explain them, too.

        Returns
        -------
        seconds : float
        """
        start = time.perf_counter()
        drift, self.drift = self.drift, None
        try:
            for size in WARM_SIZES:
                if all(answer.error is None for answer in self.predict(_noise(size), explain=explain)):
                    break
        finally:
            self.drift = drift
        return time.perf_counter() - start

    def _answers(self, items: Sequence[Any], top: int, explain: bool) -> list[Answer]:
        # The parameters are those of a fitted model; scikit-learn's check of them takes 0.2 ms per batch.
        with alone(), one_inner_thread(), config_context(skip_parameter_validation=True):
            images = [self._decoded(item) for item in items]
            answers = [_first_answer(image) for image in images]
            rows = [row for row, image in enumerate(images) if image.error is None]
            for row, answer in zip(rows, self._judged([images[row].pixels for row in rows], top), strict=True):
                known = answers[row]
                answers[row] = replace(answer, size=known.size, seconds={**known.seconds, **answer.seconds})
                if explain and answer.error is None:
                    answers[row] = self._explained(answers[row], images[row].pixels)
        return answers

    def _decoded(self, item: Any) -> _Image:
        start = time.perf_counter()
        try:
            pixels = read_image(item, max_pixels=self.max_pixels)
            if self.anonymize is not None:
                pixels = self.anonymize(pixels)
        except Exception as error:
            return _Image(None, time.perf_counter() - start, _own(error))
        return _Image(pixels, time.perf_counter() - start)

    def _judged(self, images: list, top: int) -> list[Answer]:
        """Return the answer of each image. If a batch fails, each image is predicted alone, to find the unusable one."""
        if not images:
            return []
        start = time.perf_counter()
        try:
            found = judge(self._model(), images, top)
        except Exception as error:
            if len(images) == 1:
                return [Answer(seconds={"predict": time.perf_counter() - start}, error=_own(error))]
            return [answer for image in images for answer in self._judged([image], top)]
        self._observe(found, images)
        seconds = (time.perf_counter() - start) / len(images)
        fields = zip(found.labels, found.confidences, found.scores, found.rejected, strict=True)
        return [Answer(*each, seconds={"predict": seconds}) for each in fields]

    def _observe(self, found: Judgement, images: list) -> None:
        """Pass a batch to the watcher. If the watcher fails, the answers are still right."""
        if self.drift is None:
            return
        try:
            means = np.array([brightness(image) for image in images])
            with self._drift_lock:
                self.drift.update(found.codes, found.sureness, means)
        except Exception:
            LOG.exception("the drift of a batch could not be measured")

    def _explained(self, answer: Answer, image: Any) -> Answer:
        start = time.perf_counter()
        try:
            found, error = self._explanation(image, self._target(answer)), None
        except Exception as problem:
            found, error = None, _own(problem)
        seconds = {**answer.seconds, "explain": time.perf_counter() - start}
        return replace(answer, explanation=found, seconds=seconds, error=error)

    def _target(self, answer: Answer) -> Any:
        """Return the class to explain: for a rejected image, the most likely one."""
        names = [answer.label, *(name for name, _ in answer.top)]
        return next((name for name in names if name in self.classes), None)

    def _explanation(self, image: Any, target: Any) -> Any:
        """Explain the parts of the decision; for models whose decision has no parts, hide blocks of the image."""
        model = self._model()
        try:
            return explain(model, [image], target)[0]
        except ImageError:
            raise
        except InputError:
            return explain(model, [image], target, method="occlusion")[0]

    def _model(self) -> Any:
        """Return the copy of the model that belongs to this thread."""
        if not hasattr(self._local, "model"):
            self._local.model = private_copy(self.model)
        return self._local.model


def _first_answer(image: _Image) -> Answer:
    size = None if image.pixels is None else (image.pixels.shape[0], image.pixels.shape[1])
    return Answer(size=size, seconds={"decode": image.seconds}, error=image.error)


def _own(error: Exception) -> Exception:
    """Return the error without its traceback, whose frames would keep the images in memory.

    The position in a batch is removed: in a server, the batch consists of images of several users.
    """
    if isinstance(error, ImageError):
        return type(error)(error.reason, item=error.item)
    return error.with_traceback(None) if isinstance(error, FeatrecError) else error


def _at_least(name: str, value: int, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}; got {value!r}")
    return int(value)


def _noise(size: tuple[int, int]) -> list[np.ndarray]:
    """Return images in colour and gray, with edges, so that keypoints are found."""
    random = np.random.default_rng(0)
    blocks = np.kron(random.integers(0, 256, (-(-size[0] // 4), -(-size[1] // 4))), np.ones((4, 4)))
    gray = blocks[: size[0], : size[1]].astype(np.uint8)
    return [np.stack([gray, 255 - gray, gray // 2], axis=-1), gray]
