"""One list of formats: what a folder takes is what the decoder reads, and what it leaves is counted."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, features

from featrec.datasets import ImageFolder
from featrec.exceptions import SkippedFileWarning
from featrec.images import _decode, read_image
from featrec.images._decode import FORMATS, suffixes

# How Pillow writes a suffix's format, where its name is not enough.
WRITTEN = {".dib": "DIB", ".j2c": "JPEG2000", ".jpc": "JPEG2000", ".mpo": "MPO"}


def encoded(suffix):
    kind = WRITTEN.get(suffix) or Image.registered_extensions()[suffix]
    file = io.BytesIO()
    mode = {".pbm": "1", ".pfm": "F", ".bw": "L", ".rgba": "RGBA"}.get(suffix, "RGB")
    image = Image.new(mode, (16, 12)) if mode in ("1", "F") else Image.new(mode, (16, 12), "white")
    try:
        image.save(file, kind)
    except (KeyError, OSError):
        ok, data = cv2.imencode(suffix, np.full((12, 16, 3), 255, np.uint8))
        return data.tobytes() if ok else None
    return file.getvalue()


@pytest.mark.parametrize("suffix", suffixes())
def test_whatever_a_folder_takes_is_decoded(tmp_path, suffix):
    data = encoded(suffix)
    for name in (f"a/1{suffix}", f"a/2{suffix.upper()}"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    folder = ImageFolder(tmp_path)
    assert len(folder) == 2
    assert folder[0].shape[:2] == folder[1].shape[:2] == (12, 16)


def test_the_usual_suffixes_and_those_that_were_forgotten():
    usual = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
    assert usual | {".qoi", ".sgi"} <= set(suffixes())
    assert (".avif" in suffixes()) == features.check("avif")
    assert not {".tga", ".eps", ".pdf", ".ico", ".psd", ".txt", ""} & set(suffixes())


def test_every_format_that_is_decoded_has_a_suffix():
    Image.init()
    taken = {Image.registered_extensions()[suffix] for suffix in suffixes()}
    assert {name for name in FORMATS if name in Image.OPEN} <= taken


def test_a_library_that_is_missing_takes_its_suffixes_along(monkeypatch):
    monkeypatch.setattr(features, "check", lambda library: library != "webp")
    assert ".webp" not in _decode.suffixes.__wrapped__()
    assert ".png" in _decode.suffixes.__wrapped__()


def test_what_is_refused_by_the_decoder_is_no_image_of_a_folder(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.tga")
    with pytest.raises(ValueError, match="unsupported image format"):
        read_image(tmp_path / "x.tga")


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(".png"))
    return root


def test_one_warning_counts_what_was_skipped_by_suffix(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png", "beside.png", "a/x.HEIC", "a/y.heic", "b/z.tga", "a/notes", "a/1.txt", "a/2.txt")
    put(tmp_path, ".hidden/1.txt", "a/.DS_Store", "b/x.a-very-long-suffix")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    with pytest.warns(SkippedFileWarning, match="skipped images next to the class folders") as caught:
        folder = ImageFolder(tmp_path)
    (warning,) = caught
    assert warning.filename == __file__
    told = str(warning.message)
    assert told.startswith(f"{str(tmp_path)!r}: skipped ")
    counts = "images next to the class folders (1), linked folders (1), .heic (2), .txt (2), other names (2), and 1 more."
    assert counts in told
    assert len(folder.skipped) == 11


def test_half_by_half_of_a_split(tmp_path):
    put(tmp_path, "train/a/1.png", "test/a/1.png", "test/a/1.heic")
    with pytest.warns(SkippedFileWarning, match=r"test': skipped \.heic \(1\)") as caught:
        ImageFolder.split(tmp_path)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_hidden_files_are_skipped_without_a_word(tmp_path):
    folder = ImageFolder(put(tmp_path, "a/1.png", "a/.2.png", ".git/x.txt", "__MACOSX/a/1.png"))
    assert len(folder.skipped) == 3
