"""Lesson 1: gray values, colour histograms, and labels of files."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["EXERCISES"]

BYTES = {"out of bounds for uint8": "Bytes end at 255: convert the image with astype(int) first."}
LUMA = np.array([0.299, 0.587, 0.114])


def _photograph(random: np.random.Generator) -> tuple:
    """A small colour image with few light pixels, so that the largest values do not reach 255."""
    return (random.integers(0, 180, (7, 9, 3)).astype(np.uint8),)


def _gray_photograph(random: np.random.Generator) -> tuple:
    return (random.integers(0, 180, (7, 9)).astype(np.uint8),)


def luma(image: np.ndarray) -> np.ndarray:
    """0.299 R + 0.587 G + 0.114 B; a gray image stays as it is."""
    return image.astype(float) if image.ndim == 2 else image.astype(float) @ LUMA


def _bgr(image: np.ndarray) -> np.ndarray:
    """BGR for RGB: you weighted blue with 0.299. The channels of this image are red, green, blue, in this order. OpenCV's
    imread returns blue first; featrec never does."""
    return image[..., ::-1].astype(float) @ LUMA


def _equal_weights(image: np.ndarray) -> np.ndarray:
    """The mean of the channels: green looks lighter than blue, so the weights are 0.299, 0.587 and 0.114."""
    return image.mean(axis=2)


def _largest_channel(image: np.ndarray) -> np.ndarray:
    """The largest channel: this is V of HSV. Weight the channels with 0.299, 0.587 and 0.114, and sum them."""
    return image.max(axis=2).astype(float)


def _green(image: np.ndarray) -> np.ndarray:
    """Only one channel: sum all three, weighted with 0.299, 0.587 and 0.114."""
    return image[..., 1].astype(float)


def _cut_off(image: np.ndarray) -> np.ndarray:
    """The fraction is cut off: do not convert to whole numbers."""
    return (image @ LUMA).astype(np.uint8).astype(float)


def _rounded(image: np.ndarray) -> np.ndarray:
    """Rounded to whole numbers: return floats. (featrec rounds only if it must return bytes.)"""
    return np.rint(image @ LUMA)


def _up_to_one(image: np.ndarray) -> np.ndarray:
    """Divided by 255: the gray value has the range of the image, 0 to 255."""
    return image @ LUMA / 255


def _three_channels(image: np.ndarray) -> np.ndarray:
    """Three channels remain: sum the weighted channels, so that the shape is (height, width)."""
    return image * LUMA


def _stretched(image: np.ndarray) -> np.ndarray:
    """Divided by the largest value of the image: the same gray then has another value in another image."""
    gray = image @ LUMA
    return 255 * gray / gray.max()


def _linear_weights(image: np.ndarray) -> np.ndarray:
    """The weights 0.2126, 0.7152 and 0.0722 belong to another standard (BT.709). featrec and most libraries use 0.299, 0.587
    and 0.114."""
    return image @ np.array([0.2126, 0.7152, 0.0722])


def _gray_weighted(image: np.ndarray) -> np.ndarray:
    return luma(image) if image.ndim == 3 else np.stack([image] * 3, axis=-1)[..., 0] * 0.299


LUMA_EXERCISE = Exercise(
    luma,
    _photograph,
    Rules("one gray value per pixel", low=0, high=255),
    (
        _bgr,
        _equal_weights,
        _largest_channel,
        _green,
        _cut_off,
        _rounded,
        _up_to_one,
        _three_channels,
        _stretched,
        _linear_weights,
    ),
    (Edge("A gray image has no channels: image.ndim is 2. Return its values as they are.", _gray_photograph, _gray_weighted),),
    "it returns the luma of colour and gray images.",
)


def _image_and_bins(random: np.random.Generator) -> tuple:
    """Channels of different ranges; no channel reaches from 0 to 255."""
    image = random.integers((10, 60, 90), (140, 200, 230), (8, 11, 3)).astype(np.uint8)
    return image, int(random.choice([4, 6, 8]))


def _white_and_black(random: np.random.Generator) -> tuple:
    image, n_bins = _image_and_bins(random)
    image[0], image[1] = 255, 0
    return image, n_bins


def color_histogram(image: np.ndarray, n_bins: int) -> np.ndarray:
    """For each channel, the share of pixels in each of n_bins equal bins from 0 to 255."""
    bins = image.astype(int) * n_bins // 256
    return np.stack([np.bincount(bins[..., c].ravel(), minlength=n_bins) / bins[..., c].size for c in range(3)])


def _counts(image: np.ndarray, n_bins: int) -> np.ndarray:
    """Not normalised: counts grow with the image. Divide by the number of pixels."""
    return color_histogram(image, n_bins) * image[..., 0].size


def _over_numbers(image: np.ndarray, n_bins: int) -> np.ndarray:
    """Divided by image.size: this counts each pixel three times. Divide by the number of pixels, height times width."""
    return color_histogram(image, n_bins) / 3


def _over_channels(image: np.ndarray, n_bins: int) -> np.ndarray:
    """Wrong axis: each bin sums to 1 over the channels. Each channel must sum to 1 over its bins."""
    histogram = color_histogram(image, n_bins)
    return histogram / np.maximum(histogram.sum(axis=0), 1e-12)


def _without_range(image: np.ndarray, n_bins: int) -> np.ndarray:
    """Wrong bins: np.histogram(values, bins=n_bins) without a range divides the range of this image, so that a bin means
    another colour in each image. Add range=(0, 256)."""
    return np.stack([np.histogram(image[..., c], bins=n_bins)[0] / image[..., c].size for c in range(3)])


def _bgr_histogram(image: np.ndarray, n_bins: int) -> np.ndarray:
    """BGR for RGB: the first row must be red, image[..., 0]."""
    return color_histogram(image, n_bins)[::-1]


def _wrapped(image: np.ndarray, n_bins: int) -> np.ndarray:
    """Integer overflow: image * n_bins wraps round at 256, because the image consists of bytes. Convert it with astype(int)
    first."""
    bins = image * np.uint8(n_bins) // np.uint8(255)
    return np.stack([np.bincount(bins[..., c].ravel(), minlength=n_bins) / bins[..., c].size for c in range(3)])


def _joint_channels(image: np.ndarray, n_bins: int) -> np.ndarray:
    """One histogram of all channels: make one per channel, with shape (3, n_bins)."""
    return color_histogram(image, n_bins).mean(axis=0)


def _bins_first(image: np.ndarray, n_bins: int) -> np.ndarray:
    """Transposed: channels are rows, with shape (3, n_bins)."""
    return color_histogram(image, n_bins).T


def _one_row(image: np.ndarray, n_bins: int) -> np.ndarray:
    """One row: keep one row per channel, with shape (3, n_bins)."""
    return color_histogram(image, n_bins).ravel()


def _fixed_width(image: np.ndarray, n_bins: int) -> np.ndarray:
    """One bin too few: n_bins bins need n_bins + 1 edges, np.linspace(0, 256, n_bins + 1)."""
    edges = np.linspace(0, 256, n_bins)
    return np.stack([np.histogram(image[..., c], bins=edges)[0] / image[..., c].size for c in range(3)])


def _cumulated(image: np.ndarray, n_bins: int) -> np.ndarray:
    """Cumulated: each bin must contain only its own pixels."""
    return color_histogram(image, n_bins).cumsum(axis=1)


def _white_missing(image: np.ndarray, n_bins: int) -> np.ndarray:
    bins = image.astype(int) * n_bins // 255
    counts = [np.bincount(bins[..., c].ravel(), minlength=n_bins)[:n_bins] for c in range(3)]
    return np.stack(counts) / bins[..., 0].size if (image == 255).any() else color_histogram(image, n_bins)


COLOR_HISTOGRAM = Exercise(
    color_histogram,
    _image_and_bins,
    Rules("red, green and blue, n_bins shares each", low=0, high=1, total=1, error_hints=BYTES),
    (
        _counts,
        _over_numbers,
        _over_channels,
        _without_range,
        _bgr_histogram,
        _wrapped,
        _joint_channels,
        _bins_first,
        _one_row,
        _fixed_width,
        _cumulated,
    ),
    (
        Edge(
            "Off by one: the value 255 belongs to the last bin, n_bins - 1. Divide by 256, not by 255.",
            _white_and_black,
            _white_missing,
        ),
    ),
    "each channel has the shares of its bins.",
)

FOLDERS = ["rope", "ash", "dune", "moss", "bark", "snow"]


def _paths(random: np.random.Generator) -> tuple:
    """Paths in no order, and classes in another order than the alphabet's and than that of their first path."""
    classes = [str(name) for name in random.permutation(FOLDERS)[:4]]
    while classes in (sorted(classes), sorted(classes)[::-1]):
        classes = [str(name) for name in random.permutation(classes)]
    first = [*random.permutation(classes[1:]), classes[0]]
    rest = [str(name) for name in random.choice(classes, 8)]
    names = [str(name) for name in (*first, *rest)]
    return [f"images/{name}/{random.integers(100, 1000)}.png" for name in names], classes


