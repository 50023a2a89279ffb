"""Bag: the local features of one image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from featrec.exceptions import InputError

__all__ = ["Bag"]

METRICS = ("euclidean", "hamming")


@dataclass(frozen=True, eq=False)
class Bag:
    """The local features of one image; an image without any is legal.

    Parameters
    ----------
    descriptors : array of shape (n, d)
        float32, or uint8; any other numbers are converted to float32.
    frames : array of shape (n, 4), optional
        For each descriptor x and y of its centre (the first pixel's centre is 0, 0), its diameter in pixels, and its
        angle in degrees or -1, in the coordinates of the image that the extractor saw.
    size : tuple of (height, width), optional
        Of the image that the extractor saw.
    metric : {"euclidean", "hamming"}, default="euclidean"
        How two descriptors are compared. "hamming" marks packed bits (ORB), which must not be averaged as numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec import Bag
    >>> Bag(np.zeros((3, 128)))
    Bag(3 descriptors of 128 float32, no frames, euclidean)
    """

    descriptors: np.ndarray
    frames: np.ndarray | None = None
    size: tuple[int, int] | None = None
    metric: str = field(default="euclidean")

    def __post_init__(self) -> None:
        descriptors = np.asarray(self.descriptors)
        if descriptors.ndim != 2 or descriptors.dtype.kind not in "uifb":
            raise InputError(
                f"descriptors must be numbers of shape (n, d); got {descriptors.dtype} of shape {descriptors.shape}. "
                "An image without descriptors is Bag(np.empty((0, d)))."
            )
        if self.metric not in METRICS:
            raise InputError(f"metric must be one of {METRICS}; got {self.metric!r}")
        if descriptors.dtype not in (np.float32, np.uint8):
            with np.errstate(over="ignore"):  # too large for float32 is infinite, which is refused below
                descriptors = descriptors.astype(np.float32)
        if self.metric == "hamming" and descriptors.dtype != np.uint8:
            raise InputError(f"hamming descriptors are packed bits, uint8; got {descriptors.dtype}. np.packbits makes them.")
        if descriptors.dtype == np.float32 and not _all_finite(descriptors):
            raise InputError("descriptors must be finite; some are NaN or infinite")
        object.__setattr__(self, "descriptors", descriptors)
        object.__setattr__(self, "frames", _check_frames(self.frames, len(descriptors)))

    @classmethod
    def _made(cls, descriptors: np.ndarray, frames: np.ndarray, size: tuple[int, int], metric: str = "euclidean") -> Bag:
        """A Bag of what our own loops made, which is finite and of the right shape; the check costs a fifth of dense SIFT."""
        bag = object.__new__(cls)
        for name, value in (("descriptors", descriptors), ("frames", frames), ("size", size), ("metric", metric)):
            object.__setattr__(bag, name, value)
        return bag

    def __repr__(self) -> str:
        n, width = self.descriptors.shape
        frames = "no frames" if self.frames is None else "frames"
        size = "" if self.size is None else f", image {self.size[0]}×{self.size[1]}"
        return f"Bag({n} descriptors of {width} {self.descriptors.dtype}, {frames}{size}, {self.metric})"


def _all_finite(numbers: np.ndarray) -> bool:
    """Whether no number is NaN or infinite; the sum of squares tells it faster, unless it is too large itself."""
    if numbers.flags.c_contiguous:
        flat = numbers.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.dot(flat, flat)):
                return True
    return bool(np.isfinite(numbers).all())


def _check_frames(frames: np.ndarray | None, n: int) -> np.ndarray | None:
    if frames is None:
        return None
    frames = np.asarray(frames, dtype=np.float32)
    if frames.shape != (n, 4):
        raise InputError(f"frames must be x, y, scale, angle of each descriptor, shape ({n}, 4); got {frames.shape}")
    return frames
