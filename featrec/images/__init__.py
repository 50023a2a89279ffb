"""Read images safely and check input; base classes of all estimators that take images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.images._base import (
        ImageTransformer,
        LocalExtractor,
        Preprocessor,
        chained as chained,
        same_place as same_place,
        scaling as scaling,
    )
    from featrec.images._cache import DescriptorCache
    from featrec.images._convert import (
        as_float,
        as_gray,
        as_rgb,
        as_uint8,
        brightness as brightness,
        has_colour as has_colour,
        nearest as nearest,
        similarities as similarities,
        thumbnails as thumbnails,
    )
    from featrec.images._decode import is_image_name as is_image_name, suffixes as suffixes
    from featrec.images._global_extractor import (
        Contributions,
        GlobalExtractor,
        frames_of as frames_of,
        rectangles as rectangles,
        squares as squares,
    )
    from featrec.images._input import check_images, stacked as stacked
    from featrec.images._read import read_image

__all__ = [
    "Contributions",
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

# Names that are not in __all__ are private to featrec and may change in any version.
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._base": ["ImageTransformer", "LocalExtractor", "Preprocessor", "chained", "same_place", "scaling"],
        "._cache": ["DescriptorCache"],
        "._global_extractor": ["Contributions", "GlobalExtractor", "frames_of", "rectangles", "squares"],
        "._convert": [
            "as_float",
            "as_gray",
            "as_rgb",
            "as_uint8",
            "brightness",
            "has_colour",
            "nearest",
            "similarities",
            "thumbnails",
        ],
        "._decode": ["is_image_name", "suffixes"],
        "._input": ["check_images", "stacked"],
        "._read": ["read_image"],
    },
)
