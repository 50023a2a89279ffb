"""Check the installation and suggest repairs."""

from __future__ import annotations

import argparse
import textwrap

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print all findings. Returns 1 if something needs repair."""
    from featrec.cli._examinations import EXAMINATIONS

    problems = 0
    for title, examine in EXAMINATIONS.items():
        print(title)
        for finding in examine():
            print(f"  {'ok' if finding.mend is None else '!!'}  {finding.text}")
            if finding.mend is not None:
                problems += 1
                print(textwrap.indent(f"mend: {finding.mend}", " " * 6))
    print("healthy" if not problems else f"{problems} problems; see the lines after 'mend:'")
    return 1 if problems else 0
