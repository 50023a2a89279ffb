"""NetworkClassifier: base class of networks that are trained here, with skorch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Self

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
from featrec.networks._layers import module_facts
from featrec.networks._learner import TrainingSet, best_epoch, image_weights, learner
from featrec.networks._stored_network import StoredNetwork, scores_of
from featrec.networks._torch_module import NamesModules, short_name
from featrec.networks._training import (
    Augmentation,
    ImageBatches,
    arrays_of,
    check_torch,
    computed_in,
    drawn_from,
    filled,
    initialized,
    resolved_device,
    torch_threads,
)
from featrec.parallel import worker_count

__all__ = ["BATCH", "NetworkClassifier", "Unlabelled"]

# Number of images per batch in predictions and statistics.
BATCH = 256
# Maximum number of pixel values in such a batch: 55 colour images of 224 × 224 pixels.
MOST_IN_BATCH = 2**23


class NetworkClassifier(StoredNetwork, NamesModules, ClassifierMixin, Estimator):
    """Base class of classifiers with a torch module.

    A subclass implements ``_images(X, y)``, ``_batches(X)``, ``_moments(images)``, ``_make_module()`` and ``_train(...)``. If a
    parameter specifies the module, ``_source_parameter`` is the name of this parameter.
    """

    network_kind = "pixels"
    _parameter_constraints = {
        "batch_size": [positive_integer(2)],
        "learning_rate": [real_number(0.0, closed="neither")],
        "weight_decay": [real_number(0.0, closed="left")],
        "flip": ["boolean"],
        "shift": [positive_integer(0)],
        "validation_fraction": [real_number(0.0, 1.0, closed="left")],
        "patience": [positive_integer(), None],
        "device": [str],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        **RANDOM_STATE,
        **JOBS,
        **VERBOSE,
    }

    precision: str = "float32"
    label_smoothing: float = 0.0
    cutout: int = 0
    optimizer: str = "sgd"
    batch_size: int
    learning_rate: float
    weight_decay: float
    flip: bool
    shift: int
    validation_fraction: float
    patience: int | None
    class_weight: Any
    random_state: Any
    n_jobs: int | None
    verbose: int
    device: str
    shape_: tuple[int, int, int]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : images
            Lazy images are computed once and stored.
        y : array-like of shape (n_images,)
        sample_weight : array-like of shape (n_images,), optional
            Weight of each training image in the loss; only the proportions matter. The validation loss is not weighted.

        Returns
        -------
        self
        """
        self._check_parameters()
        images = self._images(X, y)
        numbers = self._numbers(y, len(images))
        weights = image_weights(sample_weight, len(images), type(self).__name__)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        data = TrainingSet(images, numbers, weights, *self._split(numbers, seed), seed)
        self.shape_ = tuple(images.shape[1:])
        self.mean_, self.deviation_ = self._moments(images)
        module = initialized(self._counted_module, seed)
        with torch_threads(self.n_jobs), drawn_from(seed, resolved_device(self.device)):
            self.history_ = self._train(module, data)
        self.state_ = arrays_of(module)
        self._export(module)
        return self

    def _check_parameters(self) -> None:
        """Also check torch, the device and names, so a comparison reports a problem before it fits any model."""
        super()._check_parameters()
        stage = type(self).__name__
        self._check_source()
        check_torch(self.device, stage)
        if self.patience is not None and not self.validation_fraction:
            raise InputError(
                f"{stage}: patience={self.patience} needs images to validate on; set validation_fraction, for example to 0.1"
            )

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : images

        Returns
        -------
        probabilities : array of shape (n_images, n_classes), float32
        """
        check_is_fitted(self)
        groups = self._batches(X)
        parts = self._by_torch(groups) if self.state_ else self._by_export(groups)
        return np.concatenate([np.empty((0, len(self.classes_)), np.float32), *parts])

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each image.

        Parameters
        ----------
        X : images

        Returns
        -------
        labels : array of shape (n_images,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _images(self, X: Any, y: Any) -> np.ndarray:
        """Return the training images as an array (n, height, width, channels) of uint8 or of float32 in [0, 1]."""
        raise NotImplementedError

    def _batches(self, X: Any) -> Iterable[np.ndarray]:
        """Return arrays of images, in the order of X, for predictions."""
        raise NotImplementedError

    def _moments(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the standard deviation with which each channel is normalised."""
        raise NotImplementedError

    def _make_module(self) -> Any:
        """Make the module for ``shape_`` and ``classes_``."""
        raise NotImplementedError

    def _empty_module(self) -> Any:
        """Make a module whose weights will be replaced."""
        return self._make_module()

    def _train(self, module: Any, data: TrainingSet) -> list[dict[str, Any]]:
        """Train the module and return the history."""
        raise NotImplementedError

    def _counted_module(self) -> Any:
        stage = type(self).__name__
        module = self._make_module()
        name = stage if self._own else short_name(self._source())
        self.n_parameters_, self.n_multiply_adds_ = module_facts(module, self.shape_, len(self.classes_), name, stage)
        return module

    def _by_torch(self, groups: Iterable[np.ndarray]) -> list[np.ndarray]:
        stage = type(self).__name__
        check_torch(self.device, stage)
        self._check_source()
        import torch

        device, parts = resolved_device(self.device), []
        with torch_threads(self.n_jobs), torch.inference_mode(), computed_in(self.precision, device):
            probe = isinstance(self._source(), str) if not self._own else False
            module = filled(self._empty_module, self.state_, meta=self._own, probe=probe).to(device)
            for batches in self._normalised(groups):
                for values, _ in batches:
                    parts.append(module(values.to(device)).float().softmax(dim=1).cpu().numpy())
        return parts

    def _by_export(self, groups: Iterable[np.ndarray]) -> list[np.ndarray]:
        threads = worker_count(self.n_jobs, shared_memory=True)
        run = scores_of(self.network_, self.scores_, self.shape_, threads)
        parts = []
        for batches in self._normalised(groups):
            for values, _ in batches.arrays():
                scores = run(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))
                powers = np.exp(scores - scores.max(axis=1, keepdims=True))
                parts.append(powers / powers.sum(axis=1, keepdims=True))
        return parts

    def _prediction_batch(self) -> int:
        """Return the number of images per batch in predictions; fewer if they are large."""
        return BATCH if self._own else max(1, min(BATCH, MOST_IN_BATCH // math.prod(self.shape_)))

    def _normalised(self, groups: Iterable[np.ndarray]) -> Iterable[ImageBatches]:
        for images in groups:
            yield ImageBatches(
                Unlabelled(images), batch_size=self._prediction_batch(), mean=self.mean_, deviation=self.deviation_
            )

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

    def _learn(
        self,
        module: Any,
        data: TrainingSet,
        *,
        batch_size: int,
        epochs: int,
        learning_rate: float,
        first_loss: float = np.inf,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Train the module with skorch; return the history."""
        from skorch.dataset import Dataset
        from skorch.helper import predefined_split

        scale = {"batch_size": batch_size, "mean": self.mean_, "deviation": self.deviation_}
        augmentation = Augmentation(self.flip, self.shift, self.cutout)
        images, numbers, rows, held_out = data.images, data.numbers, data.rows, data.held_out
        changes: dict[str, Any] = {"augmentation": augmentation, "random": np.random.default_rng(data.seed)}
        if data.weights is not None:
            changes["weights"] = data.weights[rows]
        held = None if held_out is None else predefined_split(Dataset(images[held_out], numbers[held_out]))
        stopping = None if self.patience is None else best_epoch(self.patience, first_loss)
        net = learner(
            module,
            precision=self.precision,
            learning_rate=learning_rate,
            n_steps=epochs * (len(rows) // batch_size),
            verbose=self.verbose,
            stopping=stopping,
            optimizer=self.optimizer,
            max_epochs=epochs,
            optimizer__weight_decay=self.weight_decay,
            criterion__label_smoothing=self.label_smoothing,
            criterion__weight=self._loss_weights(numbers[rows]),
            iterator_train=ImageBatches,
            iterator_valid=ImageBatches,
            train_split=held,
            device=resolved_device(self.device),
            **{f"iterator_train__{name}": value for name, value in (scale | changes).items()},
            **{f"iterator_valid__{name}": value for name, value in scale.items()},
            **options,
        )
        whole = held_out is None
        net.fit(images if whole else images[rows], numbers if whole else numbers[rows])
        return self._history(net, epochs, stopping)

    def _rate(self) -> float:
        """Return the maximum learning rate."""
        return self.learning_rate

    def _loss_weights(self, numbers: np.ndarray) -> Any:
        """Return the weights of the classes in the loss, as a tensor."""
        if self.class_weight is None:
            return None
        import torch

        present = np.unique(numbers)
        weights = np.zeros(len(self.classes_), np.float32)
        weights[present] = compute_class_weight(self.class_weight, classes=self.classes_[present], y=self.classes_[numbers])
        return torch.from_numpy(weights).to(resolved_device(self.device))

    def _history(self, net: Any, epochs: int, stopping: Any) -> list[dict[str, Any]]:
        if len(net.history) < epochs and not (stopping is not None and stopping.stopped):
            # skorch catches the original KeyboardInterrupt and returns silently.
            raise KeyboardInterrupt("the training was interrupted")
        history = [
            {"epoch": int(epoch["epoch"]), "loss": float(epoch["train_loss"])}
            | ({"valid_loss": float(epoch["valid_loss"])} if "valid_loss" in epoch else {})
            | ({"valid_accuracy": float(epoch["valid_acc"])} if "valid_acc" in epoch else {})
            for epoch in net.history
        ]
        if not np.isfinite(history[-1]["loss"]):
            raise InputError(
                f"{type(self).__name__} has not converged: the loss is {history[-1]['loss']}. "
                f"Use a learning_rate below {self._rate()}."
            )
        self.best_epoch_ = history[-1]["epoch"] if stopping is None else int(stopping.epoch)
        return history

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True
        return tags


class Unlabelled:
    """Images without labels, as a skorch dataset."""

    def __init__(self, images: np.ndarray):
        self.X, self.y = images, None
