import numpy as np
import pytest


@pytest.fixture
def colour(rng):
    return rng.integers(0, 256, (12, 17, 3), dtype=np.uint8)


@pytest.fixture
def gray(rng):
    return rng.integers(0, 256, (12, 17), dtype=np.uint8)
