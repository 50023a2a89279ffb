"""Solutions of the exercises agree with featrec's own loops, or with an independent library."""

import cv2
import numpy as np
import pytest
from scipy.signal import correlate2d
from skimage.feature import match_descriptors, peak_local_max
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from featrec.bag import Bag
from featrec.compiled._hamming import nearest_hamming
from featrec.course.exercises import MODULES, exercises_of
from featrec.descriptors import HOG, ColorHistogram
from featrec.encoders import LLC, VLAD, BagOfWords, FisherVector, SpatialPyramid
from featrec.images import as_gray
from featrec.pairwise import intersection_kernel
from featrec.vocabularies import GaussianVocabulary, KMeansVocabulary
from tests.naive.codes import soft_neighbors
from tests.naive.dense_sift import normalized


@pytest.fixture(scope="module")
def solve():
    """The solutions of all exercises by name."""
    return {name: exercise.solution for lesson in MODULES for name, exercise in exercises_of(lesson).items()}


@pytest.fixture
def vocabulary(rng):
    return KMeansVocabulary(6, random_state=0, tol=0, max_iter=200).fit(rng.normal(size=(300, 5)).astype(np.float32))


def test_luma_is_that_of_featrec(solve, rng):
    image = rng.random((7, 9, 3))
    np.testing.assert_allclose(solve["luma"](image), as_gray(image), atol=1e-6)


