"""Check fitted scikit-learn objects whose compiled code does not check indices.

These are sparse matrices, nearest neighbours, k-means, support vector machines, trees, forests and boosting.
"""

from __future__ import annotations

import io
import math
from typing import Any, cast

import numpy as np

from featrec.persistence._schema import (
    Members,
    Node,
    check_range,
    field_values,
    full_name,
    nodes,
    plain_fields,
    plain_value,
    refuse,
)

__all__ = ["SCIKIT_LEARN_CHECKS"]

# A query allocates memory for n_neighbors candidates. Up to this number, more neighbours than points are accepted, because
# they cost little memory and Python then raises an error.
MOST_NEIGHBOURS = 10_000
MOST_THREADS = 256
LEAF = -1


def _check_sparse(node: Node, members: Members) -> None:
    with np.load(io.BytesIO(cast(bytes, members[node["file"]])), allow_pickle=False) as held:
        kind, shape = held["format"].item().decode(), held["shape"].tolist()
        if kind not in ("csr", "csc"):
            refuse(node, f"a sparse matrix of the kind {kind!r}; only csr and csc are supported")
        major, minor = shape if kind == "csr" else shape[::-1]
        indices, starts = held["indices"], held["indptr"]
        if len(starts) != major + 1 or starts[0] != 0 or starts[-1] > len(indices) or (np.diff(starts) < 0).any():
            refuse(node, f"the starts of its rows do not match {len(indices)} entries")
        check_range(node, indices, minor, "an index")
        if len(held["data"]) != len(indices):
            refuse(node, f"{len(held['data'])} values for {len(indices)} indices")


def sparse_shape(node: Node, members: Members) -> tuple[int, int]:
    with np.load(io.BytesIO(cast(bytes, members[node["file"]])), allow_pickle=False) as held:
        rows, columns = held["shape"].tolist()
    return rows, columns


def _check_neighbour_tree(node: Node, members: Members) -> None:
    """Check a complete binary tree that is stored in arrays and refers to a permutation of the points."""
    state = _state(node, 13, members)
    data, order, cells, bounds, leaf_size, n_levels, n_nodes = state[:7]
    n_points, n_features = data.shape
    n_bounds = 2 if node["__class__"] == "KDTree" else 1
    levels = int(math.log2(max(1, (n_points - 1) / leaf_size)) + 1)
    expected = (levels, 2**levels - 1, 2**levels - 1)
    if (n_levels, n_nodes, len(cells)) != expected or bounds.shape != (n_bounds, n_nodes, n_features):
        refuse(node, f"{n_levels} levels and {n_nodes} nodes do not match {n_points} points in leaves of {leaf_size}")
    if not np.array_equal(np.sort(order), np.arange(n_points)):
        refuse(node, "its point order is not a permutation")
    if isinstance(state[12], np.ndarray) and state[12].shape != (n_points,):
        refuse(node, f"weights of shape {state[12].shape} do not match {n_points} points")
    _check_cells(node, cells, n_points, levels)


def _check_cells(node: Node, cells: np.ndarray, n_points: int, levels: int) -> None:
    starts, ends = cells["idx_start"], cells["idx_end"]
    if (starts < 0).any() or (ends > n_points).any() or (starts > ends).any():
        refuse(node, f"a node's points lie outside 0 to {n_points}")
    if (cells["is_leaf"][2 ** (levels - 1) - 1 :] == 0).any():
        refuse(node, "a node of the last level is not a leaf")


def _check_distance(node: Node, members: Members) -> None:
    power, vector, matrix = _state(node, 3, members)
    if not isinstance(power, float) or vector.ndim != 1 or matrix.ndim != 2:
        refuse(node, "its state is not a power, a vector and a matrix")


def _state(node: Node, length: int, members: Members) -> list[Any]:
    """Return the state of a compiled object. Its loader reads a fixed number of items."""
    state = node["content"]
    if state["__loader__"] != "TupleNode":
        refuse(node, "its state is not a tuple")
    if len(state["content"]) != length:
        refuse(node, f"its state has {len(state['content'])} items; {length} are expected")
    return [plain_value(item, members) for item in state["content"]]


