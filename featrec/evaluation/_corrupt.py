"""corrupt: images with common corruptions, or changes of viewpoint, occlusion and colour, computed on access."""

from __future__ import annotations

from collections.abc import Callable, Collection
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from featrec.evaluation._common_corruptions import COMMON_CORRUPTIONS
from featrec.exceptions import InputError, UnsupportedImageError
from featrec.images import as_uint8, check_images
from featrec.lazy import Images, LazySequence

__all__ = ["checked_conditions", "corrupt", "corrupted", "corruption_names", "seed_from"]

Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
SEVERITIES = (1, 2, 3, 4, 5)
SMALLEST = 28
# One value per severity.
DEGREES = (5, 10, 20, 30, 45)
FACTORS = (1.1, 1.2, 1.35, 1.5, 1.75)
HIDDEN_SHARE = (0.05, 0.1, 0.2, 0.3, 0.4)
COLOR_GAIN = (0.1, 0.2, 0.3, 0.45, 0.6)
GRAY = 128


def rotation(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Turn the image about its centre, in a random direction."""
    turn = np.deg2rad(DEGREES[severity - 1]) * random.choice([-1, 1])
    return _mapped(image, np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]))


def scale(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Randomly enlarge or reduce the image about its centre. The size of the array does not change."""
    factor = FACTORS[severity - 1] ** random.choice([-1, 1])
    return _mapped(image, np.eye(2) / factor)


def _mapped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Take each pixel from a given position in the image; areas outside the image are filled by reflection."""
    import cv2

    height, width = image.shape[:2]
    centre = np.array([width - 1, height - 1]) / 2
    affine = np.column_stack([matrix, centre - matrix @ centre])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    mapped = cv2.warpAffine(image, affine, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return mapped.reshape(image.shape)


def occlusion(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Cover a random part of the image with a gray rectangle that has the proportions of the image."""
    share = np.sqrt(HIDDEN_SHARE[severity - 1])
    height, width = (max(1, round(share * side)) for side in image.shape[:2])
    top, left = (random.integers(side - part + 1) for side, part in zip(image.shape[:2], (height, width), strict=True))
    hidden = image.copy()
    hidden[top : top + height, left : left + width] = GRAY
    return hidden


def color_shift(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Multiply the channels by factors whose product is 1, like light of another colour. A gray image does not change."""
    if image.shape[2] == 1:
        return image
    direction = random.normal(size=3)
    direction -= direction.mean()
    gains = np.exp(COLOR_GAIN[severity - 1] * direction / np.abs(direction).max())
    return np.clip(image * gains, 0, 255)


CORRUPTIONS: dict[str, Corruption] = {
    function.__name__: function for function in (*COMMON_CORRUPTIONS, rotation, scale, occlusion, color_shift)
}


def corruption_names() -> list[str]:
    """Return the names of all corruptions: the 15 common ones of ImageNet-C, then four changes of viewpoint and colour.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> from featrec.evaluation import corruption_names
    >>> corruption_names()[:4]
    ['gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur']
    """
    return list(CORRUPTIONS)


def corrupt(images: Any, kind: str, severity: int = 3, *, random_state: Any = None) -> Images:
    """Return corrupted images, which are computed on access.

    The random numbers of an image depend only on `random_state` and on the position of the image in `images`, not on the batch
    or on `n_jobs`. All severities use the same seeds.

    Parameters
    ----------
    images : images
        Gray or colour images of at least 28 pixels in both directions; see :func:`featrec.images.check_images`.
    kind : str
        A name from :func:`corruption_names`.
    severity : int, default=3
        1 (weakest) to 5.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the random numbers. If None, they differ from call to call.

    Returns
    -------
    corrupted : Images
        uint8 images of the same shapes.

    Notes
    -----
    The 15 common corruptions follow the published code of ImageNet-C. At 224 × 224 pixels, the same random numbers give the
    same images, except for ``frost``, and for differences of 1 in less than 1 % of the values of ``brightness`` and
    ``zoom_blur``. For other sizes, constants are scaled. If s is the shorter side divided by 224:

    - Lengths in pixels, such as the radius of a blur, are multiplied by s. Shifts of ``glass_blur`` and flakes of ``snow`` are
      at least one pixel; these two corruptions are therefore stronger for small images.
    - The strengths of Gaussian and impulse noise and the quantisation steps of JPEG are multiplied by √s, the number of photons
      is divided by s, and ``pixelate`` raises the share of pixels that it keeps to the power √s.
    - The strengths of fog, frost, brightness, contrast and zoom do not change.

    At 32 × 32 pixels, noise and blurs are about as strong as in CIFAR-10-C. Weather, contrast and compression are stronger.

    - ``frost`` adds a computed texture instead of the photographs of ImageNet-C. Its results are not comparable with published
      ones.
    - ``rotation`` rotates by 5, 10, 20, 30 or 45 degrees in a random direction. ``scale`` enlarges or shrinks the content by a
      factor of 1.1, 1.2, 1.35, 1.5 or 1.75, at random. Both fill areas outside the image by reflection.
    - ``occlusion`` hides 5, 10, 20, 30 or 40 % of the area with a gray rectangle.
    - ``color_shift`` multiplies the channels by factors from exp(-a) to exp(a), where a is 0.1, 0.2, 0.3, 0.45 or 0.6. Gray
      images do not change.

    References
    ----------
    Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.evaluation import corrupt
    >>> train, test = load_dataset("shapes", n_train=10, n_test=10)
    >>> foggy = corrupt(test, "fog", severity=5, random_state=0)
    >>> foggy[0].shape == test[0].shape, foggy[0].dtype
    (True, dtype('uint8'))
    """
    _check_corruption(kind)
    _check_severity(severity)
    return corrupted(images, kind, int(severity), seed_from(random_state))


def corrupted(images: Any, kind: str, severity: int, seed: int) -> Images:
    """Return corrupted images for checked arguments."""
    return Images(Corrupted(check_images(images), kind, severity, seed))


def seed_from(random_state: Any) -> int:
    """Return a seed: an int, a draw from a RandomState or Generator, or a random number for None."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(np.iinfo(np.int32).max))
    try:
        return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    except ValueError as error:
        raise InputError(f"random_state must be an int, a RandomState, a Generator or None; got {random_state!r}") from error


def _check_corruption(kind: Any) -> None:
    if not isinstance(kind, str) or kind not in CORRUPTIONS:
        raise InputError(f"there is no corruption {kind!r}; the names are {', '.join(CORRUPTIONS)}")


def _check_severity(severity: Any) -> None:
    if not isinstance(severity, Integral) or isinstance(severity, bool) or severity not in SEVERITIES:
        raise InputError(f"severity must be an integer from 1 to 5; got {severity!r}")


def checked_conditions(corruptions: Any, severities: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Check the names and the severities, and return them without duplicates."""
    given = corruption_names() if corruptions is None else corruptions
    for what, values in (("corruptions", given), ("severities", severities)):
        if isinstance(values, str) or not isinstance(values, Collection) or not len(values):
            way_out = f"; use [{values!r}]" if isinstance(values, (str, int)) else ""
            raise InputError(f"{what} must be a collection with at least one item; got {values!r}{way_out}")
    for kind in given:
        _check_corruption(kind)
    for severity in severities:
        _check_severity(severity)
    return tuple(dict.fromkeys(given)), tuple(sorted({int(severity) for severity in severities}))


class Corrupted(LazySequence):
    """A source of lazy Images. `places` are the positions that determine the random numbers."""

    _by_item = ("places",)

    def __init__(self, images: Images, kind: str, severity: int, seed: int):
        super().__init__(images)
        self.kind, self.severity, self.seed = kind, severity, seed
        self.places = np.arange(len(images))

    def _compute(self, position: int) -> np.ndarray:
        row = int(self.rows[position])
        image = self.source[row]
        with self.source.naming(row):
            _refuse_small(image)
            random = np.random.default_rng((self.seed, int(self.places[position])))
            pixels = as_uint8(image)
            channels = pixels.reshape(*pixels.shape[:2], -1)
            values = CORRUPTIONS[self.kind](channels, self.severity, random)
            return values.astype(np.uint8).reshape(pixels.shape)  # fractions are truncated, as in the published code


def _refuse_small(image: np.ndarray) -> None:
    if min(image.shape[:2]) < SMALLEST:
        height, width = image.shape[:2]
        raise UnsupportedImageError(
            f"corruptions need images of at least {SMALLEST} × {SMALLEST} pixels; this one has {height} × {width}. "
            "Enlarge the images with featrec.preprocessing.Resize first, and fit the model on enlarged images"
        )
