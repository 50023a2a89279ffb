"""Where numba is missing, as in Pyodide, the functions that students write run, and their checks judge them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The functions of the lessons' text, not those of featrec.course.exercises. Each runs on 20 to 40 drawn inputs.
CODE = """
import sys
for name in ("numba", "cv2", "sklearn", "skimage", "scipy", "joblib", "PIL", "matplotlib", "pandas"):
    sys.modules[name] = None
import numpy as np
from featrec.course import Lesson
from featrec.course._master import load_master
count = 0
for number in range(1, 11):
    names = {"np": np}
    for cell in load_master(number).exercises:
        exec(cell.source, names)
    for name in Lesson(number).exercises:
        lessons = [Lesson(number, seed=seed) for seed in range(8)]
        drawn = sum(len(lesson.exercises[name].cases(lesson.seed)) for lesson in lessons)
        assert 20 <= drawn <= 40, (name, drawn)
        for lesson in lessons:
            told = str(lesson.check(names[name]))
            assert told.startswith("Right"), (number, name, told)
        count += 1
print(count)
"""


def test_functions_of_all_lessons_run_without_numba():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["30"]


def test_what_needs_a_compiled_loop_names_numba():
    code = "import sys; sys.modules['numba'] = None\nfrom featrec.descriptors import DenseSIFT"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 1
    assert "numba" in done.stderr.splitlines()[-1]


def test_the_recipe_installs_what_featrec_needs():
    """The environment for JupyterLite has a package for each dependency; skops is only for model files."""
    yaml = pytest.importorskip("yaml", reason="reads the environment file")
    text = (ROOT / "docs" / "course" / "jupyterlite" / "environment.yml").read_text(encoding="utf-8")
    listed = yaml.safe_load(text)["dependencies"]
    names = {re.split(r"[<>=]", each)[0] for each in listed if isinstance(each, str)}
    needed = {
        re.split(r"[<>=\[]", line.strip(' ",'))[0]
        for line in re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.S | re.M)[1].splitlines()
        if line.strip()
    }
    assert {name.replace("-contrib-python", "") for name in needed} - names == {"skops"}
    assert {"pip": ["../../.."]} in listed
