"""The web application: answers, errors, limits, security headers and metrics, over real connections."""

import json
import re
import socket
import struct
import threading
import time
import zlib

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from featrec.evaluation import Drift
from featrec.exceptions import InputError
from featrec.serving import Limits, Predictor, create_app
from featrec.serving._limits import Refusal
from tests.serving.models import encoded, pixels, with_probabilities, with_scores
from tests.serving.served import running, wait_until

LIGHT, DARK = encoded(pixels(200)), encoded(pixels(40))
LIMITS = Limits(max_bytes=100_000, max_pixels=10_000, max_files=3, max_queue=4, body_seconds=0.5, header_seconds=0.5)


@pytest.fixture(scope="module")
def client():
    app = create_app({"knn": with_probabilities(), "svm": with_scores()}, limits=LIMITS)
    with running(app) as found:
        yield found


def form(*images):
    return [("image", (f"{number}.png", data, "image/png")) for number, data in enumerate(images)]


def test_a_raw_image(client):
    answer = client.post("/predict?model=knn", content=LIGHT, headers={"content-type": "image/png"})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["model"], found["version"], found["request_id"]) == ("knn", "1", answer.headers["x-request-id"])
    (result,) = found["results"]
    seconds = result.pop("seconds")
    assert result == {
        "name": None,
        "label": "light",
        "confidence": 1.0,
        "top": [{"label": "light", "confidence": 1.0}, {"label": "dark", "confidence": 0.0}],
        "rejected": None,
        "width": 32,
        "height": 24,
    }
    assert set(seconds) == {"wait", "decode", "predict"}


def test_the_files_of_a_form(client):
    answer = client.post("/predict", params={"model": "knn", "top": 1}, files=form(LIGHT, DARK))
    found = answer.json()["results"]
    assert [(one["name"], one["label"], len(one["top"])) for one in found] == [("0.png", "light", 1), ("1.png", "dark", 1)]


def test_curl_sends_a_form_type_for_raw_data(client):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/predict?model=knn", content=DARK, headers=headers).json()["results"][0]["label"] == "dark"


def test_a_model_without_probabilities(client):
    (result,) = client.post("/predict?model=svm", content=LIGHT).json()["results"]
    assert result["confidence"] is None
    assert result["top"][0]["confidence"] != result["top"][1]["confidence"]


def test_an_explanation_adds_up_to_the_decision(client):
    answer = client.post("/explain?model=svm&parts=4", files=form(LIGHT))
    (result,) = answer.json()["results"]
    assert result["exact"]
    assert result["target"] == result["label"]
    assert len(result["parts"]) == 4 < result["n_parts"]
    total = sum(part["value"] for part in result["parts"]) + result["rest"] + result["base_value"]
    assert total == pytest.approx(result["decision"], abs=1e-4)
    strengths = [abs(part["value"]) for part in result["parts"]]
    assert strengths == sorted(strengths, reverse=True)
    for part in result["parts"]:
        assert len(part["outline"]) == 4
        assert 0 <= part["x"] <= 32
        assert 0 <= part["y"] <= 24


BAD = [
    (b"no image", 415, "unsupported image format"),
    (LIGHT[:60], 422, "damaged or truncated"),
    (encoded(np.zeros((101, 100), np.uint8)), 413, "10,100 pixels"),
    (b"", 422, "the request has no image"),
    (b"x" * 100_001, 413, "larger than the limit of 100,000 bytes"),
]


@pytest.mark.parametrize(("data", "status", "rule"), BAD, ids=["text", "truncated", "pixels", "empty", "bytes"])
def test_a_bad_image_names_the_rule(client, data, status, rule):
    answer = client.post("/predict?model=knn", content=data)
    assert answer.status_code == status
    assert rule in answer.json()["error"].replace("10100", "10,100")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_bad_file_of_a_form_is_named(client):
    answer = client.post("/predict?model=knn", files=form(LIGHT, b"no image"))
    assert answer.status_code == 415
    assert (answer.json()["index"], answer.json()["name"]) == (1, "1.png")


