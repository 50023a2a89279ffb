"""PatchCodes agrees with the naive implementation, and with the pipeline of Patches, Whiten and ThresholdCode."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from featrec.bag import Bag
from featrec.compiled import _patch_codes as compiled
from featrec.compiled._dot_products import has_integer_dot
from featrec.datasets import load_dataset
from featrec.descriptors import PatchCodes, Patches
from featrec.encoders import SpatialPyramid, ThresholdCode
from featrec.exceptions import EmptyBagWarning, FailedImageWarning, ImageError, InputError
from featrec.vocabularies import RandomVocabulary
from tests.naive import patch_codes as naive

ROOM = {"n_words": 40, "size": 4, "random_state": 0}


def images(shape=(12, 14, 3), n=6, seed=0):
    """Return smooth images, because patches of noise are already white."""
    noise = np.random.default_rng(seed).random((n, *shape))
    for axis in (1, 2):
        noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)) / 3
    return (255 * noise).astype(np.uint8)


def arguments(mirror, n_words=35):
    """Return arguments of the loop for images of 9 x 8 pixels, including the array for the result."""
    X = images((9, 8), 2)
    model = PatchCodes(n_words, size=3, grid=2, mirror=mirror, contrast=4.0, random_state=0).fit(X)
    given = []
    model._loop = lambda: lambda *them: given.extend(them)
    model._describe_stack(X)
    return given


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("name", ["patch_codes", "patch_codes_by_blas"])
def test_codes_equal_the_naive_twin(name, mirror):
    if name == "patch_codes" and not has_integer_dot():
        pytest.skip("this processor has no byte products")
    *given, codes = arguments(mirror)
    found, expected = np.full_like(codes, np.nan), np.full_like(codes, np.nan)
    getattr(compiled, name)(*given, found)
    getattr(naive, name)(*given, expected)
    assert expected.max() > 0
    # A number on the border between two steps may be rounded to either step.
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.max())
    assert np.mean(np.abs(found - expected) > 1e-5 * expected.max()) < 0.05


@pytest.mark.skipif(not has_integer_dot(), reason="this processor has no byte products")
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("shape", [(12, 14, 3), (40, 61)])
def test_processors_without_byte_products_give_the_same_codes(mirror, shape, monkeypatch):
    X = images(shape, 3)
    model = PatchCodes(mirror=mirror, **ROOM).fit(X)
    expected = model.transform(X)
    monkeypatch.setattr("featrec.descriptors._patch_codes.has_integer_dot", lambda: False)
    np.testing.assert_array_equal(model.transform(X), expected)


@pytest.mark.parametrize(
    "shape, grid, overlap",
    [
        ((20, 17), 3, 1 / 3),
        ((20, 17), (2, 1), 0.0),
        ((20, 17), 1, 0.0),
        ((20, 17), 4, 0.25),
        ((8, 6), 3, 1 / 3),  # the three columns of patches are in the middle, so outer cells are empty
        ((6, 12), 4, 0.0),
    ],
)
def test_codes_approximate_the_chain_of_estimators(shape, grid, overlap):
    X = images(shape)
    model = PatchCodes(grid=grid, overlap=overlap, **ROOM).fit(X)
    bags = Patches(4, mirror=True).fit(X).transform(X)
    white = [Bag(bag.descriptors @ model.basis_ - model.offsets_, bag.frames, bag.size) for bag in bags]
    words = RandomVocabulary(40)
    words.words_, words.n_features_in_ = model.words_ / model.word_scales_[:, None], model.words_.shape[1]
    levels = [(grid, grid) if isinstance(grid, int) else grid]
    chain = SpatialPyramid(ThresholdCode(FrozenEstimator(words)), levels=levels, overlap=overlap)
    expected = chain.fit_transform(white)
    away = model.transform(X) - expected
    assert np.abs(away).max() < 0.1 * expected.max()
    assert np.sqrt(np.mean(away**2)) < 0.03 * expected.std()


def test_an_image_and_its_mirror_image_have_the_same_code():
    X = images()
    model = PatchCodes(**ROOM).fit(X)
    codes = model.transform(X)
    np.testing.assert_allclose(model.transform(X[:, :, ::-1]), codes, atol=0.01 * codes.max())
    other = PatchCodes(**ROOM, mirror=False).fit(X)
    assert np.abs(other.transform(X[:, :, ::-1]) - other.transform(X)).max() > 0.05 * codes.max()


def test_images_of_any_size_and_data_type_have_codes_of_the_same_length():
    X = images((32, 32))
    model = PatchCodes(**ROOM).fit(X)
    codes = model.transform([X[0], X[1][:9, :20], X[0] / 255, X[0].astype(np.uint16) * 257])
    assert codes.shape == (4, model.n_features_out_) == (4, 2 * 40 * 9)
    np.testing.assert_allclose(codes[2:], np.stack([codes[0]] * 2), atol=0.01 * codes.max())


def test_large_sums_do_not_overflow():
    checkered = np.kron(np.indices((40, 40)).sum(axis=0) % 2, np.ones((4, 4))) * 255
    X = np.stack([checkered, checkered[::-1]]).astype(np.uint8)
    model = PatchCodes(3, size=4, contrast=0.0, grid=1, threshold=0.0, random_state=0).fit(X)
    codes = model.transform(X)
    assert np.isfinite(codes).all()
    assert (codes >= 0).all()
    assert codes.max() > 0


def test_an_image_smaller_than_a_patch_gives_zeros_and_a_warning():
    X = [*images(), np.zeros((3, 30, 3), np.uint8)]
    model = PatchCodes(**ROOM).fit(X)
    with pytest.warns(EmptyBagWarning, match="PatchCodes: 1 of 7 images have no descriptors"):
        codes = model.transform(X)
    assert codes[:6].any(axis=1).all()
    assert not codes[6].any()
    assert not model.extract(X[6]).any()


def test_an_unreadable_image_gives_zeros():
    X = [*images(), b"no image"]
    with pytest.raises(ImageError, match="image 6"):
        PatchCodes(**ROOM).fit(X[:6]).transform(X)
    model = PatchCodes(**ROOM, on_error="empty").fit(X[:6])
    with pytest.warns(FailedImageWarning, match="1 of 7"):
        assert not model.transform(X)[6].any()
    assert len(model.failures_) == 1


def test_unsuitable_training_images_and_parameters_are_errors():
    with pytest.raises(InputError, match=r"40 words cannot be drawn from only 0 distinct patches"):
        PatchCodes(**ROOM).fit(np.full((3, 9, 9), 7, np.uint8))
    with pytest.raises(InputError, match=r"a patch of size=19 has 1083"):
        PatchCodes(4, size=19).fit(images((24, 24, 3)))
    with pytest.raises(InputError, match=r"grid must be 2 positive integers.*got \(0, 1\)"):
        PatchCodes(4, grid=(0, 1)).fit(images())


@pytest.mark.parametrize("change", [{"size": 5}, {"grid": 2}])
def test_parameters_changed_after_fit_are_an_error(change):
    model = PatchCodes(**ROOM).fit(images())
    with pytest.raises(InputError, match=r"its parameters now require .* Fit again"):
        model.set_params(**change).transform(images())


def test_fit_decides_about_mirroring():
    digits, _ = load_dataset("digits")
    few = digits[:400]
    options = {"n_words": 20, "size": 4, "grid": 2, "random_state": 0}
    found = PatchCodes(mirror="auto", **options).fit(few, few.labels)
    assert found.mirror_ is False
    plain = PatchCodes(mirror=False, **options).fit(few, few.labels)
    np.testing.assert_array_equal(found.transform(few), plain.transform(few))
    assert PatchCodes(mirror="auto", **options).fit(few).mirror_ is True
