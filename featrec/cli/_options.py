"""Options that several commands have, and what they mean."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from featrec.cli._terminal import verbosity
from featrec.exceptions import InputError

__all__ = ["add_computing", "add_splitting", "check_output", "make_model", "split_pictures"]


def add_splitting(parser: argparse._ActionsContainer) -> None:
    """Where the pictures are and which of them are held out."""
    parser.add_argument(
        "folder", metavar="DIR", help="a folder for each class, or train/ and test/ with a folder for each class in them"
    )


def add_holding_out(group: argparse._ActionsContainer) -> None:
    """The two ways to have test pictures where DIR has no folder of them."""
    group.add_argument("--test", metavar="DIR", help="class folders to test on")
    group.add_argument(
        "--holdout", metavar="SHARE", type=_share, help="share of each class to test on, where there is no test folder (0.2)"
    )


def add_computing(parser: argparse._ActionsContainer) -> None:
    """What decides how long it takes and what chance does."""
    parser.add_argument("--n-jobs", metavar="N", type=_jobs, default=-1, help="threads (all processors)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of everything that is drawn (0)")


def _share(text: str) -> float:
    share = float(text)
    if not 0.0 <= share < 1.0:
        raise argparse.ArgumentTypeError(f"a share lies between 0 and 1, such as 0.2; got {text}")
    return share


def _jobs(text: str) -> int:
    if int(text) == 0:
        raise argparse.ArgumentTypeError("0 asks for no workers; 1 is one thread, -1 all processors")
    return int(text)
