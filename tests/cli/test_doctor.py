"""The doctor's findings, in health and in every sickness that it has a mend for."""

import importlib
import re
import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest

from featrec import compilation
from featrec.cli import _doctor, main


def found(examination) -> dict[str, str | None]:
    return {finding.text: finding.repair for finding in examination()}


@pytest.fixture
def wheels(monkeypatch):
    """The distributions that brought cv2."""

    def install(*names):
        monkeypatch.setattr(metadata, "packages_distributions", lambda: {"cv2": list(names)})
        monkeypatch.setattr(_doctor, "_version", lambda name: "5.0.0.93")

    return install


@pytest.fixture
def cv2(monkeypatch):
    """What importing cv2 gives; an exception is raised."""

    def install(module):
        def import_module(name):
            if isinstance(module, Exception):
                raise module
            return module

        monkeypatch.setattr(_doctor, "importlib", SimpleNamespace(import_module=import_module))

    return install


def test_the_exit_code_says_whether_something_is_to_be_mended(monkeypatch, capsys):
    monkeypatch.setattr(_doctor, "CHECKS", {"heart": lambda: [_doctor.Finding("beats")]})
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out == "heart\n  ok  beats\nno problems\n"
    monkeypatch.setattr(_doctor, "CHECKS", {"heart": lambda: [_doctor.Finding("stands still", "press")]})
    assert main(["doctor"]) == 1
    assert "  !!  stands still\n      repair: press\n1 problems; see" in capsys.readouterr().out


def test_every_examination_finds_something():
    for title, examine in _doctor.CHECKS.items():
        if title != "extras" or metadata.requires("featrec"):
            assert list(examine()), title


def test_it_works_where_cv2_cannot_be_imported():
    code = "import sys; sys.modules['cv2'] = None; from featrec.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == ""
    assert "!!  cv2 cannot be imported" in done.stdout
    assert "extras" in done.stdout


def test_a_missing_library_is_mended_with_the_headless_wheel_of_the_same_version(wheels, cv2):
    wheels("opencv-contrib-python")
    cv2(ImportError("libGL.so.1: cannot open shared object file: No such file or directory"))
    (mend,) = filter(None, found(_doctor.opencv).values())
    assert "uninstall -y opencv-contrib-python && " in mend
    assert "--force-reinstall opencv-contrib-python-headless==5.0.0.93" in mend


def test_no_opencv_is_mended_with_the_contributed_one(wheels, cv2):
    wheels()
    cv2(ModuleNotFoundError("No module named 'cv2'"))
    for mend in found(_doctor.opencv).values():
        assert mend.endswith("opencv-contrib-python")
        assert "uninstall" not in mend


def test_wheels_over_each_other_are_all_removed_first(wheels, cv2):
    wheels("opencv-python", "opencv-contrib-python", "opencv-python")
    cv2(importlib.import_module("cv2"))
    mend, *_ = filter(None, found(_doctor.opencv).values())
    assert "uninstall -y opencv-contrib-python opencv-python && " in mend
    assert mend.endswith("--force-reinstall opencv-contrib-python")


def test_two_headless_wheels_become_a_headless_one(wheels, cv2):
    wheels("opencv-python-headless", "opencv-contrib-python-headless")
    cv2(importlib.import_module("cv2"))
    mend, *_ = filter(None, found(_doctor.opencv).values())
    assert mend.endswith("--force-reinstall opencv-contrib-python-headless")


@pytest.mark.parametrize("place", ["cv2", "cv2.xfeatures2d"])
def test_detectors_are_found_in_both_places(wheels, cv2, place):
    wheels("opencv-contrib-python")
    detectors = {f"{name}_create": None for name in _doctor.DETECTORS}
    module = SimpleNamespace(__version__="5.0.0", **(detectors if place == "cv2" else {}))
    if place == "cv2.xfeatures2d":
        module.xfeatures2d = SimpleNamespace(**detectors)
    cv2(module)
    assert f"SIFT is in {place}" in found(_doctor.opencv)
    assert not any(found(_doctor.opencv).values())


