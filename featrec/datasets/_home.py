"""The folder of the datasets that are too large to ship."""

from __future__ import annotations

import os
from pathlib import Path

from featrec.datasets._download import fetch
from featrec.datasets._options import flag
from featrec.datasets._published import PublishedSet
from featrec.exceptions import DatasetError, InputError

__all__ = ["dataset_folder"]

VARIABLE = "FEATREC_DATA"


def dataset_folder(published: PublishedSet, data_home: str | os.PathLike | None, download: bool) -> Path:
    """The folder of a dataset, after checking that all its files exist.

    `data_home` takes precedence over ``FEATREC_DATA``. There is no default folder, because users should choose where hundreds
    of megabytes are stored. Existing files are never overwritten, so your own data in the published layout stay unchanged.
    """
    flag(published.name, download=download)
    home = _home(published, data_home)
    missing = published.missing(home)
    if missing and download and published.sources:
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
