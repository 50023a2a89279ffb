"""What a picture is: safe decoding, the one check of any input, and the base of all that takes images."""

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
