"""Batcher: predict images of several requests at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from featrec.serving._refusal import Refusal

__all__ = ["Batcher"]

Result = TypeVar("Result")
RETRY_SECONDS = 1


@dataclass
class _Job:
    item: Any
    done: asyncio.Future
    since: float


class Batcher(Generic[Result]):
    """A bounded queue of images, and a thread that answers what is queued.

    A batch is what has arrived while the last one was computed, so nobody waits while the thread is idle. If the last batch had
    several images, their clients are probably about to send the next ones: then the batch waits for as many images, for at
    most `max_wait` seconds. A lone client never waits.

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
        self.last_size = 1
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
        jobs = [_Job(item, loop.create_future(), now) for item in items]
        self.queue.extend(jobs)
        if len(self.queue) >= self._wanted():
            self.arrived.set()
        if self.worker is None:
            self.worker = loop.create_task(self._work())
        return [await job.done for job in jobs]

    async def close(self) -> None:
        """Finish what is queued, then end the thread."""
        while self.worker is not None:
            await asyncio.sleep(0.01)
        self.thread.shutdown()

    def _wanted(self) -> int:
        return min(self.last_size, self.max_batch)

    async def _work(self) -> None:
        try:
            while self.queue:
                if self.max_wait and len(self.queue) < self._wanted():
                    await self._wait()
                n = min(len(self.queue), self.max_batch)
                jobs = [job for job in (self.queue.popleft() for _ in range(n)) if not job.done.done()]
                self.last_size = len(jobs)
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
