"""Settings and learned arrays of featrec's own objects: how much memory and time they imply, and where they would write."""

from __future__ import annotations

import json
import math
from pathlib import PureWindowsPath
from typing import Any

import numpy as np

from featrec.exceptions import ModelFileError
from featrec.persistence._schema import Members, Node, full_name, nodes, plain_fields, plain_value, public_name, refuse

__all__ = ["SETTING_CHECKS", "check_settings", "drop_locations"]

# How many numbers one integer stands for, and the most that their product may be.
SIZES = {
    "featrec.descriptors.CNNFeatures": {"size": (2, 2**24), "batch_size": (1, 2**12)},
    "featrec.descriptors.ColorHistogram": {"bins": (3, 2**22)},
    "featrec.descriptors.DenseSIFT": {"bin_sizes": (1, 2**24)},
    "featrec.descriptors.HOG": {"orientations": (1, 2**10), "cells_per_block": (2, 2**10)},
    "featrec.descriptors.ORB": {
        "n_features": (1, 10**6),
        "n_levels": (1, 64),
        "first_level": (1, 64),
        "patch_size": (1, 2**10),
    },
    "featrec.descriptors.SIFT": {"n_features": (1, 10**6), "n_octave_layers": (1, 64), "sigma": (1, 64)},
    "featrec.descriptors.TinyImage": {"size": (2, 2**22)},
    "featrec.preprocessing.Augmented": {"copies": (1, 10**4), "views": (1, 10**4)},
    "featrec.preprocessing.CLAHE": {"grid": (2, 2**16)},
    "featrec.preprocessing.Denoise": {"size": (1, 255)},
    "featrec.preprocessing.Resize": {"size": (2, 2**26)},
}
# A picture is smoothed before its descriptors by a window that grows as this gets smaller.
LEAST_MAGNIF = 0.01
MOST_NUMBERS = 64
MOST_JOBS = 1024
# Of a pyramid: which cell lies in which region is a table, and each region has a code as long as the words are many.
MOST_MEMBERSHIPS = 2**25
MOST_CODE = 2**22
MOST_NETWORK_INPUT = 2**27

NULL = {"__loader__": "JsonNode", "__module__": "builtins", "__class__": "str", "content": "null", "is_json": True}


def check_settings(node: Node, members: Members) -> None:
    """Refuse threads without number, sizes without measure and places in somebody's file system."""
    if node["__loader__"] != "ObjectNode" or node.get("content", NULL)["__loader__"] != "DictNode":
        return
    fields = plain_fields(node)
    if "memory" in fields and _is_location(fields["memory"]):
        refuse(node, "memory names a place for a cache, which save never stores")
    if "n_jobs" in fields:
        n_jobs = plain_value(fields["n_jobs"], members)
        if isinstance(n_jobs, (int, float)) and not abs(n_jobs) <= MOST_JOBS:
            _over(node, "n_jobs", n_jobs, MOST_JOBS)
    for name, (length, most) in SIZES.get(public_name(node), {}).items():
        if name in fields:
            _check_size(node, name, plain_value(fields[name], members), length, most)
    if public_name(node) == "featrec.encoders.SpatialPyramid":
        _n_regions(node, members)
    if public_name(node) == "featrec.descriptors.DenseSIFT":
        _check_smoothing(node, members)


def drop_locations(node: Node) -> None:
    """Forget where a pipeline caches; a fitted network's file keeps its name and loses its folder."""
    if node["__loader__"] != "ObjectNode" or node.get("content", NULL)["__loader__"] != "DictNode":
        return
    fields = plain_fields(node)
    if "memory" in fields and _is_location(fields["memory"]):
        fields["memory"] = dict(NULL)
    if public_name(node) == "featrec.descriptors.CNNFeatures" and "network_" in fields:
        _drop_folder(fields["model"])


def _drop_folder(node: Node) -> None:
    path = plain_value(node, {})
    if isinstance(path, str):
        # Windows' rules take both slashes.
        node["content"] = json.dumps(PureWindowsPath(path).name)


def _is_location(node: Node) -> bool:
    if node["__loader__"] == "JsonNode":
        return isinstance(plain_value(node, {}), str)
    return full_name(node).startswith(("joblib.", "pathlib."))


def _check_size(node: Node, name: str, value: Any, length: int, most: int) -> None:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    each = [value] * length if not isinstance(value, list) else value
    if len(each) > MOST_NUMBERS:
        _over(node, f"the length of {name}", len(each), MOST_NUMBERS)
    if all(isinstance(number, (int, float)) for number in each) and not abs(math.prod(each)) <= most:
        _over(node, name, value, most)


