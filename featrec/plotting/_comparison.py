"""Several models side by side: how often each is right, how sure that is, and how fast it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation import Comparison, ModelResult
from featrec.plotting._canvas import FAINT, INK, PALETTE, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_comparison"]

COLORS = {"engineered": PALETTE[4], "network": PALETTE[5], "predictions": PALETTE[2]}
MEANINGS = {"engineered": "engineered features", "network": "network", "predictions": "another program's predictions"}


def plot_comparison(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Draw the accuracy of each model with its interval, the best on top, and how many images it does in a second.

    Parameters
    ----------
    comparison : Comparison
        From :func:`featrec.evaluation.compare`.
    ax : matplotlib Axes, optional
        Where to draw; None makes a figure that grows with the number of models.

    Returns
    -------
    matplotlib Axes
    """
    results = sorted(comparison.results, key=lambda result: -result.accuracy)
    ax = axes_for(ax, 7.5, 1.4 + 0.42 * len(results))
    guess = 100 * np.unique(comparison.y_true, return_counts=True)[1].max() / comparison.n
    ax.axvline(guess, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), label="always the largest class")
    told: set[str] = set()
    for place, result in enumerate(results):
        _draw_result(ax, place, result, label=None if result.kind in told else MEANINGS[result.kind])
        told.add(result.kind)
    ax.set_ylim(len(results) - 0.4, -0.6)
    ax.set_yticks(range(len(results)), [result.name for result in results])
    _settle_axes(ax, [result.interval for result in results], guess)
    ax.set_xlabel(f"accuracy in %, with {100 * comparison.confidence:g} % interval; {comparison.n:,} images", color=INK)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize=8, labelcolor=INK)
    return ax


def _draw_result(ax: Axes, place: int, result: ModelResult, *, label: str | None) -> None:
    color = COLORS[result.kind]
    low, high = (100 * bound for bound in result.interval)
    ax.plot([low, high], [place, place], color=color, linewidth=5, alpha=0.35, solid_capstyle="round")
    ax.plot(100 * result.accuracy, place, "o", color=color, markersize=7, label=label)
    beside: dict[str, Any] = {
        "xycoords": ax.get_yaxis_transform(),
        "textcoords": "offset points",
        "va": "center",
        "fontsize": 9,
    }
    ax.annotate(f"{100 * result.accuracy:.1f} %", (1, place), (8, 0), color=INK, weight="bold", **beside)
    ax.annotate(_speed(result.images_per_second), (1, place), (58, 0), color=FAINT, **beside)


def _speed(images_per_second: float | None) -> str:
    if images_per_second is None:
        return ""
    return f"{images_per_second:,.0f} images/s" if images_per_second >= 10 else f"{images_per_second:.2g} images/s"


def _settle_axes(ax: Axes, intervals: list[tuple[float, float]], guess: float) -> None:
    lowest = min([guess, *(100 * low for low, _ in intervals)])
    highest = max(100 * high for _, high in intervals)
    ax.set_xlim(max(0, lowest - 4), min(101, highest + 4))
    ax.grid(axis="x", color="#e3e6ea", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=INK)
