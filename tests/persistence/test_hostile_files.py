"""Damaged, edited and hostile files are refused, with the path, the rule and the way out."""

import io
import json
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
from featrec.persistence import _archive, load, save
from featrec.persistence._schema import full_name, nodes
from featrec.preprocessing import Resize
from tests.persistence.archives import packed, unpacked

X, Y = load_digits(n_class=3, return_X_y=True)
X, Y = X[:90], Y[:90]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.featrec"


def saved(model, path):
    save(model, path)
    return path.read_bytes()


def refusal(path, data, **options):
    """Write the bytes and give the error that load raises, which names the path."""
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=re.escape(str(path))) as caught:
        load(path, **options)
    return str(caught.value)


def repack(data, edit):
    """Edit the members and write them with a hash that suits, as an author could."""
    facts, members = unpacked(data)
    schema = json.loads(members["schema.json"])
    edit(schema, members)
    members["schema.json"] = json.dumps(schema).encode()
    return packed(facts, members)


def find(schema, name):
    return next(node for node in nodes(schema) if full_name(node) == name)


def add_attribute(node, name, value):
    """Give an object one more attribute, with the type of its key as save writes it."""
    node["content"]["content"][name] = value
    node["content"]["key_types"]["content"].append({"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode"})


def edit_array(members, node, change):
    """Change the array that a node refers to."""
    array = np.load(io.BytesIO(members[node["file"]]))
    array = change(array)
    buffer = io.BytesIO()
    np.save(buffer, array)
    members[node["file"]] = buffer.getvalue()


def test_a_cut_file_is_refused_wherever_it_is_cut(path):
    data = saved(GaussianNB().fit(X, Y), path)
    for end in [0, 1, 30, len(data) // 2, len(data) - 1]:
        assert re.search("damaged, cut off or no model file", refusal(path, data[:end]))


def test_a_flipped_bit_is_refused_or_harmless(path):
    model = GaussianNB().fit(X, Y)
    data = saved(model, path)
    expected = model.predict_proba(X)
    random = np.random.default_rng(0)
    n_refused = 0
    for position in random.integers(0, len(data), 150):
        flipped = bytearray(data)
        flipped[position] ^= 1 << random.integers(8)
        path.write_bytes(flipped)
        try:
            loaded = load(path)
        except ModelFileError:
            n_refused += 1
        else:
            assert np.array_equal(loaded.predict_proba(X), expected)
    assert n_refused > 100


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + bytes(100)], ids=["empty", "text", "zeros"])
def test_what_is_no_zip_is_refused(data, path):
    assert re.search("damaged, cut off or no model file", refusal(path, data))


def test_a_missing_file_is_pythons_own_error(path):
    with pytest.raises(FileNotFoundError, match=r"model\.featrec"):
        load(path)


def test_a_pickle_is_refused(path):
    import pickle

    assert re.search("no model file", refusal(path, pickle.dumps(GaussianNB())))


def test_a_plain_skops_file_is_refused(path):
    from skops.io import dumps

    assert re.search(r"no member 'featrec.json': not a file of featrec.persistence.save", refusal(path, dumps(Resize((8, 8)))))


