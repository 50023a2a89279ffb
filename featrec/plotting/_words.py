"""What visual words look like: the patches that lie nearest to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from featrec.bag import Bag
from featrec.images import as_rgb, as_uint8
from featrec.plotting._canvas import INK, bare, new_figure
from featrec.plotting._keypoints import frames_on
from featrec.plotting._pictures import check_kind, described, fitted_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_words"]

PATCH = 36
GAP = 3
FLAT = 12


class Found(NamedTuple):
    """A patch and how far its descriptor is from the word."""

    distance: float
    patch: np.ndarray


def plot_words(
    vocabulary: Any,
    images: Any,
    extractor: Any,
    *,
    n_words: int = 16,
    n_patches: int = 8,
    extent: float = 1.0,
    stretch: bool = False,
    random_state: Any = 0,
) -> Figure:
    """Show some words of a vocabulary, each by the patches whose descriptors are nearest to it.

    A row is a word, the nearest patch first. So that a row does not show one place again and again, an image gives no more
    patches to a word than are needed to fill its row, and none that lies within half a diameter of another. The images are
    read once, one after another.

    Parameters
    ----------
    vocabulary : fitted vocabulary, encoder or pyramid
    images : images
        Where to look for patches.
    extractor : extractor of local features, or a pipeline that ends in one
        The one that the vocabulary was learned with.
    n_words : int, default=16
        How many words, drawn at random.
    n_patches : int, default=8
        For each word.
    extent : float, default=1.0
        Side of a patch in diameters of its frame. 1 is all that a DenseSIFT descriptor covers; one of SIFT covers 6.
    stretch : bool, default=False
        Show each patch at full contrast, as descriptors that are divided by their length see it.
    random_state : int, RandomState or None, default=0
        For the draw of the words.

    Returns
    -------
    matplotlib Figure

    Notes
    -----
    Patches of frames with an angle are turned by it, so that what their descriptors have in common stands alike.
    """
    words, metric = fitted_words(vocabulary)
    random = check_random_state(random_state)
    chosen = np.sort(random.permutation(len(words))[:n_words])
    rows = _nearest_patches(words[chosen], metric, described(extractor, images), len(images), n_patches, extent)
    figure = new_figure(0.5 * n_patches + 0.9, 0.5 * len(chosen) + 0.35)
    ax = figure.add_subplot()
    ax.imshow(_mosaic(rows, n_patches, stretch=stretch))
    bare(ax)
    ax.set_yticks((PATCH + GAP) * np.arange(len(chosen)) + PATCH / 2, [f"word {word}" for word in chosen], fontsize=8)
    ax.tick_params(length=0, colors=INK)
    ax.set_title(f"{len(chosen)} of {len(words):,} words, nearest patches first", fontsize=10, color=INK)
    return figure


def _nearest_patches(
    words: np.ndarray, metric: str, pairs: Any, n_images: int, n_patches: int, extent: float
) -> list[list[Found]]:
    """For each word its nearest patches; at most `n_patches` a word are kept at any time."""
    rows: list[list[Found]] = [[] for _ in words]
    quota = -(-n_patches // max(1, n_images))
    for image, bag in pairs:
        if not len(bag.descriptors):
            continue
        check_kind(bag, words, metric)
        frames = frames_on(image, bag)
        distances = _squared_distances(bag, words)
        for row, column in zip(rows, distances.T, strict=True):
            for place in _nearest_apart(column, frames, quota):
                if len(row) < n_patches or column[place] < row[-1].distance:
                    row.append(Found(float(column[place]), _cut(image, frames[place], extent)))
                    row.sort(key=lambda found: found.distance)
                    del row[n_patches:]
    return rows


def _nearest_apart(distances: np.ndarray, frames: np.ndarray, count: int) -> list[int]:
    """The places of the nearest descriptors whose patches do not show much of the same."""
    places: list[int] = []
    for place in np.argsort(distances, kind="stable"):
        between = frames[places, :2] - frames[place, :2]
        if (np.hypot(between[:, 0], between[:, 1]) >= frames[place, 2] / 2).all():
            places.append(int(place))
        if len(places) == count:
            break
    return places


def _squared_distances(bag: Bag, words: np.ndarray) -> np.ndarray:
    """(n, n_words); for packed bits the number that differ, which is the squared distance of the unpacked."""
    points = bag.descriptors
    if bag.metric == "hamming":
        points, words = np.unpackbits(points, axis=1), np.unpackbits(words, axis=1)
    points, words = points.astype(np.float32), words.astype(np.float32)
    return (points**2).sum(axis=1)[:, None] - 2 * points @ words.T + (words**2).sum(axis=1)


def _cut(image: np.ndarray, frame: np.ndarray, extent: float) -> np.ndarray:
    """The square of a frame, turned upright and resampled; beyond the border the image's edge is repeated."""
    x, y, diameter, angle = (float(value) for value in frame)
    turn = np.deg2rad(angle) if angle >= 0 else 0.0
    across, down = np.meshgrid(*2 * [(np.arange(PATCH) + 0.5) / PATCH - 0.5])
    across, down = across * diameter * extent, down * diameter * extent
    columns = x + np.cos(turn) * across - np.sin(turn) * down
    rows = y + np.sin(turn) * across + np.cos(turn) * down
    return _between_pixels(as_rgb(as_uint8(image)), rows, columns)


def _between_pixels(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear interpolation."""
    rows = np.clip(rows, 0, image.shape[0] - 1)
    columns = np.clip(columns, 0, image.shape[1] - 1)
    top, left = rows.astype(int), columns.astype(int)
    bottom, right = np.minimum(top + 1, image.shape[0] - 1), np.minimum(left + 1, image.shape[1] - 1)
    below, beside = (rows - top)[..., None], (columns - left)[..., None]
    upper = (1 - beside) * image[top, left] + beside * image[top, right]
    lower = (1 - beside) * image[bottom, left] + beside * image[bottom, right]
    return np.rint((1 - below) * upper + below * lower).astype(np.uint8)


def _mosaic(rows: list[list[Found]], n_columns: int, *, stretch: bool) -> np.ndarray:
    """All patches in one white picture."""
    pitch = PATCH + GAP
    mosaic = np.full((len(rows) * pitch - GAP, n_columns * pitch - GAP, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, found in enumerate(row):
            patch = _stretched(found.patch) if stretch else found.patch
            mosaic[i * pitch : i * pitch + PATCH, j * pitch : j * pitch + PATCH] = patch
    return mosaic


def _stretched(patch: np.ndarray) -> np.ndarray:
    """From black to white; a flat patch becomes medium gray with what little it has."""
    low, high = int(patch.min()), int(patch.max())
    gain = 255 / max(high - low, FLAT)
    return np.rint(127.5 + gain * (patch - (low + high) / 2)).astype(np.uint8)
