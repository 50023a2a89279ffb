"""A running `featrec serve` on some of the machine's cores, and its memory and processor time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["HOST", "Server", "serving"]

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS = 120, 30


class Server:
    """A running `featrec serve`."""

    def __init__(self, process: subprocess.Popen, port: int):
        self.process, self.port = process, port

    def is_ready(self) -> bool:
        """Whether it answers that the model is ready."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/v2/health/ready", timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def megabytes(self) -> float:
        """Return the memory of the process and its workers."""
        return sum(map(resident_megabytes, family(self.process.pid)))

    def processor_seconds(self) -> float:
        """Return the processor time of the process and its workers so far."""
        return sum(map(processor_seconds, family(self.process.pid)))

    def stop(self) -> float:
        """Send SIGTERM; return the seconds until the end."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_SECONDS)
        return time.monotonic() - start


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in family(int(child)))]


def resident_megabytes(pid: int) -> float:
    """Return the memory of one process that is not swapped out."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def processor_seconds(pid: int) -> float:
    """Return the processor time of one process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
    return port


@contextmanager
def serving(model: Path, *options: str, cores: set[int] | None = None) -> Iterator[Server]:
    """Start a server and wait until it is ready."""
    port = free_port()
    command = [sys.executable, "-m", "featrec", "serve", str(model), "--port", str(port), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def limit() -> None:
        if cores:
            os.sched_setaffinity(0, cores)

    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, preexec_fn=limit)
        server = Server(process, port)
        try:
            _wait_until_ready(server, log)
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait_until_ready(server: Server, log: Any) -> None:
    until = time.monotonic() + START_SECONDS
    while not server.is_ready():
        if server.process.poll() is not None or time.monotonic() > until:
            log.seek(0)
            raise SystemExit(f"the server did not start: {log.read()[-2000:]}")
        time.sleep(0.1)
