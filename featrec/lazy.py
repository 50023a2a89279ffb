"""Lazy sequences: Images, Bags, and the base class of all lazy sequences.

An item is computed when it is accessed. scikit-learn slices, splits and indexes these sequences like arrays of shape ``(n,)``,
without decoding any image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self, TypeVar

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import ImageError, InputError
from featrec.parallel import map_batches

__all__ = [
    "Bags",
    "Failure",
    "Failures",
    "Images",
    "LazySequence",
    "current_position",
    "note_unreadable",
    "place",
    "resolve_key",
    "unreadable_rows",
]


# The lazy sequence and the position of the item that is being computed. Warnings name the item.
_AT: ContextVar[tuple[LazySequence, int] | None] = ContextVar("at", default=None)


def place() -> str:
    """Return the position and, if known, the path of the image that is being computed."""
    found = _AT.get()
    return "an image" if found is None else found[0].place(found[1])


def current_position() -> int | None:
    """Return the position of the item that is being computed, in its original sequence; None outside of a computation."""
    found = _AT.get()
    return None if found is None else int(found[0].positions[found[1]])


# The length of the batch and the set of unusable rows, while a caller collects unusable rows.
_UNREADABLE: ContextVar[tuple[int, set[int]] | None] = ContextVar("unreadable", default=None)


@contextmanager
def unreadable_rows(n: int) -> Iterator[set[int]]:
    """Collect the rows of unusable images in a batch of `n` images. Extractors use it for ``on_error="empty"``."""
    rows: set[int] = set()
    token = _UNREADABLE.set((n, rows))
    try:
        yield rows
    finally:
        _UNREADABLE.reset(token)


def note_unreadable(batch: LazySequence, failures: Iterable[Failure]) -> None:
    """Add the rows of unusable images in a batch to the enclosing :func:`unreadable_rows`."""
    wanted = _UNREADABLE.get()
    if wanted is not None and len(batch) == wanted[0]:
        failed = {failure.index for failure in failures}
        wanted[1].update(row for row, position in enumerate(batch.positions.tolist()) if position in failed)


def resolve_key(key: Any, n: int) -> int | np.ndarray:
    """Convert an index expression to one position or an array of positions.

    The expression ``[rows, ...]`` is also accepted, because scikit-learn uses it.
    """
    if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
        key = key[0]
    if isinstance(key, (int, np.integer)) and not isinstance(key, (bool, np.bool_)):
        if not -n <= key < n:
            raise IndexError(f"position {key} is out of range for {n} items")
        return int(key) % n
    if isinstance(key, tuple):
        raise IndexError(f"a sequence of {n} items has only one axis; got the key {key!r}")
    if not isinstance(key, slice):
        key = np.asarray(key)
        if key.ndim == 0 and key.dtype.kind in "iu":
            return resolve_key(int(key), n)
        if key.ndim != 1:
            raise IndexError(f"a sequence of {n} items has only one axis; got a key of shape {key.shape}")
        key = key if key.size else key.astype(int)
    return np.arange(n)[key]


@dataclass(frozen=True)
class Failure:
    """An image that could not be used: its index in the batch, its path (None if unknown) and the reason."""

    index: int | None
    item: str | None
    reason: str


class Failures(Sequence):
    """The unusable images of one batch, in the order of the batch. The list grows while lazy Bags are computed."""

    def __init__(self, failures: Iterable[Failure] = ()):
        self._by_place = {(failure.index, failure.item): failure for failure in failures}

    def note(self, failures: Iterable[Failure]) -> None:
        """Add failures; a failure that is already in the list is not added again."""
        self._by_place.update({(failure.index, failure.item): failure for failure in failures})

    def __len__(self) -> int:
        return len(self._by_place)

    def __getitem__(self, key: Any) -> Any:
        return sorted(self._by_place.values(), key=lambda failure: (failure.index or 0, failure.item or ""))[key]

    def __repr__(self) -> str:
        return f"Failures({list(self)})"


class LazySequence:
    """Base class of sequences whose items are computed on access; a slice is a view of the same source.

    A subclass implements ``_item(stored)``, or ``_compute(position)`` if an item depends on more than the stored item.

    Parameters
    ----------
    source : sequence
        Arrays, paths, Bags or another lazy sequence. It may have the methods ``name(position)``, which returns the path of an
        item, and ``take(rows)``, which returns a subset.
    rows : array of int, optional
        Positions in the source. Default: all positions.
    positions : array of int, optional
        Positions in the original sequence, for error messages. Default: the positions of the source, or else `rows`.
    """

    # Names of attributes with one value per item. Slicing the sequence also slices these attributes, unless they are None.
    _by_item: ClassVar[tuple[str, ...]] = ()

    def __init__(self, source: Any, *, rows: np.ndarray | None = None, positions: np.ndarray | None = None):
        self.source = source
        self.rows = np.arange(len(source)) if rows is None else rows
        if positions is None:
            known = getattr(source, "positions", None)
            positions = self.rows if known is None else known[self.rows]
        self.positions = positions

    @property
    def shape(self) -> tuple[int]:
        return (len(self.rows),)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> Any:
        found = resolve_key(key, len(self))
        return self._compute(found) if isinstance(found, int) else self.take(found)

    def __iter__(self) -> Iterator:
        return (self._compute(position) for position in range(len(self)))

    def __getstate__(self) -> dict:
        """Pickle only the items of this view, if the source supports subsets."""
        source = self.source
        if len(self.rows) != len(source):
            if isinstance(source, np.ndarray):
                source = source[self.rows]
            elif isinstance(source, (list, tuple)):
                source = [source[row] for row in self.rows]
            elif hasattr(source, "take"):
                source = source.take(self.rows)
        whole = source is self.source
        return self.__dict__ | {"source": source, "rows": self.rows if whole else np.arange(len(self.rows))}

    def take(self, rows: np.ndarray) -> Self:
        """Return the items at the given positions, as a view; nothing is computed or copied."""
        part = type(self).__new__(type(self))
        part.__dict__.update(self.__dict__)
        for name in ("rows", "positions", *self._by_item):
            values = getattr(self, name)
            setattr(part, name, None if values is None else values[rows])
        return part

    def name(self, position: int) -> str | None:
        """Return the path of an item, or None if it is not known."""
        name = getattr(self.source, "name", None)
        return name(int(self.rows[position])) if callable(name) else None

    def place(self, position: int) -> str:
        """Describe an item by its position in the original sequence, and by its path if it is known."""
        name = self.name(position)
        return f"image {self.positions[position]}" + (f" ({name!r})" if name else "")

    def _compute(self, position: int) -> Any:
        return self._item(self.source[int(self.rows[position])])

    def _item(self, stored: Any) -> Any:
        raise NotImplementedError


class _Steps(LazySequence):
    """Base class of Images and Bags, which apply steps (callables) to the items of a source.

    A step with ``group`` above 1 has the methods ``ready(item)`` and ``several(items)``; iteration then passes ``group`` items
    to the step at once.

    `index` is a pandas index for the DataFrames that encoders return.
    """

    _by_item = ("index",)

    def __init__(
        self,
        source: Any,
        steps: tuple[Callable, ...] = (),
        *,
        rows: np.ndarray | None = None,
        index: Any = None,
        positions: np.ndarray | None = None,
    ):
        super().__init__(source, rows=rows, positions=positions)
        self.steps = steps
        self.index = index

    def __repr__(self) -> str:
        steps = "".join(f" → {_step_name(step)}" for step in self.steps)
        return f"{type(self).__name__}({len(self)} of {type(self.source).__name__}{steps})"

    def then(self, step: Callable) -> Self:
        """Return the same items with one more step."""
        return self._with(type(self), step)

    def compute(self, n_jobs: int | None = None) -> Self:
        """Compute all items and return them in memory."""
        return type(self)(self.held(n_jobs), index=self.index, positions=self.positions)

    def held(self, n_jobs: int | None = None, verbose: int = 0) -> list:
        """Compute all items and return them as a list."""
        parts: list[list] = map_batches(list, self, n_jobs=n_jobs, verbose=verbose)
        return [item for part in parts for item in part]

    @contextmanager
    def naming(self, position: int) -> Iterator[None]:
        """In this context, errors contain the position and path of the item, and :func:`place` returns them for warnings."""
        token = _AT.set((self, position))
        try:
            yield
        except ImageError as error:
            counted = getattr(self.source, "counted", "")
            raise error.at(int(self.positions[position]), self.name(position), counted) from error.__cause__
        except Exception as error:
            error.add_note(f"at {self.place(position)}")
            raise
        finally:
            _AT.reset(token)

    def __iter__(self) -> Iterator:
        for at, step in enumerate(self.steps):
            if getattr(step, "group", 1) > 1:
                return self._in_groups(at)
        return super().__iter__()

    def _in_groups(self, at: int) -> Iterator:
        """Compute items in groups, because step number `at` is faster on several items at once."""
        step: Any = self.steps[at]
        for start in range(0, len(self), step.group):
            positions = range(start, min(start + step.group, len(self)))
            items = [self._through(position, step.ready, *self.steps[:at]) for position in positions]
            try:
                results = step.several(items)
            except ImageError:
                for position, item in zip(positions, items, strict=True):  # find the unusable item
                    with self.naming(position):
                        step.several([item])
                raise
            for position, item in zip(positions, results, strict=True):
                with self.naming(position):
                    for later in self.steps[at + 1 :]:
                        item = later(item)
                yield item

    def _through(self, position: int, last: Callable, *steps: Callable) -> Any:
        with self.naming(position):
            item = self.source[int(self.rows[position])]
            for step in (*steps, last):
                item = step(item)
            return item

    def _compute(self, position: int) -> Any:
        with self.naming(position):
            item = self.source[int(self.rows[position])]
            for step in self.steps:
                item = step(item)
            return item

    def _with(self, kind: type[Kind], step: Callable) -> Kind:
        return kind(self.source, (*self.steps, step), rows=self.rows, index=self.index, positions=self.positions)


Kind = TypeVar("Kind", bound=_Steps)


class Images(_Steps):
    """A lazy sequence of images, which are arrays of shape (h, w) or (h, w, 3); colour images are RGB.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.preprocessing import Resize
    >>> train, test = load_dataset("digits")
    >>> small = Resize((4, 4)).transform(test)
    >>> small[0].shape, small[:10].shape
    ((4, 4), (10,))
    """

    def described(
        self, step: Callable[[np.ndarray], Bag], *, instead: Bag | None = None, failures: Failures | None = None
    ) -> Bags:
        """Return the Bags that `step` computes. If `instead` is given, it replaces the Bag of an unusable image."""
        if instead is not None:
            source = Forgiving(self, step, instead, Failures() if failures is None else failures)
            return Bags(source, index=self.index)
        return self._with(Bags, step)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Images are computed lazily, so np.asarray always makes a copy")
        images = list(self)
        sizes = {image.shape for image in images}
        if len(sizes) > 1:
            raise InputError(
                f"np.asarray needs images of the same shape; found {len(sizes)} shapes, such as {sorted(sizes, key=str)[:2]}. "
                "Resize the images first, or iterate over them."
            )
        return np.array(images, dtype=dtype)


class Forgiving(LazySequence):
    """A source of Bags. For an unusable image, it returns `instead` and records the failure in a list shared by all views."""

    source: Images

    def __init__(self, images: Images, step: Callable[[np.ndarray], Bag], instead: Bag, failures: Failures):
        super().__init__(images)
        self.step, self.instead, self.failures = step, instead, failures

    def _compute(self, position: int) -> Bag:
        row = int(self.rows[position])
        try:
            image = self.source[row]
            with self.source.naming(row):
                return self.step(image)
        except ImageError as error:
            self.failures.note([Failure(error.position, error.item, error.reason)])
            return self.instead


class Bags(_Steps):
    """A lazy sequence of Bag. A Bag is computed on each access.

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
        """The unusable images among the images described so far. The list is empty unless ``on_error="empty"``."""
        return self.source.failures if isinstance(self.source, Forgiving) else Failures()

    def own_failures(self) -> list[Failure]:
        """Return only the failures of these Bags; `failures` of a slice contains the failures of the whole sequence."""
        own = set(self.positions.tolist())
        return [failure for failure in self.failures if failure.index in own]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise InputError(
            "Bags cannot become one array, because the number of descriptors differs between images. "
            "An encoder (such as featrec.encoders.BagOfWords) returns one row per image; bags[i].descriptors contains "
            "the descriptors of one image."
        )


def _step_name(step: Callable) -> str:
    """Return the name of a step: its attribute ``name``, or the class of a method, or its own class."""
    name = getattr(step, "name", None)
    return name if isinstance(name, str) else type(getattr(step, "__self__", step)).__name__
