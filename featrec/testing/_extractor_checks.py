"""Checks for user-defined extractors, and what all checks need."""

from __future__ import annotations

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from featrec.bag import Bag
from featrec.exceptions import EmptyBagWarning, ImageError
from featrec.images import GlobalExtractor, LocalExtractor
from featrec.lazy import Bags

__all__ = ["HEIGHT", "WIDTH", "alike", "check_extractor", "items", "require", "textured_images"]


HEIGHT, WIDTH = 72, 88


def require(condition: Any, broken: str, why: str) -> None:
    if not condition:
        raise AssertionError(f"{broken} {why}")


def items(result: Any) -> list:
    return list(result) if isinstance(result, Bags) else list(np.asarray(result))


def alike(first: Any, second: Any, tolerance: float = 0.0) -> bool:
    """Return whether two results, or lists of results, contain the same numbers."""
    if isinstance(first, (list, Bags)):
        pairs = zip(items(first), items(second), strict=True)
        return len(first) == len(second) and all(alike(a, b, tolerance) for a, b in pairs)
    if isinstance(first, Bag):
        return alike(first.descriptors, second.descriptors, tolerance)
    first, second = np.asarray(first), np.asarray(second)
    return first.shape == second.shape and np.allclose(first, second, rtol=0, atol=tolerance)


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


def textured_images() -> list[np.ndarray]:
    """Return textured images of one size, with corners for keypoint detectors."""
    random = np.random.default_rng(0)
    images = []
    for i in range(6):
        blocks = np.kron(random.integers(0, 256, (9, 11)), np.ones((8, 8)))
        noisy = np.clip(blocks + random.normal(0, 3, blocks.shape), 0, 255).astype(np.uint8)
        images.append(noisy if i % 2 else np.stack([noisy, np.roll(noisy, 5, 0), noisy[::-1]], axis=-1))
    return images


def _check_clone(extractor: Any) -> None:
    before = extractor.get_params()
    extractor.fit(textured_images())
    same = all(extractor.get_params()[name] is value for name, value in before.items())
    require(same, "fit changes parameters;", "a grid search would then report the wrong parameters.")


def _check_pickle(extractor: Any) -> None:
    extractor.fit(textured_images())
    try:
        again = pickle.loads(pickle.dumps(extractor))
    except Exception as error:
        raise AssertionError(f"it cannot be pickled ({error}); workers and saved models use pickled copies.") from error
    same = alike(items(again.transform(textured_images())), items(extractor.transform(textured_images())))
    require(same, "a pickled copy gives different numbers;", "workers and saved models use such copies.")


def _check_output_kind(extractor: Any) -> None:
    result = extractor.fit(textured_images()).transform(textured_images())
    if isinstance(extractor, LocalExtractor):
        require(isinstance(result, Bags), "transform does not return Bags;", "encoders accept nothing else.")
        widths = {bag.descriptors.shape[1] for bag in result}
        require(
            len(widths) == 1, f"descriptors differ in width: {sorted(widths)};", "a vocabulary needs descriptors of one width."
        )
        return
    shape = getattr(result, "shape", None)
    good = shape is not None and len(shape) == 2 and shape[0] == len(textured_images())
    require(good, f"transform returns shape {shape};", "classifiers expect (n_images, n_features).")
    require(result.dtype == np.float32, f"codes are {result.dtype};", "featrec promises float32, which halves the memory.")
    require(np.isfinite(result).all(), "codes are not finite;", "scikit-learn's classifiers refuse NaN and infinity.")


def _check_determinism(extractor: Any) -> None:
    first, second = (items(clone(extractor).fit_transform(textured_images())) for _ in range(2))
    require(alike(first, second), "two runs give different numbers;", "results must be repeatable.")


def _check_order(extractor: Any) -> None:
    images = textured_images()
    whole = items(extractor.fit(images).transform(images))
    part = items(extractor.transform([images[3], images[1]]))
    same = alike(part, [whole[3], whole[1]], 1e-6)
    require(same, "an image's values depend on other images in the batch;", "predictions must not depend on other images.")


