"""Checks of a RejectUnknown in a model file."""

from __future__ import annotations

import math

import numpy as np

from featrec.classifiers._code_distance import check_stored_distance
from featrec.model_files import Stored, check_stored_array

__all__ = ["check_stored_rejection"]


def check_stored_rejection(stored: Stored) -> None:
    """Check what was learned: one threshold for each class, and arrays that match each other."""
    if "classes_" not in stored:
        return
    n_classes = len(stored["classes_"])
    for name in ("temperature_", "threshold_"):
        value = stored[name]
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name}={value!r:.80}; expected a finite number")
    if not stored["temperature_"] > 0:
        raise ValueError(f"temperature_={stored['temperature_']!r:.80}; expected a number greater than 0")
    method = stored["method"]
    if method == "conformal":
        check_stored_array("thresholds_", stored["thresholds_"], (n_classes,), np.float64)
    elif method == "distance":
        check_stored_distance(stored, n_classes)
    elif method not in ("confidence", "score"):
        raise ValueError(f'method={method!r:.80}; expected "confidence", "score", "distance" or "conformal"')
