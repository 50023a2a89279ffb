"""Checks for user-defined encoders."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from featrec.bag import Bag
from featrec.encoders import BagsTransformer, Encoder
from featrec.exceptions import EmptyBagWarning
from featrec.testing._extractor_checks import HEIGHT, WIDTH, alike, require

__all__ = ["check_encoder", "random_bags"]

WRONG = "explanations would be wrong."
OVERRIDE = " If _finish mixes columns, override _weights_on_pooled."


def check_encoder(encoder: BaseEstimator, bags: list[Bag] | None = None) -> None:
    """Check that an encoder follows the same rules as featrec's encoders.

    Parameters
    ----------
    encoder : estimator
        A subclass of ``featrec.encoders.Encoder``, or any object with fit and transform on Bags. It is cloned.
    bags : list of Bag, optional
        At least ten Bags for the test. Default: generated Bags with random 8-dimensional descriptors. For an encoder of packed
        bits, pass Bags with packed bits.

    Raises
    ------
    AssertionError
        If a check fails. The message explains what is broken and why it matters.

    Examples
    --------
    >>> from featrec.encoders import BagOfWords
    >>> from featrec.testing import check_encoder
    >>> check_encoder(BagOfWords(4, random_state=0))
    """
    bags = random_bags() if bags is None else bags
    for check in (
        _check_encoder_clone,
        _check_not_fitted,
        _check_codes,
        _check_encoder_pickle,
        _check_encoder_repeatable,
        _check_fit_transform,
        _check_bag_order,
        _check_empty_bags,
        _check_encoder_threads,
        _check_encoder_names,
        _check_refit,
        _check_contributions,
    ):
        check(clone(encoder), bags)


def random_bags() -> list[Bag]:
    random = np.random.default_rng(0)
    return [_random_bag(random, n) for n in (30, 12, 25, 1, 40, 18, 22, 9, 33, 27)]


def _random_bag(random: np.random.Generator, n: int) -> Bag:
    frames = np.column_stack([random.uniform(0, WIDTH, n), random.uniform(0, HEIGHT, n), np.full(n, 8), np.full(n, -1)])
    return Bag(random.normal(0, 1, (n, 8)).astype(np.float32), frames, (HEIGHT, WIDTH))


def _seed(encoder: Any) -> None:
    """Set random_state in an encoder and its nested encoders, because results of fits without a seed may differ."""
    open_states = {name: 0 for name, value in encoder.get_params().items() if name.endswith("random_state") and value is None}
    encoder.set_params(**open_states)


def _check_encoder_clone(encoder: Any, bags: list[Bag]) -> None:
    before = encoder.get_params(deep=False)
    encoder.fit(bags)
    same = all(encoder.get_params(deep=False)[name] is value for name, value in before.items())
    require(same, "fit changes parameters;", "a grid search would then report the wrong parameters.")


def _check_not_fitted(encoder: Any, bags: list[Bag]) -> None:
    try:
        encoder.transform(bags)
    except NotFittedError:
        return
    raise AssertionError("transform works before fit; call sklearn's check_is_fitted, so a forgotten fit raises an error.")


def _check_codes(encoder: Any, bags: list[Bag]) -> None:
    codes = encoder.fit(bags).transform(bags)
    good = isinstance(codes, np.ndarray) and codes.ndim == 2 and len(codes) == len(bags) and codes.dtype == np.float32
    require(good, "transform does not return a float32 array of shape (n_images, width);", "classifiers expect it.")
    require(np.isfinite(codes).all(), "codes are not finite;", "scikit-learn's classifiers refuse NaN and infinity.")


def _check_encoder_pickle(encoder: Any, bags: list[Bag]) -> None:
    again = pickle.loads(pickle.dumps(encoder.fit(bags)))
    same = alike(again.transform(bags), encoder.transform(bags))
    require(same, "a pickled copy gives different codes;", "workers and saved models use such copies.")


def _check_encoder_repeatable(encoder: Any, bags: list[Bag]) -> None:
    _seed(encoder)
    first, second = (clone(encoder).fit(bags).transform(bags) for _ in range(2))
    require(alike(first, second), "two fits with the same random_state differ;", "results must be repeatable.")


def _check_fit_transform(encoder: Any, bags: list[Bag]) -> None:
    _seed(encoder)
    at_once, apart = clone(encoder).fit_transform(bags), clone(encoder).fit(bags).transform(bags)
    require(alike(at_once, apart, 1e-6), "fit_transform differs from fit and transform;", "pipelines use both.")


def _check_bag_order(encoder: Any, bags: list[Bag]) -> None:
    whole = encoder.fit(bags).transform(bags)
    part = encoder.transform([bags[4], bags[1]])
    require(alike(part, whole[[4, 1]], 1e-6), "an image's code depends on other images;", "a prediction must not.")


def _check_empty_bags(encoder: Any, bags: list[Bag]) -> None:
    encoder.fit(bags)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        codes = encoder.transform([_emptied(bags[0]), bags[1], _emptied(bags[2])])
    zero = not codes[0].any() and not codes[2].any() and codes[1].any()
    require(zero, "an empty Bag does not give a row of zeros;", "every image needs a row, even if it is uniform.")
    told = [w for w in caught if issubclass(w.category, EmptyBagWarning) and "2 of 3" in str(w.message)]
    require(
        len(told) == 1,
        "empty bags are not counted in one EmptyBagWarning;",
        "users must know how many images have no descriptors.",
    )
    require(
        encoder.transform([]).shape == (0, codes.shape[1]),
        "an empty list of bags does not give shape (0, width);",
        "a filter may remove all images.",
    )


def _emptied(bag: Bag) -> Bag:
    frames, mirrored = (None if values is None else values[:0] for values in (bag.frames, bag.mirrored))
    return Bag(bag.descriptors[:0], frames, bag.size, bag.metric, mirrored)


def _check_encoder_threads(encoder: Any, bags: list[Bag]) -> None:
    expected = encoder.fit(bags).transform(bags)
    for name in _job_parameters(encoder):
        encoder.set_params(**{name: 2})
    require(
        alike(encoder.transform(bags * 8)[: len(bags)], expected, 1e-6),
        "n_jobs changes codes;",
        "it may change only the run time.",
    )


def _job_parameters(encoder: Any) -> Iterator[str]:
    return (name for name in encoder.get_params() if name.rpartition("__")[2] == "n_jobs")


def _check_encoder_names(encoder: Any, bags: list[Bag]) -> None:
    width = encoder.fit(bags).transform(bags[:1]).shape[1]
    names = encoder.get_feature_names_out()
    require(
        len(names) == width == len(set(names)),
        f"{len(names)} names for {width} columns;",
        "table columns would have wrong names.",
    )


def _check_refit(encoder: Any, bags: list[Bag]) -> None:
    _seed(encoder)
    fresh = clone(encoder).fit(bags[1:]).transform(bags)
    again = clone(encoder).fit(bags).fit(bags[1:]).transform(bags)
    require(alike(again, fresh, 1e-6), "a second fit depends on the first;", "it must equal the fit of a new object.")


def _check_contributions(encoder: Any, bags: list[Bag]) -> None:
    """Check each half of an explanation: from weights of the code to pooled values, and from these to descriptors."""
    if not isinstance(encoder, BagsTransformer):
        return
    encoder.fit(bags)
    for bag in bags[:3]:
        traced = encoder._trace(bag)
        _check_columns(traced.encoder, traced.regions[:1], traced.in_regions[:1])
        weights = np.random.default_rng(0).normal(size=len(traced.code))
        wanted, size = float(weights @ traced.code), float(np.abs(weights * traced.code).sum())
        on_cells = traced.weights_on_cells(weights)
        found = float((on_cells * traced.pooled).sum())
        same = abs(found - wanted) <= 1e-3 * size
        require(same, f"weights of pooled values give {found:.6g} instead of {wanted:.6g};", WRONG + OVERRIDE)
        shares = traced.encoder._share(bag.descriptors, traced.cells, on_cells)
        require(np.shape(shares) == (len(bag.descriptors),), f"_share has shape {np.shape(shares)};", WRONG)
        same = abs(shares.sum() - wanted) <= 1e-3 * max(size, np.abs(shares).sum())
        require(same, f"_share adds up to {shares.sum():.6g} instead of {wanted:.6g};", WRONG)


def _check_columns(encoder: Any, pooled: np.ndarray, counts: np.ndarray) -> None:
    """Check what the default of ``_weights_on_pooled`` relies on: a pooled value affects other columns by a common factor."""
    if type(encoder)._weights_on_pooled is not Encoder._weights_on_pooled or (pooled != 0).sum() < 3:
        return
    changed, column = pooled.copy(), int(np.abs(pooled[0]).argmax())
    changed[0, column] *= 2
    before, after = (np.delete(encoder._finish(one, counts)[0], column) for one in (pooled, changed))
    largest = np.abs(before).argmax()
    factor = after[largest] / before[largest] if before[largest] else 1.0
    same = np.allclose(after, factor * before, rtol=1e-3, atol=1e-3 * np.abs(before).max())
    require(same, "_finish mixes columns;", WRONG + OVERRIDE)
