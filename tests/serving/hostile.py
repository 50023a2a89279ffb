"""Malformed requests for a server, made from a seed. Run as a program, send many of them and print the outcomes as JSON.

    featrec serve MODEL --port 8000 --body-seconds 2 &
    python tests/serving/hostile.py MODEL 8000 5000

An upload is answered with 200 exactly if its bytes are an image within the limits of the server. Everything else is answered
with a status of 400 to 499; 503 only says that the queue is full. The connection of a client that is too slow is closed.
"""

import base64
import functools
import json
import socket
import struct
import sys
import zlib
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
WAIT, PAUSE = 60.0, 0.3  # seconds for an answer, and between two bytes of a slow client
BUSY, CLOSED, SILENT = 503, "closed", "silent"


class Upload(NamedTuple):
    """A request.

    `image` are the bytes of the image in a well-formed request; None if the request is malformed. A slow client sends `slow`
    bytes at once, and then one byte after another, with pauses.
    """

    kind: str
    request: bytes
    image: bytes | None = None
    slow: int | None = None


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
    random = random_of(position)
    if random.random() < 0.15:
        return "seed", random.choice(SEEDS).read_bytes()
    if random.random() < 0.1:
        return "whole", random.choice(whole(random.choice(FORMATS)))
    return damaged(random.choice(FORMATS), random.randrange(10_000))


def random_of(position):
    return Random(f"hostile {position}")


def as_form(position, model):
    way, image = image_of(position)
    return Upload(f"image, {way}", multipart(image), image)


def as_body(position, model):
    way, image = image_of(position)
    return Upload(
        f"image as body, {way}", http(image, random_of(position).choice(["image/jpeg", "application/octet-stream"])), image
    )


def as_explain(position, model):
    way, image = image_of(position)
    return Upload(f"explained image, {way}", multipart(image, "/explain"), image)


def as_base64(position, model):
    way, image = image_of(position)
    tensor = {"name": "images", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(image).decode()]}
    return Upload(f"base64 image, {way}", infer(tensor, model), image)


def wrong_tensor(position, model):
    """Return an inference request whose tensor is not a list of encoded images."""
    random = random_of(position)
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


def wrong_pixels(position, model):
    """Return an inference request with pixels that do not fit their shape or type, or are no pixels."""
    random = random_of(position)
    shape = random.choice(
        [[1, 9, 9, 3], [1, 9, 9], [2, 9, 9], [1, 9, 9, 2], [9, 9], [0, 9, 9], [1, 0, 9], [1, 10**9, 10**9, 3]]
    )
    kind = random.choice(["UINT8", "UINT16", "FP32", "FP64", "BOOL", "INT64"])
    value = random.choice([0, 1, 0.5, -1, 256, 1e300, float("nan"), float("inf"), 10**400, None, "x", "1", True, {}, []])
    flat = [value] * random.choice([0, 81, 243, 162])
    data = random.choice([flat, [flat], [[flat], 3], [[[value] * 9] * 9], [[[[value] * 3] * 9] * 9], value])
    tensor = {"name": "image", "shape": shape, "datatype": kind, "data": data}
    if random.random() < 0.4:
        size = random.choice([0, 81, 243, -1, 10**12, "81", None, 81.0])
        tensor = tensor | {"parameters": random.choice([{"binary_data_size": size}, size, [size]])}
    content, raw = json.dumps({"inputs": [tensor]}).encode(), random.randbytes(random.choice([0, 81, 243]))
    length = random.choice([len(content), len(content), len(content) + 1, 0])
    more = f"Inference-Header-Content-Length: {length}\r\n" if raw or random.random() < 0.5 else ""
    path = f"/v2/models/{model}/infer"
    return Upload("wrong pixels", http(content + raw, "application/octet-stream", path, more=more))


def wrong_type(position, model):
    """Return a body that is not what its content type says, or no form at all."""
    random = random_of(position)
    image = random.choice(whole("JPEG"))
    field = random.choice(["", "x" * 5000, "\u202e", "images[]", "model", '"', "../../etc/passwd"])
    choices = [
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
    random = random_of(position)
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
    """Return a request whose head or body is sent so slowly that it does not end within the server's time."""
    request = multipart(whole("PNG")[0])
    return Upload("slow client", request, slow=random_of(position).choice([0, 20, request.index(b"\r\n\r\n") + 40]))


@functools.cache
def huge_png(side=10_001):
    """Return a valid PNG of one colour, in which each line takes almost no bytes."""
    packer = zlib.compressobj(1)
    content = b"".join([packer.compress(bytes(side + 1)) for _ in range(side)]) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def too_large(position, model):
    return Upload("image of 10001 × 10001 pixels", multipart(huge_png()), huge_png())


WAYS = (as_form, as_base64, as_form, as_body, as_explain, wrong_tensor, wrong_pixels, wrong_type, wrong_length, as_form)
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
        if found.slow is None:
            connection.sendall(found.request)
            if found.kind == "wrong length":
                connection.shutdown(socket.SHUT_WR)
            return
        connection.sendall(found.request[: found.slow])
        _dribble(connection, found.request[found.slow :])
    except (BrokenPipeError, ConnectionResetError):
        return  # the server may have answered before it has read everything


def _dribble(connection, rest):
    """Send one byte after another until the server answers or closes the connection."""
    connection.settimeout(PAUSE)
    for position in range(len(rest)):
        connection.sendall(rest[position : position + 1])
        try:
            connection.recv(1, socket.MSG_PEEK)
            break
        except TimeoutError:
            continue
    connection.settimeout(WAIT)


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
    if found.slow is not None:
        return None if status == CLOSED or refused else f"a slow client got {status}"
    if status == CLOSED:
        # A server may close the connection if it cannot tell where the request ends, or before it has read too large a body.
        return None if found.kind == "wrong length" else "closed without an answer"
    if status == BUSY or found.kind in ("wrong tensor", "wrong pixels"):
        return None  # a changed tensor may still be valid
    valid = found.image is not None and accepted(found.image, limits)
    return None if (status == 200 and valid) or (refused and not valid) else f"got {status}, {valid=}"


def attack(address, model, count, limits, threads=8, first=0):
    """Send uploads from several threads; return the outcomes and the faults."""

    def one(position):
        found = upload(position, model)
        status = send(address, found)
        kind = found.kind.partition(",")[0] + " (bomb)" * ("bomb" in found.kind)
        return kind, str(status), fault(found, status, limits), position

    with ThreadPoolExecutor(threads) as pool:
        rows = list(pool.map(one, range(first, first + count)))
    outcomes = Counter(f"{kind}: {status}" for kind, status, _, _ in rows)
    faults = [f"{position} {kind}: {wrong}" for kind, _, wrong, position in rows if wrong]
    return {"outcomes": dict(sorted(outcomes.items())), "faults": faults}


if __name__ == "__main__":
    from featrec.serving import Limits

    file, port, total = sys.argv[1:4]
    sys.stdout.write(json.dumps(attack(("127.0.0.1", int(port)), Path(file).stem, int(total), Limits()), indent=1) + "\n")
