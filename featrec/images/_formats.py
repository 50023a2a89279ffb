"""The supported image formats, for the decoder and for code that looks for images by name."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, features

__all__ = ["FORMATS", "is_image_name", "suffixes"]

# Formats whose decoders only read bytes. Pillow supports more, such as EPS, which starts another program.
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000", "QOI", "SGI")

# Pillow's name for a JPEG file with further images after the first.
OPENED_AS_JPEG = "MPO"

# Libraries that a build of Pillow may lack, although it lists the format.
LIBRARIES = {"JPEG": "jpg", "PNG": "zlib", "WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}


@lru_cache(maxsize=1)
def suffixes() -> tuple[str, ...]:
    """The suffixes of the formats that the installed Pillow can decode, in lower case, sorted."""
    Image.init()
    readable = {name for name in FORMATS if name in Image.OPEN and _has_library(name)}
    if "JPEG" in readable:
        readable.add(OPENED_AS_JPEG)
    return tuple(sorted(suffix for suffix, name in Image.registered_extensions().items() if name in readable))


def is_image_name(name: str) -> bool:
    """Whether a file name has the suffix of an image; case is ignored."""
    return name.lower().endswith(suffixes())


def _has_library(name: str) -> bool:
    return name not in LIBRARIES or bool(features.check(LIBRARIES[name]))