def zip_of(*entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/passwd", "a/b.npy", "array-0.exe", "C:\\x.npy", ".npy"])
def test_strange_member_names_are_refused(name, path):
    assert re.search(
        "the member name .* is none that save writes",
        refusal(path, zip_of(("featrec.json", "{}"), ("schema.json", "{}"), (name, "x"))),
    )


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_member_that_stands_twice_is_refused(path):
    data = zip_of(("featrec.json", "{}"), ("schema.json", "{}"), ("schema.json", "{ }"))
    assert re.search("'schema.json' stands in it twice", refusal(path, data))


def test_another_packing_is_refused(path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("featrec.json", "{}")
    assert re.search("packed in a way that save does not use", refusal(path, buffer.getvalue()))


def test_a_bomb_is_refused_before_it_is_unpacked(path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("featrec.json", "{}")
        archive.writestr("schema.json", "{}")
        archive.writestr("array-0.npy", bytes(80 * 2**20))
    assert re.search("bytes to 83,886,080, more than 200 fold", refusal(path, buffer.getvalue()))


def test_the_limit_on_bytes_holds_and_can_be_raised(path):
    model = GaussianNB().fit(X, Y)
    data = saved(model, path)
    assert re.search(r"larger than the limit of 1,000 bytes; load\(path, max_bytes", refusal(path, data, max_bytes=1_000))
    assert re.search(r"unpacks to [\d,]+ bytes, over the limit", refusal(path, data, max_bytes=len(data) + 1))
    path.write_bytes(data)
    assert np.array_equal(load(path, max_bytes=10**6).predict(X), model.predict(X))


def test_one_array_used_again_and_again_counts_each_time(path):
    def refer_often(schema, members):
        theta = schema["content"]["content"]["theta_"]
        add_attribute(schema, "extra", {**_list(), "content": [theta] * 2_000})

    assert re.search(
        "arrays unfold to", refusal(path, repack(saved(GaussianNB().fit(X, Y), path), refer_often), max_bytes=2**20)
    )


def _list():
    return {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode"}


def test_an_array_that_announces_more_than_it_holds_is_refused(path):
    def announce(schema, members):
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**14,)})
        members["array-0.npy"] = buffer.getvalue()

    assert re.search(
        "announces 800,000,000,000,000 bytes", refusal(path, repack(saved(GaussianNB().fit(X, Y), path), announce))
    )


def test_a_pickled_array_is_refused(path):
    def pickled(schema, members):
        buffer = io.BytesIO()
        np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        members["array-0.npy"] = buffer.getvalue() + bytes(100)

    assert re.search(
        "'array-0.npy' is no array .it holds pickled objects",
        refusal(path, repack(saved(GaussianNB().fit(X, Y), path), pickled)),
    )


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (b"no json", "header is no JSON"),
        (b"[" * 100_000, "header is no JSON"),
        (b"[]", "lacks the format's number"),
        (b'{"format": true, "versions": {}}', "lacks the format's number"),
        (b'{"format": 1}', "lacks the format's number or the versions"),
        (b'{"format": 7, "versions": {"featrec": "3.0"}}', "in format 7; this version reads format 1.*featrec 3.0"),
        (b'{"format": 1, "versions": {}}', "does not match its hash"),
    ],
    ids=["text", "nested", "list", "bool", "no versions", "unknown format", "no hash"],
)
def test_a_bad_header_is_refused(header, match, path):
    assert re.search(match, refusal(path, zip_of(("featrec.json", header), ("schema.json", "{}"))))


def test_an_edited_member_does_not_match_the_hash(path):
    _, members = unpacked(saved(GaussianNB().fit(X, Y), path))
    with zipfile.ZipFile(path) as archive:
        header = archive.read("featrec.json")
    members["schema.json"] += b" "
    assert re.search("does not match its hash", refusal(path, _archive.plain_zip({"featrec.json": header, **members})))


def test_code_is_named_and_not_executed(path, tmp_path):
    def call_system(schema, members):
        schema["content"]["content"]["var_smoothing"] = {
            "__class__": "system",
            "__module__": "os",
            "__loader__": "FunctionNode",
        }

    assert re.search(r"not trusted: os\.system", refusal(path, repack(saved(GaussianNB().fit(X, Y), path), call_system)))


@pytest.mark.parametrize("loader", ["MethodNode", "PartialNode", "OperatorFuncNode", "CachedNode", "NoSuchNode"])
def test_calls_and_references_are_no_part_of_a_model(loader, path):
    def store(schema, members):
        schema["content"]["content"]["var_smoothing"]["__loader__"] = loader

    assert re.search(
        f"stored as a {loader}, which save does not write", refusal(path, repack(saved(GaussianNB().fit(X, Y), path), store))
    )


