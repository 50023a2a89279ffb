"""Unusable images with on_error="empty"."""

import pickle
import threading
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec import recipes
from featrec.descriptors import HOG, ORB, ColorHistogram, DenseSIFT, TinyImage
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.exceptions import FailedImageWarning, ImageError, InputError, MissingImageError
from featrec.lazy import Failure, Failures
from featrec.persistence import load, save
from featrec.preprocessing import Rescale, Resize

BAD = (2, 5)


@pytest.fixture
def images(rng):
    items = [rng.integers(0, 256, (40, 48, 3), dtype=np.uint8) for _ in range(8)]
    items[2] = "no such file.png"
    items[5] = b"no image"
    return items


@pytest.fixture
def good(images):
    return [image for i, image in enumerate(images) if i not in BAD]


def warns_of(failed, total):
    return pytest.warns(FailedImageWarning, match=f"{failed} of {total} images could not be used")


@pytest.mark.parametrize("extractor", [HOG(), ColorHistogram(), TinyImage()], ids=str)
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_global_extractor_gives_zeros_and_one_warning(extractor, n_jobs, images, good):
    extractor.set_params(on_error="empty", n_jobs=n_jobs).fit(images)
    with warns_of(2, 8) as caught:
        codes = extractor.transform(images)
    assert len(caught) == 1
    assert not codes[list(BAD)].any()
    np.testing.assert_array_equal(np.delete(codes, BAD, axis=0), extractor.transform(good))
    assert [failure.index for failure in extractor.failures_] == []


@pytest.mark.parametrize("extractor", [DenseSIFT(step=8, bin_sizes=4), ORB(edge_threshold=8, patch_size=9)], ids=str)
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_local_extractor_gives_empty_bags_and_one_warning(extractor, n_jobs, images, good):
    extractor.set_params(on_error="empty")
    encoder = SpatialPyramid(BagOfWords(4, random_state=0, n_jobs=n_jobs), levels=2).fit(extractor.transform(good))
    bags = extractor.transform(images)
    assert len(extractor.failures_) == 0, "nothing is read yet"
    with warns_of(2, 8) as caught:
        codes = encoder.transform(bags)
    assert len(caught) == 1
    assert not codes[list(BAD)].any()
    np.testing.assert_array_equal(np.delete(codes, BAD, axis=0), encoder.transform(extractor.transform(good)))


def test_failures_have_index_path_and_reason(images):
    extractor = TinyImage(on_error="empty").fit(images)
    with warns_of(2, 8):
        extractor.transform(images)
    missing, strange = extractor.failures_
    assert (missing.index, missing.item, strange.index, strange.item) == (2, "no such file.png", 5, None)
    assert "no such file" in missing.reason
    assert "unsupported image format" in strange.reason


def test_failures_of_lazy_bags_grow_while_they_are_computed(images):
    extractor = DenseSIFT(on_error="empty")
    bags = extractor.transform(images)
    assert bags[2].descriptors.shape == (0, 128)
    assert [failure.index for failure in extractor.failures_] == [2]
    list(bags)
    assert [failure.index for failure in extractor.failures_] == [2, 5]
    assert [failure.index for failure in bags[4:].own_failures()] == [5]


def test_failures_of_other_processes_are_returned(images):
    extractor = DenseSIFT(step=8, bin_sizes=4, on_error="empty")
    encoder = BagOfWords(3, random_state=0).fit(extractor.transform(images[:2]))
    with joblib.parallel_config("loky", n_jobs=2), warns_of(2, 8):
        encoder.transform(extractor.transform(images))
    assert [failure.index for failure in extractor.failures_] == [2, 5]


def test_by_default_the_first_unusable_image_is_an_error(images):
    with pytest.raises(MissingImageError, match=r"image 2 .'no such file.png'.: no such file"):
        TinyImage().fit(images).transform(images)
    with pytest.raises(ImageError, match=r"image [25]"):
        BagOfWords(3, random_state=0).fit(DenseSIFT().transform(images))


def test_fit_skips_unusable_images(images):
    codes = HOG(on_error="empty").fit(images[2:])
    assert codes.n_features_out_ == HOG().fit(images[:1]).n_features_out_


