"""Malformed requests for a server, made from a seed. Run as a program, send many of them and print the outcomes as JSON.

    featrec serve MODEL --port 8000 --timeout 2 &
    python tests/serving/hostile.py 127.0.0.1:8000 5000

An upload is answered with 200 exactly if its bytes are an image within the limits of the server. Everything else is answered with
a status of 400 to 499; 503 only says that the queue is full. The connection of a client that is too slow is closed.
"""

import base64
import json
import socket
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.images.damage import FORMATS, chunk, damaged, whole  # noqa: E402

SEEDS = sorted((ROOT / "fuzz" / "seeds" / "read_image").glob("*"))
FIELD = "image"
BOUNDARY = "hostile"
WAIT = 60.0  # seconds for an answer
BUSY, CLOSED, SILENT = 503, "closed", "silent"


class Upload(NamedTuple):
    """A request: its bytes, a pause in seconds after each byte (for slow clients), and what the server may say.

    `image` are the bytes of the image in a well-formed request; None if the request is malformed and must be refused.
    """

    kind: str
    request: bytes
    image: bytes | None = None
    pause: float = 0.0


class Limits(NamedTuple):
    """The limits of the server."""

    max_bytes: int
    max_pixels: int


# Requests


def http(body, content_type, path="/predict", length=None, more=""):
    """Return a request; `length` is the declared length if it is not that of the body."""
    declared = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\nContent-Length: {declared}\r\n{more}"
    return f"{head}Connection: close\r\n\r\n".encode("latin-1") + body


def form(image, field=FIELD, name="image.jpg", boundary=BOUNDARY):
    """Return the body of a form with one file."""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    return head.encode("utf-8", "surrogatepass") + image + f"\r\n--{boundary}--\r\n".encode()


def multipart(image, path="/predict", **options):
    return http(form(image, **options), f"multipart/form-data; boundary={BOUNDARY}", path)


def infer(tensor, model, **more):
    """Return a request of the Open Inference Protocol."""
    return http(json.dumps({"inputs": [tensor], **more}).encode(), "application/json", f"/v2/models/{model}/infer")


def image_of(position):
    """Return the bytes of an image that may be damaged, and how it was damaged."""
    random = Random(f"hostile {position}")
    if random.random() < 0.15:
        return "seed", random.choice(SEEDS).read_bytes()
    if random.random() < 0.1:
        return "whole", random.choice(whole(random.choice(FORMATS)))
    return damaged(random.choice(FORMATS), random.randrange(10_000))


def as_form(position, model):
    way, image = image_of(position)
    return Upload(f"image, {way}", multipart(image), image)


def as_explain(position, model):
    way, image = image_of(position)
    return Upload(f"explained image, {way}", multipart(image, "/explain"), image)


def as_base64(position, model):
    way, image = image_of(position)
    tensor = {"name": "images", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(image).decode()]}
    return Upload(f"base64 image, {way}", infer(tensor, model), image)


def wrong_tensor(position, model):
    """Return an inference request whose tensor is not a list of encoded images."""
    random = Random(f"tensor {position}")
    good = base64.b64encode(whole("PNG")[0]).decode()
    tensor = {"name": "images", "shape": [1], "datatype": "BYTES", "data": [good]}
    changes = [
        {"shape": random.choice([[2], [0], [-1], [1, 1, 1], [10**12], "1", None, [1.5], [True], []])},
        {"datatype": random.choice(["FP64", "INT7", "", None, 3, "bytes", ["BYTES"]])},
        {
            "data": random.choice(
                [[], None, "x", [[[]]], [None], [1], [{"a": 1}], "!" * 9, [good, good], {}, ["!!!"], ["A" * 7]]
            )
        },
        {"name": random.choice([None, 7, [], {}])},
    ]
    for change in random.sample(changes, random.choice([1, 1, 2])):
        tensor |= change
    return Upload("wrong tensor", infer(random.choice([tensor, tensor, None, 4, [], {}]), random.choice([model, "no-such"])))


def wrong_type(position, model):
    """Return a body that is not what its content type says, or no form at all."""
    random = Random(f"type {position}")
    image = random.choice(whole("JPEG"))
    field = random.choice(["", "x" * 5000, "\u202e", "images[]", "model", '"', "../../etc/passwd"])
    choices = [
        http(image, "image/jpeg"),
        http(form(image), "multipart/form-data"),
        http(form(image), "multipart/form-data; boundary=other"),
        http(form(image), f"multipart/form-data; boundary={'b' * 300}"),
        http(b"", f"multipart/form-data; boundary={BOUNDARY}"),
        http(form(image, field=field), f"multipart/form-data; boundary={BOUNDARY}"),
        http(json.dumps({"images": [1, 2]}).encode(), "application/json"),
        http(b"a=1&b=2", "application/x-www-form-urlencoded"),
        http(
            random.randbytes(200), random.choice(["text/plain", "application/json", "", "\xff", "multipart/mixed; boundary=a"])
        ),
        http(b"{", "application/json", f"/v2/models/{model}/infer"),
        http(b"[" * 20_000, "application/json", f"/v2/models/{model}/infer"),
        http(b'{"inputs": NaN}', "application/json", f"/v2/models/{model}/infer"),
        http(b'"\xff\xfe"', "application/json", f"/v2/models/{model}/infer"),
        http(
            b"x" * 100,
            "application/octet-stream",
            f"/v2/models/{model}/infer",
            more="Inference-Header-Content-Length: 99999\r\n",
        ),
        http(
            b"x" * 100, "application/octet-stream", f"/v2/models/{model}/infer", more="Inference-Header-Content-Length: -1\r\n"
        ),
        http(
            b"x" * 100, "application/octet-stream", f"/v2/models/{model}/infer", more="Inference-Header-Content-Length: abc\r\n"
        ),
    ]
    return Upload("wrong type", random.choice(choices))


