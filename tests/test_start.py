"""The decisions of start.py; what it does with them is tried by .ci/run, which runs the README's commands."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "start.py").exists():
    pytest.skip("start.py is part of the repository, not of the package", allow_module_level=True)


@pytest.fixture(scope="module")
def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_python_and_opencv_are_those_of_the_package(start):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={'.'.join(map(str, start.OLDEST_PYTHON))}"
    assert any(re.match(rf"{start.CONTRIB}\W", requirement) for requirement in project["dependencies"])


def test_an_old_python_can_parse_it_and_reads_only_its_own_library():
    tree = ast.parse((ROOT / "start.py").read_text(), feature_version=(3, 8))
    imported = {name.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert imported <= sys.stdlib_module_names


def test_an_old_python_gets_an_error_in_one_line(start, monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    assert start.main(["demo"]) == 2
    told = capsys.readouterr().err
    assert re.fullmatch(r"start\.py: error: this is Python .* run start\.py with Python 3\.11 or newer\n", told)


def test_commands(start):
    assert start.decide_command(["test", "-x"]) == ({"test"}, ["-m", "pytest", "-n", "auto", "-x"])
    extras, command = start.decide_command(["docs", "--quick"])
    assert (extras, command[1:]) == ({"plot", "docs"}, ["--quick"])
    assert Path(command[0]).samefile(ROOT / "docs" / "build_site.py")
    assert start.decide_command(["demo", "--seed", "3"]) == (set(), ["-m", "featrec", "demo", "--seed", "3"])


@pytest.mark.parametrize(
    ("recorded", "extras", "complete"),
    [
        ([], set(), False),
        (["digest"], set(), True),
        (["digest"], {"test"}, False),
        (["digest", "test"], {"test"}, True),
        (["digest", "test"], set(), True),
        (["another", "test"], {"test"}, False),
    ],
)
def test_a_complete_installation_is_not_repeated(start, recorded, extras, complete):
    assert start.is_complete(recorded, "digest", extras) is complete


@pytest.fixture
def stamp(start, monkeypatch, tmp_path):
    """The stamp of an installation of another version, with an extra."""
    path = tmp_path / "stamp"
    path.write_text("another test")
    monkeypatch.setattr(start, "STAMP", path)
    monkeypatch.setattr(start, "make_venv", lambda: ["pip"])
    return path


def test_a_failed_installation_leaves_no_stamp(start, stamp, monkeypatch):
    def fail(command, problem):
        raise start.SetupError(problem)

    monkeypatch.setattr(start, "call", fail)
    with pytest.raises(start.SetupError, match="the installation failed"):
        start.set_up(set())
    assert not stamp.exists()


def test_extras_that_were_installed_stay_installed(start, stamp, monkeypatch):
    commands = []
    monkeypatch.setattr(start, "repair_opencv", commands.append)
    monkeypatch.setattr(start, "call", lambda command, problem: commands.append(command))
    assert start.set_up(set())
    assert commands[0][-2:] == ["--editable", ".[test]"]
    assert commands[1] == ["pip"]
    assert stamp.read_text().split()[1:] == ["test"]


@pytest.mark.parametrize(
    ("words", "was_to_install", "n_warmed"),
    [(["demo"], True, 1), (["recipes"], True, 1), (["demo"], False, 0), (["test"], True, 0)],
)
def test_what_the_demo_needs_is_compiled_after_an_installation(start, monkeypatch, capsys, words, was_to_install, n_warmed):
    commands = []
    monkeypatch.setattr(start, "set_up", lambda extras: was_to_install)
    monkeypatch.setattr(start, "run", lambda command: 0)
    monkeypatch.setattr(start.subprocess, "call", commands.append)
    assert start.main(words) == 0
    assert commands == [[str(start.PYTHON), "-m", "featrec", "warm", "--demo"]] * n_warmed
    assert capsys.readouterr().out.count("once on this machine") == n_warmed


def test_pip_of_this_python_is_used_without_ensurepip(start):
    assert start.decide_venv(True, True) == []
    assert start.decide_venv(True, None) == []
    assert start.decide_venv(None, True) == ["--without-pip"]
    with pytest.raises(start.SetupError, match="apt install python3-venv"):
        start.decide_venv(None, None)


@pytest.mark.parametrize(
    ("problem", "library"),
    [
        ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "libGL.so.1"),
        ("ImportError: /usr/lib/libGL.so.1: file too short", "/usr/lib/libGL.so.1"),
        ("ModuleNotFoundError: No module named 'cv2'", None),
        ("ImportError: numpy.core.multiarray failed to import", None),
        (None, None),
    ],
)
def test_a_missing_library_is_recognised(start, problem, library):
    assert start.missing_library(problem) == library


class Steps:
    """Stands for what start.py runs: an OpenCV whose problems come one after another."""

    def __init__(self, start, monkeypatch, problems):
        self.commands = []
        monkeypatch.setattr(start, "opencv_problem", lambda: problems.pop(0))
        done = subprocess.CompletedProcess([], 0, stdout="5.0.0.93\n")
        monkeypatch.setattr(start, "child", lambda code: done)
        monkeypatch.setattr(start, "call", lambda command, problem: self.commands.append(command))


def test_a_working_opencv_is_left_alone(start, monkeypatch):
    steps = Steps(start, monkeypatch, [None])
    start.repair_opencv(["pip"])
    assert steps.commands == []


def test_the_headless_wheel_of_the_same_version_replaces_it(start, monkeypatch, capsys):
    steps = Steps(start, monkeypatch, ["ImportError: libGL.so.1: cannot open shared object file", None])
    start.repair_opencv(["pip"])
    removal, installation = steps.commands
    assert removal[:2] == ["pip", "uninstall"]
    assert removal[-1] == "opencv-contrib-python"
    assert {"--no-deps", "--force-reinstall", "opencv-contrib-python-headless==5.0.0.93"} <= set(installation)
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(
    "problems",
    [["ImportError: libGL.so.1: file too short", "ImportError: libgthread-2.0.so.0: no"], ["ImportError: numpy is too old"]],
)
def test_other_problems_of_opencv_are_reported(start, monkeypatch, problems):
    Steps(start, monkeypatch, problems[:])
    with pytest.raises(start.SetupError, match=re.escape(problems[-1])):
        start.repair_opencv(["pip"])


def test_the_exit_code_passes_through(start, monkeypatch):
    monkeypatch.setattr(start, "PYTHON", Path(sys.executable))
    assert start.run(["-c", "raise SystemExit(7)"]) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to pass on")
def test_a_killed_command_gives_the_exit_code_of_a_shell(start, monkeypatch):
    monkeypatch.setattr(start, "PYTHON", Path(sys.executable))
    assert start.run(["-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"]) == 128 + 15
