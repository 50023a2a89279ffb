"""Write a model to a file that can be read without executing anything."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from pathlib import Path, PurePath
from typing import Any, BinaryIO, cast

import numpy as np
from sklearn.base import BaseEstimator

from featrec.callbacks import without_callbacks
from featrec.exceptions import InputError, ModelFileError
from featrec.persistence._archive import SCHEMA, pack
from featrec.persistence._bounds import check_settings, drop_locations
from featrec.persistence._large_arrays import TOKEN_BYTES, Content, estimators_in, with_stand_ins
from featrec.persistence._origin import installed_versions
from featrec.persistence._schema import (
    INTERNALS,
    LOADERS,
    Node,
    full_name,
    make_tree,
    nodes,
    plain_node,
    plain_value,
    public_module,
)
from featrec.persistence._summary import SUMMARY, packed_summary

__all__ = ["model_bytes", "save"]


def save(model: BaseEstimator, path: str | os.PathLike, *, summary: Any = None) -> None:
    """Write a model to a file, which :func:`load` reads without executing anything.

    The file is a compressed zip file. It contains a JSON header (versions, public names of the classes, labels, a hash of
    everything), the structure of the model as JSON, and its arrays. The file is written completely or not at all. The same
    model always gives the same bytes.

    Parameters
    ----------
    model : estimator
        Any scikit-learn estimator, fitted or not. If it contains your own classes, pass them to :func:`load` as `trusted`.
    path : path
        File to write. An existing file is replaced.
    summary : TrainingSummary, optional
        Kept beside the model. :meth:`featrec.evaluation.TrainingSummary.load` reads it; :func:`load` only checks it, so it must
        be given again when a loaded model is saved.

    Raises
    ------
    InputError
        If `model` is not an estimator, or contains something that cannot be saved, such as a lambda, an open file or a bound
        method.

    Notes
    -----
    The cache locations of pipelines (``memory``) and extractors (``cache``) are not written. For a fitted ``CNNFeatures``, the
    network is written, with its file name but without the folder. For a torch module in ``PixelsNetwork`` or ``FineTuned``, an
    ONNX export is written, with the name of the module. All other parameters are written unchanged, including paths
    of files. If several objects share a part, each loaded object has its own copy.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn.svm import LinearSVC
    >>> from featrec.persistence import load, save
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.featrec"
    >>> save(LinearSVC(C=3.0).fit([[0.0], [1.0]], ["cat", "dog"]), path)
    >>> load(path).predict([[0.9]])
    array(['dog'], dtype='<U3')
    """
    facts, members = _contents(model)
    if summary is not None:
        members[SUMMARY] = packed_summary(summary)
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            pack(file, facts, members)
        os.chmod(temporary, _file_mode())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def model_bytes(model: BaseEstimator) -> int:
    """Return the size in bytes of the file that :func:`save` would write.

    Parameters
    ----------
    model : estimator

    Returns
    -------
    n_bytes : int
    """
    counted = _Counted()
    pack(cast(BinaryIO, counted), *_contents(model))
    return counted.size


class _Counted:
    """A file-like object that counts bytes and stores nothing."""

    def __init__(self) -> None:
        self.size = self.place = 0

    def write(self, data: Any) -> int:
        n_bytes = memoryview(data).nbytes
        self.place += n_bytes
        self.size = max(self.size, self.place)
        return n_bytes

    def tell(self) -> int:
        return self.place

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        self.place = place + {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.size}[whence]
        return self.place

    def truncate(self) -> None:
        self.size = self.place

    def flush(self) -> None:
        """Do nothing, because nothing is buffered."""


def _file_mode() -> int:
    """Return the mode that open() would set. In contrast, files created by mkstemp are readable only by their owner."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _contents(model: Any) -> tuple[dict[str, Any], dict[str, Content]]:
    """Return the facts for the header, and the members."""
    if not isinstance(model, BaseEstimator):
        raise InputError(
            f"save expects a scikit-learn estimator; got {model if isinstance(model, type) else type(model).__name__}. "
            "Save several models one by one. Save results with their method to_json."
        )
    from skops.io import dumps

    with without_callbacks(estimators_in(model)):
        light, large = with_stand_ins(model)
    try:
        with without_callbacks(estimators_in(light)), zipfile.ZipFile(io.BytesIO(dumps(light))) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception as error:
        raise InputError(
            f"{type(model).__name__} contains something that cannot be saved ({error}); a model file can contain arrays, "
            "numbers, strings, estimators and functions that a module defines"
        ) from error
    schema = json.loads(members.pop(SCHEMA))
    make_tree(schema)
    contents = _publish(schema, {name: large.get(content[-TOKEN_BYTES:], content) for name, content in members.items()})
    contents[SCHEMA] = json.dumps(schema, separators=(",", ":")).encode()
    return _facts(model, schema), contents


