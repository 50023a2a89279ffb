"""The routes of the Open Inference Protocol V2 (health, metadata, inference), and its tensors, in JSON or as binary data behind
the JSON."""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from typing import Any

import numpy as np

import featrec
from featrec.serving._answer import Answer, as_json
from featrec.serving._body import body_of
from featrec.serving._limits import Refusal, of_image
from featrec.serving._models import Model
from featrec.serving._routes import FAILURES, INFERENCE, NAME, VERSION, add_route, documented, json_reply, refuse_if_not_ready
from featrec.serving._service import Service

__all__ = ["HEADER_LENGTH", "Tensors", "add_inference_routes", "encode_reply"]


HEADER_LENGTH = "inference-header-content-length"
TYPES = {"UINT8": np.uint8, "UINT16": np.uint16, "FP32": np.float32, "FP64": np.float64, "BOOL": np.bool_}
# Largest shape, and largest number of lists, objects and keys in the JSON. Python needs far more time and memory for them than
# for their text: 20 MB of empty lists are 900 MB.
MOST_SIDES, LONGEST_SIDE, MOST_PARTS = 4, 2**31 - 1, 500_000
WAY_OUT = (
    "Send a tensor of the datatype BYTES with one encoded image per element (as base64 in JSON, or as binary data), or one "
    "of UINT8 with the shape [n, height, width, 3] or [n, height, width]"
)


class Tensors:
    """The request of an inference, taken apart.

    Parameters
    ----------
    body : bytes
    header_length : str or None
        Value of the header Inference-Header-Content-Length: the number of bytes of JSON; binary data follows.
    max_files : int
        Maximum number of images.

    Attributes
    ----------
    images : list of bytes or array
    id : str or None
    outputs : dict of str to bool, or None
        The requested outputs, and whether each is requested as binary data. None means all.
    all_binary : bool
        Whether outputs are binary if nothing else is said.
    """

    def __init__(self, body: bytes, header_length: str | None, max_files: int):
        content, self._binary = _split(body, header_length)
        self.max_files = max_files
        self.id = content.get("id") if isinstance(content.get("id"), str) else None
        self.all_binary = _parameters(content).get("binary_data_output") is True
        self.outputs = self._requested(content.get("outputs"))
        inputs = content.get("inputs")
        if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
            raise Refusal(400, f"the request must have one input. {WAY_OUT}")
        self.images: list[Any] = self._images(inputs[0])
        if not self.images:
            raise Refusal(422, f"the input has no image. {WAY_OUT}")

    def _requested(self, outputs: Any) -> dict[str, bool] | None:
        if outputs is None or outputs == []:
            return None
        if not isinstance(outputs, list) or not all(
            isinstance(one, dict) and isinstance(one.get("name"), str) for one in outputs
        ):
            raise Refusal(400, "outputs must be a list of objects with a name")
        return {one["name"]: _parameters(one).get("binary_data", self.all_binary) is True for one in outputs}

    def _images(self, tensor: dict[str, Any]) -> list[Any]:
        kind, shape = tensor.get("datatype"), tensor.get("shape")
        if not isinstance(shape, list) or len(shape) > MOST_SIDES or not all(map(_is_side, shape)):
            given = str(shape)[:100] if not isinstance(shape, list) or len(shape) <= MOST_SIDES else f"{len(shape)} of them"
            raise Refusal(400, f"the shape of an input must be a list of at most {MOST_SIDES} integers; got {given}. {WAY_OUT}")
        if not isinstance(kind, str) or (kind != "BYTES" and kind not in TYPES):
            raise Refusal(400, f"the datatype {str(kind)[:20]!r} is not supported. {WAY_OUT}")
        return self._encoded(tensor, shape) if kind == "BYTES" else self._pixels(tensor, shape, TYPES[kind])

    def _limited(self, n: int) -> None:
        if n > self.max_files:
            raise Refusal(413, f"the input has {n} images, and the limit is {self.max_files}; use several requests")

    def _encoded(self, tensor: dict[str, Any], shape: list[int]) -> list[bytes]:
        n = math.prod(shape)
        self._limited(n)
        raw = self._raw(tensor)
        found = _elements(raw, n) if raw is not None else [_of_base64(text) for text in _flat(tensor.get("data"))]
        if len(found) != n:
            raise Refusal(400, f"the shape {shape} has {n} elements, but the data have {len(found)}")
        return found

    def _pixels(self, tensor: dict[str, Any], shape: list[int], kind: Any) -> list[np.ndarray]:
        if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)) or 0 in shape:
            raise Refusal(400, f"the shape {shape} is not that of images. {WAY_OUT}")
        self._limited(shape[0])
        raw = self._raw(tensor)
        try:
            with np.errstate(over="raise"):
                flat = np.frombuffer(raw, kind) if raw is not None else np.asarray(_flat(tensor.get("data")), kind)
            return list(flat.reshape(shape))
        except (ValueError, TypeError, ArithmeticError) as error:
            raise Refusal(
                400, f"the data do not fit the shape {shape} and the datatype {tensor['datatype']} ({error})"
            ) from None

    def _raw(self, tensor: dict[str, Any]) -> bytes | None:
        """Return the binary data of the tensor, or None if its data are in the JSON."""
        size = _parameters(tensor).get("binary_data_size")
        if size is None:
            return None
        if type(size) is not int or size != len(self._binary):
            raise Refusal(400, f"binary_data_size is {str(size)[:20]}, but {len(self._binary)} bytes follow the JSON")
        return self._binary


