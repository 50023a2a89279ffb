"""DescriptorCache: keys, damaged files, limits and concurrent use."""

import errno
import inspect
import itertools
import os
import pickle
import shutil
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import cv2
import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

from featrec import Bag, descriptors
from featrec.descriptors import AKAZE, BRISK, HOG, ORB, SIFT, ColorHistogram, DenseSIFT, DescriptorCache, Patches, TinyImage
from featrec.exceptions import FailedImageWarning, FeatrecWarning, InputError
from featrec.images import GlobalExtractor, LocalExtractor, _cache, _entry, _recall
from featrec.images._entry import content_digest
from featrec.networks import CNNFeatures
from featrec.persistence import load, save
from tests.images import own_extractors
from tests.images.own_extractors import COUNT, CachedMeans, Centred, Means, MeansAtOnce, Rows
from tests.tiny_network import DECLARED, write_tiny_network


@pytest.fixture(autouse=True)
def _no_count():
    COUNT.clear()


@pytest.fixture
def cache(tmp_path):
    return DescriptorCache(tmp_path / "cache")


@pytest.fixture
def images(rng):
    return [np.kron(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(5)]


def same(first, second):
    """Check that Bags have the same numbers in the same types."""
    if isinstance(first, Bag):
        parts = [(getattr(first, name), getattr(second, name)) for name in ("descriptors", "frames", "mirrored")]
        return (first.size, first.metric) == (second.size, second.metric) and all(same(a, b) for a, b in parts)
    if first is None or second is None:
        return first is second
    return first.dtype == second.dtype and first.shape == second.shape and np.array_equal(first, second)


def assert_same(found, expected):
    assert all(same(a, b) for a, b in zip(found, expected, strict=True))


def misses(extractor, images):
    """Return the number of images that were not in the extractor's cache."""
    before = extractor.cache.info().misses
    list(extractor.transform(images))
    return extractor.cache.info().misses - before


def files(cache):
    return sorted(path for path in cache.folder.rglob("*") if path.suffix == ".descriptors")


EXTRACTORS = [SIFT(), DenseSIFT(), ORB(edge_threshold=5, patch_size=9), AKAZE(), BRISK()]
EXTRACTORS += [Patches(stride=5, mirror=True, color="rgb"), HOG(), ColorHistogram(bins=3), TinyImage(color=True), Rows()]


def test_every_extractor_has_the_parameter_cache():
    kinds = [getattr(descriptors, name) for name in descriptors.__all__]
    extractors = [kind for kind in kinds if issubclass(kind, (LocalExtractor, GlobalExtractor))]
    assert len(extractors) >= 9
    assert all("cache" in inspect.signature(kind).parameters for kind in extractors)


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda extractor: type(extractor).__name__)
def test_cached_descriptions_equal_computed_ones(extractor, images, cache):
    expected = list(clone(extractor).fit(images).transform(images))
    extractor = clone(extractor).set_params(cache=cache)
    for _ in range(2):
        assert_same(extractor.fit(images).transform(images), expected)
    assert (cache.info().misses, cache.info().entries) == (5, 5)
    assert cache.info().bytes == sum(path.stat().st_size for path in files(cache))


def test_every_damage_of_an_entry_is_recognised(rng, cache):
    extractor, images = Rows(cache), [rng.integers(1, 256, (3, 3), dtype=np.uint8)]
    assert [misses(extractor, images) for _ in range(2)] == [1, 0]
    assert next(iter(extractor.transform(images))).descriptors.flags.writeable
    (path,) = files(cache)
    content = path.read_bytes()
    flipped = np.frombuffer(content, np.uint8) ^ np.uint8(1) << rng.integers(8, size=len(content), dtype=np.uint8)
    whole = np.tile(np.frombuffer(content, np.uint8), (len(content), 1))
    np.fill_diagonal(whole, flipped)
    for damaged in (*map(bytes, whole), *(content[:length] for length in range(len(content))), content + b"\0"):
        path.write_bytes(damaged)
        COUNT.clear()
        list(extractor.transform(images))
        assert len(COUNT) == 1
        assert path.read_bytes() == content


@pytest.mark.parametrize("frames", [None, np.ones((3, 4), np.float32)], ids=["no frames", "frames"])
def test_mirrored_descriptors_stay_marked(frames):
    bag = Bag(np.eye(3, dtype=np.float32), frames, (5, 6), mirrored=np.array([False, True, True]))
    file = np.frombuffer(b"".join(map(bytes, _entry.pack(bag, "key"))), np.uint8)
    assert same(_entry.unpack(file, "key"), bag)


