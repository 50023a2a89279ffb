"""DatasetsComparison: the results of the same models on several datasets, and tests of their ranks."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.stats import chi2, f, rankdata, studentized_range

from featrec.evaluation._compare import compare
from featrec.evaluation._comparison import Comparison
from featrec.evaluation._plan import check_kinds, planned
from featrec.evaluation._report import check_confidence
from featrec.evaluation._result import Table, TableResult, frame, keep, p_value, percent
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["DatasetsComparison", "combine_comparisons", "compare_datasets", "critical_difference", "friedman"]

# Fewer datasets than this can hardly show a difference.
FEW_DATASETS = 6
# Friedman's test is exact up to this number of different rank tables.
MOST_ENUMERATED = 1_000_000


@dataclass(frozen=True, eq=False, repr=False)
class DatasetsComparison(TableResult):
    """Result of :func:`compare_datasets` and :func:`combine_comparisons`.

    Attributes
    ----------
    comparisons : dict of str to Comparison
        The comparison on each dataset.
    names : tuple of str
        Names of the models; the best mean rank first.
    accuracies : array of shape (n_datasets, n_models)
        Models in the order of `names`.
    mean_ranks : array of shape (n_models,)
        Mean rank over the datasets: 1 is best; equal accuracies share a mean rank.
    statistic, p : float
        Friedman's statistic, and the p value of the hypothesis that all models are equally good. It is exact for few models and
        datasets; otherwise, it is computed from the F statistic of Iman and Davenport.
    critical_difference : float
        Smallest difference of mean ranks that is significant in Nemenyi's test.
    confidence : float
        Differences are significant if the p value is at most 1 - confidence.
    """

    comparisons: dict[str, Comparison]
    names: tuple[str, ...]
    accuracies: np.ndarray
    mean_ranks: np.ndarray
    statistic: float
    p: float
    critical_difference: float
    confidence: float

    def __getitem__(self, name: str) -> Comparison:
        if name not in self.comparisons:
            raise KeyError(f"there is no dataset {name!r}; the datasets are {', '.join(self.comparisons)}")
        return self.comparisons[name]

    def verdict(self) -> list[str]:
        """Return sentences that state whether the models differ, and which ones differ from the best."""
        test = f"Friedman {p_value(self.p)}"
        if self.p > 1 - self.confidence:
            return [f"The models do not differ significantly over these datasets ({test})."]
        best, rank, difference = self.names[0], self.mean_ranks[0], self.critical_difference
        leaders = [name for name, other in zip(self.names, self.mean_ranks, strict=True) if other == rank]
        told = f"{', '.join(leaders[:-1])} and {leaders[-1]} share" if len(leaders) > 1 else f"{best} has"
        worse = [name for name, other in zip(self.names, self.mean_ranks, strict=True) if other - rank >= difference]
        found = f"significantly worse: {', '.join(worse)}" if worse else "no single model is significantly worse"
        return [
            f"The models differ significantly over these datasets ({test}).",
            f"{told} the best mean rank, {rank:.2f}; {found} (Nemenyi, critical difference {difference:.2f}).",
        ]

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with the mean rank and the accuracies of each model, one row per model. Needs pandas."""
        columns = {"mean_rank": self.mean_ranks, **dict(zip(self.comparisons, self.accuracies, strict=True))}
        return frame(columns, index=list(self.names))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the critical-difference diagram. Needs matplotlib."""
        from featrec.plotting import plot_critical_difference

        return plot_critical_difference(self.mean_ranks, self.names, self.critical_difference, ax=ax)

    def to_html(self, path: str | os.PathLike | None = None, *, title: str | None = None) -> str:
        """Return one self-contained HTML page with the mean ranks and the results on each dataset.

        Parameters
        ----------
        path : path, optional
            File to write the page to.
        title : str, optional
            Heading of the page. Default: the number of models and datasets.
        """
        from featrec.evaluation._comparison_page import datasets_page

        title = f"Comparison of {len(self.names)} models on {len(self.comparisons)} datasets" if title is None else title
        return keep(datasets_page(self, title=title), path)

    def _heading(self) -> str:
        return "Mean ranks over datasets"

    def _table(self) -> Table:
        rows = [
            [name, f"{rank:.2f}", *map(percent, shares)]
            for name, rank, shares in zip(self.names, self.mean_ranks, self.accuracies.T, strict=True)
        ]
        return Table(["model", "mean rank", *self.comparisons], rows)

    def _sentences(self) -> list[str]:
        n = len(self.comparisons)
        few = f" {n} datasets are few: a difference between models may remain undetected." if n < FEW_DATASETS else ""
        return [f"Accuracy of {len(self.names)} models on {n} datasets, in percent.{few}", *self.verdict()]


def compare_datasets(
    models: Mapping[str, Any],
    datasets: Mapping[str, Any],
    *,
    cv: Any = None,
    confidence: float = 0.95,
    **options: Any,
) -> DatasetsComparison:
    """Fit and evaluate the same models on several datasets, and test whether they differ across the datasets.

    Before the first fit, all datasets are checked as in :func:`compare`.

    Parameters
    ----------
    models : dict of name to model
        As in :func:`compare`, without predictions of other programs.
    datasets : dict of name to dataset
        A dataset is a training set and a test set, both with labels, such as the result of ``load_dataset``; or
        ``((X, y), (X_test, y_test))``; or, for use with `cv`, ``(X, y)`` or an ``ImageFolder``.
    cv : int or splitter, optional
        Folds or repeated splits, as in :func:`compare`, for datasets without a test set.
    confidence : float, default=0.95
        Confidence level of intervals and tests.
    **options
        Other options of :func:`compare`.

    Returns
    -------
    DatasetsComparison

    Raises
    ------
    InputError
        If there are fewer than two models or datasets, or if a dataset or model is rejected by :func:`compare`.

    References
    ----------
    J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_digits, load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from featrec.evaluation import compare_datasets
    >>> models = {"neighbours": KNeighborsClassifier(), "bayes": GaussianNB()}
    >>> data = {"digits": load_digits(return_X_y=True), "iris": load_iris(return_X_y=True)}
    >>> result = compare_datasets(models, data, cv=3)
    >>> result.names, result.mean_ranks.tolist()
    (('neighbours', 'bayes'), [1.0, 2.0])
    """
    check_confidence(confidence)
    check_kinds(models, options.get("networks"))
    _check_numbers(models, datasets)
    for name, model in models.items():
        if not hasattr(model, "predict"):
            raise InputError(
                f"{name!r} is an array or dict of predictions, which apply to one dataset only; use combine_comparisons"
            )
    data = {name: _arguments(name, dataset, cv) for name, dataset in datasets.items()}
    for X, y, split in data.values():
        planned(models, X, y, split.get("test"), split.get("cv"), options.get("groups"))
    found = {name: compare(models, X, y, confidence=confidence, **split, **options) for name, (X, y, split) in data.items()}
    return combine_comparisons(found, confidence=confidence)


def _arguments(name: str, dataset: Any, cv: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return images, labels, and the option `test` or `cv` of compare."""
    if hasattr(dataset, "labels"):
        dataset = dataset, dataset.labels
    pair = list(dataset) if hasattr(dataset, "__len__") and len(dataset) == 2 else None
    if pair is None:
        raise InputError(f"the dataset {name!r} must be (train, test) with labels, or (X, y); got {type(dataset).__name__}")
    first, second = pair
    if hasattr(first, "labels") and hasattr(second, "labels"):
        return first, first.labels, {"test": (second, second.labels)}
    if isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second) == 2:
        return *first, {"test": second}
    if cv is None:
        raise InputError(f"the dataset {name!r} has no test set; give one, or set cv")
    return first, second, {"cv": cv}


