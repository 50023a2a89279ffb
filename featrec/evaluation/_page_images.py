"""Images on which models disagree, as small pictures on the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.exceptions import FeatrecError
from featrec.images import as_uint8, check_images, read_image

if TYPE_CHECKING:
    from featrec.evaluation._comparison import Comparison

__all__ = ["contested", "gallery", "missed_by_all", "source_of"]

# Maximum number of images in a gallery, maximum side in pixels, and maximum bytes of all pictures together.
MOST, SIDE, MOST_BYTES = 24, 176, 700_000
# Images whose longer side is at most this are shown enlarged, without smoothing.
TINY = 64
# Maximum number of predicted classes below an image.
MOST_LINES = 5
Source = Callable[[int], np.ndarray]


def source_of(comparison: Comparison, images: Any) -> Source | None:
    """Return a function from the position of a prediction to its image, or None if the images are unknown."""
    if images is None:
        paths = comparison.paths
        return None if paths is None else lambda place: read_image(paths[place])
    checked = check_images(images)
    return lambda place: checked[place if comparison.rows is None else int(comparison.rows[place])]


def contested(correct: np.ndarray, y_true: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Return the positions of the images on which the models disagree most, from all classes in turn.

    `correct` has one row per prediction and one column per model.
    """
    n_right = correct.sum(axis=1)
    divided = np.minimum(n_right, correct.shape[1] - n_right)
    return _in_turn(np.flatnonzero(divided), -divided, y_true, rows)


def missed_by_all(correct: np.ndarray, y_true: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Return the positions of the images that no model predicts correctly, from all classes in turn."""
    return _in_turn(np.flatnonzero(~correct.any(axis=1)), np.zeros(len(correct), int), y_true, rows)


def _in_turn(places: np.ndarray, order: np.ndarray, y_true: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Sort positions by `order`; if equal, take one image from each class in turn. Each image occurs once."""
    if rows is not None:
        places = places[np.sort(np.unique(rows[places], return_index=True)[1])]
    turns: dict[tuple[int, Any], int] = {}
    keys = []
    for place in places.tolist():
        group = int(order[place]), y_true[place]
        turns[group] = turns.get(group, -1) + 1
        keys.append((group[0], turns[group], place))
    return np.array([place for *_, place in sorted(keys)], int)


def gallery(comparison: Comparison, places: np.ndarray, source: Source) -> str:
    """Return the first images at these positions, with the true class and all predictions."""
    items: list[str] = []
    left = MOST_BYTES
    for place in places[:MOST].tolist():
        try:
            picture, tiny = _picture(source(place))
        except FeatrecError:  # moved or damaged since
            continue
        left -= len(picture)
        if left < 0:
            break
        items.append(f"<li>{_figure(comparison, place, picture, tiny=tiny)}</li>")
    return f'<ul class="gallery">{"".join(items)}</ul>' if items else ""


def _figure(comparison: Comparison, place: int, picture: str, *, tiny: bool) -> str:
    true = str(comparison.y_true[place])
    path = None if comparison.paths is None else comparison.paths[place]
    title = f' title="{escape("/".join(Path(path).parts[-2:]))}"' if path else ""
    kind = ' class="tiny"' if tiny else ""
    image = f'<img{kind} src="{picture}" alt="Test image of the class {escape(true)}"{title} loading="lazy">'
    predicted = "".join(f"<li>{line}</li>" for line in _predictions(comparison, place, true))
    return f"<figure>{image}<figcaption><b>{escape(true)}</b><ul>{predicted}</ul></figcaption></figure>"


def _predictions(comparison: Comparison, place: int, true: str) -> list[str]:
    """Return a line for each predicted class, the true class first, with the models that predict it."""
    models: dict[str, list[str]] = {}
    for result in comparison.results:
        models.setdefault(str(result.y_pred[place]), []).append(result.name)
    lines = []
    for label in sorted(models, key=lambda label: (label != true, -len(models[label]))):
        kind, sign = ("right", "✓") if label == true else ("wrong", "✗")
        told = f'<span class="{kind}">{sign} {escape(label)}</span>'
        lines.append(f"{told}: {escape(_listed(models[label]))}")
    rest = len(lines) - MOST_LINES
    return lines if rest <= 0 else [*lines[:MOST_LINES], f"and {rest} other classes"]


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _picture(image: np.ndarray) -> tuple[str, bool]:
    """Return a small image as a data URL, and whether it is to be enlarged without smoothing."""
    from PIL import Image

    picture = Image.fromarray(as_uint8(image))
    tiny = max(picture.size) <= TINY
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    kind, options = ("png", {"optimize": True}) if tiny else ("jpeg", {"quality": 74, "optimize": True})
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}", tiny
