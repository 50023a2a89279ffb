"""check: whether explanations are complete and faithful."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from featrec.base import check_one_label_each, check_sizes
from featrec.exceptions import InputError
from featrec.explanation._explain import explain
from featrec.explanation._explanation import Explanation, ImageExplanation
from featrec.explanation._trace import keeping

__all__ = ["Faithfulness", "check"]

# Share of the parts that is deleted, or inserted, at each point of the curves.
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """How far explanations can be trusted. Made by :func:`check`. All arrays have one row or value per image.

    Parameters
    ----------
    errors : array of shape (n_images,)
        Absolute difference between the decision value and the sum of contributions and base value.
    scale : float
        Largest absolute decision value.
    shares : array of shape (n_shares,)
        Shares of the parts that are deleted or inserted.
    deletion, insertion : array of shape (n_images, n_shares)
        Decision value after deleting (or keeping only) the parts with the largest contributions.
    random_deletion, random_insertion : array of shape (n_images, n_shares)
        The same for parts in random order, averaged over the repetitions.
    hits : array of shape (n_images,), bool, or None
        Whether the part with the largest contribution lies on the object, for images with a mask (the pointing game).
    object_shares : array of shape (n_images,), or None
        Share of the image that counts as a hit: the rate of hits of a random point.
    shuffled : array of shape (n_images,), or None
        Correlation of the contributions with those of a model that was fitted on shuffled labels. Values near 1 mean that the
        explanation does not depend on what the model has learned.
    """

    errors: np.ndarray
    scale: float
    shares: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    random_deletion: np.ndarray
    random_insertion: np.ndarray
    hits: np.ndarray | None = None
    object_shares: np.ndarray | None = None
    shuffled: np.ndarray | None = None

    def wins(self, share: float = 0.1) -> float:
        """Return the share of images in which deleting the largest contributions lowers the decision more than random parts.

        Parameters
        ----------
        share : float, default=0.1
            Share of the parts that are deleted; one of `shares`.
        """
        found = np.flatnonzero(np.isclose(self.shares, share))
        if not len(found):
            raise InputError(f"share must be one of {self.shares.tolist()}; got {share!r}")
        return float((self.deletion[:, found[0]] < self.random_deletion[:, found[0]]).mean())

    @property
    def hit_rate(self) -> tuple[float, float, float]:
        """The rate of hits in the pointing game, and its 95 % interval (Wilson)."""
        if self.hits is None:
            raise InputError("there is no pointing game without masks; use check(..., masks=...)")
        from scipy.stats import binomtest

        interval = binomtest(int(self.hits.sum()), len(self.hits)).proportion_ci(method="wilson")
        return float(self.hits.mean()), float(interval.low), float(interval.high)

    def __str__(self) -> str:
        lines = [
            f"{len(self.errors)} images",
            f"completeness: largest error {self.errors.max():.2g}, decision values up to {self.scale:.3g}",
            f"deletion of a tenth: lower than random in {self.wins():.0%} of the images",
        ]
        if self.hits is not None and self.object_shares is not None:
            rate, low, high = self.hit_rate
            lines.append(f"pointing game: {rate:.0%} [{low:.0%} to {high:.0%}] hits; by chance {self.object_shares.mean():.0%}")
        if self.shuffled is not None:
            lines.append(f"shuffled labels: median correlation {np.median(self.shuffled):.2f}")
        return "\n".join(lines)


def check(
    model: Any,
    images: Any,
    *,
    target: Any = None,
    method: str = "auto",
    masks: Sequence | None = None,
    tolerance: float = 15,
    training_set: tuple[Any, Any] | None = None,
    n_repeats: int = 3,
    random_state: Any = 0,
) -> Faithfulness:
    """Check explanations of a model: completeness, deletion and insertion, pointing game, and shuffled labels.

    Deletion removes the parts with the largest contributions, a growing share of them, and computes the decision value again.
    Insertion keeps only these parts. If an explanation is faithful, the decision falls (or rises) faster than for parts in
    random order. Descriptors are removed from the Bag. Other parts are replaced by the mean colour of the image.

    Parameters
    ----------
    model : estimator
        See :func:`explain`.
    images : images
    target, method : as in :func:`explain`
    masks : sequence of bool arrays of shape (h, w), optional
        Pixels of the object in each image, for the pointing game: is the part with the largest contribution on the object?
    tolerance : float, default=15
        Parts within this distance of the mask, in pixels, count as hits.
    training_set : tuple of (images, labels), optional
        If given, a copy of the model is fitted on shuffled labels, and its explanations are compared.
    n_repeats : int, default=3
        Number of random orders.
    random_state : int, RandomState or None, default=0

    Returns
    -------
    result : Faithfulness

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.explanation import check
    >>> from featrec.recipes import bovw_svm
    >>> train, test = load_dataset("shapes")
    >>> model = bovw_svm(n_words=50).fit(train[::5], train.labels[::5])
    >>> bool(check(model, test[::100], masks=test[::100].masks).errors.max() < 1e-4)
    True
    """
    check_sizes("n_repeats", n_repeats, 1)
    explanation, random = explain(model, images, target, method=method), check_random_state(random_state)
    if not len(explanation):
        raise InputError("check needs at least one image; got none")
    if masks is not None and len(masks) != len(explanation):
        raise InputError(f"got {len(masks)} masks and {len(explanation)} images; each image needs one mask")
    shuffled = None if training_set is None else _with_shuffled_labels(model, training_set, random)
    rows = [
        _checked(explanation, at, one, None if masks is None else np.asarray(masks[at]), tolerance, shuffled, n_repeats, random)
        for at, one in enumerate(explanation)
    ]
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    scale = float(np.abs(column.pop("decision")).max())
    return Faithfulness(scale=scale, shares=np.array(SHARES), **column)


def _checked(
    explanation: Explanation,
    at: int,
    one: ImageExplanation,
    mask: np.ndarray | None,
    tolerance: float,
    shuffled: Any,
    n_repeats: int,
    random: np.random.RandomState,
) -> dict[str, Any]:
    """Return all measures for one image."""
    placed = np.flatnonzero(np.isfinite(one.frames[:, 0]))
    largest = placed[np.argsort(-one.values[placed], kind="stable")]
    curves = [_curves(explanation, at, one, largest)]
    curves += [_curves(explanation, at, one, random.permutation(placed)) for _ in range(n_repeats)]
    found = {
        "errors": abs(one.values.sum() + one.base_value - one.decision),
        "decision": one.decision,
        "deletion": curves[0][0],
        "insertion": curves[0][1],
        "random_deletion": np.mean([deletion for deletion, _ in curves[1:]], axis=0),
        "random_insertion": np.mean([insertion for _, insertion in curves[1:]], axis=0),
    }
    if mask is not None:
        found["hits"], found["object_shares"] = _pointed(one, largest, mask, tolerance)
    if shuffled is not None:
        other = explain(shuffled, [one.image], one.target)[0]
        found["shuffled"] = _correlation(one.values, other.values)
    return found


def _curves(explanation: Explanation, at: int, one: ImageExplanation, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the decision values after deleting, and after keeping, growing shares of the parts in this order."""
    deletion, insertion = np.empty(len(SHARES)), np.empty(len(SHARES))
    for k, share in enumerate(SHARES):
        first = order[: round(share * len(order))]
        kept = np.ones(len(one.values), bool)
        kept[first] = False
        deletion[k] = _decision_of(explanation, at, one, kept)
        insertion[k] = _decision_of(explanation, at, one, ~kept)
    return deletion, insertion


