"""Run the steps of the Dockerfile without Docker, in a folder that takes the place of the image's root.

    python docker/try_steps.py FOLDER [--pip] [--cpu NAME] [-- ARGUMENTS...]

The instructions are read from the Dockerfile. COPY and RUN are carried out with /opt and /tmp in FOLDER. What needs a container
is left out and printed: FROM, apt-get and useradd; also pip, unless --pip is given. Then, the entry point is run with
ARGUMENTS, by default those of CMD. If this process is root and can create a mount namespace, the entry point is run by the user
of the image, on a read-only root file system on which only /tmp of FOLDER can be written. --cpu names another processor for the
start.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("apt-get", "useradd")
PLACES = re.compile(r"(?<![\w/])/(opt|tmp)/")
# An interpreter in a home folder that other users cannot enter is shown at its place in an empty one.
OPEN_HOME = """
mkdir -p {folder}/python && mount --bind {base} {folder}/python && mount -t tmpfs -o mode=755 tmpfs {home} &&
mkdir -p {base} && mount --bind {folder}/python {base} &&
"""
READ_ONLY = """
mount --make-rprivate / && {open_home} mount --bind / / && mount -o remount,bind,ro / &&
mount -t tmpfs -o size=256m,mode=1777 tmpfs {tmp} &&
exec setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs -- "$@"
"""


def instructions(text):
    """Return the instructions of a Dockerfile with their arguments; lines that end with a backslash continue."""
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


class Image:
    """The state of a build: a folder for its files, and the environment."""

    def __init__(self, folder, *, with_pip=False):
        self.folder = Path(folder).resolve()
        self.with_pip = with_pip
        self.user, self.entry, self.command = "0", [], []
        self.environment = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        (self.folder / "tmp").mkdir(parents=True)
        self._write_command()

    def build(self, dockerfile):
        """Carry out all instructions."""
        for name, rest in instructions(Path(dockerfile).read_text(encoding="utf-8")):
            getattr(self, f"_{name.lower()}", self._skip)(rest)

    def here(self, text):
        """Replace the places of the image by those in the folder."""
        return PLACES.sub(rf"{self.folder}/\1/", text)

    def _write_command(self):
        """Make this interpreter's featrec the command of that name, unless pip installs it."""
        (self.folder / "bin").mkdir()
        if self.with_pip:
            subprocess.run([sys.executable, "-m", "venv", self.folder / "venv"], check=True)
            self.environment["PATH"] = f"{self.folder}/venv/bin:{self.environment['PATH']}"
            return
        command = self.folder / "bin" / "featrec"
        command.write_text(
            f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m featrec "$@"\n'
        )
        command.chmod(0o755)

    def _skip(self, rest):
        say(f"left out: {rest}")

    def _run(self, rest):
        if any(word in rest for word in LEFT_OUT) or (rest.startswith("pip ") and not self.with_pip):
            self._skip(rest)
            return
        say(f"RUN {rest}")
        subprocess.run(["sh", "-c", self.here(rest)], check=True, env={**os.environ, **self.environment}, cwd=self.folder)

    def _copy(self, rest):
        *sources, target = rest.split()
        target = Path(self.here(f"{target} ").strip())
        for source in sources:
            place = target if (ROOT / source).is_dir() or not rest.endswith("/") else target / Path(source).name
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
            copy(ROOT / source, place)

    def _arg(self, rest):
        name, _, default = rest.partition("=")
        self.environment.setdefault(name, default)

    def _env(self, rest):
        for word in shlex.split(rest):
            name, _, value = word.partition("=")
            value = re.sub(r"\$(\w+)", lambda found: self.environment.get(found[1], ""), value)
            self.environment[name] = self.here(f"{value} ").strip() if value != "/tmp" else f"{self.folder}/tmp"

    def _user(self, rest):
        self.user = rest.partition(":")[0]

    def _entrypoint(self, rest):
        self.entry = [self.here(word) for word in json.loads(rest)]

    def _cmd(self, rest):
        self.command = json.loads(rest)

    def start(self, arguments=(), **variables):
        """Return the words and the environment that start the container."""
        words = [*self.entry, *(arguments or self.command)]
        environment = {**os.environ, **self.environment, **variables}
        if not can_isolate():
            say("left out: the user without rights and the read-only file system, which need root and a mount namespace")
            return words, environment
        script = READ_ONLY.format(tmp=f"{self.folder}/tmp", user=self.user, open_home=self._open_home())
        return ["unshare", "--mount", "sh", "-c", script, "sh", *words], environment

    def _open_home(self):
        closed = [place for place in Path(sys.base_prefix).parents if not place.stat().st_mode & stat.S_IXOTH]
        return OPEN_HOME.format(folder=self.folder, base=sys.base_prefix, home=closed[-1]) if closed else ""


def can_isolate():
    """Return whether a read-only file system and another user are possible."""
    if os.name != "posix" or os.geteuid() or not all(map(shutil.which, ("unshare", "setpriv"))):
        return False
    return not subprocess.run(["unshare", "--mount", "sh", "-c", "mount --make-rprivate /"], capture_output=True).returncode


def split(words):
    """Return the words before "--" and those after it."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def say(text):
    print(text, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pip", action="store_true", help="install with pip into an environment of its own")
    parser.add_argument("--cpu", metavar="NAME", help="NUMBA_CPU_NAME at the start")
    parser.usage = "try_steps.py FOLDER [--pip] [--cpu NAME] [-- ARGUMENTS...]"
    words, arguments = split(sys.argv[1:])
    given = parser.parse_args(words)
    image = Image(given.folder, with_pip=given.pip)
    image.build(ROOT / "docker" / "Dockerfile")
    words, environment = image.start(
        arguments, **({"NUMBA_CPU_NAME": given.cpu, "NUMBA_CPU_FEATURES": ""} if given.cpu else {})
    )
    return subprocess.run(words, env=environment, cwd="/").returncode


if __name__ == "__main__":
    sys.exit(main())
