"""Training with torch: devices, threads, weights, batches and augmentation. torch is imported only inside functions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrec.exceptions import InputError, MissingExtraError
from featrec.networks._network_input import unit_values
from featrec.parallel import checkpoint, worker_count

__all__ = [
    "Augmentation",
    "ImageBatches",
    "arrays_of",
    "check_torch",
    "computed_in",
    "drawn_from",
    "filled",
    "initialized",
    "resolved_device",
    "torch_threads",
]

# Protects torch's random generator and number of threads, which are global in a process.
LOCK = threading.Lock()


class Threads:
    """torch's number of threads before it was changed, and the number of `torch_threads` contexts that are now active."""

    found = 1
    users = 0


def check_torch(device: str, stage: str) -> None:
    """Check that torch and skorch are installed and that the device is available."""
    try:
        import skorch  # noqa: F401
        import torch
    except ImportError as error:
        raise MissingExtraError(f'{stage} needs torch and skorch; pip install "featrec[torch]" installs them') from error
    try:
        torch.empty(1, device=resolved_device(device))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{stage}: torch cannot use device={device!r} here ({reason}); device='cpu' always works") from error


def resolved_device(device: str) -> str:
    """Return the device that "auto" means here: the GPU if torch can use one, else the CPU."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Let torch use `n_jobs` threads; inside a worker, one thread.

    If several threads are in this context, the last thread that leaves it restores the previous number.
    """
    import torch

    with LOCK:
        if not Threads.users:
            Threads.found = torch.get_num_threads()
        Threads.users += 1
        torch.set_num_threads(worker_count(n_jobs, shared_memory=True))
    try:
        yield
    finally:
        with LOCK:
            Threads.users -= 1
            torch.set_num_threads(Threads.found)


def initialized(make: Callable[[], Any], seed: int) -> Any:
    """Make a module with random weights drawn with `seed`; torch's global generator is not changed."""
    import torch

    with LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return make().to(memory_format=torch.channels_last)


class Draws:
    """torch's random state before it was changed, and the number of `drawn_from` contexts that are now active."""

    found: Any = None
    users = 0


@contextmanager
def drawn_from(seed: int, device: str) -> Iterator[None]:
    """Let layers such as dropout draw from a generator with this seed; restore torch's generators afterwards.

    In several threads of a process, the draws are not reproducible, because torch's generators belong to the process.
    """
    import torch

    homes = [torch.random, *([torch.cuda] if torch.device(device).type == "cuda" else [])]
    with LOCK:
        if not Draws.users:
            Draws.found = [(home, home.get_rng_state()) for home in homes]
        Draws.users += 1
        torch.manual_seed(seed)
    try:
        yield
    finally:
        with LOCK:
            Draws.users -= 1
            if not Draws.users:
                for home, state in Draws.found:
                    home.set_rng_state(state)


def filled(make: Callable[[], Any], state: dict[str, np.ndarray], *, meta: bool, probe: bool = False) -> Any:
    """Make a module for prediction with these weights.

    With `meta`, no other weights are allocated first; this needs a module that computes nothing while it is made. With `probe`,
    the weights are compared with such a module before the real one is made, because a model file may name a huge network.
    """
    import torch

    if meta:
        with torch.device("meta"):
            module = make()
    else:
        if probe:
            _probe(make, state)
        module = initialized(make, 0)
    _check_weights(module, state)
    module.load_state_dict({name: torch.from_numpy(np.asarray(values)) for name, values in state.items()}, assign=True)
    return module.to(memory_format=torch.channels_last).eval()


def _probe(make: Callable[[], Any], state: dict[str, np.ndarray]) -> None:
    import torch

    try:
        with torch.device("meta"):
            module = make()
    except InputError:
        raise
    except Exception:  # some modules compute something while they are made
        return
    _check_weights(module, state)


def _check_weights(module: Any, state: dict[str, np.ndarray]) -> None:
    """Check names, shapes and types of stored weights against the module."""
    import torch

    expected = {name: (tuple(value.shape), value.dtype) for name, value in module.state_dict().items()}
    found = {name: torch.from_numpy(np.asarray(value)) for name, value in state.items()}
    wrong = [name for name, value in found.items() if expected.get(name) != (tuple(value.shape), value.dtype)]
    wrong += [name for name in expected if name not in found]
    if wrong:
        raise InputError(
            f"the weights in the model do not fit its network: {len(wrong)} of {len(expected)} tensors are missing, unknown or "
            f"of another shape, such as {wrong[0]!r}. The model file was edited, or another version of a package makes the "
            "network; fit the model again"
        )