def test_other_bags_are_stored_as_before_the_field_mirrored():
    bag = Bag(np.arange(6, dtype=np.uint8).reshape(2, 3), np.arange(8).reshape(2, 4), (7, 9))
    file = b"".join(map(bytes, _entry.pack(bag, "ab")))
    assert zlib.crc32(file) == 815627786
    assert same(_entry.unpack(np.frombuffer(file, np.uint8), "ab"), bag)


def test_forged_files_with_other_types_are_ignored(images, cache):
    extractor = TinyImage(cache=cache)
    assert misses(extractor, images) == 5
    path = files(cache)[0]
    content = path.read_bytes()
    for kind, count in ((b"<f4", 0), (b"<i4", 1), (b"|O8", 1)):
        changed = content[_entry.CHECKED :].replace(b"<f4", kind)
        preamble = struct.pack("<8sI", _entry.MAGIC, _entry._checksum(path.stem, [changed]))
        path.write_bytes(preamble + changed)
        assert misses(extractor, images) == count


def test_descriptions_that_cannot_be_restored_exactly_are_not_stored(images, cache, monkeypatch):
    class Own(Bag):
        pass

    monkeypatch.setattr(Rows, "_describe", lambda self, image: Own(np.zeros((2, 2))))
    assert misses(Rows(cache), images) == misses(Rows(cache), images) == 5


@pytest.mark.parametrize("damage", ["empty", "foreign", "another's", "folder"])
def test_a_damaged_entry_is_described_again_and_replaced(damage, images, cache):
    extractor = SIFT(cache=cache)
    expected = list(extractor.transform(images))
    path, other = files(cache)[:2]
    content = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
        with pytest.warns(FeatrecWarning, match="cannot store more"):
            found = list(extractor.transform(images))
    else:
        path.write_bytes({"empty": b"", "foreign": b"something else entirely", "another's": other.read_bytes()}[damage])
        found = list(extractor.transform(images))
        assert path.read_bytes() == content
    assert cache.info().misses == 6
    assert_same(found, expected)


