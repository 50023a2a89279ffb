"""WordMapDisplay and WordHistogramsDisplay: the visual words of one image, and of two images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.pipeline import Pipeline

from featrec.bag import Bag
from featrec.exceptions import InputError
from featrec.images import read_image
from featrec.plotting._display import (
    FAINT,
    INK,
    PALETTE,
    SMALL,
    Display,
    caption,
    chart_style,
    check_count,
    heading,
    note,
    panels,
    plural,
    show_image,
)
from featrec.plotting._keypoints import frames_on, lattices_of
from featrec.plotting._keypoints_display import image_inches, why_none
from featrec.plotting._linear_weights import inner_model, steps_of
from featrec.plotting._words import OTHER, described, draw_word_map
from featrec.vocabularies import nearest_word, words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["WordHistogramsDisplay", "WordMapDisplay"]


def split_model(model: Any, display: str) -> tuple[Any, Any]:
    """Return the steps of a fitted pipeline that describe an image, as a pipeline, and the vocabulary of its encoder."""
    steps = steps_of(model)
    for place, step in enumerate(steps):
        vocabulary = vocabulary_of(step)
        if vocabulary is not None and place:
            return Pipeline([(str(i), step) for i, step in enumerate(steps[:place])]), vocabulary
    raise InputError(
        f"{display} needs a fitted pipeline of an extractor of local features and an encoder with words, such as "
        f"make_pipeline(DenseSIFT(), BagOfWords(100)).fit(images); got {type(model).__name__}"
    )


def vocabulary_of(step: Any) -> Any:
    """Return the fitted vocabulary of an encoder or a pyramid, a vocabulary itself, or None."""
    for name in ("encoder_", "vocabulary_"):
        step = inner_model(getattr(step, name, step))
    known = ("words_", "means_", "cluster_centers_")
    is_code = hasattr(step, "word_scales_")  # PatchCodes, which has words but no vocabulary
    return step if any(hasattr(step, name) for name in known) and not is_code else None


def words_in(bag: Bag, vocabulary: Any) -> tuple[np.ndarray, int]:
    """Return the word of each descriptor (of a mixture, the most probable component), and the number of words."""
    n_words = len(vocabulary.means_) if hasattr(vocabulary, "means_") else len(words_of(vocabulary)[0])
    if not len(bag.descriptors):
        return np.zeros(0, int), n_words
    if hasattr(vocabulary, "nearest"):
        words = vocabulary.nearest(bag)
    elif hasattr(vocabulary, "means_"):
        words = vocabulary.predict(bag.descriptors.astype(np.float64))
    else:
        words = nearest_word(bag.descriptors, *words_of(vocabulary))
    return np.asarray(words, int), n_words


class WordMapDisplay(Display):
    """The visual words of an image: each descriptor has the colour of its word.

    The most frequent words of the image have a colour and a number in the legend; all other words are gray. If a dense
    extractor has several sizes, the map shows the smallest descriptors.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    bag : Bag
        Bag of the image, with frames.
    words : array of shape (n,)
        Word of each descriptor.
    n_words : int
        Number of words of the vocabulary.
    n_colors : int, default=8
        Number of words with a colour, at most 10.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    plot_word_map : The same map between the image and the histogram of its words.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import BagOfWords
    >>> from featrec.plotting import WordMapDisplay
    >>> train, test = load_dataset("textures")
    >>> model = make_pipeline(DenseSIFT(step=6, bin_sizes=4), BagOfWords(20, random_state=0)).fit(train[::8])
    >>> WordMapDisplay.from_estimator(model, test[0]).ax_.get_title()
    '81 descriptors, 8 of 20 words'
    """

    def __init__(self, image: Any, bag: Bag, words: Any, *, n_words: int, n_colors: int = 8):
        self.image, self.bag = read_image(image), bag
        self.words = np.asarray(words)
        self.n_words, self.n_colors = n_words, check_count("n_colors", n_colors)
        if self.n_colors > len(PALETTE):
            raise InputError(
                f"n_colors must be between 1 and {len(PALETTE)}, the number of distinguishable colours; got {n_colors}"
            )
        frames_on(self.image, bag)
        if self.words.shape != (len(bag.descriptors),):
            raise InputError(f"words must name one word for each of {len(bag.descriptors)} descriptors; got {self.words.shape}")

    @classmethod
    def from_estimator(cls, model: Any, image: Any, *, n_colors: int = 8, ax: Axes | None = None) -> Self:
        """Describe an image and draw the words of its descriptors.

        Parameters
        ----------
        model : fitted pipeline
            A pipeline of an extractor of local features and an encoder; later steps are ignored. A Gaussian mixture assigns
            each descriptor to its most probable component.
        image : array, path, encoded bytes or PIL image
        n_colors : int, default=8
        ax : matplotlib Axes, optional

        Returns
        -------
        display : WordMapDisplay
        """
        extractor, vocabulary = split_model(model, cls.__name__)
        seen, bag = next(described(extractor, [image]))
        words, n_words = words_in(bag, vocabulary)
        return cls(seen, bag, words, n_words=n_words, n_colors=n_colors).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return image_inches(self.image, extra=1.0)

    def _draw(self, ax: Axes) -> None:
        from matplotlib.patches import Patch

        counts = np.bincount(self.words.astype(int), minlength=self.n_words)
        frequent = np.argsort(-counts, kind="stable")[: self.n_colors]
        frequent = frequent[counts[frequent] > 0]
        colors = np.full(self.n_words, OTHER, dtype=object)
        colors[frequent] = PALETTE[: len(frequent)]
        draw_word_map(ax, self.image, self.bag, self.words.astype(int), colors)
        used = int(np.count_nonzero(counts))
        lattices = lattices_of(frames_on(self.image, self.bag))
        sizes = f"\nthe map shows the smallest of {len(lattices)} sizes" if len(lattices) > 1 else ""
        heading(ax, f"{plural(len(self.words), 'descriptor')}, {used:,} of {plural(self.n_words, 'word')}{sizes}")
        if not len(self.words):
            note(ax, why_none(self.image))
            return
        handles = [
            Patch(
                facecolor=colors[word],
                edgecolor=INK,
                linewidth=0.4,
                label=f"{word}: {100 * counts[word] / len(self.words):.0f} %",
            )
            for word in frequent
        ]
        rest = 100 * (1 - counts[frequent].sum() / len(self.words))
        if rest > 0:
            handles.append(Patch(facecolor=OTHER, edgecolor=INK, linewidth=0.4, label=f"others: {rest:.0f} %"))
        below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.01), "frameon": False}
        ax.legend(handles=handles, fontsize=SMALL, labelcolor=INK, handlelength=1.2, ncols=3, **below)


class WordHistogramsDisplay(Display):
    """The visual words of two images, side by side: both images, both histograms, and what the histograms share.

    Parameters
    ----------
    images : pair of array, path, encoded bytes or PIL image
    counts : array of shape (2, n_words)
        How often each word occurs in each image.
    max_words : int, default=60
        Maximum number of words to draw: those with the largest share in either image. The title says how many are drawn.

    Attributes
    ----------
    intersection_ : float
        Sum of the smaller share of each word: 1 for equal histograms, 0 if no word occurs in both images.
    axes_ : array of matplotlib Axes
        Axes of the two images and of the histograms.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import BagOfWords
    >>> from featrec.plotting import WordHistogramsDisplay
    >>> train, test = load_dataset("textures")
    >>> model = make_pipeline(DenseSIFT(step=6, bin_sizes=4), BagOfWords(20, random_state=0)).fit(train[::8])
    >>> WordHistogramsDisplay.from_estimator(model, test[0], test[1]).counts.sum(axis=1)
    array([81, 81])
    """

    def __init__(self, images: Any, counts: Any, *, max_words: int = 60):
        if len(images) != 2:
            raise InputError(f"WordHistogramsDisplay needs two images; got {len(images)}")
        self.images = [read_image(image) for image in images]
        self.counts = np.asarray(counts)
        self.max_words = check_count("max_words", max_words)
        if self.counts.ndim != 2 or len(self.counts) != 2 or self.counts.dtype.kind not in "uif" or (self.counts < 0).any():
            raise InputError(f"counts must be an array of shape (2, n_words), 0 or more; got {self.counts.shape}")
        self.shares = self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1e-12)
        self.intersection_ = float(self.shares.min(axis=0).sum())

    @classmethod
    def from_estimator(cls, model: Any, image: Any, other: Any, *, max_words: int = 60, ax: Axes | None = None) -> Self:
        """Describe two images and draw the histograms of their words.

        Parameters
        ----------
        model : fitted pipeline
            A pipeline of an extractor of local features and an encoder; later steps are ignored.
        image, other : array, path, encoded bytes or PIL image
        max_words : int, default=60
        ax : matplotlib Axes, optional

        Returns
        -------
        display : WordHistogramsDisplay
        """
        extractor, vocabulary = split_model(model, cls.__name__)
        seen, counts = [], []
        for picture, bag in described(extractor, [image, other]):
            words, n_words = words_in(bag, vocabulary)
            seen.append(picture)
            counts.append(np.bincount(words, minlength=n_words))
        return cls(seen, np.stack(counts), max_words=max_words).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return 10.0, 4.0

    def _draw(self, ax: Axes) -> None:
        grid = panels(ax, 1, 2, width_ratios=[1, 3.2]).ravel()
        pictures = panels(grid[0], 2, 1).ravel()
        self.axes_ = np.array([*pictures, grid[1]], dtype=object)
        for panel, image, name, counts in zip(pictures, self.images, "AB", self.counts, strict=True):
            show_image(panel, image)
            caption(panel, f"{name}: {plural(int(counts.sum()), 'descriptor')}")
        self._draw_bars(grid[1])

    def _draw_bars(self, ax: Axes) -> None:
        """Draw the words in descending order of the difference of their shares, A above and B below the axis."""
        n_words = self.shares.shape[1]
        shown = np.sort(np.argsort(-self.shares.max(axis=0), kind="stable")[: self.max_words])
        shown = shown[self.shares[:, shown].any(axis=0)]
        shown = shown[np.argsort(self.shares[1, shown] - self.shares[0, shown], kind="stable")]
        places = np.arange(len(shown))
        for row, sign, color in ((0, 1, PALETTE[4]), (1, -1, PALETTE[0])):
            ax.bar(places, 100 * sign * self.shares[row, shown], color=color, width=0.9, label="AB"[row])
        ax.axhline(0, color=INK, linewidth=0.8)
        if len(shown) <= 60:
            ax.set_xticks(places, shown, rotation=90 if len(shown) > 20 else 0)
        largest = 105 * max(float(self.shares.max()), 1e-3)
        ax.set_ylim(-largest, largest)
        ax.set_xlim(-0.8, len(shown) - 0.2)
        chart_style(ax, "word; left: more frequent in A, right: more frequent in B", "% of the descriptors")
        ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        ax.tick_params(axis="x", labelsize=SMALL - 2 if len(shown) > 20 else SMALL, length=0)
        ax.spines["bottom"].set_color(FAINT)
        box: dict[str, Any] = {"fontsize": 12, "weight": "bold", "color": INK, "transform": ax.transAxes}
        ax.text(0.99, 0.97, "A", ha="right", va="top", **box)
        ax.text(0.01, 0.03, "B", ha="left", va="bottom", **box)
        used = int(self.shares.any(axis=0).sum())
        some = f"{len(shown)} of the {used}" if len(shown) < used else f"{used}"
        heading(self.ax_, f"{some} words that occur, of {n_words:,}; the histograms share {100 * self.intersection_:.0f} %")
        empty = [name for name, counts in zip("AB", self.counts, strict=True) if not counts.sum()]
        if empty:
            note(ax, "no local features in " + ("images A and B" if len(empty) == 2 else f"image {empty[0]}"))