def _check_neighbours(node: Node, members: Members) -> None:
    """Check that stored rows, their tree and their classes match, and that the rows are as wide as the input."""
    fields = plain_fields(node)
    if "_fit_X" not in fields:
        return
    rows, width = _shape(fields["_fit_X"], members)
    if [rows, width] != field_values(node, members, "n_samples_fit_", "n_features_in_"):
        refuse(node, f"{rows} rows of {width} values do not match n_samples_fit_ and n_features_in_")
    if full_name(fields["_tree"]) in SCIKIT_LEARN_CHECKS:
        found = _shape(fields["_tree"]["content"]["content"][0], members)
        if found != (rows, width):
            refuse(node, f"its tree has {found[0]} rows of {found[1]} values; {rows} rows of {width} are expected")
    wanted = plain_value(fields["n_neighbors"], members) if "n_neighbors" in fields else None
    if isinstance(wanted, (int, float)) and not wanted <= max(rows, MOST_NEIGHBOURS):
        refuse(node, f"n_neighbors={wanted} for {rows} rows")
    if "_y" in fields and "classes_" in fields:
        _check_classes_of_rows(node, rows, *field_values(node, members, "_y", "classes_", "outputs_2d_"))


def _check_classes_of_rows(node: Node, rows: int, numbers: np.ndarray, classes: Any, several: bool) -> None:
    columns = numbers.T if several else [numbers.ravel()]
    each = classes if several else [classes]
    if len(numbers) != rows or numbers.dtype.kind != "i" or len(columns) != len(each) or numbers.size != rows * len(each):
        refuse(node, f"classes of shape {numbers.shape} and type {numbers.dtype} do not match {rows} rows")
    for column, known in zip(columns, each, strict=True):
        check_range(node, column, len(known), "a class")


def _shape(node: Node, members: Members) -> tuple[int, int]:
    if node["__loader__"] == "SparseMatrixNode":
        return sparse_shape(node, members)
    rows, width = plain_value(node, members).shape
    return rows, width


def _check_clusters(node: Node, members: Members) -> None:
    """Check the width of k-means centres and the number of threads that prediction starts."""
    fields = plain_fields(node)
    if "cluster_centers_" not in fields:
        return
    rows, width = _shape(fields["cluster_centers_"], members)
    expected, threads = field_values(node, members, "n_features_in_", "_n_threads")
    if not rows or width != expected:
        refuse(node, f"{rows} centres of {width} values; centres of {expected} values are expected")
    if type(threads) is not int or not 1 <= threads <= MOST_THREADS:
        refuse(node, f"_n_threads={threads}, outside 1 to {MOST_THREADS}")


def _check_support_vectors(node: Node, members: Members) -> None:
    """Check the numbers of support vectors, weights and classes, which libsvm does not check."""
    fields = plain_fields(node)
    if "support_" not in fields:
        return
    sparse, kernel = (plain_value(fields[name], members) for name in ("_sparse", "kernel"))
    if sparse:
        refuse(node, "a support vector machine that was fitted on sparse rows, which is not supported")
    names = ("support_", "support_vectors_", "_n_support", "_dual_coef_", "_intercept_", "_probA", "_probB", "shape_fit_")
    support, vectors, counts, weights, offsets, slopes, shifts, shape = field_values(node, members, *names)
    n_classes = len(counts) if node["__class__"] in ("SVC", "NuSVC") else 2
    pairs = n_classes * (n_classes - 1) // 2
    if (counts < 0).any() or weights.shape != (n_classes - 1, len(support)) or len(offsets) != pairs:
        refuse(node, f"weights of shape {weights.shape} and {len(offsets)} offsets do not match {len(support)} support vectors")
    if node["__class__"] in ("SVC", "NuSVC") and counts.sum() != len(support):
        refuse(node, f"it declares {counts.sum()} support vectors but stores {len(support)}")
    if node["__class__"] in ("SVC", "NuSVC") and len(plain_value(fields["classes_"], members)) != n_classes:
        refuse(node, f"it counts support vectors of {n_classes} classes, but classes_ has a different number")
    if not {len(slopes), len(shifts)} <= {0, pairs}:
        refuse(node, "its probability model has a different number of classes")
    check_range(node, support, shape[0], "a support vector's row")
    if kernel != "precomputed" and isinstance(kernel, str):
        expected = (len(support), *field_values(node, members, "n_features_in_"))
        if vectors.shape != expected:
            refuse(node, f"support vectors of shape {vectors.shape}; {expected} is expected")