def _publish(schema: Any, members: dict[str, Content]) -> dict[str, Content]:
    """Write public names to the schema, and number the members: skops would name them by memory addresses."""
    renamed: dict[str, str] = {}
    for node in nodes(schema):
        _write_path_as_text(node)
    for node in nodes(schema):
        drop_locations(node)
        if node["__loader__"] not in LOADERS or not str(node["__class__"]).isidentifier():
            raise InputError(
                f"{full_name(node)} cannot be saved: lambdas, bound methods, partials and operators have no name in a module. "
                "Define a function or a class at the top level of a module"
            )
        if str(node["__module__"]).split(".")[0] == "featrec":
            node["__module__"] = public_module(node["__module__"], node["__class__"])
        if isinstance(node.get("file"), str):
            suffix = node["file"].rpartition(".")[2]
            node["file"] = renamed.setdefault(node["file"], f"array-{len(renamed)}.{suffix}")
    arrays = {new: _without_padding(new, members[old]) for old, new in renamed.items()}
    _refuse_large_settings(schema, arrays)
    return arrays


def _refuse_large_settings(schema: Any, arrays: dict[str, Content]) -> None:
    """Raise an error for settings that would make load refuse the file."""
    try:
        for node in nodes(schema):
            check_settings(node, arrays)
    except ModelFileError as error:
        raise InputError(str(error)) from None


def _write_path_as_text(node: Node) -> None:
    """Store paths as text, because the classes of paths depend on the operating system."""
    if node["__loader__"] == "ConstructorFromReduceNode" and str(node["__module__"]).split(".")[0] == "pathlib":
        text = os.fspath(PurePath(*plain_value(node["content"], {})))
        node.clear()
        node.update(plain_node(text))


def _without_padding(name: str, content: Content) -> Content:
    """Fill the padding of records with zeros, because it may contain unrelated data from memory."""
    if not isinstance(content, bytes) or not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    names = array.dtype.names
    if not names or array.dtype.itemsize == sum(array.dtype[field].itemsize for field in names):
        return content
    clean, buffer = np.zeros(array.shape, array.dtype), io.BytesIO()  # zeros_like would not set the padding to zero
    for field in names:
        clean[field] = array[field]
    # np.save would copy only the fields of the records; tobytes also copies the zeros between them.
    np.lib.format.write_array_header_1_0(buffer, np.lib.format.header_data_from_array_1_0(clean))
    buffer.write(clean.tobytes())
    return buffer.getvalue()


def _facts(model: BaseEstimator, schema: Any) -> dict[str, Any]:
    objects = {full_name(node) for node in nodes(schema) if node["__loader__"] == "ObjectNode"}
    classes = getattr(model, "classes_", None)
    return {
        "versions": installed_versions(),
        "model": _public_name(full_name(schema)),
        "objects": sorted(_public_name(name) for name in objects - INTERNALS.keys()),
        "classes": classes.tolist() if isinstance(classes, np.ndarray) and classes.dtype.kind in "USOiub" else None,
    }


def _public_name(name: str) -> str:
    """Return a name without private modules, such as ``sklearn.svm.SVC`` for ``sklearn.svm._classes.SVC``."""
    return ".".join(part for part in name.split(".") if not part.startswith("_"))