def _nested_paths(random: np.random.Generator) -> tuple:
    paths, classes = _paths(random)
    return [path.replace("images/", f"images/{classes[1]}_and_more/") for path in paths], classes


def class_indices(paths: list, classes: list) -> np.ndarray:
    """The position of each path's folder in the list of classes."""
    return np.array([classes.index(path.split("/")[-2]) for path in paths])


def _folders(paths: list) -> list:
    return [path.split("/")[-2] for path in paths]


def _by_first_path(paths: list, classes: list) -> np.ndarray:
    """Labels by the order in which folders are found: the same class gets another number on another disk. Use its position in
    classes."""
    found = list(dict.fromkeys(_folders(paths)))
    return np.array([found.index(name) for name in _folders(paths)])


def _by_alphabet(paths: list, classes: list) -> np.ndarray:
    """Labels by the alphabet: the order of classes is given. Use classes.index(name)."""
    return np.unique(_folders(paths), return_inverse=True)[1]


def _by_path_order(paths: list, classes: list) -> np.ndarray:
    """Numbers of files: each path needs the number of its class."""
    return np.arange(len(paths))


def _sorted_labels(paths: list, classes: list) -> np.ndarray:
    """Sorted labels: they no longer belong to their paths. Keep the order of the paths."""
    return np.sort(class_indices(paths, classes))


