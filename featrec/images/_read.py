"""Read one image from a path, encoded bytes, an array or a PIL image."""

from __future__ import annotations

import io
import os
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from featrec.exceptions import (
    EmptyImageError,
    ImageError,
    MissingImageError,
    NotAnImageError,
    TooManyPixelsError,
    TruncatedImageError,
    UnreadableImageError,
    UnsupportedImageError,
)
from featrec.images._convert import image_from_array, on_white
from featrec.images._decode import (
    FORMATS,
    MAX_PIXELS,
    check_gif,
    check_pixels,
    check_scans,
    decode_plain_jpeg,
    values_of_pillow,
)

__all__ = ["pillow_silenced", "read_image"]

# First bytes of supported formats. If a file with these bytes cannot be opened, it is damaged.
BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*", b"\x00\x00\x00\x0cjP")

# Pillow's messages about files that are complete but have an unsupported type.
NOT_TAKEN = re.compile("unknown pixel mode|unsupported BMP", re.IGNORECASE)

# Positions of the bit depth and the colour type in a PNG header, and values of the colour type.
PNG_DEPTH, PNG_KIND = 24, 25
PNG_COLOUR, PNG_GRAY_WITH_ALPHA, PNG_COLOUR_WITH_ALPHA = 2, 4, 6

# TIFF and EXIF tags.
BITS_PER_SAMPLE = 258
ORIENTATION = 274

# Two threads must not load the same lazily opened PIL image at the same time. Files do not need this lock.
_LOADING = threading.Lock()


