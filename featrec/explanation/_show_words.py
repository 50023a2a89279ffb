"""word_gallery: collect the patches nearest to each visual word of a model, counts and weights, in one pass over images."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from featrec.base import check_sizes
from featrec.exceptions import InputError
from featrec.explanation._explain import _prepared
from featrec.explanation._head_weights import HeadWeights, head_weights
from featrec.explanation._patch_collector import PatchCollector
from featrec.explanation._word_gallery import WordGallery
from featrec.explanation._word_source import WordSource, pipeline_of, source_of
from featrec.labels import as_labels
from featrec.lazy import Images
from featrec.parallel import each_batch

__all__ = ["word_gallery"]

# Number of images whose mean code determines the weights of classifiers that are not linear.
FOR_WEIGHTS = 32


def word_gallery(
    model: Any,
    images: Any,
    labels: Any = None,
    *,
    part: str | None = None,
    n_patches: int = 8,
    n_words: int | None = None,
    extent: float = 1.0,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> WordGallery:
    """Show the visual words of a fitted model by the patches nearest to them, with counts, class distributions and weights.

    The images are read once, one after another. Memory depends on the number of words and patches (about 25 kB per word),
    not on the number of images.

    Parameters
    ----------
    model : estimator
        A fitted Pipeline with an encoder such as ``BagOfWords``, ``VLAD`` or ``FisherVector``, alone or in a
        ``SpatialPyramid``, or with ``PatchCodes``; also inside ``Calibrated``, ``GridSearchCV``,
        ``FrozenEstimator`` or ``Augmented``.
    images : images
        Images to take patches from, such as the training set. See :func:`featrec.images.check_images`.
    labels : array of shape (n_images,), optional
        Labels of the images, for class distributions.
    part : str, optional
        The part of a ``FeatureUnion`` whose words are shown, if several parts have words.
    n_patches : int, default=8
        Number of patches per word. An image contributes at most ``n_patches / n_images`` patches to a word (rounded up).
    n_words : int, optional
        Number of words, drawn at random. Default: all words.
    extent : float, default=1.0
        Side of a patch, as a multiple of the diameter of its frame. DenseSIFT descriptors describe a square 1 diameter wide;
        SIFT descriptors describe a square 6 diameters wide.
    random_state : int, RandomState or None, default=0
        Seed for the choice of words.
    n_jobs : int, optional
        Number of threads.
    verbose : int, default=0

    Returns
    -------
    gallery : WordGallery

    Notes
    -----
    The word of a patch is its nearest word, or the most probable component of a mixture. The patches of a word are those with
    the smallest distances from it among the patches that belong to it; so a word that no patch belongs to (a dead word) has
    none. In PatchCodes and for words of unit length, the distance is 1 minus the cosine.

    The weight of a word for a class says how much the decision value of the class grows with the word. It is summed over the
    regions of a pyramid. For a linear classifier after the encoder, it is the coefficient; for the intersection kernel and
    other kernels, and through scalers, it is the slope at the mean code of up to 32 images. ``FisherVector`` and ``VLAD`` have
    many columns per word, so the weight is the length of their weights, which has no sign. ``PatchCodes``, ``ThresholdCode``
    and ``SignCode`` have columns for words and for their opposites; the weight is that of the word.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.explanation import word_gallery
    >>> from featrec.recipes import bovw_svm
    >>> train, test = load_dataset("textures", n_train=5)
    >>> model = bovw_svm(n_words=30).fit(train, train.labels)
    >>> gallery = word_gallery(model, train, train.labels)
    >>> gallery.counts.shape, gallery.patches.shape, gallery.weights.shape
    ((30,), (30, 8, 32, 32, 3), (30, 8))
    """
    check_is_fitted(model)
    (n_patches,) = check_sizes("n_patches", n_patches, 1)
    found, _ = _prepared(model, images)
    if not len(found):
        raise InputError("word_gallery needs at least one image; got none")
    pipeline = pipeline_of(model)
    source = source_of(pipeline, part)
    classes, numbers = _classes_of(labels, len(found))
    points = source.points()
    chosen = _chosen(len(points), n_words, random_state)
    collector = PatchCollector(source, chosen, found, numbers, n_patches, extent)
    work, positions = collector.collect, np.arange(len(found))
    for batch in each_batch(work, positions, n_jobs=n_jobs, verbose=verbose, label="images described", shared_memory=True):
        collector.add(batch)
    best = collector.sorted()
    model_classes = tuple(np.asarray(getattr(pipeline, "classes_", ())).tolist())
    own = _weights(pipeline, source, found, model_classes, chosen)
    nearest, separations = _neighbors(points)
    return WordGallery(
        words=chosen,
        counts=collector.class_counts.sum(axis=1),
        image_counts=collector.image_counts,
        classes=classes,
        class_counts=collector.class_counts[:, : len(classes)],
        idf=_idf(source, chosen, collector.image_counts, len(found)),
        weights=own.weights,
        weights_told=own.told,
        model_classes=model_classes,
        nearest_words=nearest[chosen],
        separations=separations[chosen],
        patch_images=best.values["image"],
        patch_frames=best.values["frame"],
        patch_distances=best.scores,
        patches=best.values["patch"],
        n_images=len(found),
        n_vocabulary=len(points),
        distance=source.distance,
        part="__".join(source.part),
    )


def _classes_of(labels: Any, n_images: int) -> tuple[tuple, np.ndarray]:
    """Return the classes, and the number of the class of each image."""
    if labels is None:
        return (), np.zeros(n_images, int)
    classes, numbers = np.unique(as_labels(labels, n_images, what="labels"), return_inverse=True)
    return tuple(classes.tolist()), numbers


def _chosen(n: int, n_words: int | None, random_state: Any) -> np.ndarray:
    if n_words is None:
        return np.arange(n)
    (n_words,) = check_sizes("n_words", n_words, 1)
    return np.sort(check_random_state(random_state).permutation(n)[:n_words])


def _idf(source: WordSource, chosen: np.ndarray, image_counts: np.ndarray, n_images: int) -> np.ndarray:
    own = getattr(source.encoder, "idf_", None)
    return 1 + np.log((1 + n_images) / (1 + image_counts)) if own is None else np.asarray(own, np.float64)[chosen]


def _weights(pipeline: Any, source: WordSource, images: Images, classes: tuple, chosen: np.ndarray) -> HeadWeights:
    """Return the weights of the chosen words, of shape (n_words, n_classes)."""
    if len(classes) < 2:
        return HeadWeights(None, "the last step is not a classifier")
    some = np.unique(np.linspace(0, len(images) - 1, FOR_WEIGHTS).round().astype(int))
    found = head_weights(pipeline, source, images[some], classes)
    if found.weights is None:
        return found
    of_words, told = source.by_word(found.weights)
    return HeadWeights(None, told) if of_words is None else HeadWeights(of_words.T[chosen], f"{found.told}; {told}")


def _neighbors(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest other word of each word, and the distance divided by the mean distance."""
    if len(points) < 2:
        return np.full(len(points), -1), np.full(len(points), np.nan)
    from sklearn.neighbors import NearestNeighbors  # imported here, because the import takes more than 0.1 s

    distances, nearest = NearestNeighbors(n_neighbors=1).fit(points).kneighbors()
    return nearest[:, 0], distances[:, 0] / (distances.mean() or 1.0)
