"""The training set, and the learner of skorch: loss, learning rate, progress and early stopping."""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d

from featrec.exceptions import InputError
from featrec.networks._training import computed_in

__all__ = ["TrainingSet", "best_epoch", "image_weights", "learner", "mean_loss", "one_cycle"]


@dataclass(frozen=True)
class TrainingSet:
    """Images, class numbers and weights; the positions that are trained on and those held out; and the seed."""

    images: np.ndarray
    numbers: np.ndarray
    weights: np.ndarray | None
    rows: np.ndarray
    held_out: np.ndarray | None
    seed: int


def image_weights(sample_weight: Any, n_images: int, stage: str) -> np.ndarray | None:
    """Check the weights of the images."""
    if sample_weight is None:
        return None
    weights = column_or_1d(sample_weight).astype(np.float32)
    if len(weights) != n_images or not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        raise InputError(
            f"{stage}: sample_weight must contain one finite number for each of the {n_images} images, none of them negative "
            f"and not all zero; got {len(weights)} from {weights.min(initial=np.inf)} to {weights.max(initial=-np.inf)}"
        )
    return weights / weights.mean()


def one_cycle(step: int, n_steps: int) -> float:
    """Return the learning rate as a share of its maximum: it rises for a quarter of the steps, then falls to zero."""
    rising = max(1, round(n_steps / 4))
    return (step + 1) / rising if step < rising else (n_steps - step) / (n_steps - rising + 1)


def mean_loss(scores: Any, numbers: Any, weights: Any, class_weights: Any = None, label_smoothing: float = 0.0) -> Any:
    """Return the mean cross entropy of images with weights."""
    import torch

    options = {"weight": class_weights, "label_smoothing": label_smoothing}
    losses = torch.nn.functional.cross_entropy(scores, numbers, reduction="none", **options)
    shares = weights if class_weights is None else weights * class_weights[numbers]
    return (losses * weights).sum() / shares.sum()


def best_epoch(patience: int, first_loss: float = np.inf) -> Any:
    """Make a callback of skorch that restores the weights with the lowest validation loss.

    It stops after `patience` epochs without improvement; `stopped` then is True. `epoch` is the number of the best epoch: 0 if
    no epoch has a lower loss than `first_loss`, the loss before the training.
    """
    from skorch.callbacks import Callback

    class BestEpoch(Callback):
        loss, epoch, stopped = first_loss, 0, False

        def on_train_begin(self, net: Any, **data: Any) -> None:
            self.state = copy.deepcopy(net.module_.state_dict())

        def on_epoch_end(self, net: Any, **data: Any) -> None:
            now = net.history[-1]
            if now["valid_loss"] < self.loss:
                self.loss, self.epoch, self.state = now["valid_loss"], now["epoch"], copy.deepcopy(net.module_.state_dict())
            elif now["epoch"] - self.epoch >= patience:
                self.stopped = True
                raise KeyboardInterrupt  # skorch then ends the training

        def on_train_end(self, net: Any, **data: Any) -> None:
            if self.epoch or np.isfinite(first_loss):
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
    """Make a skorch classifier that trains with one cycle of the learning rate, using SGD with Nesterov momentum, or AdamW."""
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback, LRScheduler

    class Learner(NeuralNetClassifier):
        def get_loss(self, y_pred: Any, y_true: Any, *arguments: Any, **parameters: Any) -> Any:
            if not isinstance(y_true, (list, tuple)):
                return super().get_loss(y_pred, y_true, *arguments, **parameters)
            numbers, weights = (target.to(self.device) for target in y_true)
            return mean_loss(y_pred, numbers, weights, self.criterion_.weight, self.criterion_.label_smoothing)

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
