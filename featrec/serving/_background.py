"""BackgroundWatcher: watch for drift in a thread of its own, so that no request waits for a comparison."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from featrec.serving._predictor import Watcher

__all__ = ["BackgroundWatcher", "in_background"]

LOG = logging.getLogger("featrec.serving")
# A comparison that finds a drift takes half a second; meanwhile, a few hundred images may arrive.
MAX_PENDING_BYTES = 16 * 2**20


class BackgroundWatcher:
    """Pass batches on to a watcher, in order, in a thread.

    At most `max_pending_bytes` of codes wait, or one batch. Batches that arrive when the limit is reached are left out and
    counted. The thread starts with the first batch; it ends after :meth:`close`, or when this object is no longer used.

    Parameters
    ----------
    watcher : Watcher
    max_pending_bytes : int
    """

    def __init__(self, watcher: Watcher, *, max_pending_bytes: int = MAX_PENDING_BYTES):
        self.watcher, self.max_pending_bytes = watcher, max_pending_bytes
        self.n_left_out = 0
        self._pending_bytes = 0
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None

    def update(self, codes: np.ndarray | None, confidences: np.ndarray | None) -> None:
        """Queue a batch, or leave it out if too much is queued already."""
        given = [each for each in (codes, confidences) if each is not None]
        size = sum(each.nbytes for each in given)
        with self._lock:
            if self._pending_bytes and self._pending_bytes + size > self.max_pending_bytes:
                self.n_left_out += len(given[0])
                return
            self._pending_bytes += size
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="featrec-drift")
            job = self._thread.submit(_passed_on, self.watcher, codes, confidences)
        job.add_done_callback(lambda _: self._done(size))

    def gauges(self) -> dict[str, float]:
        """Return the measures of the watcher, and how many images were left out."""
        return {**self.watcher.gauges(), "left_out": float(self.n_left_out)}

    def join(self) -> None:
        """Wait until the watcher has received everything that was queued."""
        with self._lock:
            last = None if self._thread is None else self._thread.submit(int)
        if last is not None:
            last.result()

    def close(self) -> None:
        """Forget what is queued, and end the thread. A later update starts another one."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(cancel_futures=True)

    def _done(self, size: int) -> None:
        with self._lock:
            self._pending_bytes -= size


def in_background(drift: Any) -> Any:
    """Return a watcher, or a function that makes a watcher for a model, which works in the background.

    `drift` is what :class:`Predictor` takes.
    """
    if drift is None or isinstance(drift, BackgroundWatcher):
        return drift
    if hasattr(drift, "update") and not isinstance(drift, type):
        return BackgroundWatcher(drift)
    return lambda model: in_background(drift(model))


def _passed_on(watcher: Watcher, codes: np.ndarray | None, confidences: np.ndarray | None) -> None:
    try:
        watcher.update(codes, confidences)
    except Exception:
        LOG.exception("the drift of a batch could not be measured")
