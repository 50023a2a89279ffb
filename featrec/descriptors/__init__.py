"""Extractors, which convert images to local features (Bags) or to one row of numbers per image, and steps from Bags to Bags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.descriptors._bag_steps import AppendPosition, BagStep, RootSIFT
    from featrec.descriptors._baselines import ColorHistogram, TinyImage
    from featrec.descriptors._binary_keypoints import AKAZE, BRISK, ORB
    from featrec.descriptors._dense_sift import DenseSIFT
    from featrec.descriptors._hog import HOG
    from featrec.descriptors._keypoints import SIFT
    from featrec.descriptors._lbp import LBP
    from featrec.descriptors._patch_codes import PatchCodes
    from featrec.descriptors._patches import Patches
    from featrec.descriptors._whiten import Whiten

    # Defined in featrec.images; also exported here, where users look for it.
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
        "._bag_steps": ["AppendPosition", "BagStep", "RootSIFT"],
        "._baselines": ["ColorHistogram", "TinyImage"],
        "._binary_keypoints": ["AKAZE", "BRISK", "ORB"],
        "._dense_sift": ["DenseSIFT"],
        "._hog": ["HOG"],
        "._keypoints": ["SIFT"],
        "._lbp": ["LBP"],
        "._patch_codes": ["PatchCodes"],
        "._patches": ["Patches"],
        "._whiten": ["Whiten"],
        "featrec.images": ["DescriptorCache"],
    },
    moved={"featrec.networks": ["CNNFeatures"]},
)
