"""One picture from a path, encoded bytes, an array or a PIL image."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

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

__all__ = ["read_image"]

MAX_PIXELS = 100_000_000


def read_image(source: Any, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read one picture as an array of gray or RGB values.

    Parameters
    ----------
    source : path, bytes, array or PIL image
        Of a file the first frame is taken, turned as its EXIF orientation says. Arrays are (h, w), (h, w, 1), (h, w, 3)
        or (h, w, 4); uint8 means value/255, uint16 value/65535, bool 0 and 1, and floats lie in [0, 1].
    max_pixels : int, default=100_000_000
        Refused by the header, before anything is decoded, when it has more.

    Returns
    -------
    image : array of shape (h, w) or (h, w, 3)
        RGB. uint8, or uint16 for 16-bit pictures, or the float type of a float picture. Transparency is laid on white.

    Raises
    ------
    ImageError
        One of its kinds (see :mod:`featrec.exceptions`), which says what was found and the way out.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.images import read_image
    >>> read_image(np.ones((4, 6, 3), bool)).dtype
    dtype('uint8')
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        return _from_pillow(source, max_pixels)
    if isinstance(source, (str, os.PathLike)):
        return _from_bytes(_file_bytes(Path(source)), max_pixels, os.fspath(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), max_pixels, None)
    raise UnsupportedImageError(f"a picture is an array, a path, encoded bytes or a PIL image; got a {type(source).__name__}")


def _file_bytes(path: Path) -> bytes:
    item = os.fspath(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingImageError("there is no such file; check the path and the working directory", item=item) from None
    except IsADirectoryError:
        raise UnreadableImageError("a folder, not a picture; featrec.datasets.ImageFolder reads folders", item=item) from None
    except (OSError, ValueError) as error:
        raise UnreadableImageError(f"cannot be opened ({error})", item=item) from error


def _from_bytes(data: bytes, max_pixels: int, item: str | None) -> np.ndarray:
    if not data:
        raise EmptyImageError("zero bytes; the file was perhaps not copied to its end", item=item)
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return _from_pillow(picture, max_pixels)
    except ImageError as error:
        raise error.at(None, item) from error.__cause__
    except UnidentifiedImageError as error:
        start = data[:8].hex(" ")
        raise NotAnImageError(f"no known picture format; its first bytes are {start}", item=item) from error
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"{error}; the limit is {max_pixels:,} pixels (max_pixels)", item=item) from error
    except Exception as error:
        raise TruncatedImageError(f"damaged or cut off ({error}); copy or save the file again", item=item) from error


def _from_pillow(picture: Image.Image, max_pixels: int) -> np.ndarray:
    width, height = picture.size
    _check_pixels(width, height, max_pixels)
    if picture.mode in ("I;16", "I;16B", "I;16L", "I;16N"):
        return _turned(np.asarray(picture).astype(np.uint16), picture)
    if picture.mode in ("I", "F"):
        return _turned(_wide(np.asarray(picture), picture.format), picture)
    picture = ImageOps.exif_transpose(picture)
    return _eight_bit(picture)


def _turned(image: np.ndarray, picture: Image.Image) -> np.ndarray:
    """EXIF orientation for the modes that Pillow cannot transpose safely."""
    orientation = picture.getexif().get(0x0112, 1)
    if orientation in (5, 6, 7, 8):
        image = image.T
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _wide(values: np.ndarray, file_format: str | None) -> np.ndarray:
    """32-bit integers that hold 16-bit values, and floats in [0, 1]."""
    if values.dtype.kind == "f":
        return _check_float(values)
    if values.min() < 0 or values.max() > 65535:
        raise UnsupportedImageError(
            f"32-bit {file_format or 'picture'} with values from {values.min()} to {values.max()}; "
            "16 bits (0 to 65535) or floats in [0, 1] are taken. Scale it first."
        )
    return values.astype(np.uint16)


def _eight_bit(picture: Image.Image) -> np.ndarray:
    if picture.mode in ("1", "L"):
        return np.array(picture.convert("L"))
    if picture.mode in ("LA", "La") and "transparency" not in picture.info:
        return _on_white(np.array(picture.convert("LA")))
    if picture.mode in ("RGBA", "RGBa", "PA") or "transparency" in picture.info:
        return _on_white(np.array(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


def _on_white(image: np.ndarray) -> np.ndarray:
    """Lay a picture whose last channel is alpha on white; the type is kept."""
    top = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
    alpha = image[..., -1:].astype(np.float64) / top
    mixed = image[..., :-1] * alpha + top * (1.0 - alpha)
    mixed = mixed if image.dtype.kind == "f" else np.rint(mixed)
    return mixed.astype(image.dtype).squeeze(axis=2) if image.shape[2] == 2 else mixed.astype(image.dtype)


def _from_array(image: np.ndarray, max_pixels: int) -> np.ndarray:
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise UnsupportedImageError(f"an array (h, w) or (h, w, 3) is expected; got shape {image.shape}")
    _check_pixels(image.shape[1], image.shape[0], max_pixels)
    if image.dtype == bool:
        image = image.astype(np.uint8) * np.uint8(255)
    elif image.dtype.kind == "f":
        image = _check_float(image)
    elif image.dtype not in (np.uint8, np.uint16):
        raise UnsupportedImageError(
            f"{image.dtype} has no agreed range; uint8 (0-255), uint16 (0-65535), bool and floats in [0, 1] are taken. "
            "image.astype(np.uint8) if its values are 0 to 255."
        )
    if image.ndim == 3 and image.shape[2] == 1:
        return image[..., 0]
    return _on_white(image) if image.ndim == 3 and image.shape[2] == 4 else image


def _check_float(image: np.ndarray) -> np.ndarray:
    low, high = image.min(), image.max()
    if not (low >= 0.0 and high <= 1.0):
        found = "NaN" if np.isnan(low) or np.isnan(high) else f"values from {low:g} to {high:g}"
        raise UnsupportedImageError(f"a float picture lies in [0, 1]; found {found}. image / 255 if its values are 0 to 255.")
    return image if image.dtype in (np.float32, np.float64) else image.astype(np.float32)


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise EmptyImageError(f"{height} rows and {width} columns; a picture has one of each at least")
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"{width}×{height} = {width * height:,} pixels, more than the limit of {max_pixels:,}; "
            "read_image(path, max_pixels=...) raises the limit, a smaller copy is the other way out"
        )
