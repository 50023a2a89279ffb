"""Check the options of load_dataset, and find the folder of published datasets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from featrec.exceptions import DatasetError, InputError

__all__ = ["PublishedFile", "PublishedSet", "dataset_folder", "flag", "one_of", "seeded", "strength", "whole_number"]

INTEGER = (int, np.integer)
VARIABLE = "FEATREC_DATA"
NUMBER = (float, np.floating, *INTEGER)


def seeded(random_state: Any) -> int:
    """Return an integer seed from `random_state`."""
    if isinstance(random_state, INTEGER) and not isinstance(random_state, bool) and random_state >= 0:
        return int(random_state)
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    raise InputError(f"random_state must be a non-negative integer, a RandomState or None; got {random_state!r}")


def whole_number(name: str, *, least: int = 1, **options: Any) -> None:
    """Check that the options are integers of at least `least`."""
    for option, value in options.items():
        if not isinstance(value, INTEGER) or isinstance(value, bool) or value < least:
            raise InputError(f"{option} of the dataset {name!r} must be an integer of at least {least}; got {value!r}")


def strength(name: str, **options: Any) -> None:
    """Check that the options are numbers from 0 to 1."""
    for option, value in options.items():
        if not isinstance(value, NUMBER) or isinstance(value, bool) or not 0 <= value <= 1:
            raise InputError(f"{option} of the dataset {name!r} must be a number from 0 (none) to 1; got {value!r}")


def flag(name: str, **options: Any) -> None:
    """Check that the options are True or False."""
    for option, value in options.items():
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{option} of the dataset {name!r} must be True or False; got {value!r}")


def one_of(name: str, choices: Sequence[str], **options: Any) -> None:
    """Check that the options are among the choices."""
    for option, value in options.items():
        if not isinstance(value, str) or value not in choices:
            raise InputError(f"{option} of the dataset {name!r} must be {' or '.join(map(repr, choices))}; got {value!r}")


@dataclass(frozen=True)
class PublishedFile:
    """A published file. Its `urls` are tried in order; its `checksum` has the form ``"sha256:..."``."""

    name: str
    urls: tuple[str, ...]
    size: int
    checksum: str


@dataclass(frozen=True)
class PublishedSet:
    """The published layout of a dataset. The dataset can be downloaded only if `files` or `archive` is given.

    Attributes
    ----------
    folder : str
        Name of the folder of this dataset, inside the folder of all datasets.
    content : tuple of str
        Names of files and folders that the folder must contain.
    files : tuple of PublishedFile
        Files to download into the folder.
    archive : PublishedFile, optional
        A tar file that has the content at its root or in a folder named `folder`, or a zip file that contains such a tar file.
    inner : str, optional
        Name of the tar file inside the zip file.
    """

    name: str
    folder: str
    content: tuple[str, ...]
    homepage: str
    files: tuple[PublishedFile, ...] = ()
    archive: PublishedFile | None = None
    inner: str | None = None

    @property
    def sources(self) -> tuple[PublishedFile, ...]:
        return self.files if self.archive is None else (*self.files, self.archive)

    @property
    def expected(self) -> str:
        """List the expected files, for an error message."""
        return f"expected: {self.folder}/ with {', '.join(self.content)}. They are published at {self.homepage}."

    @property
    def offer(self) -> str:
        """Describe how to get the dataset, for an error message."""
        if not self.sources:
            return "It cannot be downloaded automatically, because no checksum could be confirmed."
        megabytes = max(1, round(sum(file.size for file in self.sources) / 1e6))
        return f"load_dataset({self.name!r}, data_home=..., download=True) downloads it ({megabytes:,} MB)."

    def missing(self, home: Path) -> list[str]:
        """Return the names of the missing files and folders."""
        return [part for part in self.content if not (home / self.folder / part).exists()]


def dataset_folder(published: PublishedSet, data_home: str | os.PathLike | None, download: bool) -> Path:
    """Return the folder of a dataset after checking that all its files exist.

    `data_home` takes precedence over ``FEATREC_DATA``. There is no default folder, because users should choose where hundreds
    of megabytes are stored. Existing files are never overwritten.
    """
    flag(published.name, download=download)
    home = _home(published, data_home)
    missing = published.missing(home)
    if missing and download and published.sources:
        from featrec.datasets._download import fetch

        fetch(published, home)
        missing = published.missing(home)
    root = home / published.folder
    if missing:
        raise DatasetError(
            f"the dataset {published.name!r} is incomplete in {os.fspath(root)!r}: missing {', '.join(missing)}; "
            f"{published.expected} {published.offer}"
        )
    return root


def _home(published: PublishedSet, data_home: str | os.PathLike | None) -> Path:
    home = data_home if data_home is not None else os.environ.get(VARIABLE)
    if not home:
        raise DatasetError(
            f"the dataset {published.name!r} is read from the folder set by the environment variable {VARIABLE} or "
            f"data_home=..., but neither is set; {published.expected} {published.offer}"
        )
    if not isinstance(home, (str, os.PathLike)):
        raise InputError(f"data_home of the dataset {published.name!r} must be a path or None; got {home!r}")
    return Path(home).expanduser()
