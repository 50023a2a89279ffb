"""Base classes of all estimators. Only this module imports private scikit-learn helpers."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, _safe_indexing, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_is_fitted

from featrec.bag import Bag
from featrec.callbacks import CallsBack
from featrec.compilation import tell_of_compiling
from featrec.exceptions import EmptyBagWarning, FailedImageWarning, InputError, MetricError
from featrec.lazy import Bags, Images
from featrec.parallel import map_batches

__all__ = [
    "JOBS",
    "ON_ERROR",
    "RANDOM_STATE",
    "VERBOSE",
    "CodesOutput",
    "Estimator",
    "HasMethods",
    "Interval",
    "NoOutputContainer",
    "StrOptions",
    "Tags",
    "Transformer",
    "check_alike",
    "check_all_parameters",
    "check_bags",
    "check_is_fitted",
    "check_one_label_each",
    "check_sizes",
    "gamma_of",
    "is_search",
    "positive_integer",
    "real_number",
    "refuse_drop",
    "refuse_empty",
    "rows_of",
    "sample_descriptors",
    "stored_neighbors",
    "training_rows",
    "warn_of_empty_bags",
    "warn_of_failures",
    "why_empty",
]

# Default explanation in messages about empty bags, used if the extractor is unknown.
WHY_EMPTY = "They may have a uniform colour, be too small for the extractor (use Resize first), or have no keypoints."

JOBS = {"n_jobs": [None, Integral]}
VERBOSE = {"verbose": ["verbose"]}
RANDOM_STATE = {"random_state": ["random_state"]}
ON_ERROR = {"on_error": [StrOptions({"raise", "empty"})]}

# Minimum number of descriptors to draw from each image (all of them if it has fewer). If every image has at least this many
# descriptors, a sample of 100,000 descriptors needs at most 1,000 images.
LEAST_FROM_AN_IMAGE = 100


def positive_integer(least: int = 1) -> Interval:
    """Return the constraint of an integer parameter."""
    return Interval(Integral, least, None, closed="left")


def real_number(least: float | None = None, most: float | None = None, *, closed: str = "both") -> Interval:
    """Return the constraint of a real-valued parameter."""
    return Interval(Real, least, most, closed=closed)


def check_sizes(name: str, sizes: int | Sequence[int], length: int) -> tuple[int, ...]:
    """Check a parameter and return it as a tuple of `length` positive integers; a single integer is repeated."""
    each = (sizes,) * length if isinstance(sizes, (int, Integral)) else sizes
    counts = all(isinstance(size, Integral) and not isinstance(size, bool) and size > 0 for size in each)
    if len(each) != length or not counts:
        raise InputError(f"{name} must be {length} positive integers, or one integer for all; got {sizes!r}")
    return tuple(int(size) for size in each)


class Estimator(CallsBack, BaseEstimator):
    """Base class of all estimators. Parameters are checked against ``_parameter_constraints``."""

    _parameter_constraints: dict[str, list] = {}

    def _check_parameters(self) -> None:
        """Check the parameters. Every public method calls this first, before any loop is compiled.

        scikit-learn's setting ``skip_parameter_validation`` turns the check off, as it does for scikit-learn's own estimators.
        """
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()
        if getattr(self, "verbose", 0):
            tell_of_compiling()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore an estimator. Parameters that were added after its file was saved are set to their defaults."""
        super().__setstate__(state)
        for parameter in inspect.signature(type(self).__init__).parameters.values():
            if parameter.default is not inspect.Parameter.empty:
                self.__dict__.setdefault(parameter.name, parameter.default)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


