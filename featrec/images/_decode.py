"""Decode image files: supported formats, checks of limits before decoding, JPEG decoding with cv2, and Pillow's modes.

docs/notes/decoding.md explains which JPEG files cv2 decodes to the same pixels as Pillow.
"""

from __future__ import annotations

import functools
import io
import re
import struct
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, features

from featrec.exceptions import EmptyImageError, TooManyPixelsError, TruncatedImageError, UnsupportedImageError
from featrec.images._convert import check_float, on_white

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "check_gif",
    "check_pixels",
    "check_scans",
    "decode_plain_jpeg",
    "is_image_name",
    "suffixes",
    "values_of_pillow",
]

MAX_PIXELS = 100_000_000
WAY_OUT = "raise the limit with read_image(path, max_pixels=...), or use a smaller copy"

# Maximum ratio of unpacked to packed size. Deflate reaches at most 1,032, and only for images of one colour.
MAX_EXPANSION = 1000

# Bytes per pixel that Pillow needs in memory in each mode; all other modes need four.
PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}

# Run-length compression methods in BMP files; Pillow decodes them slowly, in Python.
RUN_LENGTHS = (1, 2)

# TIFF tags.
TILE_WIDTH, TILE_LENGTH = 322, 323

# Formats whose decoders start no programs and open no other files. Decoding EPS, for example, starts another program.
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000", "QOI", "SGI")

# Pillow's name for a JPEG file that contains several images.
OPENED_AS_JPEG = "MPO"

# Libraries that an installed Pillow may lack even if it lists the format.
LIBRARIES = {"JPEG": "jpg", "PNG": "zlib", "WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}

# Available since OpenCV 4.11. With earlier versions of OpenCV, the image is copied to swap its channels.
COLOR_RGB: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)

MAX_SCANS = 100

# Segments of a plain JPEG. Progressive, arithmetic, lossless and 12-bit frames are excluded, and so are files in which the
# height follows the image data.
FRAMES = (0xC0, 0xC1)
SCAN, END = 0xDA, 0xD9
SEGMENTS = {*FRAMES, SCAN, 0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}

# Matches the end of the coded data: the next marker that is not a restart marker.
NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

# Bytes that encode the supported chroma subsamplings: 4:4:4, 4:2:2, 4:2:0, 4:1:1 and 4:4:0.
SAMPLINGS = {0x11, 0x21, 0x22, 0x41, 0x12}

# Images with more pixels are converted in parts, because Pillow's export needs three times the memory of the image.
PART = 1 << 20


