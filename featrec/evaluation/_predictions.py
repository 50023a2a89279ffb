"""The predictions of another program: matched to the images, and held against their labels."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from featrec.evaluation._labels import as_labels
from featrec.exceptions import InputError

__all__ = ["foreign_labels", "named_among", "predictions_of"]

MOST_SHOWN = 3


def predictions_of(
    name: str, given: Any, paths: Sequence[str | None] | None, others: Iterable[str | None], n: int
) -> np.ndarray:
    """A label for each of the `n` judged images, from an array in their order or from a dict of path to label.

    A dict may also name images of `others`, which are not judged.
    """
    if not isinstance(given, Mapping):
        return as_labels(given, n, what=f"the array of predictions {name!r}")
    if paths is None:
        raise InputError(
            f"the predictions {name!r} are a dict of path to label, but the images that are judged have no paths; "
            "give an ImageFolder or a list of paths, or an array of labels in the images' order"
        )
    return as_labels(_by_path(name, given, paths, others), n, what=f"the predictions {name!r}")


def named_among(given: Iterable[str], paths: Iterable[str | None], judged: Iterable[str | None]) -> list[str]:
    """Those of the given paths that mean an image of `paths` and none that is judged."""
    wanted, others = _Endings(paths), _Endings(judged)
    return [path for path in given if wanted.knows(path) and not others.knows(path)]


def _by_path(name: str, given: Mapping, paths: Sequence[str | None], others: Iterable[str | None]) -> list[Any]:
    judged, beside = _Endings(paths), _Endings(others)
    found: dict[int, Any] = {}
    unknown = []
    for path, label in given.items():
        if not isinstance(path, (str, os.PathLike)):
            raise InputError(f"the predictions {name!r} are a dict of path to label; got the key {path!r}")
        position = judged.position(name, path)
        if position is None:
            unknown += [] if beside.knows(path) else [path]
        elif position in found:
            raise InputError(f"the predictions {name!r} name {paths[position]!r} twice; keep one label for each image")
        else:
            found[position] = label
    if unknown:
        _refuse_unknown(name, unknown, paths)
    missing = [path for position, path in enumerate(paths) if position not in found]
    if missing:
        raise InputError(
            f"the predictions {name!r} have no label for {_counted(missing)}; each of the {len(paths)} images that are "
            "judged needs one"
        )
    return [found[position] for position in range(len(paths))]


def _refuse_unknown(name: str, unknown: list[Any], paths: Sequence[str | None]) -> NoReturn:
    known = next(path for path in paths if path is not None)
    raise InputError(
        f"the predictions {name!r} name {_counted(unknown)}, which {'is no image' if len(unknown) == 1 else 'are no images'} "
        f"of this comparison; a path is written like {known!r}, or as much of its end as tells it from the others"
    )


def _counted(paths: Sequence[Any]) -> str:
    """The first few, and how many more there are."""
    shown = ", ".join(repr(None if path is None else os.fspath(path)) for path in paths[:MOST_SHOWN])
    return shown if len(paths) <= MOST_SHOWN else f"{shown} and {len(paths) - MOST_SHOWN} more"


class _Endings:
    """Images by the ends of their paths: another program may have seen them from another folder."""

    def __init__(self, paths: Iterable[str | None]):
        self.positions: dict[tuple[str, ...], list[int]] = {}
        for position, path in enumerate(paths):
            parts = () if path is None else _parts(os.path.abspath(path))
            for start in range(len(parts)):
                self.positions.setdefault(parts[start:], []).append(position)

    def knows(self, path: Any) -> bool:
        return bool(self._found(path))

    def position(self, name: str, path: Any) -> int | None:
        """The image that is meant; None where there is none."""
        found = self._found(path)
        if len(found) > 1:
            raise InputError(
                f"the predictions {name!r} name {os.fspath(path)!r}, which may be any of {len(found)} images; "
                "write more of the path, such as its folder"
            )
        return found[0] if found else None

    def _found(self, path: Any) -> list[int]:
        whole = self.positions.get(_parts(os.path.abspath(path)))
        return whole or self.positions.get(_parts(os.path.normpath(path)), [])


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.replace("\\", "/").split("/"))


def foreign_labels(what: str, labels: np.ndarray, known: np.ndarray) -> str:
    """A remark on labels that are none of the known ones, which count as errors; empty where there are none."""
    foreign, counts = np.unique(labels[~np.isin(labels, known)], return_counts=True)
    if not len(foreign):
        return ""
    told = [
        f"{label!r} ({count} of {len(labels)}{_nearest(label, known)})"
        for label, count in zip(foreign.tolist(), counts, strict=True)
    ]
    more = f" and {len(told) - MOST_SHOWN} more" if len(told) > MOST_SHOWN else ""
    return f"{what}, which count as errors: {', '.join(told[:MOST_SHOWN])}{more}."


def _nearest(label: Any, known: np.ndarray) -> str:
    if not isinstance(label, str):
        return ""
    names = {name.casefold(): name for name in reversed(known.tolist())}
    close = difflib.get_close_matches(label.casefold().strip(), names, n=1)
    return f"; did you mean {names[close[0]]!r}?" if close else ""