def _check_smoothing(node: Node, members: Members) -> None:
    magnif = plain_value(plain_fields(node).get("magnif", NULL), members)
    if isinstance(magnif, (int, float)) and not magnif >= LEAST_MAGNIF:
        raise ModelFileError(
            f"{public_name(node)}: magnif={magnif!r:.80} is under the limit of {LEAST_MAGNIF} for a model file"
        )


def _over(node: Node, name: str, value: Any, most: float) -> None:
    raise ModelFileError(f"{public_name(node)}: {name}={value!r:.80} is over the limit of {most:,} for a model file")


def _n_regions(node: Node, members: Members) -> int:
    """Of a pyramid; regions and cells are counted, not made."""
    levels = plain_value(plain_fields(node)["levels"], members)
    levels = levels.tolist() if isinstance(levels, np.ndarray) else levels
    if not isinstance(levels, (int, list)):
        return 0  # The pyramid refuses it when it is used.
    if isinstance(levels, int):
        # Each level has four times as many, and the last one's are the cells.
        regions, cells = (4 ** min(levels, 16) // 3, 4 ** (min(levels, 16) - 1)) if levels > 0 else (0, 0)
    else:
        pairs = [grid for grid in levels if isinstance(grid, list) and [type(number) for number in grid] == [int, int]]
        regions = sum(abs(rows * columns) for rows, columns in pairs)
        cells = math.prod(1 + sum(abs(pair[axis]) for pair in pairs) for axis in (0, 1))
    if regions * cells > MOST_MEMBERSHIPS:
        _over(node, "levels", levels, MOST_MEMBERSHIPS)
    return regions


def _check_pyramid(node: Node, members: Members) -> None:
    encoder = plain_fields(node).get("encoder_", NULL)
    words = max((len(_words(found, members)) for found in nodes(encoder) if _has_words(found)), default=0)
    regions = _n_regions(node, members)
    if regions * words > MOST_CODE:
        raise ModelFileError(f"{public_name(node)}: {regions} regions of {words} words, over the limit of {MOST_CODE:,}")


def _has_words(node: Node) -> bool:
    is_object = node["__loader__"] == "ObjectNode"
    return is_object and public_name(node).startswith("featrec.vocabularies.") and "words_" in plain_fields(node)


def _words(node: Node, members: Members) -> np.ndarray:
    return np.asarray(plain_value(plain_fields(node)["words_"], members))


def _check_words(node: Node, members: Members) -> None:
    """The search for the nearest word starts from the first one."""
    if not _has_words(node):
        return
    words = _words(node, members)
    kind = np.dtype(np.uint8 if node["__class__"] == "BinaryVocabulary" else np.float32)
    if words.ndim != 2 or not words.size or words.dtype != kind or not np.isfinite(words).all():
        refuse(node, f"words of shape {words.shape} and type {words.dtype}, where finite rows of {kind} are expected")
    width = plain_value(plain_fields(node)["n_features_in_"], members)
    if words.shape[1] != width:
        refuse(node, f"words of {words.shape[1]} numbers, where {width} are expected")


def _check_kernel_codes(node: Node, members: Members) -> None:
    """The compiled kernels take both sides to be equally wide."""
    fields = plain_fields(node)
    if "codes_" not in fields:
        return
    codes, width = plain_value(fields["codes_"], members), plain_value(fields["n_features_in_"], members)
    if codes.ndim != 2 or codes.shape[1] != width or codes.dtype != np.float32 or not codes.flags.c_contiguous:
        refuse(node, f"codes of shape {codes.shape} and type {codes.dtype}, where float32 rows of {width} are expected")
    if not (np.isfinite(codes) & (codes >= 0)).all():
        refuse(node, "codes that are negative or no numbers")


def _check_network(node: Node, members: Members) -> None:
    fields = plain_fields(node)
    if "input_" not in fields:
        return
    declared = {name: plain_value(value, members) for name, value in fields["input_"]["content"].items()}
    batch = plain_value(fields["batch_"], members)
    numbers = max(1, batch) * len(declared["mean"]) * math.prod(declared["size"])
    if not 0 <= numbers <= MOST_NETWORK_INPUT:
        raise ModelFileError(
            f"{public_name(node)}: {batch} pictures of {declared['size']!r:.80} at once, over the limit of "
            f"{MOST_NETWORK_INPUT:,} numbers"
        )


SETTING_CHECKS = {
    "featrec.descriptors.CNNFeatures": _check_network,
    "featrec.encoders.SpatialPyramid": _check_pyramid,
    "featrec.pairwise.HistogramKernel": _check_kernel_codes,
    "featrec.vocabularies.BinaryVocabulary": _check_words,
    "featrec.vocabularies.KMeansVocabulary": _check_words,
}
