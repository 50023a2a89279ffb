"""What the small networks share: pictures in, labels out, learned on the processor through skorch."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags, check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from featrec.base import JOBS, RANDOM_STATE, VERBOSE, Estimator, check_one_label_each, positive_integer, real_number
from featrec.classifiers._codes_classifier import CLASS_WEIGHT
from featrec.classifiers._picture_array import as_values, picture_array
from featrec.classifiers._picture_batches import Augmentation, PictureBatches
from featrec.classifiers._skorch_network import (
    arrays_of,
    check_device,
    computed_in,
    filled,
    initialized,
    learner,
    require_torch,
    torch_threads,
)
from featrec.exceptions import InputError

__all__ = ["NetworkClassifier"]

# Pictures that are predicted or measured at once.
BATCH = 256
# Few pictures are learned from in smaller batches and more often: passes that suit thousands would end before anything is
# learned from a hundred.
LEAST_STEPS = 1000
LEAST_BATCH = 16
BATCHES = 8


class NetworkClassifier(ClassifierMixin, Estimator):
    """Base of the networks. A subclass writes ``_make_module(n_channels, size, n_classes)``."""

    _parameter_constraints = {
        "epochs": [positive_integer(), None],
        "batch_size": [positive_integer(2)],
        "learning_rate": [real_number(0.0, closed="neither")],
        "weight_decay": [real_number(0.0, closed="left")],
        "flip": ["boolean"],
        "shift": [positive_integer(0)],
        "validation_fraction": [real_number(0.0, 1.0, closed="left")],
        "device": [str],
        **CLASS_WEIGHT,
        **RANDOM_STATE,
        **JOBS,
        **VERBOSE,
    }

    least_size: ClassVar[int]
    usual_epochs: ClassVar[int]
    precision: str = "float32"
    label_smoothing: float = 0.0
    cutout: int = 0
    epochs: int | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    flip: bool
    shift: int
    validation_fraction: float
    class_weight: Any
    random_state: Any
    n_jobs: int | None
    verbose: int
    device: str

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from pictures of one size, from random weights on.

        Parameters
        ----------
        X : array of shape (n, h, w) or (n, h, w, 3), list of arrays, or Images
            uint8, or floats in [0, 1]. Lazy Images are computed once and held.
        y : array-like of shape (n,)

        Returns
        -------
        self
        """
        self._check_parameters()
        pictures = self._pictures(X, y)
        numbers = self._numbers(y, len(pictures))
        random = check_random_state(self.random_state)
        seed = int(random.randint(np.iinfo(np.int32).max))
        learned, held_out = self._split(numbers, seed)
        self.shape_ = tuple(pictures.shape[1:])
        self.mean_, self.deviation_ = _moments(pictures)
        module = initialized(self._module, seed)
        self.n_parameters_ = sum(parameter.numel() for parameter in module.parameters())
        with torch_threads(self.n_jobs):
            self.history_ = self._learn(module, pictures, numbers, learned, held_out, seed)
        self.state_ = arrays_of(module)
        return self

    def _check_parameters(self) -> None:
        """What the network needs of this machine is checked with the parameters, so that a comparison asks before any fit."""
        super()._check_parameters()
        require_torch(type(self).__name__)
        check_device(self.device, type(self).__name__)

    def predict_proba(self, X: Any) -> np.ndarray:
        """How probable each class is for each picture.

        Parameters
        ----------
        X : pictures of the size that fit saw

        Returns
        -------
        probabilities : array of shape (n, n_classes), float32
        """
        check_is_fitted(self)
        require_torch(type(self).__name__)
        check_device(self.device, type(self).__name__)
        import torch

        pictures = self._fitting(picture_array(X, stage=type(self).__name__, n_jobs=self.n_jobs))
        batches = PictureBatches(_Pictures(pictures), batch_size=BATCH, mean=self.mean_, deviation=self.deviation_)
        parts = [np.empty((0, len(self.classes_)), np.float32)]
        with torch_threads(self.n_jobs), torch.inference_mode(), computed_in(self.precision, self.device):
            module = filled(self._module, self.state_).to(self.device)
            for values, _ in batches:
                parts.append(module(values.to(self.device)).float().softmax(dim=1).cpu().numpy())
        return np.concatenate(parts)

    def predict(self, X: Any) -> np.ndarray:
        """The class of each picture.

        Parameters
        ----------
        X : pictures of the size that fit saw

        Returns
        -------
        labels : array of shape (n,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _make_module(self, n_channels: int, size: tuple[int, int], n_classes: int) -> Any:
        raise NotImplementedError

    def _module(self) -> Any:
        height, width, n_channels = self.shape_
        return self._make_module(n_channels, (height, width), len(self.classes_))

    def _pictures(self, X: Any, y: Any) -> np.ndarray:
        stage = type(self).__name__
        pictures = picture_array(X, y, stage=stage, n_jobs=self.n_jobs)
        if not len(pictures):
            raise InputError(f"{stage}.fit needs pictures of two classes; got none")
        if min(pictures.shape[1:3]) < self.least_size:
            raise InputError(
                f"{stage} takes pictures of {self.least_size} × {self.least_size} pixels and more; these are "
                f"{pictures.shape[1]} × {pictures.shape[2]}. Put Resize((32, 32)) before it."
            )
        return pictures

    def _numbers(self, y: Any, n_pictures: int) -> np.ndarray:
        """The classes' numbers in place of labels."""
        labels = column_or_1d(y)
        check_classification_targets(labels)
        check_one_label_each(labels, n_pictures)
        classes, numbers = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise InputError(f"{type(self).__name__} tells classes apart; there is only one, {classes.tolist()[0]!r}")
        self.classes_ = classes
        return numbers.astype(np.int64)

    def _split(self, numbers: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Positions to learn from, and those of pictures on which the epochs are measured."""
        everything = np.arange(len(numbers))
        if not self.validation_fraction:
            return everything, None
        from sklearn.model_selection import train_test_split

        return train_test_split(everything, test_size=self.validation_fraction, stratify=numbers, random_state=seed)

    def _fitting(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures of the shape that fit saw; gray ones become colour for a network of colour."""
        if not len(pictures):
            return np.empty((0, *self.shape_), np.float32)
        if pictures.shape[3] == 1 and self.shape_[2] == 3:
            pictures = np.repeat(pictures, 3, axis=3)
        if pictures.shape[1:] != tuple(self.shape_):
            size = tuple(self.shape_[:2])
            steps = ["Grayscale()"] if pictures.shape[3] > self.shape_[2] else []
            way_out = " and ".join(steps + ([f"Resize({size})"] if pictures.shape[1:3] != size else []))
            raise InputError(
                f"{type(self).__name__} has learned from pictures of shape {tuple(self.shape_)}; these have "
                f"{pictures.shape[1:]}. Put {way_out} before it, for fit and predict."
            )
        return pictures

    def _learn(
        self, module: Any, pictures: np.ndarray, numbers: np.ndarray, rows: np.ndarray, held_out: Any, seed: int
    ) -> list[dict[str, Any]]:
        """Let skorch run the epochs; what it has noted of each."""
        from skorch.dataset import Dataset
        from skorch.helper import predefined_split

        batch_size, epochs = self._plan(len(rows))
        scale = {"batch_size": batch_size, "mean": self.mean_, "deviation": self.deviation_}
        changes: dict[str, Any] = {"augmentation": Augmentation(self.flip, self.shift, self.cutout)}
        changes["random"] = np.random.default_rng(seed)
        held = None if held_out is None else predefined_split(Dataset(pictures[held_out], numbers[held_out]))
        net = learner(
            module,
            precision=self.precision,
            learning_rate=self.learning_rate * batch_size / self.batch_size,
            n_steps=epochs * (len(rows) // batch_size),
            verbose=self.verbose,
            max_epochs=epochs,
            optimizer__weight_decay=self.weight_decay,
            criterion__label_smoothing=self.label_smoothing,
            criterion__weight=self._loss_weights(numbers[rows]),
            iterator_train=PictureBatches,
            iterator_valid=PictureBatches,
            train_split=held,
            device=self.device,
            **{f"iterator_train__{name}": value for name, value in (scale | changes).items()},
            **{f"iterator_valid__{name}": value for name, value in scale.items()},
        )
        whole = held_out is None
        net.fit(pictures if whole else pictures[rows], numbers if whole else numbers[rows])
        return self._history(net, epochs)

    def _loss_weights(self, numbers: np.ndarray) -> Any:
        """What each class counts in the loss, as a tensor."""
        if self.class_weight is None:
            return None
        import torch

        present = np.unique(numbers)
        weights = np.zeros(len(self.classes_), np.float32)
        weights[present] = compute_class_weight(self.class_weight, classes=self.classes_[present], y=self.classes_[numbers])
        return torch.from_numpy(weights).to(self.device)

    def _plan(self, n_pictures: int) -> tuple[int, int]:
        """Pictures in a batch, and epochs."""
        batch_size = min(self.batch_size, max(LEAST_BATCH, n_pictures // BATCHES), n_pictures)
        enough = -(-LEAST_STEPS // (n_pictures // batch_size))
        return batch_size, self.epochs or max(self.usual_epochs, enough)

    def _history(self, net: Any, epochs: int) -> list[dict[str, Any]]:
        if len(net.history) < epochs:
            raise KeyboardInterrupt  # skorch ends its loop at one and says nothing
        history = [
            {"epoch": int(epoch["epoch"]), "loss": float(epoch["train_loss"])}
            | ({"valid_accuracy": float(epoch["valid_acc"])} if "valid_acc" in epoch else {})
            for epoch in net.history
        ]
        if not np.isfinite(history[-1]["loss"]):
            raise InputError(
                f"{type(self).__name__} has not converged: its loss is {history[-1]['loss']}. A smaller learning_rate than "
                f"{self.learning_rate} helps."
            )
        return history

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True
        return tags


class _Pictures:
    """Pictures without labels, as a skorch data set."""

    def __init__(self, pictures: np.ndarray):
        self.X, self.y = pictures, None


def _moments(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each channel's values, part by part; a channel without variance keeps its scale."""
    sums, squares = np.zeros((2, pictures.shape[3]))
    for start in range(0, len(pictures), BATCH):
        values = as_values(pictures[start : start + BATCH]).astype(np.float64)
        sums += values.sum(axis=(0, 1, 2))
        squares += np.square(values).sum(axis=(0, 1, 2))
    n = pictures[..., 0].size
    deviation = np.sqrt(np.maximum(squares / n - (sums / n) ** 2, 0))
    return (sums / n).astype(np.float32), np.where(deviation > 1e-6, deviation, 1).astype(np.float32)
