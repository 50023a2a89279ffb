"""Explanation: what each part of each image adds to a decision."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np

from featrec.exceptions import InputError
from featrec.explanation._target import Part, Target, moved
from featrec.images import Contributions
from featrec.lazy import Images, LazySequence

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Explanation", "ImageExplanation"]


class PartRows(NamedTuple):
    """The rows of one extractor's parts; `words` computes their visual words, or is None if they are not descriptors."""

    start: int
    stop: int
    words: Callable[[], np.ndarray] | None

    def moved(self, by: int) -> PartRows:
        return PartRows(self.start + by, self.stop + by, self.words)


@dataclass(frozen=True, eq=False)
class ImageExplanation:
    """Why a model decided as it did about one image. Made by :func:`explain`.

    Parameters
    ----------
    values : array of shape (n,), float64
        What each part of the image adds to the decision value: positive values favour the target.
    frames : array of shape (n, 4), float32
        x, y, diameter and angle (-1 for none) of each part in `image`; NaN for parts without a place, such as colour bins.
    outlines : array of shape (n, 4, 2)
        The corners of each part in `image`, x first; NaN for parts without a place.
    source : array of shape (n,), str
        The step of the pipeline, or the part of a ``FeatureUnion``, that each part belongs to.
    base_value : float
        The decision value without any part: if `exact`, ``values.sum() + base_value`` equals `decision`.
    decision : float
        The decision value of the target.
    target : class or tuple of two classes
    exact : bool
        Whether the decision is the sum of the contributions.
    method : {"sum", "path", "rules", "neighbors", "occlusion"}
    names : array of shape (n,), str
        Descriptions of parts, such as colour bins; "" if the place of a part describes it.
    image : array of shape (h, w) or (h, w, 3)
        The user's image.
    neighbors : tuple of (index, class, distance)
        Training images that the decision is based on; only for nearest neighbours.
    """

    values: np.ndarray
    frames: np.ndarray
    outlines: np.ndarray
    source: np.ndarray
    base_value: float
    decision: float
    target: Any
    exact: bool
    method: str
    names: np.ndarray
    image: np.ndarray = field(repr=False)
    neighbors: tuple[tuple[int, Any, float], ...] = field(default=(), repr=False)
    _parts: tuple[PartRows, ...] = field(default=(), repr=False)

    @classmethod
    def of_parts(
        cls,
        parts: Sequence[Part],
        decision: float,
        method: str,
        target: Target,
        image: np.ndarray,
        *,
        base_value: float | None = None,
        neighbors: tuple = (),
    ) -> ImageExplanation:
        """Join the parts of several extractors. By default, the base value is what the parts do not explain."""
        found = [part.contributions for part in parts]
        values = np.concatenate([one.values for one in found]) if found else np.zeros(0)
        ends = np.cumsum([0, *(len(one.values) for one in found)]).tolist()
        rows = [PartRows(start, stop, part.words) for start, stop, part in zip(ends, ends[1:], parts, strict=False)]
        return cls(
            values,
            np.concatenate([one.frames for one in found]) if found else np.zeros((0, 4), np.float32),
            np.concatenate([one.outlines for one in found]) if found else np.zeros((0, 4, 2)),
            np.repeat([part.source for part in parts] or [""], np.diff(ends) if found else [0]),
            float(decision - values.sum() if base_value is None else base_value),
            decision,
            target.label,
            method == "sum",
            method,
            np.concatenate([_names(one) for one in found]) if found else np.zeros(0, dtype=str),
            image,
            neighbors,
            tuple(rows),
        )

    @classmethod
    def mean_of(cls, found: Sequence[ImageExplanation]) -> ImageExplanation:
        """Return the mean over several models or views. Parts at the same places are averaged, others are joined."""
        first, n = found[0], len(found)
        base, decision = float(np.mean([one.base_value for one in found])), float(np.mean([one.decision for one in found]))
        same = all(
            one.outlines.shape == first.outlines.shape
            and (one.source == first.source).all()
            and (one.names == first.names).all()
            and np.allclose(one.outlines, first.outlines, equal_nan=True)
            for one in found
        )
        if same:
            values = np.mean([one.values for one in found], axis=0)
            return replace(first, values=values, base_value=base, decision=decision)
        starts = np.cumsum([0, *(len(one.values) for one in found)])
        rows = [rows.moved(int(at)) for at, one in zip(starts, found, strict=False) for rows in one._parts]
        return replace(
            first,
            values=np.concatenate([one.values for one in found]) / n,
            frames=np.concatenate([one.frames for one in found]),
            outlines=np.concatenate([one.outlines for one in found]),
            source=np.concatenate([one.source for one in found]),
            names=np.concatenate([one.names for one in found]),
            base_value=base,
            decision=decision,
            neighbors=tuple(one for each in found for one in each.neighbors),
            _parts=tuple(rows),
        )

    def moved(self, affine: np.ndarray, image: np.ndarray) -> ImageExplanation:
        """Return the explanation in the coordinates of another image."""
        placed = moved(Contributions(self.values, self.frames, self.outlines), affine)
        return replace(self, frames=placed.frames, outlines=placed.outlines, image=image)

    def __repr__(self) -> str:
        kind = "exact" if self.exact else self.method
        return f"ImageExplanation({len(self.values)} parts, {self.target!r}: {self.decision:.4g}, {kind})"

    @property
    def words(self) -> np.ndarray:
        """The visual word of each part, of shape (n,), int: its nearest word or most probable component; -1 for other parts."""
        words = np.full(len(self.values), -1)
        for rows in self._parts:
            if rows.words is not None:
                words[rows.start : rows.stop] = rows.words()
        return words

    def _sentence(self) -> str:
        """Return the decision as a sum, in one line."""
        from featrec.explanation._summary import sentence

        return sentence(self)

    def _sums(self) -> dict[str, float]:
        """Return the sum of the contributions of each word (or name, or place), the largest first."""
        from featrec.explanation._summary import grouped

        return {group.label: group.value for group in grouped(self, self.words)}

    def plot(self, ax: Axes | None = None, *, n_outlines: int = 3) -> Axes:
        """Draw the contributions over a faded gray copy of the image.

        Each contribution is spread evenly over the area of its part. Orange pixels favour the target, blue pixels are against
        it. The strongest parts are outlined: solid lines favour the target, dashed lines are against it. Parts without a place,
        such as colour bins, are only in :meth:`plot_words`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. Default: the axes of a new figure.
        n_outlines : int, default=3
            Number of outlined parts for the target, and number of outlined parts against it.

        Returns
        -------
        matplotlib Axes
        """
        from featrec.explanation._figures import draw_image

        return draw_image(self, ax, n=n_outlines)

    def plot_patches(self, n: int = 8) -> Figure:
        """Draw the `n` patches with the largest contributions for the target and the `n` with the largest against it.

        Patches are cut from the image and turned upright, as the model sees them. Patches close to a stronger one are left out,
        because they show almost the same pixels. Parts much smaller than the image are shown with their surroundings.
        """
        from featrec.explanation._figures import draw_patches

        return draw_patches(self, n)

    def plot_words(self, n: int = 12, ax: Axes | None = None) -> Axes:
        """Draw the sum of the contributions of each visual word as bars; the numbers of parts are in brackets.

        The `n` words with the largest sums are drawn, and the sum of all others. Parts without words are added up by name, or
        by source.
        """
        from featrec.explanation._figures import draw_words

        return draw_words(self, n, ax)

    def to_html(
        self,
        file: str | os.PathLike | TextIO | None = None,
        *,
        title: str = "Explanation",
        n_patches: int = 6,
        n_words: int = 10,
        words_page: str | None = None,
    ) -> str | None:
        """Write one HTML page without outside requests: the image with its contributions, patches and words.

        Parameters
        ----------
        file : path or text file, optional
            If None, the page is returned as text.
        title : str, default="Explanation"
        n_patches : int, default=6
            Number of patches for the target, and number of patches against it.
        n_words : int, default=10
            Number of words in the table. Words of the patches are added.
        words_page : str, optional
            Address of a page with an anchor ``#word-17`` for word 17; words in the table link to it.

        Returns
        -------
        page : str or None
            The page if `file` is None.
        """
        from featrec.explanation._page import image_page, pages

        options: dict[str, Any] = {"n_patches": n_patches, "n_words": n_words, "words_page": words_page}
        return pages(lambda out: image_page(self, out, title=title, **options), file)

    def to_frame(self) -> pandas.DataFrame:
        """Return a DataFrame with one row per part: source, name, word, value, x, y, diameter and angle."""
        import pandas

        places = dict(zip(("x", "y", "diameter", "angle"), self.frames.T, strict=True))
        return pandas.DataFrame({"source": self.source, "name": self.names, "word": self.words, "value": self.values, **places})

    def to_shap(self, by: str = "word") -> Any:
        """Return a ``shap.Explanation`` for the plots of the package shap, which must be installed.

        Parameters
        ----------
        by : {"word", "part"}, default="word"
            "word": one feature per visual word (or name, or place) with the sum of its contributions; its data are the numbers
            of parts. "part": one feature per part; its data are words, names or places.

        Returns
        -------
        shap.Explanation
            With the shape (n_features,).
        """
        from featrec.explanation._figures import shap_of_image

        return shap_of_image(self, by)


