"""The command ``featrec``. Each subcommand is a module whose dependencies are imported when it runs."""

from featrec.cli._main import main

__all__ = ["main"]
