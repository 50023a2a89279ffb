"""ImageFolder: images in folders, one folder for each class."""

from __future__ import annotations

import os
from typing import Any, NoReturn, Self

import numpy as np

from featrec.datasets._damaged import check_on_error, find_damaged, kept_rows
from featrec.datasets._manifest import is_manifest, read_manifest
from featrec.datasets._place import half_trees, is_archive, refuse_unknown_classes, tree_of
from featrec.datasets._sequence import LabeledSequence
from featrec.datasets._tree import Tree
from featrec.exceptions import InputError
from featrec.lazy import Failures

__all__ = ["ImageFolder"]


class ImageFolder(LabeledSequence):
    """Images in folders, one folder for each class; an image is decoded when it is asked for.

    The folders may lie in an archive (.zip, .tar, .tar.gz, .tgz), which is not unpacked, and a manifest (.csv) may name
    images and labels instead. It is sliced like an array of shape (n,); a part is a view.

    Below a class folder images may lie at any depth; the folder at the top is the class. Hidden files and folders, files
    whose suffix is of no format that can be decoded here, files beside the class folders and links to folders inside them
    are skipped; one warning counts them, the hidden ones apart. Of an animation or a file of several pages the first is taken.

    An image must be the one that was listed: reading one that is gone, or whose size or time of writing is another, is an
    error that says so.

    Parameters
    ----------
    path : str or path
        The folder or archive that holds the class folders, or a manifest with the columns ``path`` and ``label``
        (:meth:`from_manifest` takes other names).
    on_error : {"raise", "drop"}, default="raise"
        What happens to damaged files: an error that names the file when its turn comes, or every file is decoded once now,
        and those that cannot be are left out, labels with them; one warning counts them and `dropped` lists them.
    n_jobs : int, optional
        Threads for ``on_error="drop"``.
    verbose : int, default=0
        1 tells the progress of ``on_error="drop"`` on the standard error.

    Attributes
    ----------
    labels : array of str of shape (n,)
        The name of each image's class folder.
    classes : list of str
        The names of the class folders, sorted; a part keeps them all.
    paths : list of str
        In the order of the images, which is sorted by class and then by path, whatever the file system's order; of a
        manifest the order of its rows. In an archive, the archive's path goes before.
    metadata : dict of arrays of str of shape (n,)
        The further columns of a manifest.
    skipped : list of str
        Paths of what was not taken.
    dropped : sequence of Failure
        The files that ``on_error="drop"`` left out: ``index`` among all files, ``item`` (the path) and ``reason``. They are
        in no part of the folder, so a part has none.
    shape : tuple
        ``(n,)``.

    Raises
    ------
    DatasetError
        Where there is no such folder, it cannot be listed, it has no class folders, or a class folder holds no image; two
        class folders have names that look the same; an archive is damaged, encrypted, unpacks to far more than it should, or
        has names that lead out of it or stand in it twice; a row of a manifest is wrong; or ``on_error="drop"`` leaves none.

    Warns
    -----
    SkippedFileWarning
        Where files were skipped that are not hidden, with their number by suffix.
    DroppedImageWarning
        Where ``on_error="drop"`` left files out.

    Notes
    -----
    Names that differ only in case are different names. Labels are in the composed form of Unicode (NFC), so that a name means
    the same wherever its folder was packed.

    One folder around all the class folders of an archive is not taken for a class. Of archives, links, devices and archives
    inside are skipped. Each image is read from where it lies and checked: in a .zip against its checksum, in a .tar.gz with
    the whole when it is listed; a .tar has checksums of its headers only.

    A .tar.gz is unpacked once, in pieces, while it is listed. Marks are kept on the way, 20 MB at most, from which reading
    goes on later, so that an image costs a quarter of a megabyte of unpacking at most before its own, and more in archives
    of more than 128 MB unpacked. A process that such an archive is sent to makes its own marks. Where that is too slow, a
    .zip or .tar is not.

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

    def __init__(self, path: str | os.PathLike, *, on_error: str = "raise", n_jobs: int | None = None, verbose: int = 0):
        check_on_error(on_error)
        name = os.fsdecode(path)
        if is_manifest(name):
            self._hold_manifest(name, "path", "label", None, on_error)
        else:
            self._hold_tree(name, tree_of(name))
        if on_error == "drop":
            self._drop_damaged(n_jobs, verbose)

    @classmethod
    def from_manifest(
        cls,
        manifest: str | os.PathLike,
        *,
        path: str = "path",
        label: str = "label",
        root: str | os.PathLike | None = None,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> Self:
        """The images that a CSV names, with their labels.

        Parameters
        ----------
        manifest : str or path
            A CSV in UTF-8 with a header; commas, semicolons or tabs divide its cells.
        path, label : str, default="path", "label"
            The columns of the images' paths and of their labels.
        root : str or path, optional
            The folder that relative paths start at, and that all images lie below; the manifest's folder by default.
        on_error, n_jobs, verbose
            As of ImageFolder. Rows whose file is missing are dropped, too.

        Returns
        -------
        folder : ImageFolder
            In the order of the rows. All further columns are its ``metadata``.

        Raises
        ------
        DatasetError
            Which names line, column, value and way out: where a column is missing, a cell empty, an image missing, named
            twice or not below the root, or the file no CSV.

        Examples
        --------
        A part by a column, and groups for a comparison that keeps each person on one side:

        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> from featrec.datasets import ImageFolder
        >>> with TemporaryDirectory() as root:
        ...     for name in ("1.png", "2.png"):
        ...         Image.new("L", (6, 4)).save(Path(root, name))
        ...     table = Path(root, "images.csv")
        ...     _ = table.write_text("path,label,person\\n1.png,smile,Ada\\n2.png,frown,Alan\\n")
        ...     folder = ImageFolder.from_manifest(table)
        >>> folder.labels.tolist(), folder.column("person").tolist()
        (['smile', 'frown'], ['Ada', 'Alan'])
        >>> folder[folder.column("person") == "Ada"].labels.tolist()
        ['smile']
        """
        check_on_error(on_error)
        folder = cls.__new__(cls)
        folder._hold_manifest(os.fsdecode(manifest), path, label, None if root is None else os.fsdecode(root), on_error)
        if on_error == "drop":
            folder._drop_damaged(n_jobs, verbose)
        return folder

    @classmethod
    def split(
        cls,
        path: str | os.PathLike,
        *,
        train: str = "train",
        test: str = "test",
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> tuple[Self, Self]:
        """The two halves of a folder or archive that holds a training and a test folder, each with class folders.

        Parameters
        ----------
        path : str or path
            The folder or archive that holds both.
        train, test : str, default="train", "test"
            Their names.
        on_error, n_jobs, verbose
            As of ImageFolder, for both halves.

        Returns
        -------
        train, test : ImageFolder
            With the same classes. A class may be missing from the test folder.

        Raises
        ------
        DatasetError
            Where one of the two is missing, or the test folder has classes that the training folder has not.
        """
        check_on_error(on_error)
        name = os.fsdecode(path)
        halves = cls.__new__(cls), cls.__new__(cls)
        for half, tree in zip(halves, half_trees(name, (train, test)), strict=True):
            half._hold_tree(tree.place, tree)
        refuse_unknown_classes(*halves)
        halves[1].classes = list(halves[0].classes)
        for half in halves if on_error == "drop" else ():
            half._drop_damaged(n_jobs, verbose)
        return halves

    @staticmethod
    def is_split(path: str | os.PathLike, *, train: str = "train", test: str = "test") -> bool:
        """Whether `split` would find both halves in a folder or an archive.

        Parameters
        ----------
        path : str or path
        train, test : str, default="train", "test"

        Returns
        -------
        bool
        """
        name = os.fsdecode(path)
        if os.path.isdir(name):
            return all(os.path.isdir(os.path.join(name, half)) for half in (train, test))
        return is_archive(name) and {train, test} <= set(tree_of(name).top_folders())

    def _hold_tree(self, path: str, tree: Tree) -> None:
        images, labels, classes = tree.by_class()
        self._hold(path, images, labels, classes, list(tree.skipped), {})
        tree.warn_of_skipped()

    def _hold_manifest(self, manifest: str, path: str, label: str, root: str | None, on_error: str) -> None:
        images, labels, columns = read_manifest(manifest, path, label, root, keep_missing=on_error == "drop")
        self._hold(manifest, images, labels, sorted(set(labels)), [], columns)

    def _hold(
        self,
        path: str,
        images: list,
        labels: list[str] | np.ndarray,
        classes: list[str],
        skipped: list[str],
        columns: dict[str, np.ndarray],
    ) -> None:
        super().__init__(images, np.array(labels, dtype=str), classes)
        self.path = path
        self.skipped = skipped
        self.dropped = Failures()
        self._columns = columns

    def _drop_damaged(self, n_jobs: int | None, verbose: int) -> None:
        dropped = self.damaged(n_jobs=n_jobs, verbose=verbose)
        if dropped:
            kept = kept_rows(self.path, self.labels, dropped)
            columns = {name: values[kept] for name, values in self._columns.items()}
            items = [self._store[row] for row in kept]
            self._hold(self.path, items, self.labels[kept], self.classes, self.skipped, columns)
            self.dropped = dropped

    def damaged(self, *, n_jobs: int | None = None, verbose: int = 0) -> Failures:
        """Decode every image once, and list those that cannot be read, before an hour of work finds them.

        Parameters
        ----------
        n_jobs : int, optional
        verbose : int, default=0
            1 tells the progress on the standard error.

        Returns
        -------
        failures : sequence of Failure
            Each with ``index``, ``item`` (the path) and ``reason``. Nothing is kept of the others.
        """
        return find_damaged(self, n_jobs=n_jobs, verbose=verbose)

    def take(self, rows: np.ndarray) -> Self:
        """The images at some positions, as a view; none of them was dropped."""
        part = super().take(rows)
        part.dropped = Failures()
        return part

    @property
    def paths(self) -> list[str]:
        return [self._store[row].path for row in self._rows.tolist()]

    @property
    def metadata(self) -> dict[str, np.ndarray]:
        return {name: values[self._rows] for name, values in self._columns.items()}

    def column(self, name: str) -> np.ndarray:
        """One further column of the manifest, for ``groups`` in a comparison or to choose a part.

        Parameters
        ----------
        name : str

        Returns
        -------
        values : array of str of shape (n,)
            An empty cell is an empty string.

        Raises
        ------
        InputError
            Where there is no such column.
        """
        if name in self._columns:
            return self._columns[name][self._rows]
        raise InputError(
            f"{self.path!r} has no further column {name!r}; it has {sorted(self._columns)}. "
            "Columns come from a manifest: ImageFolder.from_manifest(csv)."
        )

    def name(self, position: int) -> str:
        """The path of an image."""
        return self._store[int(self._rows[position])].path

    def __getstate__(self) -> dict:
        state = super().__getstate__()
        if state["_store"] is not self._store:
            state["_columns"] = self.metadata
        return state

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise InputError(
            "an ImageFolder is read image by image and is no array. Give it to a recipe or an extractor as it is; "
            "folder.paths and folder.labels are what a table needs; [folder[i] for i in ...] holds images."
        )

    def __repr__(self) -> str:
        return f"ImageFolder({len(self)} images, {len(self.classes)} classes, {self.path!r})"

    def _image(self, item: Any) -> np.ndarray:
        return item.read()