@pytest.mark.parametrize("loader", ["LossNode", "ConstructorFromReduceNode", "TypeNode"])
def test_a_known_class_is_built_in_one_way_only(loader, path):
    def store(schema, members):
        find(schema, "sklearn.neighbors._kd_tree.KDTree")["__loader__"] = loader

    data = saved(KNeighborsClassifier(algorithm="kd_tree").fit(X, Y), path)
    assert re.search(f"KDTree is stored as a {loader}", refusal(path, repack(data, store)))


@pytest.mark.parametrize(
    ("module", "name"),
    [("featrec.preprocessing._resize", "Resize"), ("featrec.preprocessing", "np"), ("featrec.datasets", "load_dataset")],
)
def test_only_exported_names_of_featrec_are_known(module, name, path):
    def rename(schema, members):
        schema["__module__"], schema["__class__"] = module, name

    data = repack(saved(Resize((8, 8)), path), rename)
    assert re.search(f"names {module}.{name}, which this version of featrec does not export", refusal(path, data))


def test_an_older_protocol_with_its_weaker_readers_is_refused(path):
    def older(schema, members):
        schema["protocol"] = 0

    assert re.search("not of skops' protocol 2", refusal(path, repack(saved(GaussianNB().fit(X, Y), path), older)))


@pytest.mark.parametrize("schema", [b"{", b"[]", b"{}", b'{"protocol": 2, "__loader__": "ObjectNode"}', b"[" * 100_000])
def test_a_schema_that_is_none_is_refused(schema, path):
    facts, members = unpacked(saved(GaussianNB().fit(X, Y), path))
    assert re.search("its schema is n", refusal(path, packed(facts, {**members, "schema.json": schema})))


def test_a_model_that_contains_itself_cannot_be_written_down(path):
    def loop(schema, members):
        schema["__id__"] = 5
        schema["content"]["content"]["var_smoothing"] = {**_list(), "__loader__": "ObjectNode", "__id__": 5}

    assert re.search(r"not trusted: builtins\.list", refusal(path, repack(saved(GaussianNB().fit(X, Y), path), loop)))


def test_deep_nesting_ends_in_an_error(path):
    def nest(schema, members):
        inner = {**_list(), "content": []}
        for _ in range(300):
            inner = {**_list(), "content": [inner]}
        add_attribute(schema, "extra", inner)

    data = repack(saved(GaussianNB().fit(X, Y), path), nest)
    facts, members = unpacked(data)
    deep = members["schema.json"].replace(b'"content": []', b'"content": [' + b"[" * 50_000 + b"]" * 50_000 + b"]")
    assert re.search("its schema is none that save writes", refusal(path, packed(facts, {**members, "schema.json": deep})))


def test_what_is_no_estimator_is_not_returned(path):
    def replace(schema, members):
        protocol = schema["protocol"]
        schema.clear()
        schema.update({**_list(), "content": [], "protocol": protocol})

    assert re.search("holds a list, no estimator", refusal(path, repack(saved(GaussianNB().fit(X, Y), path), replace)))


def _tree_edits():
    def field(name, value, at=0):
        def edit(schema, members):
            fields = find(schema, "sklearn.tree._tree.Tree")["content"]["content"]

            def change(array):
                array[name][at] = value
                return array

            edit_array(members, fields["nodes"], change)

        return edit

    def arguments(position, text):
        def edit(schema, members):
            find(schema, "sklearn.tree._tree.Tree")["__reduce__"]["args"]["content"][position]["content"] = text

        return edit

    def count(schema, members):
        find(schema, "sklearn.tree._tree.Tree")["content"]["content"]["node_count"]["content"] = "100000"

    def width(schema, members):
        find(schema, "sklearn.tree._classes.DecisionTreeClassifier")["content"]["content"]["n_features_in_"]["content"] = "3"

    return [
        pytest.param(field("left_child", 10**9), "a child is", id="child outside"),
        pytest.param(field("right_child", -7), "a child is -7", id="child negative"),
        pytest.param(field("left_child", 0), "a child comes before its parent", id="cycle"),
        pytest.param(field("feature", 64), "a split's feature is .* outside 0 to 63", id="feature outside"),
        pytest.param(field("feature", -3), "a split's feature is -3", id="feature negative"),
        pytest.param(arguments(0, "100000000"), "a tree over 100000000 features where 64", id="more features"),
        pytest.param(arguments(2, "1000000000"), "1000000000 outputs with", id="more outputs"),
        pytest.param(count, "100000 nodes are announced", id="more nodes"),
        pytest.param(width, "a tree over 64 features where 3 are expected", id="narrower input"),
    ]


