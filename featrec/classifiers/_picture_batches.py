"""Pictures batch by batch, changed at random while a network learns from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrec.classifiers._picture_array import as_values
from featrec.parallel import checkpoint

__all__ = ["Augmentation", "PictureBatches", "normalized"]


@dataclass(frozen=True)
class Augmentation:
    """What happens to a picture each time it is learned from."""

    flip: bool = False
    shift: int = 0
    cutout: int = 0

    def apply(self, pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Shifted by up to `shift` pixels, the border reflected, and half of them mirrored."""
        if not self.flip and not self.shift:
            return pictures
        n, height, width = pictures.shape[:3]
        rows, columns = (self._places(length, n, random) for length in (height, width))
        if self.flip:
            mirrored = random.random(n) < 0.5
            columns[mirrored] = columns[mirrored, ::-1]
        return pictures[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _places(self, length: int, n: int, random: np.random.Generator) -> np.ndarray:
        """Which row or column of the picture each one of the result is taken from."""
        places = np.arange(length) + random.integers(-self.shift, self.shift, (n, 1), endpoint=True)
        places = np.abs(places)
        return np.clip(np.minimum(places, 2 * (length - 1) - places), 0, length - 1)

    def cut(self, values: np.ndarray, random: np.random.Generator) -> None:
        """A square of `cutout` pixels, a quarter of the picture at most, becomes 0, the mean of all, in place."""
        n, height, width = values.shape[:3]
        side = min(self.cutout, height // 2, width // 2)
        if side:
            inside = [
                (np.arange(length) - random.integers(0, length - side, (n, 1), endpoint=True)) % length < side
                for length in (height, width)
            ]
            values[inside[0][:, :, None] & inside[1][:, None, :]] = 0


class PictureBatches:
    """Batches for skorch, which names the arguments: normalised tensors (n, channels, h, w) and the classes' numbers.

    `random` draws the order and the changes; None keeps the order and changes nothing.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        batch_size: int,
        mean: np.ndarray,
        deviation: np.ndarray,
        augmentation: Augmentation | None = None,
        random: np.random.Generator | None = None,
    ):
        self.pictures, self.numbers = dataset.X, dataset.y
        self.batch_size, self.mean, self.deviation = batch_size, mean, deviation
        self.augmentation, self.random = augmentation or Augmentation(), random

    def __len__(self) -> int:
        """A last part that does not fill a batch is left out while learning; the next epoch's order is another one."""
        whole, rest = divmod(len(self.pictures), self.batch_size)
        return whole + (rest > 0 and (self.random is None or whole == 0))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        import torch

        order = np.arange(len(self.pictures)) if self.random is None else self.random.permutation(len(self.pictures))
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            checkpoint()
            rows = order[start : start + self.batch_size]
            numbers = self.numbers[rows] if self.numbers is not None else np.zeros(len(rows), np.int64)
            yield torch.from_numpy(self._values(rows)).permute(0, 3, 1, 2), torch.from_numpy(numbers)

    def _values(self, rows: np.ndarray) -> np.ndarray:
        if self.random is None:
            return normalized(self.pictures[rows], self.mean, self.deviation)
        pictures = self.augmentation.apply(self.pictures[rows], self.random)
        values = normalized(pictures, self.mean, self.deviation)
        self.augmentation.cut(values, self.random)
        return values


def normalized(pictures: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Each channel with the mean 0 and the deviation 1 that the training pictures had."""
    return (as_values(pictures) - mean) / deviation
