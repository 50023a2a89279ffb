"""Support vector machines: libsvm counts support vectors, weights and classes itself."""

from __future__ import annotations

from featrec.persistence._schema import Members, Node, check_range, field_values, plain_fields, plain_value, refuse

__all__ = ["SUPPORT_VECTOR_CHECKS"]


def _check_support_vectors(node: Node, members: Members) -> None:
    fields = plain_fields(node)
    if "support_" not in fields:
        return
    sparse, kernel = (plain_value(fields[name], members) for name in ("_sparse", "kernel"))
    if sparse:
        refuse(node, "a support vector machine on sparse rows, which are not checked here")
    names = ("support_", "support_vectors_", "_n_support", "_dual_coef_", "_intercept_", "_probA", "_probB", "shape_fit_")
    support, vectors, counts, weights, offsets, slopes, shifts, shape = field_values(node, members, *names)
    n_classes = len(counts) if node["__class__"] in ("SVC", "NuSVC") else 2
    pairs = n_classes * (n_classes - 1) // 2
    if (counts < 0).any() or weights.shape != (n_classes - 1, len(support)) or len(offsets) != pairs:
        refuse(node, f"weights of shape {weights.shape} and {len(offsets)} offsets do not suit {len(support)} support vectors")
    if node["__class__"] in ("SVC", "NuSVC") and counts.sum() != len(support):
        refuse(node, f"{counts.sum()} support vectors are announced, {len(support)} stored")
    if node["__class__"] in ("SVC", "NuSVC") and len(plain_value(fields["classes_"], members)) != n_classes:
        refuse(node, f"counts of {n_classes} classes, where classes_ has others")
    if not {len(slopes), len(shifts)} <= {0, pairs}:
        refuse(node, "its probability model has another number of classes")
    check_range(node, support, shape[0], "a support vector's row")
    if kernel != "precomputed" and isinstance(kernel, str):
        expected = (len(support), *field_values(node, members, "n_features_in_"))
        if vectors.shape != expected:
            refuse(node, f"support vectors of shape {vectors.shape}, where {expected} is expected")


SUPPORT_VECTOR_CHECKS = {
    "sklearn.svm._classes.NuSVC": _check_support_vectors,
    "sklearn.svm._classes.NuSVR": _check_support_vectors,
    "sklearn.svm._classes.OneClassSVM": _check_support_vectors,
    "sklearn.svm._classes.SVC": _check_support_vectors,
    "sklearn.svm._classes.SVR": _check_support_vectors,
}
