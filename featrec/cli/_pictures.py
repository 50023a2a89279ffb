"""The image arguments of a command: files, folders, archives and lists."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from featrec.exceptions import InputError

__all__ = ["ImageFiles", "gather", "image_of", "labels_of", "name_of", "named"]


class ImageFiles:
    """Images in files and archives, in order, each decoded when it is accessed.

    Parameters
    ----------
    items : list
        Paths of files, or images in archives, which have a ``path`` and can be read.
    skipped : list of str, optional
        Paths of skipped files in folders and archives.
    labels : list of str, optional
        The label of each image; empty if unknown.
    """

    holds_images = True

    def __init__(self, items: list[Any], skipped: list[str] | None = None, labels: list[str] | None = None):
        self.items = items
        self.labels = [""] * len(items) if labels is None else labels
        self.skipped = skipped or []

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return ImageFiles(self.items[key], labels=self.labels[key])
        return image_of(self.items[key])

    def take(self, rows: Iterable[int]) -> ImageFiles:
        """A subset."""
        rows = list(rows)
        return ImageFiles([self.items[row] for row in rows], labels=[self.labels[row] for row in rows])

    def name(self, position: int) -> str:
        """The path; in an archive it starts with the path of the archive."""
        return name_of(self.items[position])

    def fingerprint(self) -> str:
        """A digest that is the same for the same unchanged files in the same order.

        A relative path names another file in another working directory, and many folders hold a 0001.jpg.
        """
        digest = hashlib.sha256()
        for item in self.items:
            text = f"{os.path.abspath(item)}\0{_stamp(item)}" if isinstance(item, str) else f"{item.path}\0{item.archive.stamp}"
            digest.update(text.encode("utf-8", "surrogateescape") + b"\0\0")
        return digest.hexdigest()


def _stamp(path: str) -> Any:
    """A value that changes when a file is rewritten; None if the file is missing, which is an error when it is read."""
    from featrec.datasets import Stamp

    try:
        return Stamp.of(os.stat(path))
    except (OSError, ValueError):
        return None


def gather(files: Iterable[str]) -> ImageFiles:
    """The images named on a command line, in order; no image is opened."""
    images = ImageFiles([])
    for file in files:
        items, labels = list(named(file, images.skipped)), labels_of(file)
        images.items += items
        images.labels += [labels.get(name_of(item), "") for item in items]
    if not len(images):
        raise InputError("no images given; name files, folders, archives or manifests, or pass their paths on standard input")
    return images


def image_of(item: Any) -> Any:
    """Decode the image in a file or an archive."""
    from featrec.images import read_image

    return read_image(item) if isinstance(item, str) else item.read()


def name_of(item: Any) -> str:
    """The path of a file, or of an image in an archive, which starts with the path of the archive."""
    return item if isinstance(item, str) else item.path


def named(file: str, skipped: list[str] | None = None) -> Iterator[Any]:
    """The images of one argument: an image, a folder, an archive or a list; - reads a list from standard input.

    Skipped files in folders and archives are added to `skipped`.
    """
    from featrec.datasets import is_archive, is_manifest

    if file == "-":
        yield from filter(None, map(str.strip, sys.stdin))
    elif is_manifest(file):
        from featrec.datasets import ImageFolder

        yield from ImageFolder(file).paths
    elif os.path.isdir(file) or is_archive(file):
        yield from _inside(file, [] if skipped is None else skipped)
    else:
        yield file


def labels_of(file: str) -> dict[str, str]:
    """The label of each image by path, for manifests and class folders; other labels are unknown."""
    import warnings

    from featrec.datasets import ImageFolder
    from featrec.exceptions import DatasetError

    if file == "-":
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skipped files are reported once, by the code that lists the images
            halves = ImageFolder.split(file) if ImageFolder.is_split(file) else (ImageFolder(file),)
    except DatasetError:  # a file, or a folder without class folders
        return {}
    return {path: str(label) for half in halves for path, label in zip(half.paths, half.labels, strict=True)}


def _inside(place: str, skipped: list[str]) -> list[Any]:
    """All images in a folder or archive at any depth, sorted by path."""
    from featrec.datasets import tree_of

    tree = tree_of(place)
    if not tree.images:
        raise InputError(f"no images in {place!r}")
    tree.warn_of_skipped()
    skipped += sorted(tree.skipped)
    found = [tree.images[parts] for parts in sorted(tree.images)]
    return [image if hasattr(image, "archive") else image.path for image in found]
