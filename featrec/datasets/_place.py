"""Find class folders in a folder or an archive."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from featrec.datasets._archive import MAX_MEMBERS, Archive, Member, Zip, refuse_bomb
from featrec.datasets._manifest import MANIFESTS
from featrec.datasets._tar import Tar, TarGz
from featrec.datasets._tree import HIDDEN, LAYOUT, Tree, folder_tree, is_hidden, what_it_is
from featrec.exceptions import DatasetError, ImageError
from featrec.images import read_image

__all__ = ["half_trees", "is_archive", "refuse_unknown_classes", "tree_of"]

MAX_MEMBER = 2**28  # maximum number of bytes of one image, compressed or not
DRIVE = re.compile("[A-Za-z]:")
OTHER_ARCHIVES = (".tar.bz2", ".tar.xz", ".tar.zst", ".tbz2", ".txz", ".7z", ".rar")


def is_archive(path: str) -> bool:
    return os.path.isfile(path) and _archive_kind(path) is not None


def tree_of(path: str) -> Tree:
    """List the content of a folder or an archive."""
    if os.path.isfile(path):
        return _archive_tree(_archive(path))
    return folder_tree(Path(_checked_root(path)))


def _archive(path: str) -> Archive:
    kind = _archive_kind(path)
    if kind is None:
        _refuse_file(path)
    return {"zip": Zip, "tar": Tar, "tar.gz": TarGz}[kind](path)


def _refuse_file(path: str) -> NoReturn:
    if path.lower().endswith(OTHER_ARCHIVES):
        raise DatasetError(f"{path!r} is an archive of an unsupported type; use .zip, .tar or .tar.gz, or unpack it.")
    if path.lower().endswith(MANIFESTS):
        raise DatasetError(
            f"{path!r} is a manifest and has no folders; if it has a column that states the split, use "
            'train = images[images.column("split") == "train"].'
        )
    raise DatasetError(
        f"{path!r} is a file. {LAYOUT}, in a folder or a .zip, .tar or .tar.gz; a manifest must have the suffix .csv; "
        "for a single image, use 'featrec predict', or featrec.images.read_image in Python."
    )


def _checked_root(path: str) -> str:
    if not os.path.exists(path):
        raise DatasetError(f"there is no folder {path!r}; check the path and the working directory ({os.getcwd()})")
    if not os.path.isdir(path):
        _refuse_file(path)
    return path


def half_trees(path: str, names: tuple[str, str]) -> list[Tree]:
    if os.path.isfile(path):
        whole = tree_of(path)
        _refuse_missing_halves(path, names, whole.top_folders())
        return [whole.below(name) for name in names]
    root = Path(_checked_root(path))
    _refuse_missing_halves(path, names, [entry.name for entry in root.iterdir()], root)
    return [folder_tree(root / name) for name in names]


def _refuse_missing_halves(path: str, names: tuple[str, str], present: list[str], root: Path | None = None) -> None:
    missing = [name for name in names if name not in present or (root is not None and not (root / name).is_dir())]
    if missing:
        shown = sorted(name for name in present if not is_hidden(name))
        shown = shown if len(shown) <= 8 else [*shown[:8], "..."]
        raise DatasetError(
            f"{path!r} has no folder {' and no folder '.join(map(repr, missing))}; it has {shown}. "
            "Rename the two folders, or name them in Python (train=..., test=...); if there is no split, use "
            "ImageFolder(path)."
        )


def refuse_unknown_classes(train: Any, test: Any) -> None:
    """Raise an error if the test set has classes that the training set lacks."""
    unknown = sorted(set(test.classes) - set(train.classes))
    if unknown:
        lacking = sorted(set(train.classes) - set(test.classes))
        beside = f" (and the test set lacks {lacking})" if lacking else ""
        raise DatasetError(
            f"{test.path!r} has the classes {unknown}, which {train.path!r} lacks{beside}. "
            "A model cannot learn them. Use the same class names in both, or remove these classes."
        )


class MemberImage(NamedTuple):
    """An image in an archive."""

    path: str
    archive: Archive
    member: Member

    def read(self) -> np.ndarray:
        """Unpack the image in memory and decode it."""
        data = self.archive.read(self.member, self.path)
        try:
            return read_image(data)
        except ImageError as error:
            raise error.at(None, self.path) from error.__cause__


def _archive_tree(archive: Archive) -> Tree:
    """List the content of an archive. If a single folder contains everything, its name is removed from the paths.

    Links, devices and nested archives are skipped. Raise an error if a path leads outside the archive, if a name occurs twice,
    or if an image is larger than 256 MB.
    """
    tree = Tree(archive.path)
    total = 0
    for count, member in enumerate(archive.members()):
        if count >= MAX_MEMBERS:
            raise DatasetError(f"the archive {archive.path!r} contains more than {MAX_MEMBERS:,} members; split it")
        parts = _parts(archive.path, member.name)
        hidden = next((depth for depth, name in enumerate(parts) if is_hidden(name)), None)
        if hidden is not None:
            tree.skipped[tree.path(parts[: hidden + 1])] = HIDDEN
        elif member.kind == "folder":
            tree.folders |= {parts} if parts else set()
        elif why := what_it_is(parts[-1] if parts else "", is_file=member.kind == "file"):
            tree.skipped[tree.path(parts)] = why
        else:
            _add(tree, parts, MemberImage(tree.path(parts), archive, member))
            total += member.size
    refuse_bomb(archive.path, total, archive.stamp.size)
    return _without_wrapping(tree)


def _add(tree: Tree, parts: tuple[str, ...], image: MemberImage) -> None:
    if parts in tree.images:
        raise DatasetError(
            f"the archive {tree.place!r} contains two images with the same name, {image.member.name!r}; "
            "pack it again from a folder."
        )
    size = max(image.member.size, image.member.packed)
    if size > MAX_MEMBER:
        raise DatasetError(
            f"the image {image.member.name!r} of the archive {tree.place!r} has {size:,} bytes, "
            f"more than the limit of {MAX_MEMBER:,} for images in archives. Unpack the archive into a folder."
        )
    tree.images[parts] = image


def _parts(path: str, name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    trick = None
    if name.startswith("/") or DRIVE.match(name):
        trick = "is absolute"
    elif ".." in parts:
        trick = "leads upwards"
    elif "\\" in name or "\0" in name:
        trick = "contains a backslash or a null character"
    if trick:
        raise DatasetError(
            f"the name {name!r} in the archive {path!r} {trick}; paths that may lead outside the archive are refused. "
            "Pack it again from its folder, with relative paths and '/' as separator."
        )
    return parts


def _without_wrapping(tree: Tree) -> Tree:
    """Return the content of the only top folder, if there is just one and it contains folders but no images."""
    tops = tree.top_folders()
    if len(tops) != 1 or any(len(parts) == 1 or (parts[0] == tops[0] and len(parts) == 2) for parts in tree.images):
        return tree
    inner = tree.below(tops[0])
    inner.skipped = tree.skipped
    return inner if inner.top_folders() else tree


def _archive_kind(path: str) -> str | None:
    """Return "zip", "tar" or "tar.gz", or None for a file name without the suffix of a supported archive."""
    name = Path(path).name.lower()
    if not name.endswith((".zip", ".tar", ".tar.gz", ".tgz")):
        return None
    try:
        with open(path, "rb") as file:
            beginning = file.read(4)
    except OSError as error:
        raise DatasetError(f"the archive {path!r} cannot be read ({error})") from error
    if beginning.startswith(b"\x1f\x8b"):
        return "tar.gz"
    return "zip" if beginning.startswith(b"PK") or name.endswith(".zip") else "tar"
