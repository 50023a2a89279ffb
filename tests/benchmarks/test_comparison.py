"""The sentences of docs/comparison.md follow from the figures: winners, tests of significance, and undertrained networks."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import comparison, render
from featrec.cli._bench_config import cells_of
from featrec.cli._bench_results import packed

N = 1000
CONFIGS = sorted(Path(render.ROOT, "benchmarks").glob("*.toml"))


def made(title, right, *, seed=0, step="SVC", dataset="mnist", **changed):
    """Return the row of a run that classifies only the first `right` images correctly."""
    true = np.arange(N) % 2
    predicted = np.where(np.arange(N) < right, true, 1 - true)
    return {
        "key": f"{title} {seed} {dataset}", "dataset": dataset, "dataset_options": {}, "recipe": title, "title": title,
        "options": {},
        "split": {"kind": "standard", "n_train": None, "n_test": None, "validation": None, "seed": None}, "seed": seed,
        "n_jobs": 2, "parameters": {"": "Pipeline", "step": step}, "classes": ["a", "b"], "labels": packed(true),
        "predicted": packed(predicted), "accuracy": right / N, "interval": [0, 1], "fit_seconds": 90.0,
        "images_per_second": 50.0, "peak_mb": 300.0, "model_bytes": 2_000_000, "versions": {"python": "3.12"},
        "machine": {"processor": "P", "cores": 2, "memory_gb": 8.0}, "commit": None, "dirty": None, "date": "2026-01-02",
    } | changed  # fmt: skip


def test_a_winning_network_is_reported_first():
    text = comparison.comparison([made("hog", 900), made("net", 950, step="CNNFeatures")])
    where, sentence, table = text.split("\n\n")
    assert where == "mnist, the standard split:"
    assert sentence == (
        "**The network wins:** net against hog, the best engineered recipe, 95.00 % against 90.00 % (p < 0.001)."
    )
    assert table.splitlines()[2].startswith("| net | 95.00 (93.47 to 96.19) | – | 1.5 | 50 | 2 | 300 |")
    assert table.splitlines()[3].startswith("| hog | 90.00 (87.98 to 91.71) | -5.00, p < 0.001 |")


@pytest.mark.parametrize(
    ("hog", "net", "said"),
    [
        (905, 900, "**No significant difference:** hog against net, 90.50 % against 90.00 % (p = "),
        (950, 900, "Engineered features win: hog against net, the best network, 95.00 % against 90.00 % (p < 0.001)."),
        (900, 902, "**No significant difference:** net against hog, 90.20 % against 90.00 % (p = "),
    ],
)
def test_a_lead_within_chance_is_reported_as_such(hog, net, said):
    assert said in comparison.comparison([made("hog", hog), made("net", net, step="CNNFeatures")])


def test_advantages_of_the_network_are_reported():
    light = {"fit_seconds": 30.0, "images_per_second": 5.0, "model_bytes": 1000}
    runs = [made("net", 900, step="CNNFeatures", seed=seed, **light) for seed in (0, 1)]
    text = comparison.comparison([made("hog", 900), *runs])
    assert "**The network net** trains 3 times as fast and is 2,000 times smaller. hog predicts 10 times as fast." in text
    text = comparison.comparison([made("hog", 900), runs[0]])
    assert "2,000 times smaller." in text
    assert "hog predicts" not in text, "one run's time makes no network look slow"
    text = comparison.comparison([made("hog", 900), made("net", 900, step="CNNFeatures")])
    assert "times" not in text


@pytest.mark.parametrize(("step", "dataset", "level"), [("LeNet5", "mnist", 989), ("SmallResNet", "cifar10", 900)])
def test_an_undertrained_network_supports_no_claim(step, dataset, level):
    hog, under = made("hog", 800, dataset=dataset), made("net", level - 1, step=step, dataset=dataset)
    text = comparison.comparison([hog, under])
    assert "No network that reaches its published accuracy was measured, so nothing is claimed about networks." in text
    assert f"net is undertrained ({(level - 1) / 10:.2f} %; expected: {level / 10:.1f} %); its row supports no claim." in text
    assert "| net (*undertrained*) |" in text
    assert "| hog | 80.00 (77.41 to 82.36) | – |" in text, "the best is the best of those that count"
    assert "wins" not in text
    text = comparison.comparison([hog, under | made("net", level, step=step, dataset=dataset)])
    assert "**The network wins:** net" in text
    assert "undertrained" not in text


def test_seeds_are_averaged_and_tested_image_by_image():
    rows = [made("a", right, seed=seed) for seed, right in enumerate((900, 910, 920))]
    rows += [made("b", 880), made("c", 900, fit_seconds=1.0)]
    a, c, b = comparison.comparison(rows).split("\n\n")[2].splitlines()[2:]
    assert a.startswith("| a | 91.00 (89.07 to 92.62), ± 1.00 over 3 seeds | – |")
    assert c.startswith("| c | 90.00 (87.98 to 91.71) | -1.00, p ")
    assert b.startswith("| b | 88.00")
    first, second = (comparison.entry([row]) for row in (made("a", 900), made("b", 890)))
    assert comparison.p_value(first, second) == pytest.approx(2 * 0.5**10), (
        "McNemar's exact test: ten pictures, all on one side"
    )
    other = made("b", 890) | {"labels": packed(np.ones(N, int))}
    assert comparison.p_value(first, comparison.entry([other])) is None
    several = comparison.entry(rows[:3])
    assert comparison.p_value(several, several) == 1.0
    assert comparison.p_value(several, first) < 0.01


def test_several_seeds_give_the_shortest_time_and_medians_otherwise():
    busy = {"fit_seconds": 600.0, "images_per_second": 9.0, "peak_mb": 320.0}
    rows = [made("a", 900), made("a", 900, seed=1, **busy), made("a", 900, seed=2, **busy)]
    assert comparison.comparison(rows).endswith("| – | 1.5 | 50 | 2 | 320 |")


def test_options_that_differ_from_the_defaults_are_listed():
    options = {"pixels_per_cell": [[4, 4], [7, 7]], "signed": True, "code": "triangle"}
    text = comparison.comparison([made("hog", 900, options=options), made("lbp", 800)])
    call = "- hog is `recipes.hog(pixels_per_cell=[[4, 4], [7, 7]], signed=True, code='triangle')`"
    assert text.split("\n\n")[-1] == call


def test_failed_and_missing_rows_are_named(tmp_path):
    config = tmp_path / "small.toml"
    config.write_text('[[recipe]]\nname = "hog"\n[[recipe]]\nname = "net"\ntitle = "The net"\n')
    text = comparison.comparison([made("hog", 900), made("lbp", 0, error="no")], config)
    assert "Failed: lbp." in text
    assert "Not measured yet: The net." in text


def test_the_table_is_rendered(tmp_path):
    rows = [made("hog", 900), made("hog", 500, dataset="cifar10")]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = render.table("comparison x.jsonl dataset=mnist split=standard validation=no", tmp_path)
    assert "| hog | 90.00" in text
    assert "50.00" not in text
    assert text.endswith("Measured on P, 2 cores, 8 GB; python 3.12; no commit; 2026-01-02.")
    assert render.table("comparison x.jsonl dataset=scene15", tmp_path) == render.NOTHING


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_can_be_read(path):
    import tomllib

    cells = list(cells_of(tomllib.loads(path.read_text(encoding="utf-8"))))
    assert len({json.dumps(cell, sort_keys=True) for cell in cells}) == len(cells) > 0
