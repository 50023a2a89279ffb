"""Tables with coloured cells on the page: confusion matrices, and recalls by class."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from featrec.evaluation._page import heading, scrolling
from featrec.evaluation._text import percent

__all__ = ["confusion_table", "most_confused", "share_heat"]

# Cells with a percentage above this have light text.
DEEP = 77


def confusion_table(confusion: np.ndarray, classes: Sequence[str], label: str, caption: str) -> str:
    """Return a confusion matrix in percent of the true classes; cells that round to 0 are empty."""
    shares = np.rint(100 * confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)).astype(int)
    head = "".join(f'<th scope="col"><span title="{escape(name)}">{escape(name)}</span></th>' for name in classes)
    rows = [
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, row))}</tr>'
        for name, row in zip(classes, shares.tolist(), strict=True)
    ]
    corner = '<td class="caption">true \\ predicted</td>'
    return scrolling(f"<tr>{corner}{head}</tr>", "".join(rows), label, caption, "heat matrix")


def _cell(value: int) -> str:
    if not value:
        return "<td></td>"
    return f'<td{" class=deep" if value > DEEP else ""} style="--v:{value}">{value}</td>'


def most_confused(confusion: np.ndarray, classes: Sequence[str], n: int = 15) -> list[str]:
    """Return the most frequent errors as sentences."""
    errors = confusion.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:n]
    pairs = zip(*np.unravel_index(order, errors.shape), strict=True)
    totals = confusion.sum(axis=1)
    return [f"{classes[i]} predicted as {classes[j]}: {errors[i, j]} of {totals[i]}" for i, j in pairs if errors[i, j]]


def share_heat(
    what: str, names: Sequence[str], counts: Sequence[int], shares: np.ndarray, models: Sequence[str], caption: str
) -> str:
    """Return shares in percent, one row per class or group and one column per model; the best of each row is bold."""
    head = heading([what, "images", *models])
    rows = []
    for name, count, row in zip(names, counts, shares, strict=True):
        best = np.nanmax(row) if count else np.nan
        cells = "".join(_share(share, bold=share == best and len(row) > 1) for share in row.tolist())
        rows.append(f'<tr><th scope="row">{escape(name)}</th><td style="--v:0">{count:,}</td>{cells}</tr>')
    return scrolling(f"<tr>{head}</tr>", "".join(rows), f"By {what}", caption, "sortable heat")


def _share(share: float, *, bold: bool) -> str:
    if np.isnan(share):
        return "<td>–</td>"
    kinds = [kind for kind, holds in (("deep", 100 * share > DEEP), ("best", bold)) if holds]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<td{kind} style="--v:{round(100 * share)}">{percent(share)}</td>'
