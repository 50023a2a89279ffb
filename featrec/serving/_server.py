"""Run an application with uvicorn: one or several processes, a graceful stop, and slow clients that are closed."""

from __future__ import annotations

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
from featrec.serving._protocol import IMPORT_NAME, set_header_seconds

__all__ = ["run_server"]

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
        set_header_seconds(self.options["limits"].header_seconds)
        warnings.filterwarnings("ignore", category=FeatrecWarning)  # about images of users
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
    with tempfile.TemporaryDirectory(prefix="featrec-metrics-") as folder:
        if workers > 1:
            os.environ[FOLDER] = folder  # inherited by the processes, which import prometheus_client
        try:
            _serve(factory, host, port, workers, limits, on_bound)
        finally:
            os.environ.pop(FOLDER, None)


def _serve(
    factory: AppFactory, host: str, port: int, workers: int, limits: Limits, on_bound: Callable[[str], None] | None
) -> None:
    import uvicorn

    config = uvicorn.Config(
        factory,
        factory=True,
        host=host,
        port=port,
        workers=workers,
        http=IMPORT_NAME,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.max_connections,
        timeout_graceful_shutdown=max(1, round(limits.stop_seconds)),
        timeout_worker_healthcheck=IMPORT_SECONDS,
    )
    socket = _bound(config)
    try:
        if on_bound is not None:
            shown = f"[{host}]" if ":" in host else host
            on_bound(f"http://{shown}:{socket.getsockname()[1]}")
        if workers > 1:
            _supervisor(config, socket).run()
        else:
            _end_quietly()
            uvicorn.Server(config).run(sockets=[socket])
    finally:
        socket.close()


def _supervisor(config: Any, socket: Any) -> Any:
    from uvicorn.supervisors import Multiprocess

    class Supervisor(Multiprocess):
        def terminate_all(self) -> None:
            """Close the socket first: otherwise, new connections would be accepted for processes that end."""
            socket.close()
            super().terminate_all()

    return Supervisor(config, sockets=[socket])


def _end_quietly() -> None:
    """Return from `run_server` after a signal. uvicorn raises it again after its graceful stop, for the handler set here."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: None)


def _bound(config: Any) -> Any:
    """Reserve the port. uvicorn would exit the process if that fails."""
    import socket

    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # asyncio disables Nagle's algorithm only for sockets that name their protocol; with it, an answer is delayed by 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((config.host, config.port))
    except OSError as error:
        bound.close()
        place = f"{config.host}:{config.port}"
        raise InputError(f"cannot listen on {place} ({error.strerror}); use --port with a free port") from None
    bound.set_inheritable(True)
    return bound