def arrays_of(module: Any) -> dict[str, np.ndarray]:
    """Return the weights as C-contiguous arrays."""
    return {name: np.array(value.detach().cpu().numpy(), order="C") for name, value in module.state_dict().items()}


@contextmanager
def computed_in(precision: str, device: str) -> Iterator[None]:
    """Multiply in bfloat16 if requested; sums stay float32.

    "auto" uses bfloat16 only on processors with AMX; on others, it is emulated or hardly faster.
    """
    import torch

    if precision == "auto":
        capabilities: Any = getattr(torch.cpu, "get_capabilities", dict)
        short = device == "cpu" and bool(capabilities().get("amx_bf16"))
    else:
        short = precision == "bfloat16"
    with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=short):
        yield


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images in each epoch."""

    flip: bool = False
    shift: int = 0
    cutout: int = 0

    def apply(self, images: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Shift images by up to `shift` pixels, with reflected borders, and mirror half of them."""
        if not self.flip and not self.shift:
            return images
        n, height, width = images.shape[:3]
        rows, columns = (self._places(length, n, random) for length in (height, width))
        if self.flip:
            mirrored = random.random(n) < 0.5
            columns[mirrored] = columns[mirrored, ::-1]
        return images[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _places(self, length: int, n: int, random: np.random.Generator) -> np.ndarray:
        """Return, for each row or column of the result, the row or column of the image that is copied there."""
        places = np.arange(length) + random.integers(-self.shift, self.shift, (n, 1), endpoint=True)
        places = np.abs(places)
        return np.clip(np.minimum(places, 2 * (length - 1) - places), 0, length - 1)

    def cut(self, values: np.ndarray, random: np.random.Generator) -> None:
        """Set a square of each image to 0 (the mean), in place; its side is `cutout`, or half of the image's if smaller."""
        n, height, width = values.shape[:3]
        side = min(self.cutout, height // 2, width // 2)
        if side:
            inside = [
                (np.arange(length) - random.integers(0, length - side, (n, 1), endpoint=True)) % length < side
                for length in (height, width)
            ]
            values[inside[0][:, :, None] & inside[1][:, None, :]] = 0


class ImageBatches:
    """Batches for skorch: normalised tensors (n, channels, h, w) and class numbers, with `weights` of the images if given.

    `random` determines the order and the augmentation; if it is None, images are neither shuffled nor augmented.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        batch_size: int,
        mean: np.ndarray,
        deviation: np.ndarray,
        augmentation: Augmentation | None = None,
        random: np.random.Generator | None = None,
        weights: np.ndarray | None = None,
    ):
        self.weights = weights
        self.images, self.numbers = dataset.X, dataset.y
        self.batch_size, self.mean, self.deviation = batch_size, mean, deviation
        self.augmentation, self.random = augmentation or Augmentation(), random

    def __len__(self) -> int:
        """Return the number of batches. Training drops an incomplete last batch; each epoch shuffles the images anew."""
        whole, rest = divmod(len(self.images), self.batch_size)
        return whole + (rest > 0 and (self.random is None or whole == 0))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        import torch

        for values, rows in self.arrays():
            numbers = self.numbers[rows] if self.numbers is not None else np.zeros(len(rows), np.int64)
            targets = torch.from_numpy(numbers)
            weighted = targets if self.weights is None else (targets, torch.from_numpy(self.weights[rows]))
            yield torch.from_numpy(values).permute(0, 3, 1, 2), weighted

    def arrays(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield batches as arrays (n, h, w, channels), with the positions of their images."""
        order = np.arange(len(self.images)) if self.random is None else self.random.permutation(len(self.images))
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            checkpoint()
            rows = order[start : start + self.batch_size]
            yield self._values(rows), rows

    def _values(self, rows: np.ndarray) -> np.ndarray:
        images = self.images[rows] if self.random is None else self.augmentation.apply(self.images[rows], self.random)
        values: np.ndarray = (unit_values(images) - self.mean) / self.deviation
        if self.random is not None:
            self.augmentation.cut(values, self.random)
        return values