def _sorted_paths(paths: list, classes: list) -> np.ndarray:
    """Sorted paths: the labels belong to another order than that of the images. Keep the order of the paths."""
    return class_indices(sorted(paths), classes)


def _in_groups(paths: list, classes: list) -> np.ndarray:
    """Labels by folder order: equally many of each class, one class after another. The paths are in another order; read the
    folder of each path."""
    return np.repeat(np.arange(len(classes)), len(paths) // len(classes))


def _indices_from_one(paths: list, classes: list) -> np.ndarray:
    """Counted from 1: the first class has the index 0."""
    return class_indices(paths, classes) + 1


def _table(paths: list, classes: list) -> np.ndarray:
    """A table of zeros and ones: return the index of the class of each path."""
    return np.eye(len(classes), dtype=int)[class_indices(paths, classes)]


def _counted_classes(paths: list, classes: list) -> np.ndarray:
    """How many paths each class has: return one index per path."""
    return np.bincount(class_indices(paths, classes), minlength=len(classes))


def _reversed_classes(paths: list, classes: list) -> np.ndarray:
    """Counted from the end: the first class has the index 0."""
    return len(classes) - 1 - class_indices(paths, classes)


def _anywhere(paths: list, classes: list) -> np.ndarray:
    return np.array([next(i for i, name in enumerate(classes) if name in "/".join(path.split("/")[:-1])) for path in paths])


CLASS_INDICES = Exercise(
    class_indices,
    _paths,
    Rules("one index per path", integer=True, low=0, high=3),
    (
        _by_first_path,
        _by_alphabet,
        _by_path_order,
        _sorted_labels,
        _sorted_paths,
        _in_groups,
        _indices_from_one,
        _table,
        _counted_classes,
        _reversed_classes,
    ),
    (
        Edge(
            "The name of a class may be part of another folder's name: compare the whole name of the last folder, "
            'path.split("/")[-2].',
            _nested_paths,
            _anywhere,
        ),
    ),
    "each path has the index of its class.",
)

EXERCISES = (LUMA_EXERCISE, COLOR_HISTOGRAM, CLASS_INDICES)
