"""Damaged and edited files are refused. The error names the path and the reason, and what to do."""

import io
import re
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from featrec.exceptions import ModelFileError
from featrec.persistence import load
from featrec.persistence._schema import full_name, nodes
from featrec.preprocessing import Resize
from tests.persistence.archives import (
    add,
    change_array,
    edited,
    fields,
    find,
    named,
    packed,
    plain,
    refused,
    saved,
    unpacked,
    with_array,
    with_value,
)

X, Y = load_digits(n_class=3, return_X_y=True)
X, Y = X[:90], Y[:90]
DAMAGED = "damaged, cut off or not a model file"


@pytest.fixture
def bayes():
    return saved(GaussianNB().fit(X, Y))


def sequence(kind, content):
    return named("builtins", kind, f"{kind.title()}Node", content=content)


def test_a_cut_file_is_refused_wherever_it_is_cut(bayes):
    for end in [0, 1, 30, len(bayes) // 2, len(bayes) - 1]:
        refused(bayes[:end], DAMAGED)


def test_a_flipped_bit_is_refused_or_harmless(bayes):
    expected = load("model.featrec").predict_proba(X)
    random = np.random.default_rng(0)
    n_refused = 0
    for position in random.integers(0, len(bayes), 150):
        flipped = bytearray(bayes)
        flipped[position] ^= 1 << random.integers(8)
        with open("flipped", "wb") as file:
            file.write(flipped)
        try:
            loaded = load("flipped")
        except ModelFileError:
            n_refused += 1
        else:
            assert np.array_equal(loaded.predict_proba(X), expected)
    assert n_refused > 100


@pytest.mark.parametrize("data", [b"text", b"PK\x03\x04" + bytes(100)])
def test_a_file_other_than_a_zip_is_refused(data):
    refused(data, DAMAGED)


def test_a_missing_file_is_the_error_of_python():
    with pytest.raises(FileNotFoundError, match=r"model\.featrec"):
        load("model.featrec")


def test_a_plain_skops_file_is_refused():
    from skops.io import dumps

    refused(dumps(Resize((8, 8))), r"no member 'featrec.json', so featrec.persistence.save did not write it")


def zip_of(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/passwd", "a/b.npy", "array-0.exe", "C:\\x.npy", ".npy"])
def test_unknown_member_names_are_refused(name):
    data = zip_of(**{"featrec.json": "{}", "schema.json": "{}", name: "x"})
    refused(data, f"save never writes a member named {re.escape(repr(name))}")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_repeated_member_is_refused():
    buffer = io.BytesIO(zip_of(**{"featrec.json": "{}", "schema.json": "{}"}))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("schema.json", "{ }")
    refused(buffer.getvalue(), "it has the member 'schema.json' twice")


def test_another_compression_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("featrec.json", "{}")
    refused(buffer.getvalue(), "is compressed or encrypted in a way that save does not use")


def test_the_limit_on_bytes_can_be_changed(bayes):
    refused(bayes, r"larger than the limit of 1,000 bytes; use load\(path, max_bytes", max_bytes=1_000)
    refused(bayes, r"unpacks to [\d,]+ bytes, more than the limit", max_bytes=len(bayes) + 1)
    assert np.array_equal(load("model.featrec", max_bytes=10**6).predict(X), GaussianNB().fit(X, Y).predict(X))


def test_an_array_that_is_used_several_times_counts_each_time(bayes):
    def edit(schema, members):
        theta = schema["content"]["content"]["theta_"]
        add(schema, "extra", sequence("list", [theta] * 2_000))

    refused(edited(bayes, edit), "its arrays need", max_bytes=2**20)


def test_an_array_shorter_than_announced_is_refused(bayes):
    def edit(schema, members):
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**14,)})
        members["array-0.npy"] = buffer.getvalue()

    refused(edited(bayes, edit), "declares 800,000,000,000,000 bytes")


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (b"no json", "header is not JSON"),
        (b"[" * 100_000, "header is not JSON"),
        (b"[]", "lacks the format number"),
        (b'{"format": true, "versions": {}}', "lacks the format number"),
        (b'{"format": 1}', "lacks the format number or the versions"),
        (b'{"format": 7, "versions": {"featrec": "3.0"}}', "in format 7; this version reads format 1.*featrec 3.0"),
        (b'{"format": 1, "versions": {}}', "does not match its hash"),
    ],
    ids=["text", "nested", "list", "bool", "no versions", "unknown format", "no hash"],
)
def test_a_bad_header_is_refused(header, match):
    refused(zip_of(**{"featrec.json": header, "schema.json": "{}"}), match)


