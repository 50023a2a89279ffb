"""Training with torch and skorch: batches, augmentation and the learner. torch is imported only inside functions."""

from __future__ import annotations

import copy
import sys
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
    "best_epoch",
    "check_torch",
    "computed_in",
    "drawn_from",
    "filled",
    "initialized",
    "learner",
    "one_cycle",
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


def filled(make: Callable[[], Any], state: dict[str, np.ndarray], *, meta: bool) -> Any:
    """Make a module for prediction with these weights.

    With `meta`, no other weights are allocated first; this needs a module that computes nothing while it is made.
    """
    import torch

    if meta:
        with torch.device("meta"):
            module = make()
    else:
        module = initialized(make, 0)
    _check_weights(module, state)
    module.load_state_dict({name: torch.from_numpy(np.asarray(values)) for name, values in state.items()}, assign=True)
    return module.to(memory_format=torch.channels_last).eval()


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


def one_cycle(step: int, n_steps: int) -> float:
    """Return the learning rate as a share of its maximum: it rises for a quarter of the steps, then falls to zero."""
    rising = max(1, round(n_steps / 4))
    return (step + 1) / rising if step < rising else (n_steps - step) / (n_steps - rising + 1)


def best_epoch(patience: int) -> Any:
    """Make a callback of skorch that restores the weights with the lowest validation loss.

    It stops after `patience` epochs without improvement; `stopped` then is True. `epoch` is the number of the best epoch.
    """
    from skorch.callbacks import Callback

    class BestEpoch(Callback):
        loss, epoch, stopped = np.inf, 0, False

        def on_epoch_end(self, net: Any, **data: Any) -> None:
            now = net.history[-1]
            if now["valid_loss"] < self.loss:
                self.loss, self.epoch, self.state = now["valid_loss"], now["epoch"], copy.deepcopy(net.module_.state_dict())
            elif now["epoch"] - self.epoch >= patience:
                self.stopped = True
                raise KeyboardInterrupt  # skorch then ends the training

        def on_train_end(self, net: Any, **data: Any) -> None:
            if self.epoch:
                net.module_.load_state_dict(self.state)

    return BestEpoch()


def learner(
    module: Any,
    *,
    precision: str,
    learning_rate: float,
    n_steps: int,
    verbose: int,
    stopping: Any = None,
    optimizer: str = "sgd",
    **options: Any,
) -> Any:
    """Make a skorch classifier that is trained with one cycle of the learning rate: by SGD with Nesterov momentum, or AdamW."""
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback, LRScheduler

    class Learner(NeuralNetClassifier):
        def infer(self, x: Any, **parameters: Any) -> Any:
            with computed_in(precision, self.device):
                return super().infer(x, **parameters).float()

    class Progress(Callback):
        def on_epoch_end(self, net: Any, **data: Any) -> None:
            if verbose > 0:
                epoch = net.history[-1]
                held = f", validation accuracy {epoch['valid_acc']:.3f}" if "valid_acc" in epoch else ""
                sys.stderr.write(f"epoch {epoch['epoch']}: loss {epoch['train_loss']:.4f}{held}, {epoch['dur']:.1f} s\n")

    schedule = LRScheduler(
        policy=torch.optim.lr_scheduler.LambdaLR, step_every="batch", lr_lambda=lambda step: one_cycle(step, n_steps)
    )
    momentum = {"optimizer__momentum": 0.9, "optimizer__nesterov": True} if optimizer == "sgd" else {}
    stop = [] if stopping is None else [("stopping", stopping)]
    return Learner(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD if optimizer == "sgd" else torch.optim.AdamW,
        lr=learning_rate,
        callbacks=[("schedule", schedule), ("progress", Progress()), *stop],
        verbose=0,
        **momentum,
        **options,
    )


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
        """Set a square of each image to 0 (the mean), in place; its side is `cutout`, or half of the image if smaller."""
        n, height, width = values.shape[:3]
        side = min(self.cutout, height // 2, width // 2)
        if side:
            inside = [
                (np.arange(length) - random.integers(0, length - side, (n, 1), endpoint=True)) % length < side
                for length in (height, width)
            ]
            values[inside[0][:, :, None] & inside[1][:, None, :]] = 0


class ImageBatches:
    """Batches for skorch: normalised tensors (n, channels, h, w) and class numbers.

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
    ):
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
            yield torch.from_numpy(values).permute(0, 3, 1, 2), torch.from_numpy(numbers)

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
