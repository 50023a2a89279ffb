"""JPEG: which files cv2 decodes to the same pixels as Pillow, and which take too long (see docs/notes/decoding.md)."""

from __future__ import annotations

import functools
import io
import re

import cv2
import numpy as np
from PIL import Image

from featrec.exceptions import UnsupportedImageError

__all__ = ["check_scans", "decode_plain_jpeg"]

# Since OpenCV 4.11. Earlier versions hold the image twice to swap its channels.
COLOR_RGB: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)

MAX_SCANS = 100

# Segments of a plain file. Progressive, arithmetic, lossless and 12-bit frames are excluded, as is a late number of lines.
FRAMES = (0xC0, 0xC1)
SCAN, END = 0xDA, 0xD9
SEGMENTS = {*FRAMES, SCAN, 0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}

# In the coded data, any marker except a restart ends the data.
NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

# Luma samples per chroma sample (4:4:4, 4:2:2, 4:2:0, 4:1:1, 4:4:0), as the byte in the file.
SAMPLINGS = {0x11, 0x21, 0x22, 0x41, 0x12}


def decode_plain_jpeg(data: bytes, mode: str) -> np.ndarray | None:
    """Decode a JPEG with cv2, without rotation; None if Pillow might give other pixels.

    cv2 silently fills in missing parts of a truncated file. Only files with complete segments up to the end are accepted.

    Parameters
    ----------
    data : bytes
    mode : str
        Pillow's mode of the image: L or RGB.
    """
    if mode not in ("L", "RGB") or not _is_plain(data) or not _libraries_agree():
        return None
    return _by_cv2(data, mode)


def check_scans(data: bytes) -> None:
    """Refuse a progressive file with very many scans; the decoder visits the whole image for each of them."""
    if data.count(bytes([0xFF, SCAN])) <= MAX_SCANS:
        return
    position, scans = 2, 0
    while (found := NEXT_MARKER.search(data, position)) is not None and found[0][1] != END:
        scans += found[0][1] == SCAN
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    if scans > MAX_SCANS:
        raise UnsupportedImageError(
            f"a progressive JPEG of {scans} scans, more than the limit of {MAX_SCANS}; encoders write about ten, and each "
            "takes as long as an image. If you trust its origin, save it again"
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
    """Whether this is one Huffman-coded scan with all components, followed by the end marker."""
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
    """Whether a frame header says 8 bits, and gray or luma and chroma in a usual sampling."""
    if len(content) < 9 or content[0] != 8 or len(content) != 6 + 3 * content[5]:
        return False
    samplings = list(content[7::3])
    return len(samplings) == 1 or (samplings[0] in SAMPLINGS and samplings[1:] == [0x11, 0x11])


@functools.cache
def _libraries_agree() -> bool:
    """Whether the JPEG libraries of cv2 and Pillow give the same pixels, tested once on a small image.

    Their wheels contain libjpeg-turbo; builds with another library may differ.
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
