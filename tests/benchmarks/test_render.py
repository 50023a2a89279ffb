"""The tables in the documents match the stored results."""

import json

import pytest

from benchmarks import render

TEXT = "before\n<!-- table: {} -->\nold\n<!-- end -->\nafter\n"


def test_tables_in_the_documents_equal_the_results(capsys):
    """If this fails, run `python benchmarks/render.py`, which updates the tables."""
    assert render.main(["--check"]) == 0, capsys.readouterr().out


def test_every_table_mark_is_valid():
    documents = render.documents()
    assert documents
    for path in documents:
        text = path.read_text(encoding="utf-8")
        assert text.count("<!-- table:") == len(render.MARKED.findall(text)) == text.count("<!-- end -->"), path


def test_an_outdated_document_is_found_and_updated(tmp_path, monkeypatch, capsys):
    page = tmp_path / "README.md"
    page.write_text(TEXT.format("speed no.jsonl"), encoding="utf-8")
    monkeypatch.setattr(render, "documents", lambda: [page])
    monkeypatch.setattr(render, "ROOT", tmp_path)
    assert render.main(["--check"]) == 1
    assert "README.md is outdated" in capsys.readouterr().out
    assert "old" in page.read_text(encoding="utf-8")
    assert render.main([]) == 0
    assert page.read_text(encoding="utf-8") == TEXT.format("speed no.jsonl").replace("old", render.NOTHING)
    assert render.main(["--check"]) == 0


MADE = {
    "versions": {"python": "3.12"},
    "machine": {"processor": "P", "cores": 2, "memory_gb": 8.0},
    "commit": "0123456789abcdef",
    "dirty": True,
    "date": "2026-01-02",
}
SPEED = MADE | {
    "topic": "hog", "work": "HOG", "against": "theirs", "target": 2.0, "threads": 1, "threads_theirs": 1, "ratio": 3.0,
    "low": 2.9, "high": 3.1, "cpu_ratio": 3.0, "met": True, "ours_ms": 1.0, "theirs_ms": 3.0, "share": 0.5, "share_of": "copy",
}  # fmt: skip


def test_speed(tmp_path):
    other = SPEED | {"topic": "lbp", "work": "LBP", "met": False, "threads": 2, "commit": "f" * 40, "dirty": False}
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (SPEED, other)))
    found = render.rendered(TEXT.format("speed s.jsonl"), tmp_path)
    assert "| HOG | theirs | 1 | 1 | 3 | 3 (2.9 to 3.1) | 3 | 2 | yes | 50 % of copy |" in found
    assert "| LBP | theirs | 2 against 1 | 1 | 3 | 3 (2.9 to 3.1) | 3 | 2 | **no** | 50 % of copy |" in found
    assert found.count("Measured on P, 2 cores, 8 GB; python 3.12; 0123456789 and changes, ffffffffff; 2026-01-02.") == 1
    assert found.count("Measured on") == 1
    assert found.startswith("before\n<!-- table: speed s.jsonl -->\n|")
    assert found.endswith("\n<!-- end -->\nafter\n")
    assert render.rendered(found, tmp_path) == found
    assert "LBP" not in render.table("speed s.jsonl topic=hog", tmp_path)


def test_bench(tmp_path):
    row = MADE | {
        "key": "1", "dataset": "d", "dataset_options": {}, "recipe": "r", "title": "r", "seed": 0, "n_jobs": 1,
        "parameters": {}, "split": {"kind": "standard", "n_train": None, "n_test": None, "validation": None, "seed": None},
        "accuracy": 0.8625, "interval": [0.85, 0.87], "fit_seconds": 2.0,
        "images_per_second": 50.0, "peak_mb": 300.0, "model_bytes": 1_000_000,
    }  # fmt: skip
    chosen = row | {"key": "2", "title": "chosen", "split": row["split"] | {"validation": 0.3, "seed": 0}}
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (row, chosen)))
    test = render.table("bench b.jsonl validation=no split=standard", tmp_path)
    assert "| r | 86.2 (85.0 to 87.0) | – | 2 | 50 | 300 | 1 |" in test
    assert "chosen" not in test
    assert "judged on 30 % of the training images" in render.table("bench b.jsonl title=chosen", tmp_path)
    assert render.table("bench b.jsonl split=random", tmp_path) == render.NOTHING


def test_an_unknown_table_is_refused(tmp_path):
    with pytest.raises(
        ValueError,
        match="a table shows bench, comparison, decision, end_to_end, few, networks, plot, robustness, serving, speed, "
        "unknown, verdict; got 'figure x'",
    ):
        render.table("figure x", tmp_path)
    (tmp_path / "b.jsonl").write_text('{"key": "1"}\n')
    with pytest.raises(ValueError, match="a table of bench accepts dataset, recipe, split, title and validation; got 'color'"):
        render.table("bench b.jsonl color=red", tmp_path)
