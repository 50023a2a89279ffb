"""Tiles of a triangular factor: what LAPACK and BLAS do with one of them in place."""

from __future__ import annotations

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

__all__ = ["divide", "factor", "inverted_pieces", "solve_tile"]

# SciPy's triangular solves hold the GIL. Pieces this wide of a factor are inverted instead, the rest is NumPy's products.
PIECE = 240


def factor(tile: np.ndarray) -> int | None:
    """Overwrite a tile by its lower Cholesky factor; the row where it is not positive definite, or None."""
    (potrf,) = get_lapack_funcs(("potrf",), (tile,))
    # The transpose of a C-contiguous tile is what LAPACK takes without a copy; its upper factor is our lower one.
    _, info = potrf(tile.T, lower=0, clean=0, overwrite_a=1)
    if info > 0:
        return int(info) - 1
    broken = np.flatnonzero(~np.isfinite(tile.diagonal()))
    return int(broken[0]) if len(broken) else None


def solve_tile(tile: np.ndarray, b: np.ndarray, *, transposed: bool) -> np.ndarray:
    """x of L x = b, or of Lᵀ x = b, where L is a tile's lower half."""
    (solve,) = get_blas_funcs(("trsm",), (tile,))
    return solve(1, tile.T, b, lower=0, trans_a=0 if transposed else 1)


def inverted_pieces(tile: np.ndarray) -> list[np.ndarray]:
    """The inverses of the pieces along the diagonal of a factor, transposed."""
    (invert,) = get_lapack_funcs(("trtri",), (tile,))
    pieces = []
    for start in range(0, len(tile), PIECE):
        piece = tile[start : start + PIECE, start : start + PIECE]
        pieces.append(invert(np.tril(piece), lower=1)[0].T)
    return pieces


def divide(tile: np.ndarray, factor: np.ndarray, pieces: list[np.ndarray]) -> None:
    """tile @ inverse(factor).T in place, piece of columns by piece of columns."""
    for number, inverse in enumerate(pieces):
        start = number * PIECE
        columns = tile[:, start : start + PIECE]
        if start:
            columns -= tile[:, :start] @ factor[start : start + PIECE, :start].T
        columns[:] = columns @ inverse