def _names(found: Contributions) -> np.ndarray:
    return np.array(found.names if found.names is not None else [""] * len(found.values), dtype=str)


class Explanation(LazySequence):
    """The explanations of several images: a sequence whose items are computed when they are accessed.

    ``explanation[3]`` is an :class:`ImageExplanation`; a slice, a mask or a list of positions gives another Explanation. Only
    one item is in memory at a time, so the number of images is not limited.

    Attributes
    ----------
    classes : tuple
        The classes of the model.
    """

    _by_item = ("targets",)
    source: Images

    def __init__(self, images: Images, compute: Callable, targets: Sequence, classes: tuple):
        super().__init__(images)
        self.compute, self.classes = compute, classes
        self.targets = np.empty(len(targets), dtype=object)
        self.targets[:] = targets

    def __repr__(self) -> str:
        return f"Explanation({len(self)} images, {len(self.classes)} classes)"

    def _compute(self, position: int) -> ImageExplanation:
        row = int(self.rows[position])
        with self.source.naming(row):
            image = self.source[row]
            found: ImageExplanation = self.compute(image, self.targets[position], self.classes)
        return found

    def _again(self, position: int, image: np.ndarray, label: Any) -> ImageExplanation:
        """Explain a changed image, for the same target."""
        labels = label if isinstance(label, tuple) else (label, None)
        first, second = (None if one is None else self.classes.index(one) for one in labels)
        found: ImageExplanation = self.compute(image, (first, second), self.classes)
        return found

    def plot(self, n: int = 12) -> Figure:
        """Draw the contributions of the first `n` images. Each image has its own scale of colours."""
        from featrec.explanation._figures import draw_sheet

        return draw_sheet(self, n)

    def to_html(
        self,
        file: str | os.PathLike | TextIO | None = None,
        *,
        title: str = "Explanations",
        limit: int | None = 50,
        n_patches: int = 6,
        n_words: int = 10,
        words_page: str | None = None,
    ) -> str | None:
        """Write one HTML page without outside requests: each image with its contributions, patches and words.

        Images are computed and written one after another, so memory does not grow with their number. If the model has
        ``predict_proba``, the page has probabilities, too.

        Parameters
        ----------
        file : path or text file, optional
            If None, the page is returned as text.
        title : str, default="Explanations"
        limit : int or None, default=50
            Maximum number of images. If there are more, the first ones are written, and the page says so. None means all; one
            image takes about 100 kB.
        n_patches : int, default=6
            Number of patches for the target, and number of patches against it.
        n_words : int, default=10
            Number of words in the table. Words of the patches are added.
        words_page : str, optional
            Address of a page with an anchor ``#word-17`` for word 17; words in the table link to it.

        Returns
        -------
        page : str or None
            The page if `file` is None.
        """
        from featrec.explanation._page import pages, write_page

        options: dict[str, Any] = {"n_patches": n_patches, "n_words": n_words, "words_page": words_page}
        return pages(lambda out: write_page(self, out, title=title, limit=limit, **options), file)

    def to_shap(self) -> Any:
        """Return a ``shap.Explanation`` of all images, such as for ``shap.plots.beeswarm``. Set `target` in :func:`explain`.

        It has one row per image and one column per visual word (or name, or place). Its data are the numbers of parts.
        """
        from featrec.explanation._figures import shap_of_images

        return shap_of_images(self)

    def to_frame(self) -> pandas.DataFrame:
        """Return a DataFrame with one row per part of each image; the column `image` has the position of the image."""
        import pandas

        frames = [one.to_frame().assign(image=int(at)) for at, one in zip(self.positions, self, strict=True)]
        if not frames:
            raise InputError("there are no images to explain, so there is no DataFrame")
        table = pandas.concat(frames, ignore_index=True)
        return table[["image", *(name for name in table.columns if name != "image")]]
