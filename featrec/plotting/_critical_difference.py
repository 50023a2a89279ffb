"""Critical-difference diagrams: the mean ranks of several models over several datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.exceptions import InputError
from featrec.plotting._display import FAINT, INK, PALETTE, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_critical_difference"]

# Heights in units of one line of text.
FIRST_GROUP, GROUP_STEP, FIRST_LABEL = 0.45, 0.35, 0.9


def plot_critical_difference(mean_ranks: Any, names: Sequence, critical_difference: float, *, ax: Axes | None = None) -> Axes:
    """Draw mean ranks on an axis, the best on the left. A bar connects models whose mean ranks do not differ significantly.

    Parameters
    ----------
    mean_ranks : array of shape (n_models,)
        Mean rank of each model over all datasets; 1 is best.
    names : sequence of length n_models
        Names of the models.
    critical_difference : float
        Smallest difference of mean ranks that is significant.
    ax : matplotlib Axes, optional
        Axes to draw on. Default: the axes of a new figure.

    Returns
    -------
    matplotlib Axes

    References
    ----------
    J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.

    Examples
    --------
    >>> from featrec.plotting import plot_critical_difference
    >>> ax = plot_critical_difference([3.143, 2.0, 2.893, 1.964], ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"], 1.25)
    >>> ax.get_xlabel()
    'mean rank'
    """
    ranks = np.asarray(mean_ranks, float)
    if ranks.shape != (len(names),) or len(names) < 2:
        raise InputError(f"expected one mean rank for each of at least two names; got {ranks.shape} for {len(names)} names")
    order = np.argsort(ranks, kind="stable")
    ranks, labels = ranks[order], [str(names[place]) for place in order]
    bars = _bars(ranks, critical_difference)
    start = FIRST_LABEL + GROUP_STEP * len(bars)
    half = (len(ranks) + 1) // 2
    ax = axes_for(ax, 7.5, 1.3 + 0.3 * (start + half))
    for place, (rank, label) in enumerate(zip(ranks, labels, strict=True)):
        _draw_model(ax, rank, label, place, half, start, n=len(ranks))
    for place, (first, last) in enumerate(bars):
        height = FIRST_GROUP + GROUP_STEP * place
        ax.plot([first - 0.03, last + 0.03], [height, height], color=PALETTE[4], linewidth=4, solid_capstyle="round")
    _draw_scale(ax, len(ranks), critical_difference, lowest=start + half)
    return ax


def _bars(ranks: np.ndarray, difference: float) -> list[tuple[float, float]]:
    """Return the ends of the longest ranges of sorted ranks that span less than the critical difference."""
    ends = [ranks[ranks < rank + difference][-1] for rank in ranks]
    pairs = [
        (rank, end) for place, (rank, end) in enumerate(zip(ranks, ends, strict=True)) if place == 0 or end > ends[place - 1]
    ]
    return [(rank, end) for rank, end in pairs if end > rank]


def _draw_model(ax: Axes, rank: float, label: str, place: int, half: int, start: float, *, n: int) -> None:
    """Draw the line from a rank down and to the side, and the name at its end: better models left, worse models right."""
    left = place < half
    height = start + (place if left else n - 1 - place)
    side = 0.85 if left else n + 0.15
    ax.plot([rank, rank, side], [0, height, height], color=INK, linewidth=1)
    ax.plot(rank, 0, "o", color=INK, markersize=4, clip_on=False)
    align, shift = ("right", -4) if left else ("left", 4)
    text = f"{label}  {rank:.2f}" if left else f"{rank:.2f}  {label}"
    ax.annotate(
        text, (side, height), (shift, 0), textcoords="offset points", ha=align, va="center", fontsize=9, color=INK,
        annotation_clip=False,
    )  # fmt: skip


def _draw_scale(ax: Axes, n: int, difference: float, *, lowest: float) -> None:
    """Draw the axis of ranks on top, and above it the length of the critical difference."""
    ax.plot([1, min(1 + difference, n)], [-1.1, -1.1], color=PALETTE[4], linewidth=4, solid_capstyle="butt")
    ax.annotate(f"critical difference {difference:.2f}", (1, -1.1), (0, 5), textcoords="offset points", fontsize=9, color=FAINT)
    ax.set_xlim(0.85, n + 0.15)
    ax.set_ylim(lowest, -1.9)
    ax.set_xticks(range(1, n + 1))
    ax.xaxis.set_ticks_position("top")
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("mean rank", color=INK)
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.spines["top"].set(visible=True, position=("data", 0), bounds=(1, n), color=INK)
    ax.tick_params(colors=INK)