class Transformer(TransformerMixin, Estimator):
    """Base class of all estimators with ``transform``."""

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit to the training set and transform it."""
        return super().fit_transform(X, y)


class NoOutputContainer:
    """Mixin for transformers whose output is not a table; ``set_output`` is accepted but has no effect.

    scikit-learn's ``auto_wrap_output_keys=None`` is not inherited, so it is set for each subclass.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        kwargs.setdefault("auto_wrap_output_keys", None)
        super().__init_subclass__(**kwargs)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Do nothing, because the output is always a sequence.

        Parameters
        ----------
        transform : str, optional
            Ignored.

        Returns
        -------
        self
        """
        return self


class CodesOutput:
    """Mixin for transformers that return one row per image. DataFrames keep the pandas index of the input."""

    def _with_index(self, codes: np.ndarray, index: Any) -> Any:
        if index is None or _get_output_config("transform", self)["dense"] != "pandas":
            return codes
        import pandas

        return pandas.DataFrame(codes, index=index)


def rows_of(X: Any, rows: np.ndarray) -> Any:
    """Select rows of an array, a list, a table or lazy images."""
    return _safe_indexing(X, rows)


def check_all_parameters(model: Any) -> None:
    """Check the parameters of an estimator and its nested estimators, except searches, which set parameters later."""
    values = () if is_search(model) else (model, *getattr(model, "get_params", dict)().values())
    for value in values:
        if isinstance(value, Estimator):
            value._check_parameters()
        elif isinstance(value, BaseEstimator) and hasattr(value, "_parameter_constraints"):
            value._validate_params()


def is_search(model: Any) -> bool:
    """Return whether a model searches for parameters."""
    return hasattr(model, "param_grid") or hasattr(model, "param_distributions") or hasattr(model, "param_space")


def training_rows(svc: Any) -> np.ndarray:
    """Return the rows that ``svc.support_`` refers to. With a callable kernel, an SVC stores all training rows."""
    if callable(svc.kernel):
        return np.asarray(svc._BaseLibSVM__Xfit)
    rows = np.empty((int(svc.support_.max(initial=-1)) + 1, svc.support_vectors_.shape[1]))
    rows[svc.support_] = svc.support_vectors_
    return rows


def gamma_of(svc: Any) -> float:
    """Return the number that an SVC uses for gamma="scale" or "auto"."""
    return float(svc._gamma)


def stored_neighbors(classifier: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the training rows of nearest neighbours, and the positions of their labels in ``classes_``."""
    return np.asarray(classifier._fit_X), np.asarray(classifier._y)


def refuse_drop(on_error: Any) -> None:
    """Raise an InputError for "drop" in extractors and recipes; only ImageFolder accepts it."""
    if isinstance(on_error, str) and on_error == "drop":
        raise InputError(
            'on_error="drop" is not available in extractors and recipes, because they cannot drop the label of an image. '
            'featrec.datasets.ImageFolder(path, on_error="drop") leaves out damaged files and their labels; '
            'with on_error="empty", such images become empty bags or rows of zeros.'
        )


def check_one_label_each(y: Any, n_images: int) -> None:
    """Raise an InputError, before the work starts, if the numbers of labels and images differ."""
    n_labels = n_images if y is None or not hasattr(y, "__len__") else len(y)
    if n_labels != n_images:
        raise InputError(f"got {n_images} images and {n_labels} labels; each image needs one label")


def check_bags(X: Any, *, stage: str) -> Bags:
    """Check the input of encoders and vocabularies: Bags, or a list of Bag."""
    if isinstance(X, Bags):
        return X
    if isinstance(X, Bag):
        raise InputError(f"{stage} expects a list of bags; got one Bag. Use [bag].")
    if isinstance(X, Images):
        raise InputError(f"{stage} expects Bags; got Images. Put an extractor such as DenseSIFT() before it.")
    if not isinstance(X, (list, tuple, np.ndarray)):
        raise InputError(
            f"{stage} expects Bags or a list of Bag; got {type(X).__name__}. The transform method of an extractor returns Bags."
        )
    items = list(X)
    for position, item in enumerate(items):
        if not isinstance(item, Bag):
            raise InputError(
                f"{stage} expects Bags; item {position} is {_kind(item)}. For images, use an extractor first "
                "(make_pipeline(DenseSIFT(), ...)); for precomputed descriptors, use Bag(array)."
            )
    return Bags(items)


def _kind(item: Any) -> str:
    return f"an array of shape {item.shape}" if isinstance(item, np.ndarray) else f"a {type(item).__name__}"


