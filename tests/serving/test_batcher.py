"""Batcher: what is queued is predicted together; a lone client never waits."""

import asyncio
import threading
import time

import pytest

from featrec.serving._limits import Refusal
from featrec.serving._service import Batcher


class Doubler:
    """Doubles numbers, remembers batches, and works only while `gate` is open."""

    def __init__(self):
        self.batches, self.gate = [], threading.Event()
        self.gate.set()

    def __call__(self, items):
        self.gate.wait(10)
        self.batches.append(len(items))
        if "broken" in items:
            raise ZeroDivisionError("broken")
        return [2 * item for item in items]


def run(work, *, max_batch=4, max_wait=0.0, max_queue=8):
    """Run a coroutine that receives a new Batcher and its Doubler."""

    async def main():
        doubler = Doubler()
        batcher = Batcher(doubler, max_batch=max_batch, max_wait=max_wait, max_queue=max_queue)
        found = await work(batcher, doubler)
        await batcher.close()
        return found, doubler.batches

    return asyncio.run(main())


def test_items_that_arrive_during_a_batch_are_the_next_batch():
    async def work(batcher, doubler):
        doubler.gate.clear()
        jobs = [asyncio.create_task(batcher.submit([number])) for number in range(6)]
        await asyncio.sleep(0.05)
        doubler.gate.set()
        return [(await job)[0][0] for job in jobs]

    found, batches = run(work)
    assert found == [0, 2, 4, 6, 8, 10]
    assert sum(batches) == 6
    assert max(batches) == 4


def test_a_request_with_several_items_gets_them_in_order():
    async def work(batcher, doubler):
        return [result for result, _ in await batcher.submit([1, 2, 3, 4, 5, 6])]

    found, batches = run(work)
    assert (found, batches) == ([2, 4, 6, 8, 10, 12], [4, 2])


@pytest.mark.parametrize("images", [[1], [1, 2, 3]])
def test_a_lone_client_does_not_wait(images):
    async def work(batcher, doubler):
        start = time.perf_counter()
        for _ in range(5):
            await batcher.submit(images)
        return time.perf_counter() - start

    seconds, batches = run(work, max_wait=5.0)
    assert batches == [len(images)] * 5
    assert seconds < 5


async def two_requests(batcher):
    """Two requests that arrive at once."""
    await asyncio.gather(batcher.submit([1]), batcher.submit([2]))


def test_after_a_batch_of_several_requests_the_next_one_waits_for_as_many():
    async def work(batcher, doubler):
        await two_requests(batcher)
        first = asyncio.create_task(batcher.submit([3]))
        await asyncio.sleep(0.1)
        assert doubler.batches == [2]
        await batcher.submit([4])
        await first

    assert run(work, max_wait=30.0)[1] == [2, 2]


def test_the_wait_ends():
    async def work(batcher, doubler):
        await two_requests(batcher)
        start = time.perf_counter()
        await batcher.submit([3])
        waited = time.perf_counter() - start
        await batcher.submit([4])
        return waited, time.perf_counter() - start - waited

    (first, second), batches = run(work, max_wait=0.5)
    assert batches == [2, 1, 1]
    assert second < 0.4 < first  # a client that stays alone waits once


def test_a_full_queue_refuses_and_recovers():
    async def work(batcher, doubler):
        doubler.gate.clear()
        first = asyncio.create_task(batcher.submit([0]))
        await asyncio.sleep(0.05)  # taken from the queue by now
        waiting = asyncio.create_task(batcher.submit([1, 2, 3]))
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="3 images wait, and the limit is 4") as refused:
            await batcher.submit([4, 5])
        doubler.gate.set()
        await first
        await waiting
        return refused.value, await batcher.submit([6])

    (refusal, last), _ = run(work, max_queue=4)
    assert (refusal.status, refusal.headers) == (503, {"retry-after": "1"})
    assert last[0][0] == 12


def test_an_error_reaches_those_who_asked_and_nobody_else():
    async def work(batcher, doubler):
        with pytest.raises(ZeroDivisionError, match="broken"):
            await batcher.submit(["broken"])
        return await batcher.submit([1])

    assert run(work)[0][0][0] == 2


def test_who_has_left_is_not_computed():
    async def work(batcher, doubler):
        doubler.gate.clear()
        first = asyncio.create_task(batcher.submit([0]))
        await asyncio.sleep(0.05)
        left = asyncio.create_task(batcher.submit([1]))
        stays = asyncio.create_task(batcher.submit([2]))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        doubler.gate.set()
        return (await first)[0][0], (await stays)[0][0]

    assert run(work) == ((0, 4), [1, 1])


def test_closing_finishes_what_was_taken():
    async def work(batcher, doubler):
        doubler.gate.clear()
        jobs = [asyncio.create_task(batcher.submit([number])) for number in range(3)]
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        doubler.gate.set()
        await closing
        return [(await job)[0][0] for job in jobs]

    assert run(work)[0] == [0, 2, 4]
