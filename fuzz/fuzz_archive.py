"""Fuzz ImageFolder with archives: a .zip, .tar or .tar.gz gives images or an error of featrec, and nothing is written.

Run ``python fuzz/fuzz_archive.py WORK fuzz/seeds/archive -max_total_time=600``; see README.md in this folder.
"""

import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["featrec.datasets", "zipfile", "tarfile", "gzip"]):
    from featrec.datasets import ImageFolder
    from featrec.exceptions import FeatrecError

LONGEST = 1.0
FOLDER = tempfile.TemporaryDirectory()


def one_input(data: bytes) -> None:
    suffix = ".zip" if data.startswith(b"PK") else ".tar.gz" if data.startswith(b"\x1f\x8b") else ".tar"
    path = Path(FOLDER.name, "archive" + suffix)
    path.write_bytes(data)
    start = time.thread_time()
    try:
        folder = ImageFolder(path)
    except FeatrecError:
        folder = []
    for position in range(min(len(folder), 4)):
        try:
            folder[position]
        except FeatrecError:
            continue
    spent = time.thread_time() - start
    written = [entry.name for entry in Path(FOLDER.name).iterdir()]
    path.unlink()
    assert written == [path.name], f"wrote {written}"
    assert spent < LONGEST, f"took {spent:.1f} s"


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
