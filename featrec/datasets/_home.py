"""The folder where the data sets lie that are too large to ship."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from featrec.exceptions import DatasetError

__all__ = ["dataset_folder"]

VARIABLE = "FEATREC_DATA"


def dataset_folder(name: str, folder: str, content: Sequence[str], homepage: str, data_home: str | os.PathLike | None) -> Path:
    """The folder of a data set, once everything it must contain is there."""
    expected = f"expected: {folder}/ with {', '.join(content)}. They are published at {homepage}."
    home = data_home if data_home is not None else os.environ.get(VARIABLE)
    if not home:
        raise DatasetError(
            f"the data set {name!r} is read from the folder that the environment variable {VARIABLE} or data_home=... names; "
            f"neither is set; {expected}"
        )
    root = Path(home) / folder
    missing = [part for part in content if not (root / part).exists()]
    if missing:
        raise DatasetError(f"the data set {name!r} is not complete in {os.fspath(root)!r}: no {', '.join(missing)}; {expected}")
    return root
