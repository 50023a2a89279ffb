"""Checks for user-defined extractors and encoders.

If a check fails, the error explains what is broken and why it matters.

Examples
--------
>>> from featrec.descriptors import TinyImage
>>> from featrec.testing import check_extractor
>>> check_extractor(TinyImage())
"""

from __future__ import annotations

from featrec.testing._encoder_checks import check_encoder, random_bags as random_bags
from featrec.testing._extractor_checks import check_extractor, textured_images as textured_images

__all__ = ["check_encoder", "check_extractor"]
