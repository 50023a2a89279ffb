"""Bag: the local features of one image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from featrec.exceptions import InputError

__all__ = ["Bag"]

METRICS = ("euclidean", "hamming")


@dataclass(frozen=True, eq=False)
class Bag:
    """The local features of one image; a Bag may be empty.

    Parameters
    ----------
    descriptors : array of shape (n, d)
        float32 or uint8; other types are converted to float32.
    frames : array of shape (n, 4), optional
        x and y of the centre of each descriptor, its diameter in pixels, and its angle in degrees (-1 for no angle).
        Coordinates refer to the image that the extractor received; the centre of the first pixel is (0, 0).
    size : tuple of (height, width), optional
        Size of the image that the extractor received.
    metric : {"euclidean", "hamming"}, default="euclidean"
        Distance between descriptors. "hamming" is for packed bits (ORB), which must not be averaged as numbers.
    mirrored : array of bool of shape (n,), optional
        Whether each descriptor describes the left-right mirror image, as half of those of ``Patches(mirror=True)`` do. Its
        frame is then a position in the mirror image: in the image itself, its centre is at width - 1 - x. Needs `size`. None:
        no descriptor does.

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
    mirrored: np.ndarray | None = None

    def __post_init__(self) -> None:
        descriptors = np.asarray(self.descriptors)
        if descriptors.ndim != 2 or descriptors.dtype.kind not in "uifb":
            raise InputError(
                f"descriptors must be numeric, with shape (n, d); got {descriptors.dtype} of shape {descriptors.shape}. "
                "Use Bag(np.empty((0, d))) for an image without descriptors."
            )
        if self.metric not in METRICS:
            raise InputError(f"metric must be one of {METRICS}; got {self.metric!r}")
        if descriptors.dtype not in (np.float32, np.uint8):
            with np.errstate(over="ignore"):  # values too large for float32 become infinite and are refused below
                descriptors = descriptors.astype(np.float32)
        if self.metric == "hamming" and descriptors.dtype != np.uint8:
            raise InputError(
                f"hamming descriptors must be packed bits of type uint8; got {descriptors.dtype}. Use np.packbits."
            )
        if descriptors.dtype == np.float32 and not _all_finite(descriptors):
            raise InputError("descriptors must be finite; some are NaN or infinite")
        object.__setattr__(self, "descriptors", descriptors)
        object.__setattr__(self, "frames", _check_frames(self.frames, len(descriptors)))
        object.__setattr__(self, "mirrored", _check_mirrored(self.mirrored, len(descriptors), self.size))

    @classmethod
    def _made(
        cls,
        descriptors: np.ndarray,
        frames: np.ndarray,
        size: tuple[int, int],
        metric: str = "euclidean",
        mirrored: np.ndarray | None = None,
    ) -> Bag:
        """Create a Bag from valid arrays without checking them; the checks would take a fifth of the run time of dense SIFT."""
        bag = object.__new__(cls)
        values = {"descriptors": descriptors, "frames": frames, "size": size, "metric": metric, "mirrored": mirrored}
        for name, value in values.items():
            object.__setattr__(bag, name, value)
        return bag

    def _frames_in_image(self) -> np.ndarray | None:
        """Return the frames as positions in the image itself, also where `frames` are positions in its mirror image."""
        if self.frames is None or self.mirrored is None or self.size is None:
            return self.frames
        frames = self.frames.copy()
        x, angle = self.frames[self.mirrored][:, [0, 3]].T
        frames[self.mirrored, 0] = self.size[1] - 1 - x
        frames[self.mirrored, 3] = np.where(angle < 0, angle, (180 - angle) % 360)
        return frames

    def __repr__(self) -> str:
        n, width = self.descriptors.shape
        frames = "no frames" if self.frames is None else "frames"
        size = "" if self.size is None else f", image {self.size[0]}×{self.size[1]}"
        return f"Bag({n} descriptors of {width} {self.descriptors.dtype}, {frames}{size}, {self.metric})"


def _all_finite(numbers: np.ndarray) -> bool:
    """Return whether all values are finite. The sum of squares is tested first, which is faster unless the sum overflows."""
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
        raise InputError(f"frames must have shape ({n}, 4): x, y, diameter and angle of each descriptor; got {frames.shape}")
    return frames


def _check_mirrored(mirrored: np.ndarray | None, n: int, size: tuple[int, int] | None) -> np.ndarray | None:
    if mirrored is None:
        return None
    mirrored = np.asarray(mirrored)
    if mirrored.shape != (n,) or mirrored.dtype != np.bool_:
        raise InputError(
            f"mirrored must be an array of bool of shape ({n},), one value per descriptor; got {mirrored.dtype} of shape "
            f"{mirrored.shape}"
        )
    if size is None:
        raise InputError(
            "mirrored needs the image size, because positions in the mirror image depend on the width. "
            "Use Bag(descriptors, frames, (height, width), mirrored=mirrored)."
        )
    return mirrored
