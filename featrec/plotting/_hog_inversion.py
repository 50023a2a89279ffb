"""HOGInversionDisplay: an image that a linear model makes from HOG alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone

from featrec.descriptors import HOG
from featrec.exceptions import InputError
from featrec.images import as_float, as_gray, read_image
from featrec.lazy import Images
from featrec.plotting._display import Display, caption, check_some_images, heading, in_order, panels, plural, show_image
from featrec.plotting._hog_display import plot_hog, seen_by, up_to_hog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HOGInversion", "HOGInversionDisplay"]

# Added to the standard deviation of a block (white is 1), so that noise in uniform blocks is not amplified.
LEAST_CONTRAST = 0.02
# Penalty of the ridge regression, as a share of the mean squared length of a code.
PENALTY = 0.01


class HOGInversion:
    """Ridge regression from the HOG code of a block to its pixels and to its edges, learned from images.

    Edges are lengths of gradients. Both are scaled in each block, because HOG does not keep its contrast. The sums of
    products are accumulated image by image, so memory does not grow with the number of images.

    Parameters
    ----------
    hog : HOG
        The first cell size is used; layouts and mirror images are not.
    size : tuple of (height, width)
        Size of the images that the cells are computed for.
    """

    def __init__(self, hog: HOG, size: tuple[int, int]):
        self.cell = hog.cell_sizes(size)[0]
        options = {"pixels_per_cell": self.cell, "balance": False, "color": None, "mirror": False, "cache": None}
        self.hog = clone(hog).set_params(**options, verbose=0)
        block = np.broadcast_to(np.ravel(hog.cells_per_block), 2)
        self.block = tuple(int(n) for n in block)
        self.side = tuple(cells * pixels for cells, pixels in zip(self.block, self.cell, strict=True))
        width = self.block[0] * self.block[1] * int(hog.orientations) + 1
        self.squares = np.zeros((width, width))
        self.products = np.zeros((width, 2 * self.side[0] * self.side[1]))
        self.n_images = 0

    def add(self, image: np.ndarray) -> None:
        """Learn from one image; images smaller than a block are left out."""
        if min(np.array(image.shape[:2]) - self.side) < 0:
            return
        codes = self._codes(image)
        self.squares += codes.T @ codes
        gray, edges = gray_and_edges(image)
        pixels = self._scaled(gray, image, centred=True), self._scaled(edges, image, centred=False)
        self.products += codes.T @ np.hstack(pixels)
        self.n_images += 1

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the pixels and the edges that the HOG of an image stands for, shape (2, height, width).

        Where blocks overlap, values are averaged; the middle of a block has more weight than its border. Values are relative,
        and NaN beyond the last whole cell.
        """
        penalty = PENALTY * np.trace(self.squares) / len(self.squares)
        weights = np.linalg.solve(self.squares + penalty * np.eye(len(self.squares)), self.products)
        patches = (self._codes(image) @ weights).reshape(-1, 2, *self.side)
        share = np.multiply.outer(*(1 - np.abs(np.linspace(-1, 1, length + 2)[1:-1]) for length in self.side))
        sums, shares = np.zeros((2, *image.shape[:2])), np.zeros(image.shape[:2])
        for (top, left), patch in zip(self._corners(image), patches, strict=True):
            place = slice(top, top + self.side[0]), slice(left, left + self.side[1])
            sums[:, *place] += share * patch
            shares[place] += share
        return np.where(shares > 0, sums / np.where(shares > 0, shares, 1), np.nan)

    def _corners(self, image: np.ndarray) -> list[tuple[int, int]]:
        down, across = (
            length // pixels - cells + 1 for length, pixels, cells in zip(image.shape[:2], self.cell, self.block, strict=True)
        )
        return [(i * self.cell[0], j * self.cell[1]) for i in range(down) for j in range(across)]

    def _codes(self, image: np.ndarray) -> np.ndarray:
        """Return the code of each block, and a constant column."""
        codes = self.hog.extract(image).reshape(len(self._corners(image)), -1).astype(np.float64)
        return np.column_stack([codes, np.ones(len(codes))])

    def _scaled(self, values: np.ndarray, image: np.ndarray, *, centred: bool) -> np.ndarray:
        """Return the values of each block, divided by their root mean square."""
        blocks = [values[top : top + self.side[0], left : left + self.side[1]].ravel() for top, left in self._corners(image)]
        rows = np.stack(blocks)
        if centred:
            rows -= rows.mean(axis=1, keepdims=True)
        return rows / (np.sqrt((rows**2).mean(axis=1, keepdims=True)) + LEAST_CONTRAST)


