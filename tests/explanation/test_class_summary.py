"""Summaries of explanations against plain loops, and a planted shortcut that they must show first."""

import re

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import HOG, ColorHistogram, DenseSIFT, TinyImage
from featrec.encoders import BagOfWords
from featrec.exceptions import InputError
from featrec.explanation import explain, explain_errors, summarize
from featrec.preprocessing import Resize
from featrec.recipes import bovw_svm

mpl.use("Agg")


@pytest.fixture(scope="module")
def data():
    return load_dataset("shapes", n_train=48, n_test=32, size=48)


@pytest.fixture(scope="module")
def model(data):
    words = make_pipeline(DenseSIFT(step=8), BagOfWords(12, random_state=0))
    features = make_union(words, ColorHistogram(bins=2), HOG(pixels_per_cell=16))
    return make_pipeline(features, LinearSVC(random_state=0)).fit(data[0], data[0].labels)


@pytest.fixture(scope="module")
def explanation(model, data):
    return explain(model, data[1], data[1].labels)


@pytest.fixture(scope="module")
def summary(explanation):
    return summarize(explanation, grid=(2, 3), n_examples=2)


def test_means_equal_plain_loops(explanation, summary):
    items = [item for item in explanation if item.target == "heart"]
    sums, places = {}, np.zeros((2, 3))
    for item in items:
        height, width = item.image.shape[:2]
        parts = zip(item.source, item.words, item.names, item.values, item.frames, strict=True)
        for source, word, name, value, (x, y, *_) in parts:
            if word >= 0 or name:
                key = ("word", source, int(word)) if word >= 0 else ("name", source, name)
                sums[key] = sums.get(key, 0) + value / len(items)
            if np.isfinite(x):
                places[int((y + 0.5) / height * 2), int((x + 0.5) / width * 3)] += value / len(items)
    heart = summary["heart"]
    found = {one[:3]: one.value for one in heart.elements if one.kind != "place"}
    assert found == pytest.approx(sums)
    np.testing.assert_allclose(heart.places, places)
    assert heart.n_images == len(items)
    assert heart.decision == pytest.approx(np.mean([item.decision for item in items]))
    assert heart.base_value + sum(found.values()) == pytest.approx(heart.decision, abs=1e-5)


def test_examples_are_the_parts_with_the_largest_contributions(explanation, summary):
    one = summary["heart"].top(1, kind="word")[0]
    best = []
    for at, item in enumerate(explanation):
        if item.target == "heart":
            rows = np.flatnonzero((item.words == one.element) & (item.source == one.source))
            if len(rows):
                best.append((item.values[rows].max(), at))
    (first, at), *_ = sorted(best, reverse=True)
    assert one.examples[0][:2] == (at, pytest.approx(first))
    outlines = explanation[at].outlines
    assert (np.abs(outlines - one.examples[0][2]).max(axis=(1, 2)) < 1e-4).any()
    assert len({image for image, *_ in one.examples}) == len(one.examples) == 2


def test_groups_threads_and_order(explanation, summary, data):
    assert [one.group for one in summary] == list(explanation.classes)
    other = summarize(explanation, grid=(2, 3), n_examples=2, n_jobs=2)
    assert [one.elements[0][:5] for one in other] == [one.elements[0][:5] for one in summary]
    halves = np.where(np.arange(32) < 16, "first", "second")
    star = summarize(explain(explanation.compute.model, data[1], "star"), halves)
    assert [(one.group, one.target, one.n_images) for one in star] == [("first", "star", 16), ("second", "star", 16)]
    with pytest.raises(KeyError, match="'moon' is not a group; the groups are 'arrow', 'button'"):
        summary["moon"]


def planted(images, label):
    """A purple square with a black middle in the top left corner of the images of a class."""
    found = np.array([images[at] for at in range(len(images))])
    for at in np.flatnonzero(images.labels == label):
        found[at][4:20, 4:20] = (255, 0, 220)
        found[at][8:16, 8:16] = (20, 0, 0)
    return found


