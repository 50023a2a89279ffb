"""The command ``network``: show the layers of a network."""

from __future__ import annotations

import argparse
import json
import sys

from featrec.exceptions import InputError

__all__ = ["add_network_arguments", "run_network"]

HEADER = ("layer", "operation", "shape", "parameters", "multiply-adds")


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``featrec network``."""
    parser.add_argument("action", choices=["show"], help="show: list the layers, with their shapes and costs for one image")
    parser.add_argument("model", metavar="FILE|NAME", help="ONNX file, ExportedProgram (.pt2), or timm:NAME")
    parser.add_argument("--size", type=int, metavar="N", help="side of the input in pixels (default: from the file, or 224)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per layer")


def run_network(arguments: argparse.Namespace) -> int:
    """List the layers of a network: name, operation, output shape, parameters and multiply-adds."""
    from featrec.networks import list_layers

    if arguments.size is not None and arguments.size < 1:
        raise InputError(f"--size must be at least 1; got {arguments.size}")
    layers = list_layers(arguments.model, size=arguments.size)
    if arguments.json:
        for layer in layers:
            print(json.dumps(vars(layer)))
        return 0
    from featrec.evaluation import Table

    rows = [
        (
            layer.name,
            layer.kind,
            "unknown" if layer.shape is None else " × ".join(map(str, layer.shape)),
            f"{layer.n_parameters:,}",
            f"{layer.n_multiply_adds:,}",
        )
        for layer in layers
    ]
    print(Table(HEADER, rows).plain())
    total = sum(layer.n_parameters for layer in layers), sum(layer.n_multiply_adds for layer in layers)
    print(f"\n{len(layers)} layers, {total[0]:,} parameters, {total[1]:,} multiply-adds per image")
    if arguments.model.startswith("timm:"):
        sys.stderr.write("shapes and costs only: no weights are needed, and none were loaded\n")
    return 0
