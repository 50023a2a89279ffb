"""KeypointsDisplay and DenseGridDisplay: where the descriptors of an image are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import InputError
from featrec.images import read_image
from featrec.plotting._display import INK, PALETTE, SMALL, Display, check_count, heading, note, plural, show_image
from featrec.plotting._keypoints import frames_on, lattices_of, plot_keypoints
from featrec.plotting._linear_weights import bags_part
from featrec.plotting._words import described

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DenseGridDisplay", "KeypointsDisplay", "image_inches"]


def image_inches(image: np.ndarray, width: float = 5.0, extra: float = 0.6) -> tuple[float, float]:
    """Return the size of a figure of one image with its title."""
    return width, float(np.clip(width * image.shape[0] / image.shape[1], 1.5, 2 * width)) + extra


class KeypointsDisplay(Display):
    """Keypoints on their image: a circle for the scale, and a line for the angle.

    Create it with :meth:`from_estimator`, or from an image and its Bag.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
        Image that the bag was extracted from.
    bag : Bag
        Bag with frames.
    max_frames : int, default=500
        Maximum number of keypoints to draw, evenly spaced in the Bag. The title says how many are drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.descriptors import ORB
    >>> from featrec.plotting import KeypointsDisplay
    >>> display = KeypointsDisplay.from_estimator(ORB(n_features=80), camera())
    >>> print(display.ax_.get_title())
    80 keypoints
    circle: size of the keypoint, line: its angle
    """

    def __init__(self, image: Any, bag: Bag, *, max_frames: int = 500):
        self.image = read_image(image)
        self.bag = bag
        self.max_frames = check_count("max_frames", max_frames)
        frames_on(self.image, bag)

    @classmethod
    def from_estimator(cls, extractor: Any, image: Any, *, max_frames: int = 500, ax: Axes | None = None) -> Self:
        """Extract the local features of an image and draw them.

        Parameters
        ----------
        extractor : extractor of local features, or a pipeline that contains one
            An encoder and all steps after it are ignored.
        image : array, path, encoded bytes or PIL image
        max_frames : int, default=500
        ax : matplotlib Axes, optional

        Returns
        -------
        display : KeypointsDisplay
        """
        seen, bag = next(described(bags_part(extractor), [image]))
        return cls(seen, bag, max_frames=max_frames).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return image_inches(self.image)

    def _draw(self, ax: Axes) -> None:
        plot_keypoints(self.image, self.bag, max_frames=self.max_frames, ax=ax)
        frames = frames_on(self.image, self.bag)
        if not len(frames):
            note(ax, why_none(self.image))
        elif not lattices_of(frames):
            angles = ", line: its angle" if (frames[:, 3] >= 0).any() else ""
            heading(ax, f"{ax.get_title()}\ncircle: size of the keypoint{angles}")


def why_none(image: np.ndarray) -> str:
    """Return why an image may have no local features."""
    height, width = image.shape[:2]
    return f"no local features in this image\nof {height}×{width} pixels: it is uniform,\nor too small for the extractor"


class DenseGridDisplay(Display):
    """Dense descriptors on their image: the grid of their centres, and the square that a descriptor of each size covers.

    Create it with :meth:`from_estimator`, or from an image and its Bag.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
        Image that the bag was extracted from.
    bag : Bag
        Bag of a dense extractor, such as DenseSIFT or Patches.
    max_centers : int, default=400
        Maximum number of centres to draw for each size. If there are more, every second, third ... centre is drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.plotting import DenseGridDisplay
    >>> extractor = DenseSIFT(step=8, bin_sizes=(4, 6))
    >>> display = DenseGridDisplay.from_estimator(extractor, camera()[::4, ::4])
    >>> display.ax_.get_title()
    '421 descriptors of 2 sizes, every 8 pixels'
    """

    def __init__(self, image: Any, bag: Bag, *, max_centers: int = 400):
        self.image = read_image(image)
        self.bag = bag
        self.max_centers = check_count("max_centers", max_centers)
        frames = frames_on(self.image, bag)
        self.lattices = lattices_of(frames)
        if len(frames) and not self.lattices:
            raise InputError(
                "DenseGridDisplay needs descriptors on a grid, such as those of DenseSIFT or Patches; these have angles or are "
                "not on a grid. Use KeypointsDisplay."
            )

    @classmethod
    def from_estimator(cls, extractor: Any, image: Any, *, max_centers: int = 400, ax: Axes | None = None) -> Self:
        """Extract the local features of an image and draw their grid.

        Parameters
        ----------
        extractor : dense extractor, or a pipeline that contains one
            An encoder and all steps after it are ignored.
        image : array, path, encoded bytes or PIL image
        max_centers : int, default=400
        ax : matplotlib Axes, optional

        Returns
        -------
        display : DenseGridDisplay
        """
        seen, bag = next(described(bags_part(extractor), [image]))
        return cls(seen, bag, max_centers=max_centers).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return image_inches(self.image)

    def _draw(self, ax: Axes) -> None:
        height, width = self.image.shape[:2]
        show_image(ax, self.image, opacity=0.75)
        ax.set_xlim(-0.5, width - 0.5)
        ax.set_ylim(height - 0.5, -0.5)
        total = sum(lattice.places.size for lattice in self.lattices)
        sizes = plural(len(self.lattices), "size")
        if not self.lattices:
            heading(ax, "0 descriptors")
            note(ax, why_none(self.image))
            return
        thinned = self._draw_centers(ax)
        self._draw_squares(ax)
        heading(ax, f"{plural(total, 'descriptor')} of {sizes}, {self._spacing()}{thinned}")

    def _spacing(self) -> str:
        steps = {float(step) for lattice in self.lattices for step in np.diff(lattice.xs)}
        return f"every {min(steps):g} pixel{'' if min(steps) == 1 else 's'}" if steps else "one column"

    def _draw_centers(self, ax: Axes) -> str:
        """Draw the centres of the smallest size; return a remark if some are left out."""
        finest = self.lattices[0]
        every = int(np.ceil(np.sqrt(finest.places.size / self.max_centers)))
        x, y = np.meshgrid(finest.xs[every // 2 :: every], finest.ys[every // 2 :: every])
        ax.scatter(x, y, s=8, c="white", edgecolors=INK, linewidths=0.6, zorder=2.5)
        return "" if every == 1 else f"\ndots: one of {every**2} centres of the smallest size"

    def _draw_squares(self, ax: Axes) -> None:
        """Draw one square for each size around the central descriptor, with the largest first."""
        from matplotlib.patches import Rectangle

        for place, lattice in reversed(list(enumerate(self.lattices))):
            side, color = lattice.diameter, PALETTE[(5, 4, 2, 3, 0, 7, 1, 9, 8, 6)[place % len(PALETTE)]]
            x, y = _central(lattice.xs, self.image.shape[1]) - side / 2, _central(lattice.ys, self.image.shape[0]) - side / 2
            for edge, strength in (("white", 3.6), (color, 2.0)):
                square = Rectangle((x, y), side, side, fill=False, edgecolor=edge, linewidth=strength, zorder=3)
                ax.add_patch(square)
            square.set_label(f"{side:g} pixels wide: {lattice.places.size:,}")
        handles, names = ax.get_legend_handles_labels()
        below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.01), "frameon": False}
        ncols = min(3, len(handles))
        ax.legend(handles[::-1], names[::-1], fontsize=SMALL, labelcolor=INK, handlelength=1.0, ncols=ncols, **below)


def _central(places: np.ndarray, length: int) -> float:
    """Return the place that is nearest to the middle of the image."""
    return float(places[np.abs(places - (length - 1) / 2).argmin()])
