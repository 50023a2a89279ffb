"""Converts the folder argument of a command to training images and test images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._failures import readable
from featrec.exceptions import InputError

if TYPE_CHECKING:
    from featrec.datasets import ImageFolder

__all__ = ["add_folder", "check_folder", "has_split", "read_split"]

HELD_OUT = 0.2


def add_folder(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Add DIR, and the options for test images if the folder has none."""
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="one folder per class, or train/ and test/ with one folder per class each; also as .zip, .tar or .tar.gz, "
        "or a .csv with the columns path and label",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--test", metavar="DIR", type=Path, help="test on the class folders in this folder")
    group.add_argument(
        "--holdout", metavar="SHARE", type=_share, help=f"test on this share of each class (default: {HELD_OUT})"
    )
    return group


def has_split(folder: Path) -> bool:
    """Whether the folder or archive contains its own test images."""
    from featrec.datasets import ImageFolder

    return ImageFolder.is_split(folder)


def check_folder(folder: Path) -> None:
    """Refuse a path without class folders; nothing is decoded."""
    import warnings

    from featrec.datasets import ImageFolder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings are shown when the images are read
        ImageFolder.split(folder) if has_split(folder) else ImageFolder(folder)


def read_split(arguments: argparse.Namespace) -> tuple[ImageFolder, ImageFolder | None]:
    """Training and test images (None for ``--holdout 0``), without damaged files, which are reported."""
    from featrec.datasets import ImageFolder

    folder, n_jobs = arguments.folder, arguments.n_jobs
    if has_split(folder):
        if arguments.test is not None or arguments.holdout is not None:
            raise InputError(
                f"{folder} has its own train and test folders; omit --test and --holdout, or use only the train folder"
            )
        return readable(ImageFolder.split, folder, n_jobs)
    images = readable(ImageFolder, folder, n_jobs)
    if arguments.test is not None:
        return images, readable(ImageFolder, arguments.test, n_jobs)
    train, test = _hold_out(images, HELD_OUT if arguments.holdout is None else arguments.holdout, arguments.seed)
    for half in filter(None, (train, test)):
        half.dropped = images.dropped  # these are on neither side, and are counted once
    return train, test


def _hold_out(images: ImageFolder, share: float, seed: int) -> tuple[ImageFolder, ImageFolder | None]:
    """A share of each class, at least one image; classes with a single image are used only for training."""
    import numpy as np

    if share == 0:
        return images, None
    random = np.random.default_rng(seed)
    held_out: list[Any] = []
    for name in images.classes:
        rows = random.permutation(np.flatnonzero(images.labels == name))
        held_out.extend(rows[: min(len(rows) - 1, max(1, round(share * len(rows))))])
    if not held_out:
        raise InputError("no class has a second image for testing; --holdout 0 trains on all images without a test")
    rest = np.setdiff1d(np.arange(len(images)), held_out)
    return images[rest], images[np.sort(held_out)]


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"a share must be at least 0 and less than 1, such as 0.2; got {text}")
    return share
