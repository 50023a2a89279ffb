"""The gallery of words against plain loops over the descriptors of each image."""

import re
import tracemalloc

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import HOG, ORB, DenseSIFT, PatchCodes
from featrec.encoders import VLAD, BagOfWords, FisherVector, SpatialPyramid, ThresholdCode
from featrec.exceptions import InputError
from featrec.explanation import word_gallery
from featrec.pairwise import HistogramKernel
from featrec.preprocessing import Augmented, Resize


@pytest.fixture(scope="module")
def data():
    train, _ = load_dataset("textures", n_train=4, n_test=2)
    return train


def fitted(data, *steps):
    return make_pipeline(*steps, LinearSVC(random_state=0)).fit(data, data.labels)


@pytest.fixture(scope="module")
def model(data):
    words = BagOfWords(20, norm="l2", use_idf=True, random_state=0)
    return fitted(data, Resize((48, 48)), DenseSIFT(step=8), SpatialPyramid(words, levels=2))


@pytest.fixture(scope="module")
def gallery(model, data):
    return word_gallery(model, data, data.labels, n_patches=3)


def described(model, data):
    """Each descriptor with its image, its frame, its word and its distance, found by comparing it with all words."""
    encoder = model[-2].encoder_
    words = encoder.vocabulary_.words_.astype(float)
    for at, bag in enumerate(model[:-2].transform(data)):
        for point, frame in zip(bag.descriptors.astype(float), bag.frames, strict=True):
            apart = np.sqrt(((words - point) ** 2).sum(axis=1))
            yield at, frame, int(apart.argmin()), apart.min()