@pytest.mark.parametrize(("edit", "match"), _tree_edits())
def test_an_edited_tree_is_refused(edit, match, path):
    data = saved(DecisionTreeClassifier(random_state=0).fit(X, Y), path)
    assert re.search(match, refusal(path, repack(data, edit)))


def test_a_forest_whose_trees_look_further_than_its_input_is_refused(path):
    def widen(schema, members):
        for tree in nodes(schema["content"]["content"]["estimators_"]):
            if full_name(tree) == "sklearn.tree._tree.Tree":
                tree["__reduce__"]["args"]["content"][0]["content"] = "4000"
            if tree.get("__class__") == "DecisionTreeClassifier":
                tree["content"]["content"]["n_features_in_"]["content"] = "4000"

    data = saved(RandomForestClassifier(2, random_state=0).fit(X, Y), path)
    assert re.search(r"hands on \[64, 64\] features and its trees take \[4000, 4000\]", refusal(path, repack(data, widen)))


def test_edited_gradient_trees_are_refused(path):
    data = saved(HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=3).fit(X, Y), path)

    def edit(name, value):
        def change(array):
            array[name][0] = value
            return array

        name_of_class = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
        return lambda schema, members: edit_array(members, find(schema, name_of_class)["content"]["content"]["nodes"], change)

    assert re.search("a child is", refusal(path, repack(data, edit("left", 10**6))))
    assert re.search("a child comes before its parent", refusal(path, repack(data, edit("right", 0))))
    assert re.search("a split's feature is", refusal(path, repack(data, edit("feature_idx", 64))))


def test_an_edited_first_guess_of_gradient_boosting_is_refused(path):
    """Trees that add to columns that are not there corrupt the memory."""
    data = saved(GradientBoostingClassifier(n_estimators=1, max_depth=1).fit(X, Y), path)

    def narrow(schema, members):
        guess = find(schema, "sklearn.dummy.DummyClassifier")["content"]["content"]
        edit_array(members, guess["class_prior_"], lambda shares: shares[:1])

    def announce(schema, members):
        schema["content"]["content"]["n_trees_per_iteration_"]["content"] = "1"

    def relabel(schema, members):
        schema["content"]["content"]["_loss"]["__class__"] = "HalfBinomialLoss"

    def other(schema, members):
        find(schema, "sklearn.dummy.DummyClassifier")["__class__"] = "DummyRegressor"

    assert "has not 3 columns" in refusal(path, repack(data, narrow))
    assert "1 trees an iteration are announced, [3] stored" in refusal(path, repack(data, announce))
    assert "do not suit a HalfBinomialLoss" in refusal(path, repack(data, relabel))
    assert "GradientBoostingClassifier lacks what it needs" in refusal(path, repack(data, other))


def _neighbour_edits():
    def state(position, change):
        return lambda schema, members, name: edit_array(members, find(schema, name)["content"]["content"][position], change)

    def put(name, value):
        def change(array):
            array[name][-1] = value
            return array

        return change

    def text(position, value):
        def edit(schema, members, name):
            find(schema, name)["content"]["content"][position]["content"] = value

        return edit

    return [
        pytest.param(state(1, lambda order: order + 10**9), "no permutation", id="order outside"),
        pytest.param(state(1, lambda order: order * 0), "no permutation", id="order repeated"),
        pytest.param(state(2, put("idx_end", 10**9)), "points lie outside 0 to 90", id="end outside"),
        pytest.param(state(2, put("idx_start", -5)), "points lie outside", id="start negative"),
        pytest.param(state(2, put("is_leaf", 0)), "last level is no leaf", id="no leaf"),
        pytest.param(state(3, lambda bounds: bounds[..., :3]), "do not suit 90 points", id="narrow bounds"),
        pytest.param(text(5, "30"), "30 levels and", id="more levels"),
        pytest.param(text(6, "100000"), "100000 nodes do not suit", id="more nodes"),
    ]


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
@pytest.mark.parametrize(("edit", "match"), _neighbour_edits())
def test_an_edited_neighbour_structure_is_refused(edit, match, algorithm, path):
    name = {"kd_tree": "sklearn.neighbors._kd_tree.KDTree", "ball_tree": "sklearn.neighbors._ball_tree.BallTree"}[algorithm]
    data = saved(KNeighborsClassifier(algorithm=algorithm).fit(X, Y), path)
    assert re.search(match, refusal(path, repack(data, lambda schema, members: edit(schema, members, name))))


