"""featrec anonymize: blurred copies without metadata, originals untouched, and a run that can be continued."""

import json
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from featrec.cli import _anonymize, main
from featrec.images import read_image
from featrec.preprocessing import BlurFaces

FACE = astronaut()[20:220, 110:330]
OPTIONS = ["--detector", "lbp", "--min-size", "60"]
GPS, CAMERA, ORIENTATION = 0x8825, 0x010F, 0x0112


@pytest.fixture
def folder(tmp_path):
    """A face with metadata, an image without a face, and a name in a subfolder."""
    root = tmp_path / "originals"
    (root / "people" / "indoor").mkdir(parents=True)
    (root / "things").mkdir()
    exif = Image.Exif()
    exif[CAMERA] = "Camera 123"
    exif[ORIENTATION] = 3
    exif.get_ifd(GPS)[2] = (52.0, 31.0, 12.0)
    upside_down = Image.fromarray(np.ascontiguousarray(FACE[::-1, ::-1]))
    upside_down.save(root / "people" / "indoor" / "face.jpg", exif=exif, quality=95, comment=b"my home")
    Image.new("RGB", (40, 30), (10, 200, 30)).save(root / "things" / "green.png")
    return root


@pytest.fixture
def anonymize(tmp_path, capsys):
    def run(*words, out=tmp_path / "copies"):
        code = main(["anonymize", *map(str, words), "--out", str(out), *OPTIONS, "--n-jobs", "1"])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    return run


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_copies_keep_the_structure_but_no_face_and_no_metadata(folder, anonymize, tmp_path):
    before = contents(folder)
    code, lines, err = anonymize(folder)
    assert code == 0
    assert lines == [f"{folder}/people/indoor/face.jpg\t1", f"{folder}/things/green.png\t0"]
    assert contents(folder) == before
    copies = tmp_path / "copies"
    assert contents(copies).keys() - {_anonymize.RECORD} == before.keys()
    copy = copies / "people" / "indoor" / "face.jpg"
    with Image.open(folder / "people" / "indoor" / "face.jpg") as image:
        assert image.getexif().get_ifd(GPS)
    with Image.open(copy) as image:
        assert not image.getexif()
        assert not {"exif", "comment", "icc_profile"} & image.info.keys()
    assert b"Camera 123" not in copy.read_bytes()
    assert len(BlurFaces("lbp", min_size=60).find(folder / "people" / "indoor" / "face.jpg")) == 1
    assert len(BlurFaces("lbp", min_size=60).find(copy)) == 0
    original = read_image(folder / "people" / "indoor" / "face.jpg")  # upright
    assert np.abs(read_image(copy)[:10].astype(int) - original[:10]).mean() < 4
    np.testing.assert_array_equal(read_image(copies / "things" / "green.png"), read_image(folder / "things" / "green.png"))
    assert "2 of 2 images copied" in err
    assert "1 faces blurred in 1 images" in err
    assert "EXIF data (place, time, camera), comments and colour profiles were not copied" in err


def test_a_second_run_writes_only_what_is_missing_or_changed(folder, anonymize, tmp_path, monkeypatch):
    anonymize(folder)
    copies = tmp_path / "copies"
    (copies / "things" / "green.png").unlink()
    hidden = []
    hide = BlurFaces.hide
    monkeypatch.setattr(BlurFaces, "hide", lambda self, image: (hidden.append(image.shape), hide(self, image))[1])
    code, lines, err = anonymize(folder, "--json")
    assert code == 0
    assert [json.loads(line)["written"] for line in lines] == [False, True]
    assert [json.loads(line)["faces"] for line in lines] == [1, 0]
    assert hidden == [(30, 40, 3)]
    assert "(1 of them by an earlier run)" in err
    with open(copies / _anonymize.RECORD, "a") as record:
        record.write('{"copy": "things/gr')  # killed while it wrote
    Image.new("RGB", (41, 30)).save(folder / "things" / "green.png")
    assert [json.loads(line)["written"] for line in anonymize(folder, "--json")[1]] == [False, True]
    assert read_image(copies / "things" / "green.png").shape == (30, 41, 3)
    assert [json.loads(line)["written"] for line in anonymize(folder, "--json", "--cells", "2")[1]] == [True, True]


