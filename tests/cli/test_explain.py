"""featrec explain: a page, a line per image, and clear refusals before any work."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from featrec.cli import main
from featrec.datasets import ImageFolder
from featrec.descriptors import HOG, TinyImage
from featrec.persistence import save
from tests.cli.folders import write_dark_and_light


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dark_and_light(tmp_path_factory.mktemp("images"), 4)


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    images = ImageFolder(folder)
    path = tmp_path_factory.mktemp("models") / "tiny.featrec"
    save(make_pipeline(TinyImage(size=4), LogisticRegression()).fit(images, images.labels), path)
    return path


@pytest.fixture
def explain(model, tmp_path):
    """Run the command; return its exit code and the page, or None if there is none."""

    def run(*words, model=model, out=tmp_path / "page.html"):
        code = main(["explain", str(model), *map(str, words), "--out", str(out)])
        return code, out.read_text(encoding="utf-8") if out.exists() else None

    return run


def test_a_page_and_a_line_per_image(folder, explain, capsys):
    files = [folder / "light" / "3.png", folder / "dark" / "1.png"]
    code, page = explain(*files)
    assert code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("\t")[0] for line in lines] == [str(file) for file in files]
    assert lines[0].partition("\t")[2].startswith("light: decision ")
    assert lines[0].endswith("from 16 parts (exact)")
    assert "Explanations of tiny.featrec" in page
    assert '<h3 id="image-1">dark/1.png</h3>' in page
    assert str(folder) not in page


def test_a_pair_of_classes_as_json(folder, explain, capsys):
    code, page = explain(folder / "light", "--target", "dark", "--rather-than", "light", "--json")
    assert code == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["target"] == ["dark", "light"]
    assert first["exact"]
    assert first["decision"] == pytest.approx(first["base_value"] + sum(first["words"].values()))
    assert "dark rather than light: decision" in page


def test_a_damaged_image_is_named_and_the_rest_is_explained(folder, explain, tmp_path, capsys):
    damaged = tmp_path / "damaged.png"
    damaged.write_text("no image")
    code, page = explain(damaged, folder / "dark" / "1.png")
    captured = capsys.readouterr()
    assert code == 1
    assert "damaged.png" in captured.err
    assert len(captured.out.splitlines()) == 1
    assert "Images that could not be read" in page
    assert page.count('<section class="explained"') == 1
    assert explain(damaged, "--force")[0] == 2


def test_more_images_than_the_limit(folder, explain, capsys):
    code, page = explain(folder, "--limit", "3")
    assert code == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert "only the first 3 of 8 images are on the page; use --limit 8 for all" in captured.err
    assert "Only the first 3 of 8 images are on this page" in page


WRONG = {
    "--target xyz": "--target 'xyz' is not a class of the model; its classes are dark, light",
    "--target drak": r"not a class of the model \(did you mean 'dark'\?\)",
    "--rather-than dark": "--rather-than needs --target",
    "--target dark --rather-than dark": "two different classes",
    "--limit 0": "a count must be an integer of at least 1",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_arguments_are_refused_before_work(words, folder, explain, capsys):
    try:
        code, page = explain(folder, *words.split())
    except SystemExit as stopped:
        code, page = stopped.code, None
    assert code == 2
    assert page is None
    captured = capsys.readouterr()
    assert not captured.out
    assert len(captured.err.splitlines()) == 1
    assert re.search(WRONG[words], captured.err)


def test_an_existing_page_is_kept(folder, explain, tmp_path, capsys):
    (tmp_path / "page.html").write_text("mine")
    assert explain(folder) == (2, "mine")
    assert "page.html exists; use --force to replace it" in capsys.readouterr().err
    assert explain(folder, "--force", "--limit", "1")[1] != "mine"


def test_a_model_that_only_occlusion_explains(folder, explain, tmp_path, capsys):
    images = ImageFolder(folder)
    path = tmp_path / "other.featrec"
    network = MLPClassifier((3,), max_iter=400, random_state=0)
    hog = HOG(pixels_per_cell=(8, 8), cells_per_block=(1, 1))
    save(make_pipeline(hog, network).fit(images, images.labels), path)
    file = folder / "dark" / "1.png"
    code, page = explain(file, model=path)
    assert (code, page) == (2, None)
    assert "MLPClassifier cannot be explained" in (err := capsys.readouterr().err)
    assert "--method occlusion explains any model" in err
    assert "explain(..." not in err
    code, page = explain(file, "--method", "occlusion", model=path)
    assert code == 0
    assert "Each block was replaced by the mean colour" in page


def test_numbers_as_classes(explain, tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 9), dtype=np.uint8)
    path = tmp_path / "numbers.featrec"
    save(make_pipeline(TinyImage(size=2), LogisticRegression()).fit(pixels, [3, 7] * 3), path)
    Image.fromarray(pixels[0]).save(tmp_path / "one.png")
    assert explain(tmp_path / "one.png", "--target", "7", "--json", model=path)[0] == 0
    assert json.loads(capsys.readouterr().out)["target"] == 7
