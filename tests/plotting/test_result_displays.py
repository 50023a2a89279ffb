"""Displays of results: the data in their artists agree with plain computations; wrong input is refused."""

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from featrec.descriptors import HOG
from featrec.encoders import BagOfWords
from featrec.evaluation import compare
from featrec.exceptions import InputError
from featrec.plotting import (
    AccuracyCostDisplay,
    CodesDisplay,
    ConfusedPairsDisplay,
    ConfusionMatrixDisplay,
    ContactSheetDisplay,
    ReliabilityDisplay,
    VocabularySizeDisplay,
)

mpl.use("Agg")


def texts(ax):
    return [text.get_text() for text in ax.texts]


# Predictions.


def test_confusion_matrix_agrees_with_scikit_learn(digits, hog_model):
    _, test = digits
    display = ConfusionMatrixDisplay.from_estimator(hog_model, test, test.labels)
    np.testing.assert_array_equal(display.confusion_matrix, confusion_matrix(test.labels, hog_model.predict(test)))
    some = ConfusionMatrixDisplay.from_predictions(["b", "a", "c"], ["b", "b", "a"], labels=["b", "a"])
    np.testing.assert_array_equal(some.confusion_matrix, [[1, 0], [1, 0]])
    assert [label.get_text() for label in some.ax_.get_yticklabels()] == ["b", "a"]


def test_confused_pairs_are_sorted_and_have_their_images():
    images = np.stack([np.full((8, 8), value, np.uint8) for value in range(6)])
    true, predicted = ["a", "a", "a", "longer name", "c", "c"], ["b", "b", "a", "a", "b", "c"]
    display = ConfusedPairsDisplay.from_predictions(true, predicted, images, n_examples=1)
    assert display.pairs[0] == ("a", "b", 2, 3)
    assert sorted(display.pairs[1:]) == [("c", "b", 1, 2), ("longer name", "a", 1, 1)]
    assert [len(some) for some in display.examples] == [1, 1, 1]
    shown = {pair[:2]: int(some[0][0, 0, 0]) for pair, some in zip(display.pairs, display.examples, strict=True)}
    assert shown[("c", "b")] == 4
    assert shown[("longer name", "a")] == 3
    assert "all predictions are correct" in texts(ConfusedPairsDisplay.from_predictions(["a"], ["a"], images[:1]).ax_)


def test_the_contact_sheet_separates_right_and_wrong():
    images = np.stack([np.full((8, 8), value, np.uint8) for value in range(6)])
    true, predicted = list("aabbcc"), list("abbbca")
    scores = [0.9, 0.2, 0.5, 0.4, 0.3, 0.8]
    display = ContactSheetDisplay.from_predictions(true, predicted, images, scores=scores, max_right=2)
    assert [int(shot.image[0, 0, 0]) for shot in display.wrong] == [5, 1]
    assert [int(shot.image[0, 0, 0]) for shot in display.right] == [4, 3]
    assert {"✗ 2 of 2 wrong predictions", "✓ 2 of 4 correct predictions, by score", "c\n→ a"} <= set(texts(display.ax_))
    assert display.ax_.get_title() == "4 of 6 predictions are correct (66.7 %)"


def test_an_image_that_cannot_be_read_is_a_crossed_square():
    images = [np.zeros((8, 8)), b"no image"]
    display = ContactSheetDisplay.from_predictions(["a", "b"], ["a", "a"], images)
    assert set(np.unique(display.wrong[0].image)) == {120, 225}
    assert not display.right[0].image.any()


@pytest.mark.parametrize("draw", [
    ConfusionMatrixDisplay.from_predictions,
    lambda true, predicted: ConfusedPairsDisplay.from_predictions(true, predicted, np.zeros((2, 8, 8))),
    lambda true, predicted: ContactSheetDisplay.from_predictions(true, predicted, np.zeros((2, 8, 8))),
])  # fmt: skip
def test_wrong_labels_are_refused(draw):
    with pytest.raises(InputError, match=r"y_pred must have one label for each of the 2 images.*got 3 labels"):
        draw(["a", "b"], ["a", "b", "c"])
    with pytest.raises(InputError, match="some labels are strings and some are numbers"):
        draw(["a", "b"], [1, 2])
    with pytest.raises(InputError, match="missing label"):
        draw(np.array(["a", None], object), ["a", "b"])


def test_models_and_images_are_checked_before_work(digits):
    _, test = digits
    with pytest.raises(InputError, match="y must have one label for each of the 80 images"):
        ContactSheetDisplay.from_estimator(KNeighborsClassifier(), test, ["a"])
    with pytest.raises(InputError, match="needs a fitted model with predict; got HOG"):
        ConfusionMatrixDisplay.from_estimator(HOG(), test, test.labels)
    with pytest.raises(InputError, match="y_true must have one label for each of the 3 images"):
        ContactSheetDisplay.from_predictions(["a"], ["a"], np.zeros((3, 8, 8)))


def test_reliability_agrees_with_plain_loops(rng):
    table = rng.dirichlet(np.full(3, 0.4), 500)
    labels = np.array(list("abc"))[[rng.choice(3, p=row) for row in table]]
    display = ReliabilityDisplay.from_predictions(labels, table, classes=list("abc"))
    error = 0.0
    for low in np.arange(10) / 10:
        rows = [i for i in range(500) if low < table[i].max() <= low + 0.1 + 1e-12]
        if rows:
            right = [labels[i] == "abc"[table[i].argmax()] for i in rows]
            error += len(rows) / 500 * abs(np.mean(right) - np.mean([table[i].max() for i in rows]))
    assert display.ece_ == pytest.approx(error)
    assert display.counts_.sum() == sum(bar.get_height() for bar in display.axes_[1].patches) == 500