def sample_descriptors(
    bags: Bags,
    max_descriptors: int,
    random_state: Any = None,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Bag:
    """Draw at most `max_descriptors` descriptors from the bags and return them as one Bag without frames.

    Images are read in random order until the sample is full. Each image has its own seed, so the sample does not depend on
    `n_jobs` or the batch size.
    """
    random = check_random_state(random_state)
    seed = int(random.randint(np.iinfo(np.int32).max))
    order = random.permutation(len(bags))
    quota = max(LEAST_FROM_AN_IMAGE, -(-max_descriptors // max(1, len(bags))))
    parts: list[Bag] = []
    missing, read = max_descriptors, 0
    while missing > 0 and read < len(order):
        rows = order[read : read + -(-missing // quota)]
        drawn = _draw(bags[rows], rows, quota, seed, n_jobs, verbose)
        parts += drawn
        read += len(rows)
        missing -= sum(len(bag.descriptors) for bag in drawn)
    return _join(parts, max_descriptors)


class _Drawer:
    """Draws at most `quota` descriptors from each bag of a batch."""

    def __init__(self, quota: int, seed: int):
        self.quota, self.seed = quota, seed

    def __call__(self, batch: _Numbered) -> list[Bag]:
        return [self.take(bag, row) for row, bag in zip(batch.rows, batch.bags, strict=True)]

    def take(self, bag: Bag, row: int) -> Bag:
        n = len(bag.descriptors)
        if n <= self.quota:
            return Bag(bag.descriptors, size=bag.size, metric=bag.metric)
        random = np.random.default_rng((self.seed, int(row)))
        chosen = np.sort(random.choice(n, self.quota, replace=False))
        return Bag(bag.descriptors[chosen], metric=bag.metric)


class _Numbered:
    """Some Bags of a batch and their positions in the batch. Slicing selects from both."""

    def __init__(self, bags: Bags, rows: np.ndarray):
        self.bags, self.rows = bags, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> _Numbered:
        return _Numbered(self.bags[key], self.rows[key])


def _draw(bags: Bags, rows: np.ndarray, quota: int, seed: int, n_jobs: int | None, verbose: int) -> list[Bag]:
    parts = map_batches(_Drawer(quota, seed), _Numbered(bags, rows), n_jobs=n_jobs, verbose=verbose, label="images sampled")
    return [bag for part in parts for bag in part]


def _join(parts: list[Bag], limit: int) -> Bag:
    full = [bag for bag in parts if len(bag.descriptors)]
    if not full:
        return parts[0] if parts else Bag(np.empty((0, 0), np.float32))
    check_alike(full)
    return Bag(np.concatenate([bag.descriptors for bag in full])[:limit], metric=full[0].metric)


def check_alike(bags: Sequence[Bag]) -> None:
    """Check that the descriptors of all bags have the same metric and width."""
    kinds = {(bag.metric, bag.descriptors.shape[1]) for bag in bags}
    if len({metric for metric, _ in kinds}) > 1:
        raise MetricError(
            "some bags contain packed bits (hamming), others numbers (euclidean); use one extractor for all images"
        )
    if len(kinds) > 1:
        raise InputError(f"all descriptors must have the same width; found widths {sorted(width for _, width in kinds)}")


def why_empty(bags: Bags) -> str:
    """Return the extractor's explanation of why images may have no descriptors."""
    for step in (*bags.steps, getattr(bags.source, "step", None)):
        extractor = getattr(step, "extractor", None)
        if extractor is not None and hasattr(extractor, "why_empty"):
            return str(extractor.why_empty).format(name=type(extractor).__name__)
    return WHY_EMPTY


def refuse_empty(sample: Bag, bags: Bags, stage: str) -> None:
    """Raise an error if all bags are empty. The message contains the size of one image, if it is known."""
    if not len(sample.descriptors):
        one = "" if sample.size is None else f" (one has {sample.size[0]}×{sample.size[1]} pixels)"
        raise InputError(f"{stage}: all bags are empty; none of the {len(bags)} images{one} has descriptors. {why_empty(bags)}")


def warn_of_empty_bags(count: int, total: int, stage: str, failed: int = 0, why: str = WHY_EMPTY) -> None:
    """Warn once per batch about empty bags."""
    if failed:
        others = f", and {count - failed} have no descriptors" if count > failed else ""
        warn_of_failures(failed, total, stage, others)
    elif count:
        warnings.warn(
            f"{stage}: {count} of {total} images have no descriptors; their codes are zero. {why}",
            EmptyBagWarning,
            stacklevel=3,
        )


def warn_of_failures(failed: int, total: int, stage: str, others: str = "") -> None:
    """Warn once per batch about images that could not be used."""
    if failed:
        warnings.warn(
            f"{stage}: {failed} of {total} images could not be used{others}; their codes are zero. "
            "The extractor's attribute failures_ lists them with reasons; ImageFolder(path, on_error='drop') leaves such "
            "files out of a training set.",
            FailedImageWarning,
            stacklevel=4,
        )
