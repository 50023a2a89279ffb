"""What was learned from descriptors, words, mixtures and projections: compiled code takes their parts to fit together."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.persistence._schema import Members, Node, field_values, plain_fields, plain_value, refuse

__all__ = ["VOCABULARY_CHECKS"]

BYTES, SINGLE, DOUBLE = np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64)
SIGNED_BYTES = np.dtype(np.int8)


def _check_words(node: Node, members: Members) -> None:
    """The search for the nearest word starts from the first one."""
    if "words_" in plain_fields(node):
        # Words of bytes are those of descriptors of bytes.
        kinds = [BYTES] if node["__class__"] == "BinaryVocabulary" else [SINGLE, BYTES]
        words, width = field_values(node, members, "words_", "n_features_in_")
        _check_rows(node, "words", words, (None, width), *kinds)


def _check_mixture(node: Node, members: Members) -> None:
    """Components are counted by the means; the rest is taken to be as long."""
    fields = plain_fields(node)
    if "means_" not in fields:
        return
    if "covariance_type" in fields and plain_value(fields["covariance_type"], members) != "diag":
        return  # Encoders take no other kind, and scikit-learn's own code is numpy's.
    weights, means, variances, width = field_values(node, members, "weights_", "means_", "covariances_", "n_features_in_")
    _check_rows(node, "means", means, (None, width), SINGLE, DOUBLE)
    _check_rows(node, "variances", variances, means.shape, SINGLE, DOUBLE)
    _check_rows(node, "weights", weights, means.shape[:1], SINGLE, DOUBLE)
    if not (variances > 0).all():
        refuse(node, f"a variance of {variances.min()}, where all are over 0")
    if not (weights >= 0).all() or not weights.any():
        refuse(node, "weights that are negative, or all zero")


def _check_projection(node: Node, members: Members) -> None:
    if "projection_" in plain_fields(node):
        names = ("projection_", "mean_", "components_", "explained_variance_", "n_features_in_")
        projection, mean, components, variances, width = field_values(node, members, *names)
        _check_rows(node, "a projection", projection, (None, width), SINGLE)
        _check_rows(node, "a mean", mean, (width,), SINGLE)
        _check_rows(node, "components", components, (None, width), SINGLE)
        _check_rows(node, "variances", variances, components.shape[:1], DOUBLE)


def _check_scaler(node: Node, members: Members) -> None:
    """Means and factors are as many as a code has numbers, which the compiled loop counts."""
    if "mean_" in plain_fields(node):
        mean, variance, scale, width = field_values(node, members, "mean_", "var_", "scale_", "n_features_in_")
        for what, array in (("means", mean), ("variances", variance), ("deviations", scale)):
            _check_rows(node, what, array, (width,), DOUBLE)


def _check_patch_codes(node: Node, members: Members) -> None:
    """The compiled loop takes groups of four bytes; that sizes fit the parameters is checked before each use."""
    if "words_" not in plain_fields(node):
        return
    names = ("words_", "word_scales_", "basis_", "offsets_", "n_even_")
    words, scales, basis, offsets, n_even = field_values(node, members, *names)
    _check_rows(node, "a basis", basis, (None, None), SINGLE)
    width = basis.shape[1]
    _check_rows(node, "words", words, (None, width), SIGNED_BYTES)
    _check_rows(node, "scales", scales, words.shape[:1], SINGLE)
    _check_rows(node, "offsets", offsets, (width,), SINGLE)
    if width % 4 or type(n_even) is not int or n_even % 4 or not 0 <= n_even <= width:
        refuse(node, f"{n_even!r:.80} symmetric columns of {width}, where multiples of four are expected")


def _check_nystroem(node: Node, members: Members) -> None:
    """Landmarks, their weights and the projection fit together, and views are parts of a code."""
    if "landmarks_" not in plain_fields(node):
        return
    names = ("landmarks_", "squared_lengths_", "dual_coef_", "mean_", "components_", "n_views_", "n_views", "n_features_in_")
    landmarks, squares, weights, mean, components, used, n_views, width = field_values(node, members, *names)
    if type(used) is not int or type(n_views) is not int or not 1 <= used <= n_views or width % n_views:
        refuse(node, f"{used!r:.40} of {n_views!r:.40} views of {width!r:.40} numbers")
    columns = width // n_views
    _check_rows(node, "a mean", mean, (columns,), SINGLE)
    if components is not None:
        _check_rows(node, "components", components, (None, columns), SINGLE)
    _check_rows(node, "landmarks", landmarks, (None, columns if components is None else len(components)), SINGLE)
    _check_rows(node, "squared lengths", squares, landmarks.shape[:1], SINGLE)
    _check_rows(node, "weights", weights, (len(landmarks), None), SINGLE)


def _check_neighbors(node: Node, members: Members) -> None:
    """A list of the nearest words holds one at least."""
    fields = plain_fields(node)
    found = plain_value(fields["n_neighbors"], members) if "n_neighbors" in fields else None
    if found is not None and (type(found) is not int or found < 1):
        refuse(node, f"n_neighbors={found!r:.80}, where a number over 0 is expected")


def _check_rows(node: Node, what: str, array: Any, shape: tuple[Any, ...], *kinds: np.dtype) -> None:
    """Refuse anything but a finite array of that shape, where None is any number over zero, and of one of the types."""
    expected = f"finite {' or '.join(map(str, kinds))} of shape ({', '.join('n' if n is None else str(n) for n in shape)})"
    if not isinstance(array, np.ndarray):
        refuse(node, f"{what} that are no array, where {expected} are expected")
    fits = array.ndim == len(shape) and all(wanted in (None, n) for n, wanted in zip(array.shape, shape, strict=True))
    if not fits or not array.size or array.dtype not in kinds or not np.isfinite(array).all():
        refuse(node, f"{what} of shape {array.shape} and type {array.dtype}, where {expected} are expected")


VOCABULARY_CHECKS = {
    "featrec.classifiers.NystroemRidgeClassifier": _check_nystroem,
    "featrec.classifiers.WideScaler": _check_scaler,
    "featrec.descriptors.PatchCodes": _check_patch_codes,
    "featrec.descriptors.Whiten": _check_projection,
    "featrec.encoders.LLC": _check_neighbors,
    "featrec.encoders.SoftBagOfWords": _check_neighbors,
    "featrec.vocabularies.BinaryVocabulary": _check_words,
    "featrec.vocabularies.GaussianVocabulary": _check_mixture,
    "featrec.vocabularies.KMeansVocabulary": _check_words,
    "featrec.vocabularies.RandomVocabulary": _check_words,
    "sklearn.mixture.BayesianGaussianMixture": _check_mixture,
    "sklearn.mixture.GaussianMixture": _check_mixture,
}
