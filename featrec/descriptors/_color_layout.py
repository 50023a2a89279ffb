"""Where in an image it is light or dark, even or rough, and of which colour: a few numbers beside its gradients."""

from __future__ import annotations

import numpy as np

from featrec.exceptions import ImageError
from featrec.images import as_float
from featrec.images._convert import has_colour
from featrec.lazy import Images

__all__ = ["PLANE", "any_colour", "color_layout", "color_scale", "spread"]

# Rows and columns of cells.
GRID = 4
# Numbers of one channel: means and deviations.
PLANE = 2 * GRID * GRID
# The means' and the deviations' spread among cells of photographs, in parts of white: lightness, red less green, yellow less
# blue. Divided by them all weigh about alike. Measured on 2,000 training images of CIFAR-10.
SPREADS = np.array([[0.22, 0.06, 0.06], [0.08, 0.03, 0.03]], np.float32)
# What all numbers of a colour image are to weigh together; the code of one size of cells weighs one at most.
WEIGHT = 0.8
# So many training images are looked at for colour.
LOOKED_AT = 100
# The share of the whole code's variance that "auto" gives to the layout at most.
SHARE = 0.25


def color_layout(images: np.ndarray, color: str) -> np.ndarray:
    """Means and deviations of the channels in a grid of cells.

    Parameters
    ----------
    images : array of shape (n, height, width) or (n, height, width, channels)
    color : {"gray", "rgb"}
        "gray": of the lightness alone, the mean of the three channels. "rgb": of red less green and yellow less blue, too.

    Returns
    -------
    codes : array of shape (n, 32 or 96), float32
    """
    channels = _channels(images, color)
    rows, columns = (_borders(length) for length in images.shape[1:3])
    area = np.outer(
        *(np.diff(borders, append=length) for borders, length in zip((rows, columns), images.shape[1:3], strict=True))
    )
    share, codes = np.sqrt(WEIGHT / (3 * PLANE)), []
    for channel, spreads in zip(channels, SPREADS.T, strict=False):
        mean, square = (_sums(values, rows, columns) / area for values in (channel, channel * channel))
        deviation = np.sqrt(np.maximum(square - mean * mean, 0))
        codes += [
            values.reshape(len(images), -1) * (share / spread)
            for values, spread in zip((mean, deviation), spreads, strict=True)
        ]
    return np.hstack(codes).astype(np.float32)


def _channels(images: np.ndarray, color: str) -> list[np.ndarray]:
    values = as_float(images)
    if values.ndim == 3 or values.shape[3] == 1:
        lightness = values.reshape(values.shape[:3])
        return [lightness] if color == "gray" else [lightness, np.zeros_like(lightness), np.zeros_like(lightness)]
    red, green, blue = (values[..., channel] for channel in range(3))
    lightness = (red + green + blue) / 3
    return [lightness] if color == "gray" else [lightness, (red - green) / 2, (red + green - 2 * blue) / 4]


def _borders(length: int) -> np.ndarray:
    """Where cells begin; of fewer pixels than cells some cells are one pixel, and the same one."""
    return np.arange(GRID) * length // GRID


def _sums(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Over the cells, in float64."""
    return np.add.reduceat(np.add.reduceat(values, rows, axis=1, dtype=np.float64), columns, axis=2)


def spread(n: int, most: int) -> np.ndarray:
    """At most so many places of n, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def any_colour(images: Images, on_error: str) -> bool:
    """Whether any of some images has colour; those that cannot be read are passed over where that is wanted."""
    for position in spread(len(images), LOOKED_AT):
        try:
            if has_colour(images[int(position)]):
                return True
        except ImageError:
            if on_error == "raise":
                raise
    return False


def color_scale(gradients: np.ndarray, layout: np.ndarray, labels: np.ndarray | None) -> float:
    """What a layout is multiplied by: it has a fixed share of the variance at most, less where it tells less of classes.

    A layout whose classes differ in a smaller share of their variance than those of the gradients do weighs less by the ratio
    of the shares: colours that were drawn at random are noise in every distance.

    Parameters
    ----------
    gradients, layout : arrays of shape (n, n_columns) and (n, n_other_columns)
    labels : array of shape (n,) or None

    Returns
    -------
    scale : float
    """
    variances = [codes.var(axis=0, dtype=np.float64).sum() for codes in (gradients, layout)]
    if not all(variances):
        return 1.0
    scale = min(1.0, float(np.sqrt(SHARE / (1 - SHARE) * variances[0] / variances[1])))
    if labels is None:
        return scale
    shares = [_between_classes(codes, labels) for codes in (gradients, layout)]
    return scale * float(np.sqrt(min(1.0, shares[1] / shares[0]))) if shares[0] > 0 else scale


def _between_classes(codes: np.ndarray, labels: np.ndarray) -> float:
    """The share of the variance that lies between classes, less what chance would give."""
    names, places = np.unique(labels, return_inverse=True)
    counts, n = np.bincount(places), len(codes)
    if len(names) < 2 or n <= len(names):
        return 0.0
    order = np.argsort(places, kind="stable")
    sums = np.add.reduceat(codes[order], np.cumsum(counts) - counts, axis=0, dtype=np.float64)
    mean, total = codes.mean(axis=0, dtype=np.float64), codes.var(axis=0, dtype=np.float64).sum() * n
    between = float((counts * ((sums / counts[:, None] - mean) ** 2).sum(axis=1)).sum())
    chance = (len(names) - 1) * (total - between) / (n - len(names))
    return max(0.0, (between - chance) / total)
