"""DescriptorCache: store descriptions of images in a folder that many threads, processes and runs may share."""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path

import numpy as np

from featrec.exceptions import FeatrecWarning, InputError
from featrec.images._entry import PREAMBLE, Description, pack, unpack

__all__ = ["CACHE", "CacheInfo", "DescriptorCache"]


# Backup programs skip a folder with this file. Its first line is fixed: https://bford.info/cachedir
MARKER = "CACHEDIR.TAG"
MARKER_TEXT = """Signature: 8a477f597d28d172789f06886806bc55
# Descriptions of pictures, kept by featrec.descriptors.DescriptorCache. This folder may be deleted at any time.
"""
ENTRY, PART = ".descriptors", ".part"
OWN = re.compile(rf"[0-9a-f]{{2}}|{re.escape(MARKER)}|.*{re.escape(PART)}")
# Minimum age, in seconds, at which temporary files of killed processes are deleted.
PART_LIFE = 3600.0
# Fractions of the limit: bytes that a process writes before it checks the folder, and space that the process then frees.
LOOK, ROOM = 1 / 16, 1 / 8


@dataclass(frozen=True)
class CacheInfo:
    """Statistics of a cache: `hits` and `misses` of this process, `entries` and `bytes` of the whole folder."""

    hits: int
    misses: int
    entries: int
    bytes: int


