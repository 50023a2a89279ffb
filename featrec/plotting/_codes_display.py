"""CodesDisplay: the codes of images in two dimensions, with thumbnails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_random_state

from featrec.exceptions import InputError
from featrec.lazy import Images
from featrec.plotting._display import (
    INK,
    SMALL,
    Display,
    bare,
    check_count,
    check_labels,
    check_some_images,
    heading,
    in_order,
    looks_of,
    shortened,
    thumbnail_of,
)
from featrec.plotting._linear_weights import inner_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CodesDisplay"]

METHODS = ("pca", "tsne")
# t-SNE receives this number of principal components.
REDUCED = 50
# Side of a thumbnail, as a share of the width of the figure.
SIDE = 0.055


class CodesDisplay(Display):
    """The codes of images in two dimensions: each point is an image, and some images are drawn at their points.

    With "pca", the axes are the two directions with the largest variance; distances are those of the codes, as far as two
    dimensions show them. With "tsne", neighbours stay neighbours, but sizes of clusters and distances between them mean
    nothing.

    Parameters
    ----------
    points : array of shape (n, 2)
        Places of the images.
    labels : array-like of shape (n,), optional
        Class of each image; each class has its own colour and marker.
    thumbnails : dict of int to array
        Small images to draw, keyed by the row of their point.
    title : str, default="codes in two dimensions"

    Attributes
    ----------
    shown_ : array of ints
        Rows of the thumbnails that are drawn: those that do not overlap.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    L. van der Maaten and G. Hinton, "Visualizing data using t-SNE", JMLR 2008.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import HOG
    >>> from featrec.plotting import CodesDisplay
    >>> train, test = load_dataset("digits")
    >>> hog = HOG(pixels_per_cell=2, cells_per_block=2)
    >>> display = CodesDisplay.from_estimator(hog, test, test.labels)
    >>> display.points.shape
    (599, 2)
    """

    def __init__(self, points: Any, *, labels: Any = None, thumbnails: Any = None, title: str = "codes in two dimensions"):
        self.points = np.asarray(points, np.float64)
        self.thumbnails = dict(thumbnails or {})
        self.title = title
        if self.points.ndim != 2 or self.points.shape[1] != 2 or not len(self.points):
            raise InputError(f"points must have shape (n, 2), n at least 1; got {self.points.shape}")
        if not np.isfinite(self.points).all():
            raise InputError("points must be finite; some are NaN or infinite")
        self.labels = None if labels is None else check_labels(labels, len(self.points), "labels")

    @classmethod
    def from_estimator(cls, model: Any, images: Any, labels: Any = None, **options: Any) -> Self:
        """Compute the codes of images and draw them.

        Parameters
        ----------
        model : fitted transformer or pipeline
            If the last step is a classifier, the codes that it receives are drawn.
        images : images
        labels : array-like of shape (n_images,), optional
        **options : dict
            Options of :meth:`from_codes`.

        Returns
        -------
        display : CodesDisplay
        """
        model = inner_model(model)
        if hasattr(model, "steps") and not hasattr(model.steps[-1][1], "transform"):
            model = model[:-1]
        if not hasattr(model, "transform"):
            raise InputError(f"{cls.__name__} needs a model that returns codes; {type(model).__name__} has no transform")
        source = check_some_images(images, cls.__name__)
        labels = None if labels is None else check_labels(labels, len(source), "labels")
        most, random = check_count("max_points", options.pop("max_points", 2000), 2), options.get("random_state", 0)
        rows = in_order(len(source), most, check_random_state(random))
        kept = None if labels is None else labels[rows]
        return cls.from_codes(model.transform(source[rows]), source[rows], kept, n_images=len(source), **options)

    @classmethod
    def from_codes(
        cls,
        codes: Any,
        images: Any = None,
        labels: Any = None,
        *,
        method: str = "pca",
        max_points: int = 2000,
        max_thumbnails: int = 80,
        n_images: int | None = None,
        random_state: Any = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw codes.

        Parameters
        ----------
        codes : array of shape (n, width)
        images : images, optional
            The n images. Only some are read, for thumbnails.
        labels : array-like of shape (n,), optional
        method : {"pca", "tsne"}, default="pca"
            "tsne" takes some seconds for a thousand images.
        max_points : int, default=2000
            Maximum number of codes to draw, drawn at random if there are more. The title says how many there are.
        max_thumbnails : int, default=80
            Maximum number of thumbnails. Thumbnails that would overlap are left out.
        n_images : int, optional
            Number of all images, for the title. Default: the number of codes.
        random_state : int, RandomState or None, default=0
        ax : matplotlib Axes, optional

        Returns
        -------
        display : CodesDisplay
        """
        rows = codes if isinstance(codes, np.ndarray) else np.asarray(codes)
        if rows.ndim != 2 or len(rows) < 2 or rows.dtype.kind not in "uif":
            raise InputError(f"codes must be numbers of shape (n, width), n at least 2; got {rows.dtype} of shape {rows.shape}")
        if method not in METHODS:
            raise InputError(f"method must be one of {METHODS}; got {method!r}")
        source = None if images is None else check_some_images(images, cls.__name__)
        if source is not None and len(source) != len(rows):
            raise InputError(f"each of the {len(rows)} codes needs its image; got {len(source)} images")
        labels = None if labels is None else check_labels(labels, len(rows), "labels")
        random = check_random_state(random_state)
        chosen = in_order(len(rows), check_count("max_points", max_points, 2), random)
        points, axes = places_of(rows[chosen], method, random)
        some = "" if len(chosen) == (total := n_images or len(rows)) else f" of {total:,}"
        title = f"{len(chosen):,}{some} images: {axes}"
        pictures = (
            {} if source is None else _thumbnails(source, chosen, check_count("max_thumbnails", max_thumbnails, 0), random)
        )
        return cls(points, labels=None if labels is None else labels[chosen], thumbnails=pictures, title=title).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return 8.6, 6.6

    def _draw(self, ax: Axes) -> None:
        classes = np.unique(self.labels) if self.labels is not None else np.array(["images"])
        numbers = np.searchsorted(classes, self.labels) if self.labels is not None else np.zeros(len(self.points), int)
        looks = looks_of(len(classes))
        for number, (name, look) in enumerate(zip(classes, looks, strict=True)):
            here = self.points[numbers == number]
            style: dict[str, Any] = {"c": look.color, "marker": look.marker, "edgecolors": INK, "linewidths": 0.3}
            ax.scatter(here[:, 0], here[:, 1], s=20, label=shortened(name, 18), **style)
        bare(ax)
        ax.spines[:].set(visible=True, color=INK, linewidth=0.4)
        ax.margins(0.06)
        self._draw_thumbnails(ax, [looks[number].color for number in numbers])
        if self.labels is not None:
            columns = -(-len(classes) // 20)
            place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "ncols": columns, "frameon": False}
            ax.legend(fontsize=SMALL, labelcolor=INK, markerscale=1.4, handletextpad=0.3, **place)
        drawn = f"; {len(self.shown_)} are drawn" if len(self.shown_) else ""
        heading(ax, f"{self.title}{drawn}")

    def _draw_thumbnails(self, ax: Axes, colors: list[str]) -> None:
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage

        low, high = self.points.min(axis=0), self.points.max(axis=0)
        places = (self.points - low) / np.where(high > low, high - low, 1)
        aspect = self._inches()[0] / self._inches()[1]
        shown: list[int] = []
        for row in self.thumbnails:
            gaps = np.abs(places[shown] - places[row]) if shown else np.empty((0, 2))
            if not ((gaps[:, 0] < SIDE) & (gaps[:, 1] < SIDE * aspect)).any():
                shown.append(int(row))
        self.shown_ = np.array(shown, int)
        for row in shown:
            image = self.thumbnails[row]
            zoom = 26 / max(image.shape[:2])
            picture = OffsetImage(image, zoom=zoom, interpolation="nearest" if zoom > 1 else "antialiased")
            frame = {"edgecolor": colors[row], "linewidth": 2.0, "facecolor": "white"}
            ax.add_artist(AnnotationBbox(picture, tuple(self.points[row]), pad=0.08, bboxprops=frame))


