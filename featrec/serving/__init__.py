"""Serve fitted models: answers for batches of images, a web server around them, and predictions of video frames."""

from featrec.serving._answer import Answer
from featrec.serving._app import create_app
from featrec.serving._frames import Frame, Frames, open_frames
from featrec.serving._limits import Limits
from featrec.serving._predictor import Predictor
from featrec.serving._server import run_server
from featrec.serving._watch import FramePrediction, Watch, WatchSummary

__all__ = [
    "Answer",
    "Frame",
    "FramePrediction",
    "Frames",
    "Limits",
    "Predictor",
    "Watch",
    "WatchSummary",
    "create_app",
    "open_frames",
    "run_server",
]
