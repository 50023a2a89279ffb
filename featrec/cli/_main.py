"""The command line: run a subcommand, and show an error as one line."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import featrec
from featrec.exceptions import FeatrecError

__all__ = ["main"]

# Module of each command. It defines run_COMMAND and add_COMMAND_arguments. Only the selected module is imported.
COMMANDS = {
    "demo": "_recipes",
    "recipes": "_recipes",
    "check": "_predict",
    "suggest": "_recipes",
    "train": "_train",
    "predict": "_predict",
    "watch": "_watch",
    "explain": "_explain",
    "anonymize": "_anonymize",
    "serve": "_serve",
    "encode": "_encode",
    "compare": "_compare",
    "bench": "_bench",
    "warm": "_recipes",
    "network": "_recipes",
    "doctor": "_doctor",
    "course": "_course",
}
FAILED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after ``featrec``. Default: ``sys.argv[1:]``.

    Returns
    -------
    int
        Exit code: 0 for success, 1 if a part failed, 2 if everything failed.
    """
    words = sys.argv[1:] if argv is None else argv
    command = next((word for word in words if not word.startswith("-")), None)
    parser = _parser([command] if command in COMMANDS else COMMANDS)
    parser.set_defaults(own_process=argv is None)
    arguments = parser.parse_args(words)
    if arguments.run is None:
        parser.print_help()
        return 0
    if arguments.debug:
        code: int = arguments.run(arguments)
        return code
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            code = arguments.run(arguments)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # The reader of the pipe, such as head, has closed it. Without this redirection, Python would report the error again at
        # exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _fail("interrupted; files reported as saved are complete")
    except Exception as error:
        return _fail(_one_line(error))


class _Parser(argparse.ArgumentParser):
    """Argument parser that prints errors on one line."""

    def error(self, message: str) -> NoReturn:
        raise SystemExit(_fail(f"{message} (see {self.prog} --help)"))


def _parser(commands: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="featrec",
        description="Recognise images with engineered features and scikit-learn.",
        epilog="Start with: featrec demo",
    )
    parser.add_argument("--version", action="version", version=f"featrec {featrec.__version__}")
    parser.set_defaults(run=None, debug=False)
    _add_debug(parser)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for name in commands:
        module = importlib.import_module(f"featrec.cli.{COMMANDS[name]}")
        run = getattr(module, f"run_{name}")
        summary = (run.__doc__ or "").partition("\n")[0]
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if add_arguments := getattr(module, f"add_{name}_arguments", None):
            add_arguments(subparser)
        _add_debug(subparser)
        subparser.set_defaults(run=run)
    return parser


def _add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error")


def _fail(message: str) -> int:
    sys.stderr.write(f"featrec: error: {message}\n")
    return FAILED


def _one_line(error: Exception) -> str:
    """Format an error on one line. For an unexpected error, include its type."""
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))  # models or images
    message = " ".join(f"{error}{notes}".split())
    if isinstance(error, FeatrecError) or type(error).__name__ == "InvalidParameterError":  # from scikit-learn
        return message
    if message.startswith("cannot cache function"):  # numba's message about a read-only folder
        return f"{message}; set a writable folder: export NUMBA_CACHE_DIR=FOLDER (see 'featrec doctor')"
    if isinstance(error, ImportError):
        return f"{message}; run 'featrec doctor' to see how to repair it"
    if isinstance(error, OSError):
        return message.partition("] ")[2] or message
    return f"{type(error).__name__}: {message} (use --debug to see where)"


def _show_warning(message: Warning | str, category: type[Warning], *rest: Any) -> None:
    sys.stderr.write(f"featrec: warning: {' '.join(str(message).split())}\n")
