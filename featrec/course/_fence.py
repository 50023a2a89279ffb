"""Run the script ``_fenced.py`` on untrusted work: in a process of its own, with limits and a file-system fence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from featrec.course._fenced import landlock_version
from featrec.exceptions import FeatrecError

__all__ = ["LOADING", "FencedProcess", "choose_fence", "fenced_command"]

LOADING = 60  # at most so many seconds until the work itself starts
N_BYTES = 4 << 30
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/opt")


def choose_fence() -> str:
    """Return "landlock" or "bubblewrap".

    Raises
    ------
    FeatrecError
        If the system has neither. The work of students is then not run.
    """
    if landlock_version() >= 1:
        return "landlock"
    if shutil.which("bwrap"):
        return "bubblewrap"
    raise FeatrecError(
        "this system has neither Landlock (Linux 5.13 or later) nor bubblewrap, so the work of students is not run "
        "here: it could read and change your files. Install bubblewrap (apt install bubblewrap), or upload the zip files in "
        "autograder/ to Gradescope"
    )


class FencedProcess:
    """A process that may write in one temporary folder only.

    The clock starts when the process writes the file ``started`` in its folder, so that a busy machine does not cost time.

    Parameters
    ----------
    fence : {"landlock", "bubblewrap"}
        What :func:`choose_fence` returned.
    seconds : int
        Wall-clock time after which the process is stopped.
    n_bytes : int, default=4 GiB
        Address space of each process.
    readable : sequence of Path
        Folders that it may read in addition to Python and the system.

    Attributes
    ----------
    folder : Path
        The temporary folder.
    """

    def __init__(self, *, fence: str, seconds: int, n_bytes: int = N_BYTES, readable: tuple[Path, ...] = ()):
        self.seconds = seconds
        self._fence = fence
        self._n_bytes = n_bytes
        self._readable = [*readable_folders(), *map(str, readable)]
        self._begun = time.monotonic()
        self._ready: float | None = None
        self._place = tempfile.TemporaryDirectory(prefix="featrec-course-")
        self.folder = Path(os.path.realpath(self._place.name))

    def start(self, task: Mapping[str, Any]) -> None:
        """Start the script with a task, which must be a dict that can be written as JSON."""
        limits = {
            "folder": str(self.folder),
            "readable": self._readable,
            "seconds": self.seconds + LOADING,
            "bytes": self._n_bytes,
            "landlock": self._fence == "landlock",
        }
        (self.folder / "task.json").write_text(json.dumps({**task, **limits}), encoding="utf-8")
        shutil.copy(Path(__file__).with_name("_fenced.py"), self.folder / "fenced.py")
        self._begun = time.monotonic()
        self._process = _start(fenced_command(self.folder, self._fence, self._readable), self.folder)

    def state(self) -> str:
        """Return "running", "ended", or "late" if its time is over."""
        if self._process.poll() is not None:
            return "ended"
        return "late" if self._taken() > self.seconds else "running"

    def found(self) -> dict[str, Any] | str:
        """Return what the process has found, or the last line of its messages if it has failed or was killed."""
        code = self._process.poll()
        try:
            found: dict[str, Any] = json.loads((self.folder / "found.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {}
        if code == 0 and found:
            return found
        last = (self.folder / "errors.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        return last[0] if last else f"exit code {code}"

    def close(self) -> float:
        """End the process and its descendants, remove the folder, and return the seconds since the start."""
        _kill_tree(self._process)
        self._place.cleanup()
        return time.monotonic() - self._begun

    def _taken(self) -> float:
        """Seconds since the work has started; before, the time is negative until the limit for loading."""
        now = time.monotonic()
        if self._ready is None and (self.folder / "started").exists():
            self._ready = now
        return now - (self._begun + LOADING if self._ready is None else self._ready)


def fenced_command(folder: Path, fence: str, readable: list[str]) -> list[str]:
    """The command of the fenced process. Bubblewrap makes its fence itself; Landlock's is made by the script."""
    script = [sys.executable, "-I", str(folder / "fenced.py"), str(folder / "task.json")]
    if fence == "landlock":
        return script
    reading = [word for place in readable if os.path.exists(place) for word in ("--ro-bind", place, place)]
    return [
        *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", *reading),
        *("--proc", "/proc", "--dev", "/dev", "--bind", str(folder), str(folder), *script),
    ]


def readable_folders() -> list[str]:
    """Folders of Python, its packages and the system."""
    places = {*SYSTEM_FOLDERS, sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *site.getsitepackages()}
    places |= {path for path in sys.path if "site-packages" in path}
    return sorted({os.path.realpath(place) for place in places} | {place for place in places if os.path.isdir(place)})


def _start(words: list[str], folder: Path) -> subprocess.Popen:
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    with open(folder / "errors.txt", "wb") as errors:
        return subprocess.Popen(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True
        )


def _kill_tree(process: subprocess.Popen) -> None:
    """End a process and all its descendants. A kernel of Jupyter has a session of its own."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGSTOP)
    for pid in _descendants(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(rest[1]), []).append(int(path.parent.name))
    found: list[int] = []
    stack = [root]
    while stack:
        children = parents.get(stack.pop(), [])
        found += children
        stack += children
    return found