def wrong_length(position, model):
    """Return a request whose declared length is wrong, or whose body is cut, or damaged in its framing."""
    random = Random(f"length {position}")
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    body = form(whole("PNG")[0])
    cut = body[: random.randrange(len(body) - 20)]
    chunked = (
        f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    choices = [
        http(cut, kind),
        http(body, kind, length=random.choice([0, 1, 10, len(body) // 2])),
        http(body, kind, length=10 ** random.choice([9, 12, 30])),
        http(body, kind, length=random.choice(["-5", "abc", "1e3", "0x10", "", "5, 6"])),
        chunked + random.choice([b"zz\r\n", b"-1\r\n", b"ffffffffffffffffffff\r\n", b"5\r\nabc", b"\x00"]),
        chunked.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n") + b"0\r\n\r\n",
        random.randbytes(300),
        b"POST /predict HTTP/9.9\r\n\r\n",
        b"POST " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    ]
    return Upload("wrong length", random.choice(choices))


def slow(position, model):
    """Return a request that is sent byte by byte, so that it does not end within the server's time."""
    whole_request = multipart(whole("PNG")[0])
    return Upload("slow client", whole_request[: 40 if position % 2 else 400], pause=0.5)


def huge_png(side, color=b"\0"):
    """Return a valid PNG of one colour; each line compresses to almost nothing."""
    import struct
    import zlib

    packer, parts = zlib.compressobj(9), []
    for _ in range(side):
        parts.append(packer.compress(b"\0" + color * side))
    content = b"".join(parts) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def too_large(position, model):
    return Upload("10,001 × 10,001 pixels", multipart(HUGE), HUGE)


HUGE = huge_png(10_001)
WAYS = (as_form, as_base64, as_form, as_base64, as_form, as_explain, wrong_tensor, wrong_type, wrong_length, as_form)
RARE = {37: slow, 61: too_large}


def upload(position, model):
    """Return the upload at a position; the same position always returns the same upload."""
    way = RARE.get(position % 100) or WAYS[position % len(WAYS)]
    return way(position, model)


# Answers


def send(address, found):
    """Send an upload; return the status, or CLOSED if the server has closed the connection without an answer."""
    try:
        with socket.create_connection(address, timeout=WAIT) as connection:
            _write(connection, found)
            return _status(connection)
    except TimeoutError:
        return SILENT
    except OSError:
        return CLOSED


def _write(connection, found):
    try:
        if not found.pause:
            connection.sendall(found.request)
            if found.kind == "wrong length":
                connection.shutdown(socket.SHUT_WR)
            return
        connection.settimeout(found.pause)
        start = time.monotonic()
        for position in range(len(found.request)):
            connection.sendall(found.request[position : position + 1])
            try:
                if not connection.recv(1, socket.MSG_PEEK) or time.monotonic() - start > WAIT:
                    return
                break
            except TimeoutError:
                continue
        connection.settimeout(WAIT)
    except (BrokenPipeError, ConnectionResetError):
        return  # the server may have answered before it has read everything


def _status(connection):
    head = b""
    while b"\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            return CLOSED
        head += part
    connection.settimeout(5)
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass
    return int(head.split()[1])


def accepted(image, limits):
    """Return whether read_image accepts the bytes under the limits of the server."""
    from featrec.exceptions import ImageError
    from featrec.images import read_image

    if len(image) > limits.max_bytes:
        return False
    try:
        read_image(image, max_pixels=limits.max_pixels)
    except ImageError:
        return False
    return True


def fault(found, status, limits):
    """Return what is wrong with an answer, or None."""
    refused = isinstance(status, int) and 400 <= status < 500
    if status == SILENT or (isinstance(status, int) and status >= 500 and status != BUSY):
        return f"got {status}"
    if found.pause:
        return None if status == CLOSED or refused else f"a slow client got {status}"
    if status == CLOSED:
        # A server may close the connection if it cannot tell where the request ends, or before it has read too large a body.
        return None if found.kind == "wrong length" else "closed without an answer"
    if status == BUSY or found.kind == "wrong tensor":
        return None  # a changed tensor may still be valid
    valid = found.image is not None and accepted(found.image, limits)
    return None if (status == 200 and valid) or (refused and not valid) else f"got {status}, {valid=}"


def attack(address, model, count, limits, threads=8, first=0):
    """Send uploads from several threads; return the outcomes and the faults."""

    def one(position):
        found = upload(position, model)
        status = send(address, found)
        return found.kind.partition(",")[0], str(status), fault(found, status, limits), position

    with ThreadPoolExecutor(threads) as pool:
        rows = list(pool.map(one, range(first, first + count)))
    outcomes = Counter(f"{kind}: {status}" for kind, status, _, _ in rows)
    faults = [f"{position} {kind}: {wrong}" for kind, _, wrong, position in rows if wrong]
    return {"outcomes": dict(sorted(outcomes.items())), "faults": faults}
