"""Attacks with a valid format and a matching hash are refused before anything is built."""

import io
import pickle
import re
import zipfile

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import FunctionTransformer

from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.pairwise import HistogramKernel
from featrec.persistence import _archive, load, save
from featrec.persistence._schema import full_name, nodes
from featrec.preprocessing import Resize
from tests.persistence.archives import (
    add,
    change_array,
    edited,
    fields,
    find,
    named,
    original,
    packed,
    plain,
    refused,
    saved,
    unpacked,
    with_array,
    with_value,
)

TREE = "sklearn.tree._tree.Tree"


class Sentinel:
    """An object that executes code when it is unpickled."""

    def __reduce__(self):
        return open, ("ran", "w")


def test_a_pickle_instead_of_an_array():
    def edit(schema, members):
        buffer = io.BytesIO()
        np.save(buffer, np.array([Sentinel()], dtype=object), allow_pickle=True)
        members["array-0.npy"] = buffer.getvalue()

    refused(edited(original("linear"), edit), r"the member 'array-0\.npy' is not an array \(it contains pickled objects")


def test_a_pickle_beside_the_model_and_a_pickle_alone():
    def edit(schema, members):
        members["model.pkl"] = pickle.dumps(Sentinel())

    refused(edited(original("linear"), edit), r"save never writes a member named 'model\.pkl'")
    refused(pickle.dumps(Sentinel()), "not a model file")


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "exec"), ("subprocess", "Popen")])
@pytest.mark.parametrize("loader", ["FunctionNode", "ObjectNode", "TypeNode"])
def test_an_unknown_class_or_function(module, name, loader):
    data = saved(FunctionTransformer(np.sqrt, kw_args={"command": "touch ran"}))

    def edit(schema, members):
        schema["content"]["content"]["func"] = named(module, name, loader)

    refused(edited(data, edit), f"not trusted: {module}.{name}")


@pytest.mark.parametrize(
    ("module", "name", "loader"),
    [
        ("operator", "methodcaller", "OperatorFuncNode"),
        ("functools", "partial", "PartialNode"),
        ("sklearn.pipeline", "Pipeline", "MethodNode"),
    ],
)
def test_a_call_instead_of_a_function(module, name, loader):
    data = saved(FunctionTransformer(np.sqrt))

    def edit(schema, members):
        arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [plain("system")]}
        schema["content"]["content"]["func"] = named(module, name, loader, attrs=arguments, content={})

    refused(edited(data, edit), f"{module}.{name} is stored as a {loader}, which save never writes")


def test_a_reduction_with_another_constructor():
    data = saved(FunctionTransformer(np.sqrt))

    def edit(schema, members):
        arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [plain("touch ran")]}
        schema["content"]["content"]["func"] = named("os", "system", "ConstructorFromReduceNode", content=arguments)

    refused(edited(data, edit), r"not trusted: os\.system")


@pytest.mark.parametrize(
    ("module", "name"), [("sklearn.svm._classes", "LinearSVC(); open('ran', 'w')"), ("os; open('ran', 'w')", "LinearSVC")]
)
def test_code_in_the_name_of_a_class(module, name):
    def edit(schema, members):
        find(schema, "sklearn.svm._classes.LinearSVC").update(__module__=module, __class__=name)

    refused(edited(original("linear"), edit), f"not trusted: {re.escape(module)}.{re.escape(name)}")


def test_a_long_name_with_control_characters():
    def edit(schema, members):
        find(schema, "sklearn.svm._classes.LinearSVC")["__class__"] = "\x1b[2J" + "x" * 10**6

    refused(edited(original("linear"), edit), r"not trusted: sklearn\.svm\._classes\.\?\[2Jx{100}[^\x1b]{0,2000}$")


def test_a_cyclic_tree():
    def edit(schema, members):
        change_array(members, fields(schema, TREE)["nodes"], with_value("left_child", 0))

    refused(edited(original("forest"), edit), r"Tree: a child comes before its parent, so a path would never end")


def test_a_forest_that_announces_more_classes_than_it_has():
    def edit(schema, members):
        fields(schema, "sklearn.ensemble._forest.RandomForestClassifier")["n_classes_"] = plain(10**9)

    refused(edited(original("forest"), edit), r"RandomForestClassifier: it declares \[1000000000\] classes but stores \[3\]")


