"""The command ``featrec``. Each subcommand is a module that imports its dependencies when it runs."""

from featrec.cli._main import main

__all__ = ["main"]
