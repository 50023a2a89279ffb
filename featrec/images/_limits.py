"""Limits on the decoded size of an image, checked by its header before decoding."""

from __future__ import annotations

import struct

from PIL import Image

from featrec.exceptions import EmptyImageError, TooManyPixelsError, TruncatedImageError

__all__ = ["MAX_PIXELS", "check_gif", "check_pixels"]

MAX_PIXELS = 100_000_000
WAY_OUT = "raise the limit with read_image(path, max_pixels=...), or use a smaller copy"

# The maximum of Deflate is 1,032, reached only on a constant image.
MAX_EXPANSION = 1000

# Bytes per pixel in Pillow's memory; four in modes not listed.
PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}

# BMP compressions that Pillow decodes in Python, pixel by pixel on short lines.
RUN_LENGTHS = (1, 2)

# TIFF tags.
TILE_WIDTH, TILE_LENGTH = 322, 323


def check_pixels(image: Image.Image, max_pixels: int, n_bytes: int | None = None) -> None:
    """Refuse an image without pixels, with more than `max_pixels`, or with far more than its `n_bytes` can hold.

    A file that unpacks to more than 1,000 times its size is blank, damaged or a bomb; its limit is a tenth of `max_pixels`.
    """
    _check_size(image.size, max_pixels)
    if n_bytes is None:
        return
    width, height = image.size
    if image.info.get("compression") in RUN_LENGTHS and image.format == "BMP" and width * height > max_pixels // 50:
        raise TooManyPixelsError(
            f"{_found(image.size)}, more than the limit of {max_pixels // 50:,} for a run-length encoded BMP, which takes "
            f"long to decode; save it as PNG, or {WAY_OUT}"
        )
    _check_expansion(image.size, PIXEL_BYTES.get(image.mode, 4), max_pixels, n_bytes)
    _check_tiles(image, max(max_pixels // 10, width * height))


def check_gif(data: bytes, max_pixels: int) -> None:
    """Check the first frame of a GIF. It may be larger than the screen, and Pillow allocates it while reading the header."""
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
    """Position of the first frame's descriptor, after the colours and extensions; other bytes are skipped."""
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
        raise EmptyImageError(f"{height} rows and {width} columns; an image needs at least one of each")
    if width * height > max_pixels:
        raise TooManyPixelsError(f"{_found(size)}, more than the limit of {max_pixels:,}; {WAY_OUT}")


def _check_expansion(size: tuple[int, int], pixel_bytes: int, max_pixels: int, n_bytes: int) -> None:
    few = max_pixels // 10
    if size[0] * size[1] > few and size[0] * size[1] * pixel_bytes > MAX_EXPANSION * n_bytes:
        raise TooManyPixelsError(
            f"{_found(size)} in {n_bytes:,} bytes, and more than the limit of {few:,} for a file that unpacks to over "
            f"{MAX_EXPANSION:,} times its size: it is blank, damaged or a bomb; {WAY_OUT}"
        )


def _found(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]} = {size[0] * size[1]:,} pixels"


def _check_tiles(image: Image.Image, most: int) -> None:
    """Refuse a TIFF with tiles of absurd size, because the library allocates a whole tile at once."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    width, height = tags.get(TILE_WIDTH, 1), tags.get(TILE_LENGTH, 1)
    if isinstance(width, int) and isinstance(height, int) and width * height > most:
        raise TruncatedImageError(f"damaged: its tiles have {width}×{height} pixels, the image {image.width}×{image.height}")
