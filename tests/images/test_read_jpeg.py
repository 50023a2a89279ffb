"""JPEG files decoded by cv2 have exactly the same pixels as with Pillow; Pillow decodes all other JPEG files."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from featrec.exceptions import TruncatedImageError, UnsupportedImageError
from featrec.images import _decode, read_image
from tests.images.damage import encoded


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image))


def plain(data):
    """Return the image decoded by cv2, or None."""
    with Image.open(io.BytesIO(data)) as image:
        return _decode.decode_plain_jpeg(data, image.mode)


def check(data):
    np.testing.assert_array_equal(plain(data), by_pillow(data))
    np.testing.assert_array_equal(read_image(data), by_pillow(data))


@pytest.fixture
def colour(rng):
    return Image.fromarray(cv2.GaussianBlur(rng.integers(0, 256, (61, 83, 3), dtype=np.uint8), (0, 0), 1.5))


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "cat", "text"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [20, 75, 95])
def test_photographs(name, subsampling, quality):
    image = Image.fromarray(getattr(skimage.data, name)()).resize((203, 151))
    check(encoded(image, "JPEG", quality=quality, subsampling=subsampling))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 9), (8, 16), (15, 17), (16, 16), (17, 33)])
def test_sizes_around_a_block(rng, size, subsampling):
    for shape in (size, (*size, 3)):
        image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        check(encoded(image, "JPEG", quality=60, subsampling=subsampling))


def test_unusual_files(colour):
    for kind in (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440):
        check(cv2.imencode(".jpg", np.asarray(colour), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, kind])[1].tobytes())
    for options in (
        {"restart_marker_blocks": 2},
        {"comment": b"\xff\xd9 \xff\xda"},
        {"icc_profile": bytes(300)},
        {"keep_rgb": True},
    ):
        check(encoded(colour, "JPEG", **options))
    check(encoded(colour, "JPEG") + b"a film of the same moment \xff\xda\xff\xd9")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(colour, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(colour, "JPEG", exif=exif)
    assert plain(data).shape == (61, 83, 3)
    np.testing.assert_array_equal(read_image(data), by_pillow(data))


@pytest.mark.parametrize("cv2_has_rgb", [False, True])
def test_with_and_without_the_flag_of_newer_opencv(colour, monkeypatch, cv2_has_rgb):
    if cv2_has_rgb and not hasattr(cv2, "IMREAD_COLOR_RGB"):
        pytest.skip("this OpenCV is older than 4.11")
    monkeypatch.setattr(_decode, "COLOR_RGB", cv2.IMREAD_COLOR_RGB if cv2_has_rgb else None)
    check(encoded(colour, "JPEG"))


def test_uncertain_files_are_decoded_by_pillow(colour):
    data = encoded(colour, "JPEG")
    frame = data.index(b"\xff\xc0")
    halves = data.rindex(b"\xff\xda") + 60
    uncertain = {
        "progressive": encoded(colour, "JPEG", progressive=True),
        "cmyk": encoded(colour.convert("CMYK"), "JPEG"),
        "cut off": data[:-2],
        "a marker in the middle": data[:halves] + b"\xff\x33" + data[halves:],
        "a segment past the end": data[:4] + b"\xff\xff" + data[6:],
        "12 bits": data[: frame + 4] + b"\x0c" + data[frame + 5 :],
        "an unusual sampling": data[: frame + 11] + b"\x33" + data[frame + 12 :],
        "no frame": data[:frame] + b"\xff\xfe" + data[frame + 2 :],
    }
    for what, content in uncertain.items():
        mode = "CMYK" if what == "cmyk" else "RGB"
        assert _decode.decode_plain_jpeg(content, mode) is None, what
    for what in ("progressive", "cmyk"):
        wanted = by_pillow(uncertain[what])
        wanted = np.asarray(Image.fromarray(wanted, "CMYK").convert("RGB")) if what == "cmyk" else wanted
        np.testing.assert_array_equal(read_image(uncertain[what]), wanted)


def test_pillow_decodes_if_the_libraries_differ(colour, monkeypatch):
    data = encoded(colour, "JPEG")
    another = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) // 2
    _decode._libraries_agree.cache_clear()
    try:
        monkeypatch.setattr(cv2, "imdecode", lambda *_: another)
        assert plain(data) is None
        np.testing.assert_array_equal(read_image(data), by_pillow(data))
    finally:
        _decode._libraries_agree.cache_clear()


def test_pillow_decodes_if_cv2_fails(colour, monkeypatch):
    data = encoded(colour, "JPEG")

    def failing(*_):
        raise cv2.error("no")

    for decode in (failing, lambda *_: None):
        monkeypatch.setattr(cv2, "imdecode", decode)
        np.testing.assert_array_equal(read_image(data), by_pillow(data))


@pytest.mark.parametrize("share", np.arange(0.05, 1, 0.05).tolist())
def test_a_truncated_file_is_an_error(colour, share):
    data = encoded(colour, "JPEG", quality=90)
    with pytest.raises(TruncatedImageError, match="damaged or truncated"):
        read_image(data[: int(len(data) * share)])


def test_too_many_scans_are_refused():
    data = encoded(Image.new("L", (300, 300)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    assert read_image(data[:last] + scan * 20 + data[-2:]).shape == (300, 300)
    with pytest.raises(UnsupportedImageError, match=r"a progressive JPEG of .* scans, more than the limit of 100\. .*save it"):
        read_image(data[:last] + scan * 200 + data[-2:])
    assert read_image(data + scan * 200).shape == (300, 300)  # bytes after the end marker are not scans


@pytest.mark.data
def test_every_image_of_scene15():
    root = os.environ.get("FEATREC_DATA")
    paths = sorted(Path(root, "scene15").rglob("*.jpg")) if root else []
    if not paths:
        pytest.skip("FEATREC_DATA names no folder with scene15")
    taken = progressive = 0
    for path in paths:
        data = path.read_bytes()
        found = plain(data)
        taken += found is not None
        with Image.open(path) as image:
            progressive += "progressive" in image.info
        np.testing.assert_array_equal(read_image(path), by_pillow(data))
        assert found is None or np.array_equal(found, by_pillow(data))
    assert taken > 3000
    assert taken + progressive == len(paths)
