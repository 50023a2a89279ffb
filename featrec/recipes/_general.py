"""The options that all recipes share."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict, TypeVar, cast

from featrec.base import refuse_drop
from featrec.classifiers import Calibrated
from featrec.exceptions import InputError
from featrec.shared_docs import SHARED, with_shared_docs

__all__ = ["GENERAL", "General", "Options", "recipe"]

Recipe = TypeVar("Recipe", bound=Callable[..., Any])
CALIBRATIONS = {"calibrated": "sigmoid", "temperature": "temperature"}


class Options(TypedDict, total=False):
    """The types of the options of :class:`General`, for the signatures of recipes."""

    probability: str | None
    class_weight: Any
    on_error: str
    cache: Any
    random_state: Any
    n_jobs: int | None
    verbose: int


@dataclass(frozen=True)
class General:
    """The options that all recipes share, and the parameters that follow from them for each type of step."""

    probability: str | None = None
    class_weight: Any = None
    on_error: str = "raise"
    cache: Any = None
    random_state: Any = 0
    n_jobs: int | None = None
    verbose: int = 0

    def __post_init__(self) -> None:
        refuse_drop(self.on_error)

    @property
    def reading(self) -> dict[str, Any]:
        """Parameters for an extractor of Bags."""
        return {"on_error": self.on_error, "cache": self.cache}

    @property
    def describing(self) -> dict[str, Any]:
        """Parameters for an extractor that returns one row of numbers per image."""
        return self.reading | {"n_jobs": self.n_jobs, "verbose": self.verbose}

    @property
    def learning(self) -> dict[str, Any]:
        """Parameters for a step that learns from a sample."""
        return {"random_state": self.random_state, "n_jobs": self.n_jobs, "verbose": self.verbose}

    def calibrated(self, classifier: Any) -> Any:
        """Return the classifier, wrapped to compute probabilities if `probability` is set."""
        if self.probability is None:
            return classifier
        if self.probability not in CALIBRATIONS:
            raise InputError(f'probability must be "calibrated", "temperature" or None; got {self.probability!r}')
        return Calibrated(classifier, method=CALIBRATIONS[self.probability])

    def without_class_weight(self, name: str) -> None:
        """Warn if `class_weight` is given to a recipe with a nearest-neighbour classifier."""
        if self.class_weight is not None:
            text = f"class_weight={self.class_weight!r} has no effect in {name}, because each neighbour has one vote"
            warnings.warn(text, UserWarning, stacklevel=4)

    def without_empty_rows(self, name: str) -> None:
        """Raise an error for ``on_error="empty"`` in a recipe whose classifier takes pixels instead of codes."""
        if self.on_error != "raise":
            raise InputError(
                f'on_error of {name} must be "raise", because the network takes pixels and an unusable image has no pixels; '
                f'got {self.on_error!r}. ImageFolder(on_error="drop") drops damaged images.'
            )


# Names of the options that every recipe takes.
GENERAL = tuple(field.name for field in fields(General))


def recipe(docs: Mapping[str, str] | None = None, **former: str) -> Callable[[Recipe], Recipe]:
    """Complete the signature and the docstring of a recipe.

    The signature lists the general options instead of ``**general``. The docstring describes them and the parameters in
    `docs`. `former` maps former names of options to new names. The former names still work but cause a FutureWarning.
    """

    def decorate(function: Recipe) -> Recipe:
        signature = _with_general(inspect.signature(function))

        @functools.wraps(function)
        def made(*args: Any, **options: Any) -> Any:
            options = _with_new_names(function.__name__, options, former)
            try:
                signature.bind(*args, **options)
            except TypeError as error:
                raise TypeError(f"{function.__name__}: {error}") from None
            return function(*args, **options)

        made.__signature__ = signature  # type: ignore[attr-defined]
        made.renamed_options = former  # type: ignore[attr-defined]
        return cast(Recipe, with_shared_docs(made, SHARED | dict(docs or {})))

    return decorate


def _with_general(signature: inspect.Signature) -> inspect.Signature:
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    general = inspect.signature(General).parameters.values()
    return signature.replace(parameters=[*own, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in general)])


def _with_new_names(name: str, options: dict[str, Any], former: Mapping[str, str]) -> dict[str, Any]:
    for old, new in former.items():
        if old in options:
            if new in options:
                raise InputError(f"{name}: {old} is the former name of {new}; set only {new}")
            text = f"the option {old} of {name} is now called {new}; the old name will be removed in the next version"
            warnings.warn(text, FutureWarning, stacklevel=3)
            options[new] = options.pop(old)
    return options
