"""The routes of the Open Inference Protocol V2: health, metadata and inference."""

from __future__ import annotations

from typing import Any

import numpy as np

import featrec
from featrec.serving._answer import Answer
from featrec.serving._body import body_of
from featrec.serving._models import Model
from featrec.serving._openapi import INFERENCE, NAME, VERSION, documented
from featrec.serving._refusal import Refusal, of_image
from featrec.serving._routes import FAILURES, add_route, json_reply, refuse_if_not_ready
from featrec.serving._service import Service
from featrec.serving._tensors import HEADER_LENGTH, Tensors, encode_reply

__all__ = ["add_inference_routes"]

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