def test_only_unusable_images_are_an_error(images):
    with pytest.raises(InputError, match=r"none of the 2 images can be used; the first error: image 0"):
        HOG(on_error="empty").fit([images[2], images[5]])
    with pytest.raises(InputError, match="empty"):
        BagOfWords(3).fit(DenseSIFT(on_error="empty").transform([images[2], images[5]]))


def test_failures_of_earlier_steps_count(images):
    model = make_pipeline(Resize(32), HOG(on_error="empty"), LinearSVC(random_state=0))
    with warns_of(2, 8):
        model.fit(images, [0, 1] * 4)
    assert [failure.index for failure in model[1].failures_] == [2, 5]


def test_failures_are_not_saved(images, tmp_path):
    extractor = TinyImage(on_error="empty").fit(images)
    with warns_of(2, 8):
        extractor.transform(images)
    save(extractor, tmp_path / "model.featrec")
    for copy in (load(tmp_path / "model.featrec"), pickle.loads(pickle.dumps(extractor))):
        assert not hasattr(copy, "failures_")


@pytest.mark.parametrize("name", ["tiny_knn", "hog_svm", "bovw_svm"])
def test_unusable_images_do_not_change_other_predictions(name, images, good):
    model = recipes.make(name, on_error="empty", **({"n_words": 5} if name == "bovw_svm" else {}))
    model.fit(good, [0, 1] * 3)
    with warns_of(2, 8):
        predicted = model.predict(images)
    assert (np.delete(predicted, BAD) == model.predict(good)).all()


def test_failures_list_each_image_once():
    failures = Failures([Failure(3, "b.png", "why")])
    failures.note([Failure(3, "b.png", "why"), Failure(1, None, "because")])
    assert [failure.index for failure in failures] == [1, 3]
    assert "b.png" in repr(failures)


@pytest.mark.parametrize("extractor", [TinyImage(), HOG(n_jobs=2), DenseSIFT(), ORB(on_error="empty")], ids=str)
def test_check_lists_unusable_images_for_any_policy(extractor, images):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        failures = extractor.check(images)
    assert [(failure.index, failure.item) for failure in failures] == [(2, "no such file.png"), (5, None)]
    assert not hasattr(extractor, "failures_")
    assert len(extractor.check([images[0]])) == 0
    with pytest.raises(InputError, match="expected a batch of images"):
        extractor.check("cat.png")


def test_check_names_images_that_the_extractor_or_a_step_refuses(rng):
    images = [rng.random((40, 40)), np.ones((40, 40)), rng.random((9, 9))]
    assert [failure.index for failure in HOG().check(images)] == [2]
    dark = Rescale(bits=12).transform([np.zeros((40, 40), np.uint16), np.full((40, 40), 5000, np.uint16)])
    (failure,) = TinyImage().check(dark)
    assert "white is set to 4095" in failure.reason


def in_threads(function, batches):
    """Call a function five times in each of several threads, one for each batch."""
    start = threading.Barrier(len(batches))

    def several_times(batch):
        start.wait()
        return [function(batch) for _ in range(5)]

    with ThreadPoolExecutor(len(batches)) as pool:
        return list(pool.map(several_times, batches))


def test_threads_that_share_an_extractor_do_not_mix_their_failures(images):
    batches = [[images[0], *[images[2]] * n, images[1]] for n in range(1, 9)]
    tiny, dense = TinyImage(on_error="empty"), DenseSIFT(step=8, bin_sizes=4, on_error="empty")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        in_threads(tiny.transform, batches)
    counts = Counter(str(warning.message).partition(" could not")[0] for warning in caught)
    assert counts == {f"TinyImage: {n} of {n + 2} images": 5 for n in range(1, 9)}
    assert in_threads(lambda batch: len(listed(dense.transform(batch)).failures), batches) == [[n] * 5 for n in range(1, 9)]
    assert in_threads(lambda batch: len(tiny.check(batch)), batches) == [[n] * 5 for n in range(1, 9)]


def listed(bags):
    list(bags)
    return bags
