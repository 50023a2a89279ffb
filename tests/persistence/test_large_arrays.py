"""Large arrays are stored without skops. Loading needs little more memory than the model itself."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from featrec.classifiers import KernelRidgeClassifier, WideScaler
from featrec.exceptions import ModelFileError
from featrec.persistence import _large_arrays, load, model_bytes, save
from tests.persistence.archives import refused, reloaded, saved

RNG = np.random.default_rng(0)
CODES, LABELS = RNG.normal(size=(60, 40)).astype(np.float32), np.repeat(["coat", "shirt", "shoe"], 20)


class Holder(BaseEstimator):
    """An estimator with arrays in all places where a model may have arrays."""

    def __init__(self, first=None, rest=None):
        self.first = first
        self.rest = rest


class Stubborn(GaussianNB):
    def __deepcopy__(self, memo):
        raise RuntimeError("not me")


@pytest.fixture
def small_is_large(monkeypatch):
    monkeypatch.setattr(_large_arrays, "LARGE", 1000)


def entries():
    with zipfile.ZipFile("model.featrec") as archive:
        return archive.infolist()


def test_a_model_is_loaded_with_its_large_arrays(small_is_large):
    model = make_pipeline(WideScaler(), FrozenEstimator(KernelRidgeClassifier(random_state=0).fit(CODES, LABELS)))
    model.fit(CODES, LABELS)
    found = reloaded(model)
    np.testing.assert_array_equal(found.predict(CODES), model.predict(CODES))
    np.testing.assert_array_equal(found[1].estimator.X_fit_, CODES)
    assert found[1].estimator.X_fit_.flags.writeable
    kinds = {entry.compress_type for entry in entries() if entry.file_size == 128 + CODES.nbytes}
    assert kinds == {zipfile.ZIP_STORED}, "what hardly shrinks is not deflated"
    assert model_bytes(model) == os.path.getsize("model.featrec")
    np.testing.assert_array_equal(model[1].estimator.X_fit_, CODES)


@pytest.mark.parametrize("layout", ["C", "F"])
def test_a_large_array_of_few_words_is_deflated(small_is_large, layout):
    """Histograms of visual words are mostly zeros."""
    histograms = np.asarray(RNG.poisson(0.05, (300, 500)).astype(np.float32), order=layout)
    found = reloaded(Holder(histograms), trusted=[Holder]).first
    assert model_bytes(Holder(histograms)) == os.path.getsize("model.featrec") < histograms.nbytes / 5
    np.testing.assert_array_equal(found, histograms)
    assert found.flags.writeable
    assert found.flags.c_contiguous == (layout == "C")


@pytest.mark.parametrize("kind", ["f4", "f8", ">f4", "i2", "u1", "?"])
@pytest.mark.parametrize("shape", [(4000,), (40, 100), (10, 20, 20), (1, 4000)])
@pytest.mark.parametrize("layout", ["rows", "columns", "steps"])
def test_every_kind_of_array_is_loaded(small_is_large, kind, shape, layout):
    array = RNG.integers(0, 2, shape).astype(kind)
    array = {"rows": array, "columns": np.asfortranarray(array), "steps": np.repeat(array, 2, axis=-1)[..., ::2]}[layout]
    found = reloaded(Holder(array), trusted=[Holder]).first
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert model_bytes(Holder(array)) == os.path.getsize("model.featrec")


def test_arrays_in_lists_dicts_and_tuples(small_is_large):
    one, other = RNG.normal(size=(2, 30, 50))
    found = reloaded(Holder([one, {"a": other}], {"deep": [Holder(one + 1)], "small": np.arange(3)}), trusted=[Holder])
    np.testing.assert_array_equal(found.first[0], one)
    np.testing.assert_array_equal(found.first[1]["a"], other)
    np.testing.assert_array_equal(found.rest["deep"][0].first, one + 1)
    for array, expected in zip(reloaded(Holder((one, other)), trusted=[Holder]).first, (one, other), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_an_array_in_two_places_is_written_once_and_loaded_twice(small_is_large):
    array = RNG.normal(size=(30, 50))
    found = reloaded(Holder(array, [array]), trusted=[Holder])
    assert sum(entry.file_size > 1000 for entry in entries() if entry.filename.endswith("npy")) == 1
    np.testing.assert_array_equal(found.first, array)
    np.testing.assert_array_equal(found.rest[0], array)
    assert not np.shares_memory(found.first, found.rest[0])


def test_the_same_model_gives_the_same_bytes(small_is_large):
    model = KernelRidgeClassifier(random_state=0).fit(CODES, LABELS)
    assert saved(model) == saved(model)


def test_files_are_loaded_with_any_limit_of_large_arrays(monkeypatch):
    """Which arrays are large, and whether they are deflated, is decided when the file is written."""
    model = KernelRidgeClassifier(random_state=0).fit(CODES, LABELS)
    for written, read in ((2**26, 1000), (1000, 2**26)):
        monkeypatch.setattr(_large_arrays, "LARGE", written)
        save(model, "model.featrec")
        monkeypatch.setattr(_large_arrays, "LARGE", read)
        np.testing.assert_array_equal(load("model.featrec").predict(CODES), model.predict(CODES))


def test_a_model_that_cannot_be_copied_is_saved(small_is_large):
    found = reloaded(Holder(Stubborn().fit(CODES, LABELS), CODES), trusted=[Holder, Stubborn])
    np.testing.assert_array_equal(found.rest, CODES)


def test_neighbours_are_checked_in_large_arrays_too(small_is_large):
    model = KNeighborsClassifier(algorithm="brute").fit(CODES, LABELS)
    np.testing.assert_array_equal(reloaded(model).predict(CODES), model.predict(CODES))
    model._fit_X = CODES[:50]
    with pytest.raises(ModelFileError, match="KNeighborsClassifier"):
        reloaded(model)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
def test_a_changed_byte_is_found(small_is_large, place):
    data = bytearray(saved(KernelRidgeClassifier(random_state=0).fit(CODES, LABELS)))
    data[int(place * len(data))] ^= 255
    refused(bytes(data), "damaged, cut off or not a model file|does not match its hash")


def test_large_files_are_loaded_up_to_a_given_limit(monkeypatch, small_is_large):
    for module in ("_load", "_archive"):
        monkeypatch.setattr(f"featrec.persistence.{module}.MAX_BYTES", 2**16)
    codes = np.repeat(CODES, 20, axis=0)
    model = KernelRidgeClassifier(random_state=0).fit(codes, np.repeat(LABELS, 20))
    np.testing.assert_array_equal(reloaded(model).predict(CODES), model.predict(CODES))
    assert os.path.getsize("model.featrec") > 2**17, "copies of rows shrink, but then load would ask for a limit"
    with pytest.raises(ModelFileError, match=r"larger than the limit of 2,000 bytes; use load\(path, max_bytes=...\) to raise"):
        load("model.featrec", max_bytes=2000)


MEMORY = """
import sys
import numpy as np
from featrec.classifiers import KernelRidgeClassifier
from featrec.persistence import load, model_bytes, save

def peak():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))) / 1000

codes = np.random.default_rng(0).normal(size=(100, 1000)).astype(np.float32)
model = KernelRidgeClassifier().fit(codes, np.arange(100) % 3)
save(model, sys.argv[1] + ".small")
load(sys.argv[1] + ".small")
if sys.argv[2] == "write":
    before = peak()
    model.X_fit_ = np.ones((17_000, 1000), np.float32)  # 68 MB
    save(model, sys.argv[1])
    assert model_bytes(model) > 6.8e7
else:
    before = peak()
    assert load(sys.argv[1]).X_fit_.shape == (17_000, 1000)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_the_memory_for_a_large_model_is_that_of_the_model(tmp_path):
    for step in ("write", "read"):
        command = [sys.executable, "-c", MEMORY, str(tmp_path / "model"), step]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert float(done.stdout) < 102
