"""The table and the plot of the page about choosing features."""

import json

import pytest

from benchmarks import decision, render


def made(dataset, title, accuracy, speed, **more):
    return {
        "dataset": dataset, "title": title, "kind": decision.ENGINEERED, "accuracy": accuracy,
        "interval": [accuracy - 1, accuracy + 1], "images_per_second": speed, "megabytes": 2.0, **more,
    }  # fmt: skip


FOUND = [
    made("mnist", "slow", 99.0, 10.0),
    made("mnist", "fast", 95.0, 900.0),
    made("mnist", "poor", 80.0, 9000.0),
    made("mnist", "net", 99.5, 100.0, kind=decision.TRAINED),
]


def test_the_fast_model_is_nearly_as_accurate():
    line = decision.table(FOUND).splitlines()[2]
    assert line == (
        "| digits and letters (mnist) | slow: 99.0 % (98.0 to 100.0); 10 images/s, 2 MB "
        "| fast: 95.0 % (94.0 to 96.0); 900 images/s, 2 MB | net: 99.5 % (98.5 to 100.5); 100 images/s, 2 MB | not measured |"
    )


def test_the_plot_contains_its_numbers_and_is_repeatable(tmp_path):
    for name in ("one.svg", "two.svg"):
        decision.draw(FOUND, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert decision.drawn(tmp_path / "one.svg") == FOUND
    (tmp_path / "other.svg").write_text("<svg/>")
    with pytest.raises(ValueError, match="contains no figures"):
        decision.drawn(tmp_path / "other.svg")


def test_the_plot_of_the_page_equals_the_results():
    """If this fails, run `python benchmarks/decision.py`, which draws the plot."""
    assert decision.drawn() == decision.measured()


def test_kinds_of_models_come_from_their_parameters():
    kinds = {one["title"]: one["kind"] for one in decision.measured()}
    assert kinds["MobileNetV2 features"] == decision.PRETRAINED
    assert kinds["small ResNet"] == decision.TRAINED
    assert kinds["hog_svm"] == kinds["fisher_svm"] == decision.ENGINEERED


def test_validation_runs_are_left_out(tmp_path):
    rows = [json.loads(line) for line in (decision.RESULTS / "scenes.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[0]["split"]["validation"] = 0.3
    titles = [one["title"] for one in decision.figures(rows)]
    assert rows[0]["title"] not in titles
    assert len(titles) == len(set(titles))


def test_it_is_rendered():
    assert "docs/pictures" not in render.table("decision small.jsonl")
    assert "![Accuracy of all measured models on each dataset](pictures/decision.svg)" in render.table("decision small.jsonl")
