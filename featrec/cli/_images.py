"""The image arguments of a command: files, folders, archives and manifests."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from featrec.datasets import FileImage, ImageFolder, Stamp, is_archive, is_manifest, read_manifest, tree_of
from featrec.exceptions import DatasetError, InputError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ImageFiles", "find_images", "gather"]


class ImageFiles:
    """A sequence of image files and of images in archives. It is a source of lazy Images.

    Parameters
    ----------
    items : list
        Objects with ``path`` and ``read()``.
    labels : list of str, optional
        The label of each image, or "" if unknown.
    """

    def __init__(self, items: Sequence[Any], labels: Sequence[str] | None = None):
        if not items:
            raise InputError("no images given; specify files, folders, archives or manifests, or pass paths on standard input")
        self.items = items
        self.labels = [""] * len(items) if labels is None else labels

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> np.ndarray:
        image: np.ndarray = self.items[position].read()
        return image

    def name(self, position: int) -> str:
        """Return the path of an image. The path of an image in an archive starts with the path of the archive."""
        path: str = self.items[position].path
        return path

    def fingerprint(self) -> str:
        """Return a digest that changes if the files, their order or their contents change.

        Files are identified by absolute paths, because a relative path such as 0001.jpg exists in many folders.
        """
        digest = hashlib.sha256()
        for item in self.items:
            is_file = isinstance(item, FileImage)
            text = f"{os.path.abspath(item.path)}\0{_stamp(item.path)}" if is_file else f"{item.path}\0{item.archive.stamp}"
            digest.update(text.encode("utf-8", "surrogateescape") + b"\0\0")
        return digest.hexdigest()


def _stamp(path: str) -> Stamp | None:
    """Return a value that changes when the file is rewritten, or None if the file is missing (reading it raises an error)."""
    try:
        return Stamp.of(os.stat(path))
    except (OSError, ValueError):
        return None


def gather(files: Iterable[str]) -> ImageFiles:
    """Find the images named on a command line, in order, with their labels. No image is opened."""
    items: list[Any] = []
    labels: list[str] = []
    for file in files:
        found = list(find_images(file))
        known = _labels(file)
        items += found
        labels += [known.get(item.path, "") for item in found]
    return ImageFiles(items, labels)


def find_images(file: str, skipped: list[str] | None = None, *, keep_missing: bool = False) -> Iterator[Any]:
    """Yield the images of one argument: an image, a folder, an archive or a manifest. ``-`` reads paths from standard input.

    Skipped files in folders and archives are added to `skipped`. With `keep_missing`, missing files of a manifest are
    included.
    """
    if file == "-":
        yield from (FileImage(path, None) for path in filter(None, map(str.strip, sys.stdin)))
    elif is_manifest(file):
        yield from map(_unstamped, read_manifest(file, keep_missing=keep_missing).images)
    elif os.path.isdir(file) or is_archive(file):
        yield from map(_unstamped, _inside(file, [] if skipped is None else skipped))
    else:
        yield FileImage(file, None)


def _inside(place: str, skipped: list[str]) -> list[Any]:
    """Return all images in a folder or archive, at any depth, sorted by path."""
    tree = tree_of(place)
    if not tree.images:
        raise InputError(f"no images in {place!r}")
    tree.warn_of_skipped()
    skipped += sorted(tree.skipped)
    return [tree.images[parts] for parts in sorted(tree.images)]


def _unstamped(item: Any) -> Any:
    """Remove the stamp of a file, so it can be read even if it was rewritten after it was listed."""
    return FileImage(item.path, None) if isinstance(item, FileImage) else item


def _labels(file: str) -> dict[str, str]:
    """Return the label of each path in a manifest or in class folders. For other arguments, the dict is empty."""
    if file == "-":
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skipped files are reported once, by find_images
            halves = ImageFolder.split(file) if ImageFolder.is_split(file) else (ImageFolder(file),)
    except DatasetError:  # the path is an image, or a folder without class folders
        return {}
    return {path: str(label) for half in halves for path, label in zip(half.paths, half.labels, strict=True)}
