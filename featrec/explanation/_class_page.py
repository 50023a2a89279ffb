"""The figures and the page of a summary of explanations."""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from featrec.exceptions import FeatrecError
from featrec.explanation._patch_collector import SIDE, cut_all
from featrec.explanation._word_page import GAP, class_name, mosaic, picture
from featrec.html_page import Section, bullets, heading, page, scrolling
from featrec.images import as_gray, as_rgb, as_uint8

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from featrec.explanation._class_summary import Element, GroupSummary, Summary

__all__ = ["draw_group", "draw_groups", "summary_page"]

# Maximum number of groups in an overview, and on a page.
MOST_DRAWN, MOST_GROUPS = 12, 40
# Names with fewer characters are not broken into lines.
SHORT = 20
# Sides of a place in the map on a page, and of an image in a sheet, in pixels.
CELL, PICTURE = 28, 176
STYLE = """
.elements td, .elements th { vertical-align: middle; } .elements thead th { vertical-align: bottom; }
.elements tbody th { max-width: 12rem; white-space: normal; }
.elements img { display: block; height: 1.75rem; width: auto; max-width: none; }
.elements th:nth-child(2) { text-align: left; }
.elements tbody th:first-child { min-width: 4.5rem; }
.group { display: flex; flex-wrap: wrap; gap: 0 2.5rem; }
.group > * { max-width: 100%; }
.group .caption { max-width: 21rem; }
.places { margin: 1rem 0; width: 11rem; }
.places img { display: block; width: 100%; image-rendering: pixelated; border: 1px solid var(--rule); background: #fff; }
"""


def target_told(group: GroupSummary) -> str:
    """Return what is explained as text."""
    if isinstance(group.target, tuple):
        return f"{class_name(group.target[0])} rather than {class_name(group.target[1])}"
    return class_name(group.target)


def group_told(group: GroupSummary) -> str:
    """Return the group and what is explained as text."""
    told = target_told(group)
    return told if group.group == group.target else f"{class_name(group.group)}: {told}"


def element_told(one: Element, several: bool) -> str:
    """Return the name of an element; with its source, if there are several."""
    if one.kind == "word":
        name = f"word {one.element}"
    elif one.kind == "place":
        name = f"row {one.element[0] + 1}, column {one.element[1] + 1}"
    else:
        name = str(one.element)
    return f"{one.source}: {name}" if several else name


def sentences(group: GroupSummary) -> list[str]:
    """Return the decision, and the strongest element of each kind, as sentences."""
    n = f"{group.n_images:,} image" + "s" * (group.n_images != 1)
    base = f", base value {_number(group.base_value)}" if group.exact else ""
    told = [f"{n}, mean decision value {_number(group.decision)}{base}."]
    several = _several(group)
    parts = []
    for kind in ("word", "name", "place"):
        for one in group.top(1, kind=kind):
            name = element_told(one, several)
            name = name.replace("row", "place in row", 1) if kind == "place" else name
            parts.append(f"{name} ({_number(one.value, signed=True)})")
    return [*told, f"Strongest: {'; '.join(parts)}."] if parts else told


def _number(value: float, *, signed: bool = False) -> str:
    return f"{value:{'+' if signed else ''}.3g}".replace("-", "−")


def _several(group: GroupSummary) -> bool:
    return len({one.source for one in group.elements}) > 1