@pytest.mark.parametrize("levels", ["1000000000", "12", "[[1, 1], [100000, 100000]]", "1" + "0" * 4000])
def test_huge_levels(levels):
    def edit(schema, members):
        fields(schema, "featrec.encoders.SpatialPyramid")["levels"] = plain(f"raw:{levels}")

    refused(edited(original("kernel"), edit), r"featrec\.encoders\.SpatialPyramid: levels=.* is over the limit")


@pytest.mark.parametrize(
    ("kind", "name", "parameter", "value"),
    [
        ("linear", "featrec.preprocessing.Resize", "size", 10**6),
        ("linear", "featrec.preprocessing.Resize", "size", [10**6, 10**6]),
        ("linear", "featrec.descriptors.HOG", "orientations", 10**9),
        ("neighbours", "featrec.descriptors.TinyImage", "size", 10**6),
        ("forest", "featrec.descriptors.ColorHistogram", "bins", 10**3),
        ("binary", "featrec.descriptors.ORB", "n_levels", 10**6),
        ("binary", "featrec.descriptors.ORB", "n_features", 1e300),
        ("kernel", "featrec.descriptors.DenseSIFT", "bin_sizes", 10**9),
        ("forest", "sklearn.ensemble.RandomForestClassifier", "n_jobs", 10**9),
        ("neighbours", "sklearn.neighbors.KNeighborsClassifier", "n_jobs", -(10**9)),
        ("kernel", "featrec.encoders.BagOfWords", "n_jobs", float("nan")),
    ],
)
def test_settings_that_demand_too_much_memory_or_time(kind, name, parameter, value):
    def edit(schema, members):
        last = name.rpartition(".")[2]
        found = next(node for node in nodes(schema) if node["__class__"] == last and node["__loader__"] == "ObjectNode")
        found["content"]["content"][parameter] = plain(value)

    refused(edited(original(kind), edit), rf"{name.split('.')[1]}\.\w+: {parameter}=.* is over the limit of [\d,]+")


def test_a_huge_smoothing_window_and_a_long_list():
    def smooth(schema, members):
        fields(schema, "featrec.descriptors.DenseSIFT")["magnif"] = plain(1e-9)

    refused(edited(original("kernel"), smooth), r"DenseSIFT: magnif=1e-09 is below the limit of 0\.01")

    def repeat(schema, members):
        fields(schema, "featrec.descriptors.DenseSIFT")["bin_sizes"] = plain([4] * 10**5)

    refused(edited(original("kernel"), repeat), "DenseSIFT: the length of bin_sizes=100000 is over the limit of 64")


def test_path_tricks_in_a_reference():
    def edit(schema, members):
        next(node for node in nodes(schema) if "file" in node)["file"] = "/etc/passwd"

    refused(edited(original("linear"), edit), "KeyError.*/etc/passwd")


def test_a_bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(original("linear"))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in {**members, "array-99.npy": bytes(2**27)}.items():
            archive.writestr(name, content)
    assert len(buffer.getvalue()) < 2**18
    refused(buffer.getvalue(), r"'array-99\.npy' unpacks from [\d,]+ to 134,217,728 bytes, more than 200 times")


def test_more_members_than_a_model_has(monkeypatch):
    monkeypatch.setattr(_archive, "MAX_MEMBERS", 5)
    refused(original("forest"), r"\d+ members, more than the limit of 5; no model needs so many")
    with pytest.raises(
        ValueError, match=r"6 arrays and a description of [\d,]+ bytes exceed the limits of a model file, which are 5 and"
    ):
        saved(GaussianNB().fit(np.eye(4), [0, 0, 1, 1]))


def test_too_long_a_schema(monkeypatch):
    facts, members = unpacked(original("linear"))
    members["schema.json"] += b" " * 2**24
    with monkeypatch.context() as patch:
        patch.setitem(_archive.MAX_TEXT, "schema.json", 2**30)
        data = packed(facts, members)
    refused(data, r"'schema\.json' has [\d,]+ bytes, more than the limit of 16,777,216")


