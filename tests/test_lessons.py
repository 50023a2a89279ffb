"""The demo runs from top to bottom, and its statements are true. The checks of its exercises are those of the course."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LESSONS = Path(__file__).resolve().parent.parent / "docs" / "lessons"


@pytest.fixture(scope="module")
def visual_words(tmp_path_factory):
    """What the lesson prints, and the folder it ran in; as a script of its own, with warnings as errors."""
    folder = tmp_path_factory.mktemp("lesson")
    environment = os.environ | {"MPLBACKEND": "Agg"}
    command = [sys.executable, "-W", "error", str(LESSONS / "visual_words.py"), str(folder / "figures")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), folder


def test_the_demo_leads_into_the_course():
    text = (LESSONS / "visual_words.py").read_text(encoding="utf-8")
    assert "[the course](../course/README.md)" in text
    assert {path.name for path in LESSONS.glob("*.*")} == {"README.md", "visual_words.py"}


def test_visual_words_without_matplotlib_says_what_to_install(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError(\"No module named 'matplotlib'\")")
    paths = os.pathsep.join(filter(None, [str(tmp_path), str(LESSONS.parent.parent), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, str(LESSONS / "visual_words.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("(No module named 'matplotlib'): pip install \".[plot]\"")


@pytest.mark.slow
def test_visual_words_makes_its_figures_and_nothing_else(visual_words):
    _, folder = visual_words
    assert list(folder.iterdir()) == [folder / "figures"]
    figures = sorted((folder / "figures").iterdir())
    assert [path.name.split("_")[0] for path in figures] == ["1", "2", "3", "4", "4", "5", "5", "6"]
    assert all(path.stat().st_size > 5_000 for path in figures)


@pytest.mark.slow
def test_visual_words_shows_the_check_and_ends_with_a_solution(visual_words):
    told, _ = visual_words
    assert sum(line.startswith("Not written yet") for line in told) == 2
    assert sum(line.startswith("Wrong bins: np.histogram") for line in told) == 1
    assert sum(line.startswith("Right: ") for line in told) == 2
    assert told[-1] == "the same: True"


@pytest.mark.slow
def test_statements_of_visual_words_are_true(visual_words):
    told = "\n".join(visual_words[0])
    assert "descriptors differ by 0 at most" in told
    bag, pyramid = (tuple(map(int, pair)) for pair in re.findall(r"shuffled (\d+)%, another photograph (\d+)%", told))
    assert bag[0] > 70
    assert bag[0] - bag[1] > pyramid[0] - pyramid[1] > 0
    assert float(re.search(r"([\d.]+)% of 320 images correct", told)[1]) > 80
