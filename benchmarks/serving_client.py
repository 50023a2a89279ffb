"""Clients that send images to a server and record each answer; benchmarks/serving.py runs this program on a core of its own.

The clients use plain sockets of asyncio: a general HTTP library would need more processor time for a request than the server
needs for its answer. Each client keeps its connection and sends the next image when the answer to the last one has arrived.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Exchange", "exchanges", "request_bytes", "run_client"]

BOUNDARY = "featrec-benchmark"
LOST = 0  # the status of a request without a complete answer


class Exchange(NamedTuple):
    """A request and its answer. Times are those of the system's monotonic clock."""

    image: int
    sent: float
    received: float
    status: int
    label: str | None


def request_bytes(image: bytes, host: str, path: str = "/predict") -> bytes:
    """Return an HTTP request with one image as a form."""
    named = 'Content-Disposition: form-data; name="image"; filename="image.jpg"'
    head = f"--{BOUNDARY}\r\n{named}\r\nContent-Type: image/jpeg\r\n\r\n"
    body = head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read an answer with a Content-Length; return status and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length"))
    return int(head[0].split()[1]), await reader.readexactly(length)


def label_of(status: int, body: bytes) -> str | None:
    """Return the label in an answer of /predict."""
    return str(json.loads(body)["results"][0]["label"]) if status == 200 else None


async def client(address: tuple[str, int], requests: Sequence[bytes], turns: Iterator[int], until: float) -> list[Exchange]:
    """Send images until the time has come, or no turns are left. A closed connection is opened again once."""
    found: list[Exchange] = []
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while time.monotonic() < until and (turn := next(turns, None)) is not None:
        image, sent = turn % len(requests), time.monotonic()
        status, label = LOST, None
        try:
            if connection is None:
                connection = await asyncio.open_connection(*address)
            sent = time.monotonic()
            connection[1].write(requests[image])
            status, body = await answer(connection[0])
            label = label_of(status, body)
        except (OSError, EOFError, asyncio.IncompleteReadError):
            if connection is None:
                await asyncio.sleep(0.02)  # nobody listens
            else:
                connection[1].close()
            connection = None
        found.append(Exchange(image, sent, time.monotonic(), status, label))
    if connection is not None:
        connection[1].close()
    return found


async def all_clients(plan: dict[str, Any]) -> list[Exchange]:
    """Run the clients of a plan at the same time."""
    host = f"{plan['host']}:{plan['port']}"
    requests = [request_bytes(Path(path).read_bytes(), host, plan.get("path", "/predict")) for path in plan["images"]]
    turns = iter(range(plan["requests"])) if plan.get("requests") else itertools.count()
    until = time.monotonic() + (plan.get("seconds") or 3600)
    address = plan["host"], plan["port"]
    parts = await asyncio.gather(*(client(address, requests, turns, until) for _ in range(plan["clients"])))
    return sorted((one for part in parts for one in part), key=lambda one: one.sent)


def run_client(plan: dict[str, Any]) -> list[Exchange]:
    """Run the clients in another process, whose core is plan["core"] if that is not None."""
    import subprocess

    done = subprocess.run([sys.executable, "-P", __file__], input=json.dumps(plan), capture_output=True, text=True, check=True)
    return exchanges(done.stdout)


def exchanges(text: str) -> list[Exchange]:
    """Return what the program has printed."""
    return [Exchange(*row) for row in json.loads(text)]


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    if given.get("core") is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {given["core"]})
    print(json.dumps(asyncio.run(all_clients(given))))
