"""WideScaler against plain loops and against three transformers of scikit-learn."""

import tracemalloc

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from featrec.classifiers import WideScaler
from featrec.compiled import _rows
from featrec.exceptions import InputError
from tests.naive import standardize as naive


def codes_of(random, n=40, d=30):
    codes = random.normal(size=(n, d)).astype(np.float32) * np.geomspace(1e-2, 1e2, d).astype(np.float32) + 3
    codes[:, 4] = 7.3
    codes[:, 5] = 0
    return codes


def signed_root(codes):
    return np.sign(codes) * np.sqrt(np.abs(codes))


@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.3])
def test_the_sums_are_those_of_plain_loops(rng, exponent):
    codes, ours, theirs = codes_of(rng), np.full((2, 11), np.nan), np.empty((2, 11))
    origins = rng.normal(size=11)
    _rows.column_sums(codes, 3, np.float32(exponent), origins, *ours)
    naive.column_sums(codes, 3, exponent, origins, *theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.3])
@pytest.mark.parametrize("unit_length", [True, False])
def test_scaling_is_that_of_plain_loops(rng, exponent, unit_length):
    ours = codes_of(rng)
    theirs = ours.copy()
    means, factors = rng.normal(size=(2, 30)).astype(np.float32)
    _rows.standardize(ours, np.float32(exponent), means, factors, unit_length)
    naive.standardize(theirs, exponent, means, factors, unit_length)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scaling_is_that_of_three_transformers_of_scikit_learn(rng, copy, n_jobs):
    codes, others = codes_of(rng), codes_of(rng, n=7)
    theirs = make_pipeline(FunctionTransformer(signed_root), StandardScaler(), Normalizer())
    expected = theirs.fit_transform(codes.astype(float)), theirs.transform(others.astype(float))
    ours = WideScaler(power=0.5, unit_length=True, copy=copy, n_jobs=n_jobs)
    for result, wanted in zip((ours.fit_transform(codes), ours.transform(others)), expected, strict=True):
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, wanted, atol=2e-5)


def test_epsilon_is_in_units_of_the_mean_variance(rng):
    codes = codes_of(rng)
    variances = codes.astype(float).var(axis=0)
    expected = (codes - codes.mean(axis=0, dtype=float)) / np.sqrt(variances + 0.1 * variances.mean())
    scaler = WideScaler(epsilon=0.1).fit(codes)
    np.testing.assert_allclose(scaler.transform(codes), expected, atol=1e-5)
    # Codes that are a thousand times larger give the same results.
    np.testing.assert_allclose(WideScaler(epsilon=0.1).fit_transform(1000 * codes), expected, atol=1e-4)


@pytest.mark.parametrize("power", [1.0, 0.5, 0.4])
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_a_constant_column_becomes_zero_also_for_new_codes(rng, power, epsilon):
    codes = codes_of(rng)
    scaler = WideScaler(power=power, epsilon=epsilon).fit(codes)
    assert scaler.scale_[4] == scaler.scale_[5] == 0
    later = scaler.transform(codes + 1)
    assert not later[:, 4:6].any()
    assert np.isfinite(later).all()


def test_zero_rows_and_rows_at_the_mean_stay_finite():
    codes = np.array([[1, 2], [-1, -2], [0, 0], [3, 1], [-3, -1]], np.float32)
    scaled = WideScaler(unit_length=True).fit_transform(codes)
    np.testing.assert_array_equal(scaled[2], 0)
    np.testing.assert_allclose(np.linalg.norm(scaled[[0, 1, 3, 4]], axis=1), 1, rtol=1e-6)
    only_zeros = WideScaler(power=0.5, epsilon=0.1, unit_length=True).fit_transform(np.zeros((4, 3)))
    np.testing.assert_array_equal(only_zeros, 0)


def test_a_small_variance_far_from_zero_is_measured(rng):
    codes = (1e4 + rng.normal(size=(1000, 3))).astype(np.float32)
    scaler = WideScaler().fit(codes)
    np.testing.assert_allclose(scaler.var_, codes.astype(float).var(axis=0), rtol=1e-9)


def test_without_copy_it_writes_into_the_given_array(rng):
    codes = codes_of(rng)
    expected = WideScaler(power=0.5).fit_transform(codes)
    assert WideScaler(power=0.5, copy=False).fit_transform(codes) is not None
    np.testing.assert_array_equal(codes, expected)


def test_with_copy_or_read_only_codes_the_input_stays(rng):
    codes = codes_of(rng)
    before = codes.copy()
    expected = WideScaler().fit_transform(codes)
    np.testing.assert_array_equal(codes, before)
    codes.flags.writeable = False
    np.testing.assert_array_equal(WideScaler(copy=False).fit_transform(codes), expected)
    doubles = before.astype(float)
    np.testing.assert_array_equal(WideScaler(copy=False).fit_transform(doubles), expected)
    np.testing.assert_array_equal(doubles, before)


def test_data_frames_are_not_changed_and_names_are_kept(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(codes_of(rng), columns=[f"code{i}" for i in range(30)])
    before = frame.copy()
    scaler = WideScaler().set_output(transform="pandas")
    scaled = scaler.fit_transform(frame)
    pandas.testing.assert_frame_equal(frame, before)
    assert list(scaled.columns) == list(frame.columns) == list(scaler.get_feature_names_out())


def test_without_copy_no_second_array_is_allocated(rng):
    codes = np.ones((300, 20_000), np.float32)
    codes[::2] = 2
    WideScaler(copy=False).fit_transform(codes[:2].copy())
    tracemalloc.start()
    WideScaler(power=0.5, epsilon=0.1, unit_length=True, copy=False, n_jobs=2).fit_transform(codes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < codes.nbytes / 4


@pytest.mark.parametrize("copy", [True, False])
def test_float16_codes_are_the_rounded_float32_codes(rng, copy):
    codes = rng.normal(size=(600, 300)).astype(np.float32)
    before, options = codes.copy(), {"power": 0.5, "epsilon": 0.1, "unit_length": True}
    scaler = WideScaler(**options, dtype="float16", copy=copy, n_jobs=2)
    half = scaler.fit_transform(codes)
    np.testing.assert_array_equal(codes, before)
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, WideScaler(**options).fit_transform(codes).astype(np.float16))
    np.testing.assert_array_equal(scaler.transform(codes), half)


def test_float16_needs_half_the_memory():
    codes = np.ones((3000, 4000), np.float32)
    codes[::2] = 2
    scaler = WideScaler(unit_length=True, dtype="float16").fit(codes)
    scaler.transform(codes[:2])
    tracemalloc.start()
    scaler.transform(codes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert codes.nbytes / 2 < peak < codes.nbytes * 0.75


def test_codes_too_large_for_float16_are_refused():
    codes = np.zeros((70_000, 1), np.float32)
    codes[0] = 1
    with pytest.raises(InputError, match="too large for float16; use unit_length=True"):
        WideScaler(dtype="float16").fit(codes).transform(np.float32([[1e3]]))


def test_threads_and_fit_transform_give_the_same_codes(rng):
    codes = rng.normal(size=(700, 5000)).astype(np.float32)
    options = {"power": 0.5, "epsilon": 0.1, "unit_length": True}
    one, two = (WideScaler(**options, n_jobs=n_jobs) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.fit_transform(codes), two.fit(codes).transform(codes))


def test_wrong_input_is_refused(rng):
    codes = codes_of(rng)
    scaler = WideScaler().fit(codes)
    with pytest.raises(ValueError, match="29 features"):
        scaler.transform(codes[:, :29])
    codes[3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        scaler.transform(codes)
