"""The plain routes (/predict, /explain, /models, /metrics and the page), and their descriptions for OpenAPI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featrec.serving._answer import as_json, result
from featrec.serving._body import uploads
from featrec.serving._limits import Refusal, of_image
from featrec.serving._service import Service

__all__ = [
    "IMAGES",
    "INFERENCE",
    "MODEL",
    "NAME",
    "PARTS",
    "TOP",
    "VERSION",
    "add_plain_routes",
    "add_route",
    "documented",
    "json_reply",
    "refuse_if_not_ready",
]


NUMBER: dict[str, Any] = {"type": ["number", "null"]}
TEXT: dict[str, Any] = {"type": ["string", "null"]}
LABEL: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
STATUS = {
    400: "The request cannot be read.",
    401: "The token is missing or wrong.",
    403: "Pages of other origins may not send requests.",
    404: "There is no such model, or several and none was chosen.",
    405: "The path has no such method.",
    408: "The body arrived too slowly.",
    413: "Too many bytes, pixels or files.",
    415: "The body or a file is not a supported image.",
    421: "The host is not served here.",
    422: "A parameter or an image cannot be used.",
    503: "The server is busy, or not ready. Send the request again after the seconds in Retry-After.",
}
ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {
        "error": {"type": "string", "description": "The rule and the way out"},
        "index": {"type": ["integer", "null"], "description": "Position of the unusable image in the request"},
        "name": TEXT,
        "request_id": {"type": "string"},
    },
}
RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["name", "label", "confidence", "top", "rejected", "width", "height", "seconds"],
    "properties": {
        "name": {**TEXT, "description": "File name in the form"},
        "label": LABEL,
        "confidence": {**NUMBER, "description": "Probability of the label; null if the model has none"},
        "top": {"type": "array", "items": {"type": "object", "properties": {"label": LABEL, "confidence": NUMBER}}},
        "rejected": {**TEXT, "description": "Why the model rejected the image"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "seconds": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}
PART: dict[str, Any] = {
    "type": "object",
    "properties": {
        "value": NUMBER,
        "x": NUMBER,
        "y": NUMBER,
        "diameter": NUMBER,
        "angle": NUMBER,
        "outline": {"type": ["array", "null"], "items": {"type": "array", "items": {"type": "number"}}},
        "source": {"type": "string"},
        "name": {"type": "string"},
    },
}
EXPLAINED: dict[str, Any] = {
    **RESULT,
    "properties": {
        **RESULT["properties"],
        "target": LABEL,
        "decision": NUMBER,
        "base_value": NUMBER,
        "exact": {"type": "boolean", "description": "Whether all parts and the base value add up to the decision"},
        "method": {"type": "string"},
        "n_parts": {"type": "integer"},
        "rest": {**NUMBER, "description": "Sum of the parts that are left out"},
        "parts": {"type": "array", "items": PART},
    },
}


def _answer(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["model", "request_id", "results"],
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "string"},
            "request_id": {"type": "string"},
            "results": {"type": "array", "items": item},
        },
    }


IMAGES = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}},
                "additionalProperties": False,
            }
        },
        "image/*": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
    },
}
TENSOR: dict[str, Any] = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"enum": ["BYTES", "UINT8", "UINT16", "FP32", "FP64", "BOOL"]},
        "data": {"type": "array", "description": "BYTES: images in base64"},
        "parameters": {"type": "object"},
    },
}
INFERENCE = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": TENSOR},
                    "outputs": {
                        "type": "array",
                        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
                    },
                    "parameters": {"type": "object"},
                },
            }
        },
    },
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "predict": _answer(RESULT),
    "explain": _answer(EXPLAINED),
    "object": {"type": "object"},
}


def _parameter(name: str, place: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": description}


MODEL = _parameter("model", "query", {"type": "string"}, "Name of the model; needed if there are several")
TOP = _parameter("top", "query", {"type": "integer", "minimum": 1, "maximum": 1000}, "Number of most likely classes")
PARTS = _parameter("parts", "query", {"type": "integer", "minimum": 1, "maximum": 10_000}, "Number of parts, strongest first")
NAME = _parameter("name", "path", {"type": "string"}, "Name of the model")
VERSION = _parameter("version", "path", {"type": "string"}, "Version of the model")


def documented(
    summary: str,
    *errors: int,
    schema: str = "object",
    media: str = "application/json",
    parameters: tuple[dict[str, Any], ...] = (),
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the arguments of a FastAPI route that describe it."""
    content = {media: {"schema": SCHEMAS[schema] if media == "application/json" else {"type": "string"}}}
    responses: dict[int, Any] = {200: {"description": "OK", "content": content}}
    for status in (400, 401, 403, 421, *errors):
        responses[status] = {"description": STATUS[status], "content": {"application/json": {"schema": ERROR}}}
    extra: dict[str, Any] = {"parameters": list(parameters)} if parameters else {}
    extra |= {"requestBody": body} if body else {}
    return {"summary": summary, "responses": dict(sorted(responses.items())), "openapi_extra": extra}


