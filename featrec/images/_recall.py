"""Steps that describe images: warn about dark images, and look for descriptions in the cache before computing them."""

from __future__ import annotations

import copy
import hashlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from featrec import __version__
from featrec.bag import Bag
from featrec.exceptions import DarkImageWarning
from featrec.images._cache import DescriptorCache
from featrec.images._entry import Description, content_digest
from featrec.lazy import place

__all__ = ["NEUTRAL", "DarkWatch", "Describe", "Recall"]

# Attributes that do not affect descriptions and are not part of the key.
NEUTRAL = {"cache", "on_error", "n_jobs", "verbose", "batch_size", "failures_", "n_features_out_"}
# 12-bit sensors write values up to 4095 into 16-bit files, in which white is 65535.
NEARLY_BLACK = 4096

_LOCKS: dict[tuple, list] = {}
_LOCKS_LOCK = threading.Lock()


class Recall:
    """Looks up descriptions in the cache of an extractor, if it has one, and computes the missing ones.

    `recipe` is a digest of everything that affects a description, except the image.
    """

    def __init__(self, extractor: Any):
        cache = extractor.cache
        self.cache = DescriptorCache(cache) if isinstance(cache, (str, os.PathLike)) else cache
        self.recipe = ""
        if self.cache is not None:
            self.cache._store().prepare()
            kind = type(extractor)
            versions = __version__, cv2.__version__, np.__version__
            self.recipe = content_digest((versions, kind, kind.algorithm, extractor._decides()))

    def one(self, describe: Callable[[np.ndarray], Any], image: np.ndarray) -> Any:
        """Return the description of one image."""
        if self.cache is None:
            return describe(image)
        return self.several(lambda images: [describe(images[0])], [image])[0]

    def several(self, describe: Callable[[Sequence[np.ndarray]], Any], images: Sequence[np.ndarray]) -> Any:
        """Return the descriptions of images in order; only missing descriptions are computed."""
        if self.cache is None:
            return describe(images)
        store = self.cache._store()
        store.prepare()
        keys = [self._key(image) for image in images]
        found: dict[str, Description | None] = {key: store.read(key) for key in dict.fromkeys(keys)}
        missing = [key for key, value in found.items() if value is None]
        computed = 0
        with _alone(Path(self.cache.folder), missing):
            found |= {key: store.read(key) for key in missing}  # another thread may have stored it in the meantime
            missing = [key for key in missing if found[key] is None]
            if missing:
                described = describe([images[keys.index(key)] for key in missing])
                for key, description in zip(missing, described, strict=True):
                    store.write(key, description, self.cache.max_bytes)
                    found[key] = description
                computed = len(missing)
        store.count(len(images) - computed, computed)
        return [found[key] for key in keys]

    def _key(self, image: np.ndarray) -> str:
        """Return the key of an image. SHA-256 is four times as fast as BLAKE2, because processors have instructions for it."""
        digest = hashlib.sha256(f"{self.recipe} {image.dtype.str} {image.shape} ".encode())
        digest.update(np.ascontiguousarray(image).data)
        return digest.hexdigest()[:40]


class DarkWatch:
    """A step that warns once per batch about a 16-bit image whose values are all below 1/16 of white.

    The image is returned unchanged. The check is a separate step, not part of reading, because a Rescale step may come between.
    Completely black images are ignored.
    """

    def __init__(self) -> None:
        self._first = [True]  # one entry; the first thread that warns removes it

    def __call__(self, image: np.ndarray) -> np.ndarray:
        if image.dtype == np.uint16 and self._first and 0 < image.max() < NEARLY_BLACK and self._is_first():
            warnings.warn(
                f"{place()}: this 16-bit image is nearly black, because its largest value is {image.max()} of 65535. If white "
                f"is a lower value, put featrec.preprocessing.Rescale(bits={_bits(image)}) or Rescale() before the extractor. "
                "Other images of this batch are not reported.",
                DarkImageWarning,
                stacklevel=2,
            )
        return image

    def _is_first(self) -> bool:
        with suppress(IndexError):
            return self._first.pop()
        return False


class Describe:
    """The last step of a local extractor. It converts an image to its Bag, which may be cached, and warns about dark images."""

    def __init__(self, extractor: Any):
        self.extractor = copy.copy(extractor)
        self.recall = Recall(extractor)
        self.watch = DarkWatch()

    @property
    def name(self) -> str:
        """Name of this step in the repr of a lazy sequence."""
        return type(self.extractor).__name__

    @property
    def group(self) -> int:
        """Number of images that the extractor describes at once."""
        return self.extractor._group_size()

    def __call__(self, image: np.ndarray) -> Bag:
        return self.recall.one(self.extractor._describe, self.watch(image))

    def ready(self, image: np.ndarray) -> np.ndarray:
        """Return the image, after the warning about dark images."""
        return self.watch(image)

    def several(self, images: Sequence[np.ndarray]) -> list[Bag]:
        """Describe several images at once."""
        return list(self.recall.several(self.extractor._describe_batch, images))


def _bits(image: np.ndarray) -> int:
    """Guess the number of bits of the sensor: 8, 10 or 12."""
    needed = int(image.max()).bit_length()
    return next(bits for bits in (8, 10, 12) if needed <= bits)


@contextmanager
def _alone(folder: Path, keys: list[str]) -> Iterator[None]:
    """Keep other threads of this process from describing the same images.

    Locks are acquired in sorted order, which avoids deadlocks. The names of locks contain the process id: a fork may copy
    acquired locks, and nobody would release these copies.
    """
    names = [(os.getpid(), folder, key) for key in sorted(keys)]
    with ExitStack() as stack:
        for name in names:
            with _LOCKS_LOCK:
                shared = _LOCKS.setdefault(name, [threading.Lock(), 0])
                shared[1] += 1
            stack.callback(_forget, name)
            stack.enter_context(shared[0])
        yield


def _forget(name: tuple) -> None:
    with _LOCKS_LOCK:
        _LOCKS[name][1] -= 1
        if not _LOCKS[name][1]:
            del _LOCKS[name]
