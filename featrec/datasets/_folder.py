"""ImageFolder: pictures in folders, one folder for each class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np

from featrec.datasets._sequence import LabeledSequence
from featrec.exceptions import DatasetError, InputError
from featrec.images import read_image

__all__ = ["ImageFolder"]

SUFFIXES = (
    *(".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)
SPLIT_NAMES = {"train", "test", "val", "valid", "validation"}
LAYOUT = "A folder of pictures is laid out as class/picture.jpg"


class ImageFolder(LabeledSequence):
    """Pictures in folders, one folder for each class; a picture is decoded when it is asked for.

    It is sliced like an array of shape (n,); a part is a view. Below a class folder pictures may lie at any depth. Hidden
    files and folders, files without a picture's suffix, files beside the class folders and links to folders inside them are
    skipped.

    Parameters
    ----------
    path : str or path
        The folder that holds the class folders.

    Attributes
    ----------
    labels : array of str of shape (n,)
        The name of each picture's class folder.
    classes : list of str
        The names of the class folders, sorted; a part keeps them all.
    paths : list of str
        In the order of the pictures, which is sorted by class and then by path, whatever the file system's order.
    skipped : list of str
        Paths of what was not taken.
    shape : tuple
        ``(n,)``.

    Raises
    ------
    DatasetError
        Where there is no such folder, it is a file, it has no class folders, or a class folder holds no picture.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from featrec.datasets import ImageFolder
    >>> with TemporaryDirectory() as root:
    ...     for name in ("cat/1.png", "dog/a/2.png", "dog/3.png"):
    ...         path = Path(root, name)
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("L", (6, 4)).save(path)
    ...     folder = ImageFolder(root)
    ...     folder.classes, folder.labels.tolist(), folder[0].shape
    (['cat', 'dog'], ['cat', 'dog', 'dog'], (4, 6))
    """

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        self.skipped: list[str] = []
        root = _checked_root(Path(path))
        paths: list[str] = []
        labels: list[str] = []
        classes = _class_folders(root, self.skipped)
        for folder in classes:
            found = _pictures(folder, self.skipped)
            paths += found
            labels += [folder.name] * len(found)
        _refuse_empty_classes(root, classes, labels)
        super().__init__(paths, np.array(labels, dtype=str), [folder.name for folder in classes])

    @classmethod
    def split(cls, path: str | os.PathLike, *, train: str = "train", test: str = "test") -> tuple[Self, Self]:
        """The two halves of a folder that holds a training and a test folder, each with class folders.

        Parameters
        ----------
        path : str or path
            The folder that holds both.
        train, test : str, default="train", "test"
            Their names.

        Returns
        -------
        train, test : ImageFolder
            With the same classes. A class may be missing from the test folder.

        Raises
        ------
        DatasetError
            Where one of the two is missing, or the test folder has classes that the training folder has not.
        """
        root = _checked_root(Path(path))
        missing = [name for name in (train, test) if not (root / name).is_dir()]
        if missing:
            raise DatasetError(
                f"{os.fspath(root)!r} has no folder {' and no folder '.join(map(repr, missing))}; it has {_listed(root)}. "
                "Name the two folders (train=..., test=...); one folder of classes is read by ImageFolder(path)."
            )
        halves = cls(root / train), cls(root / test)
        unknown = sorted(set(halves[1].classes) - set(halves[0].classes))
        if unknown:
            lacking = sorted(set(halves[0].classes) - set(halves[1].classes))
            beside = f" (and lacks {lacking})" if lacking else ""
            raise DatasetError(
                f"{os.fspath(root / test)!r} has the classes {unknown}{beside}, which {os.fspath(root / train)!r} has not; "
                "nothing can be learned about them. Rename them alike, or take them out."
            )
        halves[1].classes = list(halves[0].classes)
        return halves

    @property
    def paths(self) -> list[str]:
        return [self._store[row] for row in self._rows.tolist()]

    def name(self, position: int) -> str:
        """The path of a picture."""
        return self._store[int(self._rows[position])]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise InputError(
            "an ImageFolder is read picture by picture and is no array. Give it to a recipe or an extractor as it is; "
            "folder.paths and folder.labels are what a table needs; [folder[i] for i in ...] holds pictures."
        )

    def __repr__(self) -> str:
        return f"ImageFolder({len(self)} pictures, {len(self.classes)} classes, {self.path!r})"

    def _picture(self, item: Any) -> np.ndarray:
        return read_image(item)


def _checked_root(root: Path) -> Path:
    if not root.exists():
        raise DatasetError(f"there is no folder {os.fspath(root)!r}; check the path and the working directory ({os.getcwd()})")
    if not root.is_dir():
        raise DatasetError(f"{os.fspath(root)!r} is a file. {LAYOUT}; one picture is read by featrec.images.read_image.")
    return root


def _class_folders(root: Path, skipped: list[str]) -> list[Path]:
    """The folders that are not hidden, sorted by name."""
    folders = []
    for entry in sorted(root.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith("."):
            folders.append(entry)
        else:
            skipped.append(os.fspath(entry))
    names = {folder.name for folder in folders}
    if not folders:
        loose = sum(Path(path).suffix.lower() in SUFFIXES for path in skipped)
        beside = f"; {loose} pictures lie in it directly" if loose else ""
        raise DatasetError(f"{os.fspath(root)!r} holds no class folders{beside}. {LAYOUT}.")
    if "train" in names and len(names) > 1 and names <= SPLIT_NAMES:
        raise DatasetError(
            f"{os.fspath(root)!r} holds {sorted(names)}, which are no classes but parts of a split: "
            "train, test = ImageFolder.split(path) reads them."
        )
    return folders


def _pictures(folder: Path, skipped: list[str]) -> list[str]:
    """The pictures below a class folder, sorted by path."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        hidden = [name for name in folders if name.startswith(".") or os.path.islink(os.path.join(place, name))]
        folders[:] = sorted(set(folders) - set(hidden))
        skipped += [os.path.join(place, name) for name in sorted(hidden)]
        for name in sorted(files):
            path = Path(place, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                skipped.append(os.fspath(path))
            else:
                found.append(path)
    return [os.fspath(path) for path in sorted(found, key=lambda path: path.parts)]


def _refuse_empty_classes(root: Path, classes: list[Path], labels: list[str]) -> None:
    empty = [folder.name for folder in classes if folder.name not in set(labels)]
    if empty:
        raise DatasetError(
            f"the class folders {empty} of {os.fspath(root)!r} hold no picture ({', '.join(SUFFIXES)}). "
            "Remove them, or put pictures in."
        )


def _listed(root: Path) -> list[str]:
    """A few names, for a message."""
    names = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    return names if len(names) <= 8 else [*names[:8], "..."]
