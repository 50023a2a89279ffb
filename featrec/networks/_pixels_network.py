"""PixelsNetwork: any torch module, trained on pixels from random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.exceptions import InputError
from featrec.networks._learner import TrainingSet
from featrec.networks._network_classifier import BATCH, NetworkClassifier
from featrec.networks._network_docs import with_training_docs
from featrec.networks._network_input import image_array, unit_values
from featrec.networks._torch_module import least_size, made_from

__all__ = ["PixelsNetwork"]

# For small training sets: minimum number of steps, minimum batch size, and minimum number of batches per epoch. The usual
# batch size and number of epochs would give too few steps.
LEAST_STEPS = 1000
LEAST_BATCH = 16
BATCHES = 8


@with_training_docs
class PixelsNetwork(NetworkClassifier):
    """Any torch module as a classifier of images of equal size, trained from random weights.

    Gray images have one channel, colour images three. For images of different sizes, use
    ``make_pipeline(Resize((64, 64)), PixelsNetwork(...))``. Requires torch: ``pip install "featrec[torch]"``; timm models also
    require timm: ``pip install "featrec[timm]"``. Nothing is downloaded. An unknown name, images that are too small for the
    module, a module that does not return one score per class, a single class, and a loss that is not finite raise an error.

    Parameters
    ----------
    module : str, callable or torch.nn.Module
        What is trained:

        - ``"timm:NAME"``, such as ``"timm:resnet18"``: a timm model with random weights, for the number of channels and
          classes of the training set.
        - ``"lenet5"`` or ``"small_resnet"``: the modules of :class:`LeNet5` and :class:`SmallResNet`.
        - A function or class, called as ``module(n_channels, (height, width), n_classes)``. It returns a torch.nn.Module that
          maps a batch (n, channels, height, width) to scores (n, n_classes), without softmax. `random_state` determines its
          weights.
        - A torch.nn.Module. `fit` trains a copy, starting from the weights that the module has.
    epochs : int or None, default=None
        Number of passes over the training set. None: 15, or as many as are needed for 1,000 steps if the training set is small.
    optimizer : {"sgd", "adamw"}, default="sgd"
        SGD with Nesterov momentum, for convolutional networks with batch normalisation; or AdamW, for transformers and networks
        without batch normalisation.
    learning_rate : float or None, default=None
        Maximum learning rate. The rate rises during the first quarter of the steps, then falls to zero. None: 0.05 for SGD and
        0.001 for AdamW.
    cutout : int, default=0
        In each training image, a square at a random position is replaced by the mean; this is its side in pixels.
    device : str, default="auto"
        Device of torch, such as "cpu" or "cuda". "auto" is the GPU if torch can use one, else the CPU.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    history_ : list of dict
        For each epoch, its number and mean loss, and the loss and accuracy on the validation images if there are any.
    best_epoch_ : int
        The epoch whose weights are used: the best epoch with `patience`, otherwise the last.
    n_parameters_ : int
        Number of weights.
    n_multiply_adds_ : int
        Number of multiplications, each with an addition, in the convolutions and linear layers for one image. Other layers, and
        the products of attention, are not counted.
    state_ : dict of arrays
        The weights, from which each call of `predict` builds the network.
    shape_ : tuple of (height, width, channels)
    mean_, deviation_ : arrays of shape (channels,), float32
        Mean and standard deviation of the training images, used for normalisation.
    network_, scores_ : arrays
        Only for functions, classes and modules: an ONNX export of the trained module, and the module's scores for two fixed
        inputs.
    export_failure_ : str
        Only if the export failed: the reason.

    Notes
    -----
    A module is code, and a model file contains no code. For a name, :func:`featrec.persistence.save` writes the name and the
    weights, and `predict` creates the module again. For a function, a class or a module, `fit` exports the trained module to
    ONNX and compares the export with the module; the file contains the export, and the loaded model predicts with onnxruntime,
    or with OpenCV if onnxruntime is not installed, after the same comparison. Such a model cannot be fitted again before
    ``set_params(module=...)``. If the export fails, `fit` succeeds and `save` raises an error with the reason.

    `pickle`, and therefore ``n_jobs`` in a grid search, works only with functions and classes that are defined in a module (not
    lambdas), and with a torch.nn.Module of such a class.

    The same `random_state` gives the same model on the same machine with the same number of threads.

    Examples
    --------
    >>> from featrec.networks import PixelsNetwork
    >>> PixelsNetwork("timm:resnet18", epochs=30, flip=True, random_state=0)
    PixelsNetwork(epochs=30, flip=True, module='timm:resnet18', random_state=0)
    """

    _parameter_constraints = {
        **NetworkClassifier._parameter_constraints,
        "module": [str, callable],
        "epochs": [positive_integer(), None],
        "learning_rate": [real_number(0.0, closed="neither"), None],
        "optimizer": [StrOptions({"sgd", "adamw"})],
        "label_smoothing": [real_number(0.0, 1.0, closed="left")],
        "cutout": [positive_integer(0)],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
    }
    _source_parameter = "module"
    usual_epochs: ClassVar[int] = 15
    epochs: int | None

    def __init__(
        self,
        module: str | Callable,
        *,
        epochs: int | None = None,
        batch_size: int = 128,
        optimizer: str = "sgd",
        learning_rate: float | None = None,
        weight_decay: float = 5e-4,
        label_smoothing: float = 0.0,
        flip: bool = False,
        shift: int = 0,
        cutout: int = 0,
        precision: str = "float32",
        validation_fraction: float = 0.0,
        patience: int | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        device: str = "auto",
    ):
        self.module = module
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate  # type: ignore[assignment]
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.flip = flip
        self.shift = shift
        self.cutout = cutout
        self.precision = precision
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device

    def _make_module(self) -> Any:
        height, width, n_channels = self.shape_
        return made_from(self.module, n_channels, (height, width), len(self.classes_), type(self).__name__)

    def _least_size(self) -> int:
        """Return the minimum height and width of images, if they are known before the module is made."""
        return least_size(self.module)

    def _images(self, X: Any, y: Any) -> np.ndarray:
        stage, least = type(self).__name__, self._least_size()
        images = image_array(X, y, stage=stage, n_jobs=self.n_jobs)
        if not len(images):
            raise InputError(f"{stage}.fit needs images of at least two classes; got none")
        if min(images.shape[1:3]) < least:
            raise InputError(
                f"{stage} needs images of at least {least} × {least} pixels; these have "
                f"{images.shape[1]} × {images.shape[2]}. Put Resize((32, 32)) before it."
            )
        return images

    def _batches(self, X: Any) -> list[np.ndarray]:
        return [self._fitting(image_array(X, stage=type(self).__name__, n_jobs=self.n_jobs))]

    def _fitting(self, images: np.ndarray) -> np.ndarray:
        """Check that images have the same shape as in fit; convert gray images to three channels if needed."""
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
                f"Put {way_out} before it, both for fit and for predict."
            )
        return images

    def _moments(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and standard deviation of each channel; the deviation is 1 for channels without variance."""
        sums, squares = np.zeros((2, images.shape[3]))
        for start in range(0, len(images), BATCH):
            values = unit_values(images[start : start + BATCH]).astype(np.float64)
            sums += values.sum(axis=(0, 1, 2))
            squares += np.square(values).sum(axis=(0, 1, 2))
        n = images[..., 0].size
        deviation = np.sqrt(np.maximum(squares / n - (sums / n) ** 2, 0))
        return (sums / n).astype(np.float32), np.where(deviation > 1e-6, deviation, 1).astype(np.float32)

    def _train(self, module: Any, data: TrainingSet) -> list[dict[str, Any]]:
        batch_size, epochs = self._plan(len(data.rows))
        rate = self._rate() * batch_size / self.batch_size
        return self._learn(module, data, batch_size=batch_size, epochs=epochs, learning_rate=rate)

    def _rate(self) -> float:
        usual = 0.05 if self.optimizer == "sgd" else 0.001
        return usual if self.learning_rate is None else self.learning_rate

    def _plan(self, n_images: int) -> tuple[int, int]:
        """Return the batch size and the number of epochs."""
        batch_size = min(self.batch_size, max(LEAST_BATCH, n_images // BATCHES), n_images)
        enough = -(-LEAST_STEPS // (n_images // batch_size))
        return batch_size, self.epochs or max(self.usual_epochs, enough)
