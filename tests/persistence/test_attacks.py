"""Attacks with a valid format and a matching hash are refused before anything is built."""

import io
import pickle
import re
import zipfile

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import FunctionTransformer

from featrec.descriptors import TinyImage
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.persistence import _archive, load, save
from featrec.persistence._schema import full_name, nodes
from featrec.preprocessing import Resize
from tests.persistence import edits
from tests.persistence.archives import edited, original, packed, refused, saved, unpacked

LINEAR = "sklearn.svm._classes.LinearSVC"
PIPELINE = "sklearn.pipeline.Pipeline"
FOREST = "sklearn.ensemble._forest.RandomForestClassifier"
NEIGHBOURS = "sklearn.neighbors._classification.KNeighborsClassifier"
PYRAMID = "featrec.encoders.SpatialPyramid"
DENSE = "featrec.descriptors.DenseSIFT"
VOCABULARY = "featrec.vocabularies.KMeansVocabulary"
ROOTS = FunctionTransformer(np.sqrt, kw_args={"command": "touch ran"})
CALL = edits.sequence("tuple", [edits.plain("touch ran")])
CONSTRUCTOR = edits.named("os", "system", "ConstructorFromReduceNode", content=CALL)
FUNCTION = edits.named("featrec.vocabularies", "words_of")


class Sentinel:
    """An object that executes code when it is unpickled."""

    def __reduce__(self):
        return open, ("ran", "w")


