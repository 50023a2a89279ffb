"""summarize and Summary: what a class, or a confusion of two classes, is made of, as means over many explanations."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np

from featrec.base import check_sizes
from featrec.exceptions import InputError
from featrec.explanation._explanation import Explanation
from featrec.explanation._patch_collector import ElementTable, ImageRecord, record_of
from featrec.labels import as_labels
from featrec.parallel import each_batch

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

__all__ = ["Element", "GroupSummary", "Summary", "summarize"]

# Number of images of a group whose explanations are shown on a page.
SHEET = 12
KINDS = ("word", "name", "place")


class Element(NamedTuple):
    """A visual word, a named part or a place, with its mean contribution.

    `kind` is "word", "name" or "place"; `element` is the number of the word, the name of the part, or (row, column) of the
    place. `value` is the mean contribution over all images of the group, `images` the share of images in which it is not zero.
    `examples` lists (image, contribution, outline) of the parts with the largest contributions, one per image.
    """

    kind: str
    source: str
    element: Any
    value: float
    images: float
    examples: list[tuple[int, float, np.ndarray]]

    def __repr__(self) -> str:
        return (
            f"Element({self.source}, {self.kind} {self.element}: {self.value:+.3g}, in {100 * self.images:.0f} % of the images)"
        )


@dataclass(frozen=True, eq=False, repr=False)
class GroupSummary:
    """The mean of the explanations of one class, or of one pair of classes.

    Parameters
    ----------
    group : class, pair of classes, or label
    target : class or pair of classes
        What is explained: the decision value of a class, or of one class rather than another one.
    n_images : int
    decision : float
        Mean decision value.
    base_value : float
        Mean base value. If the explanations are exact, it equals `decision` minus the sum of all mean contributions.
    exact : bool
    elements : tuple of Element
        All words, named parts and places, the largest mean contribution first. Parts that have a word or a name and a place
        are counted twice: once among words and names, and once among places.
    places : array of shape (rows, columns)
        Mean contribution of all parts whose centre lies in a cell of a grid over the image.
    positions : array of int
        The positions of the images with the largest decision values in the explanation.
    """

    group: Any
    target: Any
    n_images: int
    decision: float
    base_value: float
    exact: bool
    elements: tuple[Element, ...]
    places: np.ndarray
    positions: np.ndarray

    def top(self, n: int = 10, *, kind: str | None = None, against: bool = False) -> list[Element]:
        """Return the elements with the largest mean contributions.

        Parameters
        ----------
        n : int, default=10
        kind : {"word", "name", "place"}, optional
            Default: words and named parts, or places if there are none of these.
        against : bool, default=False
            Whether to return the elements with the most negative contributions instead, the most negative first.
        """
        if kind is not None and kind not in KINDS:
            raise InputError(f'kind must be "word", "name" or "place"; got {kind!r}')
        wanted = (kind,) if kind else ("word", "name")
        found = [one for one in self.elements if one.kind in wanted]
        if not found and kind is None:
            found = list(self.elements)
        found = [one for one in found if (one.value < 0 if against else one.value > 0)]
        return (found[::-1] if against else found)[:n]

    def __repr__(self) -> str:
        return f"GroupSummary({self.group!r}: {self.n_images} images, mean decision {self.decision:.3g})"


@dataclass(frozen=True, eq=False, repr=False)
class Summary(Sequence):
    """What classes are made of: a sequence of :class:`GroupSummary`. Made by :func:`summarize`.

    ``summary["street"]`` is the summary of a class, ``summary["highway", "street"]`` that of a pair. ``summary[0]`` is the
    summary of class 0 if classes are integers, otherwise that of the first group.

    Parameters
    ----------
    groups : tuple of GroupSummary
        Classes in the order of the model; pairs by the number of images, the largest first.
    explanation : Explanation
    """

    groups: tuple[GroupSummary, ...]
    explanation: Explanation = field(repr=False)

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[GroupSummary]:
        return iter(self.groups)

    def __getitem__(self, key: Any) -> Any:
        for one in self.groups:
            if type(key) is type(one.group) and key == one.group:
                return one
        if isinstance(key, (int, slice)):
            return self.groups[key]
        raise KeyError(f"{key!r} is not a group; the groups are {', '.join(repr(one.group) for one in self.groups)}")

    def __repr__(self) -> str:
        return f"Summary({len(self.groups)} groups, {sum(one.n_images for one in self.groups):,} images)"

    def to_frame(self) -> pandas.DataFrame:
        """Return a DataFrame with one row per group and element: group, kind, source, element, value and share of images."""
        import pandas

        rows = [
            (str(group.group), one.kind, one.source, str(one.element), one.value, one.images)
            for group in self.groups
            for one in group.elements
        ]
        return pandas.DataFrame(rows, columns=["group", "kind", "source", "element", "value", "images"])

    def plot(self, group: Any = None, n: int = 6) -> Figure:
        """Draw the strongest elements with example patches, and a map of the places.

        Parameters
        ----------
        group : class or pair of classes, optional
            The group to draw in detail. Default: an overview of up to 12 groups, or the only group in detail.
        n : int, default=6
            Number of elements for the target, and of elements against it. In an overview, the number of elements for it.

        Returns
        -------
        matplotlib Figure
        """
        from featrec.explanation._class_page import draw_group, draw_groups

        (n,) = check_sizes("n", n, 1)
        if group is None and len(self) > 1:
            return draw_groups(self, n)
        return draw_group(self, self.groups[0] if group is None else self[group], n)

    def to_html(
        self,
        file: str | os.PathLike | TextIO | None = None,
        *,
        n: int = 12,
        title: str | None = None,
        words_page: str | None = None,
    ) -> str | None:
        """Write one HTML page without outside requests: the strongest elements of each group, and images with explanations.

        Parameters
        ----------
        file : path or text file, optional
            If None, the page is returned as text.
        n : int, default=12
            Number of elements for the target, and of elements against it.
        title : str, optional
        words_page : str, optional
            The address of the page of a :class:`WordGallery`, such as "words.html", to which words are linked.

        Returns
        -------
        page : str or None
            The page if `file` is None.
        """
        from featrec.explanation._class_page import summary_page
        from featrec.explanation._word_page import written

        (n,) = check_sizes("n", n, 1)
        return written(summary_page(self, n, title, words_page), file)


def summarize(
    explanation: Explanation,
    groups: Any = None,
    *,
    grid: int | tuple[int, int] = 4,
    n_examples: int = 4,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Summary:
    """Average explanations: which words, named parts and places a class is made of, or why two classes are confused.

    The explanations are computed one after another. Memory depends on the numbers of words and classes (about 0.3 kB for each
    word and class), not on the number of images.

    Parameters
    ----------
    explanation : Explanation
        For classes, ``explain(model, images, labels)``. For confusions, ``explain_errors(model, images, labels)``.
    groups : array of shape (n_images,), optional
        The group of each image. Default: the target of each image.
    grid : int or tuple of (rows, columns), default=4
        Grid of the places: the contribution of a part belongs to the cell that contains its centre.
    n_examples : int, default=4
        Number of example patches per element.
    n_jobs : int, optional
        Number of threads.
    verbose : int, default=0

    Returns
    -------
    summary : Summary

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.explanation import explain, summarize
    >>> from featrec.recipes import bovw_svm
    >>> train, test = load_dataset("textures", n_train=5, n_test=2)
    >>> model = bovw_svm(n_words=30).fit(train, train.labels)
    >>> summary = summarize(explain(model, test, test.labels))
    >>> brick = summary["brick"]
    >>> brick.n_images, brick.places.shape, brick.top(1)[0].kind
    (2, (4, 4), 'word')
    """
    if not isinstance(explanation, Explanation):
        raise InputError(
            f"summarize needs an Explanation, such as explain(model, images, labels); got {type(explanation).__name__}"
        )
    if not len(explanation):
        raise InputError("summarize needs at least one image; got none")
    rows, columns = check_sizes("grid", grid, 2)
    (n_examples,) = check_sizes("n_examples", n_examples, 1)
    labels = None if groups is None else as_labels(groups, len(explanation), what="groups").tolist()
    work = _Work(explanation, (rows, columns))
    tables: dict[tuple[Any, Any], ElementTable] = {}
    for records in each_batch(
        work, np.arange(len(explanation)), n_jobs=n_jobs, verbose=verbose, label="images explained", shared_memory=True
    ):
        for record in records:
            group = record.target if labels is None else labels[record.position]
            table = tables.get((group, record.target))
            if table is None:
                table = tables[group, record.target] = ElementTable((rows, columns), n_examples, SHEET)
            table.add(record)
    found = [_group_summary(group, target, table) for (group, target), table in tables.items()]
    return Summary(tuple(sorted(found, key=_order_in(explanation.classes))), explanation)


@dataclass(frozen=True)
class _Work:
    explanation: Explanation
    grid: tuple[int, int]

    def __call__(self, positions: np.ndarray) -> list[ImageRecord]:
        return [record_of(self.explanation[at], at, self.grid) for at in positions.tolist()]


def _order_in(classes: tuple) -> Any:
    def key(one: GroupSummary) -> tuple:
        if isinstance(one.group, tuple) or one.group not in classes:
            return 1, -one.n_images, str(one.group)
        return 0, classes.index(one.group), ""

    return key


def _group_summary(group: Any, target: Any, table: ElementTable) -> GroupSummary:
    n = table.n_images
    return GroupSummary(
        group=group,
        target=target,
        n_images=n,
        decision=table.decision / n,
        base_value=table.base_value / n,
        exact=table.exact,
        elements=tuple(sorted(_elements(table), key=lambda one: -one.value)),
        places=table.places() / n,
        positions=table.strongest(),
    )


def _elements(table: ElementTable) -> Iterator[Element]:
    for kind, source, element, total, count, examples in table.rows():
        yield Element(kind, source, element, total / table.n_images, count / table.n_images, examples)
