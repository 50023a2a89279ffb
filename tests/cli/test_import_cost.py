"""What importing costs: heavy packages come with the stages that need them, not with featrec or its help."""

import json
import subprocess
import sys
import time

import pytest

from featrec.cli._main import COMMANDS

STAGE = {"numba", "sklearn", "skimage", "cv2", "matplotlib", "onnxruntime", "torch"}
HEAVY = STAGE | {"numpy", "scipy", "joblib", "PIL", "pandas"}


def loaded_after(code: str) -> set[str]:
    """The packages that a fresh Python has loaded after a line of code."""
    report = "import json, sys; print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_root_loads_nothing_heavy():
    assert not loaded_after("import featrec") & HEAVY


def test_the_command_line_loads_nothing_heavy():
    assert not loaded_after("import featrec.cli") & HEAVY


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["compare", "--nonsense"], ["recipes"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_and_complaints_load_nothing_heavy(words):
    code = f"from featrec.cli import main\ntry:\n    main({words!r})\nexcept SystemExit:\n    pass"
    assert not loaded_after(code) & HEAVY


def test_a_noun_loads_no_stage():
    assert not loaded_after("from featrec import Bag, Bags, Images") & STAGE


def test_importing_takes_no_time_worth_mentioning():
    """A loose bound for a loaded machine; what it guards against (a stage at the root) costs a second."""
    code = "import time; start = time.perf_counter(); import featrec; print(time.perf_counter() - start)"
    seconds = min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in range(3))
    assert seconds < 0.2


def test_help_appears_at_once():
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "featrec", "--help"], capture_output=True, check=True)
    assert time.perf_counter() - start < 2.0
