"""Whether frames lie on a lattice, as a dense extractor's do, and what it looks like."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Lattice", "lattices_of"]


class Lattice(NamedTuple):
    """Frames of one diameter at every crossing of `xs` and `ys`; `places` are their positions in the bag, row by row."""

    diameter: float
    xs: np.ndarray
    ys: np.ndarray
    places: np.ndarray  # (len(ys), len(xs))


def lattices_of(frames: np.ndarray) -> list[Lattice]:
    """One lattice for each diameter, the smallest first; none if any frame has a direction or stands beside a lattice."""
    if (frames[:, 3] >= 0).any():
        return []
    lattices = []
    for diameter in np.unique(frames[:, 2]):
        places = np.flatnonzero(frames[:, 2] == diameter)
        xs, ys = np.unique(frames[places, 0]), np.unique(frames[places, 1])
        order = np.lexsort((frames[places, 0], frames[places, 1]))
        crossings = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
        if not np.array_equal(crossings, frames[places[order], :2]):
            return []
        lattices.append(Lattice(float(diameter), xs, ys, places[order].reshape(len(ys), len(xs))))
    return lattices
