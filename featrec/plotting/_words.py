"""Visual words: the patches nearest to each word, and a map of the words in an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from featrec.bag import Bag
from featrec.exceptions import InputError, MetricError
from featrec.images import as_rgb, as_uint8
from featrec.lazy import Bags
from featrec.plotting._display import FAINT, INK, PALETTE, bare, new_figure, show_image
from featrec.plotting._keypoints import Lattice, frames_on, lattices_of
from featrec.vocabularies import nearest_word, words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["OTHER", "check_kind", "described", "draw_word_map", "fitted_words", "plot_word_map", "plot_words"]

PATCH = 36
GAP = 3
# Minimum contrast of a patch that is stretched to full contrast.
FLAT = 12
# Colour of all words except the most frequent.
OTHER = "#c9ced6"


class Found(NamedTuple):
    """A patch and the distance of its descriptor from the word."""

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
    """Show some words of a vocabulary. Each word is shown by the patches whose descriptors are nearest to it.

    Each row shows one word, with the nearest patch first. To avoid patches from the same place, an image contributes at most
    ``n_patches / len(images)`` patches (rounded up) to a word, and these are at least half a diameter apart. The images are
    read once, one after another.

    Parameters
    ----------
    vocabulary : fitted vocabulary, encoder or pyramid
    images : images
        Images to take patches from.
    extractor : extractor of local features, or a pipeline that ends in one
        Extractor that the vocabulary was learned with.
    n_words : int, default=16
        Number of words, drawn at random.
    n_patches : int, default=8
        Number of patches per word.
    extent : float, default=1.0
        Side of a patch, as a multiple of the diameter of its frame. DenseSIFT descriptors describe a square 1 diameter wide;
        SIFT descriptors describe a square 6 diameters wide.
    stretch : bool, default=False
        Whether to show each patch at full contrast. Descriptors of unit length ignore contrast, too.
    random_state : int, RandomState or None, default=0
        Seed for the choice of words.

    Returns
    -------
    matplotlib Figure

    Notes
    -----
    Patches whose frames have an angle are rotated upright, like their descriptors.
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
    """Return the nearest patches of each word, sorted by distance."""
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
    """Return the positions of the nearest descriptors whose patches hardly overlap."""
    places: list[int] = []
    for place in np.argsort(distances, kind="stable"):
        between = frames[places, :2] - frames[place, :2]
        if (np.hypot(between[:, 0], between[:, 1]) >= frames[place, 2] / 2).all():
            places.append(int(place))
        if len(places) == count:
            break
    return places


def _squared_distances(bag: Bag, words: np.ndarray) -> np.ndarray:
    """Return squared distances, shape (n, n_words). For packed bits, a squared distance is the number of different bits."""
    points = bag.descriptors
    if bag.metric == "hamming":
        points, words = np.unpackbits(points, axis=1), np.unpackbits(words, axis=1)
    points, words = points.astype(np.float32), words.astype(np.float32)
    return (points**2).sum(axis=1)[:, None] - 2 * points @ words.T + (words**2).sum(axis=1)


def _cut(image: np.ndarray, frame: np.ndarray, extent: float) -> np.ndarray:
    """Return the square of a frame, rotated upright and resampled. Pixels beyond the border repeat the pixels at the border."""
    x, y, diameter, angle = (float(value) for value in frame)
    turn = np.deg2rad(angle) if angle >= 0 else 0.0
    across, down = np.meshgrid(*2 * [(np.arange(PATCH) + 0.5) / PATCH - 0.5])
    across, down = across * diameter * extent, down * diameter * extent
    columns = x + np.cos(turn) * across - np.sin(turn) * down
    rows = y + np.sin(turn) * across + np.cos(turn) * down
    return between_pixels(as_rgb(as_uint8(image)), rows, columns)


