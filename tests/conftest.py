"""Fixtures for all tests, and how several processes share the work (`pytest -n auto`)."""

import gc
import os
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import settings
from numba.core.caching import IndexDataCacheFile

from featrec.compiled._cache import COMPILATIONS

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TESTS = Path(__file__).resolve().parent
# Which test compiles first depends on the cache; its standard error must not.
COMPILATIONS.told = True
# A busy machine is no failure, and every run draws the same examples.
settings.register_profile("featrec", deadline=None, derandomize=True)
settings.load_profile("featrec")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Tests of one file share fixtures, so they run in one process. The order of collection ends with the shortest files."""
    if getattr(config.option, "numprocesses", None) and config.option.dist in ("no", "loadfile"):
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """At most four processes: each of them collects all tests and loads all packages."""
    return min(4, joblib.cpu_count())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config, specs):
    """One thread of BLAS and OpenMP in each process; more would wait for one another."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """What is collected stays until the end, so looking for garbage in it, then and later, would cost seconds and find none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items):
    """Benchmarks start processes, which find compiled what the tests before them need too; doctests, all short, come last."""
    items.sort(key=lambda item: 2 if TESTS not in item.path.parents else item.path.parent.name == "benchmarks")


def pytest_configure(config):
    if hasattr(config, "workerinput") and fcntl is not None:
        IndexDataCacheFile.save = one_at_a_time(IndexDataCacheFile.save)


def one_at_a_time(save):
    """Numba extends the index of cached loops without a lock: of two processes that do, one would lose its entry."""
    path = Path(tempfile.gettempdir()) / f"featrec-tests-{os.getuid()}.lock"

    def locked(self, key, data):
        with open(path, "ab") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            save(self, key, data)

    return locked


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)


@pytest.fixture
def ragged(rng):
    """Six images: gray and colour, of different sizes and types, one of them flat and one of a single pixel."""
    return [
        rng.integers(0, 256, (40, 50), dtype=np.uint8),
        rng.integers(0, 256, (33, 61, 3), dtype=np.uint8),
        rng.random((28, 28)).astype(np.float32),
        rng.integers(0, 65536, (45, 30), dtype=np.uint16),
        np.full((24, 24), 128, np.uint8),
        np.array([[7]], np.uint8),
    ]
