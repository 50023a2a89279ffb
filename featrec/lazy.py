"""Images and Bags: a source plus the steps to apply to each item, computed when an item is asked for.

scikit-learn slices, splits and indexes them like arrays of shape ``(n,)`` without touching a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import ImageError, InputError
from featrec.parallel import map_batches

__all__ = ["Bags", "Images", "resolve_key"]


def resolve_key(key: Any, n: int) -> int | np.ndarray:
    """Turn what stands between square brackets into one position or an array of positions.

    scikit-learn asks with a pair, ``[rows, ...]``.
    """
    if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
        key = key[0]
    if isinstance(key, (int, np.integer)) and not isinstance(key, (bool, np.bool_)):
        if not -n <= key < n:
            raise IndexError(f"position {key} is out of range for {n} items")
        return int(key) % n
    if isinstance(key, tuple):
        raise IndexError(f"a sequence of {n} items has one axis; got the key {key!r}")
    if not isinstance(key, slice):
        key = np.asarray(key)
        if key.ndim == 0 and key.dtype.kind in "iu":
            return resolve_key(int(key), n)
        if key.ndim != 1:
            raise IndexError(f"a sequence of {n} items has one axis; got a key of shape {key.shape}")
        key = key if key.size else key.astype(int)
    return np.arange(n)[key]


class Source(Protocol):
    """What stands behind a lazy sequence: decoded pictures or Bags, by position."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...


class _Lazy:
    """What Images and Bags share.

    Parameters
    ----------
    source : sequence
        Its items are arrays or Bags; a method ``name(position)`` may give an item's path, and ``take(rows)`` a part.
    steps : tuple of callables
        Each takes an item and returns the next.
    rows : array of positions in the source, optional
    index : pandas index, optional
        Carried along for the frames that encoders return.
    """

    def __init__(
        self,
        source: Source,
        steps: tuple[Callable, ...] = (),
        *,
        rows: np.ndarray | None = None,
        index: Any = None,
        names: np.ndarray | None = None,
    ):
        self.source = source
        self.steps = steps
        self.rows = np.arange(len(source)) if rows is None else rows
        self.index = index
        self._positions = self.rows if names is None else names

    @property
    def shape(self) -> tuple[int]:
        return (len(self.rows),)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> Any:
        found = resolve_key(key, len(self))
        if isinstance(found, int):
            return self._compute(found)
        index = None if self.index is None else self.index[found]
        return type(self)(self.source, self.steps, rows=self.rows[found], index=index, names=self._positions[found])

    def __iter__(self) -> Iterator:
        return (self._compute(position) for position in range(len(self)))

    def __repr__(self) -> str:
        steps = "".join(f" → {_step_name(step)}" for step in self.steps)
        return f"{type(self).__name__}({len(self)} of {type(self.source).__name__}{steps})"

    def __getstate__(self) -> dict:
        """A part that goes to another process takes only its own items along."""
        state = self.__dict__.copy()
        if len(self.rows) != len(self.source):
            if isinstance(self.source, list):
                state |= {"source": [self.source[row] for row in self.rows], "rows": np.arange(len(self.rows))}
            elif hasattr(self.source, "take"):
                state |= {"source": self.source.take(self.rows), "rows": np.arange(len(self.rows))}
        return state

    def name(self, position: int) -> str | None:
        """The path of an item, where its source knows one."""
        name = getattr(self.source, "name", None)
        return name(int(self.rows[position])) if callable(name) else None

    @contextmanager
    def naming(self, position: int) -> Iterator[None]:
        """Errors raised inside name the item's place in the batch and its path."""
        try:
            yield
        except ImageError as error:
            raise error.at(int(self._positions[position]), self.name(position)) from error.__cause__
        except Exception as error:
            where = self.name(position)
            error.add_note(f"at image {self._positions[position]}" + (f" ({where!r})" if where else ""))
            raise

    def held(self, n_jobs: int | None = None, verbose: int = 0) -> list:
        """All items, computed."""
        parts: list[list] = map_batches(list, self, n_jobs=n_jobs, verbose=verbose)
        return [item for part in parts for item in part]

    def _compute(self, position: int) -> Any:
        with self.naming(position):
            item = self.source[int(self.rows[position])]
            for step in self.steps:
                item = step(item)
            return item


class Images(_Lazy):
    """A lazy sequence of pictures, each an array (h, w) or (h, w, 3); colour is RGB.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.preprocessing import Resize
    >>> train, test = load_dataset("digits")
    >>> small = Resize((4, 4)).transform(test)
    >>> small[0].shape, small[:10].shape
    ((4, 4), (10,))
    """

    def then(self, step: Callable[[np.ndarray], np.ndarray]) -> Images:
        """The same pictures with one more step."""
        return Images(self.source, (*self.steps, step), rows=self.rows, index=self.index, names=self._positions)

    def described(self, step: Callable[[np.ndarray], Bag]) -> Bags:
        """The Bags that `step` makes of the pictures."""
        return Bags(self.source, (*self.steps, step), rows=self.rows, index=self.index, names=self._positions)

    def compute(self, n_jobs: int | None = None) -> Images:
        """The same pictures, decoded and held in memory."""
        return Images(self.held(n_jobs), index=self.index, names=self._positions)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Images are computed; an array of them is always a copy")
        pictures = list(self)
        sizes = {picture.shape for picture in pictures}
        if len(sizes) > 1:
            raise InputError(
                f"np.asarray needs pictures of one shape; these have {len(sizes)}, such as {sorted(sizes, key=str)[:2]}. "
                "Resize first, or iterate."
            )
        return np.array(pictures, dtype=dtype)


class Bags(_Lazy):
    """A lazy sequence of Bag; a Bag is computed when it is asked for and forgotten afterwards.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.descriptors import ORB
    >>> bags = ORB().transform([np.zeros((40, 40), np.uint8)])
    >>> bags.shape, bags[0].descriptors.shape
    ((1,), (0, 32))
    """

    def then(self, step: Callable[[Bag], Bag]) -> Bags:
        """The same bags with one more step."""
        return Bags(self.source, (*self.steps, step), rows=self.rows, index=self.index, names=self._positions)

    def compute(self, n_jobs: int | None = None) -> Bags:
        """The same bags, computed and held in memory."""
        return Bags(self.held(n_jobs), index=self.index, names=self._positions)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise InputError(
            "Bags hold a different number of descriptors for each image and are no array. "
            "An encoder (featrec.encoders.BagOfWords, ...) makes one; bags[i].descriptors is one image's."
        )


def _step_name(step: Callable) -> str:
    return type(getattr(step, "__self__", step)).__name__
