"""Extractors from images to local features (Bags) or to one row of numbers per image (codes), and steps from Bags to Bags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.descriptors._akaze import AKAZE
    from featrec.descriptors._append_position import AppendPosition
    from featrec.descriptors._bag_step import BagStep
    from featrec.descriptors._brisk import BRISK
    from featrec.descriptors._color_histogram import ColorHistogram
    from featrec.descriptors._dense_sift import DenseSIFT
    from featrec.descriptors._hog import HOG
    from featrec.descriptors._lbp import LBP
    from featrec.descriptors._orb import ORB
    from featrec.descriptors._patch_codes import PatchCodes
    from featrec.descriptors._patches import Patches
    from featrec.descriptors._root_sift import RootSIFT
    from featrec.descriptors._sift import SIFT
    from featrec.descriptors._tiny_image import TinyImage
    from featrec.descriptors._whiten import Whiten

    # defined in featrec.images, and exported here, where users look for it
    from featrec.images import DescriptorCache as DescriptorCache

__all__ = [
    "AKAZE",
    "BRISK",
    "HOG",
    "LBP",
    "ORB",
    "SIFT",
    "AppendPosition",
    "BagStep",
    "ColorHistogram",
    "DenseSIFT",
    "PatchCodes",
    "Patches",
    "RootSIFT",
    "TinyImage",
    "Whiten",
]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._akaze": ["AKAZE"],
        "._append_position": ["AppendPosition"],
        "._bag_step": ["BagStep"],
        "._brisk": ["BRISK"],
        "._color_histogram": ["ColorHistogram"],
        "._dense_sift": ["DenseSIFT"],
        "._hog": ["HOG"],
        "._lbp": ["LBP"],
        "._orb": ["ORB"],
        "._patch_codes": ["PatchCodes"],
        "._patches": ["Patches"],
        "._root_sift": ["RootSIFT"],
        "._sift": ["SIFT"],
        "._tiny_image": ["TinyImage"],
        "._whiten": ["Whiten"],
        "featrec.images": ["DescriptorCache"],
    },
    moved={"featrec.networks": ["CNNFeatures"]},
)
