"""One image on the page of explanations: the image with its contributions, the strongest patches, and the words."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from featrec.explanation._summary import Group, grouped, part_names, sentence, strongest, target_told
from featrec.html_page import heading, scrolling
from featrec.images import as_gray, as_rgb, as_uint8

if TYPE_CHECKING:
    from featrec.explanation._explanation import ImageExplanation

__all__ = ["Sizes", "explained"]

# Maximum sides of pictures in pixels.
SIDE, PATCH = 400, 48
# Images whose longer side is at most this are shown enlarged, without smoothing.
TINY = 64
# Number of outlined parts for the class, and against it; number of patches of a word.
N_OUTLINES, N_OF_WORD = 3, 6
# Levels of opacity in a layer.
LEVELS = 32


class Sizes(NamedTuple):
    """The numbers of patches on each side and of words in the table, and the address of a page of words."""

    n_patches: int
    n_words: int
    words_page: str | None = None


class Word(NamedTuple):
    """A row of the table of words, and its identifier on the page."""

    group: Group
    key: str


def explained(item: ImageExplanation, name: str, key: str, sizes: Sizes, probabilities: Mapping[str, float]) -> str:
    """Return the part of the page about one image.

    Parameters
    ----------
    item : ImageExplanation
    name : str
        Heading.
    key : str
        Identifier on the page; the identifiers of words begin with it unless it is "image", the key of a single image.
    sizes : Sizes
    probabilities : dict of class to probability
        Empty if the model has none.
    """
    item = replace(item, image=as_rgb(as_uint8(item.image)))
    words = item.words
    names = part_names(item, words)
    groups = grouped(item, words)
    sides = {sign: strongest(item, sizes.n_patches, sign) for sign in (1, -1)}
    shown = _shown(groups, names, [row for rows in sides.values() for row in rows], sizes.n_words, key)
    parts = [
        f'<h3 id="{escape(key)}">{escape(name)}</h3>',
        f'<p class="told">{escape(sentence(item))}.</p>',
        _probabilities(probabilities),
        _pictures(item, name, key),
        _patches(item, names, sides, shown),
        _words(item, groups, shown, name, sizes.words_page),
        _neighbors(item),
    ]
    return f'<section class="explained" aria-labelledby="{escape(key)}">\n' + "\n".join(filter(None, parts)) + "\n</section>\n"


def _shown(groups: Sequence[Group], names: np.ndarray, rows: Sequence[int], n_words: int, key: str) -> dict[str, Word]:
    """Return the rows of the table by label: the largest groups, and the groups of the strongest patches."""
    wanted = {group.label for group in groups[:n_words]} | {str(names[row]) for row in rows}
    start = "" if key == "image" else f"{key}-"
    found: dict[str, Word] = {}
    taken: set[str] = set()
    for place, group in enumerate(groups):
        if group.label in wanted:
            own = f"{start}word-{group.word}" if group.word >= 0 else f"{start}part-{place}"
            own = own if own not in taken else f"{own}-{place}"  # two vocabularies have words of the same number
            taken.add(own)
            found[group.label] = Word(group, own)
    return found


def _probabilities(probabilities: Mapping[str, float]) -> str:
    if not probabilities:
        return ""
    first = sorted(probabilities.items(), key=lambda pair: -pair[1])[:3]
    told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in first)
    return f'<p class="byline">Probabilities of the model: {escape(told)}</p>'


# Pictures


def _data_url(pixels: np.ndarray) -> str:
    """Return an image as a data URL: PNG if it is tiny, otherwise JPEG."""
    from PIL import Image

    tiny = max(pixels.shape[:2]) <= TINY // 2
    kind, options = ("png", {"optimize": True}) if tiny else ("jpeg", {"quality": 78, "optimize": True})
    return _encoded(Image.fromarray(pixels), kind, **options)


def _encoded(picture: object, kind: str, **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)  # type: ignore[attr-defined]
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _layer(signed: np.ndarray, limit: float) -> str:
    """Return signed values as a PNG with few colours and opacities, which is several times smaller than RGBA."""
    from PIL import Image

    from featrec.plotting import tinted

    steps = np.arange(LEVELS) / (LEVELS - 1)
    palette = np.concatenate([tinted(-steps[None], 1.0)[0], tinted(steps[None] + 1e-12, 1.0)[0]])
    levels = np.rint(np.minimum(np.abs(signed) / limit, 1) * (LEVELS - 1)).astype(np.uint8)
    picture = Image.fromarray(levels + LEVELS * (signed > 0).astype(np.uint8)).convert("P")
    picture.putpalette(palette[:, :3].tobytes())
    return _encoded(picture, "png", transparency=palette[:, 3].tobytes(), optimize=True)


def _pictures(item: ImageExplanation, name: str, key: str) -> str:
    from featrec.plotting import reduced

    small = reduced(item.image, SIDE)
    height, width = item.image.shape[:2]
    kind = ' class="tiny"' if max(small.shape[:2]) <= TINY else ""
    alt = escape(f"{name}, without contributions")
    plain = (
        f'<figure><img{kind} src="{_data_url(small)}" alt="{alt}"><figcaption>The image, {width} × {height} pixels'
        "</figcaption></figure>"
    )
    if not np.isfinite(item.outlines).all(axis=(1, 2)).any():
        why = "No part has a place in the image; the table has all contributions." if len(item.values) else "No features."
        return f'<div class="pictures">{plain}</div><p class="caption">{why}</p>'
    return f'<div class="overlay">{_choice(key)}<div class="pictures">{plain}{_overlay(item, small, kind)}</div></div>'


def _overlay(item: ImageExplanation, small: np.ndarray, kind: str) -> str:
    """Return the faded image below three layers: both signs, only for, and only against."""
    from featrec.plotting import faded, layers_of, scale_of

    shape = small.shape[:2]
    positive, negative = layers_of(item.values, item.outlines, item.image.shape, shape)
    net = positive + negative
    limit = scale_of(net)
    told = escape(f"Contributions over the image: {sentence(item)}")
    tiny = " tiny" if kind else ""
    pictures = [f'<img{kind} src="{_data_url(faded(as_gray(small)))}" alt="{told}">']
    for side, layer in (("both", net), ("for", positive), ("against", negative)):
        pictures.append(f'<img class="layer {side}{tiny}" src="{_layer(layer, limit)}" alt="">')
    target = escape(target_told(item))
    caption = (
        f"Orange pixels favour {target}, blue pixels are against it. Solid outlines: the strongest parts for it; dashed "
        "outlines: the strongest against it."
    )
    layers = f'<div class="layers">{"".join(pictures)}{_regions(item)}</div>'
    return f"<figure>{layers}<figcaption>{caption}</figcaption></figure>"


def _choice(key: str) -> str:
    options = "".join(
        f'<label><input type="radio" name="{escape(key)}-show" value="{value}"{" checked" * (value == "both")}>{told}</label>'
        for value, told in (("both", "for and against"), ("for", "for"), ("against", "against"))
    )
    return f'<fieldset class="choice"><legend>Show</legend>{options}</fieldset>'


def _regions(item: ImageExplanation) -> str:
    """Return the outlines of the strongest parts as SVG in the coordinates of the image."""
    height, width = item.image.shape[:2]
    polygons = []
    for sign, side in ((-1, "against"), (1, "for")):
        for row in strongest(item, N_OUTLINES, sign):
            points = " ".join(f"{x + 0.5:.1f},{y + 0.5:.1f}" for x, y in item.outlines[row])
            polygons += [f'<polygon class="{kind}" points="{points}"/>' for kind in (f"{side} under", side)]
    return (
        f'<svg class="regions" viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(polygons)}</svg>"
    )


# Patches and words


def _patches(item: ImageExplanation, names: np.ndarray, sides: Mapping[int, Sequence[int]], shown: Mapping[str, Word]) -> str:
    from featrec.plotting import cut_patch, signed_text

    if not any(sides.values()):
        return ""
    columns = []
    for sign, side in ((1, "for"), (-1, "against")):
        items = []
        for row in sides[sign]:
            x, y = item.frames[row, :2]
            picture = _data_url(cut_patch(item.image, item.outlines[row], PATCH))
            told = f"{signed_text(item.values[row])}"
            label = str(names[row])
            link = _link(label, f"#{shown[label].key}" if label in shown else "")
            alt = f"Patch at {x:.0f}, {y:.0f}"
            items.append(f'<li><img class="tiny" src="{picture}" alt="{alt}"><span>{told}</span>{link}</li>')
        body = f'<ul class="patches {side}">{"".join(items)}</ul>' if items else "<p>no part</p>"
        columns.append(f"<div><p>Strongest patches {side} {escape(target_told(item))}</p>{body}</div>")
    return f'<h4>Patches</h4><div class="sides">{"".join(columns)}</div>'


def _words(
    item: ImageExplanation, groups: Sequence[Group], shown: Mapping[str, Word], name: str, words_page: str | None
) -> str:
    """Return the table of words; without words, of named parts or of places."""
    if not groups:
        return ""
    what = "word" if any(group.word >= 0 for group in groups) else "part"
    pictures = {label: _of_word(item, word.group) for label, word in shown.items()}
    span = max(abs(word.group.value) for word in shown.values()) or 1.0
    rows = []
    for label, (group, key) in shown.items():
        told = _link(label, f"{words_page}#word-{group.word}" if words_page and group.word >= 0 else "")
        rows.append(_row(key, told, group.value, len(group.members), pictures[label], span))
    rest = [group for group in groups if group.label not in shown]
    if rest:
        value, n_parts = sum(group.value for group in rest), sum(len(group.members) for group in rest)
        rows.append(_row("", f"{len(rest):,} others", value, n_parts, "", span, rest=True))
    head = heading([what, "contribution", "", "parts"]) + '<th scope="col" class="shown">patches in this image</th>'
    caption = "The sum of the contributions of each word." if what == "word" else "The contributions of the parts."
    caption += " The rows of all parts and the base value add up to the decision value." if item.exact else ""
    kind = "sortable words" + " single" * (what == "part") + " unplaced" * (not any(pictures.values()))
    table = scrolling(f"<tr>{head}</tr>", "".join(rows), f"Contributions by {what}, {name}", caption, kind)
    return f"<h4>{what.capitalize()}s</h4>{table}"


def _link(text: str, address: str) -> str:
    return f'<a href="{escape(address)}">{escape(text)}</a>' if address else escape(text)


def _of_word(item: ImageExplanation, group: Group) -> str:
    """Return the strongest patches of a word in this image as one picture."""
    from featrec.plotting import patch_strip

    rows = strongest(item, N_OF_WORD, 1 if group.value >= 0 else -1, group.members)
    if not rows:
        return ""
    n = len(rows)
    alt = f"{n} patch{'es' * (n > 1)} of {group.label}"
    return f'<img src="{_data_url(patch_strip(item.image, item.outlines[rows], PATCH))}" alt="{escape(alt)}" loading="lazy">'


def _row(key: str, label: str, value: float, n_parts: int, picture: str, span: float, *, rest: bool = False) -> str:
    from featrec.plotting import signed_text

    own = f' id="{escape(key)}"' if key else ""
    length = min(1.0, abs(value) / span) * 58
    kind = "rest" if rest else "for" if value > 0 else "against"
    bar = (
        f'<svg class="bar" viewBox="0 0 120 14" preserveAspectRatio="none" aria-hidden="true"><rect class="{kind}" '
        f'x="{60 if value > 0 else 60 - length:.1f}" y="1" width="{length:.1f}" height="12"/>'
        '<line x1="60" x2="60" y1="0" y2="14"/></svg>'
    )
    return (
        f'<tr{own}><th scope="row">{label}</th><td>{signed_text(value)}</td><td>{bar}</td><td>{n_parts:,}</td>'
        f'<td class="shown">{picture}</td></tr>'
    )


def _neighbors(item: ImageExplanation) -> str:
    if not item.neighbors:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{index:,}</th><td>{escape(str(label))}</td><td>{distance:.3g}</td></tr>'
        for index, label, distance in item.neighbors
    )
    head = heading(["training image", "class", "distance"])
    caption = "The decision is the mean distance to the nearest images of other classes minus that to those of the class."
    return "<h4>Nearest training images</h4>" + scrolling(
        f"<tr>{head}</tr>", rows, "Nearest training images", caption, "sortable"
    )
