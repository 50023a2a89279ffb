"""Metrics: counters of a server in the format of Prometheus, summed over its processes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featrec.serving._answer import Answer

__all__ = ["FOLDER", "Metrics"]

# If this environment variable names a folder when prometheus_client is imported, all processes write there.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64)
OF_PROCESS = re.compile(r"gauge_live\w*_(\d+)\.db")


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("featrec_requests", "Requests by route and status", ["route", "status"], **own)
        self.seconds = Histogram("featrec_request_seconds", "Time of requests", ["route"], buckets=SECONDS, **own)
        self.images = Counter("featrec_images", "Images by model and outcome", ["model", "outcome"], **own)
        self.stages = Histogram("featrec_stage_seconds", "Time of an image by stage", ["stage"], buckets=SECONDS, **own)
        self.batches = Histogram("featrec_batch_images", "Images per batch", ["model"], buckets=SIZES, **own)
        self.loads = Counter("featrec_model_loads", "Model files loaded, by outcome", ["model", "outcome"], **own)
        self.waiting = Gauge("featrec_waiting_images", "Images in queues", multiprocess_mode="livesum", **own)
        self.drifts = Gauge("featrec_drift", "Drift by measure", ["model", "measure"], multiprocess_mode="livemax", **own)
        self._children: dict[tuple[str, ...], Any] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the pattern of its path."""
        self._child("requests", route, str(status)).inc()
        self._child("seconds", route).observe(seconds)

    def answer(self, model: str, answer: Answer) -> None:
        """Count an image, and its time per stage."""
        outcome = "error" if answer.error is not None else "rejected" if answer.rejected is not None else "ok"
        self._child("images", model, outcome).inc()
        for stage, seconds in answer.seconds.items():
            self._child("stages", stage).observe(seconds)

    def batch(self, model: str, size: int) -> None:
        """Count a batch."""
        self._child("batches", model).observe(size)

    def loaded(self, model: str, succeeded: bool) -> None:
        """Count a model file that was loaded, or could not be loaded."""
        self._child("loads", model, "ok" if succeeded else "error").inc()

    def drift(self, model: str, measures: Mapping[str, float]) -> None:
        """Set the current measures of drift."""
        for measure, value in measures.items():
            self._child("drifts", model, measure).set(value)

    def text(self) -> tuple[bytes, str]:
        """Return the metrics of all processes, and their content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry, folder = self.registry, os.environ.get(FOLDER)
        if folder is not None:
            _forget_ended(Path(folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def _child(self, name: str, *labels: str) -> Any:
        """Return a counter with labels. Finding it again in the library takes longer than counting."""
        key = (name, *labels)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = getattr(self, name).labels(*labels)
        return found


def _forget_ended(folder: Path) -> None:
    """Remove the gauges of processes that have ended; their counters stay in the sums."""
    for path in folder.iterdir():
        found = OF_PROCESS.fullmatch(path.name)
        if found and not _runs(int(found[1])):
            path.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
