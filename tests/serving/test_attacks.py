"""Requests that cost the server far more than the client: each is refused early, and other clients do not wait."""

import json
import socket
import time

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from featrec.serving import Limits, create_app
from tests.serving.models import encoded, pixels, with_probabilities
from tests.serving.served import running
from tests.serving.test_app import slow_model

LIGHT = encoded(pixels(200))
INFER = "/v2/models/m/infer"
DIGITS = b"9" * 4000  # Python converts no number of more than 4,300 digits to text
FORM = {"content-type": "multipart/form-data; boundary=b"}
PART = b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nx\r\n--b\r\n'


@pytest.fixture(scope="module")
def client():
    with running(create_app({"m": with_probabilities()}, limits=Limits(max_files=3))) as found:
        yield found


def request_of(shape=b"1", datatype=b"BYTES", data=b'["AA"]'):
    return b'{"inputs":[{"name":"image","shape":[%s],"datatype":"%s","data":%s}]}' % (shape, datatype, data)


JSON = {
    "product of sides": (request_of(DIGITS + b"," + DIGITS), 400, "a list of at most 4 integers"),
    "many sides": (request_of(b",".join([DIGITS] * 2000)), 400, "a list of at most 4 integers; got 2000 of them"),
    "size of pixels": (request_of(b"1,%s,%s" % (DIGITS, DIGITS), b"UINT8", b"[1]"), 400, "a list of at most 4 integers"),
    "text among lists": (
        request_of(data=b'%s"A"%s,"%s"]' % (b"[" * 400, b"]" * 399, b"a" * 2_000_000)),
        400,
        "lists of equal depth",
    ),
    "many lists": (
        b'{"inputs":[%s]}' % b",".join([b"[]"] * 6_000_000),
        413,
        "lists, objects and keys, and the limit is 500,000",
    ),
    "many objects": (b'{"inputs":[%s]}' % b",".join([b'{"":0}'] * 2_000_000), 413, "lists, objects and keys"),
    "many keys": (b"{%s}" % b",".join(b'"%d":1' % number for number in range(1_000_000)), 413, "lists, objects and keys"),
}


@pytest.mark.parametrize("name", JSON)
def test_costly_json_is_refused_early(client, name):
    content, status, rule = JSON[name]
    start = time.perf_counter()
    answer = client.post(INFER, content=content)
    assert (answer.status_code, rule in answer.json()["error"]) == (status, True), answer.text[:500]
    assert len(answer.content) < 1000
    assert time.perf_counter() - start < 3


def test_pixels_as_nested_lists_are_possible(client):
    """An image of 640×480 has 307,681 lists."""
    rows = json.dumps([[[[10, 20, 30]] * 640] * 480]).encode()
    answer = client.post(INFER, content=request_of(b"1,480,640,3", b"UINT8", rows))
    assert answer.status_code == 200, answer.text[:500]


FORMS = {
    "many files": (b"--b\r\n" + PART * 100_000, 413, "more files than the limit of 3"),
    "many headers": (b"--b\r\n%s\r\nx\r\n--b--\r\n" % (b"X: a\r\n" * 500_000), 400, "header"),
}


@pytest.mark.parametrize("name", FORMS)
def test_costly_forms_are_refused_early(client, name):
    content, status, rule = FORMS[name]
    start = time.perf_counter()
    answer = client.post("/predict", content=content, headers=FORM)
    assert (answer.status_code, rule in answer.json()["error"]) == (status, True), answer.text[:500]
    assert time.perf_counter() - start < 2


def connection(client):
    """A connection whose side of the client has little room for answers."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    found.settimeout(10)
    found.connect((client.base_url.host, client.base_url.port))
    return found


def count_answers(connection):
    """Number of answers until the server closes the connection."""
    found, kept = 0, b""
    try:
        while chunk := connection.recv(65536):
            kept += chunk
            found, kept = found + kept.count(b"HTTP/1.1 200"), kept[-11:]
    except ConnectionResetError:
        pass
    return found


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 400])
def test_a_client_that_does_not_read_is_closed(n):
    """Small answers wait in the kernel, so that the client loses none of them."""
    request = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    app = create_app({"m": with_probabilities()}, limits=Limits(body_seconds=0.4, header_seconds=0.4))
    with running(app) as client:
        with connection(client) as silent:
            silent.sendall(request * n)
            time.sleep(1.5)
            found = count_answers(silent)
        assert client.post("/predict", content=LIGHT).status_code == 200
    assert found == 3 if n == 3 else found < n


@pytest.mark.slow
def test_requests_that_arrive_at_once_are_all_answered():
    """The time for the head of a request does not run while an earlier one is answered."""
    model, _ = slow_model(0.7)
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(LIGHT)}\r\n\r\n"
    with running(create_app({"m": model}, limits=Limits(header_seconds=0.4))) as client, connection(client) as found:
        found.sendall((head.encode() + LIGHT) * 2)
        assert count_answers(found) == 2


@pytest.mark.slow
def test_a_connection_that_is_made_while_the_server_stops_is_closed_soon():
    """uvicorn tells only the connections that it knows when the stop begins."""
    request = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    app = create_app({"m": with_probabilities()})
    with running(app) as client:
        assert client.get("/v2").headers.get("connection") != "close"
        known = list(app.state.server.server_state.connections)
        loop = next(each.loop for each in known if hasattr(each, "loop"))
        for each in known:
            loop.call_soon_threadsafe(each.shutdown)
        start = time.monotonic()
        with connection(client) as late, connection(client) as silent:
            late.sendall(request)
            assert count_answers(late) == 1
            assert count_answers(silent) == 0
        assert time.monotonic() - start < 5
