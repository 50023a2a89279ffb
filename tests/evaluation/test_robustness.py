"""robustness against a loop over single images, and its outputs."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from featrec.datasets import load_dataset
from featrec.descriptors import TinyImage
from featrec.evaluation import _plan, corrupt, corruption_names, evaluate, robustness
from featrec.exceptions import InputError, UnsupportedImageError
from featrec.recipes import hog_svm, tiny_knn

KINDS, LEVELS = ("gaussian_noise", "rotation", "fog"), (1, 5)


@pytest.fixture(scope="module")
def shapes():
    return load_dataset("shapes", n_train=64, n_test=24)


@pytest.fixture(scope="module")
def models(shapes):
    train, _ = shapes
    return {"tiny": tiny_knn().fit(train, train.labels), "hog": hog_svm().fit(train, train.labels)}


@pytest.fixture(scope="module")
def result(shapes, models):
    _, test = shapes
    return robustness(models, test, test.labels, corruptions=KINDS, severities=LEVELS, random_state=5)


@pytest.fixture(scope="module")
def rights(shapes, models):
    """Whether each image is right under each condition, by single predictions."""
    _, test = shapes
    return {name: single_predictions(model, test, 5) for name, model in models.items()}


def single_predictions(model, test, seed):
    found = [[model.predict([image])[0] == label for image, label in zip(test, test.labels, strict=True)]]
    for kind in KINDS:
        for level in LEVELS:
            images = corrupt(test, kind, level, random_state=seed)
            found.append([model.predict([image])[0] == label for image, label in zip(images, test.labels, strict=True)])
    return np.array(found)


def test_agrees_with_single_predictions(shapes, models, result, rights):
    _, test = shapes
    for name, model in models.items():
        right = rights[name]
        found = result[name]
        assert found.accuracy == right[0].mean() == evaluate(model, test, test.labels).accuracy
        assert found.interval == evaluate(model, test, test.labels).interval
        assert found.mean_accuracy == pytest.approx(right[1:].mean())
        assert found.relative_drop == pytest.approx((right[0].mean() - right[1:].mean()) / right[0].mean())
        images = right[1:].mean(axis=0)
        interval = stats.norm.interval(0.95, images.mean(), stats.sem(images))
        np.testing.assert_allclose(found.mean_interval, np.clip(interval, 0, 1), atol=1e-12)
        for level, share in zip((0, 1), found.severity_accuracies, strict=True):
            assert share == pytest.approx(right[1 + level :: 2].mean())
        for row, (kind, level) in enumerate([(kind, level) for kind in KINDS for level in LEVELS], start=1):
            assert result.accuracy(name, kind, level) == right[row].mean()
        assert result.accuracy(name, "fog") == pytest.approx(right[5:].mean())


def test_the_difference_is_that_of_paired_images(result, rights):
    first, second = (rights[row.name][1:].mean(axis=0) for row in result.results)
    difference, low, high = result.difference(*(row.name for row in result.results))
    assert difference == pytest.approx((first - second).mean())
    assert difference >= 0
    interval = stats.norm.interval(0.95, difference, stats.sem(first - second))
    np.testing.assert_allclose((low, high), interval, atol=1e-12)
    assert f"{100 * difference:.1f} points [{100 * low:.1f} to {100 * high:.1f}] above" in str(result)


def test_batches_do_not_matter(shapes, models, result, monkeypatch):
    _, test = shapes
    monkeypatch.setattr(_plan, "BATCH", 7)
    again = robustness(models, test, test.labels, corruptions=KINDS, severities=LEVELS, random_state=5)
    assert again.to_json() == result.to_json()


def test_defaults_measure_every_corruption(shapes):
    train, test = shapes
    model = make_pipeline(TinyImage(), DecisionTreeClassifier(random_state=0)).fit(train, train.labels)
    found = robustness({"tree": model}, test[:8], test.labels[:8], random_state=0)
    assert found.corruptions == tuple(corruption_names())
    assert found.severities == (1, 3, 5)
    assert len(found.cells) == 57
    assert "highest" not in str(found)


def test_text_names_what_matters(result):
    text = str(result)
    assert repr(result) == text
    assert "24 images; accuracies in %, mean over severities 1, 5." in text
    assert "relative drop" in text
    for row in result.results:
        assert f"{row.name}: {100 * row.accuracy:.1f} % [" in text
    assert f"{result.results[0].name} has the highest mean accuracy under corruption" in text
    assert "frost" not in text
    markdown = result.to_markdown()
    assert markdown.startswith("| corruption |")
    assert "<table>" in result._repr_html_()


def test_frost_is_marked(shapes, models):
    _, test = shapes
    found = robustness(models, test[:4], test.labels[:4], corruptions=["frost"], severities=[2], random_state=0)
    assert "frost is a computed texture, unlike the photographs of ImageNet-C." in str(found)
    assert "severity 2" in str(found)


def test_json_and_frames(result, tmp_path):
    read = json.loads(result.to_json(tmp_path / "robustness.json"))
    assert read["corruptions"] == list(KINDS)
    assert read["cells"][0]["accuracy"] == result.cells[0].accuracy
    assert read == json.loads((tmp_path / "robustness.json").read_text())
    table = result.to_frame()
    assert len(table) == 2 + 2 * 3 * 2
    one = table[(table.model == "hog") & (table.corruption == "fog") & (table.severity == 5)].iloc[0]
    assert one.accuracy == result.accuracy("hog", "fog", 5)
    assert one.low <= one.accuracy <= one.high
    summary = result.summary_to_frame()
    assert summary.loc["hog", "mean_accuracy"] == result["hog"].mean_accuracy
    assert summary.loc["tiny", "mean_low"] == result["tiny"].mean_interval[0]


def test_plots_show_the_numbers(result):
    ax = result.plot()
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    for row in result.results:
        np.testing.assert_allclose(lines[row.name], 100 * np.array([row.accuracy, *row.severity_accuracies]))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["none", "1", "5"]
    ax = result.plot_corruptions()
    order = [tick.get_text() for tick in ax.get_yticklabels()]
    dots = next(line for line in ax.get_lines() if line.get_label() == "hog").get_xdata()
    np.testing.assert_allclose(dots, [100 * result.accuracy("hog", kind) for kind in order])


def test_progress(shapes, models, capsys):
    _, test = shapes
    robustness(models, test[:4], test.labels[:4], corruptions=["fog"], severities=[2], random_state=0, verbose=1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("without corruption (0 of 1): tiny ")
    assert lines[1].startswith("fog at severity 2 (1 of 1): tiny ")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"corruptions": "fog"}, r"corruptions must be a collection .* got 'fog'; use \['fog'\]"),
        ({"corruptions": []}, r"corruptions must be a collection with at least one item; got \[\]"),
        ({"corruptions": ["rain"]}, "there is no corruption 'rain'"),
        ({"severities": 3}, r"severities must be a collection .* got 3; use \[3\]"),
        ({"severities": [0]}, "severity must be an integer from 1 to 5; got 0"),
        ({"confidence": 95}, "confidence must be between 0 and 1"),
        ({"models": {}}, "models must be a dict of name to model"),
        ({"models": {"hog": hog_svm()}}, "the model 'hog' is not fitted; robustness does not fit models, so fit it first"),
        ({"models": {"other": np.zeros(4)}}, r"models\['other'\] is a ndarray without predict; robustness needs models that"),
        ({"y": [1, 2, 3, 4]}, "some labels are strings and some are numbers"),
        ({"y": ["a"]}, "y has 1 labels for 4 images"),
        ({"X": []}, "robustness needs at least one image"),
    ],
)
def test_wrong_arguments_are_refused(change, message, shapes, models):
    _, test = shapes
    given = {"models": models, "X": test[:4], "y": test.labels[:4]} | change
    with pytest.raises(InputError, match=message):
        robustness(**given)


def test_a_small_image_is_refused_by_name(models):
    images = [np.zeros((40, 40), np.uint8), np.zeros((8, 8), np.uint8)]
    model = {"tiny": models["tiny"]}
    with pytest.raises(UnsupportedImageError, match="image 1: corruptions need images of at least 28"):
        robustness(model, images, ["circle", "circle"], corruptions=["fog"])


def test_unknown_names_are_told(result):
    with pytest.raises(KeyError, match="there is no model 'net'; the models are"):
        result["net"]
    with pytest.raises(KeyError, match="'hog' was not measured under 'snow' at severity None; the models are"):
        result.accuracy("hog", "snow")


def test_the_how_to():
    page = runpy.run_path(str(Path(__file__).resolve().parents[2] / "docs" / "how_to" / "robustness.py"))
    train, test = load_dataset("shapes", n_train=48, n_test=8)
    found = page["measured"](train, test, corruptions=["fog"], n_per_class=(2,), n_queries=2, few=4)
    assert list(found) == ["robustness", "data efficiency", "attack", "shift"]
    assert found["robustness"].corruptions == ("fog",)
    assert {result.name for result in found["attack"].results} == {"hog", "hog and noise"}


def test_figures_of_the_same_models_have_the_same_colours(result):
    first, second = result.plot(), result.plot_corruptions()
    colors = [{line.get_label(): line.get_color() for line in ax.get_lines()} for ax in (first, second)]
    for name in ("hog", "tiny"):
        assert colors[0][name] == colors[1][name]
    assert colors[0]["hog"] != colors[0]["tiny"]
