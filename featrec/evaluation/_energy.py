"""Energy: codecarbon's estimate of the electrical energy that a block of code uses."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from featrec.exceptions import MissingExtraError

__all__ = ["EnergyMeter", "Used"]


@dataclass
class Used:
    """Energy that a block used; None if it was not estimated."""

    kwh: float | None = None


class EnergyMeter:
    """Estimate energy from the load and the rated power of processor, memory and GPU. Start it once; it takes seconds."""

    def __init__(self, wanted: bool):
        self.tracker: Any = _tracker() if wanted else None

    @contextmanager
    def measuring(self) -> Iterator[Used]:
        """Estimate the energy of the block; the result is set when the block ends."""
        used = Used()
        if self.tracker is None:
            yield used
            return
        self.tracker.start_task()
        try:
            yield used
        finally:
            used.kwh = float(self.tracker.stop_task().energy_consumed)


def _tracker() -> Any:
    try:
        from codecarbon import OfflineEmissionsTracker
    except ImportError as error:
        raise MissingExtraError('energy=True needs codecarbon; pip install "featrec[energy]"') from error
    logging.getLogger("codecarbon").disabled = True
    # The country is required, but only determines emissions, which are not used.
    options = {"country_iso_code": "USA", "save_to_file": False, "log_level": "error", "allow_multiple_runs": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracker = OfflineEmissionsTracker(**options)
        tracker.start_task()  # starting the first task takes seconds
        tracker.stop_task()
    return tracker