def pickled_array():
    buffer = io.BytesIO()
    np.save(buffer, np.array([Sentinel()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def zipped_array():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.npy", edits.announced(10**13))
    return buffer.getvalue()


def reference(schema, members):
    next(node for node in nodes(schema) if "file" in node)["file"] = "/etc/passwd"


def empty_and_wide(schema, members):
    members[edits.fields(schema, LINEAR)["coef_"]["file"]] = edits.announced(0, 10**15)


def size_in_memory(schema, members):
    found = next(node for node in nodes(schema) if full_name(node) == "numpy.ndarray")
    edits.change_array(members, found, lambda array: np.array(10**11))
    found["__class__"] = "void"


def nested_arrays():
    inner, shape = edits.plain(1), edits.sequence("tuple", [edits.plain(1)])
    for _ in range(150):
        inner = edits.named("numpy", "ndarray", "NdArrayNode", type="json", content=[inner], shape=shape)
    return inner


def called_key(schema, members):
    """skops builds the keys of a dictionary by calling their types."""
    schema["content"]["key_types"]["content"][0] = FUNCTION


def joblib_cache(schema, members):
    content = {**edits.find(schema, PIPELINE)["content"], "content": {}, "key_types": edits.sequence("list", [])}
    edits.setting("memory", edits.named("joblib.memory", "Memory", "ObjectNode", content=content), PIPELINE)(schema, members)


def many_words(words):
    return np.resize(words, (1000, 128))


def shortened(owner):
    return lambda schema, members: edits.fields(schema, owner).pop()


CACHE = "Pipeline: memory is the location of a cache, which save never writes"
ATTACKS = {
    "a pickle instead of an array": ("linear", edits.member("array-0.npy", pickled_array()),
        r"the member 'array-0\.npy' is not an array \(it contains pickled objects"),
    "a pickle beside the model": ("linear", edits.member("model.pkl", pickle.dumps(Sentinel())),
        r"save never writes a member named 'model\.pkl'"),
    "another constructor": (ROOTS, edits.setting("func", CONSTRUCTOR), r"not trusted: os\.system"),
    "a long name with control characters": ("linear", edits.node(LINEAR, __class__="\x1b[2J" + "x" * 10**6),
        r"not trusted: sklearn\.svm\._classes\.\?\[2Jx{100}[^\x1b]{0,2000}$"),
    "a cyclic tree": ("forest", edits.array("nodes", edits.with_value("left_child", 0), "sklearn.tree._tree.Tree"),
        "Tree: a child comes before its parent, so a path would never end"),
    "a forest of more classes than it has": ("forest", edits.setting("n_classes_", 10**9, FOREST),
        r"RandomForestClassifier: it declares \[1000000000\] classes but stores \[3\]"),
    "a tiny smoothing window": ("kernel", edits.setting("magnif", 1e-9, DENSE),
        r"DenseSIFT: magnif=1e-09 is below the limit of 0\.01"),
    "a long list": ("kernel", edits.setting("bin_sizes", [4] * 10**5, DENSE),
        "DenseSIFT: the length of bin_sizes=100000 is above the limit of 64"),
    "a path in a reference": ("linear", reference, "KeyError.*/etc/passwd"),
    "a bomb in an array in a zip": ("linear", edits.member("array-99.npz", zipped_array()),
        r"the array 'data\.npy' declares 80,000,000,000,000 bytes"),
    "an empty array of great width": ("linear", empty_and_wide,
        r"'array-\d+\.npy' is not an array \(it has no elements and an axis of length 1,000,000,000,000,000"),
    "a scalar whose number is a size in memory": ("linear", size_in_memory,
        r"numpy\.void is stored as a NdArrayNode, which save never writes"),
    "object arrays within object arrays": ("linear", edits.extra("extra", nested_arrays(), LINEAR),
        "its objects are nested more than 250 levels deep"),
    "a call instead of the type of a key": ("linear", called_key, "save never writes dictionaries with such keys"),
    "a cache": ("linear", edits.setting("memory", "/tmp/cache", PIPELINE), CACHE),
    "a cache of descriptions": (TinyImage(), edits.setting("cache", "/tmp/cache"),
        "TinyImage: cache is the location of a cache, which save never writes"),
    "a cache of joblib": ("linear", joblib_cache, CACHE),
    "a short state of a neighbour tree": ("neighbours", shortened("sklearn.neighbors._kd_tree.KDTree"),
        "KDTree: its state has 12 items; 13 are expected"),
    "a short state of a distance": ("neighbours", shortened("sklearn.metrics._dist_metrics.EuclideanDistance64"),
        "EuclideanDistance64: its state has 2 items; 3 are expected"),
    "a pyramid of more words than a code may have": ("kernel",
        edits.both(edits.setting("levels", 7, PYRAMID), edits.array("words_", many_words, VOCABULARY)),
        "SpatialPyramid: 5461 regions of 1000 words, with 1000 values each, exceed the limit of 4,194,304"),
}  # fmt: skip
ATTACKS |= {
    f"{loader} of {module}.{name}": (
        ROOTS,
        edits.setting("func", edits.named(module, name, loader)),
        f"not trusted: {module}.{name}",
    )
    for module, name in [("os", "system"), ("builtins", "exec"), ("subprocess", "Popen")]
    for loader in ("FunctionNode", "ObjectNode", "TypeNode")
}
ATTACKS |= {
    f"a call of {module}.{name}": (
        ROOTS,
        edits.setting("func", edits.named(module, name, loader, attrs=CALL, content={})),
        f"{module}.{name} is stored as a {loader}, which save never writes",
    )
    for module, name, loader in [
        ("operator", "methodcaller", "OperatorFuncNode"),
        ("functools", "partial", "PartialNode"),
        ("sklearn.pipeline", "Pipeline", "MethodNode"),
    ]
}
ATTACKS |= {
    f"code in a name: {name}": (
        "linear",
        edits.node(LINEAR, __module__=module, __class__=name),
        f"not trusted: {re.escape(module)}.{re.escape(name)}",
    )
    for module, name in [("sklearn.svm._classes", "LinearSVC(); open('ran', 'w')"), ("os; open('ran', 'w')", "LinearSVC")]
}
ATTACKS |= {
    f"{owner} with {parameter} {value!s:.20}": (
        kind,
        edits.setting(parameter, value, owner),
        rf"{owner.split('.')[1]}\.\w+: {parameter}=.* is above the limit",
    )
    for kind, owner, parameter, value in [
        *[("kernel", PYRAMID, "levels", f"raw:{n}") for n in (10**9, 12, "[[1, 1], [100000, 100000]]", "1" + "0" * 4000)],
        ("linear", "featrec.preprocessing.Resize", "size", 10**6),
        ("linear", "featrec.preprocessing.Resize", "size", [10**6, 10**6]),
        ("linear", "featrec.descriptors.HOG", "orientations", 10**9),
        ("neighbours", "featrec.descriptors.TinyImage", "size", 10**6),
        ("forest", "featrec.descriptors.ColorHistogram", "bins", 10**3),
        ("binary", "featrec.descriptors.ORB", "n_levels", 10**6),
        ("binary", "featrec.descriptors.ORB", "n_features", 1e300),
        ("kernel", DENSE, "bin_sizes", 10**9),
        ("forest", FOREST, "n_jobs", 10**9),
        ("neighbours", NEIGHBOURS, "n_jobs", -(10**9)),
        ("kernel", "featrec.encoders.BagOfWords", "n_jobs", float("nan")),
    ]
}
ATTACKS |= {
    f"{owner} whose {name} is hidden": (
        "kernel",
        edits.extra(name, FUNCTION, owner),
        f"{owner.rpartition('.')[2]}: its attribute '{name}' hides a method",
    )
    for owner, name in [
        ("sklearn.svm._classes.SVC", "predict"),
        (PYRAMID, "_check_parameters"),
        ("featrec.encoders.BagOfWords", "_parameter_constraints"),
        ("featrec.pairwise.HistogramKernel", "__call__"),
        (PIPELINE, "__class__"),
        (PIPELINE, "__dict__"),
    ]
}
ATTACKS |= {
    f"{kind} neighbours: {match}": (kind, edits.array(attribute, change, NEIGHBOURS), f"KNeighborsClassifier: {match}")
    for kind in ("brute", "neighbours")
    for attribute, change, match in [
        ("_y", lambda rows: rows + 10**6, "a class ranges from 1000000 to 1000002, but must be from 0 to 2"),
        ("_y", lambda rows: rows[:3], r"classes of shape \(3,\)"),
        ("_y", lambda rows: rows - 5, "a class ranges from -5 to -3"),
        ("_fit_X", lambda rows: rows[:, :1], "24 rows of 1 values do not match"),
        ("_fit_X", lambda rows: rows[:4], "4 rows of 25 values do not match"),
    ]
}
ATTACKS |= {
    f"words: {match}": ("kernel", edits.array("words_", change, VOCABULARY), f"KMeansVocabulary: .*{match}")
    for change, match in [
        (lambda words: words[:0], r"words of shape \(0, 128\)"),
        (lambda words: words * np.nan, "expected finite float32 or uint8"),
        (lambda words: words[:, :64], r"words of shape \(\d+, 64\) .* expected .* of shape \(n, 128\)"),
        (lambda words: words.astype(np.float64), "type float64"),
        (lambda words: words[0], r"shape \(128,\)"),
    ]
}


@pytest.mark.parametrize(("source", "edit", "match"), ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_refused(source, edit, match):
    refused(edited(source, edit), match)


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
        ValueError, match=r"6 arrays and a description of [\d,]+ bytes exceed the limits of a model file \(5 members and"
    ):
        saved(GaussianNB().fit(np.eye(4), [0, 0, 1, 1]))


def test_too_long_a_schema(monkeypatch):
    facts, members = unpacked(original("linear"))
    members["schema.json"] += b" " * 2**24
    with monkeypatch.context() as patch:
        patch.setitem(_archive.MAX_TEXT, "schema.json", 2**30)
        data = packed(facts, members)
    refused(data, r"'schema\.json' has [\d,]+ bytes, more than the limit of 16,777,216")


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (Resize(10**6), r"featrec\.preprocessing\.Resize: size=1000000"),
        (Resize(np.int64(10**6)), "Resize: size="),
        (Resize((np.int32(10**6), 10**6)), "Resize: size="),
        (SpatialPyramid(BagOfWords(7), levels=9), r"featrec\.encoders\.SpatialPyramid: levels=9"),
        (SpatialPyramid(BagOfWords(7), levels=np.int64(30)), "levels=30"),
        (SpatialPyramid(BagOfWords(7), levels=np.array([[1, 1], [10**5, 10**5]])), "levels="),
        (BagOfWords(7, n_jobs=np.int16(2000)), "n_jobs=2000"),
    ],
    ids=str,
)
def test_settings_that_load_refuses_are_not_saved(model, match):
    with pytest.raises(ValueError, match=rf"(?s){match}.* is above the limit"):
        save(model, "model.featrec")


def test_settings_of_any_type_are_saved_unchanged():
    for model in (SpatialPyramid(BagOfWords(7), levels=None), Resize("large"), BagOfWords(7, n_jobs=np.int64(2))):
        saved(model)
        assert str(load("model.featrec")) == str(model)
