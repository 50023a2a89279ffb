"""Serve one fitted model: answers for batches of images, and a web server around them."""

from featrec.serving._answer import Answer
from featrec.serving._predictor import Predictor

__all__ = ["Answer", "Predictor"]
