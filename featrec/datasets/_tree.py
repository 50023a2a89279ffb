"""Tree: the images and classes in a folder or archive. FileImage: an image file and its state when it was listed."""

from __future__ import annotations

import os
import stat
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np

from featrec.exceptions import ChangedImageError, DatasetError, MissingImageError, SkippedFileWarning, UnreadableImageError
from featrec.images import is_image_name, read_image, suffixes

__all__ = ["FileImage", "Stamp", "Tree", "folder_tree", "is_hidden", "what_it_is"]

TRAINING = {"train", "training"}
SPLIT_NAMES = {*TRAINING, "test", "testing", "val", "valid", "validation", "eval", "dev"}
WAY_OUT = "create the ImageFolder again, and refit models that were fitted on it"
LAYOUT = "The layout of a folder of images is class/image.jpg"
# Files that macOS adds to archives, and thumbnails and settings that Windows adds to folders.
OF_THE_SYSTEM = {"__macosx", "thumbs.db", "desktop.ini"}

# Reasons for skipping files. For an unsupported suffix, the reason is the suffix itself. Hidden files are not reported.
HIDDEN = ""
BESIDE, LINK, DEVICE, OTHER = "images next to the class folders", "linked folders", "links, pipes or devices", "other names"
LONGEST_SUFFIX = 10
MOST_KINDS_SHOWN = 5

Parts = tuple[str, ...]


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in OF_THE_SYSTEM


def what_it_is(name: str, *, is_file: bool) -> str | None:
    """Return the reason why a file is skipped, or None for an image."""
    if is_image_name(name):
        return None if is_file else DEVICE
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if 1 < len(suffix) <= LONGEST_SUFFIX and suffix.isprintable() else OTHER


@dataclass
class Tree:
    """The content of a folder or archive, whose path is `place`. All other paths are relative and split into parts.

    `skipped` contains the paths of skipped files, with the reasons. No file is opened.
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
        """Return the tree inside one of the top folders."""
        place = self.path((name,))
        return Tree(
            place,
            {parts[1:]: image for parts, image in self.images.items() if parts[0] == name and len(parts) > 1},
            {parts[1:] for parts in self.folders if parts[0] == name and len(parts) > 1},
            {path: why for path, why in self.skipped.items() if path.startswith(place + os.sep)},
        )

    def by_class(self) -> tuple[list[Any], list[str], list[str]]:
        """Return the images sorted by class and path, their labels, and the classes. Each top folder is a class.

        Class names are converted to the composed form of Unicode, so names that look the same are equal.
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
        """Warn once about skipped files, with the number of each type; hidden files are not counted."""
        kinds = Counter(why for why in self.skipped.values() if why != HIDDEN)
        if not kinds:
            return
        warnings.warn(
            f"{self.place!r}: skipped {_counted(kinds)}. ImageFolder.skipped and 'featrec check --json' list "
            "them; convert images in unsupported formats.",
            SkippedFileWarning,
            stacklevel=4,
        )

    def _refuse_other_layouts(self, folders: list[str], n_loose: int) -> None:
        if not folders:
            beside = f"; it contains {n_loose} images directly" if n_loose else ""
            raise DatasetError(f"{self.place!r} contains no class folders{beside}. {LAYOUT}.")
        training = [name for name in folders if name.lower() in TRAINING]
        if training and len(folders) > 1 and {name.lower() for name in folders} <= SPLIT_NAMES:
            self._refuse_split(folders, training[0])

    def _refuse_split(self, folders: list[str], train: str) -> NoReturn:
        others = [name for name in folders if name != train]
        test = next((name for name in others if name.lower().startswith("test")), others[0])
        names = "" if (train, test) == ("train", "test") else f", train={train!r}, test={test!r}"
        raise DatasetError(
            f"{self.place!r} contains {folders}, which are parts of a split, not classes: use "
            f"train, test = ImageFolder.split(path{names}), or pass the folders {train} and --test {test} to 'featrec train' "
            "or 'featrec compare'."
        )

    def _refuse_empty(self, folders: list[str]) -> None:
        used = {parts[0] for parts in self.images if len(parts) > 1}
        empty = [name for name in folders if name not in used]
        if empty:
            places = tuple(self.path((name, "")) for name in empty)
            others = _counted(Counter(why for path, why in self.skipped.items() if why != HIDDEN and path.startswith(places)))
            raise DatasetError(
                f"the class folders {empty} of {self.place!r} contain no image{f', only {others}' if others else ''}. "
                f"Remove them, or add images with these suffixes: {', '.join(suffixes())}."
            )

    def _composed(self, folders: list[str]) -> dict[str, str]:
        names: dict[str, str] = {}
        for folder in folders:
            if not _is_text(folder):
                raise DatasetError(
                    f"the name of the class folder {self.path((folder,))!r} is not valid UTF-8, so it cannot become a label; "
                    "rename it, or pack the archive again with names in UTF-8."
                )
            names[folder] = unicodedata.normalize("NFC", folder)
        for name, alike in _alike(names):
            raise DatasetError(
                f"{self.place!r} has class folders whose names look the same ({name!r}) but consist of different characters: "
                f"{' and '.join(map(ascii, alike))}. Merge the folders, or rename one."
            )
        return names


