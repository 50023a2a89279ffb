"""Tree: the pictures below a folder or in an archive, and which class each of them belongs to."""

from __future__ import annotations

import os
import stat
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from featrec.datasets._file import FilePicture, Stamp
from featrec.exceptions import DatasetError, SkippedFileWarning
from featrec.images._formats import is_image_name, suffixes

__all__ = ["Tree", "folder_tree", "is_hidden", "what_it_is"]

SPLIT_NAMES = {"train", "test", "val", "valid", "validation"}
LAYOUT = "A folder of images is laid out as class/image.jpg"
ATTRIBUTES_OF_A_MAC = "__MACOSX"  # a folder beside the real ones in archives that a Mac has packed

# Why something is skipped, beside the suffixes of files that are no images; what is hidden is meant to be.
HIDDEN = ""
BESIDE, LINK, DEVICE, OTHER = "images beside the class folders", "linked folders", "links, pipes or devices", "other names"
LONGEST_SUFFIX = 10
MOST_KINDS_TOLD = 5

Parts = tuple[str, ...]


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name == ATTRIBUTES_OF_A_MAC


def what_it_is(name: str, *, is_file: bool) -> str | None:
    """Why a thing of this name is skipped; None for an image."""
    if is_image_name(name):
        return None if is_file else DEVICE
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if 1 < len(suffix) <= LONGEST_SUFFIX and suffix.isprintable() else OTHER


@dataclass
class Tree:
    """What was found, by the parts of its name below the place; nothing is opened.

    Parameters
    ----------
    place : str
        The folder or the archive.
    pictures : dict
        What can be read, by the parts of its name.
    folders : set
        By the parts of their names, with or without pictures.
    skipped : dict
        Paths of what is not taken, and why.
    """

    place: str
    pictures: dict[Parts, Any] = field(default_factory=dict)
    folders: set[Parts] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)

    def path(self, parts: Parts) -> str:
        return os.path.join(self.place, *parts)

    def top_folders(self) -> list[str]:
        return sorted({parts[0] for parts in self.folders} | {parts[0] for parts in self.pictures if len(parts) > 1})

    def below(self, name: str) -> Tree:
        """What lies in one of the top folders."""
        place = self.path((name,))
        return Tree(
            place,
            {parts[1:]: picture for parts, picture in self.pictures.items() if parts[0] == name and len(parts) > 1},
            {parts[1:] for parts in self.folders if parts[0] == name and len(parts) > 1},
            {path: why for path, why in self.skipped.items() if path.startswith(place + os.sep)},
        )

    def by_class(self) -> tuple[list[Any], list[str], list[str]]:
        """The pictures sorted by class and then by path, the label of each, and the classes; the top folders are the classes.

        Names of classes are put into the composed form of Unicode, in which equal-looking names are equal.
        """
        loose = [parts for parts in self.pictures if len(parts) == 1]
        folders = self.top_folders()
        self._refuse_other_layouts(folders, len(loose))
        self._refuse_empty(folders)
        names = self._composed(folders)
        self.skipped |= {self.path(parts): BESIDE for parts in sorted(loose)}
        placed = sorted(parts for parts in self.pictures if len(parts) > 1)
        return [self.pictures[parts] for parts in placed], [names[parts[0]] for parts in placed], sorted(names.values())

    def counts_of_skipped(self) -> Counter[str]:
        """How much was skipped, by kind; hidden things are not counted."""
        return Counter(why for why in self.skipped.values() if why != HIDDEN)

    def warn_of_skipped(self) -> None:
        """One warning that counts what was skipped."""
        kinds = self.counts_of_skipped()
        if not kinds:
            return
        ranked = sorted(kinds, key=lambda kind: (kind not in (BESIDE, LINK), -kinds[kind], kind))
        told = [f"{kind} ({kinds[kind]})" for kind in ranked[:MOST_KINDS_TOLD]]
        others = sum(kinds[kind] for kind in ranked[MOST_KINDS_TOLD:])
        told += [f"and {others} more"] if others else []
        warnings.warn(
            f"{self.place!r}: skipped {', '.join(told)}. ImageFolder.skipped and 'featrec check --json' list "
            "them; images of other formats need converting.",
            SkippedFileWarning,
            stacklevel=4,
        )

    def _refuse_other_layouts(self, folders: list[str], n_loose: int) -> None:
        if not folders:
            beside = f"; {n_loose} images lie in it directly" if n_loose else ""
            raise DatasetError(f"{self.place!r} holds no class folders{beside}. {LAYOUT}.")
        if "train" in folders and len(folders) > 1 and set(folders) <= SPLIT_NAMES:
            raise DatasetError(
                f"{self.place!r} holds {folders}, which are no classes but parts of a split: "
                "train, test = ImageFolder.split(path) reads them."
            )

    def _refuse_empty(self, folders: list[str]) -> None:
        used = {parts[0] for parts in self.pictures if len(parts) > 1}
        empty = [name for name in folders if name not in used]
        if empty:
            raise DatasetError(
                f"the class folders {empty} of {self.place!r} hold no image ({', '.join(suffixes())}). "
                "Remove them, or put images in."
            )

    def _composed(self, folders: list[str]) -> dict[str, str]:
        names: dict[str, str] = {}
        for folder in folders:
            if not _is_text(folder):
                raise DatasetError(
                    f"the name of the class folder {self.path((folder,))!r} is no UTF-8, so it cannot become a label; "
                    "rename it, or pack the archive again with names in UTF-8."
                )
            names[folder] = unicodedata.normalize("NFC", folder)
        for name, alike in _alike(names):
            raise DatasetError(
                f"{self.place!r} has class folders that look the same ({name!r}) and are spelled with other code points: "
                f"{' and '.join(map(ascii, alike))}. Move the pictures of one into the other, or rename it."
            )
        return names


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _alike(names: dict[str, str]) -> Iterable[tuple[str, list[str]]]:
    """The names that several folders would have."""
    folders: dict[str, list[str]] = {}
    for folder, name in names.items():
        folders.setdefault(name, []).append(folder)
    return ((name, alike) for name, alike in folders.items() if len(alike) > 1)


