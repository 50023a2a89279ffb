"""ImageFolder: images in folders, one folder for each class."""

from __future__ import annotations

import os
from typing import Any, NoReturn, Self

import numpy as np

from featrec.datasets._dataset import LabeledSequence, check_on_error, find_damaged, kept_rows
from featrec.datasets._manifest import is_manifest, read_manifest
from featrec.datasets._place import half_trees, is_archive, refuse_unknown_classes, tree_of
from featrec.datasets._tree import Tree
from featrec.exceptions import InputError
from featrec.lazy import Failures
from featrec.shared_docs import with_shared_docs

__all__ = ["ImageFolder"]


@with_shared_docs
class ImageFolder(LabeledSequence):
    """Images in folders, one folder per class; each image is decoded when it is accessed.

    The folders may be in an archive (.zip, .tar, .tar.gz, .tgz), which is not unpacked to disk. Instead of folders, a manifest
    (.csv) may list images and labels. An ImageFolder is sliced like an array of shape (n,); a slice is a view.

    Class folders may contain subfolders at any depth; the top folder is the class. The following are skipped: hidden files and
    folders, files without the suffix of a supported image format, files next to the class folders, and links to folders inside
    the class folders. One warning states the number of skipped files, not counting hidden files. If a file contains an
    animation or several pages, the first image is used.

    It is an error to read an image that was deleted or changed (in size or modification time) after it was listed.

    Parameters
    ----------
    path : str or path
        The folder or archive with the class folders, or a manifest with the columns ``path`` and ``label`` (see
        :meth:`from_manifest` for other names).
    on_error : {"raise", "drop"}, default="raise"
        How to handle damaged files. "raise" raises an error that names the file when the file is accessed. "drop" immediately
        decodes every file once, with `n_jobs` threads, and leaves out damaged files and their labels; one warning states their
        number, and `dropped` lists them.

    Attributes
    ----------
    labels : array of str of shape (n,)
        The name of the class folder of each image.
    classes : list of str
        The names of the class folders, sorted. A slice has the same classes.
    paths : list of str
        Paths of the images, sorted by class and then by path; with a manifest, in the order of its rows. Paths in an archive
        start with the path of the archive.
    metadata : dict of arrays of str of shape (n,)
        The other columns of a manifest.
    skipped : list of str
        Paths of skipped files.
    dropped : sequence of Failure
        The files that ``on_error="drop"`` left out, each with ``index`` (its position among all files), ``item`` (its path)
        and ``reason``. Empty for slices.
    shape : tuple
        ``(n,)``.

    Raises
    ------
    DatasetError
        If the folder is missing or cannot be listed; if there are no class folders, or if one is empty; if the names of two
        class folders look the same; if an archive is damaged, encrypted or a zip bomb, or contains duplicate names or paths
        that lead outside the archive; if a row of a manifest is invalid; or if ``on_error="drop"`` leaves no image.

    Notes
    -----
    Class names are case-sensitive. Labels use the composed form of Unicode (NFC), so they are the same on every system.

    In an archive, a single folder that contains all class folders is not treated as a class. Links, devices and nested archives
    are skipped. In a .zip, the checksum of each image is verified when the image is read. In a .tar.gz, the checksum of the
    whole archive is verified when it is listed. A .tar contains checksums of its headers only.

    A .tar.gz is unpacked once while it is listed, and restart points are stored (at most 20 MB in each process). To read an
    image later, unpacking starts at the last restart point before the image: about a quarter of a megabyte is unpacked in
    addition to the image, or more in archives larger than 128 MB. Reading from a .zip or .tar is faster.

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
        """Create an ImageFolder from a CSV file that lists images and labels.

        Parameters
        ----------
        manifest : str or path
            A CSV file in UTF-8 with a header, separated by commas, semicolons or tabs.
        path, label : str, default="path", "label"
            Names of the columns that contain the paths and the labels.
        root : str or path, optional
            Folder that contains all images; relative paths start there. Default: the folder of the manifest.
        on_error, n_jobs, verbose
            As in ImageFolder. "drop" also leaves out rows whose file is missing.

        Returns
        -------
        folder : ImageFolder
            Images in the order of the rows; ``metadata`` contains the other columns.

        Raises
        ------
        DatasetError
            If the file is not a CSV, a column is missing, a cell is empty, or an image is missing, listed twice or outside
            the root. The message names the line, the column and the value, and suggests a solution.

        Examples
        --------
        Use a column to select a subset. (The same column can be the ``groups`` of a comparison, so that no person is in both
        the training set and the test set.)

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
        """Read a training set and a test set from two folders that contain class folders.

        Parameters
        ----------
        path : str or path
            Folder or archive that contains both folders.
        train, test : str, default="train", "test"
            Names of the two folders.
        on_error, n_jobs, verbose
            As in ImageFolder; they apply to both folders.

        Returns
        -------
        train, test : ImageFolder
            Both have the classes of the training folder; the test folder may lack some of them.

        Raises
        ------
        DatasetError
            If one of the folders is missing, or if the test folder has classes that the training folder lacks.
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
        """Return whether a folder or archive contains the two folders that `split` needs."""
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
        self.metadata = columns

    def _drop_damaged(self, n_jobs: int | None, verbose: int) -> None:
        dropped = self.damaged(n_jobs=n_jobs, verbose=verbose)
        if dropped:
            kept = self.take(kept_rows(self.path, self.labels, dropped))
            self._hold(self.path, kept._items(), kept.labels, self.classes, self.skipped, kept.metadata)
            self.dropped = dropped

    @with_shared_docs
    def damaged(self, *, n_jobs: int | None = None, verbose: int = 0) -> Failures:
        """Decode every image once and list those that cannot be read, for example before a long computation.

        Returns
        -------
        failures : sequence of Failure
            Each has ``index``, ``item`` (the path) and ``reason``. Decoded images are discarded.
        """
        return find_damaged(self, n_jobs=n_jobs, verbose=verbose)

    def take(self, rows: np.ndarray) -> Self:
        """Return the images at the given positions, as a view with an empty `dropped`."""
        part = super().take(rows)
        part.positions = np.arange(len(part))  # positions start at 0 again, because errors also contain the path
        part.metadata = {name: values[rows] for name, values in self.metadata.items()}
        part.dropped = Failures()
        return part

    @property
    def paths(self) -> list[str]:
        return [image.path for image in self._items()]

    def column(self, name: str) -> np.ndarray:
        """Return another column of the manifest, to select a subset or to use as ``groups``; empty cells become ""."""
        if name in self.metadata:
            return self.metadata[name]
        raise InputError(
            f"{self.path!r} has no column {name!r}; it has {sorted(self.metadata)}. "
            "Only manifests have columns; see ImageFolder.from_manifest."
        )

    def name(self, position: int) -> str:
        """Return the path of an image."""
        return self.source[int(self.rows[position])].path

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise InputError(
            "an ImageFolder is read image by image and cannot become one array. Pass it directly to a recipe or an extractor; "
            "use folder.paths and folder.labels for a table, or [folder[i] for i in ...] to load images."
        )

    def __repr__(self) -> str:
        return f"ImageFolder({len(self)} images, {len(self.classes)} classes, {self.path!r})"

    def _items(self) -> list[Any]:
        return [self.source[row] for row in self.rows.tolist()]

    def _item(self, stored: Any) -> np.ndarray:
        return stored.read()
