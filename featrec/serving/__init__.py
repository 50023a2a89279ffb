"""Serve fitted models: answers for batches of images, and a web server around them."""

from featrec.serving._answer import Answer
from featrec.serving._app import create_app
from featrec.serving._limits import Limits
from featrec.serving._predictor import Predictor
from featrec.serving._server import run_server

__all__ = ["Answer", "Limits", "Predictor", "create_app", "run_server"]
