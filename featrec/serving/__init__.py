"""Serve one fitted model: predictions of video frames."""

from featrec.serving._frames import Frame, Frames, open_frames
from featrec.serving._watch import FramePrediction, Watch, WatchSummary

__all__ = ["Frame", "FramePrediction", "Frames", "Watch", "WatchSummary", "open_frames"]
