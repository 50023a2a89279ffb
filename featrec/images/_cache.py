"""DescriptorCache: where descriptions of pictures are kept from one run to the next."""

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
    """How a cache fares: `hits` and `misses` are this process's, `entries` and `bytes` are everybody's."""

    hits: int
    misses: int
    entries: int
    bytes: int


@dataclass(frozen=True)
class DescriptorCache:
    """A folder where extractors keep what they have computed, for ``cache=`` of any of them.

    A picture that comes again, in another fold, at another point of a grid, in the test set or in another run, is read from
    the folder and not described again. ``Pipeline(memory=)`` keeps what ``fit`` gives for a whole training set, and nothing
    of what ``predict`` describes; here each picture is kept by itself, so that train, test and folds share it.

    What a description depends on is its key: the pixels that the extractor sees, so that a file that has changed and another
    preprocessing count while a file's name does not; the extractor's class, its ``algorithm`` number and its parameters; the
    versions of featrec, OpenCV and NumPy. All kinds of extractors may share a folder, and so may processes and machines.

    Fails at the start where the folder cannot be made, or holds files that are not a cache's. When the disk is full or the
    folder may only be read, one warning says so and the work goes on. A file that is damaged or foreign counts as missing.

    Parameters
    ----------
    folder : path
        New, empty, or a cache already. It may be deleted at any time.
    max_bytes : int, default=10 * 2**30
        When the files are about to have more, those that were used longest ago are deleted. Each process that
        writes may pass it by a sixteenth. Where one pass over all pictures needs more, entries go before they are wanted again.

    Notes
    -----
    A path as ``cache=`` stands for a DescriptorCache with the defaults. Model files do not store where a cache is.

    Images are decoded and preprocessed each time. A cache is worth most for networks and key points, whose descriptions are
    slow to compute and small: a grid search on 140 images took 1/27 of its time with a network, and 1/6 with SIFT. `HOG` gains
    nothing, since it takes 0.3 ms an image and the classifier the rest. `DenseSIFT` loses a little: it is about as fast as the
    reading of its 32-bit numbers, 6.7 MB for an image of 250×250 at the usual four sizes (``dtype="uint8"`` takes a quarter),
    and k-means is four fifths of a fit. Images that fail are not kept. Two threads never describe one image twice; two
    processes that come to it at the same moment may.

    An extractor of your own needs no more than a parameter ``cache`` that it stores. It is known by its class's name and code,
    with the functions and constants of its module that this names; where its results change for another reason, raise its class
    attribute ``algorithm``. Whoever can write to the folder can change numbers, though nothing in it is executed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from featrec.descriptors import SIFT, DescriptorCache
    >>> pictures = np.random.default_rng(0).integers(0, 256, (3, 40, 40), dtype=np.uint8)
    >>> cache = DescriptorCache(tempfile.mkdtemp(), max_bytes=10**8)
    >>> for time in range(2):
    ...     bags = SIFT(cache=cache).transform(pictures).compute()
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
        # A worker may stand in another folder.
        try:
            object.__setattr__(self, "folder", Path(self.folder).expanduser().absolute())
        except RuntimeError as error:
            raise InputError(f"folder of DescriptorCache: {self.folder!r} names nobody's home ({error})") from error

    def info(self) -> CacheInfo:
        """Count the files and what they were asked for.

        Returns
        -------
        CacheInfo
            hits and misses (of this process, since it started), entries and bytes (in the folder now).
        """
        entries = self._store().entries()
        return CacheInfo(self._store().hits, self._store().misses, len(entries), sum(size for _, size, _ in entries))

    def clear(self) -> None:
        """Delete all entries; what else lies in the folder stays."""
        self._store().trim(0)

    def _store(self) -> Store:
        return store_in(Path(self.folder))


# The constraint of the parameter that all extractors have.
CACHE = {"cache": [str, os.PathLike, DescriptorCache, None]}
