"""The training images and test images of a benchmark cell."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from featrec.exceptions import InputError
from featrec.lazy import Images

__all__ = ["Pool", "parts", "read_halves"]

HELD_OUT = 0.2  # Share of each class, if random splits of a folder set no n_train.


class Pool:
    """The training set and test set as one sequence, which measures the time of reading."""

    def __init__(self, halves: Iterable[Any]):
        self.halves = tuple(halves)
        self.labels = np.concatenate([half.labels for half in self.halves])
        self.seconds = 0.0
        self._counting = threading.Lock()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, position: int) -> np.ndarray:
        half, position = self._place(position)
        start = time.thread_time()
        image: np.ndarray = half[position]
        with self._counting:
            self.seconds += time.thread_time() - start
        return image

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_counting"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ |= state | {"_counting": threading.Lock()}

    def name(self, position: int) -> str | None:
        """The path of an image, if it has one."""
        half, position = self._place(position)
        return half.name(position) if hasattr(half, "name") else None

    def images(self, rows: np.ndarray) -> Images:
        """A subset, read on access."""
        return Images(self)[rows]

    def contents(self) -> list[bytes]:
        """Digests of the bytes of each file, or of the pixels if an image is not a file; reading time is not counted."""
        return [self._digest(position) for position in range(len(self))]

    def _digest(self, position: int) -> bytes:
        name = self.name(position)
        if name is not None and os.path.isfile(name):
            return hashlib.sha256(Path(name).read_bytes()).digest()
        half, position = self._place(position)
        image = half[position]
        return hashlib.sha256(repr((image.shape, image.dtype.str)).encode() + image.tobytes()).digest()

    def _place(self, position: int) -> tuple[Any, int]:
        first = len(self.halves[0])
        return (self.halves[0], position) if position < first else (self.halves[1], position - first)


def read_halves(name: str, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """The training set and test set of a dataset of ``load_dataset``, or of a folder given by path.

    For a folder without train/ and test/, the test set is empty, because all its splits are random. Damaged files are left
    out.
    """
    from featrec.datasets import ImageFolder, load_dataset

    if "path" not in options:
        train, test = load_dataset(name, **options)
        return train, test
    if ImageFolder.is_split(options["path"]):
        return ImageFolder.split(options["path"], on_error="drop", n_jobs=-1)
    folder = ImageFolder(options["path"], on_error="drop", n_jobs=-1)
    return folder, folder[:0]


def parts(pool: Pool, split: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The rows for training and for testing, both in the order of the pool.

    Images with the same bytes stay on the same side of random splits; predefined splits are not changed.
    """
    seed, labels = split["seed"], pool.labels
    rows = np.arange(len(pool))
    first = len(pool.halves[0])
    train, test = rows[:first], rows[first:]
    groups = np.unique(pool.contents(), return_inverse=True)[1] if _draws(split) else rows
    if split["kind"] == "random":
        chosen = _draw(groups, labels, _quota(labels, split["n_train"]), seed)
        train, test = rows[chosen], rows[~chosen]
    elif split["n_train"] is not None:
        train = _few(train, labels, split["n_train"], seed)
    if split["validation"]:
        share = split["validation"]
        quota = _all_but(labels[train], share)
        chosen = _draw(groups[train], labels[train], quota, seed)
        train, test = train[chosen], train[~chosen]
    if split["n_test"] is not None:
        test = _few(test, labels, split["n_test"], seed)
    if not len(train) or not len(test):
        raise InputError(f"the split leaves {len(train)} images for training and {len(test)} for testing; use smaller shares")
    return train, test


def _draws(split: Mapping[str, Any]) -> bool:
    return split["kind"] == "random" or bool(split["validation"])


def _quota(labels: np.ndarray, n_train: int | None) -> dict[str, int]:
    if n_train is None:
        return _all_but(labels, HELD_OUT)
    smallest, n = min(Counter(labels.tolist()).items(), key=lambda pair: pair[1])
    if n <= n_train:
        raise InputError(f"n_train = {n_train} leaves no test images: the class {smallest!r} has {n} images")
    return dict.fromkeys(labels.tolist(), n_train)


def _all_but(labels: np.ndarray, share: float) -> dict[str, int]:
    """Hold out a share of each class, at least one image."""
    return {name: n - max(1, round(share * n)) for name, n in Counter(labels.tolist()).items()}


def _draw(groups: np.ndarray, labels: np.ndarray, quota: Mapping[str, int], seed: int) -> np.ndarray:
    """Select whole groups in random order, skipping groups that would exceed a class quota.

    A class stays below its quota if only groups that are too large remain.
    """
    order = np.argsort(groups, kind="stable")
    _, starts = np.unique(groups[order], return_index=True)
    members = np.split(order, starts[1:])
    taken: Counter[str] = Counter()
    chosen = np.zeros(len(labels), bool)
    for group in np.random.default_rng(seed).permutation(len(members)):
        wanted = Counter(labels[members[group]].tolist())
        if all(taken[name] + n <= quota[name] for name, n in wanted.items()):
            taken += wanted
            chosen[members[group]] = True
    return chosen


def _few(rows: np.ndarray, labels: np.ndarray, n: int, seed: int) -> np.ndarray:
    """At most n rows of each class."""
    random = np.random.default_rng((seed, n))
    found = [random.permutation(rows[labels[rows] == name])[:n] for name in np.unique(labels[rows])]
    return np.sort(np.concatenate(found)) if found else rows
