"""Figures of explanations show the numbers of the explanation."""

import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import ColorHistogram, DenseSIFT
from featrec.encoders import BagOfWords
from featrec.exceptions import InputError
from featrec.explanation import explain
from featrec.explanation._summary import grouped, sentence, strongest

mpl.use("Agg")


@pytest.fixture(scope="module")
def data():
    train, test = load_dataset("textures", n_train=5, n_test=3)
    return train, list(test)


@pytest.fixture(scope="module")
def model(data):
    features = make_union(make_pipeline(DenseSIFT(step=8), BagOfWords(12, random_state=0)), ColorHistogram(bins=2))
    return make_pipeline(features, LinearSVC(random_state=0)).fit(data[0], data[0].labels)


@pytest.fixture(scope="module")
def item(model, data):
    return explain(model, data[1])[0]


def numbers(text):
    """The decision, the base value and the sum of a sentence."""
    found = re.fullmatch(r".*: decision (\S+) = base (\S+) ([+−]) (\S+) from .*", text)
    decision, base, sign, total = (part.replace("−", "-").replace(",", "") for part in found.groups())
    return float(decision), float(base), float(total) * (1 if sign == "+" else -1)


def test_the_sentence_adds_up(item):
    told = sentence(item)
    assert told.startswith(f"{item.target}: decision ")
    assert told.endswith(f"from {len(item.values)} parts (exact)")
    decision, base, total = numbers(told)
    assert decision == pytest.approx(base + total, abs=1e-9)
    assert decision == pytest.approx(item.decision, abs=0.01)


def test_groups_add_up_to_all_contributions(item):
    words, groups = item.words, grouped(item, item.words)
    assert sum(group.value for group in groups) == pytest.approx(item.values.sum())
    assert sum(len(group.members) for group in groups) == len(item.values)
    for group in groups:
        assert (words[group.members] == group.word).all()
    assert {group.label.partition(":")[0] for group in groups} == {"pipeline", "colorhistogram"}


def test_strongest_parts_are_apart_and_in_order(item):
    for sign in (1, -1):
        rows = strongest(item, 4, sign)
        values = sign * item.values[rows]
        assert (values > 0).all()
        assert (np.diff(values) <= 0).all()
        placed = np.isfinite(item.frames[:, 0])
        assert values[0] == (sign * item.values[placed]).max()
        between = np.linalg.norm(item.frames[rows, None, :2] - item.frames[rows, :2], axis=2) + 1e9 * np.eye(len(rows))
        assert (between >= item.frames[rows, 2].min() / 4).all()


def test_figures_draw(item, model, data):
    ax = item.plot(Figure().add_subplot())
    assert ax.get_title().replace("\n", " ") == sentence(item)
    assert len(ax.images) == 2
    bars = item.plot_words(5, ax=Figure().add_subplot())
    assert sum(bar.get_width() for bar in bars.patches) == pytest.approx(item.values.sum())
    patches = item.plot_patches(3)
    assert sum(bool(axes.images) for axes in patches.axes) == 6
    sheet = explain(model, data[1]).plot(2)
    assert len(sheet.axes) == 2
    assert "first 2 of" in sheet.get_suptitle()
    with pytest.raises(InputError, match="n must be an integer of at least 1; got 0"):
        item.plot_patches(0)
    with pytest.raises(InputError, match="no images"):
        explain(model, data[1])[:0].plot()


def test_an_image_without_features(data):
    model = make_pipeline(DenseSIFT(step=8), BagOfWords(8, random_state=0), LinearSVC(random_state=0)).fit(
        data[0], data[0].labels
    )
    flat = explain(model, [np.full((6, 6), 128, np.uint8)])[0]  # smaller than a descriptor
    assert not len(flat.values)
    assert sentence(flat).endswith("; no features")
    assert flat.plot(Figure().add_subplot()).texts[0].get_text() == "no features"
    assert flat.plot_words(ax=Figure().add_subplot()).texts[0].get_text() == "no features"
    flat.plot_patches()


def test_an_explanation_that_is_not_exact_says_so(model, data):
    item = explain(model, data[1], method="occlusion", blocks=3)[0]
    assert sentence(item).endswith(", explained by occlusion of 9 blocks")
    labels = [text.get_text() for text in item.plot_words(ax=Figure().add_subplot()).get_yticklabels()]
    assert all(label.startswith("image at ") for label in labels)
