"""Models: the models of a server by name, loaded from files and replaced when the files change; each with a thread that watches
for drift."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featrec.evaluation import Drift, TrainingSummary
from featrec.exceptions import InputError
from featrec.serving._predictor import Predictor, Watcher

__all__ = ["BackgroundWatcher", "Model", "Models", "in_background"]


# A comparison that finds a drift takes half a second; meanwhile, a few hundred images may arrive.
MAX_PENDING_BYTES = 16 * 2**20


class BackgroundWatcher:
    """Pass batches on to a watcher, in order, in a thread.

    Batches of up to `max_pending_bytes` wait in total; a larger one is accepted if no other waits. All others are left out and
    counted. The thread starts with the first batch; it ends after :meth:`close`, or when this object is no longer used.

    Parameters
    ----------
    watcher : Watcher
    max_pending_bytes : int
    """

    def __init__(self, watcher: Watcher, *, max_pending_bytes: int = MAX_PENDING_BYTES):
        self.watcher, self.max_pending_bytes = watcher, max_pending_bytes
        self.n_left_out = 0
        self._pending_bytes = 0
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None

    def update(
        self, codes: np.ndarray | None, confidences: np.ndarray | None = None, brightness: np.ndarray | None = None
    ) -> None:
        """Queue a batch, or leave it out if too much is queued already."""
        batch = (codes, confidences, brightness)
        given = [each for each in batch if each is not None]
        size = sum(each.nbytes for each in given)
        with self._lock:
            if self._pending_bytes and self._pending_bytes + size > self.max_pending_bytes:
                self.n_left_out += len(given[0])
                return
            self._pending_bytes += size
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="featrec-drift")
            job = self._thread.submit(_passed_on, self.watcher, batch)
        job.add_done_callback(lambda _: self._done(size))

    def gauges(self) -> dict[str, float]:
        """Return the measures of the watcher, and how many images were left out."""
        return {**self.watcher.gauges(), "left_out": float(self.n_left_out)}

    def join(self) -> None:
        """Wait until the watcher has received everything that was queued."""
        with self._lock:
            last = None if self._thread is None else self._thread.submit(int)
        if last is not None:
            last.result()

    def close(self) -> None:
        """Forget what is queued, and end the thread. A later update starts another one."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(cancel_futures=True)

    def _done(self, size: int) -> None:
        with self._lock:
            self._pending_bytes -= size


def in_background(drift: Any) -> Any:
    """Return a watcher, or a function that makes a watcher for a model, which works in the background.

    `drift` is what :class:`Predictor` takes.
    """
    if drift is None or isinstance(drift, BackgroundWatcher):
        return drift
    if hasattr(drift, "update") and not isinstance(drift, type):
        return BackgroundWatcher(drift)
    return lambda model: in_background(drift(model))


def _passed_on(watcher: Watcher, batch: tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]) -> None:
    try:
        watcher.update(*batch)
    except Exception:
        LOG.exception("the drift of a batch could not be measured")


LOG = logging.getLogger("featrec.serving")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
IGNORED = (".tmp", ".part", ".txt", ".md", ".json")
# A file that was removed may be about to be replaced, so its model stays for this time.
PATIENCE = 10.0
# Modification time, size and inode: a file with the same facts is not read again.
Facts = tuple[int, int, int]


@dataclass(frozen=True)
class Model:
    """A model that is served: its name, the version of its file, and the Predictor that answers."""

    name: str
    version: str
    predictor: Predictor

    def facts(self) -> dict[str, Any]:
        """Return what a client may want to know."""
        predictor = self.predictor
        return {
            "name": self.name,
            "version": self.version,
            "classes": [label if isinstance(label, (str, int, float)) else str(label) for label in predictor.classes],
            "confidence": predictor.has_confidence,
            "reject": predictor.can_reject,
            "explain": len(predictor.classes) > 1,
        }


@dataclass
class _File:
    """The state of one model file: what was loaded or tried, and what was seen last."""

    path: Path
    tried: Facts | None = None
    seen: Facts | None = None
    error: str | None = None
    missing_since: float | None = None