@pytest.mark.parametrize("loader", ["MethodNode", "PartialNode", "OperatorFuncNode", "CachedNode", "NoSuchNode"])
def test_calls_and_references_are_refused(bayes, loader):
    def edit(schema, members):
        schema["content"]["content"]["var_smoothing"]["__loader__"] = loader

    refused(edited(bayes, edit), f"stored as a {loader}, which save never writes")


@pytest.mark.parametrize("loader", ["LossNode", "ConstructorFromReduceNode", "TypeNode"])
def test_another_loader_of_a_known_class_is_refused(loader):
    def edit(schema, members):
        find(schema, "sklearn.neighbors._kd_tree.KDTree")["__loader__"] = loader

    refused(edited(saved(KNeighborsClassifier(algorithm="kd_tree").fit(X, Y)), edit), f"KDTree is stored as a {loader}")


@pytest.mark.parametrize(
    ("module", "name"),
    [("featrec.preprocessing._resize", "Resize"), ("featrec.preprocessing", "np"), ("featrec.datasets", "load_dataset")],
)
def test_names_that_featrec_does_not_export_are_refused(module, name):
    def edit(schema, members):
        schema.update(__module__=module, __class__=name)

    data = edited(saved(Resize((8, 8))), edit)
    refused(data, f"names {module}.{name}, which this version of featrec does not export")


def test_an_older_protocol_with_less_strict_readers_is_refused(bayes):
    refused(edited(bayes, lambda schema, members: schema.update(protocol=0)), "does not use protocol 2 of skops")


@pytest.mark.parametrize("schema", [b"{", b"[]", b"{}", b'{"protocol": 2, "__loader__": "ObjectNode"}', b"[" * 100_000])
def test_a_bad_schema_is_refused(bayes, schema):
    facts, members = unpacked(bayes)
    refused(packed(facts, {**members, "schema.json": schema}), "its schema does not use|its schema was not written by `save`")


def test_a_loop_of_references_is_refused(bayes):
    def edit(schema, members):
        schema["__id__"] = 5
        schema["content"]["content"]["var_smoothing"] = named("builtins", "list", "ObjectNode", __id__=5)

    refused(edited(bayes, edit), r"not trusted: builtins\.list")


def test_nesting_that_would_exhaust_the_stack_is_refused(bayes):
    facts, members = unpacked(edited(bayes, lambda schema, members: add(schema, "extra", sequence("list", []))))
    deep = members["schema.json"].replace(b'"content": []', b'"content": [' + b"[" * 50_000 + b"]" * 50_000 + b"]")
    refused(packed(facts, {**members, "schema.json": deep}), "its schema was not written by `save`")


def test_an_object_other_than_an_estimator_is_refused(bayes):
    def edit(schema, members):
        protocol = schema["protocol"]
        schema.clear()
        schema.update(sequence("list", []), protocol=protocol)

    refused(edited(bayes, edit), "contains a list, not an estimator")


