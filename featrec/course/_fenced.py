"""Grade one submission inside a fence: a script that the grader starts in a process of its own.

To grade a notebook, it imports nothing of featrec, so that the process needs no access to it. The argument is a file of JSON.
Its entries are `folder` (the only one that may be written), `readable`, `seconds`, `bytes`, `landlock`, and either `notebook`
and `autograder`, or `model`, `images` and `package` (the folder of featrec).
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import sys
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # numbers of the system calls, equal on all architectures
PATH_BENEATH = 1
NO_NEW_PRIVILEGES, CHILD_SUBREAPER = 38, 36
READ = (1 << 0) | (1 << 2) | (1 << 3)  # execute, read a file, list a folder
DEVICES = (1 << 0) | (1 << 1) | (1 << 2) | (1 << 3)
FILE_ONLY = (1 << 0) | (1 << 1) | (1 << 2) | (1 << 14)
N_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # rights that a version of Landlock knows; since version 5, also ioctl on devices


SCOPED = 0b11  # no signals to processes outside the fence, and no connection to their abstract sockets; since version 6


class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("handled_access_fs", "handled_access_net", "scoped")]


class PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def landlock_version() -> int:
    """The version of Landlock that the kernel offers; 0 if there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, ctypes.CDLL(None, use_errno=True).syscall(CREATE_RULESET, None, 0, 1))


def fence(folder: str, readable: list[str]) -> None:
    """Allow this process and its children to write in one folder, and to read in some others.

    They cannot use other files and, with Linux 6.12 or later, cannot signal other processes.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = landlock_version()
    everything = (1 << N_RIGHTS.get(version, 15)) - 1
    attributes = Attributes(everything, 0, SCOPED if version >= 6 else 0)
    size = ctypes.sizeof(attributes) if version >= 6 else 8  # an older kernel knows the first field only
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(attributes), size, 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock made no ruleset")
    for path, access in [(folder, everything), ("/dev", DEVICES), *((path, READ) for path in readable)]:
        if os.path.exists(path):
            _allow(libc, ruleset, path, access & everything)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.syscall(RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "Landlock could not restrict the process")
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    descriptor = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    rule = PathBeneath(access if os.path.isdir(path) else access & FILE_ONLY, descriptor)
    failed = libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
    os.close(descriptor)
    if failed:
        raise OSError(ctypes.get_errno(), f"Landlock refused a rule for {path}")


def limit(seconds: int, n_bytes: int) -> None:
    """Limit processor time, memory, sizes of files and open files of this process and its children."""
    import resource

    for kind, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, n_bytes),
        (resource.RLIMIT_FSIZE, 64 << 20),
        (resource.RLIMIT_NOFILE, 512),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def grade(notebook: str, autograder: str) -> dict:
    """Run otter, and return points and messages of each exercise, and the errors of cells."""
    from otter.api import grade_submission

    results = grade_submission(notebook, autograder, quiet=True)
    exercises = {
        name: {
            "points": float(result.score or 0),
            "possible": float(result.possible or 0),
            "messages": [case.message for case in result.test_case_results if not case.passed],
        }
        for name, result in results.results.items()
    }
    outputs = [output for cell in results.notebook.cells for output in cell.get("outputs", ())]
    errors = [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]
    return {"exercises": exercises, "errors": errors}


def predict(model: str, images: str, package: str) -> dict:
    """Load a model file, which executes nothing in it, and return its predictions for images in a file of NumPy."""
    specification = importlib.util.spec_from_file_location("featrec", os.path.join(package, "__init__.py"))
    assert specification is not None
    assert specification.loader is not None
    sys.modules["featrec"] = featrec = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(featrec)
    import numpy as np

    from featrec.persistence import load

    loaded = load(model)
    Path("started").touch()
    return {"labels": [str(label) for label in loaded.predict(np.load(images, allow_pickle=False))]}


def main(path: str) -> None:
    task = json.loads(Path(path).read_text(encoding="utf-8"))
    folder = task["folder"]
    os.environ |= {"TMPDIR": folder, "HOME": folder, "JUPYTER_PLATFORM_DIRS": "1", "OMP_NUM_THREADS": "1"}
    os.environ["NUMBA_CACHE_DIR"] = folder
    os.chdir(folder)
    ctypes.CDLL(None).prctl(CHILD_SUBREAPER, 1, 0, 0, 0)  # a process that a kernel leaves behind stays in this tree
    limit(task["seconds"], task["bytes"])
    if task["landlock"]:
        fence(folder, task["readable"])
    if "model" in task:
        found = predict(task["model"], task["images"], task["package"])
    else:
        found = grade(task["notebook"], task["autograder"])
    Path(folder, "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
