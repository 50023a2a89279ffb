"""AveragedMap: the map of a network whose mean over all places is the code of an image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple, Self

import numpy as np

from featrec.exceptions import InputError
from featrec.images import Contributions, frames_of, rectangles
from featrec.networks._onnx_graph import OnnxGraph, read_graph
from featrec.networks._onnx_network import run_onnx, runtime_of

__all__ = ["AveragedMap", "token_grid"]

# Operations that compute a mean over places, and operations after them that do not mix columns. Whether the mean is the code is
# checked with numbers.
MEANS = {"GlobalAveragePool", "AveragePool", "ReduceMean"}
PASSED = {"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast", "Relu", "Clip"}
# Maximum difference between the mean of the map and the code, relative to the largest value of the code.
TOLERANCE = 1e-4

# Maximum number of tokens without a position in the image, such as class tokens and registers.
MOST_PREFIX = 16

# The tensors of each network whose mean may be the output, keyed by the network and the output.
_AVERAGED: dict[tuple[str, str], tuple[str, ...]] = {}


class AveragedMap(NamedTuple):
    """The values (places, channels) of a map or of tokens, and the rows and columns of the map.

    Tokens without a position, such as the class token, come first. If no positions are known, there are no rows and columns.
    """

    values: np.ndarray
    grid: tuple[int, int]

    @classmethod
    def of(cls, network: Any, image: np.ndarray, code: np.ndarray) -> Self | None:
        """Return the map whose mean is the code of the image, or None if the network computes no such map.

        This may be the layer of CNNFeatures itself, or a map from which the network computes the layer. `network` is a
        CNNFeatures that has read its network.
        """
        values = network._input_values([image])
        tolerance = TOLERANCE * np.abs(code).max(initial=0.0)
        for out in _candidates(network, values, len(code)):
            for found in cls._readings(out[0], len(code), values.shape[2:]):
                if len(found.values) > 1 and np.abs(found.values.mean(axis=0) - code).max() <= tolerance:
                    return found
        return None

    @classmethod
    def _readings(cls, out: np.ndarray, width: int, size: tuple[int, ...]) -> Iterator[Self]:
        """Yield the output for one image as maps with channels first or last, or as tokens."""
        out = out.astype(np.float64)
        if out.ndim == 3 and out.shape[0] == width:
            yield cls(out.reshape(width, -1).T, (out.shape[1], out.shape[2]))
        if out.ndim == 3 and out.shape[2] == width:
            yield cls(out.reshape(-1, width), (out.shape[0], out.shape[1]))
        if out.ndim == 2 and out.shape[1] == width:
            yield cls(out, token_grid(len(out), (size[0], size[1])) or (0, 0))

    def contributions(self, weights: np.ndarray, code: np.ndarray, window: tuple[float, ...]) -> Contributions:
        """Return what each place adds to ``weights @ code``; `window` is the part of the image that the network sees.

        The difference between the mean and the code, which is due to rounding, is divided equally among the places.
        """
        values = (self.values @ weights + (code - self.values.mean(axis=0)) @ weights) / len(self.values)
        (rows, columns), (top, left, height, width) = self.grid, window
        n_others = len(self.values) - rows * columns
        down, across = np.linspace(top, top + height, rows + 1) - 0.5, np.linspace(left, left + width, columns + 1) - 0.5
        y, x = (each.ravel() for each in np.indices(self.grid))
        cells = rectangles(across[x], down[y], across[x + 1], down[y + 1])
        outlines = np.concatenate([np.full((n_others, 4, 2), np.nan), cells])
        names = [f"token {i} without a position" for i in range(n_others)]
        names += [f"cell in row {row + 1}, column {column + 1} of the map" for row, column in np.ndindex(self.grid)]
        return Contributions(values, frames_of(outlines), outlines, tuple(names))


def _candidates(network: Any, values: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Yield maps and tokens whose mean may be the output of the layer, and the output itself."""
    runtime = network._available_runtime()
    if runtime == "torch":
        yield from network._torch_network(network._source).maps(values, width)
    if hasattr(network, "network_"):
        key, output = network._key(), getattr(network, "output_", network.layer_)
        if (key, output) not in _AVERAGED:
            _AVERAGED[key, output] = _averaged(read_graph(network.network_, "the network"), output)
        for name in _AVERAGED[key, output]:
            with suppress(InputError):  # a layer that OpenCV merges with others
                yield run_onnx(runtime_of("auto") if runtime == "torch" else runtime, network.network_, key, name, values)
    if runtime != "torch":
        yield network._run(values)


def _averaged(graph: OnnxGraph, output: str) -> tuple[str, ...]:
    """Return the inputs of the means between the output and the last operation that mixes columns, the last one first."""
    made_by = {name: node for node in graph.operations for name in node.outputs}
    found = []
    while output in made_by and made_by[output].kind in MEANS | PASSED:
        node = made_by[output]
        output = node.inputs[0]
        if node.kind in MEANS:
            found.append(output)
    return tuple(found)


def token_grid(n_tokens: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the rows and columns of square patches that cover an input of this size; None if there are no such patches."""
    for n_places in range(n_tokens, max(0, n_tokens - MOST_PREFIX), -1):
        rows = round(math.sqrt(n_places * size[0] / size[1]))
        if rows and n_places % rows == 0 and size[0] * (n_places // rows) == size[1] * rows:
            return rows, n_places // rows
    return None
