"""evaluate and Report."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import accuracy_score

from featrec.evaluation import evaluate
from featrec.exceptions import InputError, MissingExtraError


class Predicts:
    """A fitted model whose predictions are its input."""

    def __init__(self, classes=None):
        if classes is not None:
            self.classes_ = np.array(classes)

    def predict(self, X):
        return np.array(X)

    def fit(self, X, y):
        raise AssertionError("evaluate never fits")


TRUE = ["cat", "cat", "cat", "dog", "dog", "owl"]
PREDICTED = ["cat", "dog", "dog", "dog", "dog", "cat"]


def test_figures_of_a_small_example():
    report = evaluate(Predicts(["cat", "dog", "owl"]), PREDICTED, TRUE)
    assert report.accuracy == accuracy_score(TRUE, PREDICTED) == 0.5
    assert report.classes.tolist() == ["cat", "dog", "owl"]
    assert report.confusion.tolist() == [[1, 2, 0], [0, 2, 0], [1, 0, 0]]
    assert report.balanced_accuracy == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert report.support.tolist() == [3, 2, 1]
    assert report.interval[0] < 0.5 < report.interval[1]
    assert report.n == 6
    assert report.y_true.tolist() == TRUE
    assert report.y_pred.tolist() == PREDICTED
    assert report.images_per_second == pytest.approx(6 / report.predict_seconds)
    assert report.unseen == ()
    assert report.most_confused() == [("cat", "dog", 2), ("owl", "cat", 1)]


def test_the_text_contains_all_figures():
    lines = str(evaluate(Predicts(["cat", "dog", "owl"]), PREDICTED, TRUE)).splitlines()
    assert lines[0].startswith("accuracy 50.0 % (95 % interval 18.8 to 81.2), balanced 44.4 %, 6 images of 3 classes, ")
    assert lines[2:6] == [
        "class  precision  recall    F1  images",
        "cat         50.0    33.3  40.0       3",
        "dog         50.0   100.0  66.7       2",
        "owl          0.0     0.0   0.0       1",
    ]
    assert "  cat predicted as dog: 2 of 3" in lines
    assert lines[-1] == "Never predicted, so the precision is set to 0: owl."


def test_repr_is_the_text_and_html_is_escaped():
    report = evaluate(Predicts(), ["<b>", "a"], ["<b>", "a"])
    assert repr(report) == str(report)
    assert "<th>&lt;b&gt;</th>" in report._repr_html_()
    assert "<b>" not in report._repr_html_()


def test_with_many_classes_the_table_shows_the_worst():
    labels = np.arange(50)
    text = str(evaluate(Predicts(), np.where(labels == 49, 0, labels), labels))
    assert "The table shows the 30 of 50 classes with the lowest F1." in text
    assert "\n49 " in text


def test_labels_that_the_model_does_not_know_are_errors_and_reported():
    report = evaluate(Predicts(["cat", "dog"]), ["cat", "dog", "cat"], ["cat", "fox", "elk"])
    assert report.accuracy == pytest.approx(1 / 3)
    assert report.unseen == ("elk", "fox")
    assert "2 images have labels that the model does not know and count as errors: elk, fox." in str(report)


def test_groups_have_accuracies_and_small_ones_a_note():
    groups = np.array(["indoor"] * 40 + ["outdoor"] * 4)
    y = np.array(["a", "b"] * 22)
    predicted = np.where(np.arange(44) % 11 == 0, "a", y)
    report = evaluate(Predicts(["a", "b"]), predicted, y, groups=groups)
    indoor, outdoor = report.groups
    assert (indoor.group, indoor.n, outdoor.group, outdoor.n) == ("indoor", 40, "outdoor", 4)
    for group in report.groups:
        assert group.accuracy == accuracy_score(y[groups == group.group], predicted[groups == group.group])
        assert group.interval[0] <= group.accuracy <= group.interval[1]
    assert "The accuracy of groups with fewer than 30 images is uncertain: outdoor." in str(report)
    assert "outdoor" in report._repr_html_()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1, 1], [0, 1, 1]),
        (np.array([0.0, 1.0, 1.0]), [0, 1, 1]),
        ([True, False, True], [True, False, True]),
        (pd.Series(["a", "b", "a"], index=[7, 8, 9]), ["a", "b", "a"]),
        (np.array(["a", "b", "a"], dtype=object), ["a", "b", "a"]),
        (pd.Series(["a", "b", "a"], dtype="category"), ["a", "b", "a"]),
    ],
    ids=["ints", "whole floats", "bools", "series", "objects", "category"],
)
def test_labels_of_all_usual_types(labels, expected):
    report = evaluate(Predicts(), expected, labels)
    assert report.accuracy == 1.0
    assert report.y_true.tolist() == expected


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (["a"], "y has 1 labels for 2 images"),
        ([["a"], ["b"]], r"y must have one label per image, shape \(2,\); got shape \(2, 1\)"),
        ([0.5, 1.0], "y must be strings or integers, without missing values"),
        (["a", np.nan], "y must be all strings or all integers, without missing values; got float, str"),
        (["a", 1], "y must be all strings or all integers, without missing values; got int, str"),
        ([1.0, np.nan], r"got float64 such as \[nan\]"),
        (["a", None], "y must be all strings or all integers, without missing values; got NoneType, str"),
        ([1, 2], "some labels are strings and some are numbers"),
    ],
)
def test_invalid_labels_are_refused(y, match):
    with pytest.raises(InputError, match=match):
        evaluate(Predicts(["a", "b"]), ["a", "b"], y)


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match="needs at least one image"):
        evaluate(Predicts(), [], [])
    with pytest.raises(InputError, match="expected a model with predict; got dict"):
        evaluate({}, ["a"], ["a"])
    for confidence in (95, "95"):
        with pytest.raises(InputError, match=f"confidence must be between 0 and 1, .*; got {confidence!r}"):
            evaluate(Predicts(), ["a"], ["a"], confidence=confidence)
    with pytest.raises(InputError, match="groups has 1 labels for 2 images"):
        evaluate(Predicts(), ["a", "b"], ["a", "b"], groups=["x"])
    with pytest.raises(InputError, match="expected a batch of images with a length; got generator"):
        evaluate(Predicts(), (label for label in "ab"), ["a", "b"])


def test_too_few_predictions_are_refused():
    class Short(Predicts):
        def predict(self, X):
            return np.array(X)[:1]

    with pytest.raises(InputError, match="the prediction of the model has 1 labels for 2 images"):
        evaluate(Short(), ["a", "b"], ["a", "b"])


def test_frame_and_json_contain_the_figures(tmp_path):
    report = evaluate(Predicts(["cat", "dog", "owl"]), PREDICTED, TRUE)
    frame = report.to_frame()
    assert frame.index.tolist() == ["cat", "dog", "owl"]
    assert frame.columns.tolist() == ["precision", "recall", "f1", "support", "unreadable"]
    assert frame.loc["dog", "recall"] == 1.0
    text = report.to_json(tmp_path / "report.json")
    held = json.loads(text)
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == text + "\n"
    assert held["accuracy"] == 0.5
    assert held["confusion"] == report.confusion.tolist()
    assert held["y_pred"] == PREDICTED


def test_without_pandas_the_error_says_what_to_install(monkeypatch):
    report = evaluate(Predicts(), ["a"], ["a"])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"to_frame needs pandas.*pip install pandas"):
        report.to_frame()


def test_a_report_is_frozen():
    report = evaluate(Predicts(), ["a"], ["a"])
    with pytest.raises(AttributeError, match="cannot assign"):
        report.accuracy = 1.0


def test_plot_draws_the_confusion_matrix():
    ax = Figure().add_subplot()
    assert evaluate(Predicts(), PREDICTED, TRUE).plot(ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog", "owl"]