def test_counts_purity_and_patches_equal_plain_loops(model, data, gallery):
    counts = np.zeros((20, len(gallery.classes)), int)
    nearest = {}
    for at, frame, word, apart in described(model, data):
        counts[word, gallery.classes.index(data.labels[at])] += 1
        nearest.setdefault(word, {}).setdefault(at, []).append((apart, frame))
    np.testing.assert_array_equal(gallery.class_counts, counts)
    np.testing.assert_array_equal(gallery.counts, counts.sum(axis=1))
    for word in range(20):
        shares = counts[word] / counts[word].sum()
        assert gallery.purity[word] == pytest.approx(shares.max())
        assert gallery.entropy[word] == pytest.approx(-sum(p * np.log2(p) for p in shares if p > 0))
        assert gallery.image_counts[word] == len(nearest[word])
        best = [(min(found, key=lambda one: one[0]), at) for at, found in nearest[word].items()]
        best = sorted(best, key=lambda one: one[0][0])[:3]
        np.testing.assert_allclose(gallery.patch_distances[word][: len(best)], [apart for (apart, _), _ in best], rtol=1e-5)
        assert gallery.patch_images[word].tolist()[: len(best)] == [at for _, at in best]
        scale = data[best[0][1]].shape[0] / 48
        x, y, diameter, _ = best[0][0][1]
        expected = [(x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5, diameter * scale]
        np.testing.assert_allclose(gallery.patch_frames[word, 0, :3], expected, rtol=1e-4)


def test_weights_are_sums_of_coefficients(model, gallery):
    coefficients = model[-1].coef_.reshape(len(gallery.model_classes), 5, 20)
    np.testing.assert_allclose(gallery.weights, coefficients.sum(axis=1).T, rtol=1e-6)
    np.testing.assert_allclose(gallery.idf, model[-2].encoder_.idf_)
    scaled = make_pipeline(*model[:-1], StandardScaler(), LinearSVC(random_state=0))
    images = load_dataset("textures", n_train=4, n_test=2)[0]
    scaled.fit(images, images.labels)
    found = word_gallery(scaled, images, images.labels).weights
    coefficients = (scaled[-1].coef_ / scaled[-2].scale_).reshape(len(gallery.model_classes), 5, 20)
    np.testing.assert_allclose(found, coefficients.sum(axis=1).T, rtol=1e-4, atol=1e-4)


def test_weights_of_a_kernel_are_slopes_at_the_mean_code(data):
    """The slopes times the mean code are the difference between its decision value and that of an image without features."""
    two = data[np.isin(data.labels, ["brick", "moon"])]
    words = BagOfWords(10, norm="hellinger", random_state=0)
    model = make_pipeline(DenseSIFT(step=8), words, SVC(kernel=HistogramKernel(kind="intersection"))).fit(two, two.labels)
    weights = word_gallery(model, two).weights
    mean = model[:2].transform(two).mean(axis=0, keepdims=True)
    expected = model[-1].decision_function(mean) - model[-1].decision_function(0 * mean)
    np.testing.assert_allclose(weights.T @ mean[0], np.concatenate([-expected, expected]), rtol=1e-4)


def test_a_patch_is_cut_where_the_word_was_found(data):
    model = fitted(data, DenseSIFT(step=8, bin_sizes=8), BagOfWords(10, random_state=0))
    gallery = word_gallery(model, data, n_patches=2)
    x, y, diameter, _ = gallery.patch_frames[0, 0]
    assert diameter == 32  # a patch has as many pixels, so each of its pixels is the mean of four
    image = data[gallery.patch_images[0, 0]].astype(float)
    left, top = int(x - 15.5), int(y - 15.5)
    shift = (x - 15.5 - left, y - 15.5 - top)
    area = image[top : top + 33, left : left + 33]
    across = (1 - shift[0]) * area[:, :-1] + shift[0] * area[:, 1:]
    expected = (1 - shift[1]) * across[:-1] + shift[1] * across[1:]
    np.testing.assert_allclose(gallery.patches[0, 0, :, :, 0], expected, atol=0.51)


def test_threads_and_few_images_give_the_same(model, data, gallery):
    other = word_gallery(model, data, data.labels, n_patches=3, n_jobs=2)
    for name in ("class_counts", "patch_images", "patch_distances", "patches"):
        np.testing.assert_array_equal(getattr(other, name), getattr(gallery, name))
    single = word_gallery(model, data[:1], n_patches=3)
    assert (single.patch_images[single.counts >= 3] == 0).all()
    assert len(single.dead) == (single.counts == 0).sum() > 0
    assert np.isnan(single.purity).all()
    assert single.classes == ()


@pytest.mark.filterwarnings("ignore:BagOfWords. 2 of 16 images have no descriptors")
@pytest.mark.parametrize(
    ("steps", "signed"),
    [
        ((DenseSIFT(step=8), FisherVector(3, random_state=0)), False),
        ((DenseSIFT(step=8), VLAD(4, random_state=0)), False),
        ((Resize((128, 128)), ORB(), BagOfWords(8, random_state=0)), True),
        ((DenseSIFT(step=8), ThresholdCode(8, random_state=0)), True),
        ((PatchCodes(16, random_state=0),), True),
    ],
    ids=lambda value: type(value[-1]).__name__ if isinstance(value, tuple) else "",
)
def test_every_kind_of_words_has_a_gallery(data, steps, signed):
    model = fitted(data[::2], *steps)
    gallery = word_gallery(model, data[::4], data.labels[::4], n_patches=2)
    assert gallery.counts.sum() == gallery.class_counts.sum() > 0
    assert gallery.weights.shape == (gallery.n_vocabulary, len(gallery.model_classes))
    assert (gallery.weights < 0).any() == signed
    found = gallery.patch_distances[np.isfinite(gallery.patch_distances)]
    assert (np.diff(gallery.patch_distances, axis=1)[np.isfinite(gallery.patch_distances[:, 1:])] >= 0).all()
    assert found.size
    assert (found >= -1e-6).all()
    assert gallery.separations.mean() == pytest.approx(1)


def test_patch_codes_words_are_those_with_the_largest_product(data):
    model = fitted(data, PatchCodes(16, mirror=False, random_state=0))
    gallery = word_gallery(model, data[:1], n_patches=1)
    codes, image = model[0], data[0]
    unit = codes.words_ / np.linalg.norm(codes.words_.astype(float), axis=1, keepdims=True)
    counts = np.zeros(16, int)
    for y in range(image.shape[0] - 5):
        for x in range(image.shape[1] - 5):
            patch = image[y : y + 6, x : x + 6].astype(np.float32).ravel()
            patch = (patch - patch.mean()) / np.sqrt(patch.var() + 10)
            white = patch @ codes.basis_ - codes.offsets_
            counts[(unit @ white).argmax()] += 1
    assert np.abs(counts - gallery.counts).sum() <= 0.02 * counts.sum()  # the model rounds patches to bytes


def test_wrapped_models_and_parts_of_unions(model, data):
    words = make_pipeline(DenseSIFT(step=8), BagOfWords(6, random_state=0))
    data = data[::2]
    union = fitted(data, make_union(words, HOG(), PatchCodes(8, random_state=0)), StandardScaler())
    with pytest.raises(InputError, match="several parts with visual words; set part to one of 'pipeline', 'patchcodes'"):
        word_gallery(union, data)
    with pytest.raises(InputError, match="part must be one of 'pipeline', 'patchcodes'; got 'hog'"):
        word_gallery(union, data, part="hog")
    images, labels = data[::2], data.labels[::2]
    found = word_gallery(union, images, labels, part="pipeline")
    width = union[0].transform(images[:1]).shape[1]
    coefficients = (union[-1].coef_ / union[1].scale_)[:, :6]
    assert (width, found.part) > (6, "p")
    np.testing.assert_allclose(found.weights, coefficients.T, rtol=1e-4, atol=1e-5)
    search = GridSearchCV(make_pipeline(*words.steps[0][1:], words[1], LinearSVC(random_state=0)), {"linearsvc__C": [1]}, cv=2)
    assert word_gallery(search.fit(data, data.labels), images).counts.sum() > 0
    wrapped = Augmented(make_pipeline(*words, LinearSVC(random_state=0)), copies=1, random_state=0).fit(data, data.labels)
    assert word_gallery(FrozenEstimator(wrapped), images).counts.sum() > 0


def test_what_cannot_be_shown_is_refused(data, model):
    with pytest.raises(InputError, match=r"no visual words: none of its steps 'hog' \(HOG\) has any"):
        word_gallery(fitted(data, Resize((48, 48)), HOG())[1:], data)
    with pytest.raises(InputError, match="LinearSVC has no visual words: word_gallery needs a Pipeline"):
        word_gallery(LinearSVC().fit(np.eye(3), [0, 1, 2]), data)
    with pytest.raises(InputError, match="labels has 2 labels for 32 images"):
        word_gallery(model, data, data.labels[:2])
    with pytest.raises(InputError, match="needs at least one image"):
        word_gallery(model, [])


def test_memory_does_not_grow_with_the_number_of_images(model, data):
    peaks = []
    for repeats in (1, 1, 6):
        images = list(data[:16]) * repeats
        tracemalloc.start()
        word_gallery(model, images, n_patches=4)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1]


