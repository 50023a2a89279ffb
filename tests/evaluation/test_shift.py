"""shift against evaluate, and Newcombe's interval against his published examples."""

import json

import numpy as np
import pytest

from featrec.datasets import load_dataset
from featrec.evaluation import evaluate, shift
from featrec.evaluation._shift import difference_interval
from featrec.exceptions import InputError
from featrec.preprocessing import AdjustLight
from featrec.recipes import tiny_knn


@pytest.fixture(scope="module")
def models():
    train, _ = load_dataset("digits")
    return {
        "one": tiny_knn(size=(8, 8)).fit(train[:100], train.labels[:100]),
        "two": tiny_knn(size=(4, 4)).fit(train[:300], train.labels[:300]),
    }


@pytest.fixture(scope="module")
def sets():
    _, test = load_dataset("digits")
    flipped = [image[::-1] for image in test[100:250]]
    return (test[:100], test.labels[:100]), (flipped, test.labels[100:250])


@pytest.fixture(scope="module")
def result(models, sets):
    return shift(models, *sets)


def test_agrees_with_evaluate(models, sets, result):
    for name, model in models.items():
        reports = [evaluate(model, X, y) for X, y in sets]
        assert (result[name].accuracy, result[name].shifted_accuracy) == tuple(each.accuracy for each in reports)
        assert (result[name].interval, result[name].shifted_interval) == tuple(each.interval for each in reports)
        assert result[name].difference == pytest.approx(reports[1].accuracy - reports[0].accuracy)
    assert result.n == 100
    assert result.n_shifted == 150


@pytest.mark.parametrize(
    "first, second, expected",
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
    ],
)
def test_newcombes_own_examples(first, second, expected):
    """Table II of Newcombe 1998, method 10."""
    np.testing.assert_allclose(difference_interval(first, second, 0.95), expected, atol=6e-5)


def test_text(result):
    text = str(result)
    assert "100 images in the first and 150 in the second test set." in text
    for row in result.results:
        assert f"{row.name} loses {-100 * row.difference:.1f} points on the second test set." in text
        assert f"{100 * row.difference:+.1f}" in text
    assert result.to_markdown().startswith("| model | first | 95 % interval | second |")


def test_no_change_is_not_certain(models, sets):
    first, _ = sets
    found = shift({"one": models["one"]}, first, first, confidence=0.9)
    assert found["one"].difference == 0
    assert "one: the interval of the difference contains 0, so a change is not certain." in str(found)


def test_json_frame_and_plot(result):
    assert json.loads(result.to_json())["results"][0]["name"] == result.results[0].name
    table = result.to_frame()
    assert table.loc["one", "difference_low"] == result["one"].difference_interval[0]
    assert table.loc["two", "shifted_high"] == result["two"].shifted_interval[1]
    ax = result.plot()
    drawn = {container.get_label(): container.lines[0].get_ydata() for container in ax.containers}
    np.testing.assert_allclose(drawn["one"], 100 * np.array([result["one"].accuracy, result["one"].shifted_accuracy]))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"first": [1]}, r"first must be a pair \(images, labels\); got list"),
        ({"second": load_dataset("digits")[1]}, r"second must be a pair .*; use second=\(second, second.labels\)"),
        ({"second": ([], [])}, "the second test set has no images"),
        ({"first": ([np.zeros((8, 8))], ["0", "1"])}, "the first test set's y has 2 labels for 1 images"),
        ({"models": {"new": tiny_knn()}}, "the model 'new' is not fitted; shift does not fit models"),
        ({"confidence": 2}, "confidence must be between 0 and 1"),
    ],
)
def test_wrong_arguments_are_refused(change, message, models, sets):
    given = {"models": models, "first": sets[0], "second": sets[1]} | change
    with pytest.raises(InputError, match=message):
        shift(**given)


def test_progress(models, sets, capsys):
    shift(models, sets[0], (AdjustLight(2.0).transform(sets[1][0][:5]), sets[1][1][:5]), verbose=1)
    assert capsys.readouterr().err.splitlines()[0].startswith("one: ")