def test_reliability_refuses_decision_values(digits, hog_model):
    with pytest.raises(InputError, match=r"sum of row 0 is 3.*CalibratedClassifierCV"):
        ReliabilityDisplay.from_predictions(["a"], [[2.0, 1.0]], classes=["a", "b"])
    with pytest.raises(InputError, match="needs a fitted model with predict_proba"):
        ReliabilityDisplay.from_estimator(hog_model, digits[1], digits[1].labels)
    with pytest.raises(InputError, match=r"of 3 classes must have shape \(n, 3\)"):
        ReliabilityDisplay.from_predictions(["a"], [[0.5, 0.5]], classes=["a", "b", "c"])


# Codes, sizes and costs.


def test_codes_are_projected_as_by_pca(digits, hog_model):
    _, test = digits
    display = CodesDisplay.from_estimator(hog_model, test, test.labels, max_thumbnails=20)
    expected = PCA(2).fit_transform(hog_model[:-1].transform(test))
    np.testing.assert_allclose(np.abs(display.points), np.abs(expected), atol=1e-3)
    assert 1 < len(display.shown_) <= 20
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == sorted(set(test.labels))
    few = CodesDisplay.from_codes(expected, test, test.labels, method="tsne", max_points=30)
    assert few.points.shape == (30, 2)
    assert few.ax_.get_title().startswith("30 of 80 images: t-SNE of their codes")


def test_more_classes_than_colours_get_markers(rng):
    labels = [f"class {i % 25}" for i in range(100)]
    display = CodesDisplay(rng.normal(size=(100, 2)), labels=labels).plot()
    looks = {(tuple(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes()) for points in display.ax_.collections}
    assert len(looks) == 25


def test_codes_refuse_wrong_input(digits, hog_model):
    _, test = digits
    with pytest.raises(InputError, match="labels must have one label for each of the 80 images"):
        CodesDisplay.from_estimator(hog_model, test, ["a"])
    with pytest.raises(InputError, match="each of the 4 codes needs its image; got 80 images"):
        CodesDisplay.from_codes(np.zeros((4, 3)), test)
    with pytest.raises(InputError, match="method must be one of"):
        CodesDisplay.from_codes(np.zeros((4, 3)), method="umap")


def test_accuracy_against_vocabulary_size_is_that_of_the_search(digits, word_model):
    train, _ = digits
    bags = word_model[0].transform(train[:60])
    grid = {"bagofwords__vocabulary": [20, 4, 10], "ridgeclassifier__alpha": [0.1, 1]}
    search = GridSearchCV(make_pipeline(BagOfWords(4, random_state=0), RidgeClassifier()), grid, cv=2)
    search.fit(bags, train.labels[:60])
    display = VocabularySizeDisplay.from_estimator(search)
    assert display.sizes.tolist() == [4, 10, 20]
    assert list(display.means_) == ["alpha=0.1", "alpha=1"]
    means = search.cv_results_["mean_test_score"]
    for params, mean in zip(search.cv_results_["params"], means, strict=True):
        line = display.means_[f"alpha={params['ridgeclassifier__alpha']}"]
        assert line[display.sizes == params["bagofwords__vocabulary"]] == pytest.approx(mean)
    assert f"{100 * means.max():.1f} %" in display.ax_.get_title()


def test_vocabulary_sizes_refuse_wrong_input(digits):
    with pytest.raises(InputError, match="one row for each of the 2 sizes"):
        VocabularySizeDisplay([10, 20], [0.5])
    with pytest.raises(InputError, match="needs a fitted GridSearchCV"):
        VocabularySizeDisplay.from_estimator(RidgeClassifier())
    search = GridSearchCV(RidgeClassifier(), {"alpha": [1, 2]}, cv=2).fit([[0], [1], [2], [3]], [0, 1, 0, 1])
    with pytest.raises(InputError, match="no parameter for the size of a vocabulary; use param= with one of alpha"):
        VocabularySizeDisplay.from_estimator(search)


def test_the_front_agrees_with_plain_loops(rng):
    accuracy, cost = rng.random(40).round(1), 10 ** rng.normal(size=40).round(1)
    display = AccuracyCostDisplay(range(40), accuracy, cost)
    beaten = {
        i
        for i in range(40)
        for j in range(40)
        if (accuracy[j] >= accuracy[i] and cost[j] <= cost[i]) and (accuracy[j] > accuracy[i] or cost[j] < cost[i])
    }
    front = set(display.front_.tolist())
    assert not front & beaten
    assert {(accuracy[i], cost[i]) for i in front} == {(accuracy[i], cost[i]) for i in set(range(40)) - beaten}


def test_costs_of_a_comparison(digits):
    X, y = np.arange(8.0)[:, None], list("aabbaabb")
    models = {"ridge": RidgeClassifier(), "neighbours": KNeighborsClassifier(1), "elsewhere": np.array(y)}
    comparison = compare(models, X, y, test=(X, y))
    display = AccuracyCostDisplay.from_comparison(comparison)
    assert sorted(display.names) == ["neighbours", "ridge"]
    assert "the cost of 1 model is unknown" in display.ax_.get_title()
    assert display.ax_.get_xscale() == "log"
    with pytest.raises(InputError, match="the cost of 'b' must be above 0"):
        AccuracyCostDisplay(["a", "b"], [0.5, 0.6], [1, 0])
    with pytest.raises(InputError, match="cost must be one of fit_seconds"):
        AccuracyCostDisplay.from_comparison(comparison, cost="money")
