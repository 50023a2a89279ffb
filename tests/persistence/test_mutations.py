"""Randomly damaged or edited model files are refused or harmless."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import sklearn

from tests.persistence.archives import unpacked

pytest.importorskip("resource", reason="limits on a process are POSIX's")
if not Path("/proc/self/statm").exists():
    pytest.skip("how much memory is in use is read as Linux tells it", allow_module_level=True)

from tests.persistence.mutations import GIGABYTE, KINDS, kind_and_family

ROOT = Path(__file__).parents[2]

# The mutated models were written by one version of scikit-learn. Another minor version reads some parameters differently (an
# SVC of 1.9 seems to have probabilities in 1.8). Such differences are not caused by a mutation.
WRITTEN_BY = unpacked((ROOT / "tests/data/model_v1_linear.featrec").read_bytes())[0]["versions"]["scikit-learn"]
SAME_MINOR = sklearn.__version__.split(".")[:2] == WRITTEN_BY.split(".")[:2]
pytestmark = pytest.mark.skipif(not SAME_MINOR, reason=f"the models were written by scikit-learn {WRITTEN_BY}")

# Damage must be detected or have no effect. Edited content with a matching hash is a different model: it may predict something
# else or raise a Python error when it predicts, but nothing worse.
ALLOWED = {"bytes": {"refused", "same"}, "content": {"refused", "same", "changed", "error"}}


def outcomes(start, stop, folder):
    """Return the result of each mutated file. If the process ends early, the current file crashed or hung."""
    found = []
    while start < stop:
        command = [sys.executable, "-m", "tests.persistence.mutations", str(start), str(stop), str(folder)]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        found += lines
        start += len(lines)
        if ran.returncode:
            worse = "executed" if ran.returncode == 77 else "hang" if "Timeout (" in ran.stderr else "crash"
            found.append([start, worse, f"{ran.returncode}: {ran.stderr[:2000]}", 0])
            start += 1
    return found


def check(start, stop, folder):
    """Fail on results that are not allowed, and count the others."""
    found = outcomes(start, stop, folder)
    assert [number for number, *_ in found] == list(range(start, stop))
    bad = [each[:3] for each in found if each[1] not in ALLOWED[kind_and_family(each[0])[1]]]
    assert not bad, bad[:5]
    peaks = [peak for *_, peak in found]
    assert max(peaks) - min(peaks) < GIGABYTE
    return Counter((*kind_and_family(number), outcome) for number, outcome, *_ in found)


def test_a_few_mutated_files_of_each_kind(tmp_path):
    counts = check(0, 96, tmp_path)
    assert {kind for kind, family, outcome in counts if outcome == "refused" and family == "content"} == set(KINDS)
    assert sum(count for (_, family, outcome), count in counts.items() if (family, outcome) == ("bytes", "refused")) > 35


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 6000, 1000))
def test_a_thousand_mutated_files_of_each_kind(start, tmp_path):
    counts = check(start, start + 1000, tmp_path)
    for (kind, family, outcome), count in sorted(counts.items()):
        sys.stdout.write(f"{kind} {family} {outcome} {count}\n")
