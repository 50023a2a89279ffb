"""Which versions wrote a model, and whether those installed will do."""

from __future__ import annotations

import platform
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import featrec
from featrec.exceptions import VersionWarning

__all__ = ["installed_versions", "warn_of_versions"]

OPENCV_WHEELS = (
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
)
# How many parts of a version must agree. OpenCV's detectors change with its major version only.
PARTS = {"featrec": 2, "scikit-learn": 2, "opencv": 1}


def installed_versions() -> dict[str, str | None]:
    """Of everything whose change may change a model's answers."""
    versions: dict[str, str | None] = {"featrec": featrec.__version__, "python": platform.python_version()}
    versions |= {name: _version(name) for name in ("numpy", "scikit-learn", "skops")}
    versions["opencv"] = next((found for wheel in OPENCV_WHEELS if (found := _version(wheel))), None)
    return versions


def warn_of_versions(written: dict[str, Any], path: str) -> None:
    """One warning that names every version that differs too much."""
    here = installed_versions()
    others = [
        f"{name} {written.get(name)} (installed: {here[name]})"
        for name, parts in PARTS.items()
        if _start(written.get(name), parts) != _start(here[name], parts)
    ]
    if others:
        warnings.warn(
            f"{path}: written with {', '.join(others)}. Its answers may differ; check them with evaluate, "
            "or install the versions that wrote it.",
            VersionWarning,
            stacklevel=3,
        )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _start(text: Any, parts: int) -> list[str]:
    return str(text).split(".")[:parts]