def tree_edits():
    tree = "sklearn.tree._tree.Tree"

    def record(name, value):
        return lambda schema, members: change_array(members, fields(schema, tree)["nodes"], with_value(name, value))

    def argument(position, text):
        return lambda schema, members: find(schema, tree)["__reduce__"]["args"]["content"][position].update(content=text)

    def attribute(owner, name, value):
        return lambda schema, members: fields(schema, owner).update({name: plain(value)})

    return [
        pytest.param(record("left_child", 10**9), "a child ranges from", id="child outside"),
        pytest.param(record("right_child", -7), "a child ranges from -7", id="child negative"),
        pytest.param(record("feature", 64), "a split's feature ranges from .* but must be from 0 to 63", id="feature outside"),
        pytest.param(record("feature", -3), "a split's feature ranges from -3", id="feature negative"),
        pytest.param(argument(0, "100000000"), "a tree of 100000000 features; 64", id="more features"),
        pytest.param(argument(2, "1000000000"), "1000000000 outputs with", id="more outputs"),
        pytest.param(attribute(tree, "node_count", 10**5), "declares 100000 nodes", id="more nodes"),
        pytest.param(
            attribute("sklearn.tree._classes.DecisionTreeClassifier", "n_features_in_", 3),
            "a tree of 64 features; 3 are expected",
            id="narrower input",
        ),
    ]


@pytest.mark.parametrize(("edit", "match"), tree_edits())
def test_an_edited_tree_is_refused(edit, match):
    refused(edited(saved(DecisionTreeClassifier(random_state=0).fit(X, Y)), edit), match)


def test_a_forest_whose_trees_are_wider_than_its_input_is_refused():
    def edit(schema, members):
        for tree in nodes(schema["content"]["content"]["estimators_"]):
            if full_name(tree) == "sklearn.tree._tree.Tree":
                tree["__reduce__"]["args"]["content"][0]["content"] = "4000"
            if tree.get("__class__") == "DecisionTreeClassifier":
                tree["content"]["content"]["n_features_in_"]["content"] = "4000"

    data = saved(RandomForestClassifier(2, random_state=0).fit(X, Y))
    refused(edited(data, edit), r"passes \[64, 64\] features to its trees, which expect \[4000, 4000\]")


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("left", 10**6, "a child ranges from"),
        ("right", 0, "a child comes before its parent"),
        ("feature_idx", 64, "a split's feature ranges from"),
    ],
)
def test_edited_gradient_trees_are_refused(name, value, match):
    predictor = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"

    def edit(schema, members):
        change_array(members, fields(schema, predictor)["nodes"], with_value(name, value))

    refused(edited(saved(HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=3).fit(X, Y)), edit), match)


def test_an_edited_first_guess_of_gradient_boosting_is_refused():
    """Trees that add to columns that do not exist would corrupt memory."""
    data = saved(GradientBoostingClassifier(n_estimators=1, max_depth=1).fit(X, Y))
    guess = "sklearn.dummy.DummyClassifier"

    def narrow(schema, members):
        change_array(members, fields(schema, guess)["class_prior_"], lambda shares: shares[:1])

    def announce(schema, members):
        schema["content"]["content"]["n_trees_per_iteration_"]["content"] = "1"

    def relabel(schema, members):
        schema["content"]["content"]["_loss"]["__class__"] = "HalfBinomialLoss"

    def other(schema, members):
        find(schema, guess)["__class__"] = "DummyRegressor"

    refused(edited(data, narrow), "does not have 3 columns")
    refused(edited(data, announce), r"declares 1 trees per iteration but stores \[3\]")
    refused(edited(data, relabel), "do not match a HalfBinomialLoss")
    refused(edited(data, other), "GradientBoostingClassifier has missing or invalid attributes")


