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
from tests.descriptors.contributions import assert_complete, touched
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


@pytest.mark.parametrize("mirror", [False, True])
def test_points_equal_the_naive_twin(mirror):
    given = arguments(mirror)[:9]
    found = np.zeros((len(given[8]), given[4].shape[1]), np.uint8)
    expected = found.copy()
    compiled.patch_points(given[0][1], *given[1:], found)
    naive.patch_points(given[0][1], *given[1:], expected)
    # A number on the border between two steps may be rounded to either step.
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.mean(found != expected) < 0.05


def naive_shares(model, image, weights):
    """Return what each patch adds to the weighted sum of the code, region by region, from the points of the loop."""
    rows, columns = model._grid()
    table, (numbers, *settings) = model._table(*image.shape[:2]), model._prepared(image[None])
    points = np.empty((len(table.filled), model.basis_.shape[1]), np.uint8)
    compiled.patch_points(numbers[0], *settings, table.places, table.filled, points)
    points, size = points[table.places].astype(int) - 128, model.size
    weights = weights.reshape(rows, columns, 2, -1)
    signs = np.where(np.arange(points.shape[1]) < model.n_even_, 1, -1)
    places = [(y, x) for y in range(image.shape[0] - size + 1) for x in range(image.shape[1] - size + 1)]
    shares = np.zeros(len(places))
    for row, column in np.ndindex(rows, columns):
        votes, counts = np.zeros(len(places)), 0
        for i, (y, x) in enumerate(places):
            for side in range(1 + model.mirror_):
                at = (y, image.shape[1] - size - x if side else x)
                if not in_region(at, image.shape, (row, column), (rows, columns), size, model.overlap):
                    continue
                counts += 1
                products = model.words_.astype(int) @ (points[i] * (signs if side else 1))
                for way, sign in enumerate((1, -1)):
                    beyond = np.maximum(0, sign * products - np.rint(model.threshold * model.patch_scale_ * model.word_scales_))
                    votes[i] += weights[row, column, way] @ (beyond / (model.word_scales_ * float(model.patch_scale_)))
        shares += votes / max(1, counts)
    return shares


def in_region(at, shape, region, grid, size, overlap):
    for place, length, number, n in zip(at, shape, region, grid, strict=False):
        side = 1 / (n - (n - 1) * overlap)
        start, centre = number * side * (1 - overlap), (place + size / 2) / length
        if not round(start, 9) <= centre < round(start + side, 9):
            return False
    return True


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("shape", [(12, 14, 3), (15, 10)])
@pytest.mark.parametrize("options", [{"grid": (2, 3)}, {"grid": 1, "size": 3}, {"grid": 2, "overlap": 0.0, "threshold": 0.3}])
def test_contributions_equal_naive_sums_over_the_patches(mirror, shape, options):
    X = images(shape)
    model = PatchCodes(mirror=mirror, **ROOM | options).fit(X)
    for image in (X[0], X[0] / 255, X[0] * np.uint16(257)):
        found = assert_complete(model, image)
        weights = np.random.default_rng(0).normal(size=model.n_features_out_)
        np.testing.assert_allclose(found.values, naive_shares(model, image, weights), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("grid", [1, (2, 3)])
@pytest.mark.parametrize("shape", [(24, 35, 3), (31, 20)])
def test_only_patches_at_a_changed_spot_change_their_contributions(mirror, grid, shape):
    X = images(shape, 4)
    model = PatchCodes(mirror=mirror, grid=grid, threshold=0.0, **ROOM).fit(X)
    weights = np.random.default_rng(0).normal(size=model.n_features_out_)
    for top, left in ((0, 0), (11, 6), (shape[0] - 3, shape[1] - 2)):
        where, changed = (top, top + 3, left, left + 2), X[0].copy()
        changed[top : top + 3, left : left + 2] ^= 255
        before, after = (model.contributions(image, weights) for image in (X[0], changed))
        np.testing.assert_array_equal(before.values != after.values, touched(before.outlines, *where))


def test_contributions_of_hard_images(monkeypatch):
    model = PatchCodes(**ROOM).fit(images((32, 32)))
    for image in (np.full((9, 9, 3), 80, np.uint8), images((4, 4), 1)[0], images((5, 40), 1)[0], images((50, 61), 1)[0]):
        assert_complete(model, image)
    assert len(model.contributions(np.zeros((3, 30), np.uint8), np.ones(model.n_features_out_)).values) == 0
    image, weights = images((50, 61), 1)[0], np.random.default_rng(1).normal(size=model.n_features_out_)
    expected = model.contributions(image, weights).values
    monkeypatch.setattr("featrec.descriptors._patch_table.PRODUCTS", 300)
    np.testing.assert_allclose(model.contributions(image, weights).values, expected, rtol=1e-9, atol=1e-12)
