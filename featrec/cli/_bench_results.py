"""The file of benchmark results: one line of JSON per run, identified by a key."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featrec.exceptions import InputError

__all__ = ["append", "described", "read_results"]

DECIDES = ("dataset", "dataset_options", "split", "recipe", "parameters", "seed", "n_jobs")
# Ignored in scikit-learn pipelines: parameters that contain the steps (stored one by one) or do not change results.
NOT_TOLD = ("steps", "transformer_list", "memory", "n_jobs", "transform_input", "verbose")


def described(cell: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """The cell with all parameters of its model, and a key of everything that determines the result."""
    parameters = {
        name: _plain(value)
        for name, value in sorted(model.get_params().items())
        if name.rpartition("__")[2] not in NOT_TOLD and not _is_estimator(value)
    }
    kinds = {name: type(step).__name__ for name, step in sorted(model.get_params().items()) if _is_estimator(step)}
    parameters = {"": type(model).__name__, **kinds, **parameters}
    cell = portable({**cell, "parameters": parameters})
    decisive = json.dumps({name: cell[name] for name in DECIDES}, sort_keys=True)
    return {"key": hashlib.sha256(decisive.encode()).hexdigest()[:16], **cell}


def portable(value: Any) -> Any:
    """The cell without local paths of the data, which are private and may change."""
    home = os.path.normpath(os.environ.get("FEATREC_DATA", ""))
    if not os.path.isabs(home) or home == os.sep:
        return value
    written = json.dumps(home)[1:-1]
    return json.loads(json.dumps(value).replace(written, "$FEATREC_DATA"))


def read_results(path: Path) -> dict[str, dict[str, Any]]:
    """The last line of each key, in order of first appearance; an incomplete last line is ignored."""
    if not path.exists():
        return {}
    found: dict[str, dict[str, Any]] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            found[row["key"]] = row
        except (json.JSONDecodeError, KeyError, TypeError):
            if number < len(lines) and line:
                raise InputError(f"line {number} of {path} is not a result of featrec bench; repair or move the file") from None
    return found


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Append a line, and return when it is on disk."""
    text = json.dumps(portable(dict(row)), ensure_ascii=False, separators=(",", ":")) + "\n"
    with open(path, "ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else "\n" + text
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _plain(value: Any) -> Any:
    """JSON that is the same in every process."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else repr(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if _is_estimator(value):
        return type(value).__name__
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return getattr(value, "__qualname__", None) or (os.fspath(value) if isinstance(value, os.PathLike) else repr(value))
