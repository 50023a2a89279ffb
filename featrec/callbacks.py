"""Support for the callbacks of scikit-learn 1.9 and newer: `set_callbacks`, and progress of long-running steps.

Every featrec estimator accepts callbacks. An estimator inside a Pipeline, a search or an ``Augmented`` also reports to the
callbacks of that outer object. During `fit`, each pass over the images is a task, and each batch is a subtask; a
``ProgressBar`` displays them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sklearn.base import BaseEstimator

from featrec.parallel import watched_passes

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Replacement for older versions of scikit-learn, in which estimators do not have `set_callbacks`."""

    def with_callbacks(method: Callable) -> Callable:
        """Return the method unchanged, for older versions of scikit-learn."""
        return method


__all__ = ["CallsBack", "passing_callbacks", "without_callbacks"]

FITTING = ("fit", "fit_transform")
HELD = "_skl_callbacks"
PARENT = "_parent_callback_ctx"
RUNNING = "_callback_fit_ctx"


class CallsBack(CallbackSupportMixin):
    """Mixin for estimators whose `fit` and `fit_transform` report to callbacks."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in FITTING:
            if name in vars(cls) and hasattr(CallbackSupportMixin, "set_callbacks"):
                setattr(cls, name, _reporting(vars(cls)[name]))


def _reporting(method: Callable) -> Callable:
    """Wrap `fit` to report its beginning, its end and its passes over images."""

    def run(estimator: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        context = estimator._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(estimator=estimator, X=X)
        with watched_passes(functools.partial(_reported_pass, estimator, context)):
            result = method(estimator, X, *args, **kwargs)
        context.call_on_fit_task_end(estimator=estimator, X=X)
        return result

    managed = with_callbacks(run)

    @functools.wraps(method)
    def fit(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        state = vars(self)
        if RUNNING in state or not (state.get(HELD) or PARENT in state):
            return method(self, X, *args, **kwargs)
        return managed(self, X, *args, **kwargs)

    return fit


def _reported_pass(estimator: Any, context: Any, label: str, n_batches: int, batches: Iterator) -> Iterator:
    """Yield the results of a pass over images, and report each result as soon as it is available."""
    task = context.subcontext(task_name=label, max_subtasks=n_batches)
    task.call_on_fit_task_begin(estimator=estimator)
    for result in batches:
        done = task.subcontext(task_name="batch")
        done.call_on_fit_task_begin(estimator=estimator)
        done.call_on_fit_task_end(estimator=estimator)
        yield result
    task.call_on_fit_task_end(estimator=estimator)


def passing_callbacks(estimator: Any, inner: Any) -> Any:
    """Return a context in which an inner estimator reports to the callbacks of a running fit."""
    context = vars(estimator).get(RUNNING)
    if context is None:
        return nullcontext()
    return context.subcontext(task_name=f"fit-{type(inner).__name__}").propagate_callback_context(inner)


@contextmanager
def without_callbacks(estimators: list[BaseEstimator]) -> Iterator[None]:
    """Remove the callbacks of estimators in this context, because model files cannot contain them."""
    held = [(vars(estimator), vars(estimator).pop(HELD)) for estimator in estimators if HELD in vars(estimator)]
    try:
        yield
    finally:
        for state, callbacks in held:
            state[HELD] = callbacks
