"""Displays: the data in their artists agree with plain computations; wrong input is refused; no global setting changes."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from skimage.feature import local_binary_pattern
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import confusion_matrix
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

import featrec.plotting as plotting
from featrec import Bag
from featrec.classifiers import WideScaler
from featrec.datasets import load_dataset
from featrec.descriptors import HOG, LBP, ORB, SIFT, DenseSIFT, PatchCodes, Patches, TinyImage, Whiten
from featrec.encoders import BagOfWords, FisherVector, SpatialPyramid
from featrec.evaluation import compare
from featrec.exceptions import InputError, MetricError
from featrec.plotting import (
    AccuracyCostDisplay,
    CodesDisplay,
    ConfusedPairsDisplay,
    ConfusionMatrixDisplay,
    ContactSheetDisplay,
    DenseGridDisplay,
    FiltersDisplay,
    HOGDisplay,
    HOGInversionDisplay,
    HOGTemplatesDisplay,
    KeypointsDisplay,
    LBPDisplay,
    MatchesDisplay,
    PyramidDisplay,
    ReliabilityDisplay,
    VocabularySizeDisplay,
    WhiteningDisplay,
    WordHistogramsDisplay,
    WordMapDisplay,
)

mpl.use("Agg")
DISPLAYS = [name for name in plotting.__all__ if name.endswith("Display")]


@pytest.fixture(scope="module")
def digits():
    train, test = load_dataset("digits")
    return train[:300], test[:80]


@pytest.fixture(scope="module")
def hog_model(digits):
    train, _ = digits
    hog = HOG(pixels_per_cell=2, cells_per_block=2)
    return make_pipeline(hog, StandardScaler(), RidgeClassifier()).fit(train, train.labels)


@pytest.fixture(scope="module")
def word_model(digits):
    train, _ = digits
    return make_pipeline(DenseSIFT(step=1, bin_sizes=1), BagOfWords(12, random_state=0)).fit(train)


@pytest.fixture(scope="module")
def photograph():
    random = np.random.default_rng(0)
    return np.kron(random.integers(0, 256, (12, 16)), np.ones((8, 8))).astype(np.uint8)


def texts(ax):
    return [text.get_text() for text in ax.texts]


# Local features.


def test_keypoints_have_scale_and_angle(photograph):
    display = KeypointsDisplay.from_estimator(SIFT(), photograph)
    bag = SIFT().extract(photograph)
    np.testing.assert_allclose(display.ax_.collections[0].get_widths(), bag.frames[:, 2])
    assert display.ax_.get_title() == f"{len(bag.frames)} keypoints\ncircle: size of the keypoint, line: its angle"
    assert display.figure_ is display.ax_.figure


@pytest.mark.parametrize("draw", [
    lambda image: KeypointsDisplay.from_estimator(ORB(), image),
    lambda image: DenseGridDisplay.from_estimator(DenseSIFT(), image),
    lambda image: MatchesDisplay.from_estimator(ORB(), image, image),
])  # fmt: skip
def test_an_image_without_features_says_so(draw):
    display = draw(np.zeros((8, 8), np.uint8))
    assert any("no local features in" in text for text in texts(display.ax_))
    assert "0 " in display.ax_.get_title()


def test_the_dense_grid_has_one_square_for_each_size(photograph):
    display = DenseGridDisplay.from_estimator(DenseSIFT(step=8, bin_sizes=(3, 5)), photograph)
    assert {patch.get_width() for patch in display.ax_.patches} == {12, 20}
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    sizes = [(display.bag.frames[:, 2] == side).sum() for side in (12, 20)]
    assert names == [f"12 pixels wide: {sizes[0]}", f"20 pixels wide: {sizes[1]}"]
    with pytest.raises(InputError, match="Use KeypointsDisplay"):
        DenseGridDisplay.from_estimator(SIFT(), photograph)


def naive_matches(first, second, ratio, distance):
    table = np.array([[distance(a, b) for b in second] for a in first])
    found = set()
    for i, row in enumerate(table):
        j = int(row.argmin())
        others = np.delete(row, j)
        if int(table[:, j].argmin()) == i and (not len(others) or row[j] < ratio * others.min()):
            found.add((i, j))
    return found


@pytest.mark.parametrize("metric", ["euclidean", "hamming"])
def test_matches_agree_with_plain_loops(metric, rng):
    points = rng.integers(0, 256, (30, 4), dtype=np.uint8)
    noisy = points[rng.permutation(30)[:20]] ^ rng.integers(0, 3, (20, 4), dtype=np.uint8)
    frames = [np.column_stack([rng.uniform(0, 20, (n, 2)), np.full((n, 2), 3)]) for n in (30, 20)]
    bags = [Bag(rows, each, (20, 20), metric) for rows, each in zip((points, noisy), frames, strict=True)]
    display = MatchesDisplay([np.zeros((20, 20))] * 2, bags, ratio=0.7, max_matches=5).plot()
    bits = metric == "hamming"

    def distance(a, b):
        return np.unpackbits(a ^ b).sum() if bits else np.linalg.norm(a.astype(float) - b.astype(float))

    assert set(map(tuple, display.matches_.tolist())) == naive_matches(points, noisy, 0.7, distance)
    assert len(display.ax_.collections[0].get_segments()) == min(5, len(display.matches_))
    assert ("number of different bits" in display.ax_.get_title()) == bits


def test_matches_refuse_different_extractors(photograph):
    bags = ORB().extract(photograph), SIFT().extract(photograph)
    with pytest.raises(MetricError, match="hamming and euclidean"):
        MatchesDisplay([photograph, photograph], bags)
    with pytest.raises(InputError, match="ratio must be above 0"):
        MatchesDisplay([photograph, photograph], bags, ratio=2)


def test_word_maps_and_histograms_count_what_the_encoder_counts(digits, word_model):
    _, test = digits
    codes = word_model.transform(test[:2])
    display = WordHistogramsDisplay.from_estimator(word_model, test[0], test[1])
    np.testing.assert_allclose(display.shares, codes, atol=1e-6)
    assert display.intersection_ == pytest.approx(np.minimum(*codes).sum(), abs=1e-6)
    heights = sorted(round(abs(bar.get_height()), 3) for bar in display.axes_[2].patches if bar.get_height())
    np.testing.assert_allclose(heights, sorted(np.round(100 * codes[codes > 0], 3)), atol=2e-3)
    words = WordMapDisplay.from_estimator(word_model, test[0], n_colors=3)
    np.testing.assert_allclose(np.bincount(words.words, minlength=12) / 25, codes[0], atol=1e-6)
    assert len(words.ax_.get_legend().get_texts()) == 4


def test_a_mixture_assigns_the_most_probable_component(digits):
    train, test = digits
    mixture = GaussianMixture(4, covariance_type="diag", random_state=0)
    model = make_pipeline(Patches(4), Whiten(6, random_state=0), FisherVector(mixture)).fit(train)
    display = WordMapDisplay.from_estimator(model, test[0])
    white = model[1].transform(model[0].transform(test[:1]))[0].descriptors
    np.testing.assert_array_equal(display.words, model[-1].vocabulary_.predict(white))


def test_word_displays_refuse_other_models(digits, hog_model, word_model):
    with pytest.raises(InputError, match=r"an extractor of local features and an encoder with words.*got Pipeline"):
        WordMapDisplay.from_estimator(hog_model, digits[1][0])
    with pytest.raises(InputError, match="n_colors must be between 1 and 10"):
        WordMapDisplay.from_estimator(word_model, digits[1][0], n_colors=11)


@pytest.mark.parametrize("levels", [3, [(1, 1), (3, 2)]])
@pytest.mark.parametrize("overlap", [0.0, 0.3])
def test_pyramid_regions_are_those_of_the_encoder(levels, overlap, rng):
    pyramid = SpatialPyramid(BagOfWords(4), levels=levels, overlap=overlap, margin=0.05)
    display = PyramidDisplay.from_estimator(pyramid, np.zeros((100, 200)))
    patches = [patch for ax in display.axes_ for patch in ax.patches[len(ax.patches) // 2 :]]
    layout = pyramid._layout()
    frames = np.column_stack([rng.uniform(0, 199, 200), rng.uniform(0, 99, 200), np.ones((200, 2))]).astype(np.float32)
    cells, _ = layout.cells(Bag(np.zeros((200, 1)), frames, (100, 200)))
    for patch, members in zip(patches, layout.members, strict=True):
        x, y = (frames[:, :2] - patch.get_xy()).T
        inside = (x > 0) & (y > 0) & (x < patch.get_width()) & (y < patch.get_height())
        np.testing.assert_array_equal(inside, members[cells])


# Global features.


def naive_cell_sums(code, rows, columns, block, orientations):
    cells, place = np.zeros((rows, columns, orientations)), 0
    for i in range(rows - block + 1):
        for j in range(columns - block + 1):
            for a in range(block):
                for b in range(block):
                    for o in range(orientations):
                        cells[i + a, j + b, o] += code[place]
                        place += 1
    return cells


@pytest.mark.parametrize("options", [{}, {"balance": True, "color": "rgb", "mirror": True}])
def test_cell_weights_agree_with_plain_loops(options, rng):
    hog = HOG(orientations=3, pixels_per_cell=[(4, 4), (8, 8)], cells_per_block=2, **options)
    width = hog.extract(np.zeros((16, 24))).size
    code = rng.normal(size=width)
    first, second = hog.cell_weights(code, (16, 24))
    share = [1 / np.sqrt(15), 1 / np.sqrt(2)] if options else [1, 1]
    np.testing.assert_allclose(first, share[0] * naive_cell_sums(code, 4, 6, 2, 3), rtol=1e-6)
    np.testing.assert_allclose(second, share[1] * naive_cell_sums(code[4 * 3 * 15 :], 2, 3, 2, 3), rtol=1e-6)
    with pytest.raises(InputError, match=r"has \d+ columns; got weights of shape"):
        hog.cell_weights(code, (32, 32))


@pytest.mark.parametrize("steps", [
    [StandardScaler()], [MinMaxScaler()], [WideScaler()], [PCA(20, whiten=True, random_state=0)], [StandardScaler(), PCA(9)],
], ids=str)  # fmt: skip
def test_weights_go_back_through_scalers_and_projections(steps, digits):
    from featrec.plotting._linear_weights import linear_model

    train, test = digits
    hog = HOG(pixels_per_cell=4, cells_per_block=1)
    model = make_pipeline(hog, *steps, RidgeClassifier()).fit(train, train.labels)
    rest = hog.transform(test) @ linear_model(model, HOG, "a display").weights.T - model.decision_function(test)
    np.testing.assert_allclose(rest - rest[0], 0, atol=2e-4)


@pytest.mark.parametrize("head", [
    LogisticRegression(), LinearSVC(random_state=0), OneVsRestClassifier(RidgeClassifier()),
    CalibratedClassifierCV(RidgeClassifier(), cv=2),
], ids=lambda head: type(head).__name__)  # fmt: skip
def test_templates_of_linear_heads(head, digits):
    train, test = digits
    model = make_pipeline(HOG(pixels_per_cell=4, cells_per_block=1), Normalizer(), head).fit(train, train.labels)
    display = HOGTemplatesDisplay.from_estimator(model, test[0], classes=["3", "8"])
    assert display.weights.shape == (2, 2, 2, 9)
    assert [ax.get_title() for ax in display.axes_.ravel()] == ["+ 3", "− 3", "+ 8", "− 8"]


def test_the_two_classes_of_a_binary_model_have_opposite_templates(digits):
    train, test = digits
    few = np.isin(train.labels, ["1", "7"])
    hog = HOG(pixels_per_cell=4, cells_per_block=1)
    model = make_pipeline(hog, LinearSVC(random_state=0)).fit(train[few], train.labels[few])
    display = HOGTemplatesDisplay.from_estimator(model, test[0])
    np.testing.assert_allclose(display.weights[0], -display.weights[1])
    np.testing.assert_allclose(display.weights[1].ravel(), model[-1].coef_[0], rtol=1e-6)


def test_templates_refuse_what_is_not_linear(digits, hog_model):
    train, test = digits
    hog = HOG(pixels_per_cell=4, cells_per_block=1)
    for head, rule in ((SVC(kernel="linear"), "SVC compares pairs"), (KNeighborsClassifier(), "a fitted linear classifier")):
        with pytest.raises(InputError, match=rule):
            HOGTemplatesDisplay.from_estimator(make_pipeline(hog, head).fit(train, train.labels), test[0])
    with pytest.raises(InputError, match="contains 'cat', which is not a class; the classes are '0', '1'"):
        HOGTemplatesDisplay.from_estimator(hog_model, test[0], classes=["cat"])
    model = make_pipeline(TinyImage(size=8), RidgeClassifier()).fit(train, train.labels)
    with pytest.raises(InputError, match="needs a pipeline with HOG"):
        HOGTemplatesDisplay.from_estimator(model, test[0])


def test_hog_display_draws_the_image_that_hog_sees(digits, hog_model):
    display = HOGDisplay.from_estimator(hog_model, digits[1][0])
    assert display.axes_[0].images[0].get_array().shape[:2] == (8, 8)
    assert display.axes_[1].get_title() == "4×4 cells of 2×2 pixels, 9 orientations"
    assert "no strokes" in texts(HOGDisplay(np.zeros((16, 16))).plot().axes_[1])[0]


def test_signed_hog_gives_pixels_back_and_unsigned_hog_edges(rng):
    squares = np.zeros((30, 32, 32))
    for image, bright in zip(squares, rng.random(30) < 0.5, strict=True):
        top, left = rng.integers(4, 12, 2)
        image[top : top + 14, left : left + 14] = 1
        image[:] = image if bright else 1 - image
    found = {}
    for signed in (False, True):
        hog = HOG(pixels_per_cell=4, signed=signed)
        shown = [HOGInversionDisplay.from_estimator(hog, image, squares[8:]) for image in squares[:8]]
        found[signed] = np.mean([display.correlations_ for display in shown], axis=0)
    assert "learned from 22 other images" in shown[0].ax_.get_title()
    assert found[True][0] > 0.6 > 0.3 + found[False][0]
    assert min(found[True][1], found[False][1]) > 0.5


def test_inversion_refuses_small_images():
    with pytest.raises(InputError, match="smaller than a block"):
        HOGInversionDisplay.from_estimator(HOG(), np.zeros((40, 40)), np.zeros((2, 8, 8)))
    with pytest.raises(InputError, match="needs HOG, or a pipeline with a step HOG"):
        HOGInversionDisplay.from_estimator(LBP(), np.zeros((40, 40)), np.zeros((2, 8, 8)))


def test_lbp_groups_agree_with_scikit_image(photograph):
    display = LBPDisplay.from_estimator(LBP(), photograph)
    expected = local_binary_pattern(photograph, 8, 1, method="uniform")[1:-1, 1:-1]
    np.testing.assert_array_equal(display.groups_, expected)
    shares = [bar.get_height() for bar in display.axes_[2].patches]
    np.testing.assert_allclose(shares, 100 * np.bincount(expected.astype(int).ravel(), minlength=10) / expected.size)
    assert "no patterns" in texts(LBPDisplay(np.zeros((2, 2))).plot().axes_[1])[0]


# Patches and filters.


@pytest.mark.parametrize("whiten", ["zca", True])
def test_whitened_patches_are_those_of_the_pipeline(whiten, digits):
    train, test = digits
    model = make_pipeline(Patches(4), Whiten(whiten=whiten, epsilon=0.1)).fit(train)
    display = WhiteningDisplay.from_estimator(model, test, n_patches=20)
    zca = Whiten(whiten="zca", epsilon=0.1).fit(model[0].transform(train))
    expected = zca.transform([Bag(display.patches.astype(np.float32))])[0].descriptors
    np.testing.assert_allclose(display.whitened, expected, atol=1e-4)
    assert display.axes_[2].get_yscale() == "log"
    with pytest.raises(InputError, match="smaller than a patch"):
        WhiteningDisplay.from_estimator(model, [np.zeros((3, 3))])
    with pytest.raises(InputError, match="needs a pipeline with Patches and Whiten"):
        WhiteningDisplay.from_estimator(model[0], test)


def test_filters_of_patch_codes_multiply_patches_as_the_model_does(digits):
    train, test = digits
    codes = PatchCodes(30, size=4, grid=2, random_state=0)
    model = make_pipeline(codes, RidgeClassifier()).fit(train, train.labels)
    display = FiltersDisplay.from_estimator(codes, n_filters=30)
    patches = Patches(4).fit(train).transform(test[:5])[0].descriptors
    white = patches @ codes.basis_ - codes.offsets_
    words = codes.words_ / codes.word_scales_[:, None]
    products = patches @ display.filters.reshape(30, -1).T - codes.offsets_ @ words.T
    np.testing.assert_allclose(products, white @ words.T, atol=1e-4)
    best = FiltersDisplay.from_estimator(model, n_filters=3, classes=["5"])
    weights = model[-1].coef_[5].reshape(4, 60).mean(axis=0).argmax()
    expected = display.filters[0][weights % 30] * (1 if weights < 30 else -1)
    np.testing.assert_allclose(best.filters[0, 0], expected)


def test_filters_of_pixels_and_of_whitening(digits):
    train, _ = digits
    rows = np.stack([train[i] for i in range(len(train))]).reshape(len(train), -1)
    model = make_pipeline(StandardScaler(), RidgeClassifier()).fit(rows, train.labels)
    assert FiltersDisplay.from_estimator(model).filters.shape == (10, 1, 8, 8, 1)
    wide = FiltersDisplay.from_estimator(model, shape=(4, 16), classes=["0"])
    assert wide.filters.shape == (1, 1, 4, 16, 1)
    with pytest.raises(InputError, match=r"shape=\(5, 5\) does not fit"):
        FiltersDisplay.from_estimator(model, shape=(5, 5))
    whiten = Whiten(whiten="zca", epsilon=0.1).fit(Patches(4).fit_transform(train))
    np.testing.assert_allclose(
        FiltersDisplay.from_estimator(whiten, n_filters=99).filters.reshape(16, 16), whiten.projection_, rtol=1e-6
    )


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


# All displays.


def test_thumbnails_are_means_of_areas(rng):
    from featrec.plotting._display import thumbnail

    image = rng.integers(0, 256, (144, 216, 3), dtype=np.uint8)
    small = thumbnail(image)
    assert small.shape == (48, 72, 3)
    np.testing.assert_allclose(small, image.reshape(48, 3, 72, 3, 3).mean(axis=(1, 3)), atol=0.51)
    np.testing.assert_array_equal(thumbnail(image[:8, :8, 0]), np.repeat(image[:8, :8, :1], 3, axis=2))


def drawings(train, test, dense, cell):
    """One call of each display, for images of any dataset."""
    hog = HOG(pixels_per_cell=cell, cells_per_block=2)
    model = make_pipeline(hog, StandardScaler(), LogisticRegression(max_iter=50, tol=0.1)).fit(train, train.labels)
    words = make_pipeline(dense, BagOfWords(8, random_state=0)).fit(train)
    filters = PatchCodes(20, size=4, random_state=0, mirror=False).fit(train)
    white = make_pipeline(Patches(4), Whiten(whiten="zca", epsilon=0.1)).fit(train)
    image, other, y = test[0], test[1], test.labels
    predicted = model.predict(test)
    return {
        "AccuracyCostDisplay": lambda **o: AccuracyCostDisplay("abc", [0.5, 0.6, 0.4], [1, 2, 3]).plot(**o),
        "CodesDisplay": lambda **o: CodesDisplay.from_estimator(model, test, y, max_thumbnails=5, **o),
        "ConfusedPairsDisplay": lambda **o: ConfusedPairsDisplay.from_predictions(y, predicted, test, n_examples=2, **o),
        "ConfusionMatrixDisplay": lambda **o: ConfusionMatrixDisplay.from_predictions(y, predicted, **o),
        "ContactSheetDisplay": lambda **o: ContactSheetDisplay.from_predictions(
            y, predicted, test, max_wrong=3, max_right=3, **o
        ),
        "DenseGridDisplay": lambda **o: DenseGridDisplay.from_estimator(dense, image, **o),
        "FiltersDisplay": lambda **o: FiltersDisplay.from_estimator(filters, **o),
        "HOGDisplay": lambda **o: HOGDisplay.from_estimator(model, image, **o),
        "HOGInversionDisplay": lambda **o: HOGInversionDisplay.from_estimator(model, image, train, **o),
        "HOGTemplatesDisplay": lambda **o: HOGTemplatesDisplay.from_estimator(model, image, classes=model.classes_[:2], **o),
        "KeypointsDisplay": lambda **o: KeypointsDisplay.from_estimator(SIFT(), image, **o),
        "LBPDisplay": lambda **o: LBPDisplay.from_estimator(LBP(), image, **o),
        "MatchesDisplay": lambda **o: MatchesDisplay.from_estimator(SIFT(), image, other, **o),
        "PyramidDisplay": lambda **o: PyramidDisplay.from_estimator(SpatialPyramid(BagOfWords(4)), image, **o),
        "ReliabilityDisplay": lambda **o: ReliabilityDisplay.from_estimator(model, test, y, **o),
        "VocabularySizeDisplay": lambda **o: VocabularySizeDisplay([10, 20], [[0.5, 0.6], [0.7, 0.6]]).plot(**o),
        "WhiteningDisplay": lambda **o: WhiteningDisplay.from_estimator(white, test, **o),
        "WordHistogramsDisplay": lambda **o: WordHistogramsDisplay.from_estimator(words, image, other, **o),
        "WordMapDisplay": lambda **o: WordMapDisplay.from_estimator(words, image, **o),
    }


@pytest.fixture(scope="module")
def of_digits(digits):
    return drawings(*digits, DenseSIFT(step=1, bin_sizes=1), 2)


@pytest.mark.parametrize("name", DISPLAYS)
def test_displays_draw_on_given_axes_and_change_no_setting(name, of_digits):
    before = dict(mpl.rcParams)
    given, figure = Figure(layout="constrained").subplots(1, 2)[1], Figure()
    display = of_digits[name](ax=given)
    assert type(display).__name__ == name
    assert (display.ax_, display.figure_) == (given, given.figure)
    assert display.plot(figure.add_axes((0.1, 0.1, 0.8, 0.8))) is display
    assert display.figure_ is figure
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "textures", "shapes"])
def test_every_display_renders_within_its_figure(name):
    train, test = load_dataset(name, **({"size": 64} if name == "shapes" else {}))
    small = name == "digits"
    dense = DenseSIFT(step=1 if small else 8, bin_sizes=1 if small else 4)
    drawn = drawings(train[::4], test[::4], dense, 2 if small else 8)
    assert sorted(drawn) == DISPLAYS
    for each, draw in drawn.items():
        figure = draw().figure_
        FigureCanvasAgg(figure).draw()
        page, titles = figure.bbox, [ax.title for ax in figure.axes if ax.title.get_text()]
        assert titles, each
        for box in (title.get_window_extent() for title in titles):
            assert box.x0 >= page.x0 - 1, each
            assert box.x1 <= page.x1 + 1, each
            assert box.y1 <= page.y1 + 1, each
