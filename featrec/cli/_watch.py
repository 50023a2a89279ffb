"""The command ``watch``: predictions of the frames of a video, a camera or a folder."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Any

from featrec.cli._arguments import count, read_model, reference_of
from featrec.cli._terminal import report, warn
from featrec.exceptions import ImageError

if TYPE_CHECKING:
    from featrec.evaluation import Drift
    from featrec.serving import Frame, FramePrediction, Frames, Watch

__all__ = ["add_watch_arguments", "run_watch"]

TOP = 5


def add_watch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file from 'featrec train'")
    source = "video file, number of a camera (0 is the first), address of a network camera (rtsp://...), or folder of images"
    parser.add_argument("source", metavar="VIDEO|CAMERA|FOLDER", help=source)
    parser.add_argument("--every", metavar="N", type=count, default=1, help="predict one of N frames (default: 1)")
    smooth = "exponential: mean of scores; majority: most frequent label; none (default: exponential)"
    parser.add_argument("--smooth", choices=["exponential", "majority", "none"], default="exponential", help=smooth)
    parser.add_argument("--span", metavar="N", type=count, default=10, help="number of frames to smooth over (default: 10)")
    drift = (
        "compare the latest frames (codes, confidences and brightness) with the training set (the model must be trained with "
        "--keep-summary), or with the first N frames, which suits a fixed camera"
    )
    parser.add_argument("--drift", metavar="training|first:N", help=drift)
    lines = "print a JSON line per frame, with the five highest scores, and the summary as the last line"
    parser.add_argument("--json", action="store_true", help=lines)


def run_watch(arguments: argparse.Namespace) -> int:
    """Predict the frames of a video, a camera or a folder, smoothed over frames, and find drift.

    Prints a line when the label changes and when a drift begins or ends, and a summary at the end or after Ctrl-C. Returns 1 if
    some frames could not be used, 2 if no frame could be used.
    """
    reference = reference_of(arguments.drift)
    model = read_model(arguments.model)
    from featrec.serving import Watch, open_frames

    watch = Watch(model, smoothing=arguments.smooth, span=arguments.span, drift=_drift(arguments.model, reference))
    if arguments.own_process:
        _silence_decoders()
    frames = open_frames(arguments.source, every=arguments.every)
    n_failed = 0
    try:
        n_failed = _watched(watch, frames, arguments.json)
    except KeyboardInterrupt:
        pass  # the usual end of a camera
    finally:
        frames.close()
    summary = watch.summary()
    print(json.dumps({"summary": json.loads(summary.to_json())}, ensure_ascii=False) if arguments.json else summary)
    if frames.remark:
        warn(frames.remark)
    return 2 if n_failed and not summary.n_frames else 1 if n_failed or frames.remark else 0


def _watched(watch: Watch, frames: Frames, as_json: bool) -> int:
    """Predict all frames and print them. Return the number of images in a folder that could not be used."""
    n_failed, drifted = 0, False
    for frame in frames:
        try:
            found = watch.predict(_image(frame))
        except ImageError as error:
            if frame.name is None:
                raise  # all frames of a video have the same size
            n_failed += 1
            report([type(error)(error.reason, item=frame.name)])
            continue
        if as_json:
            print(_json_line(frame, found), flush=True)
        else:
            _tell(frame, found, drifted, watch)
        drifted = bool(found.drift)
    return n_failed


def _image(frame: Frame) -> Any:
    if isinstance(frame.image, ImageError):
        raise frame.image
    return frame.image


def _tell(frame: Frame, found: FramePrediction, drifted: bool, watch: Watch) -> None:
    """Print a line if something has changed."""
    if found.changed:
        sure = "" if found.confidence is None else f"\t{found.confidence:.3f}"
        print(f"{_place(frame)}\t{found.smoothed}{sure}", flush=True)
    if bool(found.drift) != drifted and watch.drift is not None:
        state = f"drift begins: {watch.drift.report().change}" if found.drift else "drift ends"
        print(f"{_place(frame)}\t{state}", flush=True)


def _place(frame: Frame) -> str:
    where = frame.name if frame.name is not None else "" if frame.time is None else f"{frame.time:.2f} s"
    return f"frame {frame.number}\t{where}"


def _json_line(frame: Frame, found: FramePrediction) -> str:
    where = {"path": frame.name} if frame.name is not None else {"time": None if frame.time is None else round(frame.time, 3)}
    facts = {"label": found.label, "smoothed": found.smoothed, "confidence": found.confidence}
    scores = dict(list(found.scores.items())[:TOP])
    times = {"scores": scores, "ms": round(1000 * found.seconds, 3), "drift": found.drift, "differing": found.differing}
    return json.dumps({"frame": frame.number, **where, **facts, **times}, ensure_ascii=False)


def _drift(model: str, reference: int | str | None) -> Drift | None:
    if reference is None:
        return None
    from featrec.evaluation import Drift, TrainingSummary

    return Drift(reference if isinstance(reference, int) else TrainingSummary.load(model))


def _silence_decoders() -> None:
    """Turn off the messages of OpenCV and FFmpeg, because one clear error follows. FFmpeg's level is read at its first use."""
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