def test_the_key_depends_on_the_pixels(images, cache, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(images[0]).save(path)
    assert misses(SIFT(cache=cache), [path]) == 1
    assert misses(SIFT(cache=cache), [images[0], np.asfortranarray(images[0]), path.read_bytes()]) == 0
    path.rename(tmp_path / "b.png")
    assert misses(SIFT(cache=cache), [tmp_path / "b.png"]) == 0
    Image.fromarray(images[1]).save(tmp_path / "b.png")
    assert misses(SIFT(cache=cache), [tmp_path / "b.png"]) == 1
    assert misses(SIFT(cache=cache), [images[0].astype(np.uint16) * 257]) == 1
    flat = np.zeros((4, 6), np.uint8)
    assert misses(SIFT(cache=cache), [flat, flat.T]) == 2


def test_the_key_depends_on_class_and_parameters(images, cache):
    for name, value in (("sigma", 1.6), ("sigma", 1.5), ("n_features", 7), ("n_octave_layers", 4), ("edge_threshold", 11)):
        assert misses(SIFT(cache=cache).set_params(**{name: value}), images) == 5
    for kind in (ColorHistogram, TinyImage):
        assert misses(kind(cache=cache), images) == 5
        assert misses(kind(cache=cache), images) == 0
    assert misses(SIFT(cache=cache), images) == 0


def test_the_key_does_not_depend_on_how_the_work_is_done(images, cache):
    assert misses(TinyImage(cache=cache), images) == 5
    fitted = TinyImage(cache=cache, n_jobs=2, verbose=1, on_error="empty").fit(images)
    assert misses(fitted.set_output(transform="pandas"), images) == 0
    assert misses(TinyImage(cache=DescriptorCache(cache.folder, max_bytes=10**6)), images) == 0
    assert misses(pickle.loads(pickle.dumps(TinyImage(cache=cache))), images) == 0


@pytest.mark.parametrize(
    "owner, name", [(cv2, "__version__"), (np, "__version__"), (_recall, "__version__"), (SIFT, "algorithm")]
)
def test_the_key_depends_on_versions(owner, name, images, cache, monkeypatch):
    assert misses(SIFT(cache=cache), images) == 5
    monkeypatch.setattr(owner, name, "9.9.9")
    assert misses(SIFT(cache=cache), images) == 5
    monkeypatch.undo()
    assert misses(SIFT(cache=cache), images) == 0


@pytest.mark.parametrize("kind", [CachedMeans, MeansAtOnce, Rows])
def test_a_users_extractor_is_cached(kind, images, cache):
    images[3][:] = 0
    expected = list(kind().fit(images).transform(images))
    for calls in (5, 0):
        COUNT.clear()
        assert_same(kind(cache).fit(images).transform(images), expected)
        assert len(COUNT) == calls


def test_the_key_depends_on_the_code_of_a_users_extractor(images, cache, monkeypatch):
    assert misses(CachedMeans(cache), images) == 5
    monkeypatch.setattr(own_extractors, "FACTOR", 3.0)
    assert misses(CachedMeans(cache), images) == 5
    monkeypatch.setattr(own_extractors, "scaled", eval("lambda values: values * 4", vars(own_extractors)))
    assert misses(CachedMeans(cache), images) == 5
    monkeypatch.setattr(Means, "_describe", eval("lambda self, image: image.mean(axis=(0, 1))", vars(own_extractors)))
    assert misses(CachedMeans(cache), images) == 5
    monkeypatch.undo()
    assert misses(CachedMeans(cache), images) == 0


def test_the_key_depends_on_fitted_attributes(images, cache):
    extractor = Centred(cache).fit(images)
    assert misses(extractor, images) == 4
    assert misses(extractor.fit(images[1:]), images) == 4
    assert misses(Centred(cache).fit(images), images) == 0


VALUES = [None, 0, False, 0.0, "", b"", (), {}, set(), "0", b"0", (0,), ((0,), 0), (0, (0,)), {0: 1}, {1: 0}, {0}, 1, 1.0]
VALUES += [np.nan, np.zeros(2), np.zeros((2, 1)), np.zeros(2, np.float32), np.ones(2), np.mean, np.std, len, CachedMeans, Means]
VALUES += [CachedMeans(power=2), CachedMeans(power=3), np.random.RandomState(0), np.random.RandomState(1)]
VALUES += [lambda x: x + 1, lambda x: x + 2, lambda x, y=1: x + y, lambda x, y=2: x + y]


def test_different_values_have_different_digests():
    digests = [content_digest(value) for value in VALUES]
    assert len(set(digests)) == len(VALUES)
    assert [content_digest(value) for value in VALUES] == digests


def test_equal_values_have_equal_digests(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").write_bytes(b"content")
    pairs = [((1, 2), [1, 2]), (np.int64(3), 3), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (Means(2), clone(Means(2)))]
    assert all(content_digest(a) == content_digest(b) for a, b in [*pairs, (tmp_path / "a", tmp_path / "b")])
    assert content_digest(tmp_path / "a") != content_digest(tmp_path / "c")


def test_an_object_that_contains_itself_has_a_digest():
    extractor = Means()
    extractor.itself_ = {"a": [extractor]}
    assert content_digest(extractor) != content_digest(Means())


@pytest.fixture
def network(tmp_path):
    return write_tiny_network(tmp_path / "net.onnx")


def test_only_new_images_of_a_batch_go_through_a_network(images, network, cache, monkeypatch):
    batches = []
    forward = CNNFeatures._forward

    def counted(self, batch):
        batches.append(len(batch))
        return forward(self, batch)

    monkeypatch.setattr(CNNFeatures, "_forward", counted)
    expected = CNNFeatures(network, batch_size=3).fit_transform(images)
    features = CNNFeatures(network, batch_size=3, cache=cache).fit(images[1:2])
    batches.clear()
    assert same(features.transform(images), expected)
    assert same(features.transform(images[::-1]), expected[::-1])
    assert same(features.transform([images[4], *images]), expected[[4, 0, 1, 2, 3, 4]])
    assert batches == [1, 2, 1], "the second image is known from fit, and later batches are known"


def test_the_key_depends_on_the_content_of_a_network_file(images, network, cache, tmp_path):
    assert misses(CNNFeatures(network, cache=cache), images) == 5
    assert misses(CNNFeatures(network, cache=cache, batch_size=2).fit(images), images) == 0
    elsewhere = write_tiny_network(tmp_path / "other.onnx")
    assert misses(CNNFeatures(elsewhere, cache=cache), images) == 0
    assert misses(CNNFeatures(elsewhere, cache=cache, layer="logits"), images) == 5
    write_tiny_network(elsewhere, declared=DECLARED | {"mean": 100})
    assert misses(CNNFeatures(elsewhere, cache=cache), images) == 5
    write_tiny_network(elsewhere, opset=14)
    assert misses(CNNFeatures(elsewhere, cache=cache), images) == 5


def test_unusable_images_are_not_stored(images, cache):
    images[2] = b"no image"
    extractor = TinyImage(cache=cache, on_error="empty").fit(images)
    for _ in range(2):
        with pytest.warns(FailedImageWarning, match="1 of 5"):
            codes = extractor.transform(images)
        assert not codes[2].any()
    assert cache.info().entries == 4


def test_unequal_rows_are_refused_with_and_without_hits(rng, cache):
    images = [rng.random((32, 32)), rng.random((48, 48))]
    extractor = HOG(cache=cache)
    for image in images:
        extractor.fit([image]).transform([image])
    for extractor in (HOG(cache=cache).fit(images[:1]), HOG(cache=cache)):
        with pytest.raises(InputError, match=r"image 1: HOG returns .* Put Resize"):
            extractor.transform(images)


@pytest.mark.parametrize("kind", [Rows, CachedMeans, MeansAtOnce])
def test_threads_do_not_describe_an_image_twice(kind, rng, cache):
    images = [rng.integers(1, 256, (9, 9), dtype=np.uint8) for _ in range(40)]
    expected = list(kind().fit(images).transform(images))
    COUNT.clear()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: list(kind(cache).transform(np.roll(images, number, axis=0))), range(8)))
    assert len(COUNT) == 40
    for number, found in enumerate(results):
        order = np.roll(np.arange(40), number)
        assert all(same(row, expected[position]) for row, position in zip(found, order, strict=True))