def gray_and_edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gray values of an image, and the lengths of its gradients."""
    gray = as_float(as_gray(image)).astype(np.float64)
    padded = np.pad(gray, 1, mode="edge")
    return gray, np.hypot(padded[2:, 1:-1] - padded[:-2, 1:-1], padded[1:-1, 2:] - padded[1:-1, :-2]) / 2


class HOGInversionDisplay(Display):
    """An image, its HOG, and the pixels and edges that a linear model makes from the HOG alone.

    The last two panels show which structure is left in HOG. The method is the simplest one: ridge regression from the code of a
    block of cells to the pixels of the block, and to its edges, learned from other images; overlapping blocks are averaged.

    HOG contains neither brightness nor colour. With unsigned orientations, it does not even contain which side of an edge is
    brighter. The model then puts there what was usual in the images that it learned from: pixels come back if objects are
    always brighter than their background, as in digits; otherwise, only edges do. Cells of 4 pixels give sharper images than
    cells of 8.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    inverted : array of shape (2, height, width)
        Pixels and edges made from HOG; the scale of values does not matter, and NaN means unknown.
    hog : HOG
    n_images : int
        Number of images that the model learned from.

    Attributes
    ----------
    correlations_ : tuple of two floats
        Correlations of the inverted pixels with the gray values of the image, and of the inverted edges with the lengths of
        its gradients. NaN if one of them is uniform.
    axes_ : array of matplotlib Axes
        Axes of the image, the strokes, the pixels and the edges.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    C. Vondrick, A. Khosla, T. Malisiewicz and A. Torralba, "HOGgles: visualizing object detection features", ICCV 2013. Ridge
    regression is one of its baselines.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import HOG
    >>> from featrec.plotting import HOGInversionDisplay
    >>> train, test = load_dataset("digits")
    >>> hog = HOG(pixels_per_cell=2, cells_per_block=2)
    >>> display = HOGInversionDisplay.from_estimator(hog, test[0], train)
    >>> [round(correlation, 1) for correlation in display.correlations_]
    [0.8, 0.8]
    """

    def __init__(self, image: Any, inverted: Any, hog: HOG, *, n_images: int):
        self.image = read_image(image)
        self.inverted = np.asarray(inverted, np.float64)
        self.hog = hog
        self.n_images = n_images
        if self.inverted.shape != (2, *self.image.shape[:2]):
            raise InputError(f"the inverted image must have shape {(2, *self.image.shape[:2])}; got {self.inverted.shape}")
        pixels, edges = map(_correlation, self.inverted, gray_and_edges(self.image))
        self.correlations_ = pixels, edges

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        image: Any,
        images: Any,
        *,
        max_images: int = 200,
        random_state: Any = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Learn the inversion from images, and apply it to the HOG of another image.

        Parameters
        ----------
        model : HOG, or a pipeline that contains it
            The steps before HOG are applied to all images.
        image : array, path, encoded bytes or PIL image
            Image to describe; it should not be one of `images`.
        images : images
            Images to learn from, such as the training set.
        max_images : int, default=200
            Number of images to learn from, drawn at random if there are more.
        random_state : int, RandomState or None, default=0
        ax : matplotlib Axes, optional

        Returns
        -------
        display : HOGInversionDisplay
        """
        from sklearn.utils import check_random_state

        steps, source = up_to_hog(model, cls.__name__), check_some_images(images, cls.__name__)
        chosen: Images = source[in_order(len(source), max_images, check_random_state(random_state))]
        for step in steps[:-1]:
            chosen = step.transform(chosen)
        seen = seen_by(steps, image)
        inversion = HOGInversion(steps[-1], seen.shape[:2])
        for position in range(len(chosen)):
            inversion.add(chosen[position])
        if not inversion.n_images:
            raise InputError(
                f"{cls.__name__}: all images are smaller than a block of {inversion.side} pixels; use Resize first"
            )
        return cls(seen, inversion.apply(seen), steps[-1], n_images=inversion.n_images).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return 11.0, float(np.clip(2.7 * self.image.shape[0] / self.image.shape[1], 1.4, 5.5)) + 0.8

    def _draw(self, ax: Axes) -> None:
        self.axes_ = panels(ax, 1, 4).ravel()
        show_image(self.axes_[0], self.image)
        caption(self.axes_[0], "image")
        plot_hog(self.image, self.hog, ax=self.axes_[1])
        caption(self.axes_[1], self.axes_[1].get_title().replace(", ", "\n"))
        for panel, made, name, share in zip(
            self.axes_[2:], self.inverted, ("pixels", "edges"), self.correlations_, strict=True
        ):
            show_image(panel, stretched(made))
            caption(panel, f"{name} made from HOG alone\ncorrelation with the true ones {share:.2f}")
        learned = f"learned from {plural(self.n_images, 'other image')}"
        heading(ax, f"HOG turned back into an image: ridge regression from blocks of cells, {learned}")


def _correlation(made: np.ndarray, true: np.ndarray) -> float:
    known = np.isfinite(made)
    varied = known.any() and made[known].std() > 0 and true[known].std() > 0
    return float(np.corrcoef(made[known], true[known])[0, 1]) if varied else float("nan")


def stretched(values: np.ndarray) -> np.ndarray:
    """Return values from 0 to 1: the 1st percentile becomes black, the 99th white, and unknown values white."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [1, 99]) if known.size else (0.0, 1.0)
    return np.nan_to_num(np.clip((values - low) / max(high - low, 1e-9), 0, 1), nan=1.0)
