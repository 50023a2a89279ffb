"""read_image: images read from files are compared with the original pixels or with another decoder."""

import io
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from featrec.exceptions import (
    EmptyImageError,
    ImageError,
    MissingImageError,
    NotAnImageError,
    TooManyPixelsError,
    TruncatedImageError,
    UnreadableImageError,
    UnsupportedImageError,
)
from featrec.images import as_rgb, read_image
from tests.images.damage import chunk, encoded, png, tiff

pytest.importorskip("tifffile", reason="scikit-image brings tifffile")


class Tensor:
    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values


def test_all_kinds_of_sources(tmp_path, colour):
    path, image = tmp_path / "colour.png", Image.fromarray(colour)
    image.save(path)
    data = path.read_bytes()
    for source in (path, str(path), data, bytearray(data), memoryview(data), np.str_(path), image, colour, Tensor(colour)):
        np.testing.assert_array_equal(read_image(source), colour)


@pytest.mark.parametrize(
    "source, message",
    [
        (None, "got a NoneType. This is a missing value; remove it together with its label"),
        (float("nan"), "got a float. This is a missing value"),
        (7, "got a int"),
        ((1, 2), r"got a tuple\. For pairs \(image, label\), use \[image for image, label in pairs\]"),
        ([[1, 2]], "got a list. Convert other containers of pixels with np.asarray"),
    ],
)
def test_other_sources_are_refused(source, message):
    with pytest.raises(UnsupportedImageError, match=message):
        read_image(source)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP", "JPEG2000", "SGI", "QOI"])
def test_lossless_formats(gray, colour, kind):
    if kind == "QOI" and "QOI" not in Image.SAVE:
        pytest.skip("this Pillow reads QOI and cannot write it")
    options = {"lossless": True} if kind == "WEBP" else {"irreversible": False} if kind == "JPEG2000" else {}
    if kind != "GIF":
        np.testing.assert_array_equal(read_image(encoded(Image.fromarray(colour), kind, **options)), colour)
    if kind not in ("WEBP", "QOI"):
        found = read_image(encoded(Image.fromarray(gray), kind, **options))
        np.testing.assert_array_equal(found, as_rgb(gray) if kind == "GIF" else gray)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "png16", "tiff16", "rgb png16", "rgb tiff16"])
def test_orientation(rng, orientation, kind):
    exif = Image.Exif()
    exif[274] = orientation
    depth = np.uint16 if "16" in kind else np.uint8
    image = rng.integers(0, np.iinfo(depth).max, (16, 24, 3) if "16" not in kind or "rgb" in kind else (16, 24)).astype(depth)
    if kind == "rgb png16":
        data = _png_with_exif(cv2.imencode(".png", image[..., ::-1])[1].tobytes(), exif)
    elif "tiff16" in kind:
        data = _tiff(image, orientation)
    else:
        kind = "PNG" if kind == "png16" else kind
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(Image.fromarray(image), kind, exif=exif, **options)
    found = read_image(data)
    numbers = Image.fromarray(np.arange(16 * 24, dtype=np.int32).reshape(16, 24))
    numbers.getexif()[274] = orientation
    turned = image.reshape(16 * 24, -1).squeeze()[np.asarray(ImageOps.exif_transpose(numbers))]
    assert found.shape == turned.shape
    assert found.flags.c_contiguous
    assert found.dtype == depth
    np.testing.assert_array_equal(found, turned)


def _png_with_exif(data, exif):
    return data[:33] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + data[33:]


def _tiff(image, orientation=1, **options):
    kind = "rgb" if image.ndim == 3 else "minisblack"
    return tiff(image, photometric=kind, extratags=[(274, "H", 1, orientation, True)], **options)


def test_damaged_exif_is_ignored(colour):
    data = encoded(Image.fromarray(colour), "PNG", exif=b"Exif\0\0not a TIFF header at all")
    np.testing.assert_array_equal(read_image(data), colour)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_sixteen_bit_gray(rng, byteorder):
    image = rng.integers(0, 65536, (9, 11)).astype(np.uint16)
    for data in (encoded(Image.fromarray(image)), _tiff(image.astype(byteorder + "u2"), byteorder=byteorder)):
        found = read_image(data)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, image)
        np.testing.assert_array_equal(read_image(Image.open(io.BytesIO(data))), image)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_sixteen_bit_colour(rng, byteorder):
    image = rng.integers(0, 65536, (9, 11, 3)).astype(np.uint16)
    png = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    for data in (png, _tiff(image.astype(byteorder + "u2"), byteorder=byteorder)):
        np.testing.assert_array_equal(read_image(data), image)
        in_eight_bits = read_image(Image.open(io.BytesIO(data)))
        np.testing.assert_allclose(in_eight_bits, image / 257, atol=1)


