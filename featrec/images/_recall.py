"""Descriptions that are looked up before they are computed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol

import cv2
import numpy as np

from featrec import __version__
from featrec.images._cache import DescriptorCache
from featrec.images._content import content_digest
from featrec.images._entry import Description

__all__ = ["NEUTRAL", "Recall", "Recalled"]

# What changes no description: where and how the work is done, and what fit notes of the output.
NEUTRAL = {"cache", "on_error", "n_jobs", "verbose", "batch_size", "failures_", "n_features_out_"}


class Remembering(Protocol):
    """What an extractor says of itself."""

    algorithm: ClassVar[int]
    cache: str | os.PathLike | DescriptorCache | None

    def _decides(self) -> dict[str, Any]: ...


class Recall:
    """What an extractor asks for a description: a cache and the digest of all that decides one, the picture apart.

    Without a cache everything is computed.
    """

    def __init__(self, extractor: Remembering):
        cache = extractor.cache
        self.cache = DescriptorCache(cache) if isinstance(cache, (str, os.PathLike)) else cache
        self.recipe = ""
        if self.cache is not None:
            self.cache._store().prepare()
            kind = type(extractor)
            versions = __version__, cv2.__version__, np.__version__
            self.recipe = content_digest((versions, kind, kind.algorithm, extractor._decides()))

    def one(self, describe: Callable[[np.ndarray], Any], image: np.ndarray) -> Any:
        """The description of a picture."""
        if self.cache is None:
            return describe(image)
        return self.several(lambda images: [describe(images[0])], [image])[0]

    def several(self, describe: Callable[[Sequence[np.ndarray]], Any], images: Sequence[np.ndarray]) -> Any:
        """The descriptions of pictures, in their order; `describe` is given those that have none yet."""
        if self.cache is None:
            return describe(images)
        store = self.cache._store()
        store.prepare()
        keys = [self._key(image) for image in images]
        found: dict[str, Description | None] = {key: store.read(key) for key in dict.fromkeys(keys)}
        missing = [key for key, value in found.items() if value is None]
        computed = 0
        with _alone(Path(self.cache.folder), missing):
            found |= {key: store.read(key) for key in missing}  # another thread may just have written it
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
        """Processors have SHA-256 built in: it takes a quarter of BLAKE2's time."""
        digest = hashlib.sha256(f"{self.recipe} {image.dtype.str} {image.shape} ".encode())
        digest.update(np.ascontiguousarray(image).data)
        return digest.hexdigest()[:40]


class Recalled:
    """A step that looks into the cache before it describes."""

    def __init__(self, describe: Callable[[np.ndarray], Any], recall: Recall):
        self.describe, self.recall = describe, recall
        self.__self__ = getattr(describe, "__self__", self)  # what a lazy sequence calls this step

    def __call__(self, image: np.ndarray) -> Any:
        return self.recall.one(self.describe, image)


_LOCKS: dict[tuple, list] = {}
_LOCKS_LOCK = threading.Lock()


@contextmanager
def _alone(folder: Path, keys: list[str]) -> Iterator[None]:
    """Keep other threads of this process from the same pictures.

    The locks are taken in one order, so that two threads never wait for each other. One that a fork has copied in its locked
    state belongs to another process and is not met.
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
