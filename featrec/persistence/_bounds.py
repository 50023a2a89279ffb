"""Indices in a model's arrays stay inside: scikit-learn's compiled code follows them without looking."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from featrec.exceptions import ModelFileError
from featrec.persistence._schema import Node, full_name, nodes, plain_fields, plain_value

__all__ = ["check_bounds"]

Members = Mapping[str, bytes]
LEAF = -1


def check_bounds(root: Node, members: Members) -> None:
    """Refuse trees, neighbour indices and support vectors whose numbers point outside."""
    for node in nodes(root):
        check = CHECKS.get(full_name(node)) or CHECKS.get(str(node.get("__module__"))) or CHECKS.get(node["__loader__"])
        if check is not None:
            try:
                check(node, members)
            except ModelFileError:
                raise
            except Exception as error:
                raise ModelFileError(f"{full_name(node)} lacks what it needs ({error!r}); save the model again") from error


def _refuse(node: Node, what: str) -> NoReturn:
    raise ModelFileError(f"{full_name(node)}: {what}. No fit gives this; the file was edited, get it from its author")


def _fields(node: Node, members: Members, *names: str) -> list[Any]:
    fields = plain_fields(node)
    return [plain_value(fields[name], members) for name in names]


def _check_tree(node: Node, members: Members) -> None:
    n_features, n_classes, n_outputs = plain_value(node["__reduce__"]["args"], members)
    count, table, values = _fields(node, members, "node_count", "nodes", "values")
    if n_classes.shape != (n_outputs,) or n_outputs < 1 or n_classes.min() < 1:
        _refuse(node, f"{n_outputs} outputs with {n_classes.tolist()} classes")
    if count != len(table) or values.shape != (count, n_outputs, n_classes.max()):
        _refuse(node, f"{count} nodes are announced, {len(table)} stored, with values of shape {values.shape}")
    inner = table["left_child"] != LEAF
    _check_children(node, inner, table["left_child"], table["right_child"])
    _check_range(node, table["feature"][inner], n_features, "a split's feature")


def _check_children(node: Node, inner: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Every child comes after its parent, as in every grown tree; so each walk ends at a leaf."""
    if not len(inner):
        _refuse(node, "a tree without nodes")
    parents = np.flatnonzero(inner)
    for children in (left[inner], right[inner]):
        _check_range(node, children, len(inner), "a child")
        if (children <= parents).any():
            _refuse(node, "a child comes before its parent, so a walk would not end")


def _check_range(node: Node, indices: np.ndarray, limit: int, what: str) -> None:
    if indices.size and (indices.min() < 0 or indices.max() >= limit):
        _refuse(node, f"{what} is {indices.min()} or {indices.max()}, outside 0 to {limit - 1}")


def _check_decision_tree(node: Node, members: Members) -> None:
    """The checked width of the input is the estimator's; the one that is followed is its tree's."""
    fields = plain_fields(node)
    if "tree_" not in fields:
        return
    if full_name(fields["tree_"]) != "sklearn.tree._tree.Tree":
        _refuse(node, f"its tree is a {full_name(fields['tree_'])}")
    n_features = plain_value(fields["tree_"]["__reduce__"]["args"], members)[0]
    (expected,) = _fields(node, members, "n_features_in_")
    if n_features != expected:
        _refuse(node, f"a tree over {n_features} features where {expected} are expected")


def _check_forest(node: Node, members: Members) -> None:
    """An ensemble checks the input once and hands it to its trees unchecked."""
    fields = plain_fields(node)
    if "estimators_" not in fields:
        return
    (width,) = _fields(node, members, "n_features_in_")
    subsets = plain_value(fields["estimators_features_"], members) if "estimators_features_" in fields else None
    widths = [
        plain_value(plain_fields(child)["n_features_in_"], members)
        for child in nodes(fields["estimators_"])
        if child.get("__module__") == "sklearn.tree._classes"
    ]
    expected = [width] * len(widths) if subsets is None else [len(subset) for subset in subsets]
    if widths != expected:
        _refuse(node, f"it hands on {expected[:3]} features and its trees take {widths[:3]}")