def neighbour_edits():
    def array(position, change):
        return lambda schema, members, name: change_array(members, fields(schema, name)[position], change)

    def number(position, value):
        return lambda schema, members, name: fields(schema, name)[position].update(content=value)

    return [
        pytest.param(array(1, lambda order: order + 10**9), "not a permutation", id="order outside"),
        pytest.param(array(1, lambda order: order * 0), "not a permutation", id="order repeated"),
        pytest.param(array(2, with_value("idx_end", 10**9, -1)), "points lie outside 0 to 90", id="end outside"),
        pytest.param(array(2, with_value("idx_start", -5, -1)), "points lie outside", id="start negative"),
        pytest.param(array(2, with_value("is_leaf", 0, -1)), "last level is not a leaf", id="no leaf"),
        pytest.param(array(3, lambda bounds: bounds[..., :3]), "do not match 90 points", id="narrow bounds"),
        pytest.param(number(5, "30"), "30 levels and", id="more levels"),
        pytest.param(number(6, "100000"), "100000 nodes do not match", id="more nodes"),
    ]


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [("kd_tree", "sklearn.neighbors._kd_tree.KDTree"), ("ball_tree", "sklearn.neighbors._ball_tree.BallTree")],
)
@pytest.mark.parametrize(("edit", "match"), neighbour_edits())
def test_an_edited_neighbour_tree_is_refused(edit, match, algorithm, name):
    data = saved(KNeighborsClassifier(algorithm=algorithm).fit(X, Y))
    refused(edited(data, lambda schema, members: edit(schema, members, name)), match)


@pytest.mark.parametrize(
    ("field", "change", "match"),
    [
        ("_n_support", lambda array: array + np.array([10**6, -(10**6), 0], array.dtype), "do not match"),
        ("_n_support", lambda array: array + 1, "support vectors but stores"),
        ("_dual_coef_", lambda array: array[:, :-1], "weights of shape"),
        ("_intercept_", lambda array: array[:1], "1 offsets"),
        ("_probA", lambda array: np.zeros(1), "a different number of classes"),
        ("support_", lambda array: array + np.int32(10**6), "a support vector's row ranges from"),
        ("support_vectors_", lambda array: array[:, :5], r"support vectors of shape \(\d+, 5\)"),
    ],
    ids=["negative", "more", "fewer weights", "fewer offsets", "probability", "rows", "narrow"],
)
def test_an_edited_support_vector_machine_is_refused(field, change, match):
    refused(with_array(SVC().fit(X, Y), field, change), match)


def test_an_edited_sparse_matrix_is_refused():
    from scipy.sparse import csr_matrix, save_npz

    def edit(schema, members):
        matrix = csr_matrix(np.eye(3))
        matrix.indices = matrix.indices + 1000
        buffer = io.BytesIO()
        save_npz(buffer, matrix)
        members["array-99.npz"] = buffer.getvalue()
        node = named("scipy.sparse._csr", "csr_matrix", "SparseMatrixNode", type="scipy", file="array-99.npz")
        add(schema, "extra", node)

    refused(edited(saved(OneHotEncoder().fit(Y[:, None])), edit), "an index ranges from 1000 to 1002, but must be from 0 to 2")


def test_skops_reads_the_schema(bayes):
    from skops.io import loads

    assert np.array_equal(loads(bayes).predict(X), GaussianNB().fit(X, Y).predict(X))


def test_an_edited_size_in_the_directory_does_not_unpack_more(bayes):
    """load does not read more bytes than the sizes that were checked."""
    data = bytearray(bayes)
    start = data.index(b"PK\x01\x02")
    data[start + 24 : start + 28] = struct.pack("<I", 3)
    refused(bytes(data), f"{DAMAGED}|header is not JSON")


def test_modules_are_not_imported_before_they_are_trusted(bayes, tmp_path):
    (tmp_path / "evil_module.py").write_text("open('ran', 'w').close()\nclass Evil: pass\n")

    def edit(schema, members):
        schema.update(__module__="evil_module", __class__="Evil")

    (tmp_path / "model.featrec").write_bytes(edited(bayes, edit))
    code = "from featrec.persistence import load; load('model.featrec')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "not trusted: evil_module.Evil" in result.stderr
