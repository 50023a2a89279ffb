"""Base classes of results, and how results are shown: numbers, tables, JSON, DataFrames, and curves of several models."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from featrec.exceptions import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Curve",
    "ModelResults",
    "Result",
    "Table",
    "TableResult",
    "as_csv",
    "data_size",
    "draw_curves",
    "frame",
    "keep",
    "legend_above",
    "number",
    "p_value",
    "paragraphs",
    "percent",
    "percent_range",
    "report_progress",
    "settle_shares",
    "styles",
]

# Characters with a special meaning in LaTeX, and characters that its usual fonts lack.
LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "µ": r"$\mu$",
    "<": r"$<$",
    ">": r"$>$",
}
# Indices of the colours in featrec.plotting.PALETTE, in the order in which models use them.
COLORS = (4, 5, 2, 3, 0, 1, 7, 9, 8, 6)
MARKERS = "osD^vP"


@dataclass(frozen=True)
class Table:
    """A header and rows of text. The first column is aligned left, the other columns are aligned right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def plain(self) -> str:
        """Return the table as text with aligned columns."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        return "\n".join(
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
        )

    def markdown(self) -> str:
        """Return the table as GitHub Markdown."""
        rule = [":---", *["---:"] * (len(self.header) - 1)]
        escaped = [[cell.replace("|", "\\|") for cell in row] for row in self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in [self.header, rule, *escaped])

    def latex(self) -> str:
        """Return the table as LaTeX, for the package booktabs."""
        lines = [" & ".join(map(_latex, line)) + r" \\" for line in [self.header, *self.rows]]
        columns = "l" + "r" * (len(self.header) - 1)
        body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
        return "\n".join([*body, r"\end{tabular}"])

    def csv(self) -> str:
        """Return the table as CSV."""
        return as_csv([self.header, *self.rows])

    def html(self) -> str:
        """Return the table as HTML for a notebook."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.header)
        body = "".join(
            f"<tr><th>{html.escape(row[0])}</th>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row[1:])}</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Result:
    """Base class of results. The subclasses are dataclasses; ``repr`` returns the same text as ``str``."""

    def __repr__(self) -> str:
        return str(self)

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """Return all attributes as JSON. If `path` is given, also write them to this file."""
        return keep(json.dumps(vars(self), default=_plain, indent=1, ensure_ascii=False), path)


class TableResult(Result):
    """Base class of results that consist of a table, `_table()`, and sentences, `_sentences()`."""

    def __str__(self) -> str:
        return "\n\n".join([self._table().plain(), "\n".join(self._sentences())])

    def _table(self) -> Table:
        raise NotImplementedError

    def _sentences(self) -> list[str]:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self._table().html() + paragraphs(self._sentences())

    def _heading(self) -> str:
        """Return the heading of this result on a page."""
        return type(self).__name__

    def to_latex(self, path: str | os.PathLike | None = None) -> str:
        """Return the table as LaTeX, for the package booktabs. If `path` is given, also write it to this file."""
        return keep(self._table().latex(), path)

    def to_csv(self, path: str | os.PathLike | None = None) -> str:
        """Return the table as CSV. If `path` is given, also write it to this file."""
        return keep(self._table().csv(), path)

    def to_markdown(self, path: str | os.PathLike | None = None) -> str:
        """Return the table and the sentences as Markdown. If `path` is given, also write them to this file."""
        lines = "\n".join(f"- {line}" for line in self._sentences())
        return keep(f"{self._table().markdown()}\n\n{lines}", path)


class Named(Protocol):
    """An object with a name."""

    @property
    def name(self) -> str: ...


Row = TypeVar("Row", bound=Named)


class ModelResults(TableResult, Generic[Row]):
    """Base class of results with one row per model."""

    results: tuple[Row, ...]

    def __getitem__(self, name: str) -> Row:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(f"there is no model {name!r}; the models are {', '.join(self._names())}")

    def _names(self) -> list[str]:
        return [result.name for result in self.results]


def report_progress(verbose: int, text: str) -> None:
    """Write a line of progress."""
    if verbose:
        sys.stderr.write(text + "\n")


def as_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV; None is an empty cell."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().rstrip("\n")


def _latex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)


def paragraphs(lines: Sequence[str]) -> str:
    """Format each line as an HTML paragraph."""
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def percent(share: float) -> str:
    """``84.2``."""
    return f"{100 * share:.1f}"


def percent_range(interval: tuple[float, float]) -> str:
    """Format an interval in percent: ``81.0 to 86.9``."""
    return f"{percent(interval[0])} to {percent(interval[1])}"


def p_value(p: float) -> str:
    """Format a p value: ``p = 0.012``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def number(value: float | None) -> str:
    """Format a number with three significant digits, and None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def data_size(n_bytes: int | None) -> str:
    """Format a number of bytes: ``1.3 MB``."""
    if n_bytes is None:
        return "–"
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes >= 100_000 else f"{n_bytes / 1e3:,.1f} kB"


def _plain(item: Any) -> Any:
    """Convert to a type that JSON supports: arrays to lists, dataclasses to dicts."""
    return item.tolist() if isinstance(item, (np.ndarray, np.generic)) else vars(item)


def keep(text: str, path: str | os.PathLike | None) -> str:
    """Write the text to `path` if it is given, and return it."""
    if path is not None:
        Path(path).write_text(text + "\n", encoding="utf-8")
    return text


def frame(columns: dict[str, Any], *, index: Any = None) -> Any:
    """Make a pandas DataFrame."""
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("to_frame needs pandas, which is not installed: pip install pandas") from error
    return pandas.DataFrame(columns, index=index)


class Curve(NamedTuple):
    """A curve of shares, each with a lower and an upper bound."""

    places: Sequence[float]
    shares: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the colour and the marker of each model, keyed by name. They are the same in all figures of these models."""
    from featrec.plotting import PALETTE

    looks = zip(itertools.cycle(COLORS), itertools.cycle(MARKERS), strict=False)
    return {
        name: {"color": PALETTE[color], "marker": marker} for name, (color, marker) in zip(sorted(names), looks, strict=False)
    }


def draw_curves(ax: Axes, curves: Mapping[str, Curve], *, markers: bool = True) -> None:
    """Draw each curve in percent as a line with a band, and name it in a legend above the axes."""
    looks = styles(curves)
    for name, curve in curves.items():
        style = looks[name] | ({} if markers else {"marker": ""})
        shares, low, high = (100 * np.array(values, float) for values in (curve.shares, curve.low, curve.high))
        ax.fill_between(curve.places, low, high, color=style["color"], alpha=0.15, linewidth=0)
        ax.plot(curve.places, shares, **style, markersize=5, linewidth=1.8, label=name)
    legend_above(ax)
    settle_shares(ax)


def legend_above(ax: Axes, n_columns: int = 3) -> None:
    """Draw the legend above the axes."""
    from featrec.plotting import INK

    options: dict[str, Any] = {"frameon": False, "fontsize": 8, "labelcolor": INK}
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=n_columns, **options)


def settle_shares(ax: Axes, axis: Literal["x", "y"] = "y") -> None:
    """Limit the axis of shares to the range of percentages, and draw a faint grid."""
    from featrec.plotting import INK

    low, high = getattr(ax, f"get_{axis}lim")()
    getattr(ax, f"set_{axis}lim")(max(0, low), min(101, high))
    ax.grid(axis=axis, color="#e3e6ea", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=INK)