def test_a_bomb_within_an_array_within_a_zip():
    def edit(schema, members):
        inner, header = io.BytesIO(), io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("data.npy", header.getvalue())
        members["array-99.npz"] = inner.getvalue()

    refused(edited(original("linear"), edit), r"the array 'data\.npy' declares 80,000,000,000,000 bytes")


def test_an_empty_array_of_great_width():
    def edit(schema, members):
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (0, 10**15)})
        members[fields(schema, "sklearn.svm._classes.LinearSVC")["coef_"]["file"]] = buffer.getvalue()

    refused(
        edited(original("linear"), edit),
        r"'array-\d+\.npy' is not an array \(it has no elements and a side of 1,000,000,000,000,000",
    )


def test_a_scalar_whose_number_is_a_size_in_memory():
    def edit(schema, members):
        node = next(node for node in nodes(schema) if full_name(node) == "numpy.ndarray")
        change_array(members, node, lambda array: np.array(10**11))
        node["__class__"] = "void"

    refused(edited(original("linear"), edit), r"numpy\.void is stored as a NdArrayNode, which save never writes")


def test_object_arrays_within_object_arrays():
    def edit(schema, members):
        inner = plain(1)
        for _ in range(150):
            shape = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [plain(1)]}
            inner = named("numpy", "ndarray", "NdArrayNode", type="json", content=[inner], shape=shape)
        add(find(schema, "sklearn.svm._classes.LinearSVC"), "extra", inner)

    refused(edited(original("linear"), edit), "its objects are nested more than 250 levels deep")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("sklearn.svm._classes.SVC", "predict"),
        ("featrec.encoders.SpatialPyramid", "_check_parameters"),
        ("featrec.encoders.BagOfWords", "_parameter_constraints"),
        ("featrec.pairwise.HistogramKernel", "__call__"),
        ("sklearn.pipeline.Pipeline", "__class__"),
        ("sklearn.pipeline.Pipeline", "__dict__"),
    ],
)
def test_an_attribute_that_hides_a_method(owner, name):
    def edit(schema, members):
        add(find(schema, owner), name, named("featrec.vocabularies", "words_of"))

    refused(edited(original("kernel"), edit), f"{owner.rpartition('.')[2]}: its attribute '{name}' hides a method")


def test_a_call_instead_of_the_type_of_a_key():
    """skops builds the keys of a dictionary by calling their types."""

    def edit(schema, members):
        schema["content"]["key_types"]["content"][0] = named("featrec.vocabularies", "words_of")

    refused(edited(original("linear"), edit), "save never writes dictionaries with such keys")


@pytest.mark.parametrize("kind", ["string", "joblib"])
def test_a_cache_location(kind):
    """joblib's cache reads pickles from its folder when the pipeline is fitted again."""

    def edit(schema, members):
        content = {**find(schema, "sklearn.pipeline.Pipeline")["content"], "content": {}, "key_types": plain([])}
        content["key_types"] = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []}
        value = plain("/tmp/cache") if kind == "string" else named("joblib.memory", "Memory", "ObjectNode", content=content)
        fields(schema, "sklearn.pipeline.Pipeline")["memory"] = value

    refused(edited(original("linear"), edit), "Pipeline: memory is the location of a cache, which save never writes")


@pytest.mark.parametrize(
    ("attribute", "change", "match"),
    [
        ("_y", lambda rows: rows + 10**6, "a class ranges from 1000000 to 1000002, but must be from 0 to 2"),
        ("_y", lambda rows: rows[:3], r"classes of shape \(3,\)"),
        ("_y", lambda rows: rows - 5, "a class ranges from -5 to -3"),
        ("_fit_X", lambda rows: rows[:, :1], "24 rows of 1 numbers do not match"),
        ("_fit_X", lambda rows: rows[:4], "4 rows of 25 numbers do not match"),
    ],
    ids=["classes outside", "fewer classes", "negative classes", "narrow rows", "fewer rows"],
)
@pytest.mark.parametrize("kind", ["brute", "neighbours"])
def test_edited_neighbours(kind, attribute, change, match):
    name = "sklearn.neighbors._classification.KNeighborsClassifier"

    def edit(schema, members):
        change_array(members, fields(schema, name)[attribute], change)

    refused(edited(original(kind), edit), f"KNeighborsClassifier: {match}")