def test_near_duplicates_are_found(data):
    model = fitted(data, DenseSIFT(step=8), BagOfWords(10, random_state=0))
    words = model[1].vocabulary_.words_
    words[7] = words[3]
    gallery = word_gallery(model, data[:4], n_words=9, random_state=1)
    (first, second, apart), *_ = word_gallery(model, data[:4]).near_duplicates()
    assert (first, second, apart) == (3, 7, 0.0)
    assert (len(gallery.words), gallery.n_vocabulary) == (9, 10)
    assert 7 in word_gallery(model, data).dead  # of equal words, the first is the nearest


def test_frame_figure_and_page(gallery):
    table = gallery.to_frame()
    assert table.index.tolist() == gallery.words.tolist()
    assert table[f"weight_{gallery.model_classes[0]}"].tolist() == gallery.weights[:, 0].tolist()
    figure = gallery.plot(5)
    assert len(figure.axes) == 2
    assert [text.get_text() for text in gallery.plot(words=[4, 2]).axes[0].get_yticklabels()] == ["word 4", "word 2"]
    html = gallery.to_html(n=12, by="count")
    assert len(re.findall(r'<tr id="word-\d+"', html)) == 12
    assert not re.findall(r'(?:src|href)="(?!#|data:)', html)
    with pytest.raises(InputError, match=r"by must be .* got 'best'"):
        gallery.plot(by="best")
    with pytest.raises(InputError, match="the gallery has no word 99"):
        gallery.plot(words=[99])
