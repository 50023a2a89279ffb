"""Tree: the images below a folder or in an archive, and which class each of them belongs to."""

from __future__ import annotations

import os
import stat
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from featrec.datasets._file import FileImage, Stamp
from featrec.exceptions import DatasetError, SkippedFileWarning
from featrec.images._formats import is_image_name, suffixes

__all__ = ["Tree", "folder_tree", "is_hidden", "what_it_is"]

TRAINING = {"train", "training"}
SPLIT_NAMES = {*TRAINING, "test", "testing", "val", "valid", "validation", "eval", "dev"}
LAYOUT = "A folder of images is laid out as class/image.jpg"
# What systems put beside images: the Mac's folder in archives that it packs, the small images and settings of Windows.
OF_THE_SYSTEM = {"__macosx", "thumbs.db", "desktop.ini"}

# Why something is skipped, beside the suffixes of files that are no images; what is hidden is meant to be.
HIDDEN = ""
BESIDE, LINK, DEVICE, OTHER = "images beside the class folders", "linked folders", "links, pipes or devices", "other names"
LONGEST_SUFFIX = 10
MOST_KINDS_TOLD = 5

Parts = tuple[str, ...]


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in OF_THE_SYSTEM


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
    images : dict
        What can be read, by the parts of its name.
    folders : set
        By the parts of their names, with or without images.
    skipped : dict
        Paths of what is not taken, and why.
    """

    place: str
    images: dict[Parts, Any] = field(default_factory=dict)
    folders: set[Parts] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)

    def path(self, parts: Parts) -> str:
        return os.path.join(self.place, *parts)

    def top_folders(self) -> list[str]:
        return sorted({parts[0] for parts in self.folders} | {parts[0] for parts in self.images if len(parts) > 1})

    def below(self, name: str) -> Tree:
        """What lies in one of the top folders."""
        place = self.path((name,))
        return Tree(
            place,
            {parts[1:]: image for parts, image in self.images.items() if parts[0] == name and len(parts) > 1},
            {parts[1:] for parts in self.folders if parts[0] == name and len(parts) > 1},
            {path: why for path, why in self.skipped.items() if path.startswith(place + os.sep)},
        )

    def by_class(self) -> tuple[list[Any], list[str], list[str]]:
        """The images sorted by class and then by path, the label of each, and the classes; the top folders are the classes.

        Names of classes are put into the composed form of Unicode, in which equal-looking names are equal.
        """
        loose = [parts for parts in self.images if len(parts) == 1]
        folders = self.top_folders()
        self._refuse_other_layouts(folders, len(loose))
        self._refuse_empty(folders)
        names = self._composed(folders)
        self.skipped |= {self.path(parts): BESIDE for parts in sorted(loose)}
        placed = sorted(parts for parts in self.images if len(parts) > 1)
        return [self.images[parts] for parts in placed], [names[parts[0]] for parts in placed], sorted(names.values())

    def warn_of_skipped(self) -> None:
        """One warning that counts what was skipped, by kind; hidden things are not counted."""
        kinds = Counter(why for why in self.skipped.values() if why != HIDDEN)
        if not kinds:
            return
        warnings.warn(
            f"{self.place!r}: skipped {_counted(kinds)}. ImageFolder.skipped and 'featrec check --json' list "
            "them; images of other formats need converting.",
            SkippedFileWarning,
            stacklevel=4,
        )

    def _refuse_other_layouts(self, folders: list[str], n_loose: int) -> None:
        if not folders:
            beside = f"; {n_loose} images lie in it directly" if n_loose else ""
            raise DatasetError(f"{self.place!r} holds no class folders{beside}. {LAYOUT}.")
        training = [name for name in folders if name.lower() in TRAINING]
        if training and len(folders) > 1 and {name.lower() for name in folders} <= SPLIT_NAMES:
            self._refuse_split(folders, training[0])

    def _refuse_split(self, folders: list[str], train: str) -> NoReturn:
        others = [name for name in folders if name != train]
        test = next((name for name in others if name.lower().startswith("test")), others[0])
        names = "" if (train, test) == ("train", "test") else f", train={train!r}, test={test!r}"
        raise DatasetError(
            f"{self.place!r} holds {folders}, which are no classes but parts of a split: "
            f"train, test = ImageFolder.split(path{names}) reads them; 'featrec train' and 'compare' take the folders as "
            f"{train} and --test {test}."
        )

    def _refuse_empty(self, folders: list[str]) -> None:
        used = {parts[0] for parts in self.images if len(parts) > 1}
        empty = [name for name in folders if name not in used]
        if empty:
            places = tuple(self.path((name, "")) for name in empty)
            others = _counted(Counter(why for path, why in self.skipped.items() if why != HIDDEN and path.startswith(places)))
            raise DatasetError(
                f"the class folders {empty} of {self.place!r} hold no image{f' but {others}' if others else ''}. Remove them, "
                f"or put images in, of these suffixes: {', '.join(suffixes())}."
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
                f"{' and '.join(map(ascii, alike))}. Move the images of one into the other, or rename it."
            )
        return names


def _counted(kinds: Counter[str]) -> str:
    """The commonest kinds of what was skipped, those first behind which images may be missing."""
    ranked = sorted(kinds, key=lambda kind: (kind not in (BESIDE, LINK), -kinds[kind], kind))
    told = [f"{kind} ({kinds[kind]})" for kind in ranked[:MOST_KINDS_TOLD]]
    others = sum(kinds[kind] for kind in ranked[MOST_KINDS_TOLD:])
    return ", ".join([*told, f"and {others} more"] if others else told)


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
            f"the folder {place!r} cannot be listed ({error.strerror}), so its images would be missing without a word. "
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
        tree.images[parts] = FileImage(path, None if kind is None else Stamp.of(kind))
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
