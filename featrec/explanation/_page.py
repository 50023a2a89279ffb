"""The HTML page of explanations, written image by image, so that its length does not need memory."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from importlib.resources import files
from itertools import chain
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np
from sklearn.pipeline import Pipeline

import featrec
from featrec.exceptions import EmptyBagWarning, ImageError, InputError
from featrec.explanation._page_image import Sizes, explained
from featrec.explanation._summary import method_told, target_told
from featrec.html_page import Section, bullets, heading, page, scrolling

if TYPE_CHECKING:
    from featrec.explanation._explanation import Explanation, ImageExplanation

__all__ = ["image_page", "pages", "write_page"]

# A place in the page where images, or the table of images, are written later.
IMAGES, TABLE = "<!-- images -->", "<!-- table -->"

METHODS = {
    "sum": "The explanation is exact: the contributions of all parts and the base value add up to the decision value.",
    "path": "The classifier is not a sum over features, so the explanation is an approximation (integrated gradients): the "
    "slope of the decision is averaged on the way from an image without features to this image.",
    "rules": "Each rule of the trees adds the change of the mean that it causes. The values add up to the decision value, but "
    "another order of the rules would give other values.",
    "neighbors": "The votes of nearest neighbours are not a sum. The decision here is a margin: how much farther the nearest "
    "images of other classes are than those of the class. The contributions add up to this margin.",
    "occlusion": "Each block was replaced by the mean colour of the image. Its contribution is the decrease of the decision "
    "value. These values do not add up to the decision value.",
}
READING = (
    "The decision value is the score that the classifier compares between classes; it is not a probability. For a calibrated "
    "model, the score before calibration is explained.",
    "A contribution is what a part of the image (a local feature, a cell, a block or a colour bin) adds to the decision value. "
    "Positive contributions favour the class, negative ones are against it.",
    "The base value is what remains without any contribution: the decision value of an image without features. It is not an "
    "average over images. For occlusion, it has no meaning.",
    "The map spreads each contribution evenly over the area of its part, and shows the sum in each pixel. Each image has its "
    "own scale of colours. Very small parts are drawn larger.",
)


class Entry(NamedTuple):
    """An image to write: its name, its explanation and its probabilities by class."""

    name: str
    item: ImageExplanation
    probabilities: Mapping[str, float]


def write_page(
    explanation: Explanation,
    file: str | os.PathLike | TextIO,
    *,
    title: str = "Explanations",
    limit: int | None = 50,
    n_patches: int = 6,
    n_words: int = 10,
    words_page: str | None = None,
    on_failure: Callable[[ImageError], None] | None = None,
    tell: Callable[[str, ImageExplanation], None] | None = None,
) -> int:
    """Write the page; return the number of images on it.

    Errors of unreadable images are raised; or, if `on_failure` is given, it is called with each, and the page names them.
    `tell` is called with the path and the explanation of each image that is finished.
    """
    sizes = _checked(limit, n_patches, n_words)._replace(words_page=words_page)
    n_all = len(explanation)
    if not n_all:
        raise InputError("there are no images to explain, so there is no page")
    shown = explanation if limit is None or n_all <= limit else explanation[:limit]
    failures: list[ImageError] = []
    entries = _entries(shown, failures, on_failure, tell)
    about = (
        [] if len(shown) == n_all else [f"Only the first {len(shown):,} of {n_all:,} images are on this page (limit={limit})."]
    )
    with opened(file) as out:
        return _write(out, entries, title, _model_told(explanation.compute), about, sizes, failures)


def image_page(
    item: ImageExplanation, file: Any, *, title: str, n_patches: int, n_words: int, words_page: str | None = None
) -> None:
    """Write the page of one image."""
    sizes = _checked(None, n_patches, n_words)._replace(words_page=words_page)
    with opened(file) as out:
        _write(out, iter([Entry("The image", item, {})]), title, "", [], sizes, [], alone=True)


def _checked(limit: Any, n_patches: Any, n_words: Any) -> Sizes:
    for name, value in (("limit", limit), ("n_patches", n_patches), ("n_words", n_words)):
        if value is None and name == "limit":
            continue
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise InputError(f"{name} must be an integer of at least 1{' or None' * (name == 'limit')}; got {value!r}")
    return Sizes(int(n_patches), int(n_words))


def pages(write: Callable[[Any], Any], file: Any) -> str | None:
    """Call `write` with `file`, or with a buffer whose text is returned if `file` is None."""
    if file is not None:
        write(file)
        return None
    buffer = io.StringIO()
    write(buffer)
    return buffer.getvalue()


@contextmanager
def opened(file: str | os.PathLike | TextIO) -> Iterator[TextIO]:
    """Open a file for writing. A path is replaced only when all is written, so that an error leaves no half page."""
    if not isinstance(file, (str, os.PathLike)):
        yield file
        return
    path = Path(file)
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with open(unfinished, "w", encoding="utf-8") as out:
            yield out
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _entries(
    explanation: Explanation, failures: list[ImageError], on_failure: Callable | None, tell: Callable | None
) -> Iterator[Entry]:
    """Compute one image after another."""
    for position in range(len(explanation)):
        try:
            item = explanation[position]
            entry = Entry(_name(explanation, position), item, _probabilities(explanation.compute, item))
        except ImageError as error:
            if on_failure is None:
                raise
            failures.append(error)
            on_failure(error)
            continue
        yield entry
        if tell is not None:
            tell(explanation.name(position) or entry.name, item)


def _name(explanation: Explanation, position: int) -> str:
    """Return the last folder and the name of the file, or the position of the image."""
    path = explanation.name(position)
    return "/".join(Path(path).parts[-2:]) if path else f"Image {int(explanation.positions[position])}"


def _probabilities(compute: Any, item: ImageExplanation) -> dict[str, float]:
    model: Any = getattr(compute, "model", None)
    if not hasattr(model, "predict_proba"):
        return {}
    given: Any = item.image.reshape(1, -1) if getattr(compute, "skipped", 0) else [item.image]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyBagWarning)  # the page says "no features"
        shares = np.asarray(model.predict_proba(given), np.float64)[0]
    return dict(zip(map(str, model.classes_), shares.tolist(), strict=True))


def _model_told(compute: Any) -> str:
    """Return the steps of the model, such as "DenseSIFT → BagOfWords → LinearSVC"."""
    model = getattr(compute, "model", None)
    if isinstance(model, Pipeline):
        return " → ".join(type(step).__name__ for _, step in model.steps)
    return "" if model is None else type(model).__name__


def _write(
    out: TextIO,
    entries: Iterator[Entry],
    title: str,
    byline: str,
    about: Sequence[str],
    sizes: Sizes,
    failures: Sequence[ImageError],
    *,
    alone: bool = False,
) -> int:
    first = next(entries, None)
    verdict = [METHODS[first.item.method], *about] if first else about
    start, middle, end = _frame(title, byline, verdict, alone=alone)
    out.write(start)
    rows = []
    for place, entry in enumerate(chain([first] if first else [], entries)):
        key = "image" if alone else f"image-{place}"
        out.write(explained(entry.item, entry.name, key, sizes, entry.probabilities))
        rows.append(_cells(entry, key))
    out.write(middle)
    if not alone:
        out.write(_overview(rows) if rows else "<p>No image could be read.</p>")
    if failures:
        out.write("<h3>Images that could not be read</h3>" + bullets([str(failure) for failure in failures]))
    out.write(end)
    return len(rows)


def _frame(title: str, byline: str, verdict: Sequence[str], *, alone: bool) -> tuple[str, str, str]:
    """Return the page before the images, between the images and the table, and after the table."""
    sections = [
        Section("images", "Contributions" if alone else "Images", IMAGES),
        Section("overview", "Overview", TABLE),
        Section("reading", "How to read this page", bullets(READING)),
    ]
    sections = [sections[0], sections[2]] if alone else sections
    foot = f"Made by featrec {featrec.__version__}. This page makes no request to any server."
    folder = files("featrec.explanation")
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    text = page(title, byline, verdict, sections, foot, style=style, script=script)
    start, _, rest = text.partition(IMAGES)
    middle, _, end = rest.partition(TABLE)
    return start, middle, end


def _cells(entry: Entry, key: str) -> list[str]:
    """Return the cells of an image in the overview as HTML."""
    item = entry.item
    numbers = [f"{number:.4g}".replace("-", "−") for number in (item.decision, item.base_value)]
    best = max(entry.probabilities.items(), key=lambda pair: pair[1], default=None)
    probable = [f"{best[0]} {100 * best[1]:.1f} %"] if best else []
    texts = [target_told(item), *numbers, f"{len(item.values):,}", method_told(item), *probable]
    return [f'<a href="#{escape(key)}">{escape(entry.name)}</a>', *map(escape, texts)]


def _overview(rows: Sequence[Sequence[str]]) -> str:
    names = ["image", "explained class", "decision", "base value", "parts", "method", "most probable class"]
    head = heading(names[: len(rows[0])])
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' for first, *cells in rows
    )
    return scrolling(f"<tr>{head}</tr>", body, "Table of all images", "A click on a heading sorts the table.", "sortable wide")
