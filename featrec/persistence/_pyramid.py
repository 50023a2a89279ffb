"""Pyramids: a file of a few bytes can ask for many regions, each with a code of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from featrec.exceptions import ModelFileError
from featrec.persistence._schema import Members, Node, nodes, over, plain_fields, plain_value, public_name

__all__ = ["PYRAMID_CHECKS", "check_levels"]

# Which cell lies in which region is a table; descriptors are pooled by cell, and each region has a code.
MOST_MEMBERSHIPS = 2**25
MOST_POOLED = 2**25
MOST_CODE = 2**22

# The most numbers that an encoder pools of k words of length d; one a word, unless named here.
WIDTHS: dict[str, Callable[[int, int], int]] = {
    "featrec.encoders.FisherVector": lambda k, d: k * (2 * d + 1),
    "featrec.encoders.SignCode": lambda k, d: 2 * k,
    "featrec.encoders.ThresholdCode": lambda k, d: 2 * k,
    "featrec.encoders.VLAD": lambda k, d: k * (d + 1),
}
# Where vocabularies, featrec's and scikit-learn's, hold words or what takes their place.
WORDS = ("words_", "means_", "cluster_centers_")
NOTHING = {"__loader__": "JsonNode", "content": "null"}


class Layout(NamedTuple):
    """How many regions a pyramid has, and how many cells they are merged from, or a few more."""

    regions: int
    cells: int


def check_levels(node: Node, members: Members) -> Layout:
    """Refuse more regions than can be laid out; they are counted, not made."""
    levels = plain_value(plain_fields(node)["levels"], members)
    levels = levels.tolist() if isinstance(levels, np.ndarray) else levels
    if not isinstance(levels, (int, list)):
        return Layout(0, 0)  # The pyramid refuses it when it is used.
    overlapping = any(plain_value(plain_fields(node).get(name, NOTHING), members) for name in ("overlap", "margin"))
    if isinstance(levels, int) and overlapping:
        levels = [[2**level, 2**level] for level in range(min(levels, 16))]
    layout = _quartered(levels) if isinstance(levels, int) else _of_grids(levels, 2 if overlapping else 1)
    if layout.regions * layout.cells > MOST_MEMBERSHIPS:
        over(node, "levels", levels, MOST_MEMBERSHIPS)
    return layout


def _quartered(levels: int) -> Layout:
    """Each level has four times as many regions, and the last one's are the cells."""
    return Layout(4 ** min(levels, 16) // 3, 4 ** (min(levels, 16) - 1)) if levels > 0 else Layout(0, 0)


def _of_grids(levels: list, ends: int) -> Layout:
    pairs = [grid for grid in levels if isinstance(grid, list) and [type(number) for number in grid] == [int, int]]
    # A region has two ends of its own where regions overlap.
    cells = math.prod(1 + ends * sum(abs(pair[axis]) for pair in pairs) for axis in (0, 1))
    return Layout(sum(abs(rows * columns) for rows, columns in pairs), cells)


def _check_pyramid(node: Node, members: Members) -> None:
    layout = check_levels(node, members)
    fields = plain_fields(node)
    if "encoder_" not in fields:
        return
    encoder = fields["encoder_"]
    for k, d in _vocabulary_shapes(encoder, members):
        width = WIDTHS[public_name(encoder)](k, d) if public_name(encoder) in WIDTHS else k
        for number, what, most in ((layout.regions, "regions", MOST_CODE), (layout.cells, "cells", MOST_POOLED)):
            if number * width > most:
                raise ModelFileError(
                    f"{public_name(node)}: {number} {what} of {k} words, {width} numbers each, over the limit of {most:,} "
                    "for a model file"
                )


def _vocabulary_shapes(encoder: Node, members: Members) -> Iterator[tuple[int, int]]:
    for found in nodes(encoder):
        if found["__loader__"] == "ObjectNode" and found.get("content", NOTHING)["__loader__"] == "DictNode":
            for name in WORDS:
                shape = np.shape(plain_value(plain_fields(found).get(name, NOTHING), members))
                if shape:
                    yield shape[0], shape[-1]


PYRAMID_CHECKS = {"featrec.encoders.SpatialPyramid": _check_pyramid}