def test_a_missing_detector_is_mended_with_the_contributed_wheel(wheels, cv2):
    wheels("opencv-python")
    cv2(SimpleNamespace(__version__="5.0.0", SIFT_create=None, ORB_create=None))
    findings = found(_doctor.opencv)
    assert findings["SIFT is in cv2"] is None
    assert findings["AKAZE is missing from this OpenCV"].endswith("opencv-contrib-python")


def test_missing_and_old_packages_are_named(monkeypatch):
    installed = {"numpy": "1.9.3", "skops": None}
    monkeypatch.setattr(_doctor, "_version", lambda name: installed.get(name, "999.0"))
    monkeypatch.setattr(_doctor, "_requirements", lambda: ["numpy>=1.26", "skops>=0.11", 'pooch>=1.8; extra == "data"'])
    findings = found(_doctor.versions)
    assert findings["numpy 1.9.3 is older than 1.26"].endswith("pip install --upgrade numpy")
    assert findings["skops is not installed"].endswith("pip install skops")
    assert len(list(filter(None, findings.values()))) == 2


def test_extras_are_read_from_the_requirements(monkeypatch):
    lines = ["numpy>=1.26", 'featrec[plot]; extra == "test"', 'pytest>=8; extra == "test"', "torch>=2.3; extra == 'torch'"]
    monkeypatch.setattr(_doctor, "_requirements", lambda: lines)
    monkeypatch.setattr(_doctor, "_version", lambda name: None if name == "torch" else "9")
    installed, missing = found(_doctor.extras)
    assert installed == "test: installed"
    assert missing.startswith("torch: not installed (torch): ")
    assert missing.endswith("pip install 'featrec[torch]'")


def test_a_cache_that_cannot_be_written_is_mended(monkeypatch):
    monkeypatch.setattr(_doctor, "_is_writable", lambda folder: False)
    (mend,) = filter(None, found(_doctor.caches).values())
    assert mend.startswith("export NUMBA_CACHE_DIR=")


def test_a_cache_folder_that_is_not_there_yet_can_be_made(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "not" / "yet"))
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    text, _ = found(_doctor.caches)
    assert text.endswith("(NUMBA_CACHE_DIR), which is writable")


@pytest.mark.parametrize(
    ("n_cached", "told"),
    [
        (0, r"no loop is compiled for this processor \(znver4\) yet; run 'featrec warm' .*"),
        (7, r"7 of 11 loops are compiled for this processor \(znver4\), 2\.5 MB; run 'featrec warm' .*"),
    ],
)
def test_it_says_how_warm_the_cache_is(monkeypatch, tmp_path, n_cached, told):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setattr(compilation, "look_at_cache", lambda: compilation.Cache(tmp_path, 2_500_000, n_cached, 11, "znver4"))
    _, text = found(_doctor.caches)
    assert re.fullmatch(told, text)


def test_data_sets_at_hand_are_listed(monkeypatch, tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").touch()
    (tmp_path / "fashion-mnist").mkdir()  # left by a download that was cut off
    monkeypatch.setenv("FEATREC_DATA", str(tmp_path))
    (text,) = found(_doctor.data)
    assert text.startswith(f"FEATREC_DATA={tmp_path} contains mnist; missing: fashion-mnist (fashion-mnist/")
    monkeypatch.setenv("FEATREC_DATA", str(tmp_path / "nowhere"))
    (mend,) = found(_doctor.data).values()
    assert mend.startswith("export FEATREC_DATA=")
    monkeypatch.delenv("FEATREC_DATA")
    (text,) = found(_doctor.data)
    assert text.startswith("FEATREC_DATA is not set")


def test_a_library_that_cannot_be_imported_is_mended(cv2):
    cv2(ImportError("numba needs NumPy 2.4 or less"))
    findings = found(_doctor.threads)
    assert findings["numba cannot be imported: numba needs NumPy 2.4 or less"].endswith("--force-reinstall numba")
