"""FineTuned: a trained network, adapted to the classes of the training set."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.exceptions import InputError
from featrec.images import check_images
from featrec.model_files import SizeLimit, Stored
from featrec.networks._fine_tuning import (
    AtInputSize,
    check_pretrained,
    declared_input,
    features_of,
    find_head,
    held,
    parts_before,
    pretrained,
    train_head,
    untrained,
    with_new_head,
)
from featrec.networks._learner import TrainingSet
from featrec.networks._network_classifier import NetworkClassifier, Unlabelled
from featrec.networks._network_docs import with_training_docs
from featrec.networks._network_input import CONVENTIONS, image_array
from featrec.networks._stored_network import MOST_INPUT
from featrec.networks._torch_module import short_name
from featrec.networks._training import ImageBatches, computed_in, resolved_device

__all__ = ["FineTuned"]


@with_training_docs
class FineTuned(NetworkClassifier):
    """A network with trained weights, adapted to the classes of the training set.

    The last linear layer, the head, is replaced by one for the classes, and trained first, with the other layers fixed. Then
    the head and the last blocks are trained together. Images may have any size. Requires torch: ``pip install
    "featrec[torch]"``; timm models also require timm: ``pip install "featrec[timm]"``. Missing weights, a wrong hash, names
    of weights that do not match, an unknown name, unknown preprocessing, a single class, and a loss that is not finite raise an
    error.

    Parameters
    ----------
    model : str or torch.nn.Module
        ``"timm:NAME"``, such as ``"timm:resnet18"``, with `weights` or `download`; or a module with trained weights, which maps
        a batch (n, channels, height, width) to scores. `fit` changes a copy.
    weights : path, optional
        File with the weights of a timm model: .safetensors, or a file written by ``torch.save(module.state_dict(), path)``.
        Nothing in it is executed.
    sha256 : str, optional
        Expected SHA-256 of the file, required with `weights`.
    key_map : dict or "order", optional
        Translates the names in the file to the names in the timm model. "order" assigns the weights in the order of the file;
        their shapes must be equal. Default: the names must be equal.
    download : bool, default=False
        If True, timm downloads the published weights, unless they are already stored. Nothing is downloaded otherwise.
    preprocessing : {"torch", "tf", "caffe"} or dict, optional
        As in :class:`CNNFeatures`. Default: the preprocessing of the timm model; required for other modules.
    size : int or tuple of (height, width), optional
        Input size. Default: the `size` in the preprocessing, else the input size of the timm model.
    crop : bool, optional
        If True, use the largest central part of the image that has the proportions of the input size. If False, stretch the
        image. Default: `crop` in the preprocessing, else True.
    head : str, optional
        Name of the linear layer that computes the scores. Default: the last linear layer.
    head_penalty : float, default=0.1
        Factor of the squared weights in the loss of the head; larger values avoid overfitting to few images.
    n_blocks : int, default=1
        Number of blocks or layers before the head that are trained too. 0 trains the head only, which is fastest.
    epochs : int, default=5
        Number of passes over the training set after the head has been trained. 0 trains the head only.
    batch_size : int, default=32
        Number of images per step.
    learning_rate : float, default=0.01
        Maximum learning rate of the head. The rate rises during the first quarter of the steps, then falls to zero.
    block_rate : float, default=0.1
        Learning rate of the blocks, as a share of the learning rate of the head.
    flip : bool, default=True
        If True, mirror a random half of the images in each epoch; the head is trained on all images and their mirror images.
    shift : int, default=0
        Maximum random shift of training images in pixels of the input; borders are reflected. Not used for the head.
    device : str, default="auto"
        Device of torch, such as "cpu" or "cuda". "auto" is the GPU if torch can use one, else the CPU.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    history_ : list of dict
        For each epoch, its number and mean loss, and the loss and accuracy on the validation images if there are any. Epoch 0
        is the training of the head.
    best_epoch_ : int
        The epoch whose weights are used: the best epoch (possibly 0) with `patience`, otherwise the last.
    trained_ : list of str
        Names of the layers and blocks that were trained.
    input_ : dict
        The `size`, `mean`, `scale`, `color_order` and `crop` that are used.
    digest_ : str
        SHA-256 of the weights file; only with `weights`.
    n_parameters_, n_multiply_adds_, state_, shape_, mean_, deviation_, network_, scores_, export_failure_
        As in :class:`PixelsNetwork`.

    Notes
    -----
    During training, all layers compute as in prediction: batch normalisation keeps the statistics of the original network, and
    dropout is not used. The features before the head are computed once, so that training the head takes little more than one
    pass over the images, or two with `flip`. Training images are kept in memory as bytes at the input size.

    Model files contain the name of a timm model and the weights; for other modules, an ONNX export, as explained in
    :class:`PixelsNetwork`. The folder of `weights` is not written.

    The same `random_state` gives the same model on the same machine with the same number of threads.

    Examples
    --------
    >>> from featrec.networks import FineTuned
    >>> FineTuned("timm:resnet18", weights="resnet18.safetensors", sha256="52e0...", n_blocks=2)
    FineTuned(model='timm:resnet18', n_blocks=2, sha256='52e0...',
              weights='resnet18.safetensors')
    """

    _parameter_constraints = {
        **NetworkClassifier._parameter_constraints,
        "model": [str, callable],
        "weights": [str, os.PathLike, None],
        "sha256": [str, None],
        "key_map": [dict, StrOptions({"order"}), None],
        "download": ["boolean"],
        "preprocessing": [StrOptions(set(CONVENTIONS)), dict, None],
        "size": [positive_integer(), tuple, list, None],
        "crop": ["boolean", None],
        "head": [str, None],
        "head_penalty": [real_number(0.0, closed="left")],
        "n_blocks": [positive_integer(0)],
        "epochs": [positive_integer(0)],
        "block_rate": [real_number(0.0, closed="neither")],
        "label_smoothing": [real_number(0.0, 1.0, closed="left")],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
    }
    _source_parameter = "model"
    _own_names = False
    _file_limits = {"size": SizeLimit(2**24, sides=2)}
    # Model files contain the weights, and only the name of their file, without the folder.
    _file_parameters: ClassVar = {"weights": "state_"}

    def __init__(
        self,
        model: Any,
        *,
        weights: str | os.PathLike | None = None,
        sha256: str | None = None,
        key_map: Mapping[str, str] | str | None = None,
        download: bool = False,
        preprocessing: str | Mapping[str, Any] | None = None,
        size: int | tuple[int, int] | None = None,
        crop: bool | None = None,
        head: str | None = None,
        head_penalty: float = 0.1,
        n_blocks: int = 1,
        epochs: int = 5,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        block_rate: float = 0.1,
        weight_decay: float = 5e-4,
        label_smoothing: float = 0.0,
        flip: bool = True,
        shift: int = 0,
        precision: str = "float32",
        validation_fraction: float = 0.0,
        patience: int | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        device: str = "auto",
    ):
        self.model = model
        self.weights = weights
        self.sha256 = sha256
        self.key_map = key_map
        self.download = download
        self.preprocessing = preprocessing
        self.size = size
        self.crop = crop
        self.head = head
        self.head_penalty = head_penalty
        self.n_blocks = n_blocks
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.block_rate = block_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.flip = flip
        self.shift = shift
        self.precision = precision
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_pretrained(self.model, self.weights, self.sha256, self.key_map, self.download)

    def _images(self, X: Any, y: Any) -> np.ndarray:
        self.__dict__.pop("digest_", None)
        self.input_ = asdict(declared_input(self.model, self.preprocessing, self.size, self.crop))
        images = image_array(check_images(X).then(AtInputSize(self.input_)), y, stage="FineTuned", n_jobs=self.n_jobs)
        if not len(images):
            raise InputError("FineTuned.fit needs images of at least two classes; got none")
        return images

    def _moments(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, scale = (np.array(self.input_[name], np.float64) for name in ("mean", "scale"))
        return (mean / 255).astype(np.float32), (1 / (255 * scale)).astype(np.float32)

    def _batches(self, X: Any) -> Iterator[np.ndarray]:
        images, step = check_images(X).then(AtInputSize(self.input_)), self._prediction_batch()
        for start in range(0, len(images), step):
            yield image_array(images[start : start + step], stage="FineTuned", n_jobs=self.n_jobs)

    def _make_module(self) -> Any:
        if self.weights is not None:
            self.digest_ = str(self.sha256).lower()
        size = (self.shape_[0], self.shape_[1])
        return self._with_head(pretrained(self.model, size, self.weights, self.sha256, self.key_map, self.head))

    def _empty_module(self) -> Any:
        return self._with_head(untrained(self.model, (self.shape_[0], self.shape_[1])))

    def _with_head(self, module: Any) -> Any:
        return with_new_head(module, self._head_of(module), len(self.classes_))

    def _head_of(self, module: Any) -> str:
        return find_head(module, self.head, short_name(self.model))

    def _train(self, module: Any, data: TrainingSet) -> list[dict[str, Any]]:
        head = self._head_of(module)
        history = [self._train_head(module, head, data)]
        self.trained_, self.best_epoch_ = [head], 0
        if not self.epochs or not self.n_blocks:
            return history
        parts = parts_before(module, head)[-self.n_blocks :]
        self.trained_ = [name for name, _ in parts] + [head]
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        for layer in (module.get_submodule(head), *(layer for _, layers in parts for layer in layers)):
            layer.requires_grad_(True)
        return history + self._learn(
            held(module),
            data,
            batch_size=min(self.batch_size, len(data.rows)),
            epochs=self.epochs,
            learning_rate=self.learning_rate * self.block_rate,
            first_loss=history[0].get("valid_loss", math.inf),
            optimizer__param_groups=[(f"inner.{head}.*", {"lr": self.learning_rate})],
        )

    def _train_head(self, module: Any, head: str, data: TrainingSet) -> dict[str, Any]:
        """Train the head on the features of the images, and return its history entry."""
        start, layer, rows = time.perf_counter(), module.get_submodule(head), data.rows
        device = resolved_device(self.device)
        module.to(device).eval()
        views = [data.images, data.images[:, :, ::-1]] if self.flip else [data.images]
        with computed_in(self.precision, device):
            features = [features_of(module, head, self._scaled(view), device) for view in views]
        learned = np.concatenate([view[rows] for view in features])
        numbers, weights = (None if each is None else np.tile(each[rows], len(views)) for each in (data.numbers, data.weights))
        class_weights = self._loss_weights(data.numbers[rows])
        entry: dict[str, Any] = {"epoch": 0}
        entry["loss"] = train_head(layer, learned, numbers, weights, class_weights, self.head_penalty)
        if data.held_out is not None:
            criterion = {"weight": class_weights, "label_smoothing": self.label_smoothing}
            entry |= _measured(layer, features[0][data.held_out], data.numbers[data.held_out], criterion)
        if not math.isfinite(entry["loss"]):
            raise InputError(
                f"FineTuned has not converged: the loss of the head is {entry['loss']}. Use a larger head_penalty."
            )
        if self.verbose > 0:
            held_accuracy = f", validation accuracy {entry['valid_accuracy']:.3f}" if "valid_accuracy" in entry else ""
            sys.stderr.write(f"head: loss {entry['loss']:.4f}{held_accuracy}, {time.perf_counter() - start:.1f} s\n")
        return entry

    def _scaled(self, images: np.ndarray) -> ImageBatches:
        scale: dict[str, Any] = {"mean": self.mean_, "deviation": self.deviation_}
        return ImageBatches(Unlabelled(images), batch_size=self._prediction_batch(), **scale)

    @staticmethod
    def _check_stored_settings(stored: Stored) -> None:
        NetworkClassifier._check_stored_settings(stored)
        if "input_" in stored:
            size = stored["input_"]["size"]
            if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
                raise ValueError(f"an input of size {size!r:.80}; expected two positive integers")
            if 3 * math.prod(size) > MOST_INPUT:
                raise ValueError(f"an input of size {size!r:.80} exceeds the limit of {MOST_INPUT:,} numbers")


def _measured(layer: Any, features: np.ndarray, numbers: np.ndarray, criterion: dict[str, Any]) -> dict[str, float]:
    """Return loss and accuracy of the head on validation images."""
    import torch

    with torch.inference_mode():
        values, targets = (torch.from_numpy(each).to(layer.weight.device) for each in (features, numbers))
        scores = layer(values)
        loss = torch.nn.functional.cross_entropy(scores, targets, **criterion)
    return {"valid_loss": float(loss), "valid_accuracy": float((scores.argmax(dim=1) == targets).float().mean())}
