"""Images and Bags: a source plus the steps to apply to each item, computed when an item is asked for.

scikit-learn slices, splits and indexes them like arrays of shape ``(n,)`` without touching a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import ImageError, InputError
from featrec.parallel import map_batches

__all__ = ["Bags", "Failure", "Failures", "Images", "note_unreadable", "place", "resolve_key", "unreadable_rows"]


# The item that is being computed, for warnings that name it: a lazy sequence and the position in it.
_AT: ContextVar[tuple[_Lazy, int] | None] = ContextVar("at", default=None)


def place() -> str:
    """Where the picture that is being computed stands: its number and its path."""
    found = _AT.get()
    return "a picture" if found is None else found[0].place(found[1])


# Who wants to know the rows of a batch that stand for images which could not be used: the batch's length, and the rows.
_UNREADABLE: ContextVar[tuple[int, set[int]] | None] = ContextVar("unreadable", default=None)


@contextmanager
def unreadable_rows(n: int) -> Iterator[set[int]]:
    """The rows of a batch of `n` whose images could not be used, where extractors inside are told to go on."""
    rows: set[int] = set()
    token = _UNREADABLE.set((n, rows))
    try:
        yield rows
    finally:
        _UNREADABLE.reset(token)


def note_unreadable(batch: _Lazy, failures: Iterable[Failure]) -> None:
    """Tell who asked for it which rows of a batch stand for images that could not be used."""
    wanted = _UNREADABLE.get()
    if wanted is not None and len(batch) == wanted[0]:
        failed = {failure.index for failure in failures}
        wanted[1].update(row for row, position in enumerate(batch._positions.tolist()) if position in failed)


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


@dataclass(frozen=True)
class Failure:
    """A picture that could not be used: its place in the batch, its path where it has one, and the reason."""

    index: int | None
    item: str | None
    reason: str


class Failures(Sequence):
    """The pictures of one batch that could not be used, in the order of the batch; it grows while lazy Bags are computed."""

    def __init__(self, failures: Iterable[Failure] = ()):
        self._by_place = {(failure.index, failure.item): failure for failure in failures}

    def note(self, failures: Iterable[Failure]) -> None:
        """Add some; one that is known already is not counted twice."""
        self._by_place.update({(failure.index, failure.item): failure for failure in failures})

    def __len__(self) -> int:
        return len(self._by_place)

    def __getitem__(self, key: Any) -> Any:
        return sorted(self._by_place.values(), key=lambda failure: (failure.index or 0, failure.item or ""))[key]

    def __repr__(self) -> str:
        return f"Failures({list(self)})"


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
        # What errors count: places in the whole, where the source is a part and knows its own.
        if names is None:
            known = getattr(source, "positions", None)
            names = self.rows if known is None else known[self.rows]
        self._positions = names

    @property
    def positions(self) -> np.ndarray:
        """Where the items stand in the sequence that was given first, if this is a part; errors count so."""
        return self._positions

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
        """Errors raised inside name the item's place in the batch and its path; :func:`place` gives it to warnings."""
        token = _AT.set((self, position))
        try:
            yield
        except ImageError as error:
            counted = getattr(self.source, "counted", "")
            raise error.at(int(self._positions[position]), self.name(position), counted) from error.__cause__
        except Exception as error:
            error.add_note(f"at {self.place(position)}")
            raise
        finally:
            _AT.reset(token)

    def place(self, position: int) -> str:
        """The number of an item in the batch, and its path where it has one."""
        name = self.name(position)
        return f"image {self._positions[position]}" + (f" ({name!r})" if name else "")

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

    def described(
        self, step: Callable[[np.ndarray], Bag], *, instead: Bag | None = None, failures: Failures | None = None
    ) -> Bags:
        """The Bags that `step` makes of the pictures; `instead` stands for a picture that cannot be used, if given."""
        if instead is not None:
            source = Forgiving(self, step, instead, Failures() if failures is None else failures)
            return Bags(source, index=self.index, names=self._positions)
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


class Forgiving:
    """A source of Bags that notes pictures which cannot be used, and gives an empty Bag in their place."""

    def __init__(self, images: Images, step: Callable[[np.ndarray], Bag], instead: Bag, failures: Failures):
        self.images, self.step, self.instead, self.failures = images, step, instead, failures

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> Bag:
        try:
            image = self.images[position]
            with self.images.naming(position):
                return self.step(image)
        except ImageError as error:
            self.failures.note([Failure(error.position, error.item, error.reason)])
            return self.instead

    def name(self, position: int) -> str | None:
        """The path of a picture, where it has one."""
        return self.images.name(position)

    def take(self, rows: np.ndarray) -> Forgiving:
        """Some of them; what fails among them is noted in the same list."""
        return Forgiving(self.images[rows], self.step, self.instead, self.failures)


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

    @property
    def failures(self) -> Failures:
        """The pictures that could not be used, of those computed so far, where the extractor was told to go on."""
        return self.source.failures if isinstance(self.source, Forgiving) else Failures()

    def own_failures(self) -> list[Failure]:
        """Those of its failures that are among these bags; a slice shares the list of the whole."""
        own = set(self._positions.tolist())
        return [failure for failure in self.failures if failure.index in own]

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
