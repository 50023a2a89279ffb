"""Figures of explanations: maps and bars with Matplotlib, and the plots of the package shap."""

from __future__ import annotations

import textwrap
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.exceptions import InputError, MissingExtraError
from featrec.explanation._summary import grouped, sentence, strongest, target_told, word_label
from featrec.images import as_rgb, as_uint8

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from featrec.explanation._explanation import Explanation, ImageExplanation

__all__ = ["draw_image", "draw_patches", "draw_sheet", "draw_words", "shap_of_image", "shap_of_images"]


def shap_of_image(item: ImageExplanation, by: str) -> Any:
    """Return a shap.Explanation with one feature per word or per part."""
    shap = _shap()
    if by not in {"word", "part"}:
        raise InputError(f'by must be "word" or "part"; got {by!r}')
    if by == "part":
        labels = _part_labels(item)
        return shap.Explanation(item.values, item.base_value, data=np.array(labels, dtype=object), feature_names=labels)
    groups = grouped(item, item.words)
    return shap.Explanation(
        np.array([group.value for group in groups]),
        item.base_value,
        data=np.array([len(group.members) for group in groups]),
        feature_names=[group.label for group in groups],
    )


def shap_of_images(explanation: Explanation) -> Any:
    """Return a shap.Explanation with one row per image and one column per word."""
    shap = _shap()
    if not len(explanation):
        raise InputError("there are no images to explain, so there is no shap.Explanation")
    columns: dict[str, int] = {}
    rows, bases = [], []
    for item in explanation:
        groups = grouped(item, item.words)
        for group in groups:
            columns.setdefault(group.label, len(columns))
        places = np.array([columns[group.label] for group in groups], int)
        rows.append((places, [group.value for group in groups], [len(group.members) for group in groups]))
        bases.append(item.base_value)
    values, counts = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)), int)
    for row, (places, sums, numbers) in enumerate(rows):
        values[row, places], counts[row, places] = sums, numbers
    return shap.Explanation(values, np.array(bases), data=counts, feature_names=list(columns))


def _shap() -> Any:
    try:
        import shap
    except ImportError as error:
        raise MissingExtraError("to_shap needs the package shap; pip install shap") from error
    return shap


def _part_labels(item: ImageExplanation) -> list[str]:
    return [
        name or (f"{source}: word {word}" if word >= 0 else f"{source} at {x:.0f}, {y:.0f}")
        for name, source, word, (x, y) in zip(item.names, item.source, item.words, item.frames[:, :2], strict=True)
    ]


COLUMNS = 4


def draw_image(
    item: ImageExplanation, ax: Axes | None = None, *, n: int = 3, title: str | None = None, bar: bool = True
) -> Axes:
    """Draw contributions over the image, with the outlines of the strongest parts."""
    from featrec.plotting import Region, plot_contributions

    regions = [Region(item.outlines[row], sign > 0) for sign in (-1, 1) for row in (strongest(item, n, sign) if n else ())]
    told = sentence(item) if title is None else title
    return plot_contributions(item.image, item.values, item.outlines, title=told, regions=regions, bar=bar, ax=ax)


def draw_patches(item: ImageExplanation, n: int) -> Figure:
    """Draw the patches with the largest contributions for and against the target."""
    from featrec.plotting import Patch, cut_patch, plot_patch_rows, signed_text

    _check_count(n)
    words, image = item.words, as_rgb(as_uint8(item.image))
    rows = [
        (
            name,
            [
                Patch(cut_patch(image, item.outlines[row]), signed_text(item.values[row]), word_label(words[row]))
                for row in strongest(item, n, sign)
            ],
        )
        for name, sign in (("for", 1), ("against", -1))
    ]
    return plot_patch_rows(rows, title=sentence(item))


def draw_words(item: ImageExplanation, n: int, ax: Axes | None = None) -> Axes:
    """Draw the contributions of the strongest words as bars, and the sum of all others."""
    from featrec.plotting import plot_signed_bars

    _check_count(n)
    found = grouped(item, item.words)
    first, others = found[:n], found[n:]
    labels = [f"{group.label} ({len(group.members):,})" if len(group.members) > 1 else group.label for group in first]
    rest = f"{len(others):,} others" if others else ""
    return plot_signed_bars(
        labels,
        [group.value for group in first],
        rest=rest,
        rest_value=sum(group.value for group in others),
        title=sentence(item),
        ax=ax,
    )


def draw_sheet(explanation: Explanation, n: int) -> Figure:
    """Draw the first images of an explanation, one after another."""
    from featrec.plotting import INK, new_figure

    _check_count(n)
    shown = min(n, len(explanation))
    if not shown:
        raise InputError("there are no images to explain, so there is no figure")
    columns = min(COLUMNS, shown)
    rows = -(-shown // columns)
    figure = new_figure(2.35 * columns, 2.5 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    tallest = 0.3
    for item, ax in zip(explanation[:shown], axes, strict=False):
        draw_image(item, ax, n=0, title=textwrap.fill(_short_title(item), 28), bar=False)
        tallest = max(tallest, min(2.0, item.image.shape[0] / item.image.shape[1]))
    figure.set_size_inches(2.35 * columns, (2.25 * tallest + 0.4) * rows + 0.4)
    for ax in axes[shown:]:
        ax.set_axis_off()
    which = f"{shown} images" if shown == len(explanation) else f"The first {shown} of {len(explanation):,} images"
    told = f"{which}. Orange is for the class, blue against it. Each image has its own scale."
    figure.suptitle(textwrap.fill(told, 28 * columns), fontsize=10, color=INK)
    return figure


def _check_count(n: Any) -> None:
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise InputError(f"n must be an integer of at least 1; got {n!r}")


def _short_title(item: ImageExplanation) -> str:
    value = f"{item.decision:.3g}".replace("-", "−")
    return f"{target_told(item)}: {value}" + ("" if item.exact else f" ({item.method})")