def test_colour_histograms_are_the_margins_of_featrecs(solve, rng):
    image = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    joint = ColorHistogram(bins=4).extract(image).reshape(4, 4, 4)
    margins = [joint.sum(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    np.testing.assert_allclose(solve["color_histogram"](image, 4), margins, atol=1e-6)


def test_hog_cells_are_those_of_featrec(solve, rng):
    image = rng.random((26, 35))
    dx, dy = solve["image_gradients"](image)
    cells = solve["cell_histograms"](np.hypot(dx, dy), solve["orientation_bins"](dx, dy, 9), 9, 8)
    np.testing.assert_allclose(cells, HOG(orientations=9, pixels_per_cell=8).cells(image), atol=1e-6)


def test_local_maxima_are_those_of_scikit_image(solve, rng):
    response = rng.normal(size=(30, 40))
    found = peak_local_max(response, min_distance=1, threshold_abs=1.0, exclude_border=1)
    assert sorted(map(tuple, solve["local_maxima"](response, 1.0))) == sorted(map(tuple, found))


def test_normalised_descriptors_are_those_of_dense_sift(solve, rng):
    raw = rng.gamma(0.3, 1.0, (10, 128))
    raw[4] = 0
    np.testing.assert_allclose(solve["normalize_descriptors"](raw), [normalized(row) for row in raw])


def test_matches_are_those_of_scikit_image(solve, rng):
    first, second = rng.random((30, 8)), rng.random((25, 8))
    second[:10] = first[5:15] + rng.normal(0, 0.02, (10, 8))
    found = match_descriptors(first, second, metric="euclidean", max_ratio=0.75, cross_check=False)
    np.testing.assert_array_equal(solve["match"](first, second, 0.75), found)


def test_directions_are_those_of_image_moments(solve, rng):
    patches = rng.integers(0, 256, (5, 9, 9)).astype(float)
    for patch, angle in zip(patches, solve["patch_directions"](patches), strict=True):
        moments = cv2.moments(patch.astype(np.float32))
        x, y = moments["m10"] / moments["m00"] - 4, moments["m01"] / moments["m00"] - 4
        assert angle == pytest.approx(np.degrees(np.arctan2(y, x)), abs=1e-3)


def test_hamming_distances_are_those_of_featrecs_loop(solve, rng):
    points, words = (rng.integers(0, 256, (n, 32)).astype(np.uint8) for n in (40, 9))
    nearest, distances = np.empty(40, np.int64), np.empty(40, np.int64)
    nearest_hamming(points.view(np.uint64), words.view(np.uint64), nearest, distances)
    table = solve["hamming_distances"](points, words)
    np.testing.assert_array_equal(table.min(axis=1), distances)
    np.testing.assert_array_equal(table.argmin(axis=1), nearest)


def test_words_are_those_of_featrec_and_scikit_learn(solve, rng, vocabulary):
    descriptors = rng.normal(size=(80, 5)).astype(np.float32)
    np.testing.assert_array_equal(solve["assign_words"](descriptors, vocabulary.words_), vocabulary.nearest(descriptors))
    first = descriptors[:4].astype(float)
    learned = solve["learn_vocabulary"]([descriptors[:50], descriptors[50:]], [], first, 100)
    expected = KMeans(4, init=first, n_init=1, max_iter=100, tol=0).fit(descriptors.astype(float))
    np.testing.assert_allclose(learned, expected.cluster_centers_, atol=1e-6)


def test_bags_are_those_of_featrec(solve, rng, vocabulary):
    bag = Bag(rng.normal(size=(30, 5)).astype(np.float32))
    frozen, words = FrozenEstimator(vocabulary), vocabulary.words_.astype(float)
    code = BagOfWords(frozen).fit_transform([bag])[0]
    np.testing.assert_allclose(solve["bag"](vocabulary.nearest(bag.descriptors), 6), code, atol=1e-6)
    distances = np.linalg.norm(bag.descriptors[:, None] - words, axis=2)
    pooled = np.empty((1, 6))
    soft_neighbors(bag.descriptors, words, np.zeros(30, int), 6, 0.8**-2, pooled)
    np.testing.assert_allclose(solve["soft_bag"](distances, 0.8), pooled[0] / 30)
    code = LLC(frozen, n_neighbors=3, norm=None).fit_transform([Bag(bag.descriptors[:1])])[0]
    near = np.argsort(distances[0])[:3]
    np.testing.assert_allclose(solve["llc_weights"](bag.descriptors[0], words[near], 1e-4), code[near], atol=1e-4)


def test_pyramids_are_those_of_featrec(solve, rng, vocabulary):
    frames = np.column_stack([rng.uniform(-0.5, 59.5, 50), rng.uniform(-0.5, 39.5, 50), np.full(50, 8), np.zeros(50)])
    bag = Bag(rng.normal(size=(50, 5)).astype(np.float32), frames.astype(np.float32), size=(40, 60))
    code = SpatialPyramid(BagOfWords(FrozenEstimator(vocabulary)), levels=[(2, 3)]).fit_transform([bag])[0]
    cells = solve["cells_of"](bag.frames[:, :2] + 0.5, (40, 60), (2, 3))
    ours = solve["region_bags"](vocabulary.nearest(bag.descriptors), cells, 6, 6)
    np.testing.assert_allclose(ours.ravel(), code, atol=1e-6)
    bags = rng.dirichlet(np.ones(6), 9).astype(np.float32)
    np.testing.assert_allclose(solve["intersection"](bags[:5], bags[5:]), intersection_kernel(bags[:5], bags[5:]), atol=1e-6)


def test_residuals_are_those_of_featrec(solve, rng, vocabulary):
    bag = Bag(rng.normal(size=(40, 5)).astype(np.float32))
    code = VLAD(FrozenEstimator(vocabulary)).fit_transform([bag])[0]
    ours = solve["normalize_words"](solve["sum_residuals"](bag.descriptors, vocabulary.words_))
    np.testing.assert_allclose(ours, code, atol=1e-5)


def test_fisher_vectors_are_those_of_featrec(solve, rng):
    mixture = GaussianVocabulary(3, random_state=0).fit(rng.normal(size=(300, 4)).astype(np.float32))
    bag = Bag(rng.normal(size=(40, 4)).astype(np.float32))
    code = FisherVector(FrozenEstimator(mixture), power=1, norm=None).fit_transform([bag])[0]
    means, variances, weights = mixture.means_, mixture.covariances_, mixture.weights_
    x = bag.descriptors.astype(float)
    logs = np.log(weights) - 0.5 * (np.log(variances) + (x[:, None] - means) ** 2 / variances).sum(axis=2)
    posteriors = np.exp(logs - logs.max(axis=1, keepdims=True))
    posteriors /= posteriors.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(solve["fisher_vector"](x, posteriors, weights, means, variances), code, atol=1e-4)


def test_classifiers_and_scalers_are_those_of_scikit_learn(solve, rng):
    train, test, labels = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)), rng.integers(0, 3, 40)
    expected = KNeighborsClassifier(5).fit(train, labels).predict(test)
    np.testing.assert_array_equal(solve["k_nearest"](train, labels, test, 5), expected)
    np.testing.assert_allclose(solve["standardize"](train, test), StandardScaler().fit(train).transform(test))


def test_convolution_is_that_of_scipy(solve, rng):
    image, kernel = rng.normal(size=(12, 15)), rng.normal(size=(3, 5))
    np.testing.assert_allclose(solve["convolve"](image, kernel), correlate2d(image, kernel, "valid"))


def test_contributions_sum_to_the_score(solve, rng):
    words, weights = rng.integers(0, 6, 30), rng.normal(size=(3, 6))
    assert solve["contributions"](words, weights, 2).sum() == pytest.approx(weights[2] @ solve["bag"](words, 6))
