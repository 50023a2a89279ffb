"""Review: the answers of RejectUnknown, with confidences and reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featrec.exceptions import InputError

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["NONE_OF_THEM", "TOO_LITTLE", "Answers", "Review", "label_for_unknown", "reviewed"]

NONE_OF_THEM = "none of the known classes"
TOO_LITTLE = "too little to see"


@dataclass(frozen=True, eq=False)
class Review:
    """Result of :meth:`RejectUnknown.review`, with one entry for each image.

    Attributes
    ----------
    labels : array of shape (n,)
        The class, or `unknown_label` for a rejected image, as from ``predict``.
    most_likely : array of shape (n,)
        The class that the model alone predicts.
    confidences : array of shape (n,)
        Calibrated probability of `most_likely`.
    probabilities : array of shape (n, n_classes)
        Calibrated probability of each known class, in the order of ``classes_``.
    novelties : array of shape (n,)
        Greater for images that are less like the training images; see :meth:`RejectUnknown.novelty`.
    accepted : array of shape (n,), bool
    reasons : tuple of str or None
        Why an image is rejected: "none of the known classes", or "too little to see" if it has no local features. None for
        accepted images.
    sets : tuple of tuples, or None
        For ``method="conformal"``, the classes that are possible for each image, the most likely class first.
    """

    labels: np.ndarray
    most_likely: np.ndarray
    confidences: np.ndarray
    probabilities: np.ndarray
    novelties: np.ndarray
    accepted: np.ndarray
    reasons: tuple[str | None, ...]
    sets: tuple[tuple, ...] | None

    def __len__(self) -> int:
        return len(self.labels)

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per image. Needs pandas."""
        import pandas

        columns = {name: getattr(self, name) for name in ("labels", "most_likely", "confidences", "novelties", "accepted")}
        columns["reasons"] = np.array(self.reasons, dtype=object)
        if self.sets is not None:
            columns["sets"] = [list(one) for one in self.sets]
        return pandas.DataFrame(columns)


class Answers(NamedTuple):
    """What is known about n images: labels of the model, probabilities, novelties, and for sets, which classes are possible."""

    labels: np.ndarray
    shares: np.ndarray
    novelty: np.ndarray
    is_new: np.ndarray
    is_empty: np.ndarray
    members: np.ndarray | None


def reviewed(answers: Answers, classes: np.ndarray, unknown: Any) -> Review:
    """Return the labels of accepted images, and the reasons for the others."""
    labels, shares, novelty, is_new, is_empty, members = answers
    accepted = ~(is_new | is_empty)
    reasons = [TOO_LITTLE if empty else NONE_OF_THEM if new else None for empty, new in zip(is_empty, is_new, strict=True)]
    known = labels if members is None else _within_sets(labels, shares, members, classes)
    return Review(
        labels=_with_unknown(known, accepted, unknown),
        most_likely=labels,
        confidences=shares[np.arange(len(shares)), np.searchsorted(classes, labels)],
        probabilities=shares,
        novelties=novelty,
        accepted=accepted,
        reasons=tuple(reasons),
        sets=None if members is None else _sets(shares, members, classes),
    )


def label_for_unknown(wanted: Any, classes: np.ndarray) -> Any:
    """Return the label of rejected images: the wanted one, or the default for labels of this type."""
    label = (-1 if classes.dtype.kind in "iuf" else "unknown") if wanted is None else wanted
    if label in classes.tolist():
        raise InputError(f"RejectUnknown: {label!r} is a class of the training images; set unknown_label to another label")
    return label


def _sets(shares: np.ndarray, members: np.ndarray, classes: np.ndarray) -> tuple[tuple, ...]:
    order, names = np.argsort(-shares, axis=1, kind="stable"), classes.tolist()
    rows = zip(order, members, strict=True)
    return tuple(tuple(names[column] for column in row if inside[column]) for row, inside in rows)


def _within_sets(labels: np.ndarray, shares: np.ndarray, members: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Replace a label that is not in its set by the most likely class of the set; empty sets keep their label."""
    outside = ~members[np.arange(len(labels)), np.searchsorted(classes, labels)] & members.any(axis=1)
    return np.where(outside, classes[np.where(members, shares, -1.0).argmax(axis=1)], labels)


def _with_unknown(labels: np.ndarray, accepted: np.ndarray, unknown: Any) -> np.ndarray:
    """Return the labels, with another label for rejected images. Numbers stay numbers, and strings stay strings."""
    other = np.asarray(unknown)
    alike = labels.dtype.kind == other.dtype.kind or (labels.dtype.kind in "iuf" and other.dtype.kind in "iuf")
    found = labels.astype(np.result_type(labels, other) if alike else object)
    found[~accepted] = unknown
    return found