def test_sixteen_bit_transparency(rng):
    image = rng.integers(0, 65536, (9, 11, 4)).astype(np.uint16)
    data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA))[1].tobytes()
    share = image[..., 3:] / 65535
    np.testing.assert_allclose(read_image(data), image[..., :3] * share + 65535 * (1 - share), atol=0.5001)


def test_sixteen_bit_gray_with_transparency():
    alpha = png([b"\xff\xff\0\0\0\0\xff\xff\x12\x34\xff\xff"], 3, 1, 16, 4)
    one_value = png([b"\0\5\0\0\x12\x34"], 3, 1, 16, 0, chunk(b"tRNS", b"\0\5"))
    for data in (alpha, one_value):
        assert read_image(data).tolist() == [[65535, 0, 0x1234]]
        assert read_image(data).dtype == np.uint16


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparent_parts_are_blended_with_white(rng, kind):
    image = rng.integers(0, 256, (9, 11, 4), dtype=np.uint8)
    image[0] = 255, 0, 0, 0
    image[1, :, 3] = 255
    data = encoded(Image.fromarray(image), kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    white = Image.new("RGBA", (11, 9), "white")
    white.alpha_composite(Image.fromarray(image))
    found = read_image(data)
    np.testing.assert_allclose(found, np.asarray(white)[..., :3], atol=1)
    assert (found[0] == 255).all()
    np.testing.assert_array_equal(found[1], image[1, :, :3])


def test_one_transparent_value(gray, colour):
    for image, value in ((gray, 9), (colour, (1, 2, 3))):
        image[2, 3] = value
        found = read_image(encoded(Image.fromarray(image), transparency=value))
        image[(image == value).reshape(12, 17, -1).all(axis=2)] = 255
        np.testing.assert_array_equal(found, image)


def test_palette():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60] + [0] * 12)
    image.putpixel((1, 0), 1)
    for kind in ("PNG", "GIF"):
        assert read_image(encoded(image, kind))[0].tolist() == [[10, 20, 30], [40, 50, 60]]
        assert read_image(encoded(image, kind, transparency=1))[0].tolist() == [[10, 20, 30], [255] * 3]
    by_entry = read_image(encoded(image, transparency=bytes([255, 51])))
    assert by_entry[0].tolist() == [[10, 20, 30], [212, 214, 216]]  # 255 - 0.2 * (255 - value)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_pillow_modes(mode):
    white = Image.new("RGB", (5, 4), "white").convert({"RGBa": "RGBA", "La": "LA"}.get(mode, "RGB"))
    found = read_image(white.convert(mode))
    assert found.dtype == np.uint8
    assert found.shape == ((4, 5) if mode in ("1", "L", "LA", "La") else (4, 5, 3))
    np.testing.assert_allclose(found, 255, atol=1)


def test_an_unsupported_mode_is_refused():
    with pytest.raises(UnsupportedImageError, match="Pillow's mode 'LAB' is not supported"):
        read_image(Image.new("LAB", (3, 3)))


def test_float_tiff(rng):
    image = rng.random((6, 7)).astype(np.float32)
    found = read_image(_tiff(image))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, image)
    with pytest.raises(UnsupportedImageError, match=r"float images must contain values in \[0, 1\]; found .* to 9"):
        read_image(_tiff(image * 0 + 9))


def test_wide_integers():
    image = np.array([[0, 65535]], np.int32)
    assert read_image(_tiff(image)).dtype == np.uint16
    np.testing.assert_array_equal(read_image(_tiff(image)), image)
    for value in (-1, 65536):
        with pytest.raises(UnsupportedImageError, match=r"32-bit TIFF with values from .* are supported\. Rescale it first"):
            read_image(_tiff(image * 0 + value))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_is_read(kind):
    frames = [Image.new("RGB", (6, 5), name) for name in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert read_image(data)[2, 2].tolist() == [255, 0, 0]


def test_a_pillow_image_stays_open_at_its_frame(tmp_path):
    path = tmp_path / "frames.gif"
    frames = [Image.new("RGB", (6, 5), name) for name in ("red", "lime")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with Image.open(path) as image:
        image.seek(1)
        assert read_image(image)[2, 2].tolist() == [0, 255, 0]
        assert image.tell() == 1
        image.seek(0)
        assert read_image(image)[2, 2].tolist() == [255, 0, 0]


def test_a_pillow_image_is_not_changed(colour):
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(io.BytesIO(encoded(Image.fromarray(colour), exif=exif))) as image:
        assert read_image(image).shape == (17, 12, 3)
        assert image.size == (17, 12)
        assert image.getexif()[274] == 6
        np.testing.assert_array_equal(np.asarray(image), colour)


def test_many_threads_read_one_pillow_image(rng):
    image = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    original = Image.open(io.BytesIO(encoded(Image.fromarray(image))))
    start = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: start.wait() >= 0 and read_image(original), range(8)))
    assert all(np.array_equal(one, image) for one in found)


