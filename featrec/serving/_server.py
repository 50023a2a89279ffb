"""Run an application with uvicorn: one or several processes, a graceful stop, and slow clients that are closed."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from featrec.exceptions import FeatrecWarning, InputError
from featrec.serving._app import create_app, need_extra
from featrec.serving._limits import Limits
from featrec.serving._metrics import FOLDER
from featrec.serving._protocol import IMPORT_NAME

__all__ = ["bound", "configured", "run_server"]

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
# Time that a new process has to import its packages before it must answer the supervisor.
IMPORT_SECONDS = 120


@dataclass
class AppFactory:
    """Creates the application in each process. It is pickled, so it holds paths and options, not models."""

    models: Any
    options: dict[str, Any] = field(default_factory=dict)
    verbose: bool = True

    def __call__(self) -> Any:
        logging.basicConfig(format=FORMAT, level=logging.INFO if self.verbose else logging.WARNING)
        warnings.filterwarnings("ignore", category=FeatrecWarning)  # about images of users
        for name in ("PIL", "python_multipart"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # they log the contents of damaged files
        return create_app(self.models, **self.options)


def run_server(
    models: Any,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    limits: Limits | None = None,
    verbose: bool = True,
    on_bound: Callable[[str], None] | None = None,
    **options: Any,
) -> None:
    """Serve models until the process receives SIGTERM or SIGINT; then finish the requests that were taken.

    Parameters
    ----------
    models : path, or dict of name to path
    host : str, default="127.0.0.1"
    port : int, default=8000
        0 selects a free port.
    workers : int, default=1
        Number of processes. Each has its own copy of the models.
    limits : Limits, optional
    verbose : bool, default=True
        Whether to log each request.
    on_bound : callable, optional
        Called with the address once the port is reserved.
    **options
        Passed to :func:`create_app`.
    """
    need_extra("fastapi", "uvicorn", "python_multipart", "prometheus_client")
    limits = limits or Limits()
    factory = AppFactory(models, {**options, "limits": limits}, verbose)
    socket = bound(host, port)
    try:
        app = factory()
        app.state.service.models.load()  # a model that cannot be loaded is an error of the command
        if on_bound is not None:
            shown = f"[{host}]" if ":" in host else host
            on_bound(f"http://{shown}:{socket.getsockname()[1]}")
        if workers > 1:
            del app
            _serve_in_processes(factory, limits, socket, workers)
        else:
            _serve_here(app, limits, socket)
    finally:
        socket.close()


def _serve_here(app: Any, limits: Limits, socket: Any) -> None:
    import uvicorn

    if threading.current_thread() is threading.main_thread():
        # uvicorn raises a signal again after its graceful stop. This handler lets `run_server` return then.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: None)
    uvicorn.Server(configured(app, limits)).run(sockets=[socket])


def _serve_in_processes(factory: AppFactory, limits: Limits, socket: Any, workers: int) -> None:
    from uvicorn.supervisors import Multiprocess

    class Supervisor(Multiprocess):
        def terminate_all(self) -> None:
            """Close the socket first: otherwise, new connections would be accepted for processes that end."""
            socket.close()
            super().terminate_all()

    with tempfile.TemporaryDirectory(prefix="featrec-metrics-") as folder:
        os.environ[FOLDER] = folder  # inherited by the processes, which import prometheus_client
        try:
            config = configured(factory, limits, factory=True, workers=workers)
            Supervisor(config, sockets=[socket], **_target(Multiprocess, config)).run()
        finally:
            del os.environ[FOLDER]


def _target(supervisor: Any, config: Any) -> dict[str, Any]:
    """Return the argument that supervisors of older versions of uvicorn need: the function that runs in each process."""
    import uvicorn

    return {"target": uvicorn.Server(config).run} if "target" in inspect.signature(supervisor).parameters else {}


def configured(app: Any, limits: Limits, **options: Any) -> Any:
    """Return the configuration of uvicorn for an application, or for a factory of it."""
    import uvicorn

    config: Any = uvicorn.Config(
        app,
        http=IMPORT_NAME,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.max_connections + 1,  # our protocol adds one
        timeout_graceful_shutdown=max(1, round(limits.stop_seconds)),
        timeout_worker_healthcheck=IMPORT_SECONDS,
        **options,
    )
    # Read by our protocol, in each process.
    config.header_seconds, config.body_seconds = limits.header_seconds, limits.body_seconds
    return config


def bound(host: str, port: int) -> Any:
    """Reserve the port. uvicorn would exit the process if that fails."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables Nagle's algorithm only for sockets that name their protocol; with it, an answer is delayed by 40 ms.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise InputError(f"cannot listen on {host}:{port} ({error.strerror}); use --port with a free port") from None
    found.set_inheritable(True)
    return found
