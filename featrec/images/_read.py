"""One picture from a path, encoded bytes, an array or a PIL image."""

from __future__ import annotations

import io
import os
import re
import struct
import threading
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
from featrec.images._convert import on_white, picture_of_array
from featrec.images._formats import FORMATS
from featrec.images._jpeg import check_scans, decode_plain_jpeg
from featrec.images._limits import MAX_PIXELS, check_gif, check_pixels
from featrec.images._pillow import values_of_pillow
from featrec.images._silence import pillow_silenced

__all__ = ["read_image"]

# How a file begins whose header is there, if not its end.
BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*", b"\x00\x00\x00\x0cjP")

# What Pillow says of a file that is whole and of a kind that it does not know.
NOT_TAKEN = re.compile("unknown pixel mode|unsupported BMP", re.IGNORECASE)

# Places in the header of a PNG, and what may stand there.
PNG_DEPTH, PNG_KIND = 24, 25
PNG_COLOUR, PNG_GRAY_WITH_ALPHA, PNG_COLOUR_WITH_ALPHA = 2, 4, 6

# Tags of TIFF and EXIF.
BITS_PER_SAMPLE = 258
ORIENTATION = 274

# Two threads that load one lazily opened PIL image at once get in each other's way; files are read without it.
_LOADING = threading.Lock()


def read_image(source: Any, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read one picture as an array of gray or RGB values.

    Parameters
    ----------
    source : path, bytes, array or PIL image
        Of a file the first frame is taken, turned as its EXIF orientation says; of a PIL image the frame it stands at. Arrays
        are (h, w), (h, w, 1), (h, w, 3) or (h, w, 4); uint8 means value/255, uint16 value/65535, bool 0 and 1, and floats
        lie in [0, 1].
    max_pixels : int, default=100_000_000
        Of a file or a PIL image. One that has more is refused by its header, before anything is decoded. A file that unpacks
        to more than 1,000 times its size may have a tenth of it, a BMP packed by run lengths a fiftieth.

    Returns
    -------
    image : contiguous array of shape (h, w) or (h, w, 3)
        RGB. uint8, or uint16 for 16-bit pictures, or the float type of a float picture. Transparency is laid on white. An
        array that has this form already is returned itself, not a copy.

    Raises
    ------
    ImageError
        One of its kinds (see :mod:`featrec.exceptions`), which says what was found and the way out.

    Notes
    -----
    Files may be JPEG, PNG, BMP, GIF, PPM, TIFF, WebP, AVIF, JPEG 2000, QOI and SGI; pictures of any other format can be
    opened with Pillow and given as PIL images. PNG and TIFF with 16-bit colours keep their 16 bits, unless they come as
    PIL images, which have 8 bits a channel. 32-bit integers are taken for 16-bit values, and refused where they are larger.
    Pillow decodes, and cv2 the plain JPEG files, whose pixels are the same. Damage that leaves a file decodable, such as a
    wrong byte in the middle of a JPEG, is not found.

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
        return picture_of_array(source if isinstance(source, np.ndarray) else np.asarray(source))
    raise UnsupportedImageError(
        f"a picture is an array, a path, encoded bytes or a PIL image; got a {type(source).__name__}. {_way_out(source)}"
    )


def _way_out(source: Any) -> str:
    if source is None or source != source:
        return "A missing value; drop it together with its label."
    if isinstance(source, tuple):
        return "If it is a pair (picture, label): [picture for picture, label in pairs]."
    return "np.asarray makes an array of what holds pixels."


def _file_bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        rule = "a web address is not fetched; download it first" if "://" in path else "there is no such file"
        raise MissingImageError(f"{rule}; check the path and the working directory", item=path) from None
    except IsADirectoryError:
        raise UnreadableImageError("a folder, not a picture; featrec.datasets.ImageFolder reads folders", item=path) from None
    except (OSError, ValueError) as error:
        raise UnreadableImageError(f"cannot be opened ({error})", item=path) from error


def _of_bytes(data: bytes, max_pixels: int, item: str | None) -> np.ndarray:
    if not data:
        raise EmptyImageError("zero bytes; the file was perhaps not copied to its end", item=item)
    try:
        if data.startswith(b"GIF8"):
            check_gif(data, max_pixels)
        with pillow_silenced(), _opened(data) as picture:
            check_pixels(picture, max_pixels, len(data))
            return _decoded(picture, data)
    except ImageError as error:
        raise error.at(None, item) from error.__cause__
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"{error}; Image.MAX_IMAGE_PIXELS of Pillow is the limit here", item=item) from error
    except Exception as error:
        if NOT_TAKEN.search(str(error)):
            raise _not_taken("BMP", error).at(None, item) from error
        raise TruncatedImageError(f"damaged or cut off ({error}); copy or save the file again", item=item) from error


def _opened(data: bytes) -> Image.Image:
    """The header read, nothing decoded.

    ``Image.open`` has a pixel limit of its own, global, which warns below ours and refuses what `max_pixels` allows.
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
        raise TruncatedImageError(f"damaged or cut off after {len(data)} bytes; copy or save the file again")
    raise NotAnImageError(f"no picture format that is taken; it begins with {data[:12]!r}. Taken are {', '.join(FORMATS)}.")


def _accepted(accept: Any, beginning: bytes) -> bool:
    """Whether a format's decoder takes a file for its own; what is shorter than its mark is not."""
    try:
        return accept is None or accept(beginning) is True
    except (IndexError, struct.error):
        return False


def _not_taken(name: str, error: Exception) -> UnsupportedImageError:
    return UnsupportedImageError(f"a kind of {name} that is not taken ({error}); save it as PNG or as an 8-bit {name}")


def _decoded(picture: Image.Image, data: bytes) -> np.ndarray:
    plain = decode_plain_jpeg(data, picture.mode) if picture.format == "JPEG" else None
    if plain is not None:
        return _turned(plain, _orientation(picture))
    if picture.format in ("JPEG", "MPO"):
        check_scans(data)
    return _with_sixteen_bits(_of_pillow(picture), picture, data)


def _of_pillow(picture: Image.Image) -> np.ndarray:
    picture.load()
    return _turned(values_of_pillow(picture), _orientation(picture))


def _with_sixteen_bits(image: np.ndarray, picture: Image.Image, data: bytes) -> np.ndarray:
    """Colours that Pillow cut to 8 bits, read again by cv2, which keeps 16; Pillow has seen to it that the file is whole."""
    if not _has_sixteen_bit_colour(picture, data):
        return image
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return image
    if values.shape[2] == 4:
        values = on_white(cv2.cvtColor(values, cv2.COLOR_BGRA2RGBA))
    else:
        values = cv2.cvtColor(values, cv2.COLOR_BGR2RGB)
    if picture.format == "TIFF":
        return values  # turned by cv2 already
    values = np.ascontiguousarray(values[..., 0]) if data[PNG_KIND] == PNG_GRAY_WITH_ALPHA else values
    return _turned(values, _orientation(picture))


def _has_sixteen_bit_colour(picture: Image.Image, data: bytes) -> bool:
    if picture.format == "PNG":
        return data[PNG_DEPTH] == 16 and data[PNG_KIND] in (PNG_COLOUR, PNG_GRAY_WITH_ALPHA, PNG_COLOUR_WITH_ALPHA)
    if picture.format == "TIFF" and picture.mode in ("RGB", "RGBA"):
        return getattr(picture, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))[0] == 16
    return False


def _orientation(picture: Image.Image) -> int:
    """What the EXIF data say, 1 where they are broken; read after loading, since PNG keeps them at its end."""
    try:
        return picture.getexif().get(ORIENTATION, 1)
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
