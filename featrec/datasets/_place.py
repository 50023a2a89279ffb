"""Finding class folders in a folder or in an archive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

from featrec.datasets._archive import Archive, archive_kind, archive_tree
from featrec.datasets._manifest import MANIFESTS
from featrec.datasets._tar import Tar, TarGz
from featrec.datasets._tree import LAYOUT, Tree, folder_tree, is_hidden
from featrec.datasets._zip import Zip
from featrec.exceptions import DatasetError

__all__ = ["half_trees", "is_archive", "refuse_unknown_classes", "tree_of"]

OTHER_ARCHIVES = (".tar.bz2", ".tar.xz", ".tar.zst", ".tbz2", ".txz", ".7z", ".rar")


def is_archive(path: str) -> bool:
    return os.path.isfile(path) and archive_kind(path) is not None


def tree_of(path: str) -> Tree:
    """The content of a folder or an archive."""
    if os.path.isfile(path):
        return archive_tree(_archive(path))
    return folder_tree(Path(_checked_root(path)))


def _archive(path: str) -> Archive:
    kind = archive_kind(path)
    if kind is None:
        _refuse_file(path)
    return {"zip": Zip, "tar": Tar, "tar.gz": TarGz}[kind](path)


def _refuse_file(path: str) -> NoReturn:
    if path.lower().endswith(OTHER_ARCHIVES):
        raise DatasetError(f"{path!r} is an archive of an unsupported type; use .zip, .tar or .tar.gz, or unpack it.")
    if path.lower().endswith(MANIFESTS):
        raise DatasetError(
            f"{path!r} is a manifest, which has no folders; with a column of splits, use "
            'train = images[images.column("split") == "train"].'
        )
    raise DatasetError(
        f"{path!r} is a file. {LAYOUT}, in a folder or a .zip, .tar or .tar.gz; the name of a manifest ends in .csv; "
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
            "Rename the two folders, or name them in Python (train=..., test=...); for one folder of classes, use "
            "ImageFolder(path)."
        )


def refuse_unknown_classes(train: Any, test: Any) -> None:
    """Check the classes of the training set and the test set."""
    unknown = sorted(set(test.classes) - set(train.classes))
    if unknown:
        lacking = sorted(set(train.classes) - set(test.classes))
        beside = f" (and lacks {lacking})" if lacking else ""
        raise DatasetError(
            f"{test.path!r} has the classes {unknown}{beside}, which {train.path!r} lacks; "
            "a model cannot learn them. Use the same names, or remove these classes."
        )
