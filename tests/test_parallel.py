import ast
import os
import threading
import time
from pathlib import Path

import cv2
import joblib
import numpy as np
import pytest
import scipy.linalg  # noqa: F401  its BLAS is one of those that are held to one thread
from hypothesis import given, settings, strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from featrec import parallel
from featrec.exceptions import InputError
from featrec.parallel import alone, each_in_processes, map_batches, one_inner_thread, worker_count

PACKAGE = Path(parallel.__file__).parent


def double(batch):
    return [2 * item for item in batch]


def workers_inside(batch):
    return worker_count(None), worker_count(4), worker_count(-1)


def inner_threads(batch):
    return cv2.getNumThreads(), tuple(blas_threads())


def process(batch):
    return os.getpid()


def thread(batch):
    return threading.get_ident()


def blas_threads():
    """Not of OpenCV before 4.11, whose BLAS was built without threads, nor of one on OpenMP (faiss), which counts by thread."""
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return [library["num_threads"] for library in blas if library["threading_layer"] == "pthreads"]


@pytest.fixture
def two_threads_each():
    """A machine where both have more than one thread to give up; put back as it was."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    with threadpool_limits(2, user_api="blas"):
        assert set(blas_threads()) == {2}
        yield
        assert cv2.getNumThreads() == 2
        assert set(blas_threads()) == {2}
    cv2.setNumThreads(before)


# How many workers.


def test_worker_count():
    assert worker_count() == worker_count(None) == worker_count(1) == 1
    assert worker_count(3) == 3
    assert worker_count(-1) == joblib.cpu_count()
    assert worker_count(-2) == max(1, joblib.cpu_count() - 1)
    assert worker_count(-1000) == 1


def test_the_context_decides_for_none():
    with joblib.parallel_config(n_jobs=3):
        assert worker_count(None) == 3
        assert worker_count(2) == 2
    with joblib.parallel_config("loky", n_jobs=-1):
        assert worker_count(None) == joblib.cpu_count()
    assert worker_count(None) == 1


def test_zero_workers_are_refused():
    for call in (lambda: worker_count(0), lambda: map_batches(double, [1], n_jobs=0)):
        with pytest.raises(InputError, match="n_jobs must not be 0; use None or 1 for one worker, or -1 for all processors"):
            call()
    with pytest.raises(InputError, match="n_jobs must not be 0; use 1 for one process"):
        list(each_in_processes(process, range(3), n_jobs=0))


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_worker_starts_no_further_workers(backend):
    found = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(workers_inside)(None) for _ in range(2))
    assert found == [(1, 1, 1)] * 2
    with joblib.parallel_config(backend):
        assert map_batches(workers_inside, [1, 2], n_jobs=2, batch_size=1) == [(1, 1, 1)] * 2


def test_alone_starts_no_workers():
    with alone():
        assert worker_count(4) == worker_count(-1) == 1
        with alone():
            pass
        assert worker_count(4) == 1
        assert set(map_batches(thread, list(range(8)), n_jobs=2, batch_size=1)) == {threading.get_ident()}
    assert worker_count(4) == 4


def test_alone_affects_only_its_thread():
    found = []
    with alone():
        other = threading.Thread(target=lambda: found.append(worker_count(4)))
        other.start()
        other.join()
    assert found == [4]


# Order and batches.


@given(n=st.integers(0, 200), n_jobs=st.sampled_from([None, 1, 2, 3]), batch_size=st.sampled_from([None, 1, 7, 64]))
@settings(max_examples=30)
def test_all_items_in_order(n, n_jobs, batch_size):
    parts = map_batches(double, list(range(n)), n_jobs=n_jobs, batch_size=batch_size)
    assert [item for part in parts for item in part] == list(range(0, 2 * n, 2))
    assert all(1 <= len(part) <= (batch_size or 32) for part in parts)
    if batch_size:
        assert len(parts) == -(-n // batch_size)


def test_results_are_in_order_if_a_later_batch_is_faster():
    def slow_first(batch):
        time.sleep(0.05 if batch[0] == 0 else 0)
        return batch[0]

    assert map_batches(slow_first, list(range(8)), n_jobs=2, batch_size=1) == list(range(8))


def test_threads_unless_the_context_names_processes():
    assert set(map_batches(process, list(range(8)), n_jobs=2, batch_size=1)) == {os.getpid()}
    with joblib.parallel_config("loky"):
        assert os.getpid() not in map_batches(process, list(range(8)), n_jobs=2, batch_size=1)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_functions_that_write_to_shared_arrays_get_threads(backend):
    squares = np.zeros(50)

    def square(rows):
        squares[rows.start : rows.stop] = np.square(rows)
        return os.getpid()

    with joblib.parallel_config(backend, n_jobs=2):
        where = map_batches(square, range(50), batch_size=5, shared_memory=True)
    assert set(where) == {os.getpid()}
    assert (squares == np.arange(50.0) ** 2).all()


def calls_of_map_batches():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "map_batches":
                yield path, node


def test_maps_over_rows_of_own_arrays_request_shared_memory():
    """A function over a range writes into arrays of its caller, or carries them whole to every process."""
    over_rows = 0
    for path, call in calls_of_map_batches():
        if ast.unparse(call.args[1]).startswith("range("):
            over_rows += 1
            shared = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}.get("shared_memory")
            assert shared == "True", f"{path}, line {call.lineno}: map_batches(..., shared_memory=True)"
    assert over_rows > 2


def test_the_first_error_is_raised_unchanged():
    def fail(batch):
        if batch[0] == 5:
            raise KeyError("five")
        return batch

    for n_jobs in (1, 2):
        with pytest.raises(KeyError, match="five"):
            map_batches(fail, list(range(8)), n_jobs=n_jobs, batch_size=1)


# Progress.


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_is_written_to_standard_error_on_request(capsys, n_jobs, monkeypatch):
    monkeypatch.setattr(parallel, "PATIENCE", 0.0)
    map_batches(double, list(range(64)), n_jobs=n_jobs, batch_size=8, verbose=1, label="images")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert 2 <= len(lines) <= 10
    assert lines[-1].strip().startswith("64 of 64 images, ")
    map_batches(double, list(range(64)), n_jobs=n_jobs, batch_size=8)
    assert capsys.readouterr() == ("", "")


def test_fast_work_shows_no_progress(capsys):
    map_batches(double, list(range(64)), verbose=1)
    assert map_batches(double, [], verbose=1) == []
    assert capsys.readouterr() == ("", "")


# The guard.


def test_one_inner_thread_while_several_workers_run(two_threads_each):
    for threads, blas in map_batches(inner_threads, list(range(8)), n_jobs=2, batch_size=1):
        assert threads == 1
        assert set(blas) == {1}


def test_one_worker_keeps_its_inner_threads(two_threads_each):
    (threads, blas), *_ = map_batches(inner_threads, [1], n_jobs=1)
    assert threads == 2
    assert set(blas) == {2}


def test_the_last_thread_to_leave_restores_the_limits(two_threads_each):
    """threadpoolctl lets no other living thread change what one thread has set, unless it is told to."""
    turn = [threading.Event() for _ in range(3)]

    def first():
        with one_inner_thread():
            turn[0].set()
            turn[1].wait()
        turn[2].wait()

    thread = threading.Thread(target=first, daemon=True)
    thread.start()
    turn[0].wait()
    with one_inner_thread():
        assert set(blas_threads()) == {1}
        turn[1].set()
        time.sleep(0.01)
    assert set(blas_threads()) == {2}
    assert cv2.getNumThreads() == 2
    turn[2].set()
    thread.join()


def test_limits_are_restored_after_an_error(two_threads_each):
    def fail(batch):
        raise RuntimeError("no more")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="no more"):
            map_batches(fail, list(range(20)), n_jobs=2, batch_size=1)
        until = time.monotonic() + 5
        while (cv2.getNumThreads() == 1 or 1 in blas_threads()) and time.monotonic() < until:
            time.sleep(0.01)  # the other worker may still be at its last batch
        assert cv2.getNumThreads() == 2


def test_overlapping_threads(two_threads_each):
    """Saving and restoring by each thread for itself would leave one thread for good."""
    seen = []

    def work(seed):
        random = np.random.default_rng(seed)
        for _ in range(60):
            with one_inner_thread():
                time.sleep(random.random() / 2000)
                seen.append(cv2.getNumThreads())
            time.sleep(random.random() / 2000)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {1}


def test_other_processes_return_all_results():
    found = list(each_in_processes(process, range(6), n_jobs=2))
    assert len(found) == 6
    assert os.getpid() not in found


@pytest.mark.parametrize(("n_items", "n_jobs", "idle"), [(3, 1, 1), (3, -10_000, 1), (1, 4, 0)])
def test_one_process_is_the_current_one(n_items, n_jobs, idle):
    assert set(each_in_processes(process, range(n_items), n_jobs=n_jobs, idle=idle)) == {os.getpid()}
