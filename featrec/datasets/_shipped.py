"""Files shipped with scikit-image, found without its downloader."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from featrec.exceptions import DatasetError

__all__ = ["shipped_file"]


def shipped_file(name: str) -> Path:
    """The path of a file in scikit-image's data folder; nothing is downloaded."""
    spec = find_spec("skimage")
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else Path("skimage/data")
    if not (folder / name).is_file():
        raise DatasetError(
            f"this installation of scikit-image lacks {name} ({folder}); its wheels contain it: pip install "
            f"--force-reinstall scikit-image"
        )
    return folder / name
