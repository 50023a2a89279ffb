"""Displays of features: the data in their artists agree with plain computations; wrong input is refused."""

import matplotlib as mpl
import numpy as np
import pytest
from skimage.feature import local_binary_pattern
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from featrec import Bag
from featrec.classifiers import WideScaler
from featrec.descriptors import HOG, LBP, ORB, SIFT, DenseSIFT, PatchCodes, Patches, TinyImage, Whiten
from featrec.encoders import BagOfWords, FisherVector, SpatialPyramid, ThresholdCode, TriangleCode
from featrec.exceptions import InputError, MetricError
from featrec.plotting import (
    DenseGridDisplay,
    FiltersDisplay,
    HOGDisplay,
    HOGInversionDisplay,
    HOGTemplatesDisplay,
    KeypointsDisplay,
    LBPDisplay,
    MatchesDisplay,
    PyramidDisplay,
    WhiteningDisplay,
    WordHistogramsDisplay,
    WordMapDisplay,
)

mpl.use("Agg")


def texts(ax):
    return [text.get_text() for text in ax.texts]


# Local features.


def test_keypoints_have_scale_and_angle(photograph):
    display = KeypointsDisplay.from_estimator(SIFT(), photograph)
    bag = SIFT().extract(photograph)
    np.testing.assert_allclose(display.ax_.collections[0].get_widths(), bag.frames[:, 2])
    assert display.ax_.get_title() == f"{len(bag.frames)} keypoints\ncircle: size of the keypoint, line: its angle"
    assert display.figure_ is display.ax_.figure


def test_steps_after_the_extractor_are_ignored(digits):
    train, test = digits
    model = make_pipeline(DenseSIFT(step=1, bin_sizes=1), BagOfWords(4, random_state=0), RidgeClassifier())
    model.fit(train, train.labels)
    for display in (KeypointsDisplay, DenseGridDisplay):
        assert display.from_estimator(model, test[0]).ax_.get_title().startswith("25 descriptors")
    assert len(MatchesDisplay.from_estimator(model, test[0], test[0]).matches_) > 20
    with pytest.raises(InputError, match="expected an extractor of local features"):
        KeypointsDisplay.from_estimator(RidgeClassifier(), test[0])


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


@pytest.mark.parametrize("encoder", [TriangleCode(8, random_state=0), ThresholdCode(8, random_state=0)], ids=repr)
def test_filters_of_words_on_whitened_patches(encoder, digits):
    train, _ = digits
    model = make_pipeline(Patches(4), Whiten(whiten="zca", epsilon=0.1), SpatialPyramid(encoder, levels=2), RidgeClassifier())
    model.fit(train, train.labels)
    whiten, pyramid, ridge = model[1:]
    display = FiltersDisplay.from_estimator(model, n_filters=1, classes=["7"])
    columns = 8 if isinstance(encoder, TriangleCode) else 16
    best = ridge.coef_[7].reshape(5, columns).mean(axis=0).argmax()
    word = pyramid.encoder_.vocabulary_.words_[best % 8] * (1 if best < 8 else -1)
    patches = model[0].transform(train[:1])[0].descriptors
    white = whiten.transform([Bag(patches)])[0].descriptors
    products = (patches - whiten.mean_) @ display.filters.ravel()
    np.testing.assert_allclose(products, white @ word, atol=1e-3)


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
