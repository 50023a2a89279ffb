"""Read every image once and list damaged files, before hours of work."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from featrec.cli._numbers import threads
from featrec.cli._terminal import verbosity
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from featrec.cli._pictures import ImageFiles
    from featrec.lazy import Failures

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: the images and the output format."""
    parser.add_argument(
        "files",
        metavar="DIR",
        nargs="+",
        help="folders of images at any depth, archives (.zip, .tar, .tar.gz), manifests (.csv) or files; "
        "- reads paths from standard input",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object: n_images, damaged (path, reason) and skipped"
    )
    parser.add_argument(
        "--n-jobs", metavar="N", type=threads, default=-1, help="number of threads (default: -1, all processors)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print path and reason of each damaged image. Returns 1 if there are any."""
    from featrec.datasets import find_damaged

    images = _gathered(arguments.files)
    damaged = find_damaged(images, n_jobs=arguments.n_jobs, verbose=verbosity())
    if arguments.json:
        print(json.dumps(_as_dict(len(images), damaged, images.skipped), indent=1, ensure_ascii=False))
    else:
        for failure in damaged:
            print(f"{failure.item}\t{failure.reason}")
        _summarize(len(images), len(damaged))
    return 1 if damaged else 0


def _gathered(files: Sequence[str]) -> ImageFiles:
    """The images that `featrec predict` would use, and missing files listed in manifests."""
    from featrec.cli._pictures import ImageFiles, named
    from featrec.datasets import is_manifest, read_manifest

    items: list[Any] = []
    skipped: list[str] = []
    for file in files:
        items += read_manifest(file, keep_missing=True).images if is_manifest(file) else named(file, skipped)
    if not items:
        raise InputError("no images given; name folders, archives, manifests or files")
    return ImageFiles(items, skipped)


def _as_dict(n: int, damaged: Failures, skipped: list[str]) -> dict:
    found = [{"path": failure.item, "reason": failure.reason} for failure in damaged]
    return {"n_images": n, "damaged": found, "skipped": skipped}


def _summarize(n: int, n_damaged: int) -> None:
    """Print the summary; if damaged images are listed, standard output contains only their lines."""
    sys.stdout.flush()
    if n_damaged:
        sys.stderr.write(f"featrec: {n_damaged:,} of {n:,} images cannot be read; train, compare and suggest leave them out\n")
    else:
        print(f"{n:,} of {n:,} images can be read")
