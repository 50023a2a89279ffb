"""Damaged and edited files are refused. The error names the path and the reason, and what to do."""

import functools
import io
import re
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from scipy.sparse import csr_matrix, save_npz
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from skops import io as skops_io

from featrec.exceptions import ModelFileError
from featrec.persistence import load
from featrec.persistence._schema import full_name, nodes
from featrec.preprocessing import Resize
from tests.persistence import edits
from tests.persistence.archives import edited, packed, refused, saved, unpacked

X, Y = load_digits(n_class=3, return_X_y=True)
X, Y = X[:90], Y[:90]
MODELS = {
    "bayes": GaussianNB(),
    "resize": Resize((8, 8)),
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(2, random_state=0),
    "gradient": GradientBoostingClassifier(n_estimators=1, max_depth=1),
    "histograms": HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=3),
    "kd_tree": KNeighborsClassifier(algorithm="kd_tree"),
    "ball_tree": KNeighborsClassifier(algorithm="ball_tree"),
    "svm": SVC(),
}
TREE = "sklearn.tree._tree.Tree"
GUESS = "sklearn.dummy.DummyClassifier"
NEIGHBOUR_TREES = {"kd_tree": "sklearn.neighbors._kd_tree.KDTree", "ball_tree": "sklearn.neighbors._ball_tree.BallTree"}
DAMAGED = "damaged, cut off or not a model file"


@functools.cache
def file_of(kind):
    model = MODELS[kind]
    return saved(model if kind == "resize" else model.fit(X, Y))


@pytest.fixture
def bayes():
    return saved(GaussianNB().fit(X, Y))


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


def test_a_missing_file_is_the_error_of_python():
    with pytest.raises(FileNotFoundError, match=r"model\.featrec"):
        load("model.featrec")


