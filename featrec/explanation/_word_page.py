"""The page and the figure of a gallery of visual words."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from featrec.explanation._page import opened
from featrec.explanation._patch_collector import SIDE
from featrec.html_page import Section, bullets, heading, page, scrolling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from featrec.explanation._word_gallery import WordGallery

__all__ = ["GAP", "class_name", "draw_gallery", "findings", "gallery_page", "mosaic", "picture", "written"]

# Pixels between patches, and their gray value on a page, which may be light or dark.
GAP, GROUND = 2, 140
# Maximum number of words, of pairs of near duplicates, and of classes that are listed.
MOST_LISTED, MOST_PAIRS, MOST_CLASSES = 12, 40, 2
STYLE = """
.gallery-of-words td, .gallery-of-words th { vertical-align: middle; }
.gallery-of-words thead th { vertical-align: bottom; }
.gallery-of-words tbody th:first-child { min-width: 0; }
.gallery-of-words img { display: block; height: 2rem; width: auto; max-width: none; }
.gallery-of-words th:nth-child(2), .pairs th:nth-child(n) { text-align: left; }
.gallery-of-words tr:target > * { background: var(--panel); box-shadow: inset 0 2px var(--focus), inset 0 -2px var(--focus); }
.gallery-of-words tr { scroll-margin-top: 3rem; }
.filter { font: .9375rem/1.5 var(--data); }
.filter select { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--faint); border-radius: 4px;
  padding: .3rem .5rem; }
"""


def findings(gallery: WordGallery) -> list[str]:
    """Return the main findings as sentences."""
    n = len(gallery.words)
    which = f"{n:,} words" if n == gallery.n_vocabulary else f"{n:,} of {gallery.n_vocabulary:,} words"
    told = [f"{which}; {gallery.counts.sum():,} patches of {gallery.n_images:,} images belong to them."]
    if gallery.classes and gallery.counts.any():
        row = int(gallery.order("purity")[0])
        place = int(gallery.shares[row].argmax())
        share, name = f"{100 * gallery.shares[row, place]:.1f}", class_name(gallery.classes[place])
        told.append(f"Word {gallery.words[row]} has the clearest class: {share} % of its patches are from images of {name}.")
    dead, pairs = gallery.dead, gallery.near_duplicates()
    if len(dead):
        told.append(f"{_number_of(len(dead), 'word')} without patches (dead): {_listed(dead.tolist())}.")
    if pairs:
        first, second, _ = pairs[0]
        told.append(
            f"{_number_of(len(pairs), 'pair')} of words at less than half of the usual distance. "
            f"The nearest are {first} and {second}."
        )
    return told


def _number_of(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _listed(words: Sequence[int]) -> str:
    more = f" and {len(words) - MOST_LISTED:,} more" if len(words) > MOST_LISTED else ""
    return ", ".join(map(str, words[:MOST_LISTED])) + more


def _shares_told(gallery: WordGallery, row: int, most: int = MOST_CLASSES) -> str:
    """Return the most frequent classes of a word with their shares."""
    shares = gallery.shares[row]
    order = [place for place in np.argsort(-shares, kind="stable")[:most] if shares[place] >= 0.005]
    return ", ".join(f"{100 * shares[place]:.0f} % {class_name(gallery.classes[place])}" for place in order)


def class_name(label: Any) -> str:
    """Return a class as text that cannot be taken for a number."""
    return f"class {label}" if str(label).isdigit() else str(label)


def draw_gallery(gallery: WordGallery, rows: np.ndarray) -> Figure:
    """Draw words as rows of patches, and the largest share of a class (or the count) as a bar."""
    from featrec.plotting import FAINT, INK, new_figure

    n_patches = gallery.patches.shape[1]
    height = 0.42 * len(rows) + 0.75
    figure = new_figure(0.42 * n_patches + 3.6, height)
    left, right = figure.subplots(1, 2, width_ratios=(0.42 * n_patches, 2.4))
    left.imshow(np.concatenate([_row_of(gallery, row) for row in rows]), aspect="auto")
    pitch = SIDE + GAP
    left.set_yticks(pitch * np.arange(len(rows)) + SIDE / 2, [f"word {gallery.words[row]}" for row in rows], fontsize=8)
    left.set_xticks([])
    left.spines[:].set_visible(False)
    left.set_title("nearest patches first", fontsize=9, color=INK)
    places, known = np.arange(len(rows)), bool(gallery.classes)
    values = 100 * gallery.purity[rows] if known else gallery.counts[rows]
    right.barh(places, values, height=0.62, color="#56B4E9")
    for place, row, value in zip(places, rows, values, strict=True):
        text = _shares_told(gallery, row, 1) if known else f"{gallery.counts[row]:,}"
        right.text(value, place, f" {text or 'no patches'}", va="center", fontsize=7.5, color=INK)
    right.set_xlim(0, 1.75 * (100 if known else max(1, values.max())))
    right.set_ylim(len(rows) - 0.5, -0.5)
    right.set_yticks([])
    right.set_xticks([0, 50, 100] if known else [])
    right.set_title("most frequent class, % of the patches" if known else "number of patches", fontsize=9, color=INK)
    for ax in (left, right):
        ax.tick_params(length=0, colors=INK, labelsize=8)
    right.spines[["top", "right", "bottom"]].set_visible(False)
    right.spines["left"].set_color(FAINT)
    return figure


def _row_of(gallery: WordGallery, row: int) -> np.ndarray:
    """Return the patches of a word side by side, with a gap below."""
    return mosaic(gallery.patches[row], gallery.patch_images[row] >= 0, below=GAP, ground=255)


def mosaic(patches: np.ndarray, there: np.ndarray, *, below: int = 0, ground: int = GROUND) -> np.ndarray:
    """Return patches side by side, with `below` rows of the ground under them."""
    side = patches.shape[1]
    found = np.full((side + below, len(patches) * (side + GAP) - GAP, 3), ground, np.uint8)
    for place in np.flatnonzero(there):
        found[:side, place * (side + GAP) : place * (side + GAP) + side] = patches[place]
    return found


def picture(pixels: np.ndarray) -> str:
    """Return pixels as a data URL."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=82, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def written(text: str, file: str | os.PathLike | TextIO | None) -> str | None:
    """Write a page to a file, or return it if `file` is None."""
    if file is None:
        return text
    with opened(file) as out:
        out.write(text)
    return None


