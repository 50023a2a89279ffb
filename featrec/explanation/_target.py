"""Target: the class, or the pair of classes, whose decision is explained, and weights
that are taken back through linear steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featrec.exceptions import InputError
from featrec.images import Contributions

__all__ = ["Part", "Pull", "Target", "Trail", "check_targets", "moved"]


@dataclass(frozen=True)
class Target:
    """A class (`against` is None), or a class rather than another one. Both are positions in the list of classes."""

    classes: tuple
    favoured: int
    against: int | None = None

    def __str__(self) -> str:
        name = str(self.classes[self.favoured])
        return name if self.against is None else f"{name} rather than {self.classes[self.against]}"

    @property
    def label(self) -> Any:
        """The class, or the pair of classes."""
        favoured = self.classes[self.favoured]
        return favoured if self.against is None else (favoured, self.classes[self.against])

    @property
    def signs(self) -> np.ndarray:
        """A weight for each class: 1 for the class, -1 for the class it is compared with, 0 for others."""
        signs = np.zeros(len(self.classes))
        signs[self.favoured] = 1
        if self.against is not None:
            signs[self.against] = -1
        return signs

    @property
    def sign(self) -> int:
        """1 if the target is the second of two classes, else -1; only for two classes, which have one decision value."""
        return 1 if self.favoured == 1 else -1


def check_targets(target: Any, classes: Sequence, n_images: int) -> list[tuple[int, int | None] | None]:
    """Return a class, or a pair of classes, for each image; None stands for the predicted class.

    Parameters
    ----------
    target : None, "predicted", a class, a pair of classes, or a list or array with one class per image
    classes : sequence
    n_images : int
    """
    names = list(classes)
    if target is None or (isinstance(target, str) and target == "predicted" and "predicted" not in names):
        return [None] * n_images
    if isinstance(target, tuple):
        return [_pair(target, names)] * n_images
    if isinstance(target, (list, np.ndarray)) or (hasattr(target, "tolist") and hasattr(target, "__len__")):
        labels = np.asarray(target).tolist()
        if isinstance(labels, list):
            if len(labels) != n_images:
                raise InputError(
                    f"target must be one class, a pair of classes as a tuple, or one class per image; got {len(labels)} "
                    f"classes for {n_images} images"
                )
            return [(_position(label, names), None) for label in labels]
    return [(_position(target, names), None)] * n_images


def _pair(target: tuple, names: list) -> tuple[int, int]:
    if len(target) != 2:
        raise InputError(f"a pair as target must consist of two classes; got {target!r}")
    first, second = (_position(label, names) for label in target)
    if first == second:
        raise InputError(f"a pair as target must consist of two different classes; got {target!r}")
    return first, second


def _position(label: Any, names: list) -> int:
    plain = label.item() if isinstance(label, np.generic) else label
    for position, name in enumerate(names):
        if name == plain and isinstance(name, bool) == isinstance(plain, bool):
            return position
    raise InputError(f"target {plain!r} is not a class of the model; its classes are {', '.join(map(repr, names))}")


@dataclass(frozen=True, eq=False)
class Pull:
    """A decision as a sum over the columns of a code: ``weights @ code + constants.sum() + base``.

    `weights` belong to what the image contains: a column of zero adds nothing. `constants` are what a column adds whatever its
    value is, as in the rules of a decision tree. The sum holds for the code of one image only.
    """

    weights: np.ndarray
    base: float
    constants: np.ndarray | None = None

    def values(self, code: np.ndarray) -> np.ndarray:
        """Return what each column adds."""
        added = self.weights * code
        return added if self.constants is None else added + self.constants

    def scaled(self, factor: float) -> Pull:
        """Return the pull of a multiple of the decision."""
        constants = None if self.constants is None else self.constants * factor
        return Pull(self.weights * factor, self.base * factor, constants)

    def of_columns(self, columns: np.ndarray | slice) -> Pull:
        """Return the pull of some of the columns, without the base."""
        return Pull(self.weights[columns], 0.0, None if self.constants is None else self.constants[columns])

    def on_weights(self, code: np.ndarray) -> tuple[np.ndarray, float]:
        """Express the constants as weights where the code is not zero; return the weights and the sum of other constants."""
        if self.constants is None:
            return self.weights, 0.0
        there = code != 0
        share = np.divide(self.constants, code, out=np.zeros(len(code)), where=there)
        return self.weights + share, float(self.constants[~there].sum())


def mean_of(pulls: list[Pull]) -> Pull:
    """Return the pull of the mean of several decisions."""
    if len(pulls) == 1:
        return pulls[0]
    known = [pull.constants for pull in pulls if pull.constants is not None]
    constants = np.sum(known, axis=0) / len(pulls) if known else None
    weights = np.mean([pull.weights for pull in pulls], axis=0)
    return Pull(weights, float(np.mean([pull.base for pull in pulls])), constants)


@dataclass(frozen=True, eq=False)
class Trail:
    """The path of an image through the steps: the image that a step received, and the map from it to the user's image."""

    image: np.ndarray
    to_user: np.ndarray

    def then(self, image: np.ndarray, way_back: np.ndarray) -> Trail:
        """Return the trail after a step that returned `image`; `way_back` maps its coordinates to those of the step's input."""
        linear = self.to_user[:, :2]
        return Trail(image, np.column_stack([linear @ way_back[:, :2], linear @ way_back[:, 2] + self.to_user[:, 2]]))


@dataclass(frozen=True, eq=False)
class Part:
    """The contributions of one extractor, in the coordinates of the user's image.

    `words` computes the visual word of each contribution; it is None if there are no words.
    """

    source: str
    contributions: Contributions
    words: Callable[[], np.ndarray] | None = None


def moved(contributions: Contributions, affine: np.ndarray) -> Contributions:
    """Apply an affine map to the places of contributions."""
    if np.array_equal(affine, np.eye(2, 3)):
        return contributions
    linear, offset = affine[:, :2], affine[:, 2]
    frames = np.asarray(contributions.frames, np.float64).copy()
    frames[:, :2] = frames[:, :2] @ linear.T + offset
    frames[:, 2] *= np.sqrt(abs(np.linalg.det(linear)))
    turned = frames[:, 3] >= 0
    angles = np.deg2rad(frames[turned, 3])
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ linear.T
    frames[turned, 3] = np.rad2deg(np.arctan2(directions[:, 1], directions[:, 0])) % 360
    return replace(contributions, frames=frames.astype(np.float32), outlines=contributions.outlines @ linear.T + offset)
