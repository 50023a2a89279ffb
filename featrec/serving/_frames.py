"""Frames of a video file, a camera or a folder of images, one after another."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from featrec.exceptions import ImageError, InputError, MissingImageError
from featrec.images import is_image_name, read_image

__all__ = ["Frame", "Frames", "open_frames"]

STREAM = re.compile(r"(rtsp|rtsps|rtmp|http|https)://", re.IGNORECASE)
EXPECTED = "expected a video file, the number of a camera (0 is the first), or a folder of images"


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes
    ----------
    number : int
        From 0. Frames that are left out are counted, too.
    time : float or None
        Seconds since the beginning; None for a folder.
    name : str or None
        Path of the image in a folder.
    image : array of shape (h, w) or (h, w, 3), or ImageError
        Gray or RGB; the error of an image in a folder that cannot be read.
    """

    number: int
    time: float | None
    name: str | None
    image: np.ndarray | ImageError


class Frames:
    """Base of the sources. Iteration yields one of every `every` frames; :meth:`close` may be called at any time.

    Attributes
    ----------
    name : str
    remark : str
        After the iteration: why it ended earlier than expected, or an empty string.
    """

    def __init__(self, name: str, every: int):
        self.name, self.every, self.remark = name, every, ""

    def __iter__(self) -> Iterator[Frame]:
        raise NotImplementedError

    def close(self) -> None:
        """Release the file or the camera."""


def open_frames(source: str | os.PathLike | int, *, every: int = 1) -> Frames:
    """Open a source of frames.

    Parameters
    ----------
    source : path, int or str
        A video file, the number of a camera (as an integer or as text), the address of a network camera (``rtsp://...``), or a
        folder of images. Images are sorted by name, with numbers in names sorted by value.
    every : int, default=1
        Yield one of so many frames; the others are not decoded.

    Returns
    -------
    frames : Frames
        An iterable of :class:`Frame`.

    Raises
    ------
    InputError
        If there is no such file, folder or camera, or if it cannot be opened.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from featrec.serving import open_frames
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for number in (10, 9):
    ...     Image.new("L", (32, 24), number).save(folder / f"{number}.png")
    >>> [(frame.number, frame.image.shape, int(frame.image[0, 0])) for frame in open_frames(folder)]
    [(0, (24, 32), 9), (1, (24, 32), 10)]
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise InputError(f"every must be an integer of at least 1; got {every!r}")
    text = os.fspath(source) if not isinstance(source, int) else str(source)
    if text.isdecimal() and not os.path.exists(text):
        return _Camera(int(text), f"camera {int(text)}", every)
    if STREAM.match(text):
        return _Camera(text, text, every)
    if os.path.isdir(text):
        return _Folder(text, every)
    if not os.path.exists(text):
        raise MissingImageError(f"no file or folder has this name; {EXPECTED}", item=text)
    if is_image_name(text):
        raise InputError(f"{text!r} is an image, not a video; {EXPECTED}. For single images, use featrec predict")
    return _Video(text, every)


class _Folder(Frames):
    def __init__(self, folder: str, every: int):
        super().__init__(folder, every)
        with os.scandir(folder) as entries:
            found = list(entries)
        self.paths = sorted((entry.path for entry in found if is_image_name(entry.name)), key=_by_name)
        if not self.paths:
            inside = any(entry.is_dir() for entry in found)
            hint = "; its subfolders are not searched" if inside else ""
            raise InputError(f"no images in {folder!r}{hint}. {EXPECTED[0].upper()}{EXPECTED[1:]}")

    def __iter__(self) -> Iterator[Frame]:
        for number in range(0, len(self.paths), self.every):
            path = self.paths[number]
            try:
                image: np.ndarray | ImageError = read_image(path)
            except ImageError as error:
                image = type(error)(error.reason, item=path)
            yield Frame(number, None, path, image)


def _by_name(path: str) -> list[Any]:
    """Return a key that sorts numbers by value: 9.png before 10.png."""
    parts = re.split(r"(\d+)", Path(path).name)
    return [(int(part), part) if place % 2 else part for place, part in enumerate(parts)]


class _Captured(Frames):
    """Frames that OpenCV reads."""

    def __init__(self, capture: cv2.VideoCapture, name: str, every: int):
        super().__init__(name, every)
        self.capture = capture

    def __iter__(self) -> Iterator[Frame]:
        number = 0
        while self.capture.grab():
            if number % self.every == 0:
                found, pixels = self.capture.retrieve()
                if not found:
                    break
                yield Frame(number, self._time(number), None, _as_rgb(pixels))
            number += 1
        if not number:
            raise InputError(f"{self.name}: {self._nothing()}")
        self.remark = self._ended(number)

    def _time(self, number: int) -> float | None:
        raise NotImplementedError

    def _nothing(self) -> str:
        raise NotImplementedError

    def _ended(self, number: int) -> str:
        raise NotImplementedError

    def close(self) -> None:
        self.capture.release()


class _Video(_Captured):
    def __init__(self, path: str, every: int):
        capture = cv2.VideoCapture(path)
        if not capture.isOpened():
            raise InputError(
                f"{path!r} cannot be opened as a video: it is not a video, is damaged or cut off, or OpenCV has no decoder for "
                "it. Convert it, for example with ffmpeg -i FILE video.mp4"
            )
        super().__init__(capture, repr(path), every)
        self.rate, self.announced = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))

    def _time(self, number: int) -> float | None:
        return number / self.rate if self.rate > 0 else None

    def _nothing(self) -> str:
        return "the video contains no frames that can be decoded"

    def _ended(self, number: int) -> str:
        """Containers of some formats count a frame too many, so two missing frames are accepted."""
        if number >= self.announced - 2:
            return ""
        return f"{self.name} announces {self.announced:,} frames but ended after {number:,}: it is damaged or cut off"


class _Camera(_Captured):
    def __init__(self, source: int | str, name: str, every: int):
        capture = cv2.VideoCapture(source)
        if not capture.isOpened():
            hint = (
                "connect it, close other programs that use it, or use another number" if isinstance(source, int) else EXPECTED
            )
            raise InputError(f"{name} cannot be opened; {hint}")
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a slow model should see the latest frame, if the camera supports it
        super().__init__(capture, name, every)
        self.begin = time.monotonic()

    def _time(self, number: int) -> float | None:
        return time.monotonic() - self.begin

    def _nothing(self) -> str:
        return "the camera gave no frame; close other programs that use it"

    def _ended(self, number: int) -> str:
        return f"{self.name} stopped after {number:,} frames: it was disconnected, or its stream ended"


def _as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Convert OpenCV's order of channels, which no other module sees."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 1:
        return pixels[:, :, 0]
    found: np.ndarray = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB)
    return found
