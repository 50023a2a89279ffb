"""What all recipes share: the general options and what becomes of them, and options that were renamed."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from featrec.base import refuse_drop
from featrec.classifiers import Calibrated
from featrec.exceptions import InputError
from featrec.preprocessing import Deskew, Resize

__all__ = ["GENERAL", "General", "before_patches", "renamed", "renamed_options"]

# The options that every recipe takes.
GENERAL = ("probability", "class_weight", "on_error", "cache", "random_state", "n_jobs", "verbose")
# Mean sides of the images that patches are cut from. Patches of 6 pixels see objects best in 32 (docs/notes/performance.md).
SIDES_FOR_PATCHES = (8, 32)
CALIBRATIONS = {"calibrated": "sigmoid", "temperature": "temperature"}


@dataclass(frozen=True)
class General:
    """The general options of a recipe, and which of them its parts take."""

    probability: str | None
    class_weight: Any
    on_error: str
    cache: Any
    random_state: Any
    n_jobs: int | None
    verbose: int

    def __post_init__(self) -> None:
        refuse_drop(self.on_error)

    @property
    def reading(self) -> dict[str, Any]:
        """For an extractor of local features."""
        return {"on_error": self.on_error, "cache": self.cache}

    @property
    def describing(self) -> dict[str, Any]:
        """For an extractor that gives codes."""
        return self.reading | {"n_jobs": self.n_jobs, "verbose": self.verbose}

    @property
    def learning(self) -> dict[str, Any]:
        """For what is learned from a sample."""
        return {"random_state": self.random_state, "n_jobs": self.n_jobs, "verbose": self.verbose}

    def calibrated(self, classifier: Any) -> Any:
        """The classifier itself, or one with probabilities that are fitted on five folds of the training set."""
        if self.probability is None:
            return classifier
        if self.probability not in CALIBRATIONS:
            raise InputError(f'probability is "calibrated", "temperature" or None; got {self.probability!r}')
        return Calibrated(classifier, method=CALIBRATIONS[self.probability])

    def without_class_weight(self, recipe: str, reason: str) -> None:
        """Warn where `class_weight` is given to a recipe whose classifier has none."""
        if self.class_weight is not None:
            warnings.warn(f"class_weight={self.class_weight!r} has no effect in {recipe}: {reason}", UserWarning, stacklevel=3)

    def without_empty_rows(self, recipe: str) -> None:
        """Refuse ``on_error="empty"`` where there are no codes that could be a row of zeros."""
        if self.on_error != "raise":
            raise InputError(
                f'on_error of {recipe} is "raise", because a network of pixels has no codes to put zeros in; got '
                f'{self.on_error!r}. ImageFolder(on_error="drop") leaves images out that cannot be read.'
            )


def before_patches(image_size: int | tuple[int, int] | str | None, deskew: bool) -> list[Any]:
    """The steps that bring images to one size that is small enough for a patch at each pixel, and upright."""
    sizes = [] if image_size is None else [Resize(image_size, bounds=SIDES_FOR_PATCHES, multiple=1)]
    return sizes + ([Deskew()] if deskew else [])


def renamed(**names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a recipe take options by their former names, old to new, with a FutureWarning."""

    def decorate(recipe: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(recipe)
        def with_old_names(*args: Any, **options: Any) -> Any:
            for old, new in names.items():
                if old in options:
                    if new in options:
                        raise InputError(f"{recipe.__name__}: {old} is the former name of {new}; give {new} alone")
                    warnings.warn(
                        f"{old} of {recipe.__name__} is called {new} now; the old name goes in the next version",
                        FutureWarning,
                        stacklevel=2,
                    )
                    options[new] = options.pop(old)
            return recipe(*args, **options)

        with_old_names.renamed_options = names  # type: ignore[attr-defined]
        return with_old_names

    return decorate


def renamed_options(recipe: Callable[..., Any]) -> dict[str, str]:
    """Former names of a recipe's options, and what they are called now."""
    return dict(getattr(recipe, "renamed_options", {}))