def _check_additive_trees(node: Node, members: Members) -> None:
    """Each column of trees adds to a column of the first guess without looking whether there is one."""
    fields = plain_fields(node)
    if "estimators_" not in fields:
        return
    _check_forest(node, members)
    widths = {len(row) for row in plain_value(fields["estimators_"], members)}
    (width,) = _fields(node, members, "n_trees_per_iteration_")
    if widths != {width}:
        _refuse(node, f"{width} trees an iteration are announced, {sorted(widths)} stored")
    multiclass = fields["_loss"]["__class__"] == "HalfMultinomialLoss"
    if multiclass != (width > 1) or "is_multiclass" in plain_fields(fields["_loss"]):
        _refuse(node, f"{width} trees an iteration do not suit a {fields['_loss']['__class__']}")
    first = plain_value(fields["init_"], members)
    if first != "zero" and _columns_of_first_guess(first, members) != (width if multiclass else None):
        _refuse(node, f"its first guess, by a {full_name(first)}, has not {width} columns")


def _columns_of_first_guess(node: Node, members: Members) -> int | None:
    """None for a single column; only the estimators that scikit-learn takes by default are known here."""
    if full_name(node) == "sklearn.dummy.DummyRegressor":
        constant, n_outputs = _fields(node, members, "constant_", "n_outputs_")
        return None if (constant.shape, n_outputs) == ((1, 1), 1) else -1
    if full_name(node) != "sklearn.dummy.DummyClassifier":
        return -1
    shares, strategy, n_outputs = _fields(node, members, "class_prior_", "_strategy", "n_outputs_")
    if strategy != "prior" or n_outputs != 1 or shares.ndim != 1:
        return -1
    return len(shares) if len(shares) > 2 else None


def _check_gradient_trees(node: Node, members: Members) -> None:
    table, bitsets = _fields(node, members, "nodes", "raw_left_cat_bitsets")
    inner = table["is_leaf"] == 0
    _check_children(node, inner, table["left"].astype(np.int64), table["right"].astype(np.int64))
    _check_range(node, table["feature_idx"], np.iinfo(np.int64).max, "a split's feature")
    _check_range(node, table["bitset_idx"][table["is_categorical"] != 0].astype(np.int64), len(bitsets), "a bit set")


def _check_gradient_boosting(node: Node, members: Members) -> None:
    fields = plain_fields(node)
    if "_predictors" not in fields:
        return
    (width,) = _fields(node, members, "_n_features") if "_n_features" in fields else _fields(node, members, "n_features_in_")
    for child in nodes(fields["_predictors"]):
        if child.get("__class__") == "TreePredictor":
            (table,) = _fields(child, members, "nodes")
            _check_range(child, table["feature_idx"][table["is_leaf"] == 0], width, "a split's feature")


def _check_neighbour_tree(node: Node, members: Members) -> None:
    """KDTree and BallTree: a complete binary tree in arrays, over a permutation of the points."""
    state = node["content"]
    if state["__loader__"] != "TupleNode":
        _refuse(node, "its state is no tuple")
    data, order, cells, bounds, leaf_size, n_levels, n_nodes = (plain_value(item, members) for item in state["content"][:7])
    n_points, n_features = data.shape
    levels = int(math.log2(max(1, (n_points - 1) / leaf_size)) + 1)
    if (n_levels, n_nodes, len(cells)) != (levels, 2**levels - 1, 2**levels - 1) or bounds.shape[1:] != (n_nodes, n_features):
        _refuse(node, f"{n_levels} levels and {n_nodes} nodes do not suit {n_points} points in leaves of {leaf_size}")
    if not np.array_equal(np.sort(order), np.arange(n_points)):
        _refuse(node, "its order of the points is no permutation")
    starts, ends = cells["idx_start"], cells["idx_end"]
    if (starts < 0).any() or (ends > n_points).any() or (starts > ends).any():
        _refuse(node, f"a node's points lie outside 0 to {n_points}")
    if (cells["is_leaf"][2 ** (levels - 1) - 1 :] == 0).any():
        _refuse(node, "a node of the last level is no leaf")


