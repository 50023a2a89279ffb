"""The errors and warnings of featrec.

Every error is also the built-in that a user would catch, and names the item, the rule, what was given and the way out::

    FeatrecError
    ├── InputError (ValueError)                 what was given is no batch of pictures, no bags, no labels
    │   ├── ImageError                          one picture of the batch
    │   │   ├── MissingImageError (FileNotFoundError)
    │   │   ├── ChangedImageError               not the file that was listed
    │   │   ├── UnreadableImageError (OSError)  permissions, a folder, a broken device
    │   │   ├── EmptyImageError                 zero bytes, zero rows or columns
    │   │   ├── TruncatedImageError             the file ends too early
    │   │   ├── NotAnImageError                 the bytes are something else
    │   │   ├── TooManyPixelsError              over the limit, found before decoding
    │   │   └── UnsupportedImageError           a kind of picture that featrec does not take
    │   └── MetricError                         packed bits where numbers are expected, or the reverse
    ├── DatasetError (LookupError)              no such set, or its files are not there
    ├── ModelFileError (ValueError)             a model file that is damaged or not to be trusted
    └── MissingExtraError (ImportError)         an optional package is not installed

    FeatrecWarning (UserWarning)
    ├── DarkImageWarning                        a 16-bit picture is nearly black; white may be another value
    ├── SkippedFileWarning                      a folder holds files that are not taken as images
    ├── DroppedImageWarning                     damaged files were left out of a folder (on_error="drop")
    ├── EmptyBagWarning                         images without descriptors became zero rows
    │   └── FailedImageWarning                  some of them because they could not be read (on_error="empty")
    ├── UnknownLabelWarning                     labels that no image has, so that they count as errors
    └── VersionWarning                          a model was saved with other versions
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
    """The root of all errors that featrec raises on purpose."""


class InputError(FeatrecError, ValueError):
    """What was given to a public function or method breaks a rule."""


class ImageError(InputError):
    """One image of a batch cannot be used.

    Attributes
    ----------
    position : int or None
        Where the image stands in the batch.
    item : str or None
        Its path, where it has one.
    reason : str
        The rule it breaks, what was found and the way out.
    counted : str
        What `position` counts, where that may be another sequence than the user's; told for images without a path.
    """

    way_on: ClassVar[bool] = False  # whether this is a matter of the file, so that a batch can do without it

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
        """The place and the reason, without the ways to go on."""
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
            hints.append(f'To go on without it: {drop}on_error="empty" of an extractor or recipe')
        return hints

    def __reduce__(self) -> tuple:
        return _rebuild, (type(self), self.reason, self.position, self.item, self.counted)

    def at(self, position: int | None, item: str | None, counted: str = "") -> Self:
        """The same error, naming the place in the batch."""
        item = self.item if item is None else item
        return type(self)(self.reason, position=position, item=item, counted=counted)


def _rebuild(kind: type[ImageError], reason: str, position: int | None, item: str | None, counted: str) -> ImageError:
    return kind(reason, position=position, item=item, counted=counted)


class MissingImageError(ImageError, FileNotFoundError):
    """There is no file at the path."""

    way_on = True


class ChangedImageError(ImageError):
    """The file is another than when its folder or archive was listed."""


class UnreadableImageError(ImageError, OSError):
    """The file is there and cannot be opened."""

    way_on = True


class EmptyImageError(ImageError):
    """Zero bytes, or an array without rows or columns."""

    way_on = True


class TruncatedImageError(ImageError):
    """The file ends before its picture does."""

    way_on = True


class NotAnImageError(ImageError):
    """The bytes are not a picture in any format that is known."""

    way_on = True


class TooManyPixelsError(ImageError):
    """The header announces more pixels than the limit."""

    way_on = True


class UnsupportedImageError(ImageError):
    """A picture whose type, shape or range of values is not taken."""

    way_on = True


class MetricError(InputError):
    """Packed bits were given where numbers are expected, or the reverse."""


class DatasetError(FeatrecError, LookupError):
    """A data set is unknown, or its files are not where they should be."""


class ModelFileError(FeatrecError, ValueError):
    """A model file is damaged, or holds something that is not to be trusted."""


class MissingExtraError(FeatrecError, ImportError):
    """An optional package is missing; the message names the extra that brings it."""


class FeatrecWarning(UserWarning):
    """The root of featrec's warnings."""


class DarkImageWarning(FeatrecWarning):
    """A 16-bit picture is nearly black; perhaps its white is not 65535."""


class SkippedFileWarning(FeatrecWarning):
    """A folder or archive holds files that are not taken as images, such as those of other formats."""


class DroppedImageWarning(FeatrecWarning):
    """Damaged files were left out of a folder, with their labels; ``on_error="drop"`` asked for it."""


class EmptyBagWarning(FeatrecWarning):
    """Some images gave no descriptors, so their codes are zero."""


class FailedImageWarning(EmptyBagWarning):
    """Some pictures could not be used, so their codes are zero; ``on_error="empty"`` asked to go on."""


class UnknownLabelWarning(FeatrecWarning):
    """Predictions hold a label that no image has, or a test set one that no training image has; both count as errors."""


class VersionWarning(FeatrecWarning):
    """A model file was written by other versions than those installed."""