@dataclass(frozen=True)
class DescriptorCache:
    """A folder in which extractors store descriptions, for the parameter ``cache=`` of any extractor.

    If an image occurs again (in another fold, at another grid point, in the test set or in another run), its description is
    read from the folder. Each image is stored separately. In contrast, ``Pipeline(memory=)`` only stores results for a whole
    training set, and nothing in ``predict``.

    The key of a description depends on the pixels that the extractor receives; on the extractor's class, ``algorithm`` number
    and parameters; and on the versions of featrec, OpenCV and NumPy. Different extractors, processes and machines may share a
    folder.

    If the folder cannot be created or contains other files, an error is raised before any image is described. If the disk is
    full or the folder is read-only, one warning is shown and the work continues. A damaged file is treated as missing.

    Parameters
    ----------
    folder : path
        A new or empty folder, or an existing cache. It may be deleted at any time.
    max_bytes : int, default=10 * 2**30
        Size limit of the folder. To stay below the limit, the least recently used files are deleted. Each writing process may
        exceed the limit by 1/16. The limit should be larger than the size of all descriptions; otherwise, entries are deleted
        before they are used again.

    Notes
    -----
    If ``cache=`` is a path, a DescriptorCache with the default options is used. Model files do not store the location of a
    cache.

    Images are decoded and preprocessed each time. A cache helps most if descriptions are small and slow to compute. For
    example, a cache made a grid search on 140 images 27 times as fast for a network, and 6 times as fast for SIFT. `HOG` gains
    nothing, because it takes only 0.3 ms per image. `DenseSIFT` gains little, because reading its descriptions (6.7 MB for an
    image of 250×250) takes about as long as computing them. Images that cannot be used are not stored. Two threads never
    describe the same image twice, but two processes may.

    Your own extractor only needs to store a parameter ``cache``. The key of a description depends on the name and code of the
    extractor's class, and on the functions and constants of its module that this code uses. If its results change for another
    reason, increase its class attribute ``algorithm``. Anyone who can write to the folder can change the descriptions, but no
    code from it is executed.

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
            raise InputError(f"max_bytes of DescriptorCache must be an integer of at least 1; got {self.max_bytes!r}")
        # Workers may have a different working directory.
        try:
            object.__setattr__(self, "folder", Path(self.folder).expanduser().absolute())
        except RuntimeError as error:
            raise InputError(
                f"folder of DescriptorCache: {self.folder!r} refers to an unknown home directory ({error})"
            ) from error

    def info(self) -> CacheInfo:
        """Return the hits and misses of this process, and the entries and bytes in the folder."""
        entries = self._store().entries()
        return CacheInfo(self._store().hits, self._store().misses, len(entries), sum(size for _, size, _ in entries))

    def clear(self) -> None:
        """Delete all entries, but no other files in the folder."""
        self._store().trim(0)

    def _store(self) -> Store:
        return _store_in(Path(self.folder))


# Constraint on the parameter `cache` of all extractors.
CACHE = {"cache": [str, os.PathLike, DescriptorCache, None]}


class Store:
    """The files in one cache folder. Their content is not trusted, and other files are never deleted."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.hits = self.misses = 0
        self._lock = threading.Lock()
        self._trimming = threading.Lock()
        self._grown = 0
        self._warned = False
        self._prepared = False

    def prepare(self) -> None:
        """Create the folder, or check that it is a cache."""
        if self._prepared:
            return
        try:
            if not self._is_marked():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._refuse_strangers()
                self._write(self.folder / MARKER, [MARKER_TEXT.encode()])
        except OSError as error:
            raise InputError(
                f"cache: the folder {str(self.folder)!r} cannot be created or opened ({error}). Use a writable folder "
                "or cache=None"
            ) from error
        self._prepared = True

    def count(self, hits: int, misses: int) -> None:
        """Add numbers to the totals of hits and misses."""
        with self._lock:
            self.hits += hits
            self.misses += misses

    def read(self, key: str) -> Description | None:
        """Return the description with this key, or None if it is missing or damaged."""
        path = self._path(key)
        try:
            with open(path, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                content = np.empty(size, np.uint8)
                if size < PREAMBLE.size or file.readinto(content) != size:  # type: ignore[arg-type]
                    return None
        except OSError:
            return None
        found = unpack(content, key)
        if found is not None:
            self._touch(path)
        return found

    def write(self, key: str, description: Description, limit: int) -> None:
        """Store a description; on failure, warn once and continue."""
        parts = pack(description, key)
        if parts is None:
            return
        size = sum(len(part) for part in parts)
        if size > limit:
            self._warn(f"a description has {size:,} bytes, more than max_bytes={limit:,}")
            return
        self._look(key, size, limit)
        path = self._path(key)
        try:
            self._write(path, parts)
        except OSError as error:
            # Windows refuses to replace a file that another process is reading.
            if not (isinstance(error, PermissionError) and path.exists()):
                self._warn(str(error))

    def entries(self) -> list[tuple[float, int, str]]:
        """Return the time of the last use, the size and the path of each entry."""
        found = []
        for entry in self._files():
            try:
                status = entry.stat()
            except OSError:  # deleted by another process
                continue
            if entry.name.endswith(ENTRY):
                found.append((status.st_mtime, status.st_size, entry.path))
            elif entry.name.endswith(PART) and time.time() - status.st_mtime > PART_LIFE:
                _delete(entry.path)
        return found

    def trim(self, limit: int) -> None:
        """Delete the least recently used entries until the remaining ones have at most `limit` bytes."""
        entries = self.entries()
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= limit:
                break
            _delete(path)
            total -= size

    def _look(self, key: str, size: int, limit: int) -> None:
        """Free space before a file of `size` bytes is written. To save time, the folder is not checked for every file.

        The folder is checked after every LOOK * limit bytes, and also at random (determined by the key). Without random checks,
        the folder would never be checked if each of many processes wrote only a few files.
        """
        with self._lock:
            self._grown += size
            due = self._grown >= LOOK * limit or int(key[:8], 16) < 2**32 * (size / (LOOK * limit))
        if due and self._trimming.acquire(blocking=False):
            try:
                self._grown = 0
                if sum(each for _, each, _ in self.entries()) + size > limit * (1 - LOOK):
                    self.trim(int(limit * (1 - ROOM)) - size)
            finally:
                self._trimming.release()

    def _is_marked(self) -> bool:
        try:
            return (self.folder / MARKER).read_text(encoding="utf-8") == MARKER_TEXT
        except (FileNotFoundError, UnicodeDecodeError):
            return False

    def _refuse_strangers(self) -> None:
        strange = sorted(name for name in os.listdir(self.folder) if not OWN.fullmatch(name))
        if strange or ((self.folder / MARKER).exists() and not self._is_marked()):
            raise InputError(
                f"cache: the folder {str(self.folder)!r} is neither empty nor a featrec cache; it contains "
                f"{strange[0] if strange else MARKER!r}. Use a new or empty folder"
            )

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{ENTRY}"

    def _files(self) -> Iterator[os.DirEntry]:
        for number in range(256):
            try:
                with os.scandir(self.folder / f"{number:02x}") as entries:
                    yield from entries
            except OSError:
                continue

    def _write(self, path: Path, parts: list) -> None:
        """Write the file completely or not at all."""
        temporary = path.with_name(f"{path.stem}.{secrets.token_hex(8)}{PART}")
        try:
            _fill(temporary, parts)
            os.replace(temporary, path)
        except BaseException:
            _delete(temporary)
            raise

    def _touch(self, path: Path) -> None:
        with suppress(OSError):  # the folder may be read-only
            os.utime(path)

    def _warn(self, reason: str) -> None:
        with self._lock:
            known, self._warned = self._warned, True
        if not known:
            warnings.warn(
                f"the cache in {str(self.folder)!r} cannot store more: {reason}. Images that are not in the cache are "
                "described each time. Free some space, or use another folder. This warning is shown once.",
                FeatrecWarning,
                stacklevel=2,
            )


# The most recently used stores. If a store is dropped and created again, its hits and misses restart from zero.
_STORES: OrderedDict[Path, Store] = OrderedDict()
_STORES_LOCK = threading.Lock()
MOST_STORES = 64


def _store_in(folder: Path) -> Store:
    """Return the store of a folder. All extractors of this process share it."""
    with _STORES_LOCK:
        store = _STORES.setdefault(folder, Store(folder))
        _STORES.move_to_end(folder)
        if len(_STORES) > MOST_STORES:
            _STORES.popitem(last=False)
        return store


def _fill(path: Path, parts: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as file:
        file.writelines(parts)


def _delete(path: str | Path) -> None:
    with suppress(OSError):  # already deleted, or in use on a system that forbids deletion
        os.unlink(path)
