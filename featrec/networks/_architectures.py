"""LeNet5 and SmallResNet: small networks for images of equal size, trained from random weights."""

from __future__ import annotations

from typing import Any, ClassVar

from featrec.base import positive_integer, real_number
from featrec.networks._network_docs import with_training_docs
from featrec.networks._pixels_network import PixelsNetwork
from featrec.networks._torch_module import LEAST_SIZES, lenet5, small_resnet

__all__ = ["LeNet5", "SmallResNet"]

RATE = {"learning_rate": [real_number(0.0, closed="neither")]}


@with_training_docs
class LeNet5(PixelsNetwork):
    """LeNet-5, published in 1998: a network for digits and other small gray images, trained from random weights.

    All images must have the same size, at least 12 × 12 pixels; for other images, use
    ``make_pipeline(Grayscale(), Resize((28, 28)), LeNet5())``. Requires torch: ``pip install "featrec[torch]"``. Images of
    different sizes, a single class, and a loss that is not finite raise an error.

    Parameters
    ----------
    epochs : int or None, default=None
        Number of passes over the training set. None: 12, or as many as are needed for 1,000 steps if the training set is small.
    flip : bool, default=False
        If True, mirror a random half of the images in each epoch. Not suitable for digits.
    device : str, default="cpu"
        Device of torch, such as "cuda". "auto" is the GPU if torch can use one, else the CPU.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    history_ : list of dict
        For each epoch, its number and mean loss, and the loss and accuracy on the validation images if there are any.
    best_epoch_ : int
        The epoch whose weights are used: the best epoch with `patience`, otherwise the last.
    n_parameters_ : int
        Number of weights: 61,706 for gray images of 28 × 28 pixels and ten classes.
    n_multiply_adds_ : int
        Number of multiplications, each with an addition, in the convolutions and linear layers for one image: 416,520 for gray
        images of 28 × 28 pixels and ten classes.
    state_ : dict of arrays
        The weights, from which each call of `predict` builds the network.
    shape_ : tuple of (height, width, channels)
    mean_, deviation_ : arrays of shape (channels,), float32
        Mean and standard deviation of the training images, used for normalisation.

    Notes
    -----
    The layers are those of the paper: a convolution to 6 maps with filters of 5 × 5, pooling, a convolution to 16 maps with
    filters of 5 × 5, pooling, and linear layers with 120 outputs, 84 outputs and one output per class. Differences: rectifiers
    instead of tanh; max pooling instead of weighted means; every map of the third layer uses all six previous maps; softmax
    and cross entropy instead of radial basis units; SGD with Nesterov momentum. Two rows or columns of zeros are added on each
    side of the image; in the paper, the image is placed on a larger canvas.

    The same `random_state` gives the same model on the same machine with the same number of threads. With a different number
    of threads, sums are computed in a different order, which changes the last digits and finally some predictions.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition. Proceedings of the
    IEEE, 1998.

    Examples
    --------
    >>> from featrec.networks import LeNet5
    >>> LeNet5(epochs=20, random_state=0)
    LeNet5(epochs=20, random_state=0)
    """

    _parameter_constraints = {**PixelsNetwork._parameter_constraints, **RATE}
    _own = True
    usual_epochs: ClassVar[int] = 12

    def __init__(
        self,
        *,
        epochs: int | None = None,
        batch_size: int = 128,
        learning_rate: float = 0.05,
        weight_decay: float = 5e-4,
        flip: bool = False,
        shift: int = 2,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        device: str = "cpu",
    ):
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.flip = flip
        self.shift = shift
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device

    def _make_module(self) -> Any:
        height, width, n_channels = self.shape_
        return lenet5(n_channels, (height, width), len(self.classes_))

    def _least_size(self) -> int:
        return LEAST_SIZES["lenet5"]


@with_training_docs
class SmallResNet(PixelsNetwork):
    """A residual network of nine layers for small images, trained from random weights.

    All images must have the same size, at least 8 × 8 pixels; for other images, use
    ``make_pipeline(Resize((32, 32)), SmallResNet())``. Requires torch: ``pip install "featrec[torch]"``. Images of different
    sizes, a single class, and a loss that is not finite raise an error.

    Parameters
    ----------
    width : int, default=32
        Number of maps of the first layer; the other layers have 2, 4 and 8 times as many. Training with twice the width takes
        nearly four times as long.
    epochs : int or None, default=None
        Number of passes over the training set. None: 15, or as many as are needed for 1,000 steps if the training set is small.
    cutout : int, default=8
        In each training image, a square at a random position is replaced by the mean; this is its side in pixels. The side is
        limited to half of the image's height and width.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Data type of products; sums and weights are float32. "auto" uses bfloat16 on processors with AMX, which multiply
        bfloat16 matrices in hardware, and float32 on others.
    device : str, default="cpu"
        Device of torch, such as "cuda". "auto" is the GPU if torch can use one, else the CPU.

    Attributes
    ----------
    n_parameters_ : int
        Number of weights: 1,646,112 for colour images and ten classes.
    n_multiply_adds_ : int
        As in :class:`LeNet5`: 95,259,136 for colour images of 32 × 32 pixels and ten classes.
    classes_, history_, best_epoch_, state_, shape_, mean_, deviation_
        As in :class:`LeNet5`.

    Notes
    -----
    The architecture is that of the networks that led the DAWNBench table for CIFAR-10. It consists of eight 3 × 3
    convolutions, each with batch normalisation and a rectifier, then global max pooling and one linear layer. Three
    convolutions are followed by pooling, and two pairs of convolutions have a residual connection. At width 32, the forward
    pass of a colour image of 32 × 32 takes 0.191 GFLOP (a multiplication and an addition count as two operations). With the
    backward pass, an epoch over 50,000 images takes 2.8e13 operations, and the default 15 epochs take 4.3e14.

    Results are as reproducible as those of :class:`LeNet5`.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun: Deep residual learning for image recognition. CVPR 2016. C. Coleman et al.: DAWNBench, an
    end-to-end deep learning benchmark and competition, 2017. L. N. Smith, N. Topin: Super-convergence, 2018. T. DeVries,
    G. W. Taylor: Improved regularization of convolutional neural networks with cutout, 2017.

    Examples
    --------
    >>> from featrec.networks import SmallResNet
    >>> SmallResNet(epochs=30, random_state=0)
    SmallResNet(epochs=30, random_state=0)
    """

    _parameter_constraints = {
        **PixelsNetwork._parameter_constraints,
        **RATE,
        "width": [positive_integer()],
    }
    _own = True

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
        patience: int | None = None,
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
        self.patience = patience
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device

    def _make_module(self) -> Any:
        height, width, n_channels = self.shape_
        return small_resnet(n_channels, (height, width), len(self.classes_), self.width)

    def _least_size(self) -> int:
        return LEAST_SIZES["small_resnet"]
