"""The command ``serve``: a web server around one or several models."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from featrec.cli._arguments import count, reference_of, seconds
from featrec.exceptions import InputError

__all__ = ["add_serve_arguments", "run_serve"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HOSTS = ("localhost", "127.0.0.1", "[::1]")
# Options that are fields of Limits, with their types and help; the defaults are those of Limits.
LIMITS: dict[str, tuple[Any, str, str]] = {
    "max_batch": (count, "N", "maximum number of images predicted at once; 1 turns micro-batching off (default: 16)"),
    "max_wait_ms": (float, "MS", "maximum time that a batch waits for more images, if there are several clients (default: 2)"),
    "max_queue": (count, "N", "maximum number of images that wait; further requests get 503 (default: 64)"),
    "max_bytes": (count, "N", "maximum size of a request in bytes (default: 20,000,000)"),
    "max_pixels": (count, "N", "maximum number of pixels of an image (default: 50,000,000)"),
    "max_files": (count, "N", "maximum number of images in a request (default: 16)"),
    "body_seconds": (seconds, "S", "time that a client has to send a request (default: 20)"),
    "stop_seconds": (seconds, "S", "time that requests have to finish after SIGTERM (default: 30)"),
}


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file from 'featrec train', or a folder of model files")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)")
    parser.add_argument("--port", metavar="N", type=_port, default=8000, help="port; 0 selects a free one (default: 8000)")
    parser.add_argument("--workers", metavar="N", type=count, default=1, help="number of processes (default: 1)")
    token = "file with a token that requests must send as 'Authorization: Bearer TOKEN'"
    parser.add_argument("--token-file", metavar="FILE", type=Path, help=token)
    host = "name of this server in requests, in addition to localhost (may be repeated); * accepts all"
    parser.add_argument("--allowed-host", metavar="HOST", action="append", default=[], help=host)
    cors = "origin whose pages may send requests, such as https://example.org (may be repeated)"
    parser.add_argument("--cors", metavar="ORIGIN", action="append", default=[], help=cors)
    parser.add_argument("--top", metavar="K", type=count, default=3, help="number of most likely classes (default: 3)")
    blurs = "blur faces before the model sees an image, so that no face is in answers and explanations"
    parser.add_argument("--anonymize", action="store_true", help=blurs)
    detector = "how to find faces with --anonymize, as in 'featrec anonymize' (may be repeated; default: frontal)"
    parser.add_argument("--detector", metavar="NAME", action="append", help=detector)
    drift = (
        "compare images (codes, confidences and brightness) with the training set (the models must be trained with "
        "--keep-summary), or with the first N images; the measures are in /metrics"
    )
    parser.add_argument("--drift", metavar="training|first:N", help=drift)
    parser.add_argument("--quiet", action="store_true", help="log only warnings and errors")
    for name, (kind, metavar, text) in LIMITS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, type=kind, help=text)


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve models over HTTP: answers for images, explanations, metrics and a page.

    Prints the address. Ends after SIGTERM or Ctrl+C, when the requests that were taken are finished.
    """
    if not os.path.exists(arguments.model):
        raise InputError(f"there is no file or folder {arguments.model!r}; a model file is created by 'featrec train'")
    token = None if arguments.token_file is None else _token(arguments.token_file)
    if arguments.host not in LOOPBACK and not arguments.allowed_host:
        raise InputError(
            f"--host {arguments.host} is reachable from other machines, so --allowed-host must say under which name, such as "
            "--allowed-host images.example.org; * accepts all names"
        )
    drift = reference_of(arguments.drift)
    anonymize = _blur(arguments)
    from featrec.serving import Limits, run_server

    given = {name: getattr(arguments, name) for name in LIMITS if getattr(arguments, name) is not None}
    run_server(
        arguments.model,
        host=arguments.host,
        port=arguments.port,
        workers=arguments.workers,
        limits=Limits(**given),
        verbose=not arguments.quiet,
        on_bound=_say,
        allowed_hosts=(*HOSTS, *arguments.allowed_host),
        token=token,
        cors=tuple(arguments.cors),
        top=arguments.top,
        anonymize=anonymize,
        drift=drift,
    )
    return 0


def _blur(arguments: argparse.Namespace) -> Any:
    """Return the step that blurs faces, or None. If a detector cannot run, raise an error before the server starts."""
    if not arguments.anonymize:
        if arguments.detector:
            raise InputError("--detector needs --anonymize: --anonymize --detector NAME")
        return None
    from featrec.preprocessing import BlurFaces

    return BlurFaces(arguments.detector or "frontal").fit([])


def _say(address: str) -> None:
    print(f"serving on {address} (Ctrl+C stops)", flush=True)


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InputError(f"--token-file {path} cannot be read as ASCII text ({error})") from None
    if len(token) < 16 or not token.isprintable() or " " in token:
        raise InputError(
            f"--token-file {path}: a token needs at least 16 characters without spaces; create one with: "
            'python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    return token


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port must be an integer from 0 to 65535; got {text}")
    return int(text)
