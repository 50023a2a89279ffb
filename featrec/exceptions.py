"""Errors and warnings of featrec.

Every error is also a subclass of the built-in exception that a user would expect. Messages state which item is wrong, the rule,
the value found and a solution::

    FeatrecError
    ├── InputError (ValueError)                 invalid images, bags, labels or parameters
    │   ├── ImageError                          one image of the batch cannot be used
    │   │   ├── MissingImageError (FileNotFoundError)
    │   │   ├── ChangedImageError               the file changed after it was listed
    │   │   ├── UnreadableImageError (OSError)  the file cannot be opened (permissions, a folder, a broken disk)
    │   │   ├── EmptyImageError                 the image has zero bytes, rows or columns
    │   │   ├── TruncatedImageError             the file ends too early
    │   │   ├── NotAnImageError                 the bytes are not an image in a supported format
    │   │   ├── TooManyPixelsError              the header declares more pixels than the limit
    │   │   └── UnsupportedImageError           a type of image that featrec does not support
    │   └── MetricError                         packed bits were given instead of numbers, or vice versa
    ├── DatasetError (LookupError)              a dataset is unknown or damaged, or its files are missing
    ├── ModelFileError (ValueError)             a damaged or untrusted model file
    └── MissingExtraError (ImportError)         an optional package is not installed

    FeatrecWarning (UserWarning)
    ├── DarkImageWarning                        a 16-bit image is nearly black; white may be less than 65535
    ├── SkippedFileWarning                      a folder contains files that are not read as images
    ├── DroppedImageWarning                     damaged files were left out of a folder (on_error="drop")
    ├── EmptyBagWarning                         images without descriptors became rows of zeros
    │   └── FailedImageWarning                  some images could not be used (on_error="empty")
    ├── NetworkWarning                          the input of a network does not fit, or another runtime runs it
    ├── UnknownLabelWarning                     predictions or a test set contain an unknown label
    └── VersionWarning                          a model file was saved with different versions
"""

from __future__ import annotations

from typing import ClassVar, Self

__all__ = [
    "ChangedImageError",
    "DarkImageWarning",
    "DatasetError",
    "DroppedImageWarning",
    "EmptyBagWarning",
    "EmptyImageError",
    "FailedImageWarning",
    "FeatrecError",
    "FeatrecWarning",
    "ImageError",
    "InputError",
    "MetricError",
    "MissingExtraError",
    "MissingImageError",
    "ModelFileError",
    "NetworkWarning",
    "NotAnImageError",
    "SkippedFileWarning",
    "TooManyPixelsError",
    "TruncatedImageError",
    "UnknownLabelWarning",
    "UnreadableImageError",
    "UnsupportedImageError",
    "VersionWarning",
]


class FeatrecError(Exception):
    """Base class of all errors that featrec raises deliberately."""


class InputError(FeatrecError, ValueError):
    """An argument of a public function or method is invalid."""


class ImageError(InputError):
    """One image of a batch cannot be used.

    Attributes
    ----------
    position : int or None
        Position of the image in the batch.
    item : str or None
        Path of the image, if it is known.
    reason : str
        The rule, the value found and the solution.
    counted : str
        Explanation of what `position` counts; shown for images without a path.
    """

    way_on: ClassVar[bool] = False  # whether to suggest continuing without the image

    def __init__(self, reason: str, *, position: int | None = None, item: str | None = None, counted: str = ""):
        super().__init__(reason)
        self.reason = reason
        self.position = position
        self.item = item
        self.counted = counted

    def __str__(self) -> str:
        hints = self._hints()
        return f"{'. '.join([self.brief().rstrip('.'), *hints])}." if hints else self.brief()

    def brief(self) -> str:
        """Return the position and the reason, without hints on how to continue."""
        place = "" if self.position is None else f"image {self.position}"
        if self.item is not None:
            place = f"{place} ({self.item!r})" if place else repr(self.item)
        return f"{place}: {self.reason}" if place else self.reason

    def _hints(self) -> list[str]:
        if self.position is None:
            return []
        hints = [] if self.item is not None or not self.counted else [self.counted]
        if self.way_on:
            drop = 'ImageFolder(path, on_error="drop"), or ' if self.item is not None else ""
            hints.append(f'To continue without it, use {drop}on_error="empty" of an extractor or recipe')
        return hints

    def __reduce__(self) -> tuple:
        return _rebuild, (type(self), self.reason, self.position, self.item, self.counted)

    def at(self, position: int | None, item: str | None, counted: str = "") -> Self:
        """Return a copy of the error that names the position in the batch."""
        item = self.item if item is None else item
        return type(self)(self.reason, position=position, item=item, counted=counted)


def _rebuild(kind: type[ImageError], reason: str, position: int | None, item: str | None, counted: str) -> ImageError:
    return kind(reason, position=position, item=item, counted=counted)


class MissingImageError(ImageError, FileNotFoundError):
    """No file exists at the path."""

    way_on = True


class ChangedImageError(ImageError):
    """The file changed after its folder or archive was listed."""


class UnreadableImageError(ImageError, OSError):
    """The file exists but cannot be opened."""

    way_on = True


class EmptyImageError(ImageError):
    """The file has zero bytes, or the array has no rows or columns."""

    way_on = True


class TruncatedImageError(ImageError):
    """The file ends too early or is damaged."""

    way_on = True


class NotAnImageError(ImageError):
    """The content is not an image in a supported format."""

    way_on = True


class TooManyPixelsError(ImageError):
    """The header declares more pixels than the limit."""

    way_on = True


class UnsupportedImageError(ImageError):
    """The image has an unsupported type, shape or range of values."""

    way_on = True


class MetricError(InputError):
    """Packed bits were given instead of numbers, or vice versa."""


class DatasetError(FeatrecError, LookupError):
    """A dataset is unknown or damaged, or its files are missing."""


class ModelFileError(FeatrecError, ValueError):
    """A model file is damaged or contains untrusted content."""


class MissingExtraError(FeatrecError, ImportError):
    """An optional package is missing; the message names the extra to install."""


class FeatrecWarning(UserWarning):
    """Base class of all featrec warnings."""


class DarkImageWarning(FeatrecWarning):
    """A 16-bit image is nearly black; its white value may be lower than 65535."""


class SkippedFileWarning(FeatrecWarning):
    """A folder or archive contains files that are not read as images, such as files in unsupported formats."""


class DroppedImageWarning(FeatrecWarning):
    """Damaged files were left out of a folder, with their labels (``on_error="drop"``)."""


class EmptyBagWarning(FeatrecWarning):
    """Some images have no descriptors, so their codes are zero."""


class FailedImageWarning(EmptyBagWarning):
    """Some images could not be used, so their codes are zero (``on_error="empty"``)."""


class UnknownLabelWarning(FeatrecWarning):
    """A predicted label does not occur among the images, or the training set lacks a label of the test set."""


class NetworkWarning(FeatrecWarning):
    """A network may return unexpected values, because its preprocessing is unsuitable or because another program runs it."""


class VersionWarning(FeatrecWarning):
    """A model file was saved with versions of packages that differ from the installed versions."""
