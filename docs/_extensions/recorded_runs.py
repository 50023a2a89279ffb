"""Runs of scripts whose results the site shows. A script runs again only if its text has changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

STAMPS = Path(__file__).resolve().parents[2] / "build" / "stamps"
SECONDS = 600


def has_run(script: Path, folder: Path) -> bool:
    """Whether the results in the folder are those of this text."""
    stamp = STAMPS / script.name
    return folder.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == _digest(script)


def run_once(script: Path, folder: Path, arguments: Sequence[str]) -> None:
    """Run Python with the arguments in a process of its own, unless it has run. A failure is a warning of the build."""
    if has_run(script, folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS, check=False)
    if done.returncode:
        _warn(f"{script.name} failed: {done.stderr.strip()}")
    else:
        STAMPS.mkdir(parents=True, exist_ok=True)
        (STAMPS / script.name).write_text(_digest(script), encoding="utf-8")


def _digest(script: Path) -> str:
    return hashlib.sha256(script.read_bytes()).hexdigest()


def _warn(text: str) -> None:
    from sphinx.util import logging

    logging.getLogger(__name__).warning(text)
