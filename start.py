"""Install featrec in a virtual environment and run it, with one command in a fresh clone.

    python3 start.py demo      install featrec and run `featrec demo`; other featrec commands work the same way
    python3 start.py test      install featrec and its test tools, and run the tests in parallel; pytest options may follow
    python3 start.py docs      install the documentation tools, and build the site in build/site; --quick runs no examples

The environment is the folder .venv next to this file. Later calls use it without installing again.
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
    """The setup cannot continue; the message explains what to do."""


def main(arguments):
    """Set up and run a command; returns its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0
    try:
        if sys.version_info < OLDEST_PYTHON:
            raise SetupError(f"this is Python {sys.version.split()[0]}; run start.py with Python 3.11 or newer")
        extras, command = decide_command(arguments)
        if set_up(extras) and not extras:
            compile_for_the_demo()
        return run(command)
    except SetupError as error:
        sys.stderr.write(f"start.py: error: {error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("start.py: interrupted; run the same command again to continue\n")
    return 2


def decide_command(arguments):
    """The extras that a command needs, and its arguments for Python."""
    if arguments[0] == "test":
        return {"test"}, ["-m", "pytest", "-n", "auto", *arguments[1:]]
    if arguments[0] == "docs":
        return {"plot", "docs"}, [str(ROOT / "docs" / "build_site.py"), *arguments[1:]]
    return set(), ["-m", "featrec", *arguments]


def run(command):
    """Run the tests in the repository, and other commands in the current directory."""
    code = subprocess.call([str(PYTHON), *command], cwd=str(ROOT) if "pytest" in command else None)
    return code if code >= 0 else 128 - code


def set_up(extras):
    """Create the environment and install featrec, unless the stamp shows that this is done; returns whether it installed."""
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    recorded = STAMP.read_text().split() if STAMP.exists() else []
    if is_complete(recorded, digest, extras) and venv_version():
        return False
    extras = extras | set(recorded[1:])
    STAMP.unlink(missing_ok=True)
    pip = make_venv()
    print("start.py: installing featrec and its dependencies into .venv; this takes some minutes, only once", flush=True)
    target = f".[{','.join(sorted(extras))}]" if extras else "."
    call([*pip, "install", *QUIET, "--editable", target], "the installation failed; see pip's messages above")
    repair_opencv(pip)
    STAMP.write_text("\n".join([digest, *sorted(extras)]))
    return True


def compile_for_the_demo():
    """Compile the loops of the demo in advance, so that its table shows times without compilation. Failures are ignored."""
    print("start.py: compiling the loops that the demo needs, once on this machine; this takes half a minute", flush=True)
    subprocess.call([str(PYTHON), "-m", "featrec", "warm", "--demo"])


def is_complete(recorded, digest, extras):
    """Whether the recorded digest of pyproject.toml and the recorded extras cover the required ones."""
    return recorded[:1] == [digest] and extras <= set(recorded[1:])


def make_venv():
    """The pip command of the environment, which is created if it is missing, broken or too old."""
    version = venv_version()
    if version is None or version < OLDEST_PYTHON:
        print("start.py: creating .venv", flush=True)
        options = decide_venv(importlib.util.find_spec("ensurepip"), importlib.util.find_spec("pip"))
        call([sys.executable, "-m", "venv", "--clear", *options, str(VENV)], f"cannot create a virtual environment in {VENV}")
    own_pip = [str(PYTHON), "-m", "pip"]
    works = subprocess.run([*own_pip, "--version"], capture_output=True).returncode == 0
    return own_pip if works else [sys.executable, "-m", "pip", "--python", str(PYTHON)]


def decide_venv(ensurepip, pip):
    """Options for venv. Without ensurepip, the pip of this Python installs into the environment."""
    if not ensurepip and not pip:
        raise SetupError("this Python has neither ensurepip nor pip; on Debian and Ubuntu: apt install python3-venv")
    return [] if ensurepip else ["--without-pip"]


def venv_version():
    """The Python version of the environment, or None if it cannot be run."""
    try:
        done = child("import sys; print(*sys.version_info[:2])")
    except OSError:
        return None
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None


def repair_opencv(pip):
    """Replace OpenCV by the headless wheel of the same version if a desktop library is missing."""
    problem = opencv_problem()
    library = missing_library(problem)
    if library:
        version = child(f"import importlib.metadata as m; print(m.version({CONTRIB!r}))").stdout.strip()
        print(f"start.py: OpenCV cannot load {library} here; installing {HEADLESS} {version} instead", flush=True)
        call([*pip, "uninstall", *QUIET, "--yes", CONTRIB], f"{CONTRIB} could not be removed")
        # Forced, because pip still considers a headless wheel installed after the other wheel has overwritten its files.
        wheel = ["--no-deps", "--force-reinstall", f"{HEADLESS}=={version}"]
        call([*pip, "install", *QUIET, *wheel], f"{HEADLESS} could not be installed; alternatively: apt install libgl1")
        problem = opencv_problem()
    if problem:
        raise SetupError(f"OpenCV cannot be loaded: {problem}; on Debian and Ubuntu: apt install libgl1 libglib2.0-0")


def opencv_problem():
    """The last line of the error when importing cv2, or None if it works."""
    done = child("import cv2")
    return (done.stderr.strip().split("\n")[-1] or "no reason given") if done.returncode else None


def missing_library(problem):
    """The shared library that a failed import names, or None if it failed for another reason."""
    found = re.match(r"ImportError: (\S+\.so[.\d]*): ", problem or "")
    return found and found[1]


def child(code):
    return subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True)


def call(command, problem):
    if subprocess.call(command, cwd=str(ROOT), stdin=subprocess.DEVNULL):
        raise SetupError(problem)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
