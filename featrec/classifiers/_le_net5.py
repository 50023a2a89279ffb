"""LeNet5: the first convolutional network that everybody knew, beside the engineered features."""

from __future__ import annotations

from typing import Any, ClassVar

from featrec.classifiers._network_classifier import NetworkClassifier

__all__ = ["LeNet5"]


class LeNet5(NetworkClassifier):
    """LeNet-5, for digits and other small gray pictures: what a network of 1998 makes of the same pixels.

    Takes pictures of one size, 12 × 12 pixels and more, as arrays or Images; files go through
    ``make_pipeline(Grayscale(), Resize((28, 28)), LeNet5())``. Needs the extra ``torch``: ``pip install "featrec[torch]"``.
    Fails where sizes differ, where there is one class only, and where the loss does not stay finite.

    Parameters
    ----------
    epochs : int or None, default=None
        Passes over the pictures. None: 12, or as many more as make a thousand steps where pictures are few.
    batch_size : int, default=128
        Pictures from which one step is made. Where they are few, an eighth of them, 16 at least, and the learning rate is
        smaller in the same proportion.
    learning_rate : float, default=0.05
        The highest of the cycle: it rises for a quarter of the steps and then falls to nothing.
    weight_decay : float, default=5e-4
    flip : bool, default=False
        Mirror half of the pictures each time they are learned from; not for digits.
    shift : int, default=2
        Shift them by up to so many pixels, the border reflected.
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
        61,706 for ten classes of gray pictures of 28 × 28.
    state_ : dict of arrays
        The weights; the network is built from them anew for each prediction.
    shape_ : tuple of (height, width, channels)
    mean_, deviation_ : arrays of shape (channels,), float32
        What the values were normalised by.

    Notes
    -----
    Layers and widths are those of the paper: 6 maps by 5 × 5, halved, 16 maps by 5 × 5, halved, 120, 84, the classes.
    Departures from it: rectifiers in place of tanh, maxima in place of weighted means, every map of the third layer sees all
    six before it, softmax and cross entropy in place of radial basis units, and SGD with Nesterov's momentum. Two rows of
    zeros around pictures stand for the paper's larger canvas.

    One `random_state` gives the same model each time on one machine with one number of threads; another number of threads
    adds in another order, which changes last digits and, over many steps, some predictions.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition. Proceedings of the
    IEEE, 1998.

    Examples
    --------
    >>> from featrec.classifiers import LeNet5
    >>> LeNet5(epochs=20, random_state=0)
    LeNet5(epochs=20, random_state=0)
    """

    _parameter_constraints = {**NetworkClassifier._parameter_constraints}
    usual_epochs: ClassVar[int] = 12
    least_size: ClassVar[int] = 12

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
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device

    def _make_module(self, n_channels: int, size: tuple[int, int], n_classes: int) -> Any:
        from torch import nn

        height, width = ((length // 2 - 4) // 2 for length in size)
        return nn.Sequential(
            nn.Conv2d(n_channels, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * height * width, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, n_classes),
        )
