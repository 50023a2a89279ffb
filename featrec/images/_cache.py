"""DescriptorCache: keeps the descriptions of images between runs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path

from featrec.exceptions import InputError
from featrec.images._store import Store, store_in

__all__ = ["CACHE", "CacheInfo", "DescriptorCache"]


@dataclass(frozen=True)
class CacheInfo:
    """Statistics of a cache: `hits` and `misses` count this process, `entries` and `bytes` the whole folder."""

    hits: int
    misses: int
    entries: int
    bytes: int


@dataclass(frozen=True)
class DescriptorCache:
    """A folder where extractors store what they have computed, for the parameter ``cache=`` of any extractor.

    If an image occurs again (in another fold, at another grid point, in the test set or in another run), its description is
    read from the folder. ``Pipeline(memory=)`` stores the result of ``fit`` for a whole training set and nothing of
    ``predict``. Here each image is stored by itself, so training set, test set and folds share it.

    The key of a description contains everything it depends on: the pixels given to the extractor; the extractor's class, its
    ``algorithm`` number and its parameters; the versions of featrec, OpenCV and NumPy. A changed file or another preprocessing
    gives another key; a new file name does not. Different extractors, processes and machines may share a folder.

    If the folder cannot be created, or contains files that are not part of a cache, this is an error at the start. If the disk
    is full or the folder is read-only, there is one warning and the work continues. A damaged or unknown file counts as
    missing.

    Parameters
    ----------
    folder : path
        A new or empty folder, or an existing cache. It may be deleted at any time.
    max_bytes : int, default=10 * 2**30
        Size limit. Before it is exceeded, the least recently used files are deleted. Each writing process may exceed it by
        1/16. If one pass over all images needs more, entries are deleted before they are used again.

    Notes
    -----
    A path as ``cache=`` means a DescriptorCache with the defaults. Model files do not store the location of a cache.

    Images are decoded and preprocessed each time. A cache helps most with networks and keypoints, whose descriptions are slow
    to compute and small: a grid search on 140 images took 1/27 of its time with a network, and 1/6 with SIFT. `HOG` gains
    nothing, because it takes only 0.3 ms per image; the rest of the time is the classifier's. `DenseSIFT` gets slightly
    slower: computing is about as fast as reading its 32-bit numbers (6.7 MB for an image of 250×250 at the default four sizes;
    a quarter with ``dtype="uint8"``), and k-means takes four fifths of a fit. Images that fail are not stored. Two threads
    never describe the same image twice; two processes may if they reach it at the same time.

    Your own extractor only needs a parameter ``cache`` that it stores. It is identified by the name and code of its class,
    including the functions and constants of its module that this code uses. If its results change for another reason, increase
    its class attribute ``algorithm``. Anyone who can write to the folder can change the numbers, but nothing in it is
    executed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from featrec.descriptors import SIFT, DescriptorCache
    >>> images = np.random.default_rng(0).integers(0, 256, (3, 40, 40), dtype=np.uint8)
    >>> cache = DescriptorCache(tempfile.mkdtemp(), max_bytes=10**8)
    >>> for time in range(2):
    ...     bags = SIFT(cache=cache).transform(images).compute()
    >>> cache.info().misses, cache.info().hits
    (3, 3)
    """

    folder: str | os.PathLike
    max_bytes: int = field(default=10 * 2**30, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.folder, (str, os.PathLike)) or not os.fspath(self.folder):
            raise InputError(f"folder of DescriptorCache must be a path; got {self.folder!r}")
        if not isinstance(self.max_bytes, Integral) or isinstance(self.max_bytes, bool) or self.max_bytes < 1:
            raise InputError(f"max_bytes of DescriptorCache must be a whole number, at least 1; got {self.max_bytes!r}")
        # A worker may have another working directory.
        try:
            object.__setattr__(self, "folder", Path(self.folder).expanduser().absolute())
        except RuntimeError as error:
            raise InputError(
                f"folder of DescriptorCache: {self.folder!r} refers to an unknown home directory ({error})"
            ) from error

    def info(self) -> CacheInfo:
        """Count hits, misses, entries and bytes.

        Returns
        -------
        CacheInfo
            `hits` and `misses` of this process since it started; `entries` and `bytes` now in the folder.
        """
        entries = self._store().entries()
        return CacheInfo(self._store().hits, self._store().misses, len(entries), sum(size for _, size, _ in entries))

    def clear(self) -> None:
        """Delete all entries; other files in the folder stay."""
        self._store().trim(0)

    def _store(self) -> Store:
        return store_in(Path(self.folder))


# Constraint of the parameter `cache` of all extractors.
CACHE = {"cache": [str, os.PathLike, DescriptorCache, None]}