def _check_input_untouched(extractor: Any) -> None:
    images = textured_images()
    for image in images:
        image.setflags(write=False)
    try:
        items(extractor.fit_transform(images))
    except ValueError as error:
        raise AssertionError(f"read-only images fail ({error}); joblib passes read-only arrays to workers.") from error


def _check_value_types(extractor: Any) -> None:
    image = textured_images()[1]
    eight = items(extractor.fit([image]).transform([image]))
    sixteen = items(extractor.transform([image.astype(np.uint16) * 257]))
    unit = items(extractor.transform([image / 255.0]))
    same = alike(eight, sixteen, 1e-3) and alike(eight, unit, 1e-3)
    require(
        same, "uint8, uint16 and float copies of one image differ;", "convert images with featrec.images.as_float or as_uint8."
    )


def _check_gray_and_color(extractor: Any) -> None:
    gray = textured_images()[1]
    both = items(extractor.fit([gray]).transform([gray, np.stack([gray] * 3, axis=-1)]))
    require(alike(both[:1], both[1:], 1e-4), "a gray image differs from its RGB copy;", "folders often contain both.")


def _check_hard_images(extractor: Any) -> None:
    extractor.fit(textured_images())
    for image in (
        np.zeros((HEIGHT, WIDTH), np.uint8),
        np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
        np.zeros((1, 1), np.uint8),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EmptyBagWarning)  # the expected warning for a row of zeros
                (item,) = items(extractor.transform([image]))
        except ImageError:
            continue
        values = item.descriptors if isinstance(item, Bag) else item
        require(np.isfinite(values).all(), f"a uniform image {image.shape} gives NaN;", "return an empty Bag or zeros.")


def _check_empty_batch(extractor: Any) -> None:
    empty = extractor.fit(textured_images()).transform([])
    width = extractor.transform(textured_images()[:1]).shape[1:]
    good = len(empty) == 0 and empty.shape[1:] == width
    require(good, "an empty batch does not give an empty result;", "a filter may remove all images.")


def _check_threads(extractor: Any) -> None:
    extractor.fit(textured_images())
    expected = items(extractor.transform(textured_images()))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: items(extractor.transform(textured_images())), range(4)))
    same = all(alike(result, expected, 1e-6) for result in results)
    require(
        same,
        "two concurrent threads give different numbers;",
        "n_jobs uses threads; do not store intermediate results on self.",
    )


def _check_names(extractor: Any) -> None:
    result = extractor.fit(textured_images()).transform(textured_images()[:1])
    width = result[0].descriptors.shape[1] if isinstance(result, Bags) else result.shape[1]
    names = extractor.get_feature_names_out()
    require(len(names) == width, f"{len(names)} names for {width} numbers;", "table columns would have wrong names.")


def _check_set_output(extractor: Any) -> None:
    result = extractor.set_output(transform="default").fit_transform(textured_images())
    require(
        len(result) == len(textured_images()), "set_output changes the result's length;", "pipelines call it on every step."
    )


def _check_contributions(extractor: Any) -> None:
    if not isinstance(extractor, GlobalExtractor):
        return
    extractor.fit(textured_images())
    for image in textured_images()[:2]:
        code = extractor.extract(image).astype(np.float64)
        weighted = np.random.default_rng(0).normal(size=len(code)) * code
        found = extractor.contributions(image, np.random.default_rng(0).normal(size=len(code)))
        same = abs(found.values.sum() - weighted.sum()) <= 1e-5 * np.abs(weighted).sum()
        require(same, "contributions do not add up to the weighted sum of the code;", "explanations would be wrong.")
        lengths = {len(found.values), len(found.frames), len(found.outlines), len(found.names or found.values)}
        require(len(lengths) == 1, f"contributions have {lengths} entries;", "each part needs a value and an outline.")
