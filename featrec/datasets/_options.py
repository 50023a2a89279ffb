"""Checks of the options of load_dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from featrec.exceptions import InputError

__all__ = ["flag", "one_of", "seeded", "strength", "whole_number"]

INTEGER = (int, np.integer)
NUMBER = (float, np.floating, *INTEGER)


def seeded(random_state: Any) -> int:
    """A seed for each image, from an int, None or a RandomState."""
    if isinstance(random_state, INTEGER) and not isinstance(random_state, bool) and random_state >= 0:
        return int(random_state)
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    raise InputError(f"random_state must be a non-negative integer, a RandomState or None; got {random_state!r}")


def whole_number(name: str, *, least: int = 1, **options: Any) -> None:
    """Require an integer that is at least `least`."""
    for option, value in options.items():
        if not isinstance(value, INTEGER) or isinstance(value, bool) or value < least:
            raise InputError(f"{option} of the dataset {name!r} must be an integer of at least {least}; got {value!r}")


def strength(name: str, **options: Any) -> None:
    """Require a number from 0 to 1."""
    for option, value in options.items():
        if not isinstance(value, NUMBER) or isinstance(value, bool) or not 0 <= value <= 1:
            raise InputError(f"{option} of the dataset {name!r} must be a number from 0 (none) to 1; got {value!r}")


def flag(name: str, **options: Any) -> None:
    """Require True or False."""
    for option, value in options.items():
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{option} of the dataset {name!r} must be True or False; got {value!r}")


def one_of(name: str, choices: Sequence[str], **options: Any) -> None:
    """Require one of the choices."""
    for option, value in options.items():
        if not isinstance(value, str) or value not in choices:
            raise InputError(f"{option} of the dataset {name!r} must be {' or '.join(map(repr, choices))}; got {value!r}")
