"""The table and the plot of accuracy against the number of training images match the stored results."""

import json

import pytest

from benchmarks import few_images, render
from featrec.cli._bench_results import read_results
from tests.benchmarks.test_comparison import made


def rows(**accuracies):
    found = []
    for title, by_number in accuracies.items():
        for n, shares in by_number.items():
            split = {"kind": "standard", "n_train": n, "n_test": None, "validation": None}
            for seed, share in enumerate(shares):
                changed = {"key": f"{title} {n} {seed}", "accuracy": share, "split": split | {"seed": seed}}
                found.append(made(title, 0, seed=seed, **changed))
    return found


ROWS = rows(hog={10: [0.3, 0.4], 100: [0.6]}, net={10: [0.5, 0.5], 100: [0.7, 0.72]})


def test_mean_and_deviation_of_the_draws():
    lines = few_images.table(ROWS).splitlines()
    assert lines[0] == "| accuracy, %, by number of training images per class | 10 | 100 |"
    assert lines[2] == "| hog | 35.0 ± 7.1 (2 draws) | 60.0 (1 draw) |"
    assert lines[3] == "| net | 50.0 ± 0.0 (2 draws) | 71.0 ± 1.4 (2 draws) |"


@pytest.mark.parametrize(
    ("best", "said"),
    [
        (0.7, "With 100 images per class, no recipe reaches 80 %; the best, net, reaches 70.0 %."),
        (0.85, "With 100 images per class, 80 % are reached by net; the best, net, reaches 85.0 %."),
    ],
)
def test_the_claim_follows_the_best_row(best, said):
    assert few_images.table(rows(hog={100: [0.6]}, net={100: [best]})).endswith(said)


def test_the_text_says_from_when_on_the_network_leads():
    network = {10: [0.30, 0.32], 50: [0.5, 0.6, 0.7], 100: [0.70, 0.72], 500: [0.80, 0.81]}
    hog = {10: [0.40, 0.42001], 50: [0.6, 0.5, 0.6], 100: [0.50, 0.52001], 500: [0.70, 0.71001]}
    shares = {"small ResNet": network, "hog": hog}
    said = (
        "Best model trained on these images alone (paired t test over the draws): "
        "hog with 10, no significant difference with 50, small ResNet with 100 and 500."
    )
    assert few_images._from_scratch(shares) == said
    assert few_images._from_scratch({**shares, "MobileNetV2 features": {10: [0.9], 50: [0.9]}}) == said
    assert few_images._from_scratch({"hog": shares["hog"]}) == ""
    assert few_images._from_scratch({"small ResNet": shares["small ResNet"]}) == ""


@pytest.mark.parametrize(("network", "hog"), [([0.9], [0.1]), ([0.9, 0.9, 0.9], [0.1, 0.1]), ([0.5, 0.6], [0.5, 0.6])])
def test_a_lead_needs_enough_draws(network, hog):
    said = few_images._from_scratch({"small ResNet": {10: network}, "hog": {10: hog}})
    assert said.endswith(": no significant difference with 10.")


def test_draws_are_paired_by_their_seeds_whatever_the_order_of_the_rows():
    forward, backward = rows(a={10: [0.1, 0.2, 0.3]}), rows(b={10: [0.1, 0.2, 0.3]})[::-1]
    assert few_images.figures([*forward, *backward]) == {"a": {10: [0.1, 0.2, 0.3]}, "b": {10: [0.1, 0.2, 0.3]}}


def test_numbers_without_results_are_not_mentioned():
    assert "With 100" not in few_images.table(rows(hog={10: [0.6]}))
    assert "| hog | 60.0 (1 draw) | – |" in few_images.table(rows(hog={10: [0.6]}, net={500: [0.6]}))


def test_draws_with_other_options_belong_to_another_row():
    other = made("hog", 0, seed=7, options={"C": 3.0}, split=ROWS[0]["split"])
    with pytest.raises(ValueError, match=r"draws of hog with different options cannot form one row: \{.*\} and \{'C': 3.0\}"):
        few_images.figures([*ROWS, other])


def test_a_failed_run_is_left_out():
    assert few_images.figures([made("x", 0, error="no")]) == {}


def test_the_figure_contains_its_numbers_and_is_repeatable(tmp_path):
    found = few_images.figures(ROWS)
    few_images.draw(found, tmp_path / "one.svg")
    few_images.draw(found, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert few_images.drawn(tmp_path / "one.svg") == found
    (tmp_path / "other.svg").write_text("<svg/>")
    with pytest.raises(ValueError, match="contains no figures"):
        few_images.drawn(tmp_path / "other.svg")


def test_the_figure_of_the_page_equals_the_results():
    """If this fails, run `python benchmarks/few_images.py`, which draws the plot."""
    found = few_images.figures(read_results(few_images.RESULTS).values())
    assert few_images.PICTURE.exists() == bool(found)
    assert not found or few_images.drawn() == found


def test_it_is_rendered(tmp_path):
    (tmp_path / "few.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert "| hog | 35.0" in render.table("few few.jsonl", tmp_path)
    assert render.table("few few.jsonl dataset=cifar10", tmp_path) == render.NOTHING
    assert render.table("plot few.jsonl", tmp_path) == render.NOTHING