def test_a_killed_run_is_continued(folder, anonymize, tmp_path, monkeypatch):
    """Killed between the record and the file, and between two images."""
    from featrec.cli import _image_file

    def killed(path, data):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_image_file, "write_atomically", killed)
        assert anonymize(folder)[0] == 2
    assert not list((tmp_path / "copies").rglob("*.jpg"))
    assert anonymize(folder)[0] == 0
    assert not list((tmp_path / "copies").rglob("*.part"))
    assert (tmp_path / "copies" / "people" / "indoor" / "face.jpg").exists()


def test_an_image_that_cannot_be_read_is_reported(folder, anonymize, tmp_path):
    (folder / "things" / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    code, lines, err = anonymize(folder)
    assert code == 1
    assert len(lines) == 2
    assert err.count("broken.jpg") == 1
    assert "2 of 3 images copied" in err
    assert not (tmp_path / "copies" / "things" / "broken.jpg").exists()
    code, lines, err = anonymize(folder / "things" / "broken.jpg", out=tmp_path / "others")
    assert (code, lines) == (2, [])


def test_an_empty_folder_is_one_message(anonymize, tmp_path):
    (tmp_path / "empty").mkdir()
    code, lines, err = anonymize(tmp_path / "empty")
    assert (code, lines) == (2, [])
    assert err == f"featrec: error: no images in '{tmp_path}/empty'\n"
    assert not (tmp_path / "copies").exists()


def test_originals_and_files_of_others_are_never_overwritten(folder, anonymize, tmp_path):
    before = contents(folder)
    face = folder / "people" / "indoor" / "face.jpg"
    for words, out in (
        ([folder], folder),
        ([folder], folder / "copies"),
        ([face], face.parent),
        ([folder / "things", face], face.parent),
    ):
        code, _, err = anonymize(*words, out=out)
        assert code == 2
        assert "a folder of originals; originals are never changed" in err
    (tmp_path / "link").symlink_to(folder)
    assert anonymize(folder, out=tmp_path / "link")[0] == 2
    assert contents(folder) == before
    (tmp_path / "full" / "things").mkdir(parents=True)
    (tmp_path / "full" / "things" / "green.png").write_bytes(b"mine")
    code, _, err = anonymize(folder, out=tmp_path / "full")
    assert code == 2
    assert "green.png exists and was not written by this command; use an empty folder" in err
    assert (tmp_path / "full" / "things" / "green.png").read_bytes() == b"mine"
    assert anonymize(folder, out=face)[2].endswith("is a file; use a folder\n")


def test_several_arguments_and_equal_names(folder, anonymize, tmp_path):
    copies = tmp_path / "copies"
    single = tmp_path / "single.png"
    Image.new("L", (30, 30)).save(single)
    assert anonymize(folder / "people", folder / "things", single)[0] == 0
    assert contents(copies).keys() - {_anonymize.RECORD} == {"people/indoor/face.jpg", "things/green.png", "single.png"}
    other = tmp_path / "other" / "things"
    other.mkdir(parents=True)
    Image.new("L", (9, 9)).save(other / "green.png")
    code, _, err = anonymize(folder / "things", other, out=tmp_path / "more")
    assert code == 2
    assert "would have the same copy, 'things/green.png'; use two --out folders" in err


def test_archives_and_formats_that_are_not_written(folder, anonymize, tmp_path):
    Image.new("P", (20, 20)).save(folder / "things" / "old.gif")
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    cv2.imwrite(str(folder / "things" / "deep.png"), deep)
    cv2.imwrite(str(folder / "things" / "gray.png"), deep[..., 0])
    Image.fromarray(np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)).save(folder / "things" / "float.tif")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, data in contents(folder).items():
            archive.writestr(name, data)
    code, lines, _ = anonymize(tmp_path / "all.zip")
    assert code == 0
    assert lines[0] == f"{tmp_path}/all.zip/people/indoor/face.jpg\t1"
    copies = tmp_path / "copies" / "things"
    assert read_image(copies / "old.gif.png").shape == (20, 20, 3)
    for name in ("deep.png", "gray.png", "float.tif"):
        np.testing.assert_array_equal(read_image(copies / name), read_image(folder / "things" / name))
    assert anonymize(tmp_path / "all.zip")[2].count("(6 of them by an earlier run)") == 1


def test_a_detector_that_cannot_run_is_refused_before_any_file(folder, tmp_path, capsys):
    code = main(["anonymize", str(folder), "--out", str(tmp_path / "copies"), "--detector", "missing.onnx"])
    assert code == 2
    assert "there is no detector file 'missing.onnx'" in capsys.readouterr().err
    assert not (tmp_path / "copies").exists()