def folder_tree(root: Path) -> Tree:
    """What lies below a folder. A class folder may be a link; links to folders inside it are skipped, so nothing goes round."""
    tree = Tree(os.fspath(root))
    pending: list[Parts] = [()]
    while pending:
        parts = pending.pop()
        for name in _names(tree.path(parts)):
            if _takes_folder(tree, (*parts, name)):
                pending.append((*parts, name))
    return tree


def _names(place: str) -> Iterable[str]:
    try:
        return sorted(os.listdir(place))
    except OSError as error:
        raise DatasetError(
            f"the folder {place!r} cannot be listed ({error.strerror}), so its pictures would be missing without a word. "
            "Make it readable, or move it out."
        ) from error


def _takes_folder(tree: Tree, parts: Parts) -> bool:
    """Put what lies there where it belongs in the tree; whether it is a folder to look into."""
    path = tree.path(parts)
    if is_hidden(parts[-1]):
        tree.skipped[path] = HIDDEN
        return False
    kind = _kind(path)
    if kind is not None and stat.S_ISDIR(kind.st_mode):
        if os.path.islink(path) and (len(parts) > 1 or _leads_back(path, tree.place)):
            tree.skipped[path] = LINK
            return False
        tree.folders.add(parts)
        return True
    why = what_it_is(parts[-1], is_file=kind is None or stat.S_ISREG(kind.st_mode))
    if why is None:
        tree.pictures[parts] = FilePicture(path, None if kind is None else Stamp.of(kind))
    else:
        tree.skipped[path] = why
    return False


def _kind(path: str) -> os.stat_result | None:
    """None for a link that leads nowhere or to itself."""
    try:
        return os.stat(path)
    except OSError:
        return None


def _leads_back(link: str, root: str) -> bool:
    """Whether a link leads to the folder in which it lies, or to one around that."""
    target = Path(os.path.realpath(link))
    return Path(os.path.realpath(root)).is_relative_to(target)
