"""Settings of estimators: how much memory and time they imply, and where they would write."""

from __future__ import annotations

import json
import math
from pathlib import PureWindowsPath
from typing import Any

import numpy as np

from featrec.exceptions import ModelFileError
from featrec.persistence._pyramid import check_levels
from featrec.persistence._schema import Members, Node, full_name, over, plain_fields, plain_value, public_name, refuse

__all__ = ["SETTING_CHECKS", "check_settings", "drop_locations"]

# How many numbers one integer stands for, and the most that their product may be.
SIZES = {
    "featrec.descriptors.AKAZE": {"n_octaves": (1, 64), "n_octave_layers": (1, 16), "max_points": (1, 10**6)},
    "featrec.descriptors.BRISK": {"octaves": (1, 64), "pattern_scale": (1, 10**3)},
    "featrec.descriptors.ColorHistogram": {"bins": (3, 2**22)},
    "featrec.descriptors.DenseSIFT": {"bin_sizes": (1, 2**24)},
    "featrec.descriptors.HOG": {"orientations": (1, 2**10), "cells_per_block": (2, 2**10)},
    "featrec.descriptors.ORB": {
        "n_features": (1, 10**6),
        "n_levels": (1, 64),
        "first_level": (1, 64),
        "patch_size": (1, 2**10),
    },
    "featrec.descriptors.PatchCodes": {"grid": (2, 2**16)},
    "featrec.descriptors.SIFT": {"n_features": (1, 10**6), "n_octave_layers": (1, 64), "sigma": (1, 64)},
    "featrec.descriptors.TinyImage": {"size": (2, 2**22)},
    "featrec.encoders.LLC": {"n_neighbors": (1, 2**10)},
    "featrec.encoders.SoftBagOfWords": {"n_neighbors": (1, 2**10)},
    "featrec.networks.CNNFeatures": {"size": (2, 2**24), "batch_size": (1, 2**12)},
    "featrec.preprocessing.Augmented": {"copies": (1, 10**4), "views": (1, 10**4)},
    "featrec.preprocessing.CLAHE": {"grid": (2, 2**16)},
    "featrec.preprocessing.Denoise": {"size": (1, 255)},
    "featrec.preprocessing.Resize": {"size": (2, 2**26), "size_": (2, 2**26)},
}
# A picture is smoothed before its descriptors by a window that grows as this gets smaller.
LEAST_MAGNIF = 0.01
MOST_NUMBERS = 64
MOST_JOBS = 1024
MOST_NETWORK_INPUT = 2**27
MOST_PATTERNS = 2**22
# Of a code; room for those of a batch is made before they are computed.
MOST_OUT = 2**22

CACHES = {"memory", "cache"}
NULL = {"__loader__": "JsonNode", "__module__": "builtins", "__class__": "str", "content": "null", "is_json": True}


def check_settings(node: Node, members: Members) -> None:
    """Refuse threads without number, sizes without measure and places in somebody's file system."""
    if node["__loader__"] != "ObjectNode" or node.get("content", NULL)["__loader__"] != "DictNode":
        return
    fields = plain_fields(node)
    for name in CACHES & fields.keys():
        if _is_location(fields[name]):
            refuse(node, f"{name} names a place for a cache, which save never stores")
    if "n_jobs" in fields:
        n_jobs = plain_value(fields["n_jobs"], members)
        if isinstance(n_jobs, (int, float)) and not abs(n_jobs) <= MOST_JOBS:
            over(node, "n_jobs", n_jobs, MOST_JOBS)
    if "n_features_out_" in fields and public_name(node).startswith("featrec."):
        _check_size(node, "n_features_out_", plain_value(fields["n_features_out_"], members), 1, MOST_OUT)
    for name, (length, most) in SIZES.get(public_name(node), {}).items():
        if name in fields:
            _check_size(node, name, plain_value(fields[name], members), length, most)
    if public_name(node) == "featrec.encoders.SpatialPyramid":
        check_levels(node, members)
    if public_name(node) == "featrec.descriptors.DenseSIFT":
        _check_smoothing(node, members)
    if public_name(node) == "featrec.descriptors.LBP":
        _check_patterns(node, members)


def drop_locations(node: Node) -> None:
    """Forget where a pipeline or an extractor caches; a fitted network's file keeps its name and loses its folder."""
    if node["__loader__"] != "ObjectNode" or node.get("content", NULL)["__loader__"] != "DictNode":
        return
    fields = plain_fields(node)
    for name in CACHES & fields.keys():
        if _is_location(fields[name]):
            fields[name] = dict(NULL)
    if public_name(node) == "featrec.networks.CNNFeatures" and "network_" in fields:
        _drop_folder(fields["model"])


def _drop_folder(node: Node) -> None:
    path = plain_value(node, {})
    if isinstance(path, str):
        # Windows' rules take both slashes.
        node["content"] = json.dumps(PureWindowsPath(path).name)


def _is_location(node: Node) -> bool:
    if node["__loader__"] == "JsonNode":
        return isinstance(plain_value(node, {}), str)
    return full_name(node).startswith(("joblib.", "pathlib.", "featrec.images."))


def _check_size(node: Node, name: str, value: Any, length: int, most: int) -> None:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    each = [value] * length if not isinstance(value, list) else value
    if len(each) > MOST_NUMBERS:
        over(node, f"the length of {name}", len(each), MOST_NUMBERS)
    if all(isinstance(number, (int, float)) for number in each) and not abs(math.prod(each)) <= most:
        over(node, name, value, most)


def _check_smoothing(node: Node, members: Members) -> None:
    magnif = plain_value(plain_fields(node).get("magnif", NULL), members)
    if isinstance(magnif, (int, float)) and not magnif >= LEAST_MAGNIF:
        raise ModelFileError(
            f"{public_name(node)}: magnif={magnif!r:.80} is under the limit of {LEAST_MAGNIF} for a model file"
        )


def _check_patterns(node: Node, members: Members) -> None:
    """Patterns are counted in each cell of each grid, for each circle."""
    points, radii, grids = (_listed(node, name, members) for name in ("n_points", "radius", "grids"))
    circles = max(len(points), len(radii))
    most = max((abs(number) for number in points if isinstance(number, int)), default=1)
    several = plain_value(plain_fields(node).get("method", NULL), members) in ("default", "ror")
    cells = sum(abs(math.prod(grid)) for grid in grids if isinstance(grid, list) and all(type(n) is int for n in grid))
    numbers = circles * cells * (2 ** min(most, 16) if several else 2**8)
    if numbers > MOST_PATTERNS:
        over(node, "the number of counts", numbers, MOST_PATTERNS)


def _listed(node: Node, name: str, members: Members) -> list:
    value = plain_value(plain_fields(node).get(name, NULL), members)
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return value if isinstance(value, list) else [value]


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
    "featrec.networks.CNNFeatures": _check_network,
    "featrec.pairwise.HistogramKernel": _check_kernel_codes,
}
