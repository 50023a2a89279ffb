"""MatchesDisplay: the descriptors of two images that match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import InputError, MetricError
from featrec.images import as_rgb, as_uint8, read_image
from featrec.plotting._display import INK, PALETTE, Display, bare, check_count, heading, note
from featrec.plotting._keypoints import frames_on
from featrec.plotting._linear_weights import bags_part
from featrec.plotting._words import described

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MatchesDisplay"]

# Distances are computed for this number of pairs at once.
PAIRS_AT_ONCE = 2**22
# Gap between the images, as a share of their mean width.
GAP = 0.08


class MatchesDisplay(Display):
    """Matches of two images: lines between descriptors and their nearest neighbours in the other image.

    A descriptor of the first image matches its nearest neighbour in the second image if the second nearest is clearly farther
    away (Lowe's ratio test), and if it is also the nearest neighbour of its match. Distances are Euclidean, or the number of
    different bits for packed bits (ORB, BRISK, AKAZE).

    Parameters
    ----------
    images : pair of array, path, encoded bytes or PIL image
    bags : pair of Bag
        Bags with frames, extracted from these images.
    ratio : float or None, default=0.8
        A match is used if its distance is smaller than `ratio` times the distance of the second nearest neighbour. None: no
        ratio test. With a single descriptor in the second image, the test is not possible, and the match is used.
    max_matches : int, default=60
        Maximum number of matches to draw: those with the smallest ratio. The title shows the number of all matches.

    Attributes
    ----------
    matches_ : array of shape (n_matches, 2)
        Positions of matching descriptors in the two Bags, the clearest match first.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    D. G. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004.

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.descriptors import ORB
    >>> from featrec.plotting import MatchesDisplay
    >>> image = camera()
    >>> display = MatchesDisplay.from_estimator(ORB(), image, image[30:, 20:])
    >>> len(display.matches_) > 100
    True
    """

    def __init__(self, images: Any, bags: Any, *, ratio: float | None = 0.8, max_matches: int = 60):
        if len(images) != 2 or len(bags) != 2:
            raise InputError(f"MatchesDisplay needs two images and two Bags; got {len(images)} and {len(bags)}")
        if ratio is not None and not 0 < ratio <= 1:
            raise InputError(f"ratio must be above 0 and at most 1, or None; got {ratio!r}")
        self.images = [read_image(image) for image in images]
        self.bags = list(bags)
        self.ratio = ratio
        self.max_matches = check_count("max_matches", max_matches)
        for image, bag in zip(self.images, self.bags, strict=True):
            frames_on(image, bag)
        self.matches_ = matches(*self.bags, ratio=ratio)

    @classmethod
    def from_estimator(
        cls,
        extractor: Any,
        image: Any,
        other: Any,
        *,
        ratio: float | None = 0.8,
        max_matches: int = 60,
        ax: Axes | None = None,
    ) -> Self:
        """Extract the local features of two images and draw their matches.

        Parameters
        ----------
        extractor : extractor of local features, or a pipeline that contains one
            An encoder and all steps after it are ignored.
        image, other : array, path, encoded bytes or PIL image
        ratio : float or None, default=0.8
        max_matches : int, default=60
        ax : matplotlib Axes, optional

        Returns
        -------
        display : MatchesDisplay
        """
        seen, bags = zip(*described(bags_part(extractor), [image, other]), strict=True)
        return cls(seen, bags, ratio=ratio, max_matches=max_matches).plot(ax)

    def _inches(self) -> tuple[float, float]:
        width = sum(image.shape[1] * self._scale(place) for place, image in enumerate(self.images))
        return 9.0, float(np.clip(9.0 * self.images[0].shape[0] / width, 2.0, 7.0)) + 0.6

    def _scale(self, place: int) -> float:
        """The second image is drawn as high as the first."""
        return self.images[0].shape[0] / self.images[place].shape[0]

    def _draw(self, ax: Axes) -> None:
        lefts = self._draw_images(ax)
        shown = self.matches_[: self.max_matches]
        ends = [
            self.bags[place].frames[shown[:, place], :2] * self._scale(place) + [lefts[place], 0]
            for place in (0, 1)
            if len(shown)
        ]
        if len(shown):
            self._draw_lines(ax, np.stack(ends, axis=1))
        else:
            note(ax, self._why_none())
        counts = " and ".join(f"{len(bag.descriptors):,}" for bag in self.bags)
        some = "" if len(shown) == len(self.matches_) else f", the {len(shown)} clearest are shown"
        test = "mutual nearest neighbours" + ("" if self.ratio is None else f", ratio below {self.ratio:g}")
        distance = "number of different bits" if self.bags[0].metric == "hamming" else "Euclidean distance"
        noun = "match" if len(self.matches_) == 1 else "matches"
        heading(ax, f"{len(self.matches_):,} {noun} among {counts} descriptors{some}\n{test}; {distance}")

    def _draw_images(self, ax: Axes) -> tuple[float, float]:
        """Draw the images side by side; return the position of the left border of each."""
        widths = [image.shape[1] * self._scale(place) for place, image in enumerate(self.images)]
        height = self.images[0].shape[0]
        lefts = (0.0, widths[0] + GAP * sum(widths) / 2)
        for image, left, width in zip(self.images, lefts, widths, strict=True):
            extent = (left - 0.5, left + width - 0.5, height - 0.5, -0.5)
            ax.imshow(as_rgb(as_uint8(image)), extent=extent)
        bare(ax)
        ax.set_xlim(-0.5, lefts[1] + widths[1] - 0.5)
        ax.set_ylim(height - 0.5, -0.5)
        return lefts

    def _draw_lines(self, ax: Axes, ends: np.ndarray) -> None:
        from matplotlib.collections import LineCollection

        colors = [PALETTE[i % 6] for i in range(len(ends))]
        ax.add_collection(LineCollection(list(ends), colors=INK, linewidths=2.2, alpha=0.55))
        ax.add_collection(LineCollection(list(ends), colors=colors, linewidths=1.2))
        points = ends.reshape(-1, 2)
        both = [color for color in colors for _ in (0, 1)]
        ax.scatter(points[:, 0], points[:, 1], s=14, c=both, edgecolors=INK, linewidths=0.6, zorder=3)

    def _why_none(self) -> str:
        empty = [str(place + 1) for place, bag in enumerate(self.bags) if not len(bag.descriptors)]
        if empty:
            which = "images 1 and 2" if len(empty) == 2 else f"image {empty[0]}"
            return f"no local features in {which}:\nuniform, or too small for the extractor"
        return "no descriptor passes the test; the images may show\ndifferent things, or repeat one pattern"


def matches(first: Bag, second: Bag, *, ratio: float | None) -> np.ndarray:
    """Return the positions of matching descriptors, shape (n, 2), with the smallest ratio of distances first."""
    if not len(first.descriptors) or not len(second.descriptors):
        return np.empty((0, 2), int)
    if first.metric != second.metric:
        raise MetricError(
            f"the metrics of the Bags differ: {first.metric} and {second.metric}; use the same extractor for both"
        )
    if first.descriptors.shape[1] != second.descriptors.shape[1]:
        widths = f"{first.descriptors.shape[1]} and {second.descriptors.shape[1]}"
        raise InputError(f"the descriptors have different lengths, {widths}; use the same extractor for both images")
    nearest, distance, following = _two_nearest(first, second)
    back, _, _ = _two_nearest(second, first)
    places = np.arange(len(nearest))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(following > 0, distance / following, 1.0)
    passed = (back[nearest] == places) & (True if ratio is None else share < ratio)
    kept = places[passed]
    kept = kept[np.lexsort((distance[kept], share[kept]))]
    return np.stack([kept, nearest[kept]], axis=1)


def _two_nearest(bag: Bag, others: Bag) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nearest of the other descriptors, its distance, and the distance of the second nearest (infinite if none)."""
    points, targets = _numbers(bag), _numbers(others)
    squares = (targets**2).sum(axis=1)
    step, parts = max(1, PAIRS_AT_ONCE // len(targets)), []
    for start in range(0, len(points), step):
        some = points[start : start + step]
        table = np.maximum((some**2).sum(axis=1)[:, None] - 2 * some @ targets.T + squares, 0)
        nearest = table.argmin(axis=1)
        rows = np.arange(len(some))
        best = table[rows, nearest].copy()
        table[rows, nearest] = np.inf
        parts.append((nearest, best, table.min(axis=1)))
    nearest, best, second = (np.concatenate(column) for column in zip(*parts, strict=True))
    root = (lambda values: values) if bag.metric == "hamming" else np.sqrt
    return nearest, root(best), root(second)


def _numbers(bag: Bag) -> np.ndarray:
    """Return descriptors as numbers; squared distances between unpacked bits are numbers of different bits."""
    rows = np.unpackbits(bag.descriptors, axis=1) if bag.metric == "hamming" else bag.descriptors
    return rows.astype(np.float64)
