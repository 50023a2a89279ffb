"""Neighbour search and clusters: their compiled code compares rows of one width and takes classes by number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from featrec.persistence._schema import Members, Node, check_range, field_values, full_name, plain_fields, plain_value, refuse
from featrec.persistence._sparse import sparse_shape

__all__ = ["NEIGHBOUR_CHECKS"]

# Each query keeps so many candidates; more than there are points is a question of Python's error, more than this of memory.
MOST_NEIGHBOURS = 10_000
MOST_THREADS = 256


def _check_neighbour_tree(node: Node, members: Members) -> None:
    """KDTree and BallTree: a complete binary tree in arrays, over a permutation of the points."""
    state = _state(node, 13, members)
    data, order, cells, bounds, leaf_size, n_levels, n_nodes = state[:7]
    n_points, n_features = data.shape
    n_bounds = 2 if node["__class__"] == "KDTree" else 1
    levels = int(math.log2(max(1, (n_points - 1) / leaf_size)) + 1)
    expected = (levels, 2**levels - 1, 2**levels - 1)
    if (n_levels, n_nodes, len(cells)) != expected or bounds.shape != (n_bounds, n_nodes, n_features):
        refuse(node, f"{n_levels} levels and {n_nodes} nodes do not suit {n_points} points in leaves of {leaf_size}")
    if not np.array_equal(np.sort(order), np.arange(n_points)):
        refuse(node, "its order of the points is no permutation")
    if isinstance(state[12], np.ndarray) and state[12].shape != (n_points,):
        refuse(node, f"weights of shape {state[12].shape} do not suit {n_points} points")
    _check_cells(node, cells, n_points, levels)


def _check_cells(node: Node, cells: np.ndarray, n_points: int, levels: int) -> None:
    starts, ends = cells["idx_start"], cells["idx_end"]
    if (starts < 0).any() or (ends > n_points).any() or (starts > ends).any():
        refuse(node, f"a node's points lie outside 0 to {n_points}")
    if (cells["is_leaf"][2 ** (levels - 1) - 1 :] == 0).any():
        refuse(node, "a node of the last level is no leaf")


def _check_distance(node: Node, members: Members) -> None:
    power, vector, matrix = _state(node, 3, members)
    if not isinstance(power, float) or vector.ndim != 1 or matrix.ndim != 2:
        refuse(node, "its state is no power, vector and matrix")


def _state(node: Node, length: int, members: Members) -> list[Any]:
    """The state of a compiled object, which reads as many items as it knows."""
    state = node["content"]
    if state["__loader__"] != "TupleNode":
        refuse(node, "its state is no tuple")
    if len(state["content"]) != length:
        refuse(node, f"its state has {len(state['content'])} items, where {length} are expected")
    return [plain_value(item, members) for item in state["content"]]


def _check_neighbours(node: Node, members: Members) -> None:
    """The rows that were fitted, their tree and their classes belong together, and are as wide as the input."""
    fields = plain_fields(node)
    if "_fit_X" not in fields:
        return
    rows, width = _shape(fields["_fit_X"], members)
    if [rows, width] != field_values(node, members, "n_samples_fit_", "n_features_in_"):
        refuse(node, f"{rows} rows of {width} numbers do not suit n_samples_fit_ and n_features_in_")
    if full_name(fields["_tree"]) in NEIGHBOUR_CHECKS:
        found = _shape(fields["_tree"]["content"]["content"][0], members)
        if found != (rows, width):
            refuse(node, f"its tree holds {found[0]} rows of {found[1]} numbers, where {rows} of {width} are expected")
    wanted = plain_value(fields["n_neighbors"], members) if "n_neighbors" in fields else None
    if isinstance(wanted, (int, float)) and not wanted <= max(rows, MOST_NEIGHBOURS):
        refuse(node, f"n_neighbors={wanted} of {rows} rows")
    if "_y" in fields and "classes_" in fields:
        _check_classes_of_rows(node, rows, *field_values(node, members, "_y", "classes_", "outputs_2d_"))


def _check_classes_of_rows(node: Node, rows: int, numbers: np.ndarray, classes: Any, several: bool) -> None:
    columns = numbers.T if several else [numbers.ravel()]
    each = classes if several else [classes]
    if len(numbers) != rows or numbers.dtype.kind != "i" or len(columns) != len(each) or numbers.size != rows * len(each):
        refuse(node, f"classes of shape {numbers.shape} and type {numbers.dtype} do not suit {rows} rows")
    for column, known in zip(columns, each, strict=True):
        check_range(node, column, len(known), "a class")


def _shape(node: Node, members: Members) -> tuple[int, int]:
    if node["__loader__"] == "SparseMatrixNode":
        return sparse_shape(node, members)
    rows, width = plain_value(node, members).shape
    return rows, width


def _check_clusters(node: Node, members: Members) -> None:
    """k-means of scikit-learn multiplies the centres with the input, and starts the threads that it is told to."""
    fields = plain_fields(node)
    if "cluster_centers_" not in fields:
        return
    rows, width = _shape(fields["cluster_centers_"], members)
    expected, threads = field_values(node, members, "n_features_in_", "_n_threads")
    if not rows or width != expected:
        refuse(node, f"{rows} centres of {width} numbers, where {expected} are expected")
    if type(threads) is not int or not 1 <= threads <= MOST_THREADS:
        refuse(node, f"_n_threads={threads}, outside 1 to {MOST_THREADS}")


NEIGHBOUR_CHECKS = {
    "sklearn.metrics._dist_metrics": _check_distance,
    "sklearn.cluster._bisect_k_means": _check_clusters,
    "sklearn.cluster._kmeans": _check_clusters,
    "sklearn.neighbors._ball_tree.BallTree": _check_neighbour_tree,
    "sklearn.neighbors._classification": _check_neighbours,
    "sklearn.neighbors._graph": _check_neighbours,
    "sklearn.neighbors._kd_tree.KDTree": _check_neighbour_tree,
    "sklearn.neighbors._lof": _check_neighbours,
    "sklearn.neighbors._regression": _check_neighbours,
    "sklearn.neighbors._unsupervised": _check_neighbours,
}
