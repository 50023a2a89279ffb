"""Contents of answers: what the server says about an image, as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from featrec.serving._answer import Answer

__all__ = ["as_json", "plain", "result"]

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
