"""The benchmark of short commands runs, and prints its measurements."""

import json
from pathlib import Path

import pytest

from benchmarks import start_up
from benchmarks.start_up import Took


@pytest.mark.slow
def test_commands_are_run_and_timed(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert start_up.main(["tiny_knn", "--repeats", "1", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())
    assert list(rows) == ["--help", "recipes", "predict tiny_knn"]
    assert rows["predict tiny_knn"][0]["wall"] > rows["--help"][0]["wall"] > 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_checkouts_take_turns(monkeypatch, tmp_path):
    seen = []

    def run(checkout, words):
        seen.append(checkout.name)
        return Took(1.0, len(seen) / 10)

    monkeypatch.setattr(start_up, "run", run)
    found = start_up.measure([], [Path("new"), Path("old")], 3)
    assert seen == ["new", "old"] * 6
    assert [round(side.cpu, 3) for side in found["--help"]] == [0.3, 0.4]


def test_a_line_shows_the_ratio():
    told = " ".join(start_up.line("recipes", [Took(1.0, 0.5), Took(4.0, 1.0)]).split())
    assert told == "recipes 1.00 s ( 0.50 of the processor) against 4.00 s ( 1.00 of the processor) 0.25 (0.50) of it"