def _check_tree(node: Node, members: Members) -> None:
    n_features, n_classes, n_outputs = plain_value(node["__reduce__"]["args"], members)
    count, table, values = field_values(node, members, "node_count", "nodes", "values")
    if n_classes.shape != (n_outputs,) or n_outputs < 1 or n_classes.min() < 1:
        refuse(node, f"{n_outputs} outputs with {n_classes.tolist()} classes")
    if count != len(table) or values.shape != (count, n_outputs, n_classes.max()):
        refuse(node, f"it declares {count} nodes but stores {len(table)}, with values of shape {values.shape}")
    inner = table["left_child"] != LEAF
    _check_children(node, inner, table["left_child"], table["right_child"])
    check_range(node, table["feature"][inner], n_features, "a split's feature")


def _check_children(node: Node, inner: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Check that children come after their parents, as in every fitted tree. Every path then ends at a leaf."""
    if not len(inner):
        refuse(node, "a tree without nodes")
    parents = np.flatnonzero(inner)
    for children in (left[inner], right[inner]):
        check_range(node, children, len(inner), "a child")
        if (children <= parents).any():
            refuse(node, "a child comes before its parent, so a path would never end")


def _check_decision_tree(node: Node, members: Members) -> None:
    """Check that the tree and its estimator expect the same number of features."""
    fields = plain_fields(node)
    if "tree_" not in fields:
        return
    if full_name(fields["tree_"]) != "sklearn.tree._tree.Tree":
        refuse(node, f"its tree is a {full_name(fields['tree_'])}")
    n_features = plain_value(fields["tree_"]["__reduce__"]["args"], members)[0]
    (expected,) = field_values(node, members, "n_features_in_")
    if n_features != expected:
        refuse(node, f"a tree of {n_features} features; {expected} are expected")


def _check_forest(node: Node, members: Members) -> None:
    """Check the numbers of features of all trees, because the ensemble checks its input, but its trees do not."""
    fields = plain_fields(node)
    if "estimators_" not in fields:
        return
    (width,) = field_values(node, members, "n_features_in_")
    subsets = plain_value(fields["estimators_features_"], members) if "estimators_features_" in fields else None
    widths = [
        plain_value(plain_fields(child)["n_features_in_"], members)
        for child in nodes(fields["estimators_"])
        if child.get("__module__") == "sklearn.tree._classes"
    ]
    expected = [width] * len(widths) if subsets is None else [len(subset) for subset in subsets]
    if widths != expected:
        refuse(node, f"it passes {expected[:3]} features to its trees, which expect {widths[:3]}")


def _check_voting_forest(node: Node, members: Members) -> None:
    """Check the numbers of classes, because a forest allocates memory for them before the trees predict."""
    _check_forest(node, members)
    fields = plain_fields(node)
    if not {"estimators_", "n_classes_", "classes_"} <= fields.keys():
        return
    counts, known = (plain_value(fields[name], members) for name in ("n_classes_", "classes_"))
    counts = counts if isinstance(counts, list) else [counts]
    stored = [len(known)] if isinstance(known, np.ndarray) else [len(each) for each in known]
    grown = {
        tuple(plain_value(child["__reduce__"]["args"], members)[1].tolist())
        for child in nodes(fields["estimators_"])
        if full_name(child) == "sklearn.tree._tree.Tree"
    }
    if counts != stored or grown != {tuple(stored)}:
        refuse(node, f"it declares {counts} classes but stores {stored}, and its trees have {sorted(grown)[:3]}")


def _check_additive_trees(node: Node, members: Members) -> None:
    """Check that the initial prediction has as many columns as each iteration has trees."""
    fields = plain_fields(node)
    if "estimators_" not in fields:
        return
    _check_forest(node, members)
    widths = {len(row) for row in plain_value(fields["estimators_"], members)}
    (width,) = field_values(node, members, "n_trees_per_iteration_")
    if widths != {width}:
        refuse(node, f"it declares {width} trees per iteration but stores {sorted(widths)}")
    multiclass = fields["_loss"]["__class__"] == "HalfMultinomialLoss"
    if multiclass != (width > 1) or "is_multiclass" in plain_fields(fields["_loss"]):
        refuse(node, f"{width} trees per iteration do not match a {fields['_loss']['__class__']}")
    first = plain_value(fields["init_"], members)
    if first != "zero" and _columns_of_first_guess(first, members) != (width if multiclass else None):
        refuse(node, f"its initial prediction, by a {full_name(first)}, does not have {width} columns")


def _columns_of_first_guess(node: Node, members: Members) -> int | None:
    """Return the number of columns, None for a single column, or -1 for estimators that are not scikit-learn's default."""
    if full_name(node) == "sklearn.dummy.DummyRegressor":
        constant, n_outputs = field_values(node, members, "constant_", "n_outputs_")
        return None if (constant.shape, n_outputs) == ((1, 1), 1) else -1
    if full_name(node) != "sklearn.dummy.DummyClassifier":
        return -1
    shares, strategy, n_outputs = field_values(node, members, "class_prior_", "_strategy", "n_outputs_")
    if strategy != "prior" or n_outputs != 1 or shares.ndim != 1:
        return -1
    return len(shares) if len(shares) > 2 else None


def _check_gradient_trees(node: Node, members: Members) -> None:
    table, bitsets = field_values(node, members, "nodes", "raw_left_cat_bitsets")
    inner = table["is_leaf"] == 0
    _check_children(node, inner, table["left"].astype(np.int64), table["right"].astype(np.int64))
    check_range(node, table["feature_idx"], np.iinfo(np.int64).max, "a split's feature")
    check_range(node, table["bitset_idx"][table["is_categorical"] != 0].astype(np.int64), len(bitsets), "a bit set")


def _check_gradient_boosting(node: Node, members: Members) -> None:
    fields = plain_fields(node)
    if "_predictors" not in fields:
        return
    (width,) = field_values(node, members, "_n_features" if "_n_features" in fields else "n_features_in_")
    for child in nodes(fields["_predictors"]):
        if child.get("__class__") == "TreePredictor":
            (table,) = field_values(child, members, "nodes")
            inner = table[table["is_leaf"] == 0]
            check_range(child, inner["feature_idx"], width, "a split's feature")
            _check_categories(child, inner, fields, members)


def _check_categories(node: Node, inner: np.ndarray, fields: dict[str, Node], members: Members) -> None:
    """Check that only categorical features are split by category."""
    splits = inner["feature_idx"][inner["is_categorical"] != 0]
    if not len(splits):
        return
    (categorical,) = field_values(fields["_bin_mapper"], members, "is_categorical_")
    if categorical.ndim != 1 or splits.max() >= len(categorical) or not categorical[splits].all():
        refuse(node, "it splits a feature by category, but the feature is not categorical")


SCIKIT_LEARN_CHECKS = {
    "SparseMatrixNode": _check_sparse,
    "sklearn.cluster._bisect_k_means": _check_clusters,
    "sklearn.cluster._kmeans": _check_clusters,
    "sklearn.ensemble._forest": _check_voting_forest,
    "sklearn.ensemble._gb": _check_additive_trees,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": _check_gradient_boosting,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _check_gradient_trees,
    "sklearn.ensemble._iforest": _check_forest,
    "sklearn.metrics._dist_metrics": _check_distance,
    "sklearn.neighbors._ball_tree.BallTree": _check_neighbour_tree,
    "sklearn.neighbors._classification": _check_neighbours,
    "sklearn.neighbors._graph": _check_neighbours,
    "sklearn.neighbors._kd_tree.KDTree": _check_neighbour_tree,
    "sklearn.neighbors._lof": _check_neighbours,
    "sklearn.neighbors._regression": _check_neighbours,
    "sklearn.neighbors._unsupervised": _check_neighbours,
    "sklearn.svm._classes.NuSVC": _check_support_vectors,
    "sklearn.svm._classes.NuSVR": _check_support_vectors,
    "sklearn.svm._classes.OneClassSVM": _check_support_vectors,
    "sklearn.svm._classes.SVC": _check_support_vectors,
    "sklearn.svm._classes.SVR": _check_support_vectors,
    "sklearn.tree._classes": _check_decision_tree,
    "sklearn.tree._tree.Tree": _check_tree,
}