def between_pixels(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    rows = np.clip(rows, 0, image.shape[0] - 1)
    columns = np.clip(columns, 0, image.shape[1] - 1)
    top, left = rows.astype(int), columns.astype(int)
    bottom, right = np.minimum(top + 1, image.shape[0] - 1), np.minimum(left + 1, image.shape[1] - 1)
    below, beside = (rows - top)[..., None], (columns - left)[..., None]
    upper = (1 - beside) * image[top, left] + beside * image[top, right]
    lower = (1 - beside) * image[bottom, left] + beside * image[bottom, right]
    return np.rint((1 - below) * upper + below * lower).astype(np.uint8)


def _mosaic(rows: list[list[Found]], n_columns: int, *, stretch: bool) -> np.ndarray:
    """Combine all patches in one image with a white background."""
    pitch = PATCH + GAP
    mosaic = np.full((len(rows) * pitch - GAP, n_columns * pitch - GAP, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, found in enumerate(row):
            patch = _stretched(found.patch) if stretch else found.patch
            mosaic[i * pitch : i * pitch + PATCH, j * pitch : j * pitch + PATCH] = patch
    return mosaic


def _stretched(patch: np.ndarray) -> np.ndarray:
    """Stretch a patch to the range from black to white; a uniform patch becomes medium gray."""
    low, high = int(patch.min()), int(patch.max())
    gain = 255 / max(high - low, FLAT)
    return np.rint(127.5 + gain * (patch - (low + high) / 2)).astype(np.uint8)


def plot_word_map(image: Any, extractor: Any, encoder: Any, *, n_colors: int = 8, axes: Sequence[Axes] | None = None) -> Figure:
    """Show an image, a map of the words of its descriptors, and the histogram of the words.

    Each of the most frequent words has the same colour in the map and in the histogram. All other words are gray. If a dense
    extractor has several sizes, the map shows only the smallest descriptors, but the histogram counts all descriptors.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    extractor : extractor of local features, or a pipeline that ends in one
    encoder : fitted encoder, pyramid or vocabulary
        Model whose words were learned with this extractor.
    n_colors : int, default=8
        Number of words with a colour, at most 10.
    axes : sequence of three matplotlib Axes, optional
        Axes of the image, the map and the histogram. Default: the axes of a new figure.

    Returns
    -------
    matplotlib Figure
    """
    if not 1 <= n_colors <= len(PALETTE):
        raise InputError(
            f"n_colors must be between 1 and {len(PALETTE)}, the number of distinguishable colours; got {n_colors}"
        )
    words, metric = fitted_words(encoder)
    image, bag = next(described(extractor, [image]))
    assigned = _assigned(bag, words, metric)
    colors = _word_colors(assigned, len(words), n_colors)
    left, middle, right = _three_axes(image) if axes is None else axes
    show_image(left, image)
    left.set_title("image", fontsize=10, color=INK)
    draw_word_map(middle, image, bag, assigned, colors)
    middle.set_title(f"words of {len(bag.descriptors):,} descriptors", fontsize=10, color=INK)
    _draw_word_histogram(right, assigned, colors)
    right.set_title("bag of words", fontsize=10, color=INK)
    figure = left.figure.figure
    if figure is None:
        raise InputError("the axes do not belong to a figure; use the axes of plt.subplots(1, 3)")
    return figure


def _three_axes(image: np.ndarray) -> Sequence[Axes]:
    height = float(np.clip(3.4 * image.shape[0] / image.shape[1], 2.2, 5.0))
    return new_figure(12.0, height + 0.5).subplots(1, 3, width_ratios=(1, 1, 1.3))


def _assigned(bag: Bag, words: np.ndarray, metric: str) -> np.ndarray:
    if not len(bag.descriptors):
        return np.zeros(0, np.int32)
    check_kind(bag, words, metric)
    return nearest_word(bag.descriptors, words, metric)


def _word_colors(assigned: np.ndarray, n_words: int, n_colors: int) -> np.ndarray:
    """Return the colour of each word. All words except the most frequent are gray."""
    counts = np.bincount(assigned, minlength=n_words)
    frequent = np.argsort(-counts, kind="stable")[:n_colors]
    colors = np.full(n_words, OTHER, dtype=object)
    colors[frequent] = PALETTE[: len(frequent)]
    return colors


def draw_word_map(ax: Axes, image: np.ndarray, bag: Bag, assigned: np.ndarray, colors: np.ndarray) -> None:
    """Draw the words of the descriptors in colour on the faded image."""
    frames = frames_on(image, bag)
    show_image(ax, image, opacity=0.45)
    lattices = lattices_of(frames)
    if lattices:
        _fill_lattice(ax, lattices[0], assigned, colors)
    elif len(frames):
        _fill_circles(ax, frames, assigned, colors, image.shape[1])
    ax.set_xlim(-0.5, image.shape[1] - 0.5)
    ax.set_ylim(image.shape[0] - 0.5, -0.5)


def _fill_lattice(ax: Axes, lattice: Lattice, assigned: np.ndarray, colors: np.ndarray) -> None:
    from matplotlib.colors import to_rgba_array

    chosen = colors[assigned[lattice.places]].ravel()
    cells = to_rgba_array(list(chosen))
    cells[:, 3] = np.where(chosen == OTHER, 0.25, 0.8)
    step_x, step_y = (float(np.diff(axis).min()) if len(axis) > 1 else 1.0 for axis in (lattice.xs, lattice.ys))
    extent = (
        lattice.xs[0] - step_x / 2,
        lattice.xs[-1] + step_x / 2,
        lattice.ys[-1] + step_y / 2,
        lattice.ys[0] - step_y / 2,
    )
    ax.imshow(cells.reshape(*lattice.places.shape, 4), extent=extent, interpolation="nearest")


def _fill_circles(ax: Axes, frames: np.ndarray, assigned: np.ndarray, colors: np.ndarray, width: int) -> None:
    """Draw circles of limited size, with the coloured ones on top."""
    from matplotlib.collections import EllipseCollection

    chosen = colors[assigned]
    for gray in (True, False):
        shown = frames[(chosen == OTHER) == gray]
        diameters = np.clip(shown[:, 2], 0.018 * width, 0.06 * width)
        circles = EllipseCollection(
            diameters,
            diameters,
            0,
            units="xy",
            offsets=shown[:, :2],
            offset_transform=ax.transData,
            facecolors="none" if gray else list(chosen[chosen != OTHER]),
            edgecolors=FAINT if gray else "white",
            linewidths=0.6,
        )
        ax.add_collection(circles)


def _draw_word_histogram(ax: Axes, assigned: np.ndarray, colors: np.ndarray) -> None:
    """Draw the percentage of the descriptors that belong to each word."""
    shares = np.bincount(assigned, minlength=len(colors)) / max(1, len(assigned))
    gray = colors == OTHER
    places = np.arange(len(colors))
    ax.bar(places[gray], 100 * shares[gray], width=0.9, color=FAINT)
    least = max(0.9, len(colors) / 150)
    ax.bar(places[~gray], 100 * shares[~gray], width=least, color=list(colors[~gray]))
    ax.set_xlim(-0.8, len(colors) - 0.2)
    ax.set_xlabel("word", color=INK)
    ax.set_ylabel("% of the descriptors", color=INK)
    ax.tick_params(colors=INK, length=2)
    ax.spines[["top", "right"]].set_visible(False)


def described(extractor: Any, images: Any) -> Iterator[tuple[np.ndarray, Bag]]:
    """Yield images one after another, as returned by the previous steps of the pipeline, each with its Bag."""
    bags = extractor.transform(images) if hasattr(extractor, "transform") else None
    if not isinstance(bags, Bags):
        found = "has no transform" if bags is None else f"returns {type(bags).__name__}"
        raise InputError(
            f"expected an extractor of local features, such as DenseSIFT(), or a pipeline that ends in one; "
            f"{type(extractor).__name__} {found}"
        )
    for position in range(len(bags)):
        with bags.naming(position):
            seen = item = bags.source[int(bags.rows[position])]
            for step in bags.steps:
                seen = seen if isinstance(item, Bag) else item
                item = step(item)
        yield seen, item


def fitted_words(model: Any) -> tuple[np.ndarray, str]:
    """Return the words of a vocabulary, an encoder or a pyramid, and their metric."""
    check_is_fitted(model)
    for attribute in ("encoder_", "vocabulary_"):
        model = getattr(model, attribute, model)
    return words_of(model)


def check_kind(bag: Bag, words: np.ndarray, metric: str) -> None:
    """Check that descriptors and words have the same metric and length."""
    if bag.metric != metric:
        raise MetricError(
            f"the metric of the descriptors is {bag.metric}, but the metric of the words is {metric}; "
            "use the extractor that the words were learned with"
        )
    if bag.descriptors.shape[1] != words.shape[1]:
        raise InputError(
            f"the descriptors have {bag.descriptors.shape[1]} dimensions, but the words have {words.shape[1]}; "
            "use the extractor that the words were learned with"
        )
