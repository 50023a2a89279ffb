"""Labels of images in displays: checks, and a colour and marker for each class."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from featrec.exceptions import InputError
from featrec.plotting._canvas import PALETTE

__all__ = ["RIGHT", "WRONG", "Look", "check_labels", "check_model", "classes_of", "classify", "looks_of", "shortened"]

RIGHT, WRONG = "#009E73", "#D55E00"
# Neighbouring classes differ in both, so that they can be told apart in print. Combinations repeat after 60 classes.
MARKERS = "os^DvP"
# Names of classes are shortened to this number of letters where there is little room.
LETTERS = 14


class Look(NamedTuple):
    """Colour and marker of a class."""

    color: str
    marker: str


def check_labels(labels: Any, n: int, what: str) -> np.ndarray:
    """Return labels as an array; there must be one for each of `n` images."""
    found = np.asarray(labels)
    if found.ndim != 1 or len(found) != n:
        shape = f"{len(found)} labels" if found.ndim == 1 else f"an array of shape {found.shape}"
        raise InputError(f"{what} must have one label for each of the {n} images, in the same order; got {shape}")
    if found.dtype.kind == "O" and any(label is None or label != label for label in found):
        raise InputError(f"{what} contains a missing label; remove the image together with its label")
    return found


def classes_of(*labels: np.ndarray) -> np.ndarray:
    """Return the sorted classes of several arrays of labels, which must all be strings or all be numbers."""
    if len({part.dtype.kind in "OSUT" for part in labels if len(part)}) > 1:
        shown = ", ".join(repr(part[0].item()) for part in labels)
        raise InputError(f"some labels are strings and some are numbers ({shown}); use the type that the model was fitted with")
    return np.unique(np.concatenate(labels))


def classify(name: str, asked: Any, classes: np.ndarray) -> np.ndarray:
    """Return the positions of the classes that a user asked for; None means all."""
    if asked is None:
        return np.arange(len(classes))
    known = classes.tolist()
    unknown = [label for label in asked if label not in known]
    if unknown:
        shown = ", ".join(map(repr, known[:8])) + (", ..." if len(known) > 8 else "")
        raise InputError(f"{name} contains {unknown[0]!r}, which is not a class; the classes are {shown}")
    return np.array([known.index(label) for label in asked], int)


def check_model(model: Any, method: str, display: str) -> None:
    """Check that a fitted model has the method that a display calls."""
    if isinstance(model, type) or not hasattr(model, method):
        kind = model.__name__ if isinstance(model, type) else type(model).__name__
        raise InputError(f"{display}.from_estimator needs a fitted model with {method}; got {kind}")


def looks_of(n_classes: int) -> list[Look]:
    """Return a different look for each class, as far as possible."""
    colors, markers = len(PALETTE), len(MARKERS)
    return [Look(PALETTE[i % colors], MARKERS[(i + i // colors) % markers]) for i in range(n_classes)]


def shortened(name: Any, letters: int = LETTERS) -> str:
    """Return a name with at most `letters` letters; an ellipsis replaces the rest."""
    text = str(name)
    return text if len(text) <= letters else text[: letters - 1] + "…"
