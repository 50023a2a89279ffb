"""Pictures to pictures: rows to pictures, gray, one size. All are lazy: a picture is changed when it is asked for."""

from featrec.preprocessing._grayscale import Grayscale
from featrec.preprocessing._resize import Resize
from featrec.preprocessing._unflatten import Unflatten

__all__ = ["Grayscale", "Resize", "Unflatten"]