def check_pixels(image: Image.Image, max_pixels: int, n_bytes: int | None = None) -> None:
    """Refuse an image that has no pixels, more than `max_pixels` pixels, or too many pixels for the size of its file.

    If a file of `n_bytes` unpacks to more than 1,000 times its size, the limit is a tenth of `max_pixels`.
    """
    _check_size(image.size, max_pixels)
    if n_bytes is None:
        return
    width, height = image.size
    if image.info.get("compression") in RUN_LENGTHS and image.format == "BMP" and width * height > max_pixels // 50:
        raise TooManyPixelsError(
            f"{_found(image.size)}, more than the limit of {max_pixels // 50:,} for run-length encoded BMP files, which are "
            f"slow to decode; save it as PNG, or {WAY_OUT}"
        )
    _check_expansion(image.size, PIXEL_BYTES.get(image.mode, 4), max_pixels, n_bytes)
    _check_tiles(image, max(max_pixels // 10, width * height))


def check_gif(data: bytes, max_pixels: int) -> None:
    """Check the size of the first frame of a GIF before opening it, because Pillow allocates the frame on opening."""
    if len(data) < 13:
        return
    frame = _first_frame(data)
    if frame is not None:
        left, top, width, height = struct.unpack_from("<4H", data, frame + 1)
        screen = struct.unpack_from("<2H", data, 6)
        size = max(screen[0], left + width), max(screen[1], top + height)
        if min(size) > 0:
            _check_size(size, max_pixels)
            _check_expansion(size, 4, max_pixels, len(data))


def _first_frame(data: bytes) -> int | None:
    """Return the position of the first frame's descriptor; colours, extensions and other bytes are skipped."""
    position = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 128 else 0)
    while position + 9 < len(data) and data[position] != ord(";"):
        if data[position] == ord(","):
            return position
        if data[position] == ord("!"):
            position += 2
            while position < len(data) and data[position]:
                position += 1 + data[position]
        position += 1
    return None


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise EmptyImageError(f"the image has {height} rows and {width} columns; both must be at least 1")
    if width * height > max_pixels:
        raise TooManyPixelsError(f"{_found(size)}, more than the limit of {max_pixels:,}; {WAY_OUT}")


def _check_expansion(size: tuple[int, int], pixel_bytes: int, max_pixels: int, n_bytes: int) -> None:
    few = max_pixels // 10
    if size[0] * size[1] > few and size[0] * size[1] * pixel_bytes > MAX_EXPANSION * n_bytes:
        raise TooManyPixelsError(
            f"{_found(size)} in {n_bytes:,} bytes; the limit is {few:,} pixels for files that unpack to more than "
            f"{MAX_EXPANSION:,} times their size. The file may be blank, damaged or a decompression bomb; {WAY_OUT}"
        )


def _found(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]} = {size[0] * size[1]:,} pixels"


