"""The speed benchmark: all rows run, agree with the other side, and contain the required fields."""

import importlib
import json
import time

import numpy as np
import pytest

from benchmarks import speed
from benchmarks.rows._row import Row


def same(ours, theirs):
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("topic", speed.topics())
def test_every_row_runs_and_agrees(topic):
    """Rows are much smaller than in the benchmark, because only agreement and form are tested."""
    lines = list(speed.run([topic], scale=0.01, repeats=1, seconds=0))
    assert lines or speed.missing_peers(importlib.import_module(f"benchmarks.rows.{topic}"))
    for line in lines:
        assert "error" not in line, (line["work"], line["error"])
        assert line["ratio"] > 0
        assert line["ours_ms"] > 0
        assert line["share_of"] in ("products", "copy")
        assert line["share"] >= 0  # rounded: 0 on a busy machine
    assert len({(line["work"], line["against"], line["threads"]) for line in lines}) == len(lines)


def test_ratio_and_target():
    yardstick = speed.Yardstick(0.01)
    row = Row("sleep", "longer sleep", 2.0, lambda: time.sleep(0.05), lambda: time.sleep(0.15), lambda a, b: None, products=1e6)
    found = speed.measure(row, yardstick, repeats=5, seconds=0)
    assert 2 < found["ratio"] < 4
    assert found["met"] is True
    assert found["rounds"] == 5
    assert found["low"] <= found["ratio"] <= found["high"]
    assert found["ours_cpu_ms"] < 5
    assert found["share"] == pytest.approx(1e6 / (found["ours_ms"] / 1e3) / found["machine_gflops"] / 1e9, rel=0.1)
    slower = speed.measure(Row("a", "b", 2.0, row.theirs, row.ours, row.agree, bytes_moved=1.0), yardstick, 3, 0)
    assert slower["met"] is False
    assert slower["share_of"] == "copy"


def test_short_work_is_repeated_within_a_round():
    row = Row("a", "b", 1.0, lambda: time.sleep(0.001), lambda: time.sleep(0.001), lambda a, b: None, products=1.0)
    found = speed.measure(row, speed.Yardstick(0.01), repeats=2, seconds=0.3)
    assert min(found["calls"]) >= 2
    assert found["rounds"] > 2


def test_thread_limits_are_set_and_restored():
    cv2 = pytest.importorskip("cv2")
    before = cv2.getNumThreads()
    inside = []
    row = Row("a", "b", 1.0, lambda: inside.append(cv2.getNumThreads()), lambda: inside.append(-cv2.getNumThreads()),
              lambda a, b: None, threads=1, threads_theirs=2, products=1.0)  # fmt: skip
    speed.measure(row, speed.Yardstick(0.01), repeats=1, seconds=0)
    assert set(inside) == {1, -2}
    assert cv2.getNumThreads() == before


class Topic:
    """A module with a row whose results differ, and a row that misses its target."""

    PEERS = ("no_such_package_at_all",)

    @staticmethod
    def rows(scale):
        yield Row("wrong", "numpy", 1.0, lambda: np.zeros(3), lambda: np.ones(3), same, products=1.0)
        yield Row("slow", "numpy", 1e9, lambda: np.ones(3), lambda: np.ones(3), same, products=1.0)


def test_differences_and_missed_targets_fail(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(speed.importlib, "import_module", lambda name: Topic)
    monkeypatch.setattr(speed, "topics", lambda: ["made_up"])
    out = tmp_path / "speed.jsonl"
    words = ["--scale", "0.01", "--repeats", "1", "--seconds", "0", "--json", str(out)]
    assert speed.main(words) == 1
    captured = capsys.readouterr()
    assert "no_such_package_at_all is not installed" in captured.err
    assert "wrong: AssertionError" in captured.err
    wrong, slow = map(json.loads, out.read_text().splitlines())
    assert wrong["error"].startswith("AssertionError: Arrays are not equal")
    assert slow["met"] is False
    assert captured.out.count("**no**") == 2
    monkeypatch.setattr(Topic, "rows", lambda scale: iter([Row("slow", "numpy", 1e9, list, list, same, products=1.0)]))
    assert speed.main(words) == 0
    assert speed.main([*words, "--strict"]) == 1


def test_results_of_other_topics_are_kept(tmp_path):
    out = tmp_path / "speed.jsonl"
    speed.keep([{"topic": "b", "work": 1}, {"topic": "c", "work": 2}], out)
    speed.keep([{"topic": "a", "work": 3}, {"topic": "c", "work": 4}], out)
    assert [json.loads(line)["work"] for line in out.read_text().splitlines()] == [3, 1, 4]
