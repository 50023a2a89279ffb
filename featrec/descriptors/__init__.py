"""Pictures to local features (Bags) or to one row of numbers each (codes)."""

from featrec.descriptors._cnn_features import CNNFeatures
from featrec.descriptors._color_histogram import ColorHistogram
from featrec.descriptors._dense_sift import DenseSIFT
from featrec.descriptors._hog import HOG
from featrec.descriptors._orb import ORB
from featrec.descriptors._sift import SIFT
from featrec.descriptors._tiny_image import TinyImage

__all__ = ["HOG", "ORB", "SIFT", "CNNFeatures", "ColorHistogram", "DenseSIFT", "TinyImage"]
