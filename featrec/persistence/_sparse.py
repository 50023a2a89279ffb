"""Sparse matrices: a zip of their own, whose indices compiled code follows."""

from __future__ import annotations

import io
from typing import cast

import numpy as np

from featrec.persistence._schema import Members, Node, check_range, refuse

__all__ = ["SPARSE_CHECKS", "sparse_shape"]


def _check_sparse(node: Node, members: Members) -> None:
    with np.load(io.BytesIO(cast(bytes, members[node["file"]])), allow_pickle=False) as held:
        kind, shape = held["format"].item().decode(), held["shape"].tolist()
        if kind not in ("csr", "csc"):
            refuse(node, f"a sparse matrix of the kind {kind!r}, which is not checked here")
        major, minor = shape if kind == "csr" else shape[::-1]
        indices, starts = held["indices"], held["indptr"]
        if len(starts) != major + 1 or starts[0] != 0 or starts[-1] > len(indices) or (np.diff(starts) < 0).any():
            refuse(node, f"its rows do not divide {len(indices)} entries")
        check_range(node, indices, minor, "an index")
        if len(held["data"]) != len(indices):
            refuse(node, f"{len(held['data'])} values for {len(indices)} indices")


def sparse_shape(node: Node, members: Members) -> tuple[int, int]:
    """Rows and columns."""
    with np.load(io.BytesIO(cast(bytes, members[node["file"]])), allow_pickle=False) as held:
        rows, columns = held["shape"].tolist()
    return rows, columns


SPARSE_CHECKS = {"SparseMatrixNode": _check_sparse}
