"""Service: models, queues, limits and metrics of one server process. Batcher: a queue of images that are predicted at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from featrec.serving._answer import Answer
from featrec.serving._body import Budget
from featrec.serving._limits import Limits, Refusal
from featrec.serving._metrics import Metrics
from featrec.serving._models import Model, Models

__all__ = ["Batcher", "Service"]


Result = TypeVar("Result")
RETRY_SECONDS = 1


@dataclass
class _Job:
    item: Any
    request: object
    done: asyncio.Future
    since: float


def _n_requests(jobs: Iterable[_Job]) -> int:
    return len({id(job.request) for job in jobs})


class Batcher(Generic[Result]):
    """A bounded queue of images, and a thread that answers what is queued.

    A batch contains the images that arrived while the last one was computed. If the last batch answered several requests, their
    clients are probably about to send the next ones. The next batch then waits for as many requests, for at most `max_wait`
    seconds. A client that stays alone waits once.

    Parameters
    ----------
    answer : callable
        Receives a list of items and returns a list with one result per item. It runs in the thread.
    max_batch : int
    max_wait : float
        In seconds.
    max_queue : int
    on_batch : callable, optional
        Called with the size of each batch.
    """

    def __init__(
        self,
        answer: Callable[[list[Any]], list[Result]],
        *,
        max_batch: int,
        max_wait: float,
        max_queue: int,
        on_batch: Callable[[int], None] | None = None,
    ):
        self.answer, self.on_batch = answer, on_batch
        self.max_batch, self.max_wait, self.max_queue = max_batch, max_wait, max_queue
        self.queue: deque[_Job] = deque()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="featrec")
        self.worker: asyncio.Task | None = None
        self.n_last = 1
        self.arrived = asyncio.Event()

    async def submit(self, items: list[Any]) -> list[tuple[Result, float]]:
        """Return the result of each item and the seconds that it waited. Raise a Refusal (503) if the queue is full."""
        if len(self.queue) + len(items) > self.max_queue:
            raise Refusal(
                503,
                f"the server is busy: {len(self.queue)} images wait, and the limit is {self.max_queue}; send the request again "
                f"after {RETRY_SECONDS} s",
                headers={"retry-after": str(RETRY_SECONDS)},
            )
        loop, now = asyncio.get_running_loop(), time.perf_counter()
        request = object()
        jobs = [_Job(item, request, loop.create_future(), now) for item in items]
        self.queue.extend(jobs)
        if self._is_full():
            self.arrived.set()
        if self.worker is None:
            self.worker = loop.create_task(self._work())
        return [await job.done for job in jobs]

    async def close(self) -> None:
        """Finish what is queued, then end the thread."""
        while self.worker is not None:
            await asyncio.sleep(0.01)
        self.thread.shutdown()

    def _is_full(self) -> bool:
        """Return whether as many requests wait as the last batch answered, or as many images as a batch may have."""
        return len(self.queue) >= self.max_batch or _n_requests(self.queue) >= self.n_last

    async def _work(self) -> None:
        try:
            while self.queue:
                if self.max_wait and not self._is_full():
                    await self._wait()
                n = min(len(self.queue), self.max_batch)
                jobs = [job for job in (self.queue.popleft() for _ in range(n)) if not job.done.done()]
                self.n_last = _n_requests(jobs)
                if jobs:
                    await self._answered(jobs)
        finally:
            self.worker = None

    async def _wait(self) -> None:
        self.arrived.clear()
        try:
            async with asyncio.timeout(self.max_wait):
                await self.arrived.wait()
        except TimeoutError:
            pass

    async def _answered(self, jobs: list[_Job]) -> None:
        start = time.perf_counter()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self.thread, self.answer, [job.item for job in jobs])
        except Exception as error:
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(error)
            return
        if self.on_batch is not None:
            self.on_batch(len(jobs))
        for job, result in zip(jobs, found, strict=True):
            if not job.done.done():
                job.done.set_result((result, start - job.since))


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