def places_of(codes: np.ndarray, method: str, random: np.random.RandomState) -> tuple[np.ndarray, str]:
    """Return points of shape (n, 2), and what they are."""
    from sklearn.decomposition import PCA

    if not (codes != codes[0]).any():
        return np.zeros((len(codes), 2)), "all codes are equal"
    n_components = min(REDUCED if method == "tsne" else 2, *codes.shape)
    pca = PCA(n_components, random_state=random, svd_solver="randomized" if min(codes.shape) > 500 else "auto")
    reduced = pca.fit_transform(codes.astype(np.float32))
    if method == "pca":
        share = 100 * float(np.nan_to_num(pca.explained_variance_ratio_).sum())
        points = np.column_stack([reduced, np.zeros((len(codes), 2 - reduced.shape[1]))])
        return points, f"two principal components of their codes, {share:.0f} % of the variance"
    from sklearn.manifold import TSNE

    perplexity = min(30.0, max(1.0, (len(codes) - 1) / 3))
    start = "pca" if reduced.shape[1] > 1 else "random"
    return TSNE(2, perplexity=perplexity, init=start, random_state=random).fit_transform(reduced), "t-SNE of their codes"


def _thumbnails(source: Images, chosen: np.ndarray, most: int, random: np.random.RandomState) -> dict[int, np.ndarray]:
    """Read thumbnails of some of the chosen images, keyed by their position among them."""
    return {int(row): thumbnail_of(source, int(chosen[row])) for row in random.permutation(len(chosen))[:most]}