def _check_tiles(image: Image.Image, most: int) -> None:
    """Refuse a TIFF with huge tiles, because the library allocates a whole tile at once."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    width, height = tags.get(TILE_WIDTH, 1), tags.get(TILE_LENGTH, 1)
    if isinstance(width, int) and isinstance(height, int) and width * height > most:
        raise TruncatedImageError(
            f"damaged: its tiles have {width}×{height} pixels, but the image has {image.width}×{image.height}"
        )


def decode_plain_jpeg(data: bytes, mode: str) -> np.ndarray | None:
    """Decode a JPEG with cv2, without rotation. Return None if Pillow might decode it to different pixels.

    cv2 fills in missing parts of a truncated file without an error, so only complete files are accepted.
    """
    if mode not in ("L", "RGB") or not _is_plain(data) or not _libraries_agree():
        return None
    return _by_cv2(data, mode)


def check_scans(data: bytes) -> None:
    """Refuse a progressive JPEG with very many scans, because the decoder processes the whole image for each scan."""
    if data.count(bytes([0xFF, SCAN])) <= MAX_SCANS:
        return
    position, scans = 2, 0
    while (found := NEXT_MARKER.search(data, position)) is not None and found[0][1] != END:
        scans += found[0][1] == SCAN
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    if scans > MAX_SCANS:
        raise UnsupportedImageError(
            f"a progressive JPEG of {scans} scans, more than the limit of {MAX_SCANS}. Each scan takes as long to decode as an "
            "image, and encoders write about ten scans. If you trust the origin of the file, save it again"
        )


def _by_cv2(data: bytes, mode: str) -> np.ndarray | None:
    kind = cv2.IMREAD_GRAYSCALE if mode == "L" else cv2.IMREAD_COLOR if COLOR_RGB is None else COLOR_RGB
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), kind | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    if image is None or kind != cv2.IMREAD_COLOR:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _is_plain(data: bytes) -> bool:
    """Return whether a JPEG consists of one Huffman-coded scan of all components, followed by the end marker."""
    position, components = 2, 0
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] in SEGMENTS:
        marker = data[position + 1]
        content = data[position + 4 : position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")]
        if marker in FRAMES:
            if components or not _is_plain_frame(content):
                return False
            components = content[5]
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == SCAN:
            found = NEXT_MARKER.search(data, position)
            return bool(components) and content[:1] == bytes([components]) and found is not None and found[0][1] == END
    return False


def _is_plain_frame(content: bytes) -> bool:
    """Return whether a frame has 8 bits per sample, and is gray or has a common chroma subsampling."""
    if len(content) < 9 or content[0] != 8 or len(content) != 6 + 3 * content[5]:
        return False
    samplings = list(content[7::3])
    return len(samplings) == 1 or (samplings[0] in SAMPLINGS and samplings[1:] == [0x11, 0x11])


@functools.cache
def _libraries_agree() -> bool:
    """Return whether the JPEG libraries of cv2 and Pillow decode a small test image to the same pixels.

    The wheels of both contain libjpeg-turbo, but other builds may use another library.
    """
    values = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    image = Image.fromarray(cv2.GaussianBlur(values, (0, 0), 1.5))
    for subsampling in (0, 1, 2):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=85, subsampling=subsampling)
        with Image.open(io.BytesIO(file.getvalue())) as again:
            found = _by_cv2(file.getvalue(), "RGB")
            if found is None or not np.array_equal(np.asarray(again), found):
                return False
    return True


def values_of_pillow(image: Image.Image) -> np.ndarray:
    """Convert a loaded image to gray or RGB, and blend transparent parts with white. The image is not rotated."""
    mode = image.mode
    if mode.startswith("I;16"):
        return _sixteen_bit_gray(image)
    if mode == "I":
        return _thirty_two_bit(np.asarray(image), image.format)
    if mode == "F":
        return np.array(check_float(np.asarray(image)))
    if mode in ("1", "L", "LA", "La"):
        return _eight_bit(image, "LA" if image.has_transparency_data else "L")
    if mode in ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"):
        return _eight_bit(image, "RGBA" if image.has_transparency_data else "RGB")
    raise UnsupportedImageError(
        f"Pillow's mode {mode!r} is not supported; convert it with image.convert('RGB') or another program"
    )


def _eight_bit(pillow_image: Image.Image, mode: str) -> np.ndarray:
    width, height = pillow_image.size
    if width * height <= PART:
        return _part(pillow_image, mode)
    rows = max(1, PART // width)
    image = np.empty((height, width) if mode in ("L", "LA") else (height, width, 3), np.uint8)
    for first in range(0, height, rows):
        part = pillow_image.crop((0, first, width, min(first + rows, height)))
        image[first : first + rows] = _part(part, mode)
    return image


def _part(pillow_image: Image.Image, mode: str) -> np.ndarray:
    image = np.array(pillow_image if pillow_image.mode == mode else pillow_image.convert(mode))
    return on_white(image) if mode.endswith("A") else image


def _sixteen_bit_gray(pillow_image: Image.Image) -> np.ndarray:
    image = np.asarray(pillow_image).astype(np.uint16)
    transparent = pillow_image.info.get("transparency")
    if isinstance(transparent, int):
        image[image == transparent] = 65535
    return image


def _thirty_two_bit(values: np.ndarray, file_format: str | None) -> np.ndarray:
    if values.min() < 0 or values.max() > 65535:
        raise UnsupportedImageError(
            f"32-bit {file_format or 'image'} with values from {values.min()} to {values.max()}; "
            "only values from 0 to 65535, or floats in [0, 1], are supported. Rescale it first."
        )
    return values.astype(np.uint16)


@lru_cache(maxsize=1)
def suffixes() -> tuple[str, ...]:
    """Return the sorted lower-case suffixes of the supported formats that the installed Pillow can decode."""
    Image.init()
    readable = {name for name in FORMATS if name in Image.OPEN and _has_library(name)}
    if "JPEG" in readable:
        readable.add(OPENED_AS_JPEG)
    return tuple(sorted(suffix for suffix, name in Image.registered_extensions().items() if name in readable))


def is_image_name(name: str) -> bool:
    """Return whether a file name has the suffix of an image, in lower or upper case."""
    return name.lower().endswith(suffixes())


def _has_library(name: str) -> bool:
    return name not in LIBRARIES or bool(features.check(LIBRARIES[name]))
