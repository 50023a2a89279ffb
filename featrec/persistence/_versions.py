"""Which versions wrote a model, and whether those installed will do: the table of docs/model_files.md."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import featrec
from featrec.exceptions import ModelFileError

__all__ = ["installed_versions", "version_notice"]

OPENCV_WHEELS = (
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
)


class Agreement(NamedTuple):
    """How many leading parts of two versions must agree."""

    silent: int  # or a warning follows
    needed: int  # or the file is refused


# OpenCV's detectors change with its major version, scikit-learn's answers with the minor one and its attributes with the
# major one. numpy, Python and skops are not asked: arrays, JSON and skops' protocol have numbers of their own.
TABLE = {"featrec": Agreement(2, 0), "scikit-learn": Agreement(2, 1), "opencv": Agreement(1, 0)}
VERSION = re.compile(r"\d+(\.\d+)+\S{0,40}")


def installed_versions() -> dict[str, str | None]:
    """Of everything whose change may change a model's answers."""
    versions: dict[str, str | None] = {"featrec": featrec.__version__, "python": platform.python_version()}
    versions |= {name: _version(name) for name in ("numpy", "scikit-learn", "skops")}
    versions["opencv"] = next((found for wheel in OPENCV_WHEELS if (found := _version(wheel))), None)
    return versions


def version_notice(written: dict[str, Any]) -> str:
    """What to warn of: every version that differs too much; nothing where none does. Refuses what cannot work."""
    here, others = installed_versions(), []
    for name, agreement in TABLE.items():
        if _start(written.get(name), agreement.needed) != _start(here[name], agreement.needed):
            raise ModelFileError(
                f"written with {name} {_shown(written.get(name))}, which {here[name]} cannot read; install that version, or "
                "fit and save the model again with this one"
            )
        if _start(written.get(name), agreement.silent) != _start(here[name], agreement.silent):
            others.append(f"{name} {_shown(written.get(name))} (installed: {here[name]})")
    if not others:
        return ""
    return (
        f"written with {', '.join(others)}. Its answers may differ; check them with evaluate, or install the versions "
        "that wrote it."
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _start(found: Any, parts: int) -> list[str] | None:
    """The leading parts; None for what is no version."""
    if not parts:
        return []
    return found.split(".")[:parts] if isinstance(found, str) and VERSION.fullmatch(found) else None


def _shown(found: Any) -> str:
    return str(found)[:40]