def combine_comparisons(comparisons: Mapping[str, Comparison], *, confidence: float = 0.95) -> DatasetsComparison:
    """Combine finished comparisons of the same models on different datasets.

    Parameters
    ----------
    comparisons : dict of dataset name to Comparison
        All comparisons must have the same names of models.
    confidence : float, default=0.95
        Confidence level of the tests.

    Returns
    -------
    DatasetsComparison

    Raises
    ------
    InputError
        If there are fewer than two comparisons or models, or if the names of the models differ.
    """
    check_confidence(confidence)
    if not isinstance(comparisons, Mapping) or not all(isinstance(found, Comparison) for found in comparisons.values()):
        raise InputError("expected a dict of dataset name to Comparison")
    _check_numbers(comparisons and _names(next(iter(comparisons.values()))), comparisons)
    (first, names), *others = ((dataset, _names(found)) for dataset, found in comparisons.items())
    for dataset, other in others:
        if set(other) != set(names):
            raise InputError(f"the models on {dataset!r} ({', '.join(other)}) are not those on {first!r} ({', '.join(names)})")
    shares = np.array([[found[name].accuracy for name in names] for found in comparisons.values()])
    test = friedman(shares)
    order = np.argsort(test.mean_ranks, kind="stable")
    difference = critical_difference(len(names), len(comparisons), confidence)
    ranked = tuple(names[place] for place in order), shares[:, order], test.mean_ranks[order]
    return DatasetsComparison(dict(comparisons), *ranked, test.chi2, test.p, difference, confidence)


