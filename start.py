"""Set featrec up in a virtual environment of its own and run it; one line in a fresh clone.

    python3 start.py demo      install featrec, then run `featrec demo`; any other featrec command works the same way
    python3 start.py test      install the tools of the tests too, then run them in parallel; pytest's options may follow

Everything lands in the folder .venv beside this file; what is installed there is not installed again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "featrec-installed"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
CONTRIB, HEADLESS = "opencv-contrib-python", "opencv-contrib-python-headless"
QUIET = ["--quiet", "--disable-pip-version-check", "--no-input"]


class SetupError(Exception):
    """The set-up cannot go on; the message names the way out."""


def main(arguments):
    """Set up and run; the exit code is that of the command."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0
    try:
        if sys.version_info < OLDEST_PYTHON:
            raise SetupError(f"this is Python {sys.version.split()[0]}; run start.py with Python 3.11 or newer")
        extras, command = decide_command(arguments)
        if set_up(extras) and "test" not in extras:
            compile_for_the_demo()
        return run(command)
    except SetupError as error:
        sys.stderr.write(f"start.py: error: {error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("start.py: interrupted; the same command goes on from here\n")
    return 2


def decide_command(arguments):
    """The extras that a command needs, and what the environment's Python is to run."""
    if arguments[0] == "test":
        return {"test"}, ["-m", "pytest", "-n", "auto", *arguments[1:]]
    return set(), ["-m", "featrec", *arguments]


def run(command):
    """Run the tests in the repository, anything else where the user is."""
    code = subprocess.call([str(PYTHON), *command], cwd=str(ROOT) if "pytest" in command else None)
    return code if code >= 0 else 128 - code


def set_up(extras):
    """Make the environment and install into it, unless the stamp says that this was done to its end; whether it was to do."""
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    recorded = STAMP.read_text().split() if STAMP.exists() else []
    if is_complete(recorded, digest, extras) and venv_version():
        return False
    extras = extras | set(recorded[1:])
    STAMP.unlink(missing_ok=True)
    pip = make_venv()
    print("start.py: installing featrec and what it needs into .venv; this takes minutes, once", flush=True)
    target = f".[{','.join(sorted(extras))}]" if extras else "."
    call([*pip, "install", *QUIET, "--editable", target], "the installation failed; pip's lines above say why")
    mend_opencv(pip)
    STAMP.write_text("\n".join([digest, *sorted(extras)]))
    return True


def compile_for_the_demo():
    """Have what the demo needs compiled now, so that its table shows what a fit takes; where that fails, the demo compiles."""
    print("start.py: compiling the loops that the demo needs, once on this machine; this takes half a minute", flush=True)
    subprocess.call([str(PYTHON), "-m", "featrec", "warm", "--demo"])


def is_complete(recorded, digest, extras):
    """Whether what was recorded, the digest of pyproject.toml and then the extras, covers what is wanted."""
    return recorded[:1] == [digest] and extras <= set(recorded[1:])


def make_venv():
    """The pip command of an environment that runs; one that is there is kept, a broken one is made anew."""
    version = venv_version()
    if version is None or version < OLDEST_PYTHON:
        print("start.py: making .venv", flush=True)
        options = decide_venv(importlib.util.find_spec("ensurepip"), importlib.util.find_spec("pip"))
        call([sys.executable, "-m", "venv", "--clear", *options, str(VENV)], f"no virtual environment can be made in {VENV}")
    own_pip = [str(PYTHON), "-m", "pip"]
    works = subprocess.run([*own_pip, "--version"], capture_output=True).returncode == 0
    return own_pip if works else [sys.executable, "-m", "pip", "--python", str(PYTHON)]


def decide_venv(ensurepip, pip):
    """Options for venv: without ensurepip, this Python's own pip can install into an environment that has none."""
    if not ensurepip and not pip:
        raise SetupError("this Python has neither ensurepip nor pip; on Debian and Ubuntu: apt install python3-venv")
    return [] if ensurepip else ["--without-pip"]


def venv_version():
    """The version of the environment's Python; None where there is none that runs."""
    try:
        done = child("import sys; print(*sys.version_info[:2])")
    except OSError:
        return None
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None


def mend_opencv(pip):
    """Put the headless wheel of the same version in the place of an OpenCV that lacks a library of the desktop."""
    problem = opencv_problem()
    library = missing_library(problem)
    if library:
        version = child(f"import importlib.metadata as m; print(m.version({CONTRIB!r}))").stdout.strip()
        print(f"start.py: OpenCV cannot load {library} here; putting {HEADLESS} {version} in its place", flush=True)
        call([*pip, "uninstall", *QUIET, "--yes", CONTRIB], f"{CONTRIB} could not be removed")
        # Forced, because a headless wheel that the other one was installed over still counts as installed.
        wheel = ["--no-deps", "--force-reinstall", f"{HEADLESS}=={version}"]
        call([*pip, "install", *QUIET, *wheel], f"{HEADLESS} could not be installed; another way: apt install libgl1")
        problem = opencv_problem()
    if problem:
        raise SetupError(f"OpenCV cannot be loaded: {problem}; on Debian and Ubuntu: apt install libgl1 libglib2.0-0")


def opencv_problem():
    """The last line of what importing cv2 complains about; None where it works."""
    done = child("import cv2")
    return (done.stderr.strip().split("\n")[-1] or "no reason is given") if done.returncode else None


def missing_library(problem):
    """The shared library that a failed import names; None where it failed for another reason."""
    found = re.match(r"ImportError: (\S+\.so[.\d]*): ", problem or "")
    return found and found[1]


def child(code):
    return subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True)


def call(command, problem):
    if subprocess.call(command, cwd=str(ROOT), stdin=subprocess.DEVNULL):
        raise SetupError(problem)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
