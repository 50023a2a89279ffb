"""FileImage: an image file, and its state when it was listed."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple, Self

import numpy as np

from featrec.exceptions import ChangedImageError, MissingImageError, UnreadableImageError
from featrec.images import read_image

__all__ = ["FileImage", "Stamp"]

WAY_OUT = "create the ImageFolder again, and refit models that were fitted on it"


class Stamp(NamedTuple):
    """Size and time of a file, to detect changes since it was listed."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        return cls(found.st_size, found.st_mtime_ns)

    def compare(self, found: os.stat_result, path: str, kind: str = "file") -> None:
        """Raise an error if the file has changed."""
        if stat.S_ISREG(found.st_mode) and Stamp.of(found) == self:
            return
        if not stat.S_ISREG(found.st_mode):
            what = "it is no longer a file"
        elif found.st_size != self.size:
            what = f"its size was {self.size} bytes and is now {found.st_size} bytes"
        else:
            what = f"its size is still {self.size} bytes, but it was rewritten"
        raise ChangedImageError(f"the {kind} changed after it was listed ({what}); {WAY_OUT}", item=path)


class FileImage(NamedTuple):
    """An image file; without a stamp, it was a link to a missing file."""

    path: str
    stamp: Stamp | None

    def read(self) -> np.ndarray:
        """Decode the image, if the file is unchanged since it was listed."""
        if self.stamp is not None:
            self.stamp.compare(found(self.path), self.path)
        elif os.path.islink(self.path) and not os.path.exists(self.path):
            raise MissingImageError("a link to a missing file; remove the link, or restore the file", item=self.path)
        return read_image(self.path)


def found(path: str, kind: str = "file") -> os.stat_result:
    """The current state of the file."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingImageError(f"the {kind} was deleted after it was listed. Restore it, or {WAY_OUT}", item=path) from None
    except OSError as error:
        raise UnreadableImageError(f"cannot be opened ({error})", item=path) from error