def _names(comparison: Comparison) -> list[str]:
    return [result.name for result in comparison.results]


def _check_numbers(models: Any, datasets: Any) -> None:
    if not isinstance(datasets, Mapping) or len(datasets) < 2 or len(models) < 2:
        raise InputError("a comparison over datasets needs a dict of at least two datasets, and at least two models")


class Friedman(NamedTuple):
    """Mean rank of each model (1 is best), Friedman's statistic, and its p value.

    `p` is exact for few models and datasets; otherwise it is computed from the F statistic of Iman and Davenport. `p_chi2` is
    the p value of the usual approximation by the chi-square distribution, which is too large for few datasets.
    """

    mean_ranks: np.ndarray
    chi2: float
    p_chi2: float
    p: float


def friedman(accuracies: np.ndarray) -> Friedman:
    """Test whether models differ across datasets. Rows are datasets, columns are models; equal accuracies share a mean rank."""
    n, k = accuracies.shape
    ranks = rankdata(-accuracies, axis=1)
    means = ranks.mean(axis=0)
    ties = 1 - sum(float((counts**3 - counts).sum()) for counts in map(_ties, ranks)) / (n * k * (k * k - 1))
    if ties <= 0:  # all models are equally accurate on all datasets
        return Friedman(means, 0.0, 1.0, 1.0)
    statistic = float(12 * n / (k * (k + 1)) * ((means - (k + 1) / 2) ** 2).sum() / ties)
    p_chi2 = float(chi2.sf(statistic, k - 1))
    room = n * (k - 1) - statistic
    if math.factorial(k) ** (n - 1) <= MOST_ENUMERATED:
        p = _exact_p(ranks)
    elif room <= 1e-9:  # the order of the models is the same on all datasets
        p = _orders(ranks[0]) ** (1 - n)
    else:
        p = float(f.sf((n - 1) * statistic / room, k - 1, (k - 1) * (n - 1)))
    return Friedman(means, statistic, p_chi2, p)


def _ties(ranks: np.ndarray) -> np.ndarray:
    """Return the size of each group of equal ranks."""
    return np.unique(ranks, return_counts=True)[1]


def _orders(ranks: np.ndarray) -> float:
    """Return the number of different permutations of the ranks on one dataset."""
    return math.factorial(len(ranks)) / math.prod(map(math.factorial, _ties(ranks).tolist()))


def _exact_p(ranks: np.ndarray) -> float:
    """Return the share of all permutations within datasets whose rank sums differ at least as much as the observed ones."""
    sums: np.ndarray = ranks[:1]
    shares: np.ndarray = np.ones(1)  # the order on the first dataset can be fixed
    for row in ranks[1:]:
        orders = np.array(list(itertools.permutations(row)))
        all_sums = (sums[:, None] + orders).reshape(-1, len(row))
        sums, inverse = np.unique(all_sums, axis=0, return_inverse=True)
        shares = np.bincount(inverse.ravel(), np.repeat(shares / len(orders), len(orders)))
    spread = ((sums - sums.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    observed = ((ranks.sum(axis=0) - ranks.sum() / ranks.shape[1]) ** 2).sum()
    return float(min(1.0, shares[spread >= observed - 1e-9].sum()))


def critical_difference(n_models: int, n_datasets: int, confidence: float) -> float:
    """Return the smallest difference of mean ranks for which Nemenyi's test rejects equality."""
    q = studentized_range.ppf(confidence, n_models, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(n_models * (n_models + 1) / (6 * n_datasets)))
