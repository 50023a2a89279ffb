"""featrec doctor: the findings, and a repair for each problem."""

import re
import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import cv2
import pytest

from featrec import compilation
from featrec.cli import _doctor, main


def found(check) -> dict[str, str | None]:
    return {finding.text: finding.repair for finding in check()}


def repairs(check) -> list[str]:
    return [repair for repair in found(check).values() if repair]


@pytest.fixture
def wheels(monkeypatch):
    """Set the installed distributions that provide cv2."""

    def install(*names):
        monkeypatch.setattr(metadata, "packages_distributions", lambda: {"cv2": list(names)})
        monkeypatch.setattr(_doctor, "_version", lambda name: "5.0.0.93")

    return install


@pytest.fixture
def imports(monkeypatch):
    """Set the module that an import returns, or the exception that it raises."""

    def install(module):
        def import_module(name):
            if isinstance(module, Exception):
                raise module
            return module

        monkeypatch.setattr(_doctor, "importlib", SimpleNamespace(import_module=import_module))

    return install


def test_the_exit_code_is_1_if_something_needs_repair(monkeypatch, capsys):
    monkeypatch.setattr(_doctor, "CHECKS", {"disk": lambda: [_doctor.Finding("has space")]})
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out == "disk\n  ok  has space\nno problems\n"
    monkeypatch.setattr(_doctor, "CHECKS", {"disk": lambda: [_doctor.Finding("is full", "rm -r junk")]})
    assert main(["doctor"]) == 1
    assert "  !!  is full\n      repair: rm -r junk\n1 problems; see" in capsys.readouterr().out


def test_every_check_has_findings():
    for title, check in _doctor.CHECKS.items():
        if title != "extras" or metadata.requires("featrec"):
            assert list(check()), title


def test_it_works_if_cv2_cannot_be_imported():
    code = "import sys; sys.modules['cv2'] = None; from featrec.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == ""
    assert "!!  cv2 cannot be imported" in done.stdout
    assert "extras" in done.stdout


WHEEL, BOTH = "opencv-contrib-python", ["opencv-python", "opencv-contrib-python", "opencv-python"]


@pytest.mark.parametrize(
    ("names", "module", "repair"),
    [
        (
            [WHEEL],
            ImportError("libGL.so.1: cannot open shared object file: No such file or directory"),
            rf".*uninstall -y {WHEEL} && .*--force-reinstall {WHEEL}-headless==5\.0\.0\.93\nor: .*",
        ),
        ([], ModuleNotFoundError("No module named 'cv2'"), f"(?!.*uninstall).*{WHEEL}"),
        (BOTH, cv2, f".*uninstall -y {WHEEL} opencv-python && .*--force-reinstall {WHEEL}"),
        (
            [f"{name}-headless" for name in BOTH],
            cv2,
            f".*uninstall -y {WHEEL}-headless opencv-python-headless && .*--force-reinstall {WHEEL}-headless",
        ),
    ],
    ids=["no desktop library", "no OpenCV", "two wheels", "two headless wheels"],
)
def test_an_installation_of_opencv_is_repaired(wheels, imports, names, module, repair):
    wheels(*names)
    imports(module)
    assert re.fullmatch(repair, repairs(_doctor.opencv)[0])


@pytest.mark.parametrize("place", ["cv2", "cv2.xfeatures2d"])
def test_detectors_are_found_in_both_places(wheels, imports, place):
    wheels("opencv-contrib-python")
    detectors = {f"{name}_create": None for name in _doctor.DETECTORS}
    module = SimpleNamespace(__version__="5.0.0", **(detectors if place == "cv2" else {}))
    if place == "cv2.xfeatures2d":
        module.xfeatures2d = SimpleNamespace(**detectors)
    imports(module)
    assert f"SIFT is in {place}" in found(_doctor.opencv)
    assert not repairs(_doctor.opencv)


def test_a_missing_detector_needs_the_contrib_wheel(wheels, imports):
    wheels("opencv-python")
    imports(SimpleNamespace(__version__="5.0.0", SIFT_create=None, ORB_create=None))
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
    assert len(repairs(_doctor.versions)) == 2


def test_extras_are_read_from_the_requirements(monkeypatch):
    lines = ["numpy>=1.26", 'featrec[plot]; extra == "test"', 'pytest>=8; extra == "test"', "torch>=2.3; extra == 'torch'"]
    monkeypatch.setattr(_doctor, "_requirements", lambda: lines)
    monkeypatch.setattr(_doctor, "_version", lambda name: None if name == "torch" else "9")
    installed, missing = found(_doctor.extras)
    assert installed == "test: installed"
    assert re.fullmatch(r"torch: not installed \(torch\): .*pip install 'featrec\[torch\]'", missing)


def test_a_cache_without_write_permission_needs_another_folder(monkeypatch):
    monkeypatch.setattr(_doctor, "_is_writable", lambda folder: False)
    (repair,) = repairs(_doctor.caches)
    assert repair.startswith("export NUMBA_CACHE_DIR=")


@pytest.mark.parametrize(
    ("n_cached", "message"),
    [
        (0, r"no loop is compiled for this processor \(znver4\) yet; run 'featrec warm' .*"),
        (7, r"7 of 11 loops are compiled for this processor \(znver4\), 2\.5 MB; run 'featrec warm' .*"),
    ],
)
def test_compiled_loops_in_the_cache_are_counted(monkeypatch, tmp_path, n_cached, message):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "not" / "yet"))
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setattr(compilation, "look_at_cache", lambda: compilation.Cache(tmp_path, 2_500_000, n_cached, 11, "znver4"))
    folder, loops = found(_doctor.caches)
    assert folder.endswith("(NUMBA_CACHE_DIR), which is writable")
    assert re.fullmatch(message, loops)


def test_available_datasets_are_listed(monkeypatch, tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").touch()
    (tmp_path / "fashion-mnist").mkdir()  # from an interrupted download
    monkeypatch.setenv("FEATREC_DATA", str(tmp_path))
    (text,) = found(_doctor.data)
    assert text.startswith(f"FEATREC_DATA={tmp_path} contains mnist; missing: fashion-mnist (fashion-mnist/")
    monkeypatch.setenv("FEATREC_DATA", str(tmp_path / "nowhere"))
    (repair,) = repairs(_doctor.data)
    assert repair.startswith("export FEATREC_DATA=")
    monkeypatch.delenv("FEATREC_DATA")
    (text,) = found(_doctor.data)
    assert text.startswith("FEATREC_DATA is not set")


def test_a_library_that_cannot_be_imported_is_reinstalled(imports):
    imports(ImportError("numba needs NumPy 2.4 or less"))
    findings = found(_doctor.threads)
    assert findings["numba cannot be imported: numba needs NumPy 2.4 or less"].endswith("--force-reinstall numba")
