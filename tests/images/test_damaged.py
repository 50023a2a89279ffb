"""Damaged files of seven formats are read, or refused with an error of featrec, quickly and with little memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("damage.py")
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
LONGEST, LARGEST = 1.0, 500  # limits: CPU seconds for a file, and megabytes for the process


def read_damaged(count, *kinds):
    """Return the outcomes of damaged files of each format, read in another process in which every warning is an error."""
    command = [sys.executable, "-W", "error", str(PROGRAM), str(count), *kinds]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + count * len(kinds), check=False)
    assert done.returncode == 0, f"the process ended with {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def check(report, count):
    assert report["escaped"] == []
    assert sum(report["outcomes"].values()) == count
    assert report["slowest"][0] < LONGEST, report["slowest"]
    assert report["megabytes"] < LARGEST
    # All outcomes must occur: some files are still images, some are truncated, some are not images.
    assert {"decoded", "TruncatedImageError", "NotAnImageError"} <= set(report["outcomes"])


def test_some_damaged_files():
    for report in read_damaged(60, *FORMATS).values():
        check(report, 60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_two_thousand_damaged_files(kind, capsys):
    report = read_damaged(2000, kind)[kind]
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}: {report}\n")
    check(report, 2000)
