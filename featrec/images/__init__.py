"""Reading images: safe decoding, input checks, and the base classes of all estimators that take images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.images._base import GlobalExtractor, ImageTransformer, LocalExtractor, Preprocessor
    from featrec.images._cache import DescriptorCache
    from featrec.images._convert import as_float, as_gray, as_rgb, as_uint8
    from featrec.images._input import check_images
    from featrec.images._read import read_image

__all__ = [
    "DescriptorCache",
    "GlobalExtractor",
    "ImageTransformer",
    "LocalExtractor",
    "Preprocessor",
    "as_float",
    "as_gray",
    "as_rgb",
    "as_uint8",
    "check_images",
    "read_image",
]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._base": ["GlobalExtractor", "ImageTransformer", "LocalExtractor", "Preprocessor"],
        "._cache": ["DescriptorCache"],
        "._convert": ["as_float", "as_gray", "as_rgb", "as_uint8"],
        "._input": ["check_images"],
        "._read": ["read_image"],
    },
)
