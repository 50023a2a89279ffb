"""A folder lists exactly the images in formats that can be decoded, and counts the other files."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, features

from featrec.datasets import ImageFolder
from featrec.exceptions import SkippedFileWarning
from featrec.images import _decode
from featrec.images._decode import FORMATS, suffixes
from tests.datasets.test_folder import put

# Pillow's names of formats that have no suffix of their own.
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
def test_every_listed_suffix_is_decoded(tmp_path, suffix):
    data = encoded(suffix)
    for name in (f"a/1{suffix}", f"a/2{suffix.upper()}"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    folder = ImageFolder(tmp_path)
    assert len(folder) == 2
    assert folder[0].shape[:2] == folder[1].shape[:2] == (12, 16)


def test_usual_suffixes():
    usual = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
    assert usual | {".qoi", ".sgi"} <= set(suffixes())
    assert (".avif" in suffixes()) == features.check("avif")
    assert not {".tga", ".eps", ".pdf", ".ico", ".psd", ".txt", ""} & set(suffixes())


def test_every_decoded_format_has_a_suffix():
    Image.init()
    taken = {Image.registered_extensions()[suffix] for suffix in suffixes()}
    assert {name for name in FORMATS if name in Image.OPEN} <= taken


def test_formats_of_missing_libraries_are_not_listed(monkeypatch):
    monkeypatch.setattr(features, "check", lambda library: library != "webp")
    assert ".webp" not in _decode.suffixes.__wrapped__()
    assert ".png" in _decode.suffixes.__wrapped__()


def test_one_warning_counts_skipped_files_by_suffix(tmp_path):
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


def test_skipped_files_of_a_split(tmp_path):
    put(tmp_path, "train/a/1.png", "test/a/1.png", "test/a/1.heic")
    with pytest.warns(SkippedFileWarning, match=r"test': skipped \.heic \(1\)") as caught:
        ImageFolder.split(tmp_path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