@pytest.mark.parametrize("kind", ["colour", "words"])
def test_a_planted_mark_comes_first(kind):
    train, test = load_dataset("shapes", n_train=160, n_test=40)
    linear = make_pipeline(ColorHistogram(bins=4), LinearSVC(random_state=0))
    model = linear if kind == "colour" else bovw_svm(n_words=50)
    model.fit(planted(train, "heart"), train.labels)
    images = planted(test, "heart")
    heart = summarize(explain(model, images, test.labels))["heart"]
    first = heart.top(1)[0]
    if kind == "colour":
        assert first.element == "red 0.75 to 1, green 0 to 0.25, blue 0.75 to 1"
        assert first.value > 1.5 * heart.top(2)[1].value
        return
    for at, _, outline in first.examples:
        assert test.labels[at] == "heart"
        assert np.abs(outline.mean(axis=0) - 12).max() <= 8  # the middle of the mark is at 12, 12
    assert heart.top(1, kind="place")[0].element == (0, 0)
    assert heart.places[0, 0] > 2 * np.delete(heart.places.ravel(), 0).max()


def test_errors_are_explained_as_pairs(model, data):
    _, test = data
    guesses = model.predict(test)
    wrong = np.flatnonzero(guesses != test.labels)
    errors = explain_errors(model, test, test.labels)
    assert errors.positions.tolist() == wrong.tolist()
    assert [item.target for item in errors] == [(guesses[at], test.labels[at]) for at in wrong]
    assert all(item.decision > 0 for item in errors)  # the wrong class wins
    pairs = summarize(errors)
    assert sum(one.n_images for one in pairs) == len(wrong)
    assert [one.n_images for one in pairs] == sorted((one.n_images for one in pairs), reverse=True)
    first, second = pairs[0].group
    only = explain_errors(model, test, test.labels, true=second, predicted=first)
    assert len(only) == pairs[0].n_images
    assert summarize(only)[first, second].decision == pytest.approx(pairs[0].decision)


def test_what_cannot_be_summarised_is_refused(model, data, explanation):
    images, labels = data[1], data[1].labels
    with pytest.raises(InputError, match="true must be a class of the model; got 'moon'"):
        explain_errors(model, images, labels, true="moon")
    with pytest.raises(InputError, match="label 'moon' is not a class of the model"):
        explain_errors(model, images, ["moon"] * len(images))
    right = model.predict(images)
    with pytest.raises(InputError, match="there is no error of 'heart' among 32 images"):
        explain_errors(model, images, right, true="heart")
    with pytest.raises(InputError, match="summarize needs an Explanation, such as explain"):
        summarize(images)
    with pytest.raises(InputError, match="groups has 2 labels for 32 images"):
        summarize(explanation, ["a", "b"])
    with pytest.raises(InputError, match='kind must be "word", "name" or "place"'):
        summarize(explanation[:1])[0].top(kind="cell")


def test_frame_figures_and_page(summary, model, data):
    table = summary.to_frame()
    assert set(table["kind"]) == {"word", "name", "place"}
    assert table["value"].iloc[0] == summary[0].elements[0].value
    overview, detail = summary.plot(n=3), summary.plot("heart", n=3)
    assert len(overview.axes) == 8 * 4
    assert "mean decision value" in detail.get_suptitle()
    labels = [text.get_text() for text in detail.axes[0].get_yticklabels()]
    assert labels[0].replace("\n", " ") == f"{summary['heart'].top(1)[0].source}: " + (
        f"word {first.element}" if (first := summary["heart"].top(1)[0]).kind == "word" else first.element
    )
    html = summary.to_html(n=2, words_page="words.html")
    assert html.count("<h2 ") == 8 + 1
    assert set(re.findall(r'(?:src|href)="(?!#|data:)([^"#]*)', html)) == {"words.html"}
    errors = summarize(explain_errors(model, data[1], data[1].labels))
    assert "Why classes are confused" in errors.to_html(n=2)


def test_parts_without_words_and_names_have_places(data):
    model = make_pipeline(Resize((32, 32)), TinyImage(size=8), LinearSVC(random_state=0)).fit(data[0], data[0].labels)
    group = summarize(explain(model, data[1][:4], "star"), grid=2)["star"]
    assert {one.kind for one in group.elements} == {"place"}
    assert group.top(1)[0].element == np.unravel_index(group.places.argmax(), (2, 2))
    assert group.decision == pytest.approx(group.base_value + group.places.sum())