def _is_side(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LONGEST_SIDE


def _split(body: bytes, header_length: str | None) -> tuple[dict[str, Any], bytes]:
    length = len(body)
    if header_length is not None:
        if (
            not (header_length.isascii() and header_length.isdecimal())
            or len(header_length) > 12
            or int(header_length) > length
        ):
            raise Refusal(400, f"Inference-Header-Content-Length is {header_length[:20]!r}, but the body has {length} bytes")
        length = int(header_length)
    parts = sum(body.count(sign, 0, length) for sign in (b"[", b"{", b":"))
    if parts > MOST_PARTS:
        limit = f"{parts:,} lists, objects and keys, and the limit is {MOST_PARTS:,}"
        raise Refusal(413, f"the JSON has {limit}; send pixels as one flat list, or as binary data")
    try:
        content = json.loads(body[:length])
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the request is not JSON ({error}). {WAY_OUT}") from None
    if not isinstance(content, dict):
        raise Refusal(400, f"the request must be a JSON object. {WAY_OUT}")
    return content, body[length:]


def _parameters(content: dict[str, Any]) -> dict[str, Any]:
    found = content.get("parameters")
    return found if isinstance(found, dict) else {}


def _flat(data: Any) -> list[Any]:
    """Return the elements of nested lists."""
    if not isinstance(data, list):
        raise Refusal(400, f"data must be a list. {WAY_OUT}")
    while data and isinstance(data[0], list):
        if not all(isinstance(row, list) for row in data):
            raise Refusal(400, f"data must be a list, or lists of equal depth. {WAY_OUT}")
        data = [each for row in data for each in row]
    return data


def _of_base64(text: Any) -> bytes:
    if not isinstance(text, str):
        raise Refusal(400, f"an element of a BYTES tensor must be a string; got {type(text).__name__}. {WAY_OUT}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, f"an element of the BYTES tensor is not base64 ({error}). {WAY_OUT}") from None


def _elements(raw: bytes, n: int) -> list[bytes]:
    """Take binary BYTES apart: each element follows its length, a little-endian integer of 4 bytes."""
    found: list[bytes] = []
    start = 0
    while start < len(raw):
        if start + 4 > len(raw) or len(found) == n:
            break
        (size,) = struct.unpack_from("<I", raw, start)
        found.append(raw[start + 4 : start + 4 + size])
        start += 4 + size
    if start != len(raw):
        raise Refusal(400, "the binary data are not elements with a length of 4 bytes before each, as many as the shape says")
    return found


def encode_reply(content: dict[str, Any], outputs: dict[str, np.ndarray], request: Tensors) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the number of bytes of its JSON if binary data follow."""
    wanted = request.outputs if request.outputs is not None else dict.fromkeys(outputs, request.all_binary)
    tensors, blobs = [], []
    for name, binary in wanted.items():
        if name not in outputs:
            raise Refusal(400, f"there is no output {name[:100]!r}; the outputs are {', '.join(outputs)}")
        values = outputs[name]
        text = values.dtype.kind == "O"
        tensor: dict[str, Any] = {"name": name, "shape": list(values.shape), "datatype": "BYTES" if text else "FP32"}
        if binary:
            blobs.append(_bytes_of(values) if text else values.astype("<f4").tobytes())
            tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            tensor["data"] = [each if text or math.isfinite(each) else None for each in values.ravel().tolist()]
        tensors.append(tensor)
    head = as_json({**content, "outputs": tensors})
    return b"".join([head, *blobs]), len(head) if blobs else None


def _bytes_of(values: np.ndarray) -> bytes:
    texts = [str(text).encode("utf-8", "replace") for text in values.ravel()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


INPUT = {"name": "image", "datatype": "BYTES", "shape": [-1]}
OUTPUTS = [
    {"name": "label", "datatype": "BYTES", "shape": [-1]},
    {"name": "confidence", "datatype": "FP32", "shape": [-1]},
    {"name": "top_labels", "datatype": "BYTES", "shape": [-1, -1]},
    {"name": "top_scores", "datatype": "FP32", "shape": [-1, -1]},
    {"name": "rejected", "datatype": "BYTES", "shape": [-1]},
]


def add_inference_routes(app: Any, service: Service) -> None:
    """Add the routes to a FastAPI application."""
    _add_server(app, service)
    _add_models(app, service)


def _add_server(app: Any, service: Service) -> None:
    async def live(request: Any) -> Any:
        return json_reply({"live": True})

    async def ready(request: Any) -> Any:
        refuse_if_not_ready(service)
        return json_reply({"ready": True})

    async def server(request: Any) -> Any:
        return json_reply({"name": "featrec", "version": featrec.__version__, "extensions": ["binary_tensor_data"]})

    add_route(app, "/v2/health/live", live, **documented("Whether the server runs"))
    add_route(app, "/v2/health/ready", ready, **documented("Whether the server accepts images", 503))
    add_route(app, "/v2", server, **documented("Name and version of the server"))


def _add_models(app: Any, service: Service) -> None:
    async def metadata(request: Any) -> Any:
        return json_reply(_metadata(_chosen(request, service)))

    async def ready(request: Any) -> Any:
        refuse_if_not_ready(service)
        return json_reply({"name": _chosen(request, service).name, "ready": True})

    async def infer(request: Any) -> Any:
        return await _inferred(request, service)

    for path, parameters in (("/v2/models/{name}", (NAME,)), ("/v2/models/{name}/versions/{version}", (NAME, VERSION))):
        add_route(app, path, metadata, **documented("Inputs and outputs of a model", 404, parameters=parameters))
        words = documented("Whether a model accepts images", 404, 503, parameters=parameters)
        add_route(app, f"{path}/ready", ready, **words)
        words = documented("Predict the classes of images", *FAILURES, parameters=parameters, body=INFERENCE)
        add_route(app, f"{path}/infer", infer, method="POST", **words)


def _chosen(request: Any, service: Service) -> Model:
    model = service.model(request.path_params["name"])
    version = request.path_params.get("version")
    if version not in (None, model.version):
        raise Refusal(404, f"the model {model.name!r} has the version {model.version}, not {version[:100]!r}")
    return model


def _metadata(model: Model) -> dict[str, Any]:
    outputs = [output for output in OUTPUTS if output["name"] != "confidence" or model.predictor.has_confidence]
    facts = {"name": model.name, "versions": [model.version], "platform": "featrec", "inputs": [INPUT], "outputs": outputs}
    return {**facts, "parameters": {"classes": model.facts()["classes"]}}


async def _inferred(request: Any, service: Service) -> Any:
    from fastapi import Response

    refuse_if_not_ready(service)
    model = _chosen(request, service)
    async with body_of(request, service.limits, service.budget) as body:
        tensors = Tensors(body, request.headers.get(HEADER_LENGTH), service.limits.max_files)
        found = await service.answers(model.name, tensors.images)
    for index, (_, answer) in enumerate(found):
        if answer.error is not None:
            raise of_image(answer.error, index, None)
    content = {"model_name": model.name, "model_version": found[0][0].version, "id": tensors.id or _request_id(request)}
    reply, length = encode_reply(content, _outputs([answer for _, answer in found]), tensors)
    if length is None:
        return Response(reply, media_type="application/json")
    return Response(reply, media_type="application/octet-stream", headers={HEADER_LENGTH: str(length)})


def _request_id(request: Any) -> str:
    return str(request.scope["state"]["request_id"])


def _outputs(answers: list[Answer]) -> dict[str, np.ndarray]:
    outputs = {"label": _texts([str(answer.label) for answer in answers])}
    if all(answer.confidence is not None for answer in answers):
        outputs["confidence"] = np.array([answer.confidence for answer in answers], np.float32)
    n, k = len(answers), min((len(answer.top) for answer in answers), default=0)
    outputs["top_labels"] = _texts([str(label) for answer in answers for label, _ in answer.top[:k]]).reshape(n, k)
    scores = [score for answer in answers for _, score in answer.top[:k]]
    outputs["top_scores"] = np.array(scores, np.float32).reshape(n, k)
    outputs["rejected"] = _texts([answer.rejected or "" for answer in answers])
    return outputs


def _texts(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=object)
