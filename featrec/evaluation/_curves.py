"""Curves of several models with bands, for the figures of results."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "draw_curves", "settle_shares", "styles"]

# Indices of the colours in featrec.plotting.PALETTE, in the order in which models use them.
COLORS = (4, 5, 2, 3, 0, 1, 7, 9, 8, 6)
MARKERS = "osD^vP"


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
    from featrec.plotting import INK

    looks = styles(curves)
    for name, curve in curves.items():
        style = looks[name] | ({} if markers else {"marker": ""})
        shares, low, high = (100 * np.array(values, float) for values in (curve.shares, curve.low, curve.high))
        ax.fill_between(curve.places, low, high, color=style["color"], alpha=0.15, linewidth=0)
        ax.plot(curve.places, shares, **style, markersize=5, linewidth=1.8, label=name)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=8, labelcolor=INK)
    settle_shares(ax)


def settle_shares(ax: Axes, axis: Literal["x", "y"] = "y") -> None:
    """Limit the axis of shares to the range of percentages, and draw a faint grid."""
    from featrec.plotting import INK

    low, high = getattr(ax, f"get_{axis}lim")()
    getattr(ax, f"set_{axis}lim")(max(0, low), min(101, high))
    ax.grid(axis=axis, color="#e3e6ea", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=INK)
