"""A server in a thread of the tests, and the command in a process of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@contextlib.contextmanager
def running(app):
    """Run an application; return a client of httpx, whose base_url has the port."""
    import httpx
    import uvicorn

    from featrec.serving._server import bound, configured

    server = app.state.server = uvicorn.Server(configured(app, app.state.service.limits))
    with bound("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        wait_until(lambda: server.started or not thread.is_alive())
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(20)


def wait_until(condition, seconds=30.0):
    """Wait until a condition holds; fail if it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextlib.contextmanager
def serving(*words):
    """Run ``featrec serve`` with a free port; return the process and a client."""
    import httpx

    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "featrec", "serve", *map(str, words), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, line + process.stderr.read()
            with httpx.Client(base_url=found[0], timeout=20) as client:
                wait_until(lambda: is_ready(client) or process.poll() is not None, 60)
                yield process, client
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def is_ready(client):
    import httpx

    try:
        return client.get("/v2/health/ready").status_code == 200
    except httpx.TransportError:
        return False
