"""Watching for drift in the background: no prediction waits, the order is kept, the queue is bounded, the thread ends."""

import gc
import threading
import time

import numpy as np
import pytest

from featrec.serving import Predictor
from featrec.serving._models import BackgroundWatcher, Models, in_background
from tests.serving.models import with_scores
from tests.serving.test_predictor import pixels

SECONDS = 10


class Held:
    """A watcher that waits in the first batch until it is released."""

    def __init__(self):
        self.begun, self.released = threading.Event(), threading.Event()
        self.seen = []

    def update(self, codes, confidences, brightness):
        self.begun.set()
        assert self.released.wait(SECONDS)
        self.seen.append(float(codes[0, 0]))

    def gauges(self):
        return {"n": len(self.seen)}


@pytest.fixture
def held():
    found = Held()
    yield found
    found.released.set()


def batch(number, n=1):
    return np.full((n, 4), number, np.float32), np.full(n, 0.5, np.float32)


def threads():
    return {each for each in threading.enumerate() if each.name.startswith("featrec-drift")}


def wait_until(done):
    limit = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_prediction_does_not_wait_for_a_comparison(held):
    predictor = Predictor(with_scores(), drift=BackgroundWatcher(held))
    for _ in range(3):
        assert predictor.predict([pixels(40)])[0].label == "dark"
    assert held.begun.wait(SECONDS)
    assert held.seen == []
    held.released.set()
    predictor.drift.join()
    assert len(held.seen) == 3


def test_batches_keep_their_order(held):
    watcher = BackgroundWatcher(held)
    held.released.set()
    for number in range(200):
        watcher.update(*batch(number))
    watcher.join()
    assert held.seen == list(range(200))


def test_batches_over_the_limit_are_left_out_and_counted(held):
    watcher = BackgroundWatcher(held, max_pending_bytes=100)
    watcher.update(*batch(0, n=10))  # 200 bytes; a single batch is always taken
    watcher.update(*batch(1, n=2))
    held.released.set()
    wait_until(lambda: watcher._pending_bytes == 0)
    watcher.update(*batch(2))
    watcher.join()
    assert held.seen == [0, 2]
    assert watcher.gauges() == {"n": 2, "left_out": 2}


def test_an_error_of_the_watcher_is_logged(caplog):
    watcher = BackgroundWatcher(object())
    watcher.update(*batch(0))
    watcher.update(*batch(1))
    watcher.join()
    assert caplog.text.count("the drift of a batch could not be measured") == 2


def test_close_forgets_the_queue_and_ends_the_thread(held):
    watcher, before = BackgroundWatcher(held), threads()
    for number in range(3):
        watcher.update(*batch(number))
    assert held.begun.wait(SECONDS)
    (thread,) = threads() - before
    threading.Timer(0.1, held.released.set).start()
    watcher.close()
    assert held.seen == [0]
    assert not thread.is_alive()
    watcher.close()
    watcher.update(*batch(5))
    watcher.join()
    assert held.seen == [0, 5]
    assert watcher._pending_bytes == 0
    watcher.close()


def test_the_thread_of_a_replaced_model_ends(held):
    held.released.set()
    watcher, before = BackgroundWatcher(held), threads()
    watcher.update(*batch(0))
    watcher.join()
    (thread,) = threads() - before
    del watcher
    gc.collect()
    wait_until(lambda: not thread.is_alive())


def test_models_of_a_server_watch_in_the_background(held):
    models = Models(with_scores(), options={"drift": held})
    (model,) = models.all()
    assert model.predictor.drift.watcher is held
    held.released.set()
    before = threads()
    model.predictor.predict([pixels(40)])
    (thread,) = threads() - before
    models.close()
    assert not thread.is_alive()


def test_what_is_no_watcher_stays():
    assert in_background(None) is None
    assert in_background(lambda model: None)("model") is None
    watcher = BackgroundWatcher(object())
    assert in_background(watcher) is watcher
