"""FilePicture: an image's file, and how it was when it was listed."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple, Self

import numpy as np

from featrec.exceptions import ChangedImageError, MissingImageError, UnreadableImageError
from featrec.images import read_image

__all__ = ["FileImage", "Stamp"]

WAY_OUT = "make the ImageFolder again, and what was fitted on it"


class Stamp(NamedTuple):
    """What tells that a file is still the one that was listed."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        return cls(found.st_size, found.st_mtime_ns)

    def compare(self, found: os.stat_result, path: str, kind: str = "file") -> None:
        """Raise where the file found is another."""
        if stat.S_ISREG(found.st_mode) and Stamp.of(found) == self:
            return
        if not stat.S_ISREG(found.st_mode):
            what = "it is no file any more"
        elif found.st_size != self.size:
            what = f"{self.size} bytes then, {found.st_size} now"
        else:
            what = f"{self.size} bytes still, and written since"
        raise ChangedImageError(f"the {kind} changed after it was listed ({what}); {WAY_OUT}", item=path)


class FileImage(NamedTuple):
    """An image in a file of its own; without a stamp it is a link to a file that was not there."""

    path: str
    stamp: Stamp | None

    def read(self) -> np.ndarray:
        """Decode it, if it is still the file that was listed."""
        if self.stamp is not None:
            self.stamp.compare(found(self.path), self.path)
        elif os.path.islink(self.path) and not os.path.exists(self.path):
            raise MissingImageError("a link to a file that is not there; remove it, or put the file there", item=self.path)
        return read_image(self.path)


def found(path: str, kind: str = "file") -> os.stat_result:
    """The file as it is now."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingImageError(
            f"the {kind} is gone; it was there when it was listed. Put it back, or {WAY_OUT}", item=path
        ) from None
    except OSError as error:
        raise UnreadableImageError(f"cannot be opened ({error})", item=path) from error
