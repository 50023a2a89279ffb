"""SmallResNet: a residual network of nine layers, beside the engineered features."""

from __future__ import annotations

from typing import Any, ClassVar

from featrec.base import StrOptions, positive_integer, real_number
from featrec.classifiers._network_classifier import NetworkClassifier

__all__ = ["SmallResNet"]

# Keeps the first answers small, so that a high learning rate does no harm.
SCALE = 0.125


class SmallResNet(NetworkClassifier):
    """A residual network of nine layers for small pictures, learned from random weights.

    Takes pictures of one size, 8 × 8 pixels and more, as arrays or Images; files go through
    ``make_pipeline(Resize((32, 32)), SmallResNet())``. Needs the extra ``torch``: ``pip install "featrec[torch]"``. Fails
    where sizes differ, where there is one class only, and where the loss does not stay finite.

    Parameters
    ----------
    width : int, default=32
        Maps of the first layer; the others have 2, 4 and 8 times as many. Twice the width is nearly four times the work.
    epochs : int or None, default=None
        Passes over the pictures. None: 15, or as many more as make a thousand steps where pictures are few.
    batch_size : int, default=256
        Pictures from which one step is made. Where they are few, an eighth of them, 16 at least, and the learning rate is
        smaller in the same proportion.
    learning_rate : float, default=0.2
        The highest of the cycle: it rises for a quarter of the steps and then falls to nothing.
    weight_decay : float, default=5e-4
    label_smoothing : float, default=0.1
        The share of a label that is spread evenly over all classes.
    flip : bool, default=True
        Mirror half of the pictures each time they are learned from.
    shift : int, default=4
        Shift them by up to so many pixels, the border reflected.
    cutout : int, default=8
        Cover a square of this side somewhere in each, half as high and wide as the picture at most.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        In which numbers products are made; sums and weights are float32. "auto" takes bfloat16 on processors with AMX, which
        multiply it in tiles, and float32 elsewhere.
    validation_fraction : float, default=0.0
        A part that is not learned from, for ``valid_accuracy`` in ``history_``.
    class_weight : dict, "balanced" or None, default=None
        How much a class counts in the loss. "balanced" gives each class the same total.
    random_state : int, RandomState or None, default=None
        Decides the first weights, the order and the changes of pictures.
    n_jobs : int or None, default=None
        Threads for torch; None means one, or what a joblib context says.
    verbose : int, default=0
        Above 0, a line for each epoch is written to the standard error.
    device : str, default="cpu"
        Any that torch knows.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    history_ : list of dict
        For each epoch its number, mean loss, and with a validation part the accuracy on that.
    n_parameters_ : int
        1,646,112 for ten classes of colour pictures.
    state_ : dict of arrays
        The weights; the network is built from them anew for each prediction.
    shape_ : tuple of (height, width, channels)
    mean_, deviation_ : arrays of shape (channels,), float32
        What the values were normalised by.

    Notes
    -----
    The shape is that of the networks that led the DAWNBench table for CIFAR-10: eight convolutions 3 × 3, each with batch
    normalisation and a rectifier, three of them followed by a pooling, two pairs with a way around them, the maximum over
    the picture and one linear layer. Forward, a picture of 32 × 32 in colour takes 0.191 GFLOP at the width 32 (a
    multiplication and its addition are two); an epoch over 50,000 pictures, backward included, is 2.8e13 and the default
    15 epochs are 4.3e14.

    One `random_state` gives the same model each time on one machine with one number of threads; another number of threads
    adds in another order, which changes last digits and, over many steps, some predictions.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun: Deep residual learning for image recognition. CVPR 2016. C. Coleman et al.: DAWNBench, an
    end-to-end deep learning benchmark and competition, 2017. L. N. Smith, N. Topin: Super-convergence, 2018. T. DeVries,
    G. W. Taylor: Improved regularization of convolutional neural networks with cutout, 2017.

    Examples
    --------
    >>> from featrec.classifiers import SmallResNet
    >>> SmallResNet(epochs=30, random_state=0)
    SmallResNet(epochs=30, random_state=0)
    """

    _parameter_constraints = {
        **NetworkClassifier._parameter_constraints,
        "width": [positive_integer()],
        "label_smoothing": [real_number(0.0, 1.0, closed="left")],
        "cutout": [positive_integer(0)],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
    }
    usual_epochs: ClassVar[int] = 15
    least_size: ClassVar[int] = 8

    def __init__(
        self,
        *,
        width: int = 32,
        epochs: int | None = None,
        batch_size: int = 256,
        learning_rate: float = 0.2,
        weight_decay: float = 5e-4,
        label_smoothing: float = 0.1,
        flip: bool = True,
        shift: int = 4,
        cutout: int = 8,
        precision: str = "auto",
        validation_fraction: float = 0.0,
        class_weight: Any = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        device: str = "cpu",
    ):
        self.width = width
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.flip = flip
        self.shift = shift
        self.cutout = cutout
        self.precision = precision
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device

    def _make_module(self, n_channels: int, size: tuple[int, int], n_classes: int) -> Any:
        from torch import nn

        def layer(inputs: int, outputs: int, *, halve: bool = False) -> list:
            pooling = [nn.MaxPool2d(2)] if halve else []
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            return [convolution, *pooling, nn.BatchNorm2d(outputs), nn.ReLU()]

        class Around(nn.Sequential):
            def forward(self, values: Any) -> Any:
                return values + super().forward(values)

        class Scaled(nn.Linear):
            def forward(self, values: Any) -> Any:
                return super().forward(values) * SCALE

        first, second, third, fourth = (self.width * factor for factor in (1, 2, 4, 8))
        return nn.Sequential(
            *layer(n_channels, first),
            *layer(first, second, halve=True),
            Around(*layer(second, second), *layer(second, second)),
            *layer(second, third, halve=True),
            *layer(third, fourth, halve=True),
            Around(*layer(fourth, fourth), *layer(fourth, fourth)),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            Scaled(fourth, n_classes, bias=False),
        )
