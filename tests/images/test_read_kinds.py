"""Files as cameras, scanners and browsers write them are compared with the original pixels or another decoder."""

import io
import pickle
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from PIL import Image

from featrec.exceptions import TooManyPixelsError, TruncatedImageError, UnsupportedImageError
from featrec.images import _read, read_image
from tests.images.damage import chunk, encoded, png, tiff

pytest.importorskip("tifffile", reason="scikit-image brings tifffile")


PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_interlaced_png(rng, depth, channels):
    kind = np.dtype(">u2" if depth == 16 else "u1")
    image = rng.integers(0, 2**depth, (12, 17, channels)).astype(kind)
    passes = [image[y::dy, x::dx] for y, x, dy, dx in PASSES]
    lines = [line.tobytes() for part in passes for line in part]
    data = png(lines, 17, 12, depth, {1: 0, 3: 2}[channels], interlaced=1)
    np.testing.assert_array_equal(read_image(data), image.squeeze())
    with pytest.raises(TruncatedImageError, match="damaged or truncated"):
        read_image(data[:-30])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_gray_png_with_fewer_than_8_bits(depth):
    image = np.arange(16, dtype=np.uint8).reshape(2, 8) % 2**depth
    bits = np.unpackbits(image[..., None], axis=2)[..., -depth:].reshape(2, -1)
    data = png([np.packbits(line).tobytes() for line in bits], 8, 2, depth, 0)
    np.testing.assert_array_equal(read_image(data), image * (255 // (2**depth - 1)))


def test_a_text_bomb_in_a_png(gray):
    data = encoded(Image.fromarray(gray), "PNG")
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))
    with pytest.raises(TruncatedImageError, match=r"(?i)damaged or truncated .*decompressed data too large"):
        read_image(data[:33] + bomb + data[33:])


def test_cmyk_jpeg_of_adobe_is_inverted(colour):
    """Adobe programs store 255 minus the ink, and a marker; cv2 also inverts these values."""
    flat = np.zeros((16, 16, 4), np.uint8)
    flat[:, :, 1] = 200  # magenta
    data = encoded(Image.fromarray(flat, "CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    red, green, blue = read_image(data)[8, 8].astype(int)
    assert (red, blue) == pytest.approx((255, 255), abs=3)
    assert green == pytest.approx(55, abs=3)
    by_cv2 = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[8, 8, ::-1].astype(int)
    np.testing.assert_allclose((red, green, blue), by_cv2, atol=3)


def test_cmyk_jpeg_as_luma_and_chroma():
    """The last byte of the marker means that cyan, magenta and yellow were converted to luma and chroma."""
    stored = np.zeros((16, 16, 4), np.uint8)
    stored[:] = 100, 120, 140, 30
    data = bytearray(encoded(Image.fromarray(stored, "CMYK"), "JPEG", quality=98))
    data[data.index(b"Adobe") + 11] = 2
    by_cv2 = cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert len(set(by_cv2[8, 8].tolist())) > 1
    np.testing.assert_allclose(read_image(data), by_cv2, atol=3)


def test_colour_tiff_in_planes_tiles_and_strips(colour):
    planes = tiff(np.ascontiguousarray(colour.transpose(2, 0, 1)), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(planes), colour)
    for options in ({"tile": (16, 16)}, {"rowsperstrip": 3}, {"byteorder": ">"}):
        np.testing.assert_array_equal(read_image(tiff(colour, photometric="rgb", **options)), colour)


def test_gray_tiff_with_white_as_zero(gray):
    np.testing.assert_array_equal(read_image(tiff(gray, photometric="miniswhite")), 255 - gray)


def test_compressed_tiff(colour, gray):
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        np.testing.assert_array_equal(read_image(encoded(Image.fromarray(colour), "TIFF", compression=compression)), colour)
    image = np.where(gray > 127, 255, 0).astype(np.uint8)
    fax = encoded(Image.fromarray(image).convert("1"), "TIFF", compression="group4")
    np.testing.assert_array_equal(read_image(fax), image)


def test_tiff_with_tiles_of_absurd_size(gray):
    data = tiff(gray, tile=(16, 16))
    for tag in (322, 323):
        place = data.index(struct.pack("<HHI", tag, 4, 1))
        data = data[: place + 8] + struct.pack("<I", 60000) + data[place + 12 :]
    with pytest.raises(TruncatedImageError, match=r"damaged: its tiles have 60000×60000 pixels, but the image has 17×12"):
        read_image(data)


def test_unsupported_types_of_tiff(rng):
    for image in (rng.normal(size=(5, 6)), rng.normal(size=(5, 6, 2)), rng.integers(0, 9, (5, 6), dtype=np.int64)):
        with pytest.raises(UnsupportedImageError, match=r"type of TIFF is not supported \(unknown pixel mode\); save it as"):
            read_image(tiff(image, photometric="minisblack", planarconfig="contig" if image.ndim == 3 else None))


def test_bmp(colour):
    for mode in ("1", "P", "L", "RGB"):
        image = Image.fromarray(colour).convert(mode)
        wanted = image.convert("L" if mode in "1L" else "RGB")
        np.testing.assert_array_equal(read_image(encoded(image, "BMP")), np.asarray(wanted))
    opaque = np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(opaque), "BMP")), colour)
    data = encoded(Image.fromarray(colour), "BMP")
    from_top_to_bottom = data[:22] + struct.pack("<i", -12) + data[26:]
    np.testing.assert_array_equal(read_image(from_top_to_bottom), colour[::-1])


