"""Descriptions of the requests and answers, for OpenAPI."""

from __future__ import annotations

from typing import Any

__all__ = ["IMAGES", "INFERENCE", "MODEL", "NAME", "PARTS", "TOP", "VERSION", "documented"]

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
