"""The command ``featrec``. A module for each subcommand; what they need is imported when they run."""

from featrec.cli._main import main

__all__ = ["main"]
