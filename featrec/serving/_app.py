"""create_app: a web application around one or several models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import featrec
from featrec.exceptions import MissingExtraError
from featrec.serving._guard import LOCAL, OPEN, Guard
from featrec.serving._infer import add_inference_routes
from featrec.serving._limits import Limits, Refusal
from featrec.serving._routes import add_plain_routes, json_reply
from featrec.serving._service import Service

__all__ = ["create_app", "need_extra"]


def create_app(
    models: Any,
    *,
    limits: Limits | None = None,
    allowed_hosts: Iterable[str] = LOCAL,
    token: str | None = None,
    cors: Iterable[str] = (),
    top: int = 3,
    anonymize: Any = None,
    drift: Any = None,
    trusted: Iterable[str | type] = (),
    watch_seconds: float = 1.0,
) -> Any:
    """Create a FastAPI application that serves models. It needs the extra `serve`.

    The routes are ``/predict``, ``/explain``, ``/models``, ``/metrics``, a page at ``/``, the Open Inference Protocol V2 under
    ``/v2``, and ``/openapi.json``. Images stay in memory. `featrec serve` runs it.

    Parameters
    ----------
    models : path, estimator, Predictor, or dict of name to any of these
        A model file, a folder of model files, or fitted models. Files are watched and replaced without an interruption; if a
        new file cannot be loaded, the old model stays.
    limits : Limits, optional
    allowed_hosts : iterable of str, default=("localhost", "127.0.0.1", "[::1]")
        Accepted values of the header Host, without the port. "*" accepts all.
    token : str, optional
        If given, requests need the header ``Authorization: Bearer TOKEN``.
    cors : iterable of str, default=()
        Origins whose pages may send requests and read the answers, such as ``"https://example.org"``.
    top : int, default=3
        Number of most likely classes in an answer, if the request sets none.
    drift : "training", int, or as in Predictor, optional
        "training" compares images with the training set, whose summary must be in the model file. A number compares them with
        so many first images. The measures are in ``/metrics``; each process has its own. Comparisons run in a thread of their
        own, so no request waits for them.
    anonymize, trusted
        See :class:`Predictor`.
    watch_seconds : float, default=1
        Time between two looks at the model files.

    Returns
    -------
    app : FastAPI
        Its lifespan loads and warms the models, so it does not accept requests before.

    Raises
    ------
    MissingExtraError
        If FastAPI, python-multipart or prometheus-client is not installed.
    """
    need_extra("fastapi", "python_multipart", "prometheus_client")
    from fastapi import FastAPI

    options = {"top": top, "anonymize": anonymize, "drift": drift, "trusted": tuple(trusted)}
    service = Service(models, limits=limits or Limits(), options=options, watch_seconds=watch_seconds)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    app = FastAPI(title="featrec", version=featrec.__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    add_plain_routes(app, service)
    add_inference_routes(app, service)
    _add_handlers(app)
    if token is not None:
        _describe_token(app)
    if origins := list(cors):
        from fastapi.middleware.cors import CORSMiddleware

        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(Guard, hosts=allowed_hosts, origins=origins, token=token, metrics=service.metrics)
    return app


def _describe_token(app: Any) -> None:
    """Say in the description of the requests which of them need the token."""
    described = app.openapi()  # the same object is returned to clients
    described["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
    described["security"] = [{"token": []}]
    for path, methods in described["paths"].items():
        for method in methods.values() if path in OPEN else ():
            method["security"] = []


def need_extra(*modules: str) -> None:
    """Raise an error that names the extra if one of the modules cannot be imported."""
    from importlib.util import find_spec

    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtraError(f'the server needs {", ".join(missing)}; pip install "featrec[serve]" installs it')


def _add_handlers(app: Any) -> None:
    """Answer all errors in the same form."""
    from starlette.exceptions import HTTPException

    def answered(request: Any, refusal: Refusal) -> Any:
        content = refusal.body(request.scope["state"]["request_id"])
        return json_reply(content, refusal.status, refusal.headers)

    def of_http(request: Any, error: HTTPException) -> Any:
        path, method = request.scope["path"][:100], request.scope["method"]
        rule = f"the path {path!r} does not exist" if error.status_code == 404 else f"{path!r} has no method {method}"
        message = f"{rule}; /openapi.json lists the paths" if error.status_code in (404, 405) else str(error.detail)
        return answered(request, Refusal(error.status_code, message, headers=dict(error.headers or {})))

    app.add_exception_handler(Refusal, answered)
    app.add_exception_handler(HTTPException, of_http)
