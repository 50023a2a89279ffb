"""The plain routes: /predict, /explain, /models, /metrics and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featrec.serving._body import uploads
from featrec.serving._content import as_json, result
from featrec.serving._openapi import IMAGES, MODEL, PARTS, TOP, documented
from featrec.serving._refusal import Refusal, of_image
from featrec.serving._service import Service

__all__ = ["add_plain_routes", "add_route", "json_reply", "refuse_if_not_ready"]

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
