"""featrec train: the model file, options of recipes and networks, and the split into training and test images."""

import re
from argparse import Namespace
from collections import Counter

import pytest

from featrec.cli import main
from featrec.cli._arguments import make_recipe, parse_network
from featrec.cli._train import parse_options, read_split
from featrec.exceptions import InputError
from featrec.persistence import load
from tests.cli.folders import write_dark_and_light, write_gray


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dark_and_light(tmp_path_factory.mktemp("images"))


def train(folder, out, *words, recipe="tiny_knn"):
    return main(["train", str(folder), "--recipe", recipe, "--out", str(out), "--n-jobs", "1", *words])


def test_the_accuracy_and_the_next_command_are_printed(folder, tmp_path, capsys):
    out = tmp_path / "model.featrec"
    assert train(folder, out, "--holdout", "0.3", recipe="color_forest") == 0
    captured = capsys.readouterr()
    assert "100.0 %" in captured.out
    assert f"next: featrec predict {out} FILES" in captured.out
    assert captured.err == ""
    assert load(out).predict([str(folder / "dark" / "1.png")]) == ["dark"]


def test_without_test_images_no_accuracy_is_printed(folder, tmp_path, capsys):
    assert train(folder, tmp_path / "m", "--holdout", "0") == 0
    assert "precision" not in capsys.readouterr().out


def test_the_model_is_saved_before_it_is_evaluated(folder, tmp_path, monkeypatch):
    def fail(*given):
        raise OSError("the reader of the pipe has ended")

    monkeypatch.setattr("featrec.evaluation.evaluate", fail)
    assert train(folder, tmp_path / "m") == 2
    assert load(tmp_path / "m")


def test_force_replaces_a_model(folder, tmp_path):
    out = tmp_path / "m"
    out.write_bytes(b"old")
    assert train(folder, out, "--force") == 0
    assert load(out)


def test_options_of_the_recipe_are_set(folder, tmp_path):
    assert train(folder, tmp_path / "m", "--set", "n_neighbors=3", "--set", "size=[8, 8]") == 0
    fitted = load(tmp_path / "m")
    assert fitted[-1].n_neighbors == 3
    assert list(fitted[0].size) == [8, 8]


@pytest.mark.parametrize(
    ("recipe", "text", "value"),
    [
        *[("hog_svm", f"size={text}", [32, 24]) for text in ("32,24", "(32,24)", "(32, 24)", "[32,24]", "[32, 24]", "32, 24")],
        ("hog_svm", "size=32", 32),
        ("hog_svm", "size=none", None),
        ("hog_svm", "size=None", None),
        ("hog_svm", "deskew=true", True),
        ("hog_svm", "deskew=False", False),
        ("hog_svm", "C=0.5", 0.5),
        ("bovw_svm", "levels=(1,1),(2,2)", [[1, 1], [2, 2]]),
        ("patches_ridge", "code=triangle", "triangle"),
        ("patches_ridge", "color=rgb,gray", ["rgb", "gray"]),
        ("patches_ridge:digits", "n_words=20", 20),
    ],
)
def test_values_of_every_type(recipe, text, value):
    assert list(parse_options(recipe, [text]).values()) == [value]


@pytest.mark.parametrize(
    ("recipe", "text", "message"),
    [
        ("bovw_svm", "n_words=many", r"--set n_words=many: n_words of bovw_svm is int, default=\d+; got 'many'"),
        ("vlad_svm:scenes", "n_words=many", r"n_words of vlad_svm is int, default=\d+; got 'many'"),
        ("hog_svm", "size=big", r"--set size=big: size of hog_svm is .*height, width.*; got 'big'"),
        ("color_forest", "n_estimators=-2", r"color_forest is int, default=300, in the range \[1, inf\); got -2"),
        ("patches_ridge", "code=foo", r'code of patches_ridge is \{"threshold", "triangle"\}.*; got \'foo\''),
        ("hog_svm", "size", "--set expects NAME=VALUE, such as n_words=400 or mirror=true; got 'size'"),
        ("hog_svm", "szie=32", r"has no option 'szie' \(did you mean 'size'\?\)"),
    ],
)
def test_the_error_names_the_option_with_a_wrong_value(recipe, text, message):
    with pytest.raises(InputError, match=message):
        parse_options(recipe, [text])


def test_the_help_describes_values(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "several numbers (size=32,32)" in text
    assert "fits the classifier six times" in text


@pytest.mark.parametrize(
    ("text", "file", "options"),
    [
        ("net.onnx", "net.onnx", {}),
        ("net.onnx,layer=feat", "net.onnx", {"layer": "feat"}),
        ("a,b.onnx,layer=feat,preprocessing=caffe", "a,b.onnx", {"layer": "feat", "preprocessing": "caffe"}),
        ("net.onnx,size=227", "net.onnx", {"size": (227, 227)}),
    ],
)
def test_a_network_is_a_file_with_options(text, file, options):
    assert parse_network(text) == (file, options)


def test_the_seed_is_set_in_all_random_steps():
    assert make_recipe("color_forest", n_jobs=1, seed=17)[-1].random_state == 17
    assert make_recipe("tiny_knn", n_jobs=1, seed=17)[-1].n_jobs == 1


# The split into training and test images


@pytest.fixture
def write(tmp_path):
    """Write a number of images into each class folder."""

    def write_folder(place, **counts):
        for name, count in counts.items():
            images = write_gray(tmp_path / "all" / name, 2 * count) / "a"
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            images.rename(tmp_path / place / name)
        return tmp_path / place

    return write_folder


def split(folder, *, test=None, holdout=None, seed=0):
    return read_split(Namespace(folder=folder, test=test, holdout=holdout, seed=seed, n_jobs=1))


@pytest.mark.parametrize(
    ("counts", "holdout", "held_out"),
    [
        ({"cat": 10, "dog": 15}, None, {"cat": 2, "dog": 3}),
        ({"cat": 1, "dog": 2, "emu": 3}, 0.9, {"dog": 1, "emu": 2}),
        ({"cat": 3, "dog": 2}, 0.0, {}),
    ],
)
def test_a_share_of_each_class_is_held_out(write, counts, holdout, held_out):
    train, test = split(write("images", **counts), holdout=holdout)
    found = Counter([] if test is None else test.labels.tolist())
    assert found == held_out
    assert Counter(train.labels.tolist()) + found == counts
    assert test is None or not set(train.paths) & set(test.paths)


def test_the_seed_selects_the_test_images(write):
    folder = write("images", cat=30)
    again, other = split(folder, seed=1)[1].paths, split(folder, seed=2)[1].paths
    assert split(folder, seed=1)[1].paths == again != other


def test_classes_with_one_image_leave_no_test_images(write):
    with pytest.raises(InputError, match="--holdout 0 trains on all"):
        split(write("images", cat=1, dog=1))


def test_train_and_test_folders_are_used_unchanged(write):
    folder = write("both/train", cat=2, dog=1).parent
    write("both/test", cat=1)
    train, test = split(folder)
    assert train.labels.tolist() == ["cat", "cat", "dog"]
    assert test.labels.tolist() == ["cat"]
    assert [len(half) for half in split(write("here", cat=2, dog=1), test=write("there", cat=3, dog=1))] == [3, 4]
    with pytest.raises(InputError, match=re.escape("omit --test and --holdout")):
        split(folder, test=folder / "test")
