"""Frames of videos, cameras and folders, and one clear error for each that cannot be read."""

import cv2
import numpy as np
import pytest
from PIL import Image

from featrec.exceptions import ImageError, InputError, MissingImageError
from featrec.serving import open_frames

RED = (200, 30, 60)


@pytest.fixture(autouse=True)
def _quiet():
    """OpenCV logs what it cannot open; FFmpeg does so by itself."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    yield
    cv2.utils.logging.setLogLevel(before)


def write_video(path, n=20, size=(48, 64), color=RED):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, size[::-1])
    for number in range(n):
        frame = np.full((*size, 3), color[::-1], np.uint8)
        frame[:, : 2 * number] = 0
        writer.write(frame)
    writer.release()
    return path


def test_frames_of_a_video_are_rgb(tmp_path):
    frames = list(open_frames(write_video(tmp_path / "a.avi")))
    assert [frame.number for frame in frames] == list(range(20))
    assert frames[3].time == pytest.approx(0.3)
    assert frames[0].image.shape == (48, 64, 3)
    np.testing.assert_allclose(frames[0].image[24, 60], RED, atol=12)
    assert [int((frame.image[24, :, 0] < 100).sum()) for frame in frames[:5]] == pytest.approx([0, 2, 4, 6, 8], abs=1)


def test_every(tmp_path):
    video = write_video(tmp_path / "a.avi")
    everything = list(open_frames(video))
    some = list(open_frames(video, every=7))
    assert [frame.number for frame in some] == [0, 7, 14]
    assert [frame.time for frame in some] == pytest.approx([0, 0.7, 1.4])
    for frame in some:
        np.testing.assert_array_equal(frame.image, everything[frame.number].image)


def test_a_folder_is_sorted_with_numbers_by_value(tmp_path):
    for name in ("frame10.png", "frame9.png", "frame2.jpg", "b.png"):
        Image.new("RGB", (8, 6), RED).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    frames = list(open_frames(tmp_path))
    assert [frame.name.rpartition("/")[2] for frame in frames] == ["b.png", "frame2.jpg", "frame9.png", "frame10.png"]
    assert tuple(frames[0].image[0, 0]) == RED
    assert [frame.number for frame in open_frames(tmp_path, every=3)] == [0, 3]


def test_a_damaged_image_of_a_folder_is_a_frame_with_its_error(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"no image")
    first, second = open_frames(tmp_path)
    assert isinstance(first.image, np.ndarray)
    assert isinstance(second.image, ImageError)
    assert second.image.item == str(tmp_path / "2.png")


def test_a_cut_video_says_where_it_ended(tmp_path):
    video = write_video(tmp_path / "a.avi", n=60)
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    frames = open_frames(video)
    n = len(list(frames))
    assert 0 < n < 50
    assert frames.remark == f"{str(video)!r} announces 60 frames but ended after {n}: it is damaged or cut off"


def test_a_whole_video_has_no_remark(tmp_path):
    frames = open_frames(write_video(tmp_path / "a.avi"))
    list(frames)
    frames.close()
    assert frames.remark == ""


def no_frames(path):
    write_video(path, n=0)


CASES = {
    "missing": ("a.mp4", lambda path: None, MissingImageError, "no file or folder has this name; expected a video file"),
    "empty": ("a.mp4", lambda path: path.write_bytes(b""), InputError, "cannot be opened as a video"),
    "text": ("a.avi", lambda path: path.write_text("x" * 5000), InputError, "is not a video, is damaged or cut off"),
    "no frames": ("a.avi", no_frames, InputError, "the video contains no frames that can be decoded"),
    "an image": ("a.png", lambda path: Image.new("L", (9, 9)).save(path), InputError, "is an image, not a video"),
    "an empty folder": ("a", lambda path: path.mkdir(), InputError, "no images in .*Expected a video file"),
    "class folders": ("a", lambda path: (path / "b").mkdir(parents=True), InputError, "its subfolders are not searched"),
}


@pytest.mark.parametrize(("name", "make", "error", "match"), list(CASES.values()), ids=list(CASES))
def test_what_cannot_be_read(tmp_path, name, make, error, match):
    make(tmp_path / name)
    with pytest.raises(error, match=match) as caught:
        list(open_frames(tmp_path / name))
    assert name in str(caught.value)


@pytest.mark.parametrize("camera", [97, "97"])
def test_a_missing_camera(camera):
    with pytest.raises(InputError, match="camera 97 cannot be opened; connect it, close other programs"):
        open_frames(camera)


def test_a_missing_network_camera():
    with pytest.raises(InputError, match=r"rtsp://127\.0\.0\.1:9/a cannot be opened"):
        open_frames("rtsp://127.0.0.1:9/a")


class Camera:
    """Gives three frames in BGR, and then no more."""

    def __init__(self, source):
        self.source, self.left, self.released = source, 3, False

    def isOpened(self):
        return True

    def set(self, name, value):
        return True

    def grab(self):
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        return True, np.full((4, 4, 3), RED[::-1], np.uint8)

    def release(self):
        self.released = True


def test_a_camera(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    frames = open_frames("0")
    images = [frame.image for frame in frames]
    assert frames.capture.source == 0
    assert tuple(images[0][0, 0]) == RED
    assert len(images) == 3
    assert frames.remark == "camera 0 stopped after 3 frames: it was disconnected, or its stream ended"
    frames.close()
    assert frames.capture.released


def test_gray_frames_and_frames_with_alpha(monkeypatch):
    for shape, expected in (((4, 4), (4, 4)), ((4, 4, 1), (4, 4)), ((4, 4, 4), (4, 4, 3))):
        monkeypatch.setattr(Camera, "retrieve", lambda self, shape=shape: (True, np.zeros(shape, np.uint8)))
        monkeypatch.setattr(cv2, "VideoCapture", Camera)
        assert next(iter(open_frames(0))).image.shape == expected


@pytest.mark.parametrize("every", [0, True, 1.5])
def test_every_is_checked(tmp_path, every):
    with pytest.raises(InputError, match="every must be an integer of at least 1; got"):
        open_frames(tmp_path, every=every)