def _counted(kinds: Counter[str]) -> str:
    """List the most common types of skipped files, starting with types that may be images."""
    ranked = sorted(kinds, key=lambda kind: (kind not in (BESIDE, LINK), -kinds[kind], kind))
    shown = [f"{kind} ({kinds[kind]})" for kind in ranked[:MOST_KINDS_SHOWN]]
    others = sum(kinds[kind] for kind in ranked[MOST_KINDS_SHOWN:])
    return ", ".join([*shown, f"and {others} more"] if others else shown)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _alike(names: dict[str, str]) -> Iterable[tuple[str, list[str]]]:
    """Yield the class names that several folders share, with these folders."""
    folders: dict[str, list[str]] = {}
    for folder, name in names.items():
        folders.setdefault(name, []).append(folder)
    return ((name, alike) for name, alike in folders.items() if len(alike) > 1)


def folder_tree(root: Path) -> Tree:
    """List the content of a folder. A class folder may be a link; links to folders inside it are skipped, to avoid cycles."""
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
            f"the folder {place!r} cannot be listed ({error.strerror}), so its images cannot be found. "
            "Make it readable, or move it elsewhere."
        ) from error


def _takes_folder(tree: Tree, parts: Parts) -> bool:
    """Add an entry to the tree, and return whether it is a folder to descend into."""
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
    """Return the status of the file that a path leads to, or None for a broken or circular link."""
    try:
        return os.stat(path)
    except OSError:
        return None


def _leads_back(link: str, root: str) -> bool:
    """Return whether a link leads to a folder that contains the link."""
    target = Path(os.path.realpath(link))
    return Path(os.path.realpath(root)).is_relative_to(target)


class Stamp(NamedTuple):
    """Size and modification time of a file, to detect changes since it was listed."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        return cls(found.st_size, found.st_mtime_ns)

    def compare(self, found: os.stat_result, path: str, kind: str = "file") -> None:
        """Raise an error if the file has changed."""
        if stat.S_ISREG(found.st_mode) and Stamp.of(found) == self:
            return
        if not stat.S_ISREG(found.st_mode):
            what = "it is no longer a file"
        elif found.st_size != self.size:
            what = f"its size was {self.size} bytes and is now {found.st_size} bytes"
        else:
            what = f"its size is still {self.size} bytes, but its modification time is different"
        raise ChangedImageError(f"the {kind} changed after it was listed ({what}); {WAY_OUT}", item=path)


class FileImage(NamedTuple):
    """An image file. If the file did not exist when it was listed in a manifest, its stamp is None."""

    path: str
    stamp: Stamp | None

    def read(self) -> np.ndarray:
        """Decode the image. If the file changed since it was listed, raise an error."""
        if self.stamp is not None:
            self.stamp.compare(found(self.path), self.path)
        elif os.path.islink(self.path) and not os.path.exists(self.path):
            raise MissingImageError("this is a link to a missing file; remove the link, or restore the file", item=self.path)
        return read_image(self.path)


def found(path: str, kind: str = "file") -> os.stat_result:
    """Return the current status of the file."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingImageError(f"the {kind} was deleted after it was listed. Restore it, or {WAY_OUT}", item=path) from None
    except OSError as error:
        raise UnreadableImageError(f"cannot be opened ({error})", item=path) from error
