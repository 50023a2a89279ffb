"""Write an image to a file that contains pixels and nothing else: no EXIF data, no profile, no thumbnail."""

from __future__ import annotations

import io
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["encoded", "name_of_copy", "write_atomically"]

# Pillow's format and options for each suffix. JPEG files keep the full resolution of colours.
WRITTEN: dict[str, tuple[str, dict[str, Any]]] = {
    **dict.fromkeys((".jpg", ".jpeg"), ("JPEG", {"quality": 95, "subsampling": 0})),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF", {"compression": "tiff_lzw"})),
    **dict.fromkeys((".ppm", ".pgm"), ("PPM", {})),
    ".png": ("PNG", {}),
    ".bmp": ("BMP", {}),
    ".webp": ("WEBP", {"quality": 95}),
}
SIXTEEN_BITS = (".png", ".tif", ".tiff")


def name_of_copy(name: str) -> str:
    """Return the file name of a copy: the same, with .png appended if the format is not written."""
    return name if Path(name).suffix.lower() in WRITTEN else f"{name}.png"


def encoded(image: np.ndarray, suffix: str) -> bytes:
    """Encode an image in the format of a suffix."""
    suffix = suffix.lower()
    if image.dtype == np.uint16 and image.ndim == 3 and suffix in SIXTEEN_BITS:
        import cv2  # Pillow writes only 8 bits per colour

        return bytes(cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]))[1])
    from PIL import Image

    from featrec.images import as_uint8

    kept = image.dtype == np.uint16 or (image.dtype == np.float32 and image.ndim == 2 and suffix in SIXTEEN_BITS[1:])
    name, options = WRITTEN[suffix]
    file = io.BytesIO()
    Image.fromarray(image if kept else as_uint8(image)).save(file, name, **options)
    return file.getvalue()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is either complete or absent."""
    unfinished = path.with_name(f".{path.name[:80]}.{uuid.uuid4().hex}.part")
    try:
        unfinished.write_bytes(data)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