def gallery_page(gallery: WordGallery, rows: np.ndarray, title: str) -> str:
    """Return the page of the words in `rows`."""
    from featrec import __version__

    byline = f"{gallery.n_images:,} images, {gallery.n_vocabulary:,} words" + (f", part {gallery.part}" if gallery.part else "")
    shown = set(gallery.words[rows].tolist())
    sections = [_words(gallery, rows, shown), _pairs(gallery, shown), _method(gallery)]
    foot = f"Made by featrec {__version__}. This page makes no request to any server."
    style = STYLE + _filter_style(gallery, rows)
    return page(title, byline, findings(gallery), [one for one in sections if one], foot, style=style)


def _words(gallery: WordGallery, rows: np.ndarray, shown: set[int]) -> Section:
    header = ["word", "nearest patches", "patches", "images", *["classes", "entropy"] * bool(gallery.classes), "idf"]
    header += [*["weight for"] * (gallery.weights is not None), *["weight against"] * _has_signs(gallery), "similar"]
    body = "".join(_word(gallery, row, shown) for row in rows.tolist())
    n = len(gallery.words)
    which = f"All {n:,} words." if len(rows) == n else f"{len(rows):,} of {n:,} words."
    caption = (
        f"{which} Each row shows the patches nearest to a word, the nearest first. A click on a heading sorts the table. The "
        "weights are the largest and the smallest of all classes. The last column has the distance from the most similar other "
        "word, in units of the usual distance, and that word."
    )
    table = scrolling(f"<tr>{heading(header)}</tr>", body, "Visual words", caption, "sortable wide gallery-of-words")
    return Section("words", "Words", _filter(gallery, rows) + table)


def _has_signs(gallery: WordGallery) -> bool:
    return gallery.weights is not None and bool((gallery.weights < 0).any())