def _bomb(width, height):
    """Build a PNG whose header declares more pixels than its data can contain."""
    return png([], width, height, 8, 0)


def test_the_limit_is_checked_before_decoding():
    declared = "60000×60000 = 3,600,000,000 pixels, more than the limit of 100,000,000"
    with pytest.raises(TooManyPixelsError, match=f"{declared}; raise the limit with read_image"):
        read_image(_bomb(60000, 60000))
    with pytest.raises(TruncatedImageError, match="damaged or truncated"):
        read_image(_bomb(3000, 3000))


def test_the_limit_of_pillow_has_no_effect(monkeypatch, gray):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    data = encoded(Image.fromarray(gray))
    np.testing.assert_array_equal(read_image(data), gray)
    with pytest.raises(TooManyPixelsError, match="17×12 = 204 pixels, more than the limit of 203"):
        read_image(data, max_pixels=203)
    assert read_image(data, max_pixels=204).shape == (12, 17)
    with pytest.raises(TooManyPixelsError, match="more than the limit of 100"):
        read_image(Image.fromarray(gray), max_pixels=100)
    assert read_image(gray, max_pixels=100) is gray


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingImageError, match=r"nothing\.png': no such file; check the path") as caught:
        read_image(tmp_path / "nothing.png")
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.item == os.fspath(tmp_path / "nothing.png")
    with pytest.raises(MissingImageError, match="URLs are not supported; download the file first"):
        read_image("https://example.org/cat.jpg")


def test_a_folder_and_invalid_paths(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"a folder, not an image; use featrec\.datasets\.ImageFolder"):
        read_image(tmp_path)
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "file" / "cat.jpg", "cat\0.jpg"):
        with pytest.raises(UnreadableImageError, match="cannot be opened"):
            read_image(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path, gray):
    path = tmp_path / "secret.png"
    Image.fromarray(gray).save(path)
    path.chmod(0)
    with pytest.raises(UnreadableImageError, match=r"cannot be opened .*Permission"):
        read_image(path)


def test_zero_bytes(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(EmptyImageError, match=r"empty\.jpg': zero bytes; perhaps the file was not copied completely"):
        read_image(path)
    with pytest.raises(EmptyImageError, match=r"^zero bytes"):
        read_image(b"")


@pytest.mark.parametrize(
    "text", [b"<!DOCTYPE html><html>", b"hello", b"%PDF-1.4", b"RIFF\0\0\0\0WAVEfmt ", b"\0" * 100, b"h", b"hi", b"ok\n"]
)
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "text.jpg"
    path.write_bytes(text)
    message = r"text\.jpg': unsupported image format; the file begins with b'.*Supported formats: JPEG, PNG"
    with pytest.raises(NotAnImageError, match=message):
        read_image(path)


def test_formats_that_start_programs_are_refused():
    with pytest.raises(NotAnImageError, match="begins with b'%!PS-Adobe-3"):
        read_image(encoded(Image.new("L", (4, 4)), "EPS"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "JPEG2000", "SGI"])
def test_a_truncated_file(tmp_path, rng, kind):
    data = encoded(Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)), kind)
    path = tmp_path / "half"
    for length in (1, 2, 3, *(int(len(data) * share) for share in (0.02, 0.1, 0.5, 0.9))):
        path.write_bytes(data[:length])
        with pytest.raises(ImageError, match=r"half': (damaged or truncated|unsupported image format)") as caught:
            read_image(path)
        assert isinstance(caught.value, (TruncatedImageError, NotAnImageError))
        assert "unpack" not in str(caught.value)


def test_a_truncated_file_of_sixteen_bits(rng):
    data = cv2.imencode(".png", rng.integers(0, 65536, (40, 40, 3)).astype(np.uint16))[1].tobytes()
    with pytest.raises(TruncatedImageError, match="damaged or truncated"):
        read_image(data[: len(data) // 2])


def test_errors_can_be_pickled(tmp_path):
    with pytest.raises(MissingImageError, match="no such file") as caught:
        read_image(tmp_path / "nothing.png")
    again = pickle.loads(pickle.dumps(caught.value.at(3, None)))
    assert type(again) is MissingImageError
    assert str(again).startswith(f"image 3 ('{Path(tmp_path, 'nothing.png')}'): no such file")