FORMS = {
    "no data": (None, b"", 400, "the form ends before its last boundary"),
    "other field": ([("file", ("a.png", LIGHT))], None, 422, "the form has a field 'file'"),
    "too many": (form(*[LIGHT] * 4), None, 413, "more files than the limit of 3"),
    "cut off": (None, b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx', 400, "ends before its last boundary"),
    "nonsense": (None, b"nonsense", 400, "the form cannot be read"),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_bad_form_names_the_rule(client, name):
    files, content, status, rule = FORMS[name]
    if content is None:
        answer = client.post("/predict?model=knn", files=files)
    else:
        headers = {"content-type": "multipart/form-data; boundary=b"}
        answer = client.post("/predict?model=knn", content=content, headers=headers)
    assert (answer.status_code, rule in answer.json()["error"]) == (status, True), answer.text


REQUESTS = [
    ("/predict", {}, 404, "choose one with ?model=NAME: knn, svm"),
    ("/predict?model=no", {}, 404, "no model 'no'; the models are knn, svm"),
    ("/predict?model=knn&top=0", {}, 422, "top must be an integer from 1 to 1000; got '0'"),
    ("/predict?model=knn&top=²", {}, 422, "top must be an integer"),
    ("/explain?model=knn&parts=x", {}, 422, "parts must be an integer"),
    ("/predict?model=knn", {"content-type": "application/json"}, 415, "'application/json' is no image"),
    ("/predict?model=knn", {"content-encoding": "gzip"}, 415, "Content-Encoding 'gzip' is not supported"),
    ("/nothing", {}, 404, "the path '/nothing' does not exist"),
    ("/models", {}, 405, "'/models' has no method POST"),
]


@pytest.mark.parametrize(("path", "headers", "status", "rule"), REQUESTS)
def test_a_bad_request_names_the_rule(client, path, headers, status, rule):
    answer = client.post(path, content=LIGHT, headers=headers)
    assert (answer.status_code, rule in answer.json()["error"]) == (status, True), answer.text


def test_models_are_listed_with_their_abilities(client):
    knn, svm = client.get("/models").json()["models"]
    assert knn == {
        "name": "knn",
        "version": "1",
        "classes": ["dark", "light"],
        "confidence": True,
        "reject": False,
        "explain": True,
    }
    assert svm["confidence"] is False


def test_metrics_count_requests_images_and_batches(client):
    def value(name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    names = [
        'featrec_requests_total{route="/predict",status="200"}',
        'featrec_requests_total{route="/predict",status="415"}',
        'featrec_images_total{model="knn",outcome="ok"}',
        'featrec_images_total{model="knn",outcome="error"}',
        'featrec_batch_images_count{model="knn"}',
        'featrec_stage_seconds_count{stage="decode"}',
    ]
    before = [value(name) for name in names]
    client.post("/predict?model=knn", files=form(LIGHT, DARK))
    client.post("/predict?model=knn", content=b"no image")
    assert [value(name) - old for name, old in zip(names, before, strict=True)] == [1, 1, 2, 1, 2, 3]


def test_metrics_of_drift():
    def watchers():
        return {each for each in threading.enumerate() if each.name.startswith("featrec-drift")}

    def value(measure):
        found = re.search(rf'^featrec_drift{{measure="{measure}",model="model"}} (\S+)$', client.get("/metrics").text, re.M)
        return float(found[1]) if found else None

    before = watchers()
    options = {"limits": Limits(max_files=60), "watch_seconds": 0.05}
    app = create_app(with_probabilities(), drift=lambda model: Drift(20, window=20, every=20), **options)
    with running(app) as client:
        for level, found in ((40, (60, 0)), (200, (120, 1))):
            files = [encoded(pixels(level, seed)) for seed in range(level, level + 60)]
            assert client.post("/predict", files=form(*files)).status_code == 200
            wait_until(lambda found=found: (value("images"), value("drift")) == found)
        assert value("left_out") == 0
        assert value("brightness_psi") > 0
        assert value("brightness_p") <= 0.01
        (thread,) = watchers() - before
    assert not thread.is_alive()


def test_every_answer_has_the_headers_of_security(client):
    for answer in (client.get("/"), client.get("/models"), client.get("/nothing"), client.post("/predict", content=b"")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_request_id_is_kept_if_it_is_harmless(client):
    assert client.get("/v2", headers={"x-request-id": "job-7.a_b"}).headers["x-request-id"] == "job-7.a_b"
    assert client.get("/v2", headers={"x-request-id": "job 7"}).headers["x-request-id"] != "job 7"
    assert len(client.get("/v2", headers={"x-request-id": "7" * 65}).headers["x-request-id"]) == 32


def test_other_hosts_are_refused(client):
    assert client.get("/models", headers={"host": "localhost:8000"}).status_code == 200
    assert client.get("/models", headers={"host": "[::1]:8000"}).status_code == 200
    answer = client.get("/models", headers={"host": "rebound.example"})
    assert answer.status_code == 421
    assert "'rebound.example' is not served here" in answer.json()["error"]


def test_pages_of_other_origins_may_not_post(client):
    headers = {"origin": "https://other.example"}
    assert client.post("/predict?model=knn", content=LIGHT, headers=headers).status_code == 403
    own = {"origin": str(client.base_url)}
    assert client.post("/predict?model=knn", content=LIGHT, headers=own).status_code == 200


def test_cors_allows_one_origin():
    origin = "https://site.example"
    with running(create_app(with_probabilities(), cors=[origin])) as client:
        answer = client.post("/predict", content=LIGHT, headers={"origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
        asked = {"origin": origin, "access-control-request-method": "POST"}
        assert client.options("/predict", headers=asked).headers["access-control-allow-origin"] == origin
        assert client.post("/predict", content=LIGHT, headers={"origin": "https://other.example"}).status_code == 403


def test_a_token_protects_all_but_page_and_health():
    with running(create_app(with_probabilities(), token="secret-token-of-a-test")) as client:
        assert client.post("/predict", content=LIGHT).status_code == 401
        refused = client.get("/models", headers={"authorization": "Bearer secret-token-of-a-tesT"})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/metrics").status_code == 401
        right = {"authorization": "Bearer secret-token-of-a-test"}
        assert client.post("/predict", content=LIGHT, headers=right).status_code == 200
        assert [client.get(path).status_code for path in ("/", "/page.js", "/v2/health/ready")] == [200, 200, 200]
        described = client.get("/openapi.json", headers=right).json()
        assert described["security"] == [{"token": []}]
        assert described["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}
        needless = {path for path, methods in described["paths"].items() for one in methods.values() if "security" in one}
        assert needless == {"/v2/health/live", "/v2/health/ready"}


def connection(client, text):
    found = socket.create_connection((client.base_url.host, client.base_url.port), timeout=10)
    found.sendall(text.encode())
    return found


def received(connection):
    """All bytes until the server closes the connection."""
    found = b""
    try:
        while chunk := connection.recv(65536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def test_a_slow_body_is_answered_and_closed(client):
    with connection(client, "POST /predict?model=knn HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc") as slow:
        start = time.monotonic()
        answer = received(slow)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"did not arrive within 0.5 s" in answer
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "text", ["", "GET /models HTTP/1.1\r\nHost: local", "GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v"]
)
def test_a_slow_head_is_closed(client, text):
    start = time.monotonic()
    with connection(client, text) as slow:
        answer = received(slow)
    assert time.monotonic() - start < 5
    assert answer.count(b"HTTP/1.1 200") == text.count("\r\n\r\n")


def test_a_large_body_is_refused_before_it_is_sent(client):
    with connection(client, "POST /predict?model=knn HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100001\r\n\r\n") as large:
        assert received(large).startswith(b"HTTP/1.1 413")


def test_a_large_body_without_a_length_is_refused_while_it_arrives(client):
    chunk = b"%x\r\n%s\r\n" % (50_000, b"x" * 50_000)
    head = "POST /predict?model=knn HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connection(client, head) as large:
        for _ in range(3):
            large.sendall(chunk)
        assert received(large).startswith(b"HTTP/1.1 413")


def bomb(height, width):
    """A PNG whose header declares more pixels than it has."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_by_its_header(client):
    answer = client.post("/predict?model=knn", content=bomb(10_001, 10_001))
    assert answer.status_code == 413
    assert "10001" in answer.json()["error"].replace(",", "")


def test_a_client_that_leaves_does_no_harm(client):
    head = "POST /predict?model=knn HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc"
    connection(client, head).close()
    with connection(client, "nonsense\r\n\r\n") as wrong:
        assert received(wrong).startswith(b"HTTP/1.1 400")
    assert client.post("/predict?model=knn", content=LIGHT).status_code == 200


def slow_model(seconds):
    """A model that takes its time, and an event that tells when it was asked."""
    model = with_probabilities()
    inner, started = model.steps[-1][1].predict_proba, threading.Event()

    def predict_proba(X):
        started.set()
        time.sleep(seconds)
        return inner(X)

    model.steps[-1][1].predict_proba = predict_proba
    return model, started


def test_a_full_queue_is_answered_with_503():
    model, started = slow_model(0.2)
    limits = Limits(max_queue=3, max_files=3, max_batch=1)
    found = []
    with running(create_app(Predictor(model), limits=limits)) as client:
        started.clear()

        def ask():
            found.append(client.post("/predict", files=form(LIGHT, LIGHT)))

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.post("/predict", content=LIGHT).status_code == 200
    statuses = [answer.status_code for answer in found]
    assert set(statuses) == {200, 503}
    busy = found[statuses.index(503)]
    assert busy.headers["retry-after"] == "1"
    assert "images wait, and the limit is 3" in busy.json()["error"]


def test_an_error_of_the_model_is_a_500_that_says_where_to_look(caplog):
    model = with_probabilities()
    model.steps[-1][1].predict_proba = None
    with running(create_app(model)) as client:
        answer = client.post("/predict", content=LIGHT)
    assert answer.status_code == 500
    assert answer.json()["request_id"] in answer.json()["error"]
    assert "TypeError" not in answer.text
    assert any(answer.json()["request_id"] in record.getMessage() for record in caplog.records)


def test_the_log_has_no_name_of_an_image(client, caplog):
    caplog.set_level("INFO", "featrec.serving")
    client.post("/predict?model=knn", files=[("image", ("secret-name.png", LIGHT))])
    client.post("/predict?model=knn", files=[("image", ("secret-name.png", b"secret bytes"))])
    wait_until(lambda: len(caplog.records) >= 2)
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert re.search(r"POST /predict 200 \d+\.\d ms", text)
    assert "secret" not in text


def test_the_page_has_no_inline_code(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script>|<style|\son\w+=|style=|https?://", page.text)
    assert client.get("/page.css").headers["content-type"].startswith("text/css")
    assert client.get("/page.js").headers["content-type"].startswith("text/javascript")


def test_openapi_describes_every_path(client):
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/predict", "/explain", "/models", "/metrics", "/v2", "/v2/health/live", "/v2/health/ready",
        *(f"/v2/models/{{name}}{version}{end}" for version in ("", "/versions/{version}") for end in ("", "/ready", "/infer")),
    }  # fmt: skip
    assert set(described["paths"]["/predict"]["post"]["requestBody"]["content"]) >= {"multipart/form-data", "image/*"}
    assert json.dumps(described).count("$ref") == 0


@pytest.mark.parametrize(("option", "value"), [("max_batch", 0), ("body_seconds", -1), ("max_bytes", 1.5), ("max_files", 65)])
def test_limits_are_checked(option, value):
    with pytest.raises(InputError, match=option):
        Limits(**{option: value})


def test_a_refusal_has_the_content_that_clients_rely_on():
    refusal = Refusal(413, "too large", index=2, name="a.png", closes=True)
    assert refusal.body("7") == {"error": "too large", "index": 2, "name": "a.png", "request_id": "7"}
    assert refusal.headers == {"connection": "close"}