def test_run_length_encoded_bmp():
    """Pillow fills short lines pixel by pixel, so decoding a small file may take long."""
    palette = bytes(value for entry in range(256) for value in (entry, entry, entry, 0))
    lines = b"\x05\x07\0\0" + b"\1\6\0\0" + b"\0\1"
    header = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 1078 + len(lines), 0, 1078, 40, 5, 2, 1, 8, 1, 0, 0, 0, 256, 0)
    data = header + palette + lines
    assert read_image(data).tolist() == [[6, 0, 0, 0, 0], [7] * 5]
    large = data[:18] + struct.pack("<ii", 2500, 1700) + data[26:]
    with pytest.raises(TooManyPixelsError, match=r"4,250,000 pixels, more than the limit of 2,000,000 for run-length encoded"):
        read_image(large)


def test_gif_with_a_frame_smaller_than_the_screen(gray):
    data = encoded(Image.fromarray(gray), "GIF")
    wider = data[:6] + struct.pack("<HH", 20, 15) + data[10:]
    found = read_image(wider)
    assert found.shape == (15, 20, 3)
    np.testing.assert_array_equal(found[:12, :17, 0], gray)


def test_gif_with_a_huge_frame():
    """Found by fuzzing: Pillow allocates 4 bytes per pixel of the frame while it reads the header."""
    control = b"!\xf9\4\x09\0\0\1\0"
    for comment in (b"", b"!\xfe\3,,,\0", b"\0\0"):
        for side, message in (
            (20000, r"400,000,000 pixels, more than the limit of 100,000,000"),
            (4000, "a decompression bomb"),
        ):
            frame = b"," + struct.pack("<4H", 0, 0, side, side) + b"\0\2\2\x4c\1\0;"
            with pytest.raises(TooManyPixelsError, match=message):
                read_image(b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + comment + control + frame)


@pytest.mark.parametrize(
    "text, wanted",
    [
        (b"P1\n# a comment\n3 1\n0 1 0\n", [[255, 0, 255]]),
        (b"P2\n3 1\n255\n0 7 255\n", [[0, 7, 255]]),
        (b"P3\n1 1\n255\n1 2 3\n", [[[1, 2, 3]]]),
        (b"P5\n3 1\n255\n\x00\x07\xff", [[0, 7, 255]]),
        (b"P6\n1 1\n255\n\x01\x02\x03", [[[1, 2, 3]]]),
        (b"P2\n3 1\n5\n0 1 5\n", [[0, 51, 255]]),
        (b"P4\n3 1\n\x40", [[255, 0, 255]]),
        (b"P5 3 1 65535\n\0\1\1\0\xff\xff", [[1, 256, 65535]]),
    ],
)
def test_pnm(text, wanted):
    found = read_image(text)
    assert found.dtype == (np.uint16 if b"65535" in text else np.uint8)
    assert found.tolist() == wanted