def test_a_neighbour_tree_with_less_state_than_compiled_code_reads():
    def edit(schema, members):
        find(schema, "sklearn.neighbors._kd_tree.KDTree")["content"]["content"].pop()

    refused(edited(original("neighbours"), edit), "KDTree: its state has 12 items; 13 are expected")

    def shorten(schema, members):
        find(schema, "sklearn.metrics._dist_metrics.EuclideanDistance64")["content"]["content"].pop()

    refused(edited(original("neighbours"), shorten), "EuclideanDistance64: its state has 2 items; 3 are expected")


def test_edited_centres_of_k_means():
    data = saved(KMeans(2, n_init=1, random_state=0).fit(np.eye(6)))

    def narrow(schema, members):
        change_array(members, schema["content"]["content"]["cluster_centers_"], lambda centres: centres[:, :2])

    refused(edited(data, narrow), "KMeans: 2 centres of 2 numbers; centres of 6 numbers are expected")

    def threads(schema, members):
        schema["content"]["content"]["_n_threads"] = plain(10**6)

    refused(edited(data, threads), "KMeans: _n_threads=1000000, outside 1 to 256")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda words: words[:0], r"words of shape \(0, 128\)"),
        (lambda words: words * np.nan, "expected finite float32 or uint8"),
        (lambda words: words[:, :64], r"words of shape \(\d+, 64\) .* expected .* of shape \(n, 128\)"),
        (lambda words: words.astype(np.float64), "type float64"),
        (lambda words: words[0], r"shape \(128,\)"),
    ],
    ids=["none", "no numbers", "narrow", "wide type", "flat"],
)
def test_edited_words(change, match):
    def edit(schema, members):
        change_array(members, fields(schema, "featrec.vocabularies.KMeansVocabulary")["words_"], change)

    refused(edited(original("kernel"), edit), f"KMeansVocabulary: .*{match}")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda codes: codes[:, :2], r"shape \(9, 2\)"),
        (lambda codes: -codes - 1, "negative"),
        (np.asfortranarray, "not in C order"),
    ],
    ids=["narrow", "negative", "columns first"],
)
def test_edited_codes_of_a_histogram_kernel(change, match):
    model = HistogramKernel().fit(np.random.default_rng(0).random((9, 5)))
    refused(with_array(model, "codes_", change), f"HistogramKernel: .*{match}")


def test_a_pyramid_of_more_words_than_a_code_may_have():
    def edit(schema, members):
        fields(schema, "featrec.encoders.SpatialPyramid")["levels"] = plain(7)
        words = fields(schema, "featrec.vocabularies.KMeansVocabulary")["words_"]
        change_array(members, words, lambda array: np.resize(array, (1000, 128)))

    refused(
        edited(original("kernel"), edit),
        "SpatialPyramid: 5461 regions of 1000 words, with 1000 numbers each, are over the limit of 4,194,304",
    )


def test_settings_that_load_refuses_are_not_saved():
    with pytest.raises(ValueError, match=r"featrec\.preprocessing\.Resize: size=1000000 is over the limit"):
        save(Resize(10**6), "model.featrec")
    with pytest.raises(ValueError, match=r"featrec\.encoders\.SpatialPyramid: levels=9 is over the limit"):
        save(SpatialPyramid(BagOfWords(7), levels=9), "model.featrec")


@pytest.mark.parametrize(
    "model",
    [
        Resize(np.int64(10**6)),
        Resize((np.int32(10**6), 10**6)),
        SpatialPyramid(BagOfWords(7), levels=np.int64(30)),
        SpatialPyramid(BagOfWords(7), levels=np.array([[1, 1], [10**5, 10**5]])),
        BagOfWords(7, n_jobs=np.int16(2000)),
    ],
    ids=str,
)
def test_numbers_of_numpy_are_numbers(model):
    with pytest.raises(ValueError, match="is over the limit"):
        saved(model)


def test_settings_of_any_type_are_saved_unchanged():
    for model in (SpatialPyramid(BagOfWords(7), levels=None), Resize("large"), BagOfWords(7, n_jobs=np.int64(2))):
        saved(model)
        assert str(load("model.featrec")) == str(model)
