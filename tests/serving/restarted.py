"""The command ``featrec serve`` on a fixed port, for a server that ends and is started again."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS = 90, 30


class Server:
    """A process that serves models, and starts again on the same port."""

    def __init__(self, model, *options):
        with socket.socket() as found:
            found.bind((HOST, 0))
            port = found.getsockname()[1]
        self.command = [sys.executable, "-m", "featrec", "serve", str(model), "--port", str(port), *options]
        self.address = f"http://{HOST}:{port}"

    def start(self):
        with tempfile.TemporaryFile() as log:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            self.process = subprocess.Popen(self.command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            until = time.monotonic() + START_SECONDS
            while not self.is_ready():
                if self.process.poll() is not None or time.monotonic() > until:
                    self.stop(signal.SIGKILL)
                    log.seek(0)
                    raise AssertionError(f"the server did not start: {log.read().decode()[-2000:]}")
                time.sleep(0.05)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.address}/v2/health/ready", timeout=5) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False

    def stop(self, how=signal.SIGTERM):
        """Send a signal; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def restarted(model, *options):
    server = Server(model, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
