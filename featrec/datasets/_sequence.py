"""Base of all sequences of labelled images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from featrec.lazy import resolve_key

__all__ = ["LabeledSequence"]


class LabeledSequence:
    """Images with labels, indexed and sliced like an array of shape (n,).

    A slice is a view: it shares the store and has its own rows. Subclasses implement how a stored item becomes an image.

    Parameters
    ----------
    store : array or list
        At least one item for each image.
    labels : array of str of shape (n,)
    classes : list of str
        All classes; a slice keeps them.
    """

    holds_images = True

    def __init__(self, store: np.ndarray | Sequence, labels: np.ndarray, classes: Sequence[str]):
        self._store = store
        self._rows = np.arange(len(labels))
        self._positions = self._rows  # positions in the original sequence; pickles contain only the slice
        self.labels = labels
        self.classes = list(classes)

    @property
    def shape(self) -> tuple[int]:
        return (len(self._rows),)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> Any:
        found = resolve_key(key, len(self))
        if isinstance(found, int):
            return self._image(self._store[self._rows[found]])
        return self.take(found)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[position] for position in range(len(self)))

    def __getstate__(self) -> dict:
        """Pickle a subset with only its own items."""
        state = self.__dict__.copy()
        if len(self._rows) != len(self._store):
            state |= {"_store": _chosen(self._store, self._rows), "_rows": np.arange(len(self._rows))}
        return state

    def take(self, rows: np.ndarray) -> Self:
        """The images at the given positions, as a view.

        Parameters
        ----------
        rows : array of int
            Positions in this sequence.

        Returns
        -------
        sequence
            A sequence of the same class; nothing is decoded or copied.
        """
        part = type(self).__new__(type(self))
        part.__dict__.update(self.__dict__)
        part._rows = self._rows[rows]
        part._positions = self._positions[rows]
        part.labels = self.labels[rows]
        return part

    def _image(self, item: Any) -> np.ndarray:
        raise NotImplementedError


def _chosen(store: np.ndarray | Sequence, rows: np.ndarray) -> np.ndarray | Sequence:
    if isinstance(store, np.ndarray):
        return store[rows]
    return [store[row] for row in rows]
