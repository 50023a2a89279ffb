"""Bags to codes: what a picture's words say, as one row of numbers."""

from featrec.encoders._bag_of_words import BagOfWords
from featrec.encoders._base import Encoder
from featrec.encoders._spatial_pyramid import SpatialPyramid

__all__ = ["BagOfWords", "Encoder", "SpatialPyramid"]
