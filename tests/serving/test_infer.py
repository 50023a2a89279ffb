"""The Open Inference Protocol V2: JSON with base64, binary tensors, and the client of Triton."""

import base64
import json
import struct

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from featrec.serving import Limits, create_app
from tests.serving.models import encoded, pixels, with_probabilities, with_scores
from tests.serving.served import running

LIGHT, DARK = encoded(pixels(200)), encoded(pixels(40))
PATH = "/v2/models/knn/infer"


@pytest.fixture(scope="module")
def client():
    limits = Limits(max_files=3, max_pixels=10_000)
    with running(create_app({"knn": with_probabilities(), "svm": with_scores()}, limits=limits)) as found:
        yield found


def tensor(*images, **changes):
    data = [base64.b64encode(image).decode() for image in images]
    return {"name": "image", "shape": [len(images)], "datatype": "BYTES", "data": data, **changes}


def outputs(answer):
    assert answer.status_code == 200, answer.text
    return {output["name"]: output for output in answer.json()["outputs"]}


def test_health_and_metadata(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    facts = client.get("/v2/models/knn").json()
    assert (facts["name"], facts["versions"]) == ("knn", ["1"])
    assert facts["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert [output["name"] for output in facts["outputs"]] == ["label", "confidence", "top_labels", "top_scores", "rejected"]
    assert client.get("/v2/models/knn/ready").json() == {"name": "knn", "ready": True}
    assert client.get("/v2/models/knn/versions/1/ready").status_code == 200
    assert "confidence" not in [output["name"] for output in client.get("/v2/models/svm").json()["outputs"]]


def test_base64_in_json(client):
    answer = client.post(PATH, json={"id": "job 7", "inputs": [tensor(LIGHT, DARK)]})
    found = outputs(answer)
    assert answer.json()["id"] == "job 7"
    assert (answer.json()["model_name"], answer.json()["model_version"]) == ("knn", "1")
    assert found["label"] == {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["light", "dark"]}
    assert found["confidence"]["data"] == [1.0, 1.0]
    assert (found["top_labels"]["shape"], found["top_scores"]["shape"]) == ([2, 2], [2, 2])
    assert found["top_labels"]["data"] == ["light", "dark", "dark", "light"]
    assert found["rejected"]["data"] == ["", ""]


def test_a_model_without_probabilities_has_no_confidence(client):
    found = outputs(client.post("/v2/models/svm/versions/1/infer", json={"inputs": [tensor(LIGHT)]}))
    assert "confidence" not in found
    assert len(found["top_scores"]["data"]) == 2


def test_outputs_can_be_chosen(client):
    asked = {"inputs": [tensor(LIGHT)], "outputs": [{"name": "label"}]}
    assert list(outputs(client.post(PATH, json=asked))) == ["label"]


def test_pixels_as_a_tensor(client):
    image = np.full((24, 32, 3), 200, np.uint8)
    sent = {"name": "image", "shape": [1, 24, 32, 3], "datatype": "UINT8", "data": image.tolist()}
    assert outputs(client.post(PATH, json={"inputs": [sent]}))["label"]["data"] == ["light"]
    gray = {"name": "image", "shape": [2, 24, 32], "datatype": "FP32", "data": [0.1] * 24 * 32 * 2}
    assert outputs(client.post(PATH, json={"inputs": [gray]}))["label"]["data"] == ["dark", "dark"]


def binary(*images, size=None, length=None, **changes):
    """A request with binary data, and its headers."""
    raw = b"".join(struct.pack("<I", len(image)) + image for image in images)
    one = {"name": "image", "shape": [len(images)], "datatype": "BYTES"}
    one["parameters"] = {"binary_data_size": len(raw) if size is None else size}
    head = json.dumps({"inputs": [one | changes], "parameters": {"binary_data_output": True}}).encode()
    return head + raw, {"inference-header-content-length": str(len(head)) if length is None else length}


def test_binary_tensors(client):
    body, headers = binary(LIGHT, DARK)
    answer = client.post(PATH, content=body, headers=headers)
    assert answer.status_code == 200
    length = int(answer.headers["inference-header-content-length"])
    head, rest = json.loads(answer.content[:length]), answer.content[length:]
    sizes = [output["parameters"]["binary_data_size"] for output in head["outputs"]]
    assert sum(sizes) == len(rest)
    assert rest[: sizes[0]] == struct.pack("<I", 5) + b"light" + struct.pack("<I", 4) + b"dark"
    assert np.frombuffer(rest[sizes[0] : sizes[0] + 8], "<f4").tolist() == [1.0, 1.0]


BAD = {
    "no JSON": ({"content": b"{"}, 400, "the request is not JSON"),
    "a list": ({"json": []}, 400, "must be a JSON object"),
    "deep": ({"content": b"[" * 100_000}, 400, "the request is not JSON"),
    "no input": ({"json": {}}, 400, "must have one input"),
    "two inputs": ({"json": {"inputs": [tensor(LIGHT)] * 2}}, 400, "must have one input"),
    "datatype": ({"json": {"inputs": [tensor(LIGHT, datatype="INT64")]}}, 400, "the datatype 'INT64' is not supported"),
    "shape": ({"json": {"inputs": [tensor(LIGHT, shape=["1"])]}}, 400, "the shape of an input must be a list of at most 4"),
    "sides": ({"json": {"inputs": [tensor(LIGHT, shape=[1] * 5)]}}, 400, "at most 4 integers; got 5 of them"),
    "depth": ({"json": {"inputs": [tensor(LIGHT, data=[["AA"], "AA"])]}}, 400, "lists of equal depth"),
    "count": ({"json": {"inputs": [tensor(LIGHT, shape=[2])]}}, 400, "the shape [2] has 2 elements, but the data have 1"),
    "none": ({"json": {"inputs": [tensor()]}}, 422, "the input has no image"),
    "many": ({"json": {"inputs": [tensor(*[LIGHT] * 4)]}}, 413, "the input has 4 images, and the limit is 3"),
    "base64": ({"json": {"inputs": [tensor(LIGHT, data=["ä"])]}}, 400, "is not base64"),
    "number": ({"json": {"inputs": [tensor(LIGHT, data=[7])]}}, 400, "must be a string; got int"),
    "text": ({"json": {"inputs": [tensor(LIGHT, data="7")]}}, 400, "data must be a list"),
    "image": ({"json": {"inputs": [tensor(b"no image")]}}, 415, "unsupported image format"),
    "output": ({"json": {"inputs": [tensor(LIGHT)], "outputs": [{"name": "no"}]}}, 400, "there is no output 'no'"),
    "outputs": ({"json": {"inputs": [tensor(LIGHT)], "outputs": [7]}}, 400, "outputs must be a list of objects"),
    "pixels": ({"json": {"inputs": [tensor(shape=[1, 2, 2, 3], datatype="UINT8", data=[300] * 12)]}}, 400, "do not fit"),
    "planes": ({"json": {"inputs": [tensor(shape=[1, 3, 2, 2], datatype="UINT8", data=[3] * 12)]}}, 400, "not that of images"),
    "length": (dict(zip(("content", "headers"), binary(LIGHT, length="99999"), strict=True)), 400, "but the body has"),
    "sign": (dict(zip(("content", "headers"), binary(LIGHT, length="-1"), strict=True)), 400, "but the body has"),
    "size": (dict(zip(("content", "headers"), binary(LIGHT, size=3), strict=True)), 400, "binary_data_size is 3"),
    "elements": (dict(zip(("content", "headers"), binary(LIGHT, shape=[3]), strict=True)), 400, "the data have 1"),
    "more": (dict(zip(("content", "headers"), binary(LIGHT, DARK, shape=[1]), strict=True)), 400, "as many as the shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_names_the_rule(client, name):
    request, status, rule = BAD[name]
    answer = client.post(PATH, **request)
    assert (answer.status_code, rule in answer.json()["error"]) == (status, True), answer.text


@pytest.mark.parametrize("path", ["/v2/models/no/infer", "/v2/models/knn/versions/2/infer"])
def test_unknown_models_and_versions(client, path):
    assert client.post(path, json={"inputs": [tensor(LIGHT)]}).status_code == 404


def test_the_client_of_triton(client):
    http = pytest.importorskip("tritonclient.http")
    with http.InferenceServerClient(f"127.0.0.1:{client.base_url.port}") as triton:
        assert triton.is_server_live()
        assert triton.is_server_ready()
        assert triton.is_model_ready("knn")
        asked = http.InferInput("image", [2], "BYTES")
        asked.set_data_from_numpy(np.array([LIGHT, DARK], dtype=object))
        found = triton.infer("knn", [asked])
        assert found.as_numpy("label").tolist() == [b"light", b"dark"]
        assert found.as_numpy("confidence").tolist() == [1.0, 1.0]
        chosen = [http.InferRequestedOutput("label", binary_data=False), http.InferRequestedOutput("top_scores")]
        found = triton.infer("knn", [asked], outputs=chosen)
        assert found.as_numpy("label").tolist() == ["light", "dark"]
        assert found.as_numpy("top_scores").shape == (2, 2)
        wrong = http.InferInput("image", [1], "BYTES")
        wrong.set_data_from_numpy(np.array([b"no image"], dtype=object))
        with pytest.raises(Exception, match="unsupported image format"):
            triton.infer("knn", [wrong])
