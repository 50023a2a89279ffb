"""PixelsNetwork: base class of networks that are trained on pixels with skorch."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags, check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from featrec.base import (
    JOBS,
    RANDOM_STATE,
    VERBOSE,
    Estimator,
    StrOptions,
    check_is_fitted,
    check_one_label_each,
    positive_integer,
    real_number,
)
from featrec.exceptions import InputError
from featrec.networks._network_input import image_array, unit_values
from featrec.networks._training import (
    Augmentation,
    ImageBatches,
    arrays_of,
    check_torch,
    computed_in,
    filled,
    initialized,
    learner,
    torch_threads,
)

__all__ = ["PixelsNetwork"]

# Number of images per batch in predictions and statistics.
BATCH = 256
# For small training sets: minimum number of steps, minimum batch size, and minimum number of batches per epoch. The usual
# batch size and number of epochs would give too few steps.
LEAST_STEPS = 1000
LEAST_BATCH = 16
BATCHES = 8


class PixelsNetwork(ClassifierMixin, Estimator):
    """Base class of networks trained on pixels. A subclass implements
    ``_make_module(n_channels, size, n_classes)``."""

    network_kind = "pixels"
    _parameter_constraints = {
        "epochs": [positive_integer(), None],
        "batch_size": [positive_integer(2)],
        "learning_rate": [real_number(0.0, closed="neither")],
        "weight_decay": [real_number(0.0, closed="left")],
        "flip": ["boolean"],
        "shift": [positive_integer(0)],
        "validation_fraction": [real_number(0.0, 1.0, closed="left")],
        "device": [str],
        "class_weight": [dict, StrOptions({"balanced"}), None],
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
        """Train on images of equal size, from random weights.

        Parameters
        ----------
        X : images of equal size
            Lazy images are computed once and stored.
        y : array-like of shape (n_images,)

        Returns
        -------
        self
        """
        self._check_parameters()
        images = self._images(X, y)
        numbers = self._numbers(y, len(images))
        random = check_random_state(self.random_state)
        seed = int(random.randint(np.iinfo(np.int32).max))
        learned, held_out = self._split(numbers, seed)
        self.shape_ = tuple(images.shape[1:])
        self.mean_, self.deviation_ = _moments(images)
        module = initialized(self._module, seed)
        self.n_parameters_ = sum(parameter.numel() for parameter in module.parameters())
        with torch_threads(self.n_jobs):
            self.history_ = self._learn(module, images, numbers, learned, held_out, seed)
        self.state_ = arrays_of(module)
        return self

    def _check_parameters(self) -> None:
        """Also check torch and the device, so a comparison reports a problem before it fits any model."""
        super()._check_parameters()
        check_torch(self.device, type(self).__name__)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : images of the same size as in fit

        Returns
        -------
        probabilities : array of shape (n_images, n_classes), float32
        """
        check_is_fitted(self)
        check_torch(self.device, type(self).__name__)
        import torch

        images = self._fitting(image_array(X, stage=type(self).__name__, n_jobs=self.n_jobs))
        batches = ImageBatches(_Unlabelled(images), batch_size=BATCH, mean=self.mean_, deviation=self.deviation_)
        parts = [np.empty((0, len(self.classes_)), np.float32)]
        with torch_threads(self.n_jobs), torch.inference_mode(), computed_in(self.precision, self.device):
            module = filled(self._module, self.state_).to(self.device)
            for values, _ in batches:
                parts.append(module(values.to(self.device)).float().softmax(dim=1).cpu().numpy())
        return np.concatenate(parts)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each image.

        Parameters
        ----------
        X : images of the same size as in fit

        Returns
        -------
        labels : array of shape (n_images,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _make_module(self, n_channels: int, size: tuple[int, int], n_classes: int) -> Any:
        raise NotImplementedError

    def _module(self) -> Any:
        height, width, n_channels = self.shape_
        return self._make_module(n_channels, (height, width), len(self.classes_))

    def _images(self, X: Any, y: Any) -> np.ndarray:
        stage = type(self).__name__
        images = image_array(X, y, stage=stage, n_jobs=self.n_jobs)
        if not len(images):
            raise InputError(f"{stage}.fit needs images of at least two classes; got none")
        if min(images.shape[1:3]) < self.least_size:
            raise InputError(
                f"{stage} needs images of at least {self.least_size} × {self.least_size} pixels; these have "
                f"{images.shape[1]} × {images.shape[2]}. Put Resize((32, 32)) before it."
            )
        return images

    def _numbers(self, y: Any, n_images: int) -> np.ndarray:
        """Convert labels to class numbers."""
        labels = column_or_1d(y)
        check_classification_targets(labels)
        check_one_label_each(labels, n_images)
        classes, numbers = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise InputError(f"{type(self).__name__} needs at least two classes; all labels are {classes.tolist()[0]!r}")
        self.classes_ = classes
        return numbers.astype(np.int64)

    def _split(self, numbers: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the positions of the images for training and for validation."""
        everything = np.arange(len(numbers))
        if not self.validation_fraction:
            return everything, None
        from sklearn.model_selection import train_test_split

        return train_test_split(everything, test_size=self.validation_fraction, stratify=numbers, random_state=seed)

    def _fitting(self, images: np.ndarray) -> np.ndarray:
        """Check that images have the fitted shape; convert gray images to three channels if needed."""
        if not len(images):
            return np.empty((0, *self.shape_), np.float32)
        if images.shape[3] == 1 and self.shape_[2] == 3:
            images = np.repeat(images, 3, axis=3)
        if images.shape[1:] != tuple(self.shape_):
            size = tuple(self.shape_[:2])
            steps = ["Grayscale()"] if images.shape[3] > self.shape_[2] else []
            way_out = " and ".join(steps + ([f"Resize({size})"] if images.shape[1:3] != size else []))
            raise InputError(
                f"{type(self).__name__} was fitted on images of shape {tuple(self.shape_)}; got {images.shape[1:]}. "
                f"Put {way_out} before it, for fit and predict."
            )
        return images

    def _learn(
        self, module: Any, images: np.ndarray, numbers: np.ndarray, rows: np.ndarray, held_out: Any, seed: int
    ) -> list[dict[str, Any]]:
        """Train the module with skorch; return the history."""
        from skorch.dataset import Dataset
        from skorch.helper import predefined_split

        batch_size, epochs = self._plan(len(rows))
        scale = {"batch_size": batch_size, "mean": self.mean_, "deviation": self.deviation_}
        augmentation = Augmentation(self.flip, self.shift, self.cutout)
        changes: dict[str, Any] = {"augmentation": augmentation, "random": np.random.default_rng(seed)}
        held = None if held_out is None else predefined_split(Dataset(images[held_out], numbers[held_out]))
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
            iterator_train=ImageBatches,
            iterator_valid=ImageBatches,
            train_split=held,
            device=self.device,
            **{f"iterator_train__{name}": value for name, value in (scale | changes).items()},
            **{f"iterator_valid__{name}": value for name, value in scale.items()},
        )
        whole = held_out is None
        net.fit(images if whole else images[rows], numbers if whole else numbers[rows])
        return self._history(net, epochs)

    def _loss_weights(self, numbers: np.ndarray) -> Any:
        """Return the weights of the classes in the loss, as a tensor."""
        if self.class_weight is None:
            return None
        import torch

        present = np.unique(numbers)
        weights = np.zeros(len(self.classes_), np.float32)
        weights[present] = compute_class_weight(self.class_weight, classes=self.classes_[present], y=self.classes_[numbers])
        return torch.from_numpy(weights).to(self.device)

    def _plan(self, n_images: int) -> tuple[int, int]:
        """Return the batch size and the number of epochs."""
        batch_size = min(self.batch_size, max(LEAST_BATCH, n_images // BATCHES), n_images)
        enough = -(-LEAST_STEPS // (n_images // batch_size))
        return batch_size, self.epochs or max(self.usual_epochs, enough)

    def _history(self, net: Any, epochs: int) -> list[dict[str, Any]]:
        if len(net.history) < epochs:
            raise KeyboardInterrupt("the training was interrupted")  # skorch catches the first one and ends silently
        history = [
            {"epoch": int(epoch["epoch"]), "loss": float(epoch["train_loss"])}
            | ({"valid_accuracy": float(epoch["valid_acc"])} if "valid_acc" in epoch else {})
            for epoch in net.history
        ]
        if not np.isfinite(history[-1]["loss"]):
            raise InputError(
                f"{type(self).__name__} has not converged: the loss is {history[-1]['loss']}. "
                f"Use a learning_rate below {self.learning_rate}."
            )
        return history

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True
        return tags


class _Unlabelled:
    """Images without labels, as a skorch dataset."""

    def __init__(self, images: np.ndarray):
        self.X, self.y = images, None


def _moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of each channel; the deviation is 1 for channels without variance."""
    sums, squares = np.zeros((2, images.shape[3]))
    for start in range(0, len(images), BATCH):
        values = unit_values(images[start : start + BATCH]).astype(np.float64)
        sums += values.sum(axis=(0, 1, 2))
        squares += np.square(values).sum(axis=(0, 1, 2))
    n = images[..., 0].size
    deviation = np.sqrt(np.maximum(squares / n - (sums / n) ** 2, 0))
    return (sums / n).astype(np.float32), np.where(deviation > 1e-6, deviation, 1).astype(np.float32)