def transform_all(extractor, images):
    return [list(extractor.transform(images)) for _ in range(3)]


def test_two_processes_share_a_folder(images, cache):
    expected = list(SIFT().transform(images))
    with joblib.parallel_config("loky", n_jobs=2):
        SIFT(cache=cache).transform(images).compute()
    assert misses(SIFT(cache=cache), images) == 0
    jobs = (joblib.delayed(transform_all)(SIFT(cache=cache), images) for _ in range(4))
    results = joblib.Parallel(n_jobs=2, backend="loky")(jobs)
    for found in itertools.chain(*results):
        assert_same(found, expected)
    assert cache.info().entries == 5
    assert not list(cache.folder.rglob("*.part"))


@pytest.mark.slow
def test_a_class_of_a_script_has_the_same_key_in_its_workers(cache, images, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import joblib, numpy as np, sys\n"
        "from featrec.images import DescriptorCache, GlobalExtractor\n"
        "LEVEL = 3\n"
        "class Own(GlobalExtractor):\n"
        "    def __init__(self, cache=None): self.cache = cache\n"
        "    def _describe(self, image): return [image.mean() + LEVEL]\n"
        "if __name__ == '__main__':\n"
        "    images = np.random.default_rng(0).random((8, 5, 5))\n"
        "    own = Own(DescriptorCache(sys.argv[1])).fit(images)\n"
        "    with joblib.parallel_config('loky', n_jobs=2):\n"
        "        own.transform(images)\n"
        "    own.transform(images)\n"
        "    print(own.cache.info().misses, own.cache.info().entries)\n"
    )
    command = [sys.executable, str(script), str(cache.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["1", "8"], done.stderr


def test_the_size_limit_is_kept_and_recently_used_entries_stay(rng, tmp_path):
    images = [rng.random((40, 40)) for _ in range(60)]
    probe = DescriptorCache(tmp_path / "probe")
    TinyImage(cache=probe).transform(images[:1])
    cache = DescriptorCache(tmp_path / "cache", max_bytes=20 * probe.info().bytes)
    extractor = TinyImage(cache=cache)
    stranger = tmp_path / "cache" / "00" / "mine.txt"
    for position, image in enumerate(images):
        extractor.transform([image])
        if position == 0:
            stranger.parent.mkdir(exist_ok=True)
            stranger.write_text("not yours")
            os.utime(stranger, (0, 0))
        assert cache.info().bytes <= cache.max_bytes
        assert misses(extractor, images[:1]) == 0, "recently used"
        time.sleep(0.001)
    assert cache.info().entries >= 15
    assert misses(extractor, images[-10:]) == 0
    assert misses(extractor, images[1:5]) == 4
    cache.clear()
    assert cache.info().entries == 0
    assert stranger.read_text() == "not yours"


def test_many_processes_that_write_little_keep_the_limit(rng, cache, monkeypatch):
    """Each process writes less than the amount after which a process checks the folder."""
    limit = 40 * 704
    for _ in range(150):
        monkeypatch.setattr(_cache, "_STORES", OrderedDict())
        TinyImage(size=(8, 16), cache=DescriptorCache(cache.folder, max_bytes=limit)).transform([rng.random((20, 20))])
    assert cache.info().bytes < 2 * limit


def test_a_description_over_the_limit_is_not_stored(images, tmp_path):
    cache = DescriptorCache(tmp_path / "cache", max_bytes=100)
    with pytest.warns(FeatrecWarning, match=r"more than max_bytes=100\. Images .* This warning is shown once") as caught:
        TinyImage(cache=cache).transform(images)
    assert len(caught) == 1
    assert cache.info().entries == 0


def test_files_of_killed_writers_are_deleted_after_an_hour(images, cache):
    TinyImage(cache=cache).transform(images)
    old, young = (files(cache)[0].with_suffix(f".{name}.part") for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    cache.info()
    assert young.exists()
    assert not old.exists()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_disk_gives_one_warning_and_the_work_continues(error, images, cache, monkeypatch):
    expected = TinyImage().fit_transform(images)
    TinyImage(cache=cache).transform(images[:2])

    def full(path, parts):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"the first few")
        raise OSError(error, "no room")

    monkeypatch.setattr(_cache, "_fill", full)
    with pytest.warns(FeatrecWarning, match=r"the cache in '.*cache' cannot store more: .*no room") as caught:
        found = [TinyImage(cache=cache).transform(images) for _ in range(2)]
    assert len(caught) == 1
    assert all(same(each, expected) for each in found)
    assert cache.info().entries == 2
    assert not list(cache.folder.rglob("*.part"))


def test_a_deleted_folder_is_created_again(images, cache):
    extractor = TinyImage(cache=cache)
    extractor.transform(images)
    shutil.rmtree(cache.folder)
    assert misses(extractor, images) == 5
    assert misses(extractor, images) == 0


@pytest.mark.parametrize("content", ["", "Signature: 8a477f597d28d172789f06886806bc55"])
def test_a_folder_with_other_files_is_refused(content, images, tmp_path):
    (tmp_path / "CACHEDIR.TAG").write_text(content)
    for extractor in (TinyImage(cache=tmp_path), SIFT(cache=tmp_path)):
        with pytest.raises(InputError, match=r"neither empty nor a featrec cache; it contains 'CACHEDIR\.TAG'"):
            extractor.transform(images)
    assert os.listdir(tmp_path) == ["CACHEDIR.TAG"]


def test_a_folder_that_cannot_be_created_is_an_error_at_the_start(images, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"cache: the folder '.*file.*' cannot be created or opened .* or cache=None"):
            SIFT(cache=place).transform(images)


def test_a_path_means_a_cache_with_defaults(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    extractors = [TinyImage(cache=place) for place in ("here", tmp_path / "here", DescriptorCache("here"))]
    for extractor in extractors:
        extractor.transform(images)
    info = DescriptorCache("here").info()
    assert (info.misses, info.hits, info.entries) == (5, 10, 5)


def test_clones_and_copies_use_the_same_cache(cache):
    for copy in (clone(SIFT(cache=cache)).cache, pickle.loads(pickle.dumps(cache))):
        assert copy == cache
        assert hash(copy) == hash(cache)


def test_invalid_parameters_are_refused(images, tmp_path):
    with pytest.raises(InputError, match="cache: a parameter contains a lock, which cannot be compared"):
        CachedMeans(DescriptorCache(tmp_path), power=threading.Lock()).fit(images)
    for value in (3, True, b"folder", ["folder"]):
        with pytest.raises(ValueError, match="The 'cache' parameter of TinyImage"):
            TinyImage(cache=value).fit(images)
    for folder in ("", None, b"x"):
        with pytest.raises(InputError, match="folder of DescriptorCache must be a path"):
            DescriptorCache(folder)
    with pytest.raises(InputError, match="refers to an unknown home directory"):
        DescriptorCache("~nobody-has-it/x")
    for limit in (0, -1, 1.5, True, None):
        with pytest.raises(InputError, match="max_bytes of DescriptorCache must be an integer of at least 1; got"):
            DescriptorCache(tmp_path, max_bytes=limit)


@pytest.mark.parametrize("kind", [str, os.fspath, DescriptorCache])
def test_model_files_do_not_contain_the_folder(kind, images, tmp_path):
    extractor = TinyImage(cache=kind(tmp_path / "secret")).fit(images)
    save(extractor, tmp_path / "model.featrec")
    loaded = load(tmp_path / "model.featrec")
    assert loaded.cache is None
    assert b"secret" not in (tmp_path / "model.featrec").read_bytes()
    assert same(loaded.transform(images), extractor.transform(images))
