"""Both sides of the end-to-end benchmark, on crops of textures."""

import json

import pytest
from PIL import Image

from benchmarks import end_to_end
from featrec.datasets import load_dataset

SMALL = ["--words", "20", "--levels", "2", "--step", "8", "--bins", "4", "6"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("textures")
    for half, pictures in zip(("train", "test"), load_dataset("textures", n_train=8, n_test=4), strict=True):
        for number, (picture, label) in enumerate(zip(pictures, pictures.labels, strict=True)):
            (root / half / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(root / half / label / f"{number:03}.png")
    return root


@pytest.mark.slow
def test_both_sides_in_fresh_processes(folder, tmp_path, capsys):
    out = tmp_path / "end_to_end.jsonl"
    assert end_to_end.main(["--data", str(folder), *SMALL, "--recipe", "bovw_svm", "--out", str(out)]) == 0
    ours, theirs = map(json.loads, out.read_text().splitlines())
    assert (ours["side"], theirs["side"]) == ("bovw_svm", "handwritten")
    assert ours["accuracy"] > 0.6
    assert theirs["accuracy"] > 0.35
    parts = ["reading and extraction", "vocabulary", "encoding", "classifier"]
    assert list(theirs["seconds"]) == [*parts, "total"]
    assert theirs["seconds"]["total"] == pytest.approx(sum(theirs["seconds"][part] for part in parts))
    assert len(ours["right"]) == len(theirs["right"]) == 32
    assert ours["right"].count("1") / 32 == pytest.approx(ours["accuracy"], abs=1e-5)
    text = capsys.readouterr().out
    assert "step 8, bins of 4 and 6, 20 words, 2 levels, 2 threads" in text
    assert "| handwritten |" in text


def test_a_recipe_without_words_is_refused(folder):
    with pytest.raises(SystemExit, match="the recipe has no BagOfWords, DenseSIFT, SpatialPyramid"):
        end_to_end.main(["--data", str(folder), "--ours", "--recipe", "color_forest"])
