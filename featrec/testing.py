"""Checks for user-defined extractors and encoders.

If a check fails, the error explains what is broken and why it matters.

Examples
--------
>>> from featrec.descriptors import TinyImage
>>> from featrec.testing import check_extractor
>>> check_extractor(TinyImage())
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from featrec.bag import Bag
from featrec.exceptions import EmptyBagWarning, ImageError
from featrec.images import GlobalExtractor, LocalExtractor
from featrec.lazy import Bags

__all__ = ["check_encoder", "check_extractor"]

HEIGHT, WIDTH = 72, 88


def check_extractor(extractor: BaseEstimator) -> None:
    """Check that an extractor follows the same rules as featrec's extractors.

    Parameters
    ----------
    extractor : estimator
        A subclass of ``featrec.images.LocalExtractor``, which returns Bags, or of ``GlobalExtractor``, which returns rows. It
        is cloned and tested on generated images of 72×88 pixels (gray, colour and uniform), and on an image of one pixel.

    Raises
    ------
    AssertionError
        If a check fails. The message explains what is broken and why it matters.

    Examples
    --------
    >>> from featrec.descriptors import ColorHistogram
    >>> from featrec.testing import check_extractor
    >>> check_extractor(ColorHistogram(bins=4))
    """
    for check in (
        _check_clone,
        _check_pickle,
        _check_output_kind,
        _check_determinism,
        _check_order,
        _check_input_untouched,
        _check_value_types,
        _check_gray_and_color,
        _check_hard_images,
        _check_empty_batch,
        _check_threads,
        _check_names,
        _check_set_output,
        _check_contributions,
    ):
        check(clone(extractor))


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
    bags = _random_bags() if bags is None else bags
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
    ):
        check(clone(encoder), bags)


def _images() -> list[np.ndarray]:
    """Return textured images of one size, with corners for keypoint detectors."""
    random = np.random.default_rng(0)
    images = []
    for i in range(6):
        blocks = np.kron(random.integers(0, 256, (9, 11)), np.ones((8, 8)))
        noisy = np.clip(blocks + random.normal(0, 3, blocks.shape), 0, 255).astype(np.uint8)
        images.append(noisy if i % 2 else np.stack([noisy, np.roll(noisy, 5, 0), noisy[::-1]], axis=-1))
    return images


def _random_bags() -> list[Bag]:
    random = np.random.default_rng(0)
    return [_random_bag(random, n) for n in (30, 12, 25, 1, 40, 18, 22, 9, 33, 27)]


def _random_bag(random: np.random.Generator, n: int) -> Bag:
    frames = np.column_stack([random.uniform(0, WIDTH, n), random.uniform(0, HEIGHT, n), np.full(n, 8), np.full(n, -1)])
    return Bag(random.normal(0, 1, (n, 8)).astype(np.float32), frames, (HEIGHT, WIDTH))


def _require(condition: Any, broken: str, why: str) -> None:
    if not condition:
        raise AssertionError(f"{broken} {why}")


def _items(result: Any) -> list:
    return list(result) if isinstance(result, Bags) else list(np.asarray(result))


def _alike(first: Any, second: Any, tolerance: float = 0.0) -> bool:
    """Return whether two results, or lists of results, contain the same numbers."""
    if isinstance(first, (list, Bags)):
        pairs = zip(_items(first), _items(second), strict=True)
        return len(first) == len(second) and all(_alike(a, b, tolerance) for a, b in pairs)
    if isinstance(first, Bag):
        return _alike(first.descriptors, second.descriptors, tolerance)
    first, second = np.asarray(first), np.asarray(second)
    return first.shape == second.shape and np.allclose(first, second, rtol=0, atol=tolerance)


def _check_clone(extractor: Any) -> None:
    before = extractor.get_params()
    extractor.fit(_images())
    same = all(extractor.get_params()[name] is value for name, value in before.items())
    _require(same, "fit changes parameters;", "a grid search would then report the wrong parameters.")


def _check_pickle(extractor: Any) -> None:
    extractor.fit(_images())
    try:
        again = pickle.loads(pickle.dumps(extractor))
    except Exception as error:
        raise AssertionError(f"it cannot be pickled ({error}); workers and saved models use pickled copies.") from error
    same = _alike(_items(again.transform(_images())), _items(extractor.transform(_images())))
    _require(same, "a pickled copy gives different numbers;", "workers and saved models use such copies.")


def _check_output_kind(extractor: Any) -> None:
    result = extractor.fit(_images()).transform(_images())
    if isinstance(extractor, LocalExtractor):
        _require(isinstance(result, Bags), "transform does not return Bags;", "encoders accept nothing else.")
        widths = {bag.descriptors.shape[1] for bag in result}
        _require(
            len(widths) == 1, f"descriptors differ in width: {sorted(widths)};", "a vocabulary needs descriptors of one width."
        )
        return
    shape = getattr(result, "shape", None)
    good = shape is not None and len(shape) == 2 and shape[0] == len(_images())
    _require(good, f"transform returns shape {shape};", "classifiers expect (n_images, n_features).")
    _require(result.dtype == np.float32, f"codes are {result.dtype};", "featrec promises float32, which halves the memory.")
    _require(np.isfinite(result).all(), "codes are not finite;", "scikit-learn's classifiers refuse NaN and infinity.")


def _check_determinism(extractor: Any) -> None:
    first, second = (_items(clone(extractor).fit_transform(_images())) for _ in range(2))
    _require(_alike(first, second), "two runs give different numbers;", "results must be repeatable.")


def _check_order(extractor: Any) -> None:
    images = _images()
    whole = _items(extractor.fit(images).transform(images))
    part = _items(extractor.transform([images[3], images[1]]))
    same = _alike(part, [whole[3], whole[1]], 1e-6)
    _require(same, "an image's values depend on other images in the batch;", "predictions must not depend on other images.")


def _check_input_untouched(extractor: Any) -> None:
    images = _images()
    for image in images:
        image.setflags(write=False)
    try:
        _items(extractor.fit_transform(images))
    except ValueError as error:
        raise AssertionError(f"read-only images fail ({error}); joblib passes read-only arrays to workers.") from error


def _check_value_types(extractor: Any) -> None:
    image = _images()[1]
    eight = _items(extractor.fit([image]).transform([image]))
    sixteen = _items(extractor.transform([image.astype(np.uint16) * 257]))
    unit = _items(extractor.transform([image / 255.0]))
    same = _alike(eight, sixteen, 1e-3) and _alike(eight, unit, 1e-3)
    _require(
        same, "uint8, uint16 and float copies of one image differ;", "convert images with featrec.images.as_float or as_uint8."
    )


def _check_gray_and_color(extractor: Any) -> None:
    gray = _images()[1]
    both = _items(extractor.fit([gray]).transform([gray, np.stack([gray] * 3, axis=-1)]))
    _require(_alike(both[:1], both[1:], 1e-4), "a gray image differs from its RGB copy;", "folders often contain both.")


def _check_hard_images(extractor: Any) -> None:
    extractor.fit(_images())
    for image in (
        np.zeros((HEIGHT, WIDTH), np.uint8),
        np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
        np.zeros((1, 1), np.uint8),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EmptyBagWarning)  # the expected warning for a row of zeros
                (item,) = _items(extractor.transform([image]))
        except ImageError:
            continue
        values = item.descriptors if isinstance(item, Bag) else item
        _require(np.isfinite(values).all(), f"a uniform image {image.shape} gives NaN;", "return an empty Bag or zeros.")


def _check_empty_batch(extractor: Any) -> None:
    empty = extractor.fit(_images()).transform([])
    width = extractor.transform(_images()[:1]).shape[1:]
    good = len(empty) == 0 and empty.shape[1:] == width
    _require(good, "an empty batch does not give an empty result;", "a filter may remove all images.")


def _check_threads(extractor: Any) -> None:
    extractor.fit(_images())
    expected = _items(extractor.transform(_images()))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: _items(extractor.transform(_images())), range(4)))
    same = all(_alike(result, expected, 1e-6) for result in results)
    _require(
        same,
        "two concurrent threads give different numbers;",
        "n_jobs uses threads; do not store intermediate results on self.",
    )


def _check_names(extractor: Any) -> None:
    result = extractor.fit(_images()).transform(_images()[:1])
    width = result[0].descriptors.shape[1] if isinstance(result, Bags) else result.shape[1]
    names = extractor.get_feature_names_out()
    _require(len(names) == width, f"{len(names)} names for {width} numbers;", "table columns would have wrong names.")


def _check_set_output(extractor: Any) -> None:
    result = extractor.set_output(transform="default").fit_transform(_images())
    _require(len(result) == len(_images()), "set_output changes the result's length;", "pipelines call it on every step.")


def _check_contributions(extractor: Any) -> None:
    if not isinstance(extractor, GlobalExtractor):
        return
    extractor.fit(_images())
    for image in _images()[:2]:
        code = extractor.extract(image).astype(np.float64)
        weighted = np.random.default_rng(0).normal(size=len(code)) * code
        found = extractor.contributions(image, np.random.default_rng(0).normal(size=len(code)))
        same = abs(found.values.sum() - weighted.sum()) <= 1e-5 * np.abs(weighted).sum()
        _require(same, "contributions do not add up to the weighted sum of the code;", "explanations would be wrong.")
        lengths = {len(found.values), len(found.frames), len(found.outlines), len(found.names or found.values)}
        _require(len(lengths) == 1, f"contributions have {lengths} entries;", "each part needs a value and an outline.")


def _quiet(function: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyBagWarning)
        return function()


def _seed(encoder: Any) -> None:
    """Set random_state in an encoder and its nested encoders, because results of fits without a seed may differ."""
    open_states = {name: 0 for name, value in encoder.get_params().items() if name.endswith("random_state") and value is None}
    encoder.set_params(**open_states)


def _check_encoder_clone(encoder: Any, bags: list[Bag]) -> None:
    before = encoder.get_params(deep=False)
    encoder.fit(bags)
    same = all(encoder.get_params(deep=False)[name] is value for name, value in before.items())
    _require(same, "fit changes parameters;", "a grid search would then report the wrong parameters.")


def _check_not_fitted(encoder: Any, bags: list[Bag]) -> None:
    try:
        encoder.transform(bags)
    except NotFittedError:
        return
    raise AssertionError("transform works before fit; call sklearn's check_is_fitted, so a forgotten fit raises an error.")


def _check_codes(encoder: Any, bags: list[Bag]) -> None:
    codes = encoder.fit(bags).transform(bags)
    good = isinstance(codes, np.ndarray) and codes.ndim == 2 and len(codes) == len(bags) and codes.dtype == np.float32
    _require(good, "transform does not return a float32 array of shape (n_images, width);", "classifiers expect it.")
    _require(np.isfinite(codes).all(), "codes are not finite;", "scikit-learn's classifiers refuse NaN and infinity.")


def _check_encoder_pickle(encoder: Any, bags: list[Bag]) -> None:
    again = pickle.loads(pickle.dumps(encoder.fit(bags)))
    same = _alike(again.transform(bags), encoder.transform(bags))
    _require(same, "a pickled copy gives different codes;", "workers and saved models use such copies.")


def _check_encoder_repeatable(encoder: Any, bags: list[Bag]) -> None:
    _seed(encoder)
    first, second = (clone(encoder).fit(bags).transform(bags) for _ in range(2))
    _require(_alike(first, second), "two fits with the same random_state differ;", "results must be repeatable.")


def _check_fit_transform(encoder: Any, bags: list[Bag]) -> None:
    _seed(encoder)
    at_once, apart = clone(encoder).fit_transform(bags), clone(encoder).fit(bags).transform(bags)
    _require(_alike(at_once, apart, 1e-6), "fit_transform differs from fit and transform;", "pipelines use both.")


def _check_bag_order(encoder: Any, bags: list[Bag]) -> None:
    whole = encoder.fit(bags).transform(bags)
    part = encoder.transform([bags[4], bags[1]])
    _require(_alike(part, whole[[4, 1]], 1e-6), "an image's code depends on other images;", "a prediction must not.")


def _check_empty_bags(encoder: Any, bags: list[Bag]) -> None:
    encoder.fit(bags)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        codes = encoder.transform([_emptied(bags[0]), bags[1], _emptied(bags[2])])
    zero = not codes[0].any() and not codes[2].any() and codes[1].any()
    _require(zero, "an empty Bag does not give a row of zeros;", "every image needs a row, even if it is uniform.")
    told = [w for w in caught if issubclass(w.category, EmptyBagWarning) and "2 of 3" in str(w.message)]
    _require(
        len(told) == 1,
        "empty bags are not counted in one EmptyBagWarning;",
        "users must know how many images have no descriptors.",
    )
    _require(
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
    _require(
        _alike(encoder.transform(bags * 8)[: len(bags)], expected, 1e-6),
        "n_jobs changes codes;",
        "it may change only the run time.",
    )


def _job_parameters(encoder: Any) -> Iterator[str]:
    return (name for name in encoder.get_params() if name.rpartition("__")[2] == "n_jobs")


def _check_encoder_names(encoder: Any, bags: list[Bag]) -> None:
    width = encoder.fit(bags).transform(bags[:1]).shape[1]
    names = encoder.get_feature_names_out()
    _require(
        len(names) == width == len(set(names)),
        f"{len(names)} names for {width} columns;",
        "table columns would have wrong names.",
    )


def _check_refit(encoder: Any, bags: list[Bag]) -> None:
    _seed(encoder)
    fresh = clone(encoder).fit(bags[1:]).transform(bags)
    again = clone(encoder).fit(bags).fit(bags[1:]).transform(bags)
    _require(_alike(again, fresh, 1e-6), "a second fit depends on the first;", "it must equal the fit of a new object.")
