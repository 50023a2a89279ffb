"""VocabularySizeDisplay: accuracy against the size of the vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featrec.exceptions import InputError
from featrec.plotting._display import INK, PALETTE, SMALL, Display, chart_style, heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VocabularySizeDisplay"]

# Endings of the names of parameters that hold a size, or a vocabulary that has one.
NAMES = ("vocabulary", "n_words", "n_components", "n_clusters")
MOST_LINES = 8
COLORS = (4, 5, 2, 3, 0, 1, 7, 9)
STYLES = ("-", "--", ":", "-.")


class VocabularySizeDisplay(Display):
    """Accuracy against the number of words, with error bars over the splits of a cross-validation.

    Parameters
    ----------
    sizes : array of shape (n_sizes,)
        Numbers of words.
    scores : array of shape (n_sizes,) or (n_sizes, n_splits), or a dict of such arrays
        Scores between 0 and 1. With several splits, points are means, and error bars are standard deviations. A dict gives one
        line for each key.
    score_name : str, default="accuracy"

    Attributes
    ----------
    means_ : dict of str to array of shape (n_sizes,)
    deviations_ : dict of str to array of shape (n_sizes,) or None
        Standard deviations; None with one score for each size.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from featrec.plotting import VocabularySizeDisplay
    >>> display = VocabularySizeDisplay([50, 100, 200], [[0.6, 0.7], [0.7, 0.8], [0.75, 0.8]]).plot()
    >>> print(display.ax_.get_title())
    Accuracy is highest with 200 words: 77.5 %
    mean of 2 splits, bars: standard deviation
    """

    def __init__(self, sizes: Any, scores: Any, *, score_name: str = "accuracy"):
        self.sizes = np.asarray(sizes, float)
        lines = scores if isinstance(scores, dict) else {"": scores}
        self.scores = {str(name): np.asarray(values, float) for name, values in lines.items()}
        self.score_name = score_name
        if self.sizes.ndim != 1 or not len(self.sizes) or not self.scores or not (self.sizes > 0).all():
            raise InputError(f"sizes must contain at least one number of words, each above 0; got {sizes!r}")
        for values in self.scores.values():
            if values.ndim not in (1, 2) or len(values) != len(self.sizes):
                raise InputError(f"scores must have one row for each of the {len(self.sizes)} sizes; got shape {values.shape}")
        if len(self.scores) > MOST_LINES:
            raise InputError(f"at most {MOST_LINES} lines can be told apart; got {len(self.scores)}. Draw fewer settings.")
        order = np.argsort(self.sizes, kind="stable")
        self.sizes = self.sizes[order]
        self.scores = {name: values[order] for name, values in self.scores.items()}
        self.means_ = {name: values if values.ndim == 1 else values.mean(axis=1) for name, values in self.scores.items()}
        self.deviations_ = {
            name: None if values.ndim == 1 or values.shape[1] < 2 else values.std(axis=1, ddof=1)
            for name, values in self.scores.items()
        }

    @classmethod
    def from_estimator(cls, search: Any, *, param: str | None = None, ax: Axes | None = None) -> Self:
        """Draw the results of a fitted search over the size of the vocabulary.

        Parameters
        ----------
        search : fitted GridSearchCV or RandomizedSearchCV
        param : str, optional
            Name of the parameter, such as "bagofwords__vocabulary". Its values may be integers or vocabularies. Default: the
            parameter whose name ends with "vocabulary", "n_words", "n_components" or "n_clusters". The other parameters of the
            grid give one line for each combination.
        ax : matplotlib Axes, optional

        Returns
        -------
        display : VocabularySizeDisplay
        """
        results = getattr(search, "cv_results_", None)
        if results is None:
            raise InputError(f"{cls.__name__}.from_estimator needs a fitted GridSearchCV; got {type(search).__name__}")
        param = _parameter(list(results["params"][0]), param)
        lines = _lines(results, param)
        sizes = sorted({size for line in lines.values() for size in line})
        n_splits = len(_split_names(results))
        missing = np.full(n_splits, np.nan)
        scores = {name: np.array([line.get(size, missing) for size in sizes]) for name, line in lines.items()}
        scoring = getattr(search, "scoring", None)
        name = "accuracy" if scoring is None else scoring if isinstance(scoring, str) else "score"
        return cls(sizes, scores, score_name=name.replace("_", " ")).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return 6.2, 4.2

    def _draw(self, ax: Axes) -> None:
        for place, (name, means) in enumerate(self.means_.items()):
            spread = self.deviations_[name]
            color, line = PALETTE[COLORS[place]], STYLES[place % len(STYLES)]
            style: dict[str, Any] = {"color": color, "linestyle": line}
            style |= {"marker": "os^Dv"[place % 5], "markersize": 5, "linewidth": 1.6, "capsize": 3, "elinewidth": 1.1}
            shift = 1 + 0.012 * (place - (len(self.means_) - 1) / 2)
            bars = None if spread is None else 100 * spread
            ax.errorbar(self.sizes * shift, 100 * means, bars, label=name or None, **style)
        ax.set_xscale("log", base=2)
        many = len(self.sizes) > 12
        ticks = self.sizes[:: -(-len(self.sizes) // 12)] if many else self.sizes
        ax.set_xticks(ticks, [f"{size:,.0f}" for size in ticks], rotation=45 if len(ticks) > 7 else 0)
        ax.minorticks_off()
        chart_style(ax, "number of words (logarithmic)", f"{self.score_name} in %")
        ax.grid(axis="y", color="#e3e6ea", linewidth=0.8)
        ax.set_axisbelow(True)
        if len(self.means_) > 1:
            ax.legend(fontsize=SMALL, labelcolor=INK, frameon=False)
        table = np.stack(list(self.means_.values()))
        if np.isfinite(table).any():
            row, column = np.unravel_index(np.nanargmax(table), table.shape)
            best = f"is highest with {self.sizes[column]:,.0f} words: {100 * table[row, column]:.1f} %"
            named = list(self.means_)[row]
            heading(ax, f"{self.score_name.capitalize()} {best}" + (f" ({named})" if named else "") + self._bars())
        else:
            heading(ax, "All fits of the search failed")

    def _bars(self) -> str:
        """Return what the error bars are."""
        splits = {values.shape[1] for values in self.scores.values() if values.ndim == 2}
        return f"\nmean of {max(splits)} splits, bars: standard deviation" if splits and max(splits) > 1 else ""


def _parameter(names: list[str], asked: str | None) -> str:
    found = [name for name in names if name.split("__")[-1] in NAMES] if asked is None else [asked]
    if len(found) != 1 or found[0] not in names:
        given = "several sizes of a vocabulary" if len(found) > 1 else "no parameter for the size of a vocabulary"
        given = f"no parameter {asked!r}" if asked is not None else given
        raise InputError(f"the search has {given}; use param= with one of {', '.join(names)}")
    return found[0]


def _lines(results: Any, param: str) -> dict[str, dict[int, np.ndarray]]:
    """Return the scores of all splits, keyed by the other parameters and the size."""
    splits = np.stack([results[name] for name in _split_names(results)], axis=1)
    lines: dict[str, dict[int, np.ndarray]] = {}
    for params, scores in zip(results["params"], splits, strict=True):
        others = ", ".join(f"{name.split('__')[-1]}={_short(value)}" for name, value in params.items() if name != param)
        lines.setdefault(others, {})[_size(params[param], param)] = scores
    return lines


def _split_names(results: Any) -> list[str]:
    number = 0
    names = []
    while f"split{number}_test_score" in results:
        names.append(f"split{number}_test_score")
        number += 1
    if not names:
        raise InputError("the search has several scorers; fit it with one, such as scoring='accuracy'")
    return names


def _size(value: Any, param: str) -> int:
    """Return a size, or the size of a vocabulary."""
    for name in ("n_words", "n_components", "n_clusters", "vocabulary"):
        value = getattr(value, name, value)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError(f"{param} must contain numbers of words, or vocabularies that have one; got {value!r}")
    return int(value)


def _short(value: Any) -> str:
    text = type(value).__name__ if hasattr(value, "get_params") else f"{value}"
    return text if len(text) <= 24 else f"{text[:23]}…"
