"""Answer: what a model says about one image, and its content as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from featrec.explanation import ImageExplanation

__all__ = ["Answer", "as_json", "plain", "result"]


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


DIGITS = 6


def as_json(content: Any) -> bytes:
    """Return JSON; NaN and infinite values, which JSON does not have, must be replaced before (`plain`)."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def plain(value: Any) -> Any:
    """Return a label or number as JSON has it."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return [plain(each) for each in value] if isinstance(value, (tuple, list)) else str(value)


def result(answer: Answer, name: str | None, parts: int | None = None) -> dict[str, Any]:
    """Return what is said about one image; with its `parts` strongest parts if it was explained."""
    height, width = answer.size or (None, None)
    found = {
        "name": name,
        "label": plain(answer.label),
        "confidence": plain(answer.confidence),
        "top": [{"label": plain(label), "confidence": plain(score)} for label, score in answer.top],
        "rejected": answer.rejected,
        "width": width,
        "height": height,
        "seconds": {stage: round(seconds, DIGITS) for stage, seconds in answer.seconds.items()},
    }
    return found if answer.explanation is None else {**found, **_explanation(answer.explanation, parts)}


def _explanation(found: Any, n: int | None) -> dict[str, Any]:
    strongest = np.argsort(-np.abs(found.values), kind="stable")[:n]
    return {
        "target": plain(found.target),
        "decision": plain(found.decision),
        "base_value": plain(found.base_value),
        "exact": found.exact,
        "method": found.method,
        "n_parts": len(found.values),
        "rest": plain(float(found.values.sum() - found.values[strongest].sum())),
        "parts": [_part(found, int(row)) for row in strongest],
    }


def _part(found: Any, row: int) -> dict[str, Any]:
    """Return one part of an image; its place is None if it has none, such as a colour bin."""
    x, y, diameter, angle = (plain(float(value)) for value in found.frames[row])
    outline = found.outlines[row]
    placed = bool(np.isfinite(outline).all())
    return {
        "value": plain(float(found.values[row])),
        "x": x,
        "y": y,
        "diameter": diameter,
        "angle": angle,
        "outline": [[round(float(x), 2), round(float(y), 2)] for x, y in outline] if placed else None,
        "source": str(found.source[row]),
        "name": str(found.names[row]),
    }