@pytest.mark.parametrize(
    ("field", "change", "match"),
    [
        ("_n_support", lambda array: array + np.array([10**6, -(10**6), 0], array.dtype), "do not suit"),
        ("_n_support", lambda array: array + 1, "support vectors are announced"),
        ("_dual_coef_", lambda array: array[:, :-1], "weights of shape"),
        ("_intercept_", lambda array: array[:1], "1 offsets"),
        ("_probA", lambda array: np.zeros(1), "another number of classes"),
        ("support_", lambda array: array + np.int32(10**6), "a support vector's row is"),
        ("support_vectors_", lambda array: array[:, :5], r"support vectors of shape \(\d+, 5\)"),
    ],
    ids=["negative", "more", "fewer weights", "fewer offsets", "probability", "rows", "narrow"],
)
def test_an_edited_support_vector_machine_is_refused(field, change, match, path):
    def edit(schema, members):
        edit_array(members, schema["content"]["content"][field], change)

    assert re.search(match, refusal(path, repack(saved(SVC().fit(X, Y), path), edit)))


def test_an_edited_sparse_matrix_is_refused(path):
    from scipy.sparse import csr_matrix, save_npz

    def edit(schema, members):
        matrix = csr_matrix(np.eye(3))
        matrix.indices = matrix.indices + 1000
        buffer = io.BytesIO()
        save_npz(buffer, matrix)
        members["array-99.npz"] = buffer.getvalue()
        matrix_node = {
            "__class__": "csr_matrix",
            "__module__": "scipy.sparse._csr",
            "__loader__": "SparseMatrixNode",
            "type": "scipy",
            "file": "array-99.npz",
        }
        add_attribute(schema, "extra", matrix_node)

    data = saved(OneHotEncoder().fit(Y[:, None]), path)
    assert re.search("an index is 1000 or 1002, outside 0 to 2", refusal(path, repack(data, edit)))


def test_skops_and_its_tools_read_the_inside(path):
    """What featrec adds stands beside the schema, which stays skops' own."""
    from skops.io import loads

    data = saved(GaussianNB().fit(X, Y), path)
    assert np.array_equal(loads(data).predict(X), GaussianNB().fit(X, Y).predict(X))


def test_an_edited_directory_size_does_not_unpack_more(path):
    """The sizes that are checked are also those that bound the reading."""
    data = bytearray(saved(GaussianNB().fit(X, Y), path))
    start = data.index(b"PK\x01\x02")
    data[start + 24 : start + 28] = struct.pack("<I", 3)
    assert re.search("damaged, cut off or no model file|header is no JSON", refusal(path, bytes(data)))


def test_nothing_of_the_file_is_imported_before_it_is_trusted(path, tmp_path):
    (tmp_path / "evil_module.py").write_text("open('ran', 'w').close()\nclass Evil: pass\n")

    def rename(schema, members):
        schema["__module__"], schema["__class__"] = "evil_module", "Evil"

    path.write_bytes(repack(saved(GaussianNB().fit(X, Y), path), rename))
    code = "import sys; from featrec.persistence import load; load(sys.argv[1])"
    result = subprocess.run([sys.executable, "-c", code, path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "not trusted: evil_module.Evil" in result.stderr
    assert not (tmp_path / "ran").exists()