def _check_support_vectors(node: Node, members: Members) -> None:
    fields = plain_fields(node)
    if "support_" not in fields:
        return
    sparse, kernel = (plain_value(fields[name], members) for name in ("_sparse", "kernel"))
    if sparse:
        _refuse(node, "a support vector machine on sparse rows, which are not checked here")
    names = ("support_", "support_vectors_", "_n_support", "_dual_coef_", "_intercept_", "_probA", "_probB", "shape_fit_")
    support, vectors, counts, weights, offsets, slopes, shifts, shape = _fields(node, members, *names)
    n_classes = len(counts) if node["__class__"] in ("SVC", "NuSVC") else 2
    pairs = n_classes * (n_classes - 1) // 2
    if (counts < 0).any() or weights.shape != (n_classes - 1, len(support)) or len(offsets) != pairs:
        _refuse(node, f"weights of shape {weights.shape} and {len(offsets)} offsets do not suit {len(support)} support vectors")
    if node["__class__"] in ("SVC", "NuSVC") and counts.sum() != len(support):
        _refuse(node, f"{counts.sum()} support vectors are announced, {len(support)} stored")
    if not {len(slopes), len(shifts)} <= {0, pairs}:
        _refuse(node, "its probability model has another number of classes")
    _check_range(node, support, shape[0], "a support vector's row")
    if kernel != "precomputed" and isinstance(kernel, str):
        expected = (len(support), *_fields(node, members, "n_features_in_"))
        if vectors.shape != expected:
            _refuse(node, f"support vectors of shape {vectors.shape}, where {expected} is expected")


def _check_sparse(node: Node, members: Members) -> None:
    with np.load(io.BytesIO(members[node["file"]]), allow_pickle=False) as held:
        kind, shape = held["format"].item().decode(), held["shape"].tolist()
        if kind not in ("csr", "csc"):
            _refuse(node, f"a sparse matrix of the kind {kind!r}, which is not checked here")
        major, minor = shape if kind == "csr" else shape[::-1]
        indices, starts = held["indices"], held["indptr"]
        if len(starts) != major + 1 or starts[0] != 0 or starts[-1] > len(indices) or (np.diff(starts) < 0).any():
            _refuse(node, f"its rows do not divide {len(indices)} entries")
        _check_range(node, indices, minor, "an index")
        if len(held["data"]) != len(indices):
            _refuse(node, f"{len(held['data'])} values for {len(indices)} indices")


CHECKS: dict[str, Callable[[Node, Members], None]] = {
    "sklearn.tree._tree.Tree": _check_tree,
    "sklearn.tree._classes": _check_decision_tree,
    "sklearn.ensemble._forest": _check_forest,
    "sklearn.ensemble._gb": _check_additive_trees,
    "sklearn.ensemble._iforest": _check_forest,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _check_gradient_trees,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": _check_gradient_boosting,
    "sklearn.neighbors._kd_tree.KDTree": _check_neighbour_tree,
    "sklearn.neighbors._ball_tree.BallTree": _check_neighbour_tree,
    "sklearn.svm._classes.NuSVC": _check_support_vectors,
    "sklearn.svm._classes.NuSVR": _check_support_vectors,
    "sklearn.svm._classes.OneClassSVM": _check_support_vectors,
    "sklearn.svm._classes.SVC": _check_support_vectors,
    "sklearn.svm._classes.SVR": _check_support_vectors,
    "SparseMatrixNode": _check_sparse,
}
