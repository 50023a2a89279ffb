"""Answer: what a model says about one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featrec.explanation import ImageExplanation

__all__ = ["Answer"]


@dataclass(frozen=True)
class Answer:
    """What a model says about one image. Made by :class:`Predictor`.

    Parameters
    ----------
    label : class or None
        The predicted class. None if the image could not be used.
    confidence : float or None
        Probability of the label. None if the model has no probabilities.
    top : tuple of (class, float)
        The most likely classes with their probabilities, or with their scores if the model has no probabilities. Empty if the
        model has neither.
    rejected : str or None
        Why a model that can reject images rejected this one. None if it accepted the image.
    size : tuple of (height, width) or None
        Size of the decoded image, after its EXIF rotation. None if it could not be decoded.
    seconds : dict of str to float
        Time per stage: "decode", "predict" (the time of the batch divided by its number of images), and "explain" if an
        explanation was requested.
    error : Exception or None
        Why the image could not be used. :class:`~featrec.exceptions.InputError` is a fault of the image; its message says what
        to do.
    explanation : ImageExplanation or None
        Only if it was requested.
    """

    label: Any = None
    confidence: float | None = None
    top: tuple[tuple[Any, float], ...] = ()
    rejected: str | None = None
    size: tuple[int, int] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    error: Exception | None = None
    explanation: ImageExplanation | None = field(default=None, repr=False)