def test_the_limit_of_blank_images(monkeypatch):
    blank = encoded(Image.new("1", (1000, 900)), "PNG")
    assert len(blank) < 900
    assert read_image(blank, max_pixels=9_000_000).shape == (900, 1000)
    with pytest.raises(TooManyPixelsError, match=r"900,000 pixels in \d+ bytes; the limit is 899,999 .* 1,000 times"):
        read_image(blank, max_pixels=8_999_990)


def test_a_large_drawing_is_read(rng):
    image = np.full((1200, 1000), 255, np.uint8)
    for row, column in rng.integers(0, 1000, (80, 2)):
        image[row : row + 3] = 0
        image[:, column : column + 2] = 0
    data = encoded(Image.fromarray(image).convert("1"), "TIFF", compression="group4")
    np.testing.assert_array_equal(read_image(data, max_pixels=1_200_000), image)


def test_large_images_are_converted_in_parts(rng):
    values = cv2.resize(rng.integers(0, 256, (20, 20, 4), dtype=np.uint8), (1300, 1100))
    for mode in ("RGB", "RGBA", "L", "LA", "P"):
        image = Image.fromarray(values).convert("RGB").quantize(16) if mode == "P" else Image.fromarray(values).convert(mode)
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        wanted = np.asarray(white.convert("L" if mode in ("L", "LA") else "RGB"))
        found = read_image(encoded(image, "PNG", compress_level=1))
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1)


def _with_broken_exif(colour):
    """Build EXIF data that are shorter than they declare; Pillow warns about them."""
    entry = struct.pack("<HHII", 271, 2, 1000, 500)
    broken = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)
    return encoded(Image.fromarray(colour), "PNG", exif=broken)


def test_warnings_of_pillow_are_hidden_while_reading(colour):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(read_image(_with_broken_exif(colour)), colour)
        read_image(_with_broken_exif(colour))
        assert not caught
        with Image.open(io.BytesIO(_with_broken_exif(colour))) as image:
            image.getexif()
        assert len(caught) == 1, "outside read_image, Pillow's warnings are not hidden"


@contextmanager
def another_thread_reads():
    inside, done = threading.Event(), threading.Event()

    def reading():
        with _read.pillow_silenced():
            inside.set()
            done.wait(5)

    thread = threading.Thread(target=reading)
    thread.start()
    inside.wait(5)
    yield
    done.set()
    thread.join()


def test_other_warnings_and_other_threads_are_not_silenced():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with another_thread_reads():
            warnings.warn_explicit("from another thread", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")
        with _read.pillow_silenced():
            warnings.warn_explicit("of something else", UserWarning, "x.py", 1, module="elsewhere")
            warnings.warn_explicit("of Pillow", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")
    assert [str(warning.message) for warning in caught] == ["from another thread", "of something else"]


def test_reading_leaves_no_warning_filter(colour):
    before = list(warnings.filters)
    read_image(_with_broken_exif(colour))
    assert warnings.filters == before
    with another_thread_reads():
        warnings.simplefilter("error", UserWarning)  # this filter precedes the filter of the thread
        read_image(_with_broken_exif(colour))
        assert len(pickle.loads(pickle.dumps(warnings.filters))) > len(before), "scikit-learn sends the filters to workers"
    assert warnings.filters == [("error", None, UserWarning, None, 0), *before]


def test_many_threads_read_without_a_warning_and_leave_no_filter(colour):
    data, before = _with_broken_exif(colour), list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ThreadPoolExecutor(8) as pool:
            images = list(pool.map(read_image, [data] * 200))
    assert all(np.array_equal(image, colour) for image in images)
    assert warnings.filters == before
