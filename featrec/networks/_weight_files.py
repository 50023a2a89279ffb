"""Read the weights of a torch module from a file, without executing anything in the file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from featrec.exceptions import InputError, MissingExtraError

__all__ = ["file_digest", "load_weights", "nearest_names", "read_weights"]

PIECE = 2**20
# Maximum number of names in a message.
MOST_NAMES = 5


def nearest_names(name: Any, known: Iterable[str]) -> str:
    """Return the names that are most similar to `name`, for an error message."""
    known = list(known)
    close = get_close_matches(str(name), known, MOST_NAMES, cutoff=0.4) or known[-MOST_NAMES:]
    return ", ".join(map(repr, close)) + (f" (of {len(known)})" if len(known) > len(close) else "")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    except FileNotFoundError:
        raise InputError(f"no weights file at {str(path)!r}; check the path and the working directory") from None
    except OSError as error:
        raise InputError(f"the weights at {str(path)!r} cannot be read: {error}") from error
    return digest.hexdigest()


def read_weights(weights: str | os.PathLike, sha256: str | None = None) -> dict[str, Any]:
    """Read a .safetensors file, or a torch.save file with ``weights_only=True``; check its SHA-256 first, if it is given."""
    path = Path(weights)
    if sha256 is not None and (found := file_digest(path)) != sha256.lower():
        raise InputError(
            f"the weights at {str(path)!r} have changed: their SHA-256 is {found}, expected {sha256}. Use the "
            "original file, or "
            "set sha256 to the new value if you trust it."
        )
    state = _read(path)
    state = next((state[key] for key in ("state_dict", "model") if isinstance(state.get(key), Mapping)), state)
    foreign = [name for name, value in state.items() if not hasattr(value, "shape")]
    if foreign or not state:
        raise InputError(f"{str(path)!r} does not contain the weights of a network; its entries are {list(state)[:MOST_NAMES]}")
    return dict(state)


def _read(path: Path) -> Mapping[str, Any]:
    import torch

    if not path.is_file():
        raise InputError(f"no weights file at {str(path)!r}; check the path and the working directory")
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError as error:
            raise MissingExtraError('safetensors files need safetensors; pip install "featrec[timm]" installs it') from error
        read: Any = load_file
    else:
        # With weights_only=True, torch reads tensors and plain containers, and refuses everything that would execute code.
        def read(path: Path) -> Any:
            return torch.load(path, map_location="cpu", weights_only=True)

    try:
        state = read(path)
    except Exception as error:
        raise InputError(
            f"the weights at {str(path)!r} cannot be read without executing code, or are damaged: "
            f"{' '.join(str(error).split()):.200} Save them with safetensors, or with torch.save(module.state_dict(), path)."
        ) from error
    if not isinstance(state, Mapping):
        raise InputError(f"{str(path)!r} contains {type(state).__name__}, not a dict of weights; save module.state_dict()")
    return state


def load_weights(module: Any, state: Mapping[str, Any], key_map: Any = None, where: str = "the file") -> None:
    """Copy weights into a module. Names and shapes must be equal, unless `key_map` translates the names.

    Parameters
    ----------
    module : torch.nn.Module
    state : dict of name to tensor
    key_map : dict of name in the file to name in the module, or "order", optional
        "order" assigns the weights in the order of the file; their shapes must be the same, one by one.
    where : str
        Name of the file for error messages.
    """
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    if key_map == "order":
        if len(state) != len(wanted):
            raise InputError(
                f"{where} has {len(state)} tensors, but the network has {len(wanted)}; key_map='order' needs equal numbers"
            )
        state = dict(zip(wanted, state.values(), strict=True))
    elif key_map is not None:
        unknown = [name for name in key_map if name not in state]
        if unknown:
            raise InputError(
                f"key_map contains {unknown[0]!r}, which is not in {where}; nearest: {nearest_names(unknown[0], state)}"
            )
        state = {key_map.get(name, name): value for name, value in state.items()}
    missing = [name for name in wanted if name not in state]
    extra = [name for name in state if name not in wanted]
    if missing or extra:
        raise InputError(
            f"the names in {where} do not match the network: missing {_some(missing)}, unknown {_some(extra)}. Set key_map to "
            "a dict from the names in the file to the names in the network, or to 'order' if the tensors are in the same order."
        )
    for name, shape in wanted.items():
        if tuple(state[name].shape) != shape:
            raise InputError(f"{name!r} has shape {tuple(state[name].shape)} in {where}, but {shape} in the network")
    module.load_state_dict(state)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return (", ".join(map(repr, names[:MOST_NAMES])) or "none") + more
