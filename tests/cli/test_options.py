"""--set: values in the spellings of a shell, refused by the name of the recipe's option."""

import pytest

from featrec.cli import main
from featrec.cli._train import parse_options
from featrec.exceptions import InputError


@pytest.mark.parametrize("text", ["32,24", "(32,24)", "(32, 24)", "[32,24]", "[32, 24]", "32, 24"])
def test_several_numbers_in_any_spelling(text):
    assert parse_options("hog_svm", [f"size={text}"]) == {"size": [32, 24]}


@pytest.mark.parametrize(
    ("recipe", "text", "value"),
    [
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
def test_values_of_every_kind(recipe, text, value):
    assert list(parse_options(recipe, [text]).values()) == [value]


@pytest.mark.parametrize(
    ("recipe", "text", "message"),
    [
        ("bovw_svm", "n_words=many", r"--set n_words=many: n_words of bovw_svm is int, default=\d+; got 'many'"),
        ("vlad_svm:scenes", "n_words=many", r"n_words of vlad_svm is int, default=\d+; got 'many'"),
        ("hog_svm", "size=big", r"--set size=big: size of hog_svm is .*height, width.*; got 'big'"),
        (
            "color_forest",
            "n_estimators=-2",
            r"color_forest is int, default=300, in the range \[1, inf\); got -2",
        ),
        ("patches_ridge", "code=foo", r'code of patches_ridge is \{"threshold", "triangle"\}.*; got \'foo\''),
        ("hog_svm", "size", "--set expects NAME=VALUE, such as n_words=400 or mirror=true; got 'size'"),
        ("hog_svm", "szie=32", r"has no option 'szie' \(did you mean 'size'\?\)"),
    ],
)
def test_a_wrong_value_is_refused_by_the_option(recipe, text, message):
    with pytest.raises(InputError, match=message):
        parse_options(recipe, [text])


def test_the_help_says_what_set_takes(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "several numbers (size=32,32)" in told
    assert "fits the classifier six times" in told
