"""WhiteningDisplay: patches before and after whitening."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from featrec.bag import Bag
from featrec.descriptors import Whiten
from featrec.exceptions import InputError
from featrec.plotting._display import (
    PALETTE,
    Display,
    bare,
    caption,
    chart_style,
    check_count,
    check_some_images,
    heading,
    in_order,
    panels,
    plural,
)
from featrec.plotting._linear_weights import steps_of
from featrec.plotting._words import described

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["WhiteningDisplay", "as_patches", "signed_mosaic"]

# Gap between patches, as a share of their side.
GAP = 0.15
# Colour between patches, which differs from white.
BETWEEN = (0.82, 0.88, 0.96)
# Maximum number of images that patches are drawn from.
LOOKED_AT = 50
# Components with a smaller share of the largest variance contain only rounding errors.
RANK = 1e-9


def as_patches(rows: np.ndarray, what: str) -> np.ndarray:
    """Return rows of pixels as square patches of shape (n, side, side, channels)."""
    width = rows.shape[1]
    for channels in (1, 3):
        side = round((width / channels) ** 0.5)
        if side * side * channels == width:
            return rows.reshape(len(rows), side, side, channels)
    raise InputError(f"{what} must have as many columns as a square patch of gray or RGB pixels; got {width}")


def signed_mosaic(patches: np.ndarray, columns: int, *, limit: float | None = None) -> np.ndarray:
    """Return patches in rows as one RGB image. 0 is medium gray, `limit` white; None: each patch has its own limit."""
    n, height, width = patches.shape[:3]
    largest = np.abs(patches).reshape(n, -1).max(axis=1) if limit is None else np.full(n, limit)
    values = 0.5 + 0.5 * patches / np.where(largest > 0, largest, 1)[:, None, None, None]
    values = np.clip(np.broadcast_to(values, (n, height, width, 3)), 0, 1)
    gap = max(1, round(GAP * height))
    rows = -(-n // columns)
    mosaic = np.empty((rows * (height + gap) - gap, columns * (width + gap) - gap, 3))
    mosaic[:] = BETWEEN
    for place, patch in enumerate(values):
        top, left = (place // columns) * (height + gap), (place % columns) * (width + gap)
        mosaic[top : top + height, left : left + width] = patch
    return mosaic


class WhiteningDisplay(Display):
    """Patches before and after whitening, and the variances of their principal components.

    Whitening removes what neighbouring pixels have in common: smooth shading disappears, and edges and fine detail remain.
    Medium gray is 0. All patches of a panel share one scale.

    Parameters
    ----------
    patches, whitened : arrays of shape (n, d)
        Patches before and after. Whitened patches look like patches only after ``Whiten(whiten="zca")``; for other whitenings,
        they are rotated back (``whitened @ components``).
    variances : array of shape (n_components,), optional
        Variances of the principal components before whitening, drawn as a curve.

    Attributes
    ----------
    axes_ : array of matplotlib Axes
        Axes of both sets of patches, and of the variances if they are known.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import Patches, Whiten
    >>> from featrec.plotting import WhiteningDisplay
    >>> train, test = load_dataset("digits")
    >>> model = make_pipeline(Patches(4), Whiten(whiten="zca", epsilon=0.1)).fit(train[:200])
    >>> WhiteningDisplay.from_estimator(model, test).patches.shape
    (48, 16)
    """

    def __init__(self, patches: Any, whitened: Any, *, variances: Any = None):
        self.patches, self.whitened = np.asarray(patches, np.float64), np.asarray(whitened, np.float64)
        self.variances = None if variances is None else np.asarray(variances, np.float64)
        if self.patches.ndim != 2 or self.patches.shape != self.whitened.shape or not len(self.patches):
            raise InputError(
                "patches and whitened must be arrays of the same shape (n, d), n at least 1; "
                f"got {self.patches.shape} and {self.whitened.shape}"
            )
        as_patches(self.patches, "patches")

    @classmethod
    def from_estimator(
        cls, model: Any, images: Any, *, n_patches: int = 48, random_state: Any = 0, ax: Axes | None = None
    ) -> Self:
        """Draw patches of images before and after the whitening of a fitted pipeline.

        Parameters
        ----------
        model : fitted pipeline with Patches and Whiten
            Later steps are ignored.
        images : images
            At most 50 of them are read.
        n_patches : int, default=48
            Number of patches, drawn at random.
        random_state : int, RandomState or None, default=0
        ax : matplotlib Axes, optional

        Returns
        -------
        display : WhiteningDisplay
        """
        steps = steps_of(model)
        place = next((place for place, step in enumerate(steps) if isinstance(step, Whiten)), 0)
        if not place:
            raise InputError(f"{cls.__name__} needs a pipeline with Patches and Whiten; got {type(model).__name__}")
        whiten, count = steps[place], check_count("n_patches", n_patches)
        patches = _some_descriptors(steps[:place], images, count, check_random_state(random_state), cls.__name__)
        whitened = whiten.transform([Bag(patches)])[0].descriptors.astype(np.float64)
        if whiten.whiten != "zca":
            whitened = whitened @ whiten.components_
        return cls(patches, whitened, variances=whiten.explained_variance_).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return (10.0, 3.9) if self.variances is not None else (7.0, 3.6)

    def _draw(self, ax: Axes) -> None:
        columns = max(1, round((len(self.patches) * 1.0) ** 0.5))
        self.axes_ = panels(ax, 1, 2 + (self.variances is not None)).ravel()
        for panel, rows, name in zip(self.axes_, (self.patches, self.whitened), ("before", "after"), strict=False):
            squares = as_patches(rows, "patches")
            limit = float(np.quantile(np.abs(rows), 0.99)) or 1.0
            panel.imshow(signed_mosaic(squares, columns, limit=limit), interpolation="nearest")
            bare(panel)
            caption(panel, f"{name} whitening")
        if self.variances is not None:
            self._draw_variances(self.axes_[2])
        side = as_patches(self.patches, "patches").shape[1]
        heading(ax, f"{plural(len(self.patches), 'patch', 'patches')} of {side}×{side} pixels, drawn at random; gray is 0")

    def _draw_variances(self, ax: Axes) -> None:
        assert self.variances is not None
        positive = self.variances > RANK * self.variances.max(initial=0)
        places = 1 + np.arange(len(self.variances))
        ax.plot(places[positive], self.variances[positive], color=PALETTE[4], marker="o", markersize=3, linewidth=1.2)
        ax.set_yscale("log")
        chart_style(ax, "principal component", "variance before whitening")
        flat = int((~positive).sum())
        caption(ax, "whitening makes these equal" + (f"\n({plural(flat, 'component')} without variance)" if flat else ""))


def _some_descriptors(steps: list[Any], images: Any, count: int, random: np.random.RandomState, display: str) -> np.ndarray:
    """Draw descriptors from at most 50 images."""
    source = check_some_images(images, display)
    chosen = source[in_order(len(source), LOOKED_AT, random)]
    each = -(-count // len(chosen))
    rows = []
    for _, bag in described(Pipeline([(str(place), step) for place, step in enumerate(steps)]), chosen):
        rows.append(bag.descriptors[in_order(len(bag.descriptors), each, random)])
    found = np.concatenate(rows).astype(np.float32)
    if not len(found):
        raise InputError(f"{display}: none of the {len(chosen)} images has a patch; they are smaller than a patch. Use Resize.")
    return found[in_order(len(found), count, random)]
