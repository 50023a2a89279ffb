"""A running `featrec serve` in another process, for tests that need a real connection."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS = 90, 30


def free_port():
    with socket.socket() as found:
        found.bind((HOST, 0))
        return found.getsockname()[1]


class Running:
    """A server that can be stopped, killed and started again on the same port."""

    def __init__(self, model, *options, port=None):
        self.port = port or free_port()
        self.command = [sys.executable, "-m", "featrec", "serve", str(model), "--port", str(self.port), *options]
        self.address, self.log = f"http://{HOST}:{self.port}", b""
        self.process = None

    def start(self):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        os.set_blocking(self.process.stderr.fileno(), False)
        until = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop(signal.SIGKILL)
                raise AssertionError(f"the server did not start: {self.log.decode()[-2000:]}")
            time.sleep(0.05)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.address}/page.css", timeout=5) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 401
        except OSError:
            return False

    def stop(self, how=signal.SIGTERM):
        """Send a signal; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(STOP_SECONDS)
        self.log += self.process.stderr.read() or b""
        self.process.stderr.close()
        return code


@contextmanager
def running(model, *options, port=None):
    server = Running(model, *options, port=port)
    server.start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
