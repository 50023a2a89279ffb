"""Target: the class, or the pair of classes, whose decision is explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrec.exceptions import InputError

__all__ = ["Target", "check_targets"]


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