def _word(gallery: WordGallery, row: int, shown: set[int]) -> str:
    word, count = int(gallery.words[row]), int(gallery.counts[row])
    there = gallery.patch_images[row] >= 0
    alt = f"The {there.sum()} patches nearest to word {word}"
    patches = f'<img src="{picture(mosaic(gallery.patches[row][there], there[there]))}" alt="{alt}">' if count else "–"
    cells = [patches, f"{count:,}", f"{gallery.image_counts[row]:,}"]
    if gallery.classes:
        cells += [
            escape(_shares_told(gallery, row)).replace(", ", "<br>") or "–",
            f"{gallery.entropy[row]:.2f}" if count else "–",
        ]
    cells.append(f"{gallery.idf[row]:.2f}")
    if gallery.weights is not None:
        cells.append(_weight_told(gallery, row, int(gallery.weights[row].argmax())))
        if _has_signs(gallery):
            cells.append(_weight_told(gallery, row, int(gallery.weights[row].argmin())))
    cells.append(f"{gallery.separations[row]:.2f}: {_link(int(gallery.nearest_words[row]), shown)}")
    kind = f' class="c{int(gallery.class_counts[row].argmax())}"' if gallery.classes and count else ""
    tags = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr id="word-{word}"{kind}><th scope="row"><a href="#word-{word}">{word}</a></th>{tags}</tr>'


def _weight_told(gallery: WordGallery, row: int, place: int) -> str:
    assert gallery.weights is not None
    value = f"{gallery.weights[row, place]:{'+' if _has_signs(gallery) else ''}.3g}".replace("-", "−")
    return f"{value} {escape(class_name(gallery.model_classes[place]))}"


def _link(word: int, shown: set[int]) -> str:
    return f'<a href="#word-{word}">{word}</a>' if word in shown else str(word)


def _classes_there(gallery: WordGallery, rows: np.ndarray) -> list[tuple[int, int]]:
    """Return the classes that are the most frequent class of a word, and the number of these words."""
    if not gallery.classes:
        return []
    own = gallery.class_counts[rows].argmax(axis=1)[gallery.counts[rows] > 0]
    counts = np.bincount(own, minlength=len(gallery.classes))
    return [(place, int(counts[place])) for place in np.flatnonzero(counts).tolist()]


def _filter(gallery: WordGallery, rows: np.ndarray) -> str:
    """Return a list of classes to choose from."""
    there = _classes_there(gallery, rows)
    options = "".join(f"<option>{escape(class_name(gallery.classes[place]))} ({n})</option>" for place, n in there)
    label = '<label for="words-of">Most frequent class</label>'
    return f'<p class="filter screen">{label} <select id="words-of"><option>all</option>{options}</select></p>' if there else ""


def _filter_style(gallery: WordGallery, rows: np.ndarray) -> str:
    """Return the style that hides the words of other classes than the chosen one, so that no script is needed."""
    return "".join(
        f"section:has(#words-of option:nth-child({at}):checked) tbody tr:not(.c{place}) {{ display: none; }}\n"
        for at, (place, _) in enumerate(_classes_there(gallery, rows), start=2)
    )


def _pairs(gallery: WordGallery, shown: set[int]) -> Section | None:
    found = [pair for pair in gallery.near_duplicates(0.7) if pair[0] in gallery.words and pair[1] in gallery.words]
    if not found:
        return None
    at = {int(word): row for row, word in enumerate(gallery.words)}
    body = "".join(
        f'<tr><th scope="row">{_link(first, shown)} and {_link(second, shown)}</th><td>{apart:#.3g}</td>'
        + "".join(f"<td>{_small(gallery, at[word])}</td>" for word in (first, second))
        + "</tr>"
        for first, second, apart in found[:MOST_PAIRS]
    )
    head = heading(["words", "distance", "first word", "second word"])
    caption = "Pairs of words at less than 0.7 times the usual distance between a word and its nearest other word."
    table = scrolling(f"<tr>{head}</tr>", body, "Similar words", caption, "sortable gallery-of-words pairs")
    return Section("pairs", "Similar words", table)


def _small(gallery: WordGallery, row: int, most: int = 5) -> str:
    there = gallery.patch_images[row][:most] >= 0
    if not there.any():
        return "–"
    return f'<img src="{picture(mosaic(gallery.patches[row][:most], there))}" alt="Patches of word {gallery.words[row]}">'


def _method(gallery: WordGallery) -> Section:
    told = [f"Distances of patches from words: {gallery.distance}.", f"Weights: {gallery.weights_told}."]
    if gallery.classes:
        told.append("Classes are shares of the patches of a word; a class with more images or more patches has larger shares.")
        chance = gallery.class_counts.sum(axis=0) / max(1, gallery.counts.sum())
        largest = np.argsort(-chance, kind="stable")[:MOST_CLASSES]
        told.append(
            f"Of all patches: {', '.join(f'{100 * chance[k]:.1f} % {class_name(gallery.classes[k])}' for k in largest)}."
        )
    return Section("method", "How to read this", bullets(told))
