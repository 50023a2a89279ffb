"""The side of a network that torch and skorch see: both are imported here, and only inside functions."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from featrec.exceptions import InputError, MissingExtraError
from featrec.parallel import worker_count

__all__ = [
    "arrays_of",
    "check_device",
    "computed_in",
    "filled",
    "initialized",
    "learner",
    "one_cycle",
    "require_torch",
    "torch_threads",
]

# torch has one generator of random numbers and one number of threads for the whole process.
LOCK = threading.Lock()


class Threads:
    """How many threads torch had when the first came who wanted another number, and how many such there are."""

    found = 1
    users = 0


def require_torch(stage: str) -> None:
    """Say which extra is missing."""
    try:
        import skorch  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f'{stage} needs torch and skorch; pip install "featrec[torch]" brings them') from error


def check_device(device: str, stage: str) -> None:
    """Refuse a device that is not here before any work."""
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{stage}: torch cannot use device={device!r} here ({reason}); device='cpu' always works") from error


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Let torch's operators use as many threads as `n_jobs` means here, which is one inside a worker.

    Of several networks in threads of their own, the last one to end must not leave what another one had set: all bring back
    what the first of them found.
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
    """A module whose weights are drawn with `seed`; torch's own random numbers go on as if nothing had been drawn."""
    import torch

    with LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return make().to(memory_format=torch.channels_last)


def filled(make: Callable[[], Any], state: dict[str, np.ndarray]) -> Any:
    """A module for prediction with these weights; nothing is allocated for others of another shape."""
    import torch

    with torch.device("meta"):
        module = make()
    module.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()}, assign=True)
    return module.to(memory_format=torch.channels_last).eval()


def arrays_of(module: Any) -> dict[str, np.ndarray]:
    """The weights as arrays, row by row."""
    return {name: np.array(value.detach().cpu().numpy(), order="C") for name, value in module.state_dict().items()}


@contextmanager
def computed_in(precision: str, device: str) -> Iterator[None]:
    """Products of convolutions in bfloat16 where that is meant; sums stay float32.

    "auto" takes it where the processor multiplies tiles of bfloat16 (AMX); elsewhere it is emulated, or gains little.
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
    """The share of the highest learning rate: it rises for a quarter of the steps and then falls to nothing."""
    rising = max(1, round(n_steps / 4))
    return (step + 1) / rising if step < rising else (n_steps - step) / (n_steps - rising + 1)


def learner(module: Any, *, precision: str, learning_rate: float, n_steps: int, verbose: int, **options: Any) -> Any:
    """A skorch classifier that learns by SGD with Nesterov's momentum, in one cycle of the learning rate."""
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
                sys.stderr.write(f"epoch {epoch['epoch']}: loss {epoch['train_loss']:.4f}, {epoch['dur']:.1f} s\n")

    schedule = LRScheduler(
        policy=torch.optim.lr_scheduler.LambdaLR, step_every="batch", lr_lambda=lambda step: one_cycle(step, n_steps)
    )
    return Learner(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        lr=learning_rate,
        callbacks=[("schedule", schedule), ("progress", Progress())],
        verbose=0,
        **options,
    )