def read_image(source: Any, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read one image as an array of gray or RGB values.

    Parameters
    ----------
    source : path, bytes, array or PIL image
        The first frame of a file, or the current frame of a PIL image, is read and rotated by its EXIF orientation. Arrays
        must have shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4). White is 255 for uint8, 65535 for uint16, and 1 for bool and
        floats; floats must be in [0, 1].
    max_pixels : int, default=100_000_000
        Maximum number of pixels in a file or PIL image, checked before decoding. The limit is a tenth of `max_pixels` for files
        that unpack to more than 1,000 times their size, and 1/50 of it for run-length encoded BMP files.

    Returns
    -------
    image : contiguous array of shape (h, w) or (h, w, 3)
        Colour images are RGB. The type is uint8, uint16 for 16-bit images, or float32 or float64 for float images. Transparent
        parts are blended with white. An array that needs no conversion is returned without a copy.

    Raises
    ------
    ImageError
        If the image cannot be used. The subclass names the reason (see :mod:`featrec.exceptions`), and the message suggests a
        solution.

    Notes
    -----
    Supported formats are JPEG, PNG, BMP, GIF, PPM, TIFF, WebP, AVIF, JPEG 2000, QOI and SGI. To use other formats, open the
    images with Pillow and pass PIL images. Colour images with 16 bits per channel keep 16 bits if they are read from PNG or
    TIFF files; as PIL images, they have only 8 bits. 32-bit integers are converted to 16 bits; values above 65535 raise an
    error.

    Plain JPEG files are decoded with cv2, to the same pixels as with Pillow; all other files are decoded with Pillow. If a
    damaged file can still be decoded, the damage is not detected; an example is a wrong byte in the middle of a JPEG.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.images import read_image
    >>> read_image(np.ones((4, 6, 3), bool)).dtype
    dtype('uint8')
    """
    if isinstance(source, Image.Image):
        check_pixels(source, max_pixels)
        with pillow_silenced():
            with _LOADING:
                source.load()
            return _of_pillow(source)
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        return _of_bytes(_file_bytes(path), max_pixels, path)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _of_bytes(bytes(source), max_pixels, None)
    if hasattr(source, "__array__"):
        return image_from_array(source if isinstance(source, np.ndarray) else np.asarray(source))
    raise UnsupportedImageError(
        f"an image must be an array, a path, encoded bytes or a PIL image; got a {type(source).__name__}. {_way_out(source)}"
    )


def _way_out(source: Any) -> str:
    if source is None or source != source:
        return "This is a missing value; remove it together with its label."
    if isinstance(source, tuple):
        return "For pairs (image, label), use [image for image, label in pairs]."
    return "Convert other containers of pixels with np.asarray."


def _file_bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        rule = "URLs are not supported; download the file first" if "://" in path else "no such file"
        raise MissingImageError(f"{rule}; check the path and the working directory", item=path) from None
    except IsADirectoryError:
        raise UnreadableImageError("this is a folder, not an image; use featrec.datasets.ImageFolder", item=path) from None
    except (OSError, ValueError) as error:
        raise UnreadableImageError(f"cannot be opened ({error})", item=path) from error


def _of_bytes(data: bytes, max_pixels: int, item: str | None) -> np.ndarray:
    if not data:
        raise EmptyImageError("zero bytes; perhaps the file was not copied completely", item=item)
    try:
        if data.startswith(b"GIF8"):
            check_gif(data, max_pixels)
        with pillow_silenced(), _opened(data) as image:
            check_pixels(image, max_pixels, len(data))
            return _decoded(image, data)
    except ImageError as error:
        raise error.at(None, item) from error.__cause__
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"{error}; this limit is set by Pillow's Image.MAX_IMAGE_PIXELS", item=item) from error
    except Exception as error:
        if NOT_TAKEN.search(str(error)):
            raise _not_taken("BMP", error).at(None, item) from error
        raise TruncatedImageError(f"damaged or truncated ({error}); copy or save the file again", item=item) from error


def _opened(data: bytes) -> Image.Image:
    """Open an image without decoding it.

    ``Image.open`` is not used, because its global pixel limit would refuse images that `max_pixels` allows.
    """
    Image.preinit()
    for name in FORMATS:
        if name not in Image.OPEN:
            Image.init()
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or not _accepted(accept, data[:16]):
            continue
        try:
            return factory(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            if NOT_TAKEN.search(str(error)):
                raise _not_taken(name, error) from error
    if data.startswith(BEGINNINGS) or data[8:12] == b"WEBP":
        raise TruncatedImageError(f"damaged or truncated after {len(data)} bytes; copy or save the file again")
    raise NotAnImageError(
        f"unsupported image format; the file begins with {data[:12]!r}. Supported formats: {', '.join(FORMATS)}."
    )


def _accepted(accept: Any, beginning: bytes) -> bool:
    """Return whether the decoder of a format recognises the first bytes of a file."""
    try:
        return accept is None or accept(beginning) is True
    except (IndexError, struct.error):
        return False


def _not_taken(name: str, error: Exception) -> UnsupportedImageError:
    return UnsupportedImageError(f"this type of {name} is not supported ({error}); save it as PNG or as an 8-bit {name}")


def _decoded(image: Image.Image, data: bytes) -> np.ndarray:
    plain = decode_plain_jpeg(data, image.mode) if image.format == "JPEG" else None
    if plain is not None:
        return _turned(plain, _orientation(image))
    if image.format in ("JPEG", "MPO"):
        check_scans(data)
    return _with_sixteen_bits(_of_pillow(image), image, data)


def _of_pillow(image: Image.Image) -> np.ndarray:
    image.load()
    return _turned(values_of_pillow(image), _orientation(image))


def _with_sixteen_bits(image: np.ndarray, pillow_image: Image.Image, data: bytes) -> np.ndarray:
    """Decode 16-bit colours with cv2, because Pillow keeps only 8 bits. Pillow has already checked the file."""
    if not _has_sixteen_bit_colour(pillow_image, data):
        return image
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return image
    if values.shape[2] == 4:
        values = on_white(cv2.cvtColor(values, cv2.COLOR_BGRA2RGBA))
    else:
        values = cv2.cvtColor(values, cv2.COLOR_BGR2RGB)
    if pillow_image.format == "TIFF":
        return values  # already rotated by cv2
    values = np.ascontiguousarray(values[..., 0]) if data[PNG_KIND] == PNG_GRAY_WITH_ALPHA else values
    return _turned(values, _orientation(pillow_image))


def _has_sixteen_bit_colour(image: Image.Image, data: bytes) -> bool:
    if image.format == "PNG":
        return data[PNG_DEPTH] == 16 and data[PNG_KIND] in (PNG_COLOUR, PNG_GRAY_WITH_ALPHA, PNG_COLOUR_WITH_ALPHA)
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA"):
        return getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))[0] == 16
    return False


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, or 1 if its data are damaged. Load the image first: a PNG stores EXIF data at its end."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:
        return 1


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


class _Silence:
    """A context manager that ignores Pillow's warnings in the current thread.

    ``warnings.catch_warnings`` does not work here: it replaces the filters of the whole process, and overlapping threads
    restore the wrong filters. Instead, one filter is added when the first thread starts to read, and removed when the last
    thread has finished. The filter applies only to threads that are reading.
    """

    pattern = r"PIL\."  # scikit-learn's workers recreate the filter from this attribute

    def __init__(self) -> None:
        self.filter: Any = ("ignore", None, Warning, self, 0)  # this object takes the place of a pattern for module names
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.readers = 0
        self.thread = threading.local()

    def __reduce__(self) -> str:
        return "pillow_silenced"  # the name of the global object: scikit-learn pickles the filters for its workers

    def match(self, module: str) -> bool:
        return getattr(self.thread, "depth", 0) > 0 and module.startswith("PIL.")

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.thread.depth = getattr(self.thread, "depth", 0) + 1
        with self.lock:
            self.readers += 1
            filters: Any = warnings.filters
            if not filters or filters[0] is not self.filter:
                filters.insert(0, self.filter)
        try:
            yield
        finally:
            self.thread.depth -= 1
            with self.lock:
                self.readers -= 1
                while not self.readers and self.filter in warnings.filters:
                    warnings.filters.remove(self.filter)  # type: ignore[attr-defined]


pillow_silenced = _Silence()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pillow_silenced.reset)  # the thread that held the lock does not exist in the child