def _patches(summary: Summary, one: Element, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the examples of an element as squares, and which of them there are. Without a place, the whole image is shown."""
    found, there = np.full((n, SIDE, SIDE, 3), 255, np.uint8), np.zeros(n, bool)
    for place, (at, _, outline) in enumerate(one.examples[:n]):
        try:
            image = as_rgb(as_uint8(_image(summary, at)))
        except FeatrecError:  # moved or damaged since
            continue
        if not np.isfinite(outline).all():
            height, width = image.shape[:2]
            outline = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
        found[place], there[place] = cut_all(image, outline[None])[0], True
    return found, there


def _image(summary: Summary, at: int) -> np.ndarray:
    image: np.ndarray = summary.explanation.source[int(summary.explanation.rows[at])]
    return image


def draw_groups(summary: Summary, n: int) -> Figure:
    """Draw the strongest elements of each group as patches, with a map of its places."""
    from featrec.plotting import INK, new_figure

    groups = summary.groups[:MOST_DRAWN]
    names = {group: [_wrapped(one, _several(group)) for one in group.top(n)] for group in groups}
    most_lines = max((name.count("\n") for found in names.values() for name in found), default=0)
    figure = new_figure(0.95 * n + 2.6, (0.98 + 0.1 * most_lines) * len(groups) + 0.6)
    grid = figure.subplots(len(groups), n + 1, squeeze=False)
    for line, group in zip(grid, groups, strict=True):
        _draw_places(line[0], group)
        label = textwrap.fill(group_told(group), 18)
        line[0].set_ylabel(f"{label}\n({group.n_images:,})", fontsize=8, color=INK, rotation=0, ha="right", va="center")
        found = group.top(n)
        for place, ax in enumerate(line[1:]):
            _bare(ax)
            if place < len(found):
                one = found[place]
                patches, there = _patches(summary, one, 1)
                ax.imshow(patches[0] if there[0] else np.full((SIDE, SIDE, 3), 235, np.uint8))
                text = f"{names[group][place]}\n{_number(one.value, signed=True)}"
                ax.set_xlabel(text, fontsize=6.5, color=INK, labelpad=1)
    grid[0, 0].set_title("places", fontsize=8, color=INK)
    more = f" (the first {len(groups)} of {len(summary)})" if len(groups) < len(summary) else ""
    title = f"Largest mean contributions{more}, strongest first, each with one example"
    figure.suptitle(textwrap.fill(title, 16 * (n + 1)), fontsize=10, color=INK)
    return figure


def draw_group(summary: Summary, group: GroupSummary, n: int) -> Figure:
    """Draw the elements for and against the target of a group: example patches, bars and a map of the places."""
    from featrec.plotting import AGAINST, FOR, INK, new_figure

    found, several = [*group.top(n), *group.top(n, against=True)[::-1]], _several(group)
    n_patches = max([len(one.examples) for one in found], default=1) or 1
    labels = [textwrap.fill(element_told(one, several), 34) for one in found]
    lines = max(5, sum(max(1, label.count("\n") * 0.6) for label in labels))
    figure = new_figure(0.42 * n_patches + 6.6, 0.42 * lines + 0.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(0.42 * n_patches, 2.2, 2.0))
    rows = [mosaic(*_patches(summary, one, n_patches), below=GAP, ground=255) for one in found]
    pitch = SIDE + GAP
    left.imshow(np.concatenate(rows) if rows else np.full((pitch, pitch, 3), 255, np.uint8), aspect="auto")
    left.set_yticks(pitch * np.arange(len(found)) + SIDE / 2, labels, fontsize=8)
    left.set_xticks([])
    left.set_title("examples", fontsize=9, color=INK)
    values = [one.value for one in found]
    middle.barh(np.arange(len(found)), values, height=0.62, color=[FOR if value > 0 else AGAINST for value in values])
    middle.axvline(0, color=INK, linewidth=0.8)
    for place, value in enumerate(values):
        middle.text(
            value, place, f" {_number(value, signed=True)} ", va="center", ha="left" if value > 0 else "right", fontsize=7.5
        )
    span = max([abs(value) for value in values], default=1.0)
    middle.set_xlim(min([0.0, *values]) - 0.45 * span * any(value < 0 for value in values), max([0.0, *values]) + 0.45 * span)
    middle.set_ylim(max(1, len(found)) - 0.5, -0.5)
    middle.set_yticks([])
    middle.set_title("mean contribution", fontsize=9, color=INK)
    for ax in (left, middle):
        ax.tick_params(length=0, colors=INK, labelsize=8)
        ax.spines[:].set_visible(False)
    _draw_places(right, group, numbers=True)
    right.set_title("by place in the image", fontsize=9, color=INK)
    figure.suptitle(textwrap.fill(f"{group_told(group)}: {sentences(group)[0]}", 86), fontsize=10, color=INK)
    return figure


def _wrapped(one: Element, several: bool) -> str:
    return textwrap.fill(textwrap.shorten(element_told(one, several), 60, placeholder="…"), 18)


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _draw_places(ax: Axes, group: GroupSummary, *, numbers: bool = False) -> None:
    from featrec.plotting import FAINT, INK, tinted

    limit = np.abs(group.places).max() or 1.0
    ax.imshow(np.full((*group.places.shape, 3), 255, np.uint8))
    ax.imshow(tinted(group.places, limit))
    _bare(ax)
    ax.spines[:].set(visible=True, color=FAINT, linewidth=0.6)
    if numbers:
        for (row, column), value in np.ndenumerate(group.places):
            ax.text(column, row, _number(value, signed=True), ha="center", va="center", fontsize=6, color=INK)


def summary_page(summary: Summary, n: int, title: str | None, words_page: str | None) -> str:
    """Return the page of a summary."""
    from featrec import __version__

    pairs = all(isinstance(group.target, tuple) for group in summary.groups)
    if title is None:
        title = "Why classes are confused" if pairs else "What classes are made of"
    shown = summary.groups[:MOST_GROUPS]
    sections = [_section(summary, group, n, words_page, place) for place, group in enumerate(shown)]
    n_images = sum(group.n_images for group in summary.groups)
    byline = f"{n_images:,} images, {len(summary)} {'pairs of classes' if pairs else 'groups'}"
    verdict = [f"{group_told(group)}: {sentences(group)[-1].removeprefix('Strongest: ')}" for group in shown[:6]]
    left_out = len(summary) - len(shown)
    verdict += [f"{left_out} groups with fewer images are left out."] * (left_out > 0)
    foot = f"Made by featrec {__version__}. This page makes no request to any server."
    return page(title, byline, verdict, [*sections, _method(summary)], foot, style=STYLE)


def _section(summary: Summary, group: GroupSummary, n: int, words_page: str | None, place: int) -> Section:
    several = _several(group)
    tables = []
    for against, told in ((False, f"For {target_told(group)}"), (True, f"Against {target_told(group)}")):
        found = group.top(n, against=against)
        if found:
            rows = "".join(_row(summary, one, several, words_page) for one in found)
            head = heading(["element", "examples", "contribution", "% images"])
            caption = f"{told}: mean contributions over {group.n_images:,} images."
            tables.append(f"<div>{scrolling(f'<tr>{head}</tr>', rows, told, caption, 'sortable elements')}</div>")
    parts = f'<div class="group">{_places_told(group)}{"".join(tables)}</div>'
    body = bullets(sentences(group)) + parts + _sheet(summary, group)
    return Section(f"group-{place}", group_told(group), body)


def _row(summary: Summary, one: Element, several: bool, words_page: str | None) -> str:
    name = escape(element_told(one, several))
    name = name.replace(" ", "&nbsp;") if len(name) < SHORT else name
    if words_page and one.kind == "word":
        name = f'<a href="{escape(words_page)}#word-{one.element}">{name}</a>'
    patches, there = _patches(summary, one, len(one.examples))
    examples = (
        f'<img src="{picture(mosaic(patches, there))}" alt="Examples of {escape(str(one.element))}">' if there.any() else "–"
    )
    cells = (examples, _number(one.value, signed=True), f"{100 * one.images:.0f}")
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _places_told(group: GroupSummary) -> str:
    """Return a map of the mean contributions by place."""
    if not np.abs(group.places).any():
        return ""
    from featrec.plotting import tinted

    pixels = np.kron(_on_white(tinted(group.places, np.abs(group.places).max())), np.ones((CELL, CELL, 1), np.uint8))
    alt = "Mean contributions by place: orange for, blue against"
    caption = "<figcaption>By place in the image: orange is for the target, blue against it.</figcaption>"
    return f'<figure class="places"><img src="{picture(pixels)}" alt="{alt}">{caption}</figure>'


def _on_white(colors: np.ndarray, ground: np.ndarray | int = 255) -> np.ndarray:
    opacity = colors[..., 3:].astype(np.float32) / 255
    return np.rint(opacity * colors[..., :3] + (1 - opacity) * ground).astype(np.uint8)


def _sheet(summary: Summary, group: GroupSummary) -> str:
    """Return the images with the largest decision values, each beside its explanation."""
    items = "".join(f"<li>{found}</li>" for at in group.positions.tolist() if (found := _explained(summary, at)))
    title = "Images with the largest decision values, and their explanations"
    return f'<div class="sheet"><h3>{title}</h3><ul class="gallery">{items}</ul></div>' if items else ""


def _explained(summary: Summary, at: int) -> str:
    from featrec.plotting import faded, layers_of, reduced, scale_of, tinted

    try:
        item = summary.explanation[at]
    except FeatrecError:
        return ""
    small = as_rgb(reduced(item.image, PICTURE))
    net = layers_of(item.values, item.outlines, item.image.shape, small.shape).sum(axis=0)
    colored = _on_white(tinted(net, scale_of(net)), faded(as_gray(small))[..., None])
    both = np.concatenate([small, colored], axis=1 if small.shape[0] >= small.shape[1] else 0)
    caption = f"<b>image {summary.explanation.positions[at]}</b> {_number(item.decision, signed=True)}"
    kind = ' class="tiny"' if max(small.shape) <= 64 else ""
    return f'<figure><img{kind} src="{picture(both)}" alt="Image and explanation"><figcaption>{caption}</figcaption></figure>'


def _method(summary: Summary) -> Section:
    told = [
        "A contribution is what a part of an image adds to the decision value. The contributions of the parts of an image with "
        "the same visual word, the same name, or the same place are added up and averaged over the images of the group.",
        "The places are the cells of a grid over the image. A part belongs to the cell that contains its centre.",
        "Examples are the parts with the largest contributions, one per image. Parts without a place show the whole image.",
    ]
    if not all(group.exact for group in summary.groups):
        told.append("The explanations of this model are not exact: the contributions do not add up to the decision value.")
    return Section("method", "How to read this", bullets(told))