def zip_of(*members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


EMPTY = (("featrec.json", "{}"), ("schema.json", "{}"))
FILES = {
    "text": (b"text", DAMAGED),
    "the start of a zip": (b"PK\x03\x04" + bytes(100), DAMAGED),
    "a file of skops": (
        skops_io.dumps(Resize((8, 8))),
        "no member 'featrec.json', so featrec.persistence.save did not write it",
    ),
    "a repeated member": ((*EMPTY, ("schema.json", "{ }")), "it has the member 'schema.json' twice"),
    **{
        name: ((*EMPTY, (name, "x")), f"save never writes a member named {re.escape(repr(name))}")
        for name in ["../evil.npy", "/etc/passwd", "a/b.npy", "array-0.exe", "C:\\x.npy", ".npy"]
    },
    **{
        header.decode()[:60]: ((("featrec.json", header), ("schema.json", "{}")), match)
        for header, match in [
            (b"no json", "header is not JSON"),
            (b"[" * 100_000, "header is not JSON"),
            (b"[]", "lacks the format number"),
            (b'{"format": true, "versions": {}}', "lacks the format number"),
            (b'{"format": 1}', "lacks the format number or the versions"),
            (b'{"format": 7, "versions": {"featrec": "3.0"}}', "in format 7; this version reads format 1.*featrec 3.0"),
            (b'{"format": 1, "versions": {}}', "does not match its hash"),
        ]
    },
}


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(("content", "match"), FILES.values(), ids=FILES)
def test_other_files_are_refused(content, match):
    refused(content if isinstance(content, bytes) else zip_of(*content), match)


def test_another_compression_is_refused():
    refused(zip_of(*EMPTY, method=zipfile.ZIP_LZMA), "is compressed or encrypted in a way that save does not use")


def test_the_limit_on_bytes_can_be_changed(bayes):
    refused(bayes, r"larger than the limit of 1,000 bytes; use load\(path, max_bytes", max_bytes=1_000)
    refused(bayes, r"unpacks to [\d,]+ bytes, more than the limit", max_bytes=len(bayes) + 1)
    assert np.array_equal(load("model.featrec", max_bytes=10**6).predict(X), GaussianNB().fit(X, Y).predict(X))


def test_an_array_that_is_used_several_times_counts_each_time(bayes):
    def edit(schema, members):
        edits.add(schema, "extra", edits.sequence("list", [edits.fields(schema)["theta_"]] * 2_000))

    refused(edited(bayes, edit), "its arrays need", max_bytes=2**20)


@pytest.mark.parametrize("schema", [b"{", b"[]", b"{}", b'{"protocol": 2, "__loader__": "ObjectNode"}', b"[" * 100_000])
def test_a_bad_schema_is_refused(bayes, schema):
    facts, members = unpacked(bayes)
    refused(packed(facts, {**members, "schema.json": schema}), "its schema does not use|its schema was not written by `save`")


def test_nesting_that_would_exhaust_the_stack_is_refused(bayes):
    facts, members = unpacked(edited(bayes, edits.extra("extra", edits.sequence("list", []))))
    deep = members["schema.json"].replace(b'"content": []', b'"content": [' + b"[" * 50_000 + b"]" * 50_000 + b"]")
    refused(packed(facts, {**members, "schema.json": deep}), "its schema was not written by `save`")


def another_loader(attribute, loader):
    return lambda schema, members: edits.fields(schema)[attribute].update(__loader__=loader)


def other_object(schema, members):
    protocol = schema["protocol"]
    schema.clear()
    schema.update(edits.sequence("list", []), protocol=protocol)


def argument(position, text):
    return lambda schema, members: edits.find(schema, TREE)["__reduce__"]["args"]["content"][position].update(content=text)


def wide_trees(schema, members):
    for tree in nodes(edits.fields(schema)["estimators_"]):
        if full_name(tree) == TREE:
            tree["__reduce__"]["args"]["content"][0]["content"] = "4000"
        if tree.get("__class__") == "DecisionTreeClassifier":
            tree["content"]["content"]["n_features_in_"]["content"] = "4000"


def gradient_record(name, value):
    return edits.array(
        "nodes", edits.with_value(name, value), "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
    )


def neighbour(kind, place, change):
    def edit(schema, members):
        held = edits.fields(schema, NEIGHBOUR_TREES[kind])[place]
        held.update(content=change) if isinstance(change, str) else edits.change_array(members, held, change)

    return edit


def sparse_matrix(schema, members):
    matrix = csr_matrix(np.eye(3))
    matrix.indices = matrix.indices + 1000
    buffer = io.BytesIO()
    save_npz(buffer, matrix)
    members["array-99.npz"] = buffer.getvalue()
    edits.add(
        schema, "extra", edits.named("scipy.sparse._csr", "csr_matrix", "SparseMatrixNode", type="scipy", file="array-99.npz")
    )


EDITS = [
    ("bayes", edits.member("array-0.npy", edits.announced(10**14)), "declares 800,000,000,000,000 bytes"),
    *[
        ("bayes", another_loader("var_smoothing", loader), f"stored as a {loader}, which save never writes")
        for loader in ("MethodNode", "PartialNode", "OperatorFuncNode", "CachedNode", "NoSuchNode")
    ],
    *[
        ("kd_tree", edits.node(NEIGHBOUR_TREES["kd_tree"], __loader__=loader), f"KDTree is stored as a {loader}")
        for loader in ("LossNode", "ConstructorFromReduceNode", "TypeNode")
    ],
    *[
        (
            "resize",
            edits.node(None, __module__=module, __class__=name),
            f"names {module}.{name}, which this version .* does not export",
        )
        for module, name in [
            ("featrec.preprocessing._resize", "Resize"),
            ("featrec.preprocessing", "np"),
            ("featrec.datasets", "load_dataset"),
        ]
    ],
    ("bayes", edits.node(None, protocol=0), "does not use skops protocol 2"),  # its readers are less strict
    (
        "bayes",
        edits.both(
            edits.node(None, __id__=5), edits.setting("var_smoothing", edits.named("builtins", "list", "ObjectNode", __id__=5))
        ),
        r"not trusted: builtins\.list",
    ),
    ("bayes", other_object, "contains a list, not an estimator"),
    ("bayes", sparse_matrix, "an index ranges from 1000 to 1002, but must be from 0 to 2"),
    ("tree", edits.array("nodes", edits.with_value("left_child", 10**9), TREE), "a child ranges from 3 to 1000000000"),
    ("tree", edits.array("nodes", edits.with_value("right_child", -7), TREE), "a child ranges from -7"),
    ("tree", edits.array("nodes", edits.with_value("feature", 64), TREE), "a split's feature ranges .* must be from 0 to 63"),
    ("tree", edits.array("nodes", edits.with_value("feature", -3), TREE), "a split's feature ranges from -3"),
    ("tree", argument(0, "100000000"), "a tree of 100000000 features; 64"),
    ("tree", argument(2, "1000000000"), "1000000000 outputs with"),
    ("tree", edits.setting("node_count", 10**5, TREE), "declares 100000 nodes"),
    ("tree", edits.setting("n_features_in_", 3), "a tree of 64 features; 3 are expected"),
    ("forest", wide_trees, r"passes \[64, 64\] features to its trees, which expect \[4000, 4000\]"),
    *[
        (kind, neighbour(kind, place, change), match)
        for kind in NEIGHBOUR_TREES
        for place, change, match in [
            (1, lambda order: order + 10**9, "not a permutation"),
            (1, lambda order: order * 0, "not a permutation"),
            (2, edits.with_value("idx_end", 10**9, -1), "points lie outside 0 to 90"),
            (2, edits.with_value("idx_start", -5, -1), "points lie outside"),
            (2, edits.with_value("is_leaf", 0, -1), "last level is not a leaf"),
            (3, lambda bounds: bounds[..., :3], "do not match 90 points"),
            (5, "30", "30 levels and"),
            (6, "100000", "100000 nodes do not match"),
        ]
    ],
    ("histograms", gradient_record("left", 10**6), "a child ranges from 1000000"),
    ("histograms", gradient_record("right", 0), "a child comes before its parent"),
    ("histograms", gradient_record("feature_idx", 64), "a split's feature ranges from 64"),
    # Trees that add to columns that do not exist would corrupt memory.
    ("gradient", edits.array("class_prior_", lambda shares: shares[:1], GUESS), "does not have 3 columns"),
    ("gradient", edits.setting("n_trees_per_iteration_", 1), r"declares 1 trees per iteration but stores \[3\]"),
    (
        "gradient",
        lambda schema, members: edits.fields(schema)["_loss"].update(__class__="HalfBinomialLoss"),
        "do not match a HalfBinomialLoss",
    ),
    ("gradient", edits.node(GUESS, __class__="DummyRegressor"), "GradientBoostingClassifier has missing or invalid attributes"),
    *[
        ("svm", edits.array(field, change), match)
        for field, change, match in [
            ("_n_support", lambda array: array + np.array([10**6, -(10**6), 0], array.dtype), "do not match"),
            ("_n_support", lambda array: array + 1, "support vectors but stores"),
            ("_dual_coef_", lambda array: array[:, :-1], "weights of shape"),
            ("_intercept_", lambda array: array[:1], "1 offsets"),
            ("_probA", lambda array: np.zeros(1), "a different number of classes"),
            ("support_", lambda array: array + np.int32(10**6), "a support vector's row ranges from 1000001"),
            ("support_vectors_", lambda array: array[:, :5], r"support vectors of shape \(\d+, 5\)"),
        ]
    ],
]


@pytest.mark.parametrize(("kind", "edit", "match"), EDITS)
def test_an_edited_file_is_refused(kind, edit, match):
    refused(edited(file_of(kind), edit), match)


def test_skops_reads_the_schema(bayes):
    assert np.array_equal(skops_io.loads(bayes).predict(X), GaussianNB().fit(X, Y).predict(X))


def test_an_edited_size_in_the_directory_does_not_unpack_more(bayes):
    """load does not read more bytes than the sizes that were checked."""
    data = bytearray(bayes)
    start = data.index(b"PK\x01\x02")
    data[start + 24 : start + 28] = struct.pack("<I", 3)
    refused(bytes(data), f"{DAMAGED}|header is not JSON")


def test_modules_are_not_imported_before_they_are_trusted(bayes, tmp_path):
    (tmp_path / "evil_module.py").write_text("open('ran', 'w').close()\nclass Evil: pass\n")
    (tmp_path / "model.featrec").write_bytes(edited(bayes, edits.node(None, __module__="evil_module", __class__="Evil")))
    code = "from featrec.persistence import load; load('model.featrec')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "not trusted: evil_module.Evil" in result.stderr