def _decision_of(explanation: Explanation, at: int, one: ImageExplanation, kept: np.ndarray) -> float:
    """Return the decision value of the image with some of its parts."""
    if kept.all():
        return one.decision
    described = [rows for rows in one._parts if rows.words is not None]
    image = one.image
    for rows in one._parts:
        if rows.words is None:
            image = _covered(image, one.outlines[rows.start : rows.stop][~kept[rows.start : rows.stop]])
    with keeping([kept[rows.start : rows.stop] for rows in described]):
        return explanation._again(at, image, one.target).decision


def _covered(image: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """Fill the areas of parts with the mean colour of the image."""
    from skimage.draw import polygon2mask

    covered, mean = image.copy(), image.mean(axis=(0, 1))
    fill = mean if image.dtype.kind == "f" else np.rint(mean)
    for outline in outlines[np.isfinite(outlines).all(axis=(1, 2))]:
        covered[polygon2mask(image.shape[:2], outline[:, ::-1])] = fill.astype(image.dtype)
    return covered


def _pointed(one: ImageExplanation, order: np.ndarray, mask: np.ndarray, tolerance: float) -> tuple[bool, float]:
    """Return whether the first part is near the mask, and the share of the image that is near it."""
    if mask.shape != one.image.shape[:2] or mask.dtype != bool:
        raise InputError(
            f"a mask must be a bool array of the image's shape {one.image.shape[:2]}; got {mask.dtype} of shape {mask.shape}"
        )
    from scipy.ndimage import distance_transform_edt

    near = distance_transform_edt(~mask) <= tolerance
    if not len(order):
        return False, float(near.mean())
    x, y = np.rint(one.frames[order[0], :2]).astype(int)
    height, width = mask.shape
    return bool(near[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]), float(near.mean())


def _with_shuffled_labels(model: Any, training_set: tuple[Any, Any], random: np.random.RandomState) -> Any:
    images, labels = training_set
    check_one_label_each(labels, len(images))
    return clone(model).fit(images, random.permutation(np.asarray(labels)))


def _correlation(values: np.ndarray, others: np.ndarray) -> float:
    """Return the rank correlation of contributions; 0 if it is not defined."""
    from scipy.stats import spearmanr

    if len(values) != len(others) or len(values) < 3 or np.ptp(values) == 0 or np.ptp(others) == 0:
        return 0.0
    return float(spearmanr(values, others).statistic)
