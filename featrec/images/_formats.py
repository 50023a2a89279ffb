"""The formats of image files that are read: one list for the decoder and for whoever looks for images by name."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, features

__all__ = ["FORMATS", "is_image_name", "suffixes"]

# Formats whose decoders work on the bytes alone. Pillow knows more, among them EPS, which starts another program.
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000", "QOI", "SGI")

# What Pillow calls a JPEG file that holds further images behind the first one.
OPENED_AS_JPEG = "MPO"

# Libraries that a build of Pillow may lack; it lists the format all the same.
LIBRARIES = {"JPEG": "jpg", "PNG": "zlib", "WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}


@lru_cache(maxsize=1)
def suffixes() -> tuple[str, ...]:
    """How the names of files end that the installed Pillow can decode, in lower case, sorted."""
    Image.init()
    readable = {name for name in FORMATS if name in Image.OPEN and _has_library(name)}
    if "JPEG" in readable:
        readable.add(OPENED_AS_JPEG)
    return tuple(sorted(suffix for suffix, name in Image.registered_extensions().items() if name in readable))


def is_image_name(name: str) -> bool:
    """Whether a file of this name should hold an image; upper case and lower case are alike."""
    return name.lower().endswith(suffixes())


def _has_library(name: str) -> bool:
    return name not in LIBRARIES or bool(features.check(LIBRARIES[name]))
