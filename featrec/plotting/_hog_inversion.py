"""HOGInversionDisplay: an image that a linear model makes from HOG alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone

from featrec.descriptors import HOG
from featrec.exceptions import InputError
from featrec.images import as_float, as_gray, read_image
from featrec.lazy import Images
from featrec.plotting._canvas import show_image
from featrec.plotting._display import Display, caption, check_some_images, heading, in_order, panels, plural
from featrec.plotting._hog import plot_hog
from featrec.plotting._hog_display import seen_by, up_to_hog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HOGInversion", "HOGInversionDisplay"]

# Added to the standard deviation of a block (white is 1), so that noise in uniform blocks is not amplified.
LEAST_CONTRAST = 0.02
# Penalty of the ridge regression, as a share of the mean squared length of a code.
PENALTY = 0.01


class HOGInversion:
    """Ridge regression from the HOG code of a block to its pixels, learned from images.

    The pixels of a block are standardised, because HOG keeps neither its mean nor its contrast. The sums of products are
    accumulated image by image, so memory does not grow with the number of images.

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
        self.products = np.zeros((width, self.side[0] * self.side[1]))
        self.n_images = 0

    def add(self, image: np.ndarray) -> None:
        """Learn from one image; images smaller than a block are left out."""
        if min(np.array(image.shape[:2]) - self.side) < 0:
            return
        codes, pixels = self._codes(image), self._pixels(image)
        self.squares += codes.T @ codes
        self.products += codes.T @ pixels
        self.n_images += 1

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the gray image that the HOG of an image stands for; overlapping blocks are averaged. Values are relative."""
        penalty = PENALTY * np.trace(self.squares) / len(self.squares)
        weights = np.linalg.solve(self.squares + penalty * np.eye(len(self.squares)), self.products)
        patches = (self._codes(image) @ weights).reshape(-1, *self.side)
        sums, counts = (np.zeros(image.shape[:2]) for _ in range(2))
        for (top, left), patch in zip(self._corners(image), patches, strict=True):
            place = slice(top, top + self.side[0]), slice(left, left + self.side[1])
            sums[place] += patch
            counts[place] += 1
        return np.where(counts, sums / np.maximum(counts, 1), np.nan)

    def _corners(self, image: np.ndarray) -> list[tuple[int, int]]:
        down, across = (
            length // pixels - cells + 1 for length, pixels, cells in zip(image.shape[:2], self.cell, self.block, strict=True)
        )
        return [(i * self.cell[0], j * self.cell[1]) for i in range(down) for j in range(across)]

    def _codes(self, image: np.ndarray) -> np.ndarray:
        """Return the code of each block, and a constant column."""
        codes = self.hog.extract(image).reshape(len(self._corners(image)), -1).astype(np.float64)
        return np.column_stack([codes, np.ones(len(codes))])

    def _pixels(self, image: np.ndarray) -> np.ndarray:
        """Return the standardised pixels of each block."""
        gray = as_float(as_gray(image)).astype(np.float64)
        blocks = [gray[top : top + self.side[0], left : left + self.side[1]].ravel() for top, left in self._corners(image)]
        pixels = np.stack(blocks)
        pixels -= pixels.mean(axis=1, keepdims=True)
        return pixels / (pixels.std(axis=1, keepdims=True) + LEAST_CONTRAST)


class HOGInversionDisplay(Display):
    """An image, its HOG, and the image that a linear model makes from the HOG alone.

    The third panel shows which structure is left in HOG. Its method is the simplest one: ridge regression from the code of a
    block of cells to the standardised pixels of the block, learned from other images; overlapping blocks are averaged. HOG
    does not contain brightness and colour, and with unsigned orientations it does not contain which side of an edge is
    brighter. What the model puts there is what was usual in the images that it learned from.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    inverted : array of shape (height, width)
        The image made from HOG; the scale of values does not matter, and NaN means unknown.
    hog : HOG
    n_images : int
        Number of images that the model learned from.

    Attributes
    ----------
    correlation_ : float
        Correlation between the inverted image and the gray values of the image. NaN if one of them is uniform.
    axes_ : array of matplotlib Axes
        Axes of the image, of the strokes and of the inverted image.
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
    >>> round(display.correlation_, 1)
    0.8
    """

    def __init__(self, image: Any, inverted: Any, hog: HOG, *, n_images: int):
        self.image = read_image(image)
        self.inverted = np.asarray(inverted, np.float64)
        self.hog = hog
        self.n_images = n_images
        if self.inverted.shape != self.image.shape[:2]:
            raise InputError(f"the inverted image must have shape {self.image.shape[:2]}; got {self.inverted.shape}")
        known = np.isfinite(self.inverted)
        gray = as_float(as_gray(self.image))[known]
        varied = known.any() and gray.std() > 0 and self.inverted[known].std() > 0
        self.correlation_ = float(np.corrcoef(gray, self.inverted[known])[0, 1]) if varied else float("nan")

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
        return 9.5, float(np.clip(3.1 * self.image.shape[0] / self.image.shape[1], 1.6, 6.0)) + 1.0

    def _draw(self, ax: Axes) -> None:
        self.axes_ = panels(ax, 1, 3).ravel()
        show_image(self.axes_[0], self.image)
        caption(self.axes_[0], "image")
        plot_hog(self.image, self.hog, ax=self.axes_[1])
        caption(self.axes_[1], self.axes_[1].get_title())
        show_image(self.axes_[2], stretched(self.inverted))
        caption(self.axes_[2], f"made from HOG alone\ncorrelation with the gray image {self.correlation_:.2f}")
        learned = f"learned from {plural(self.n_images, 'other image')}"
        heading(ax, f"HOG turned back into an image: ridge regression from blocks to pixels, {learned}")


def stretched(values: np.ndarray) -> np.ndarray:
    """Return values from 0 to 1: the 1st percentile becomes black, the 99th white, and unknown values white."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [1, 99]) if known.size else (0.0, 1.0)
    return np.nan_to_num(np.clip((values - low) / max(high - low, 1e-9), 0, 1), nan=1.0)
