"""Trees, forests and boosting: their compiled code follows children and features without looking."""

from __future__ import annotations

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

__all__ = ["TREE_CHECKS"]

LEAF = -1


def _check_tree(node: Node, members: Members) -> None:
    n_features, n_classes, n_outputs = plain_value(node["__reduce__"]["args"], members)
    count, table, values = field_values(node, members, "node_count", "nodes", "values")
    if n_classes.shape != (n_outputs,) or n_outputs < 1 or n_classes.min() < 1:
        refuse(node, f"{n_outputs} outputs with {n_classes.tolist()} classes")
    if count != len(table) or values.shape != (count, n_outputs, n_classes.max()):
        refuse(node, f"{count} nodes are announced, {len(table)} stored, with values of shape {values.shape}")
    inner = table["left_child"] != LEAF
    _check_children(node, inner, table["left_child"], table["right_child"])
    check_range(node, table["feature"][inner], n_features, "a split's feature")


def _check_children(node: Node, inner: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Every child comes after its parent, as in every grown tree; so each walk ends at a leaf."""
    if not len(inner):
        refuse(node, "a tree without nodes")
    parents = np.flatnonzero(inner)
    for children in (left[inner], right[inner]):
        check_range(node, children, len(inner), "a child")
        if (children <= parents).any():
            refuse(node, "a child comes before its parent, so a walk would not end")


def _check_decision_tree(node: Node, members: Members) -> None:
    """The checked width of the input is the estimator's; the one that is followed is its tree's."""
    fields = plain_fields(node)
    if "tree_" not in fields:
        return
    if full_name(fields["tree_"]) != "sklearn.tree._tree.Tree":
        refuse(node, f"its tree is a {full_name(fields['tree_'])}")
    n_features = plain_value(fields["tree_"]["__reduce__"]["args"], members)[0]
    (expected,) = field_values(node, members, "n_features_in_")
    if n_features != expected:
        refuse(node, f"a tree over {n_features} features where {expected} are expected")


def _check_forest(node: Node, members: Members) -> None:
    """An ensemble checks the input once and hands it to its trees unchecked."""
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
        refuse(node, f"it hands on {expected[:3]} features and its trees take {widths[:3]}")


def _check_voting_forest(node: Node, members: Members) -> None:
    """As much memory is reserved as a forest of classifiers announces, before any tree is asked."""
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
        refuse(node, f"{counts} classes are announced, {stored} stored, and its trees know {sorted(grown)[:3]}")


def _check_additive_trees(node: Node, members: Members) -> None:
    """Each column of trees adds to a column of the first guess without looking whether there is one."""
    fields = plain_fields(node)
    if "estimators_" not in fields:
        return
    _check_forest(node, members)
    widths = {len(row) for row in plain_value(fields["estimators_"], members)}
    (width,) = field_values(node, members, "n_trees_per_iteration_")
    if widths != {width}:
        refuse(node, f"{width} trees an iteration are announced, {sorted(widths)} stored")
    multiclass = fields["_loss"]["__class__"] == "HalfMultinomialLoss"
    if multiclass != (width > 1) or "is_multiclass" in plain_fields(fields["_loss"]):
        refuse(node, f"{width} trees an iteration do not suit a {fields['_loss']['__class__']}")
    first = plain_value(fields["init_"], members)
    if first != "zero" and _columns_of_first_guess(first, members) != (width if multiclass else None):
        refuse(node, f"its first guess, by a {full_name(first)}, has not {width} columns")


def _columns_of_first_guess(node: Node, members: Members) -> int | None:
    """None for a single column; only the estimators that scikit-learn takes by default are known here."""
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
    """A split by category looks up the feature's known categories, which only a feature that has some stores."""
    splits = inner["feature_idx"][inner["is_categorical"] != 0]
    if not len(splits):
        return
    (categorical,) = field_values(fields["_bin_mapper"], members, "is_categorical_")
    if categorical.ndim != 1 or splits.max() >= len(categorical) or not categorical[splits].all():
        refuse(node, "a split by category of a feature that has none")


TREE_CHECKS = {
    "sklearn.tree._tree.Tree": _check_tree,
    "sklearn.tree._classes": _check_decision_tree,
    "sklearn.ensemble._forest": _check_voting_forest,
    "sklearn.ensemble._gb": _check_additive_trees,
    "sklearn.ensemble._iforest": _check_forest,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _check_gradient_trees,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": _check_gradient_boosting,
}
