"""Service: models, queues, limits and metrics of one server process, without HTTP."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

from featrec.serving._answer import Answer
from featrec.serving._batcher import Batcher
from featrec.serving._body import Budget
from featrec.serving._limits import Limits
from featrec.serving._metrics import Metrics
from featrec.serving._models import Model, Models
from featrec.serving._refusal import Refusal

__all__ = ["Service"]


class Service:
    """What the routes of the web server work with.

    Parameters
    ----------
    source : path, estimator, Predictor or dict
        See :class:`Models`.
    limits : Limits
    options : dict
        Arguments of :class:`Predictor`.
    watch_seconds : float
        Time between two looks at the model files.
    """

    def __init__(self, source: Any, *, limits: Limits, options: dict[str, Any], watch_seconds: float = 1.0):
        self.limits, self.metrics, self.budget = limits, Metrics(), Budget(limits.max_pending_bytes)
        options = {"max_pixels": limits.max_pixels, "batch_size": limits.max_batch, **options}
        self.models = Models(source, options=options, on_load=self.metrics.loaded)
        self.watch_seconds, self.ready = watch_seconds, False
        self._batchers: dict[tuple[str, bool], Batcher] = {}
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    async def start(self) -> None:
        """Load and warm the models, then watch their files."""
        if not self.models.loaded:
            await asyncio.to_thread(self.models.load)
        self._stop.clear()
        self._watcher = threading.Thread(target=self._watch, name="featrec-watch", daemon=True)
        self._watcher.start()
        self.ready = True

    async def stop(self) -> None:
        """Finish what is queued, and stop watching."""
        self.ready = False
        self._stop.set()
        for batcher in self._batchers.values():
            await batcher.close()
        await asyncio.to_thread(self.models.close)

    def model(self, name: str | None) -> Model:
        """Return a model; raise a Refusal (404) if there is none of this name."""
        found = self.models.get(name)
        if found is None:
            names = ", ".join(model.name for model in self.models.all())
            if name is None:
                raise Refusal(404, f"there are {len(self.models)} models; choose one with ?model=NAME: {names}")
            raise Refusal(404, f"there is no model {name[:100]!r}; the models are {names}")
        return found

    async def answers(
        self, name: str, items: list[Any], *, top: int | None = None, explain: bool = False
    ) -> list[tuple[Model, Answer]]:
        """Predict encoded images or arrays, in batches with those of other requests."""
        found = await self._batcher(name, explain).submit([(item, top) for item in items])
        self.metrics.waiting.set(sum(len(batcher.queue) for batcher in self._batchers.values()))
        answers = []
        for (model, answer), waited in found:
            answer = replace(answer, seconds={"wait": waited, **answer.seconds})
            self.metrics.answer(name, answer)
            answers.append((model, answer))
        return answers

    def _batcher(self, name: str, explain: bool) -> Batcher:
        """Return the queue of a model. Explanations have their own, because they take longer than predictions."""
        if (name, explain) not in self._batchers:
            self._batchers[name, explain] = Batcher(
                lambda jobs: self._predicted(name, jobs, explain),
                max_batch=1 if explain else self.limits.max_batch,
                max_wait=self.limits.max_wait_ms / 1000,
                max_queue=self.limits.max_queue,
                on_batch=lambda size: self.metrics.batch(name, size),
            )
        return self._batchers[name, explain]

    def _predicted(self, name: str, jobs: list[tuple[Any, int | None]], explain: bool) -> list[tuple[Model, Answer]]:
        model = self.model(name)
        tops = [model.predictor.top if top is None else top for _, top in jobs]
        answers = model.predictor.predict([item for item, _ in jobs], top=max(tops), explain=explain)
        return [(model, replace(answer, top=answer.top[:top])) for answer, top in zip(answers, tops, strict=True)]

    def _watch(self) -> None:
        while not self._stop.wait(self.watch_seconds):
            self.models.refresh()
            for model in self.models.all():
                if model.predictor.drift is not None:
                    self.metrics.drift(model.name, model.predictor.drift.gauges())