PAGE = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
FAILURES = (404, 405, 408, 413, 415, 422, 503)


def add_route(app: Any, path: str, endpoint: Any, *, method: str = "GET", **description: Any) -> None:
    """Add a function that receives the request and returns the response."""
    from fastapi import Request

    endpoint.__annotations__ = {"request": Request}  # FastAPI is imported here only, so annotations cannot name its classes
    app.add_api_route(path, endpoint, methods=[method], response_model=None, **description)


def json_reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    """Return a response with JSON."""
    from fastapi import Response

    return Response(as_json(content), status_code=status, headers=headers, media_type="application/json")


def refuse_if_not_ready(service: Service) -> None:
    """Raise a Refusal (503) before the models are loaded and while the server stops."""
    if not service.ready:
        raise Refusal(503, "the server is not ready; send the request again after 1 s", headers={"retry-after": "1"})


def add_plain_routes(app: Any, service: Service) -> None:
    """Add the routes to a FastAPI application."""
    _add_images(app, service)
    _add_facts(app, service)
    for file, kind in PAGE.items():
        _add_page(app, "/" if file == "page.html" else f"/{file}", Path(__file__).parent / file, kind)


def _add_images(app: Any, service: Service) -> None:
    async def predict(request: Any) -> Any:
        return await _answered(request, service, explain=False)

    async def explain(request: Any) -> Any:
        return await _answered(request, service, explain=True)

    summary = "Predict the classes of images"
    words = documented(summary, *FAILURES, schema="predict", parameters=(MODEL, TOP), body=IMAGES)
    add_route(app, "/predict", predict, method="POST", **words)
    summary = "Predict the classes of images, and what each part of an image adds to the decision"
    words = documented(summary, *FAILURES, schema="explain", parameters=(MODEL, TOP, PARTS), body=IMAGES)
    add_route(app, "/explain", explain, method="POST", **words)


async def _answered(request: Any, service: Service, *, explain: bool) -> Any:
    refuse_if_not_ready(service)
    name = service.model(request.query_params.get("model")).name
    top = _integer(request, "top", 1000)
    parts = (_integer(request, "parts", 10_000) or service.limits.max_parts) if explain else None
    async with uploads(request, service.limits, service.budget) as files:
        found = await service.answers(name, [file.data for file in files], top=top, explain=explain)
    results = []
    for index, ((_, answer), file) in enumerate(zip(found, files, strict=True)):
        if answer.error is not None:
            raise of_image(answer.error, index, file.name)
        results.append(result(answer, file.name, parts))
    request_id = request.scope["state"]["request_id"]
    return json_reply({"model": name, "version": found[0][0].version, "request_id": request_id, "results": results})


def _integer(request: Any, name: str, most: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise Refusal(422, f"the parameter {name} must be an integer from 1 to {most}; got {text[:100]!r}")
    return int(text)


def _add_facts(app: Any, service: Service) -> None:
    from fastapi import Response

    async def models(request: Any) -> Any:
        found = [model.facts() for model in service.models.all()]
        return json_reply({"models": found, "errors": service.models.errors})

    async def metrics(request: Any) -> Any:
        text, kind = service.metrics.text()
        return Response(text, headers={"content-type": kind})

    add_route(app, "/models", models, **documented("List the models, their classes, and what they can do"))
    add_route(app, "/metrics", metrics, **documented("Metrics in the format of Prometheus", media="text/plain"))


def _add_page(app: Any, path: str, file: Path, kind: str) -> None:
    from fastapi import Response

    async def page(request: Any) -> Any:
        headers = {"cache-control": "no-cache"}
        return Response(file.read_bytes(), media_type=kind, headers=headers)

    add_route(app, path, page, include_in_schema=False)
