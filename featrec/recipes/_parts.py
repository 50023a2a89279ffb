"""What recipes share."""

from __future__ import annotations

from typing import Any

from sklearn.calibration import CalibratedClassifierCV

from featrec.exceptions import InputError

__all__ = ["classifier_of"]


def classifier_of(classifier: Any, probability: str | None) -> Any:
    """The classifier itself, or one whose probabilities are fitted on five folds of the training codes."""
    if probability is None:
        return classifier
    if probability != "calibrated":
        raise InputError(f'probability is "calibrated" or None; got {probability!r}')
    return CalibratedClassifierCV(classifier, ensemble=False)
