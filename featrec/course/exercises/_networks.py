"""Lesson 10: convolution, its cost, and contributions of descriptors to a score."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["EXERCISES"]


def _image_and_kernel(random: np.random.Generator) -> tuple:
    return random.normal(size=(9, 12)), random.normal(size=(3, 4))


def _bytes_and_kernel(random: np.random.Generator) -> tuple:
    return random.integers(0, 256, (9, 12)).astype(np.uint8), random.integers(-1, 2, (3, 3)).astype(np.int8)


def _kernel_of_image_size(random: np.random.Generator) -> tuple:
    return random.normal(size=(5, 6)), random.normal(size=(5, 6))


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Sums of products of the kernel with all parts of the image that have its size, as in a network."""
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(float), kernel.shape)
    return (windows * kernel).sum(axis=(2, 3))


def _flipped(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The kernel is flipped: this is the convolution of mathematics. Networks do not flip it; they learn it anyway."""
    return convolve(image, kernel[::-1, ::-1])


def _kernel_transposed(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The kernel is transposed: rows of the kernel belong to rows of the image."""
    return convolve(image, kernel.T)


def _padded(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """As large as the image: here, only parts that lie completely in the image count, height - kernel height + 1 rows."""
    height, width = kernel.shape
    above, left = (height - 1) // 2, (width - 1) // 2
    return convolve(np.pad(image, ((above, height - 1 - above), (left, width - 1 - left))), kernel)


def _row_missing(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """One row and column too few: there are height - kernel height + 1 positions."""
    return convolve(image, kernel)[:-1, :-1]


def _mean_of_products(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Means instead of sums: sum the products, without a division."""
    return convolve(image, kernel) / kernel.size


def _rectified(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Negative values became 0: this is the next step of a network, the rectifier. Return the sums themselves."""
    return np.maximum(0, convolve(image, kernel))


def _every_second(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Every second position: move the kernel by one pixel."""
    return convolve(image, kernel)[::2, ::2]


def _products_only(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The products of each position: sum them over the kernel."""
    return np.lib.stride_tricks.sliding_window_view(image, kernel.shape) * kernel


def _differences(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Squared differences from the kernel: multiply the pixels with the kernel, and sum."""
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(float), kernel.shape)
    return ((windows - kernel) ** 2).sum(axis=(2, 3))


def _largest_products(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The largest product: sum all products. (The maximum is the pooling of a network.)"""
    return (np.lib.stride_tricks.sliding_window_view(image, kernel.shape) * kernel).max(axis=(2, 3))


def _wrapped_products(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return (windows * kernel.astype(image.dtype)).sum(axis=(2, 3))


def _empty_if_equal(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    found = convolve(image, kernel)
    return found[:-1, :-1] if found.size == 1 else found


CONVOLVE = Exercise(
    convolve,
    _image_and_kernel,
    Rules("one sum per position of the kernel"),
    (
        _flipped,
        _kernel_transposed,
        _padded,
        _row_missing,
        _mean_of_products,
        _rectified,
        _every_second,
        _products_only,
        _differences,
        _largest_products,
    ),
    (
        Edge("Bytes wrap round: convert the image to floats before you multiply.", _bytes_and_kernel, _wrapped_products),
        Edge(
            "A kernel as large as the image has one position: the shape is (1, 1). There are height - kernel height + 1 rows.",
            _kernel_of_image_size,
            _empty_if_equal,
        ),
    ),
    "it sums the products at all positions.",
)


def _layer(random: np.random.Generator) -> tuple:
    """Image sides and channels that all differ, a kernel of 3 or 5 pixels, and a stride above 1."""
    height, width = random.choice(np.arange(30, 60), 2, replace=False)
    channels, filters = random.choice([3, 8, 16, 24], 2, replace=False)
    return int(height), int(width), int(channels), int(filters), int(random.choice([3, 5])), int(random.choice([2, 3]))


def _step_of_one(random: np.random.Generator) -> tuple:
    return *_layer(random)[:5], 1


def count_products(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """Number of multiplications of a layer without padding."""
    rows, columns = (height - side) // stride + 1, (width - side) // stride + 1
    return rows * columns * filters * side**2 * channels


def _one_filter(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """Only one filter: each of the filters is applied at all positions."""
    return count_products(height, width, channels, 1, side, stride)


def _one_channel(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """Only one channel: a filter has side × side numbers for each channel of its input."""
    return count_products(height, width, 1, filters, side, stride)


def _one_product(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """One product per position: a filter has side × side numbers per channel, and each is multiplied."""
    return count_products(height, width, channels, filters, side, stride) // side**2


def _side_once(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """The side is not squared: a filter has side × side numbers per channel."""
    return count_products(height, width, channels, filters, side, stride) // side


def _weights_only(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """The number of weights: each weight is multiplied at each position of the image."""
    return filters * side**2 * channels


def _with_padding(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """With padding: without it, a filter has (height - side) // stride + 1 positions in a column."""
    return -(-height // stride) * -(-width // stride) * filters * side**2 * channels


def _positions_missing(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """One position too few in each direction: add 1 after the division."""
    return (height - side) // stride * ((width - side) // stride) * filters * side**2 * channels


def _without_stride(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """The stride is missing: the filter moves by stride pixels, in both directions."""
    return count_products(height, width, channels, filters, side, 1)


def _stride_once(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """The stride counts only once: the filter moves by stride pixels downwards and to the right."""
    return ((height - side) // stride + 1) * (width - side + 1) * filters * side**2 * channels


def _square_image(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    """The height is used for both sides: images need not be square."""
    return count_products(height, height, channels, filters, side, stride)


def _step_of_one_forgotten(height: int, width: int, channels: int, filters: int, side: int, stride: int) -> int:
    fewer = int(stride == 1)
    return count_products(height - fewer, width - fewer, channels, filters, side, stride)


COUNT_PRODUCTS = Exercise(
    count_products,
    _layer,
    Rules("one number", integer=True, low=0),
    (
        _one_filter,
        _one_channel,
        _one_product,
        _side_once,
        _weights_only,
        _with_padding,
        _positions_missing,
        _without_stride,
        _stride_once,
        _square_image,
    ),
    (
        Edge(
            "With a stride of 1, there are height - side + 1 positions in a column. Use whole numbers, //.",
            _step_of_one,
            _step_of_one_forgotten,
        ),
    ),
    "it counts the multiplications of a layer.",
)


def _image_and_classifier(random: np.random.Generator) -> tuple:
    """Words of an image, and the weights of a linear classifier with one row per class."""
    return random.choice(6, 25, p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05]), random.normal(size=(3, 6)), int(random.integers(1, 3))


def _no_words(random: np.random.Generator) -> tuple:
    words, weights, target = _image_and_classifier(random)
    return words[:0], weights, target


def contributions(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """What each descriptor contributes to the score of the target class; the code is the bag of shares."""
    return weights[target][words] / max(1, len(words))


def _weight_of_words(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """Not divided: a descriptor contributes to a share, so its part is the weight divided by the number of descriptors."""
    return weights[target][words]


def _per_word(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """One number per word: return one number per descriptor, the weight of its word divided by the number of descriptors."""
    return np.bincount(words, minlength=weights.shape[1]) / len(words) * weights[target]


def _share_times_weight(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """The part of the whole word: descriptors of the same word share it. Divide the weight by the number of all descriptors."""
    return (np.bincount(words, minlength=weights.shape[1]) / len(words) * weights[target])[words]


def _absolute(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """Absolute values: a descriptor may also argue against a class. Keep the sign."""
    return np.abs(contributions(words, weights, target))


def _first_class(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """The first class: select the row of the target class, weights[target]."""
    return contributions(words, weights, 0)


def _all_classes(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """All classes: select the row of the target class, weights[target]."""
    return weights[:, words] / len(words)


def _summed(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """The score itself: return what each descriptor contributes; the sum of all is the score."""
    return contributions(words, weights, target).sum()


def _relative(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """Divided by the score: the contributions must sum to the score, not to 1."""
    parts = contributions(words, weights, target)
    return parts / parts.sum()


def _over_words(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """Divided by the number of words k: divide by the number of descriptors of this image."""
    return weights[target][words] / weights.shape[1]


def _most_probable(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    """Relative to the mean of all classes: return the parts of the score of the target class itself."""
    return (weights[target] - weights.mean(axis=0))[words] / len(words)


def _float_for_nothing(words: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    return contributions(words, weights, target) if len(words) else np.zeros(weights.shape[1])


CONTRIBUTIONS = Exercise(
    contributions,
    _image_and_classifier,
    Rules("one contribution per descriptor"),
    (
        _weight_of_words,
        _per_word,
        _share_times_weight,
        _absolute,
        _first_class,
        _all_classes,
        _summed,
        _relative,
        _over_words,
        _most_probable,
    ),
    (
        Edge(
            "An image without descriptors has no contributions: the result is an array of length 0.",
            _no_words,
            _float_for_nothing,
        ),
    ),
    "the contributions sum to the score.",
)

EXERCISES = (CONVOLVE, COUNT_PRODUCTS, CONTRIBUTIONS)
