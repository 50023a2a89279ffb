"""Fixtures for every test: seeded numbers, and images of different sizes and kinds."""

import numpy as np
import pytest
from hypothesis import settings

from featrec.compiled._compilations import COMPILATIONS

# Which test is the first to compile depends on the cache; what it finds on the standard error must not.
COMPILATIONS.told = True
# A busy machine is no failure, and the same examples are drawn in every run.
settings.register_profile("featrec", deadline=None, derandomize=True)
settings.load_profile("featrec")


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
