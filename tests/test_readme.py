"""The Python of the README runs unchanged, from top to bottom."""

import re
from pathlib import Path

import pytest

from featrec import datasets, recipes
from featrec.base import Estimator
from featrec.recipes._presets import PRESETS

README = Path(__file__).resolve().parent.parent / "README.md"
SMALL_PICTURES = README.parent / "docs" / "small_pictures.md"


def blocks(language, page=README):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)


def run_blocks():
    """The names that the README's Python defines; the working directory receives its files."""
    names = {}
    for block in blocks("python"):
        exec(compile(block, str(README), "exec"), names)
        if "again = load" in block:
            assert (names["again"].predict(names["test"][:5]) == names["model"].predict(names["test"][:5])).all()
    return names


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    """On few images."""
    load = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda name: [part[:80] for part in load(name)])
    monkeypatch.chdir(tmp_path)
    run_blocks()
    assert "colour" in capsys.readouterr().out


@pytest.mark.slow
def test_the_models_of_the_readme_are_accurate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_blocks()
    assert names["report"].accuracy > 0.5
    assert names["model"].score(names["test"], names["test"].labels) > 0.98


def test_the_python_of_small_images_runs(capsys):
    names = {}
    for block in blocks("python", SMALL_PICTURES):
        exec(compile(block, str(SMALL_PICTURES), "exec"), names)
    score, memory = capsys.readouterr().out.splitlines()
    assert float(score) > 0.97
    assert memory == "11.1 GB for the last step"


def test_the_calls_in_the_table_of_small_images_make_models():
    """And presets are named beside the dataset that they were measured on."""
    n_told = 0
    for line in SMALL_PICTURES.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            continue
        for call in re.findall(r"`(make\([^`]+)`", line):
            n_told += 1
            for step in eval(call, {"make": recipes.make}).named_steps.values():
                if isinstance(step, Estimator):
                    step._check_parameters()
            if preset := re.search(r'"(\w+):(\w+)"', call):
                dataset = re.search(r"\(([\w-]+)\)", line)[1].lower().replace("cifar-10", "cifar10")
                assert PRESETS[preset[1]][preset[2]].dataset == dataset, call
    assert n_told == 6


def test_the_first_example_is_short_and_the_commands_are_one_line():
    assert len(blocks("python")[0].strip().splitlines()) <= 11
    assert blocks("sh")[0].strip() == "python3 start.py demo"
    assert blocks("sh")[1].strip() == "python3 start.py test"


@pytest.mark.parametrize("page", [README, SMALL_PICTURES], ids=["README", "small_pictures"])
def test_links_of_the_page_exist(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target