class Models:
    """The models of a server.

    Parameters
    ----------
    source : path, estimator, Predictor, or dict of name to any of these
        A model file, a folder of model files, or fitted models. A file `scenes.model` has the name "scenes". Files are watched:
        :meth:`refresh` loads new ones and replaces models whose files have changed. If a new file cannot be loaded, the old
        model stays, and `errors` says why.
    options : dict, optional
        Arguments of :class:`Predictor`; `drift` as in :func:`create_app`.
    on_load : callable, optional
        Called with the name of a model and whether it could be loaded.
    """

    def __init__(
        self, source: Any, *, options: Mapping[str, Any] | None = None, on_load: Callable[[str, bool], None] | None = None
    ):
        self.options, self.on_load = dict(options or {}), on_load or (lambda name, loaded: None)
        self._lock = threading.Lock()
        self._models: dict[str, Model] = {}
        self._files: dict[str, _File] = {}
        self.folder: Path | None = None
        self.loaded = False
        if isinstance(source, (str, os.PathLike)) and Path(source).is_dir():
            self.folder = Path(source)
            found: dict[str, Any] = self._in_folder()
        else:
            found = dict(source) if isinstance(source, Mapping) else {_name_of(source): source}
        for name, each in found.items():
            self._add(name, each)
        if not found:
            raise InputError(f"{str(self.folder or source)!r} has no model file; 'featrec train' writes one with --out")

    def __len__(self) -> int:
        return len(self._models)

    @property
    def errors(self) -> dict[str, str]:
        """Why files could not be loaded, by the name of the model."""
        return {name: file.error for name, file in self._files.items() if file.error is not None}

    def all(self) -> list[Model]:
        """Return the models, sorted by name."""
        return [model for _, model in sorted(self._models.items())]

    def get(self, name: str | None = None) -> Model | None:
        """Return a model by its name, or None if it does not exist. Without a name, return the only model."""
        models = self._models
        if name is None:
            return next(iter(models.values())) if len(models) == 1 else None
        return models.get(name)

    def load(self) -> None:
        """Load and warm all files. Raise the first error if no model can be loaded."""
        first: Exception | None = None
        self.loaded = True
        for name, file in self._files.items():
            file.seen = _facts(file.path)
            first = self._load(name, file) or first
        if not self._models and first is not None:
            raise first

    def refresh(self) -> None:
        """Load new and changed files. A file that is still being written is left for the next call."""
        with self._lock:
            for name, path in self._in_folder().items() if self.folder is not None else ():
                self._files.setdefault(name, _File(path))
            for name, file in list(self._files.items()):
                facts = _facts(file.path)
                if facts is None:
                    self._missing(name, file)
                elif facts == file.seen and facts != file.tried:
                    self._load(name, file)
                file.seen = facts
                file.missing_since = file.missing_since if facts is None else None

    def close(self) -> None:
        """Stop watching for drift."""
        for model in self.all():
            if isinstance(model.predictor.drift, BackgroundWatcher):
                model.predictor.drift.close()

    def _add(self, name: str, source: Any) -> None:
        if not NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name of a model: letters, digits, dots, - and _ are possible; rename the file")
        if isinstance(source, (str, os.PathLike)):
            self._files[name] = _File(Path(source))
            return
        options = {**self.options, "drift": _watcher(self.options.get("drift"), None)}
        predictor = source if isinstance(source, Predictor) else Predictor(source, **options)
        self._models[name] = Model(name, "1", predictor)

    def _in_folder(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        if self.folder is None or not self.folder.is_dir():
            return found
        for path in sorted(self.folder.iterdir()):
            if path.is_file() and not path.name.startswith(".") and path.suffix not in IGNORED and NAME.fullmatch(path.stem):
                found.setdefault(path.stem, path)
        return found

    def _load(self, name: str, file: _File) -> Exception | None:
        """Load a file and replace the model of this name; requests in progress keep the old one."""
        file.tried = file.seen
        try:
            version = hashlib.sha256(file.path.read_bytes()).hexdigest()[:12]
            predictor = Predictor(file.path, **{**self.options, "drift": _watcher(self.options.get("drift"), file.path)})
            seconds = predictor.warm()
        except Exception as error:
            stays = "the old model stays" if name in self._models else "there is no such model"
            LOG.error("model %s: cannot be loaded, %s: %s", name, stays, error)
            file.error = str(error)
            self.on_load(name, False)
            return error
        self._models = {**self._models, name: Model(name, version, predictor)}
        file.error = None
        self.on_load(name, True)
        LOG.info("model %s: version %s is ready, after %.1f s", name, version, seconds)
        return None

    def _missing(self, name: str, file: _File) -> None:
        """Drop the model of a file that was removed from the folder some time ago."""
        now = time.monotonic()
        file.missing_since = file.missing_since or now
        if self.folder is not None and now - file.missing_since > PATIENCE:
            del self._files[name]
            self._models = {key: model for key, model in self._models.items() if key != name}
            LOG.info("model %s: its file was removed, so it is no longer served", name)


def _name_of(source: Any) -> str:
    return Path(source).stem if isinstance(source, (str, os.PathLike)) else "model"


def _watcher(drift: Any, path: Path | None) -> Any:
    """Return a watcher for a model, which works in the background.

    "training" compares with the training set, a number with the first images.
    """
    if drift == "training":
        if path is None:
            raise InputError('drift="training" needs a model file that was trained with --keep-summary; got a fitted model')
        return in_background(Drift(TrainingSummary.load(path)))
    return in_background(Drift(drift) if isinstance(drift, int) else drift)


def _facts(path: Path) -> Facts | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
