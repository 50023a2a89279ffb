"""explain_errors: why a model predicts wrong classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.exceptions import InputError
from featrec.explanation._explain import explain
from featrec.explanation._explanation import Explanation
from featrec.labels import as_labels

__all__ = ["explain_errors"]


def explain_errors(model: Any, images: Any, labels: Any, *, true: Any = None, predicted: Any = None) -> Explanation:
    """Explain the errors of a model: for each wrongly classified image, the predicted class rather than the true class.

    Parameters
    ----------
    model : estimator
        See :func:`explain`.
    images : images
    labels : array of shape (n_images,)
        The true classes.
    true, predicted : class, optional
        Only explain errors with this true class, or with this prediction.

    Returns
    -------
    explanation : Explanation
        The wrongly classified images; ``positions`` has their positions in `images`, and the target of each image is the pair
        ``(predicted, true)``. :func:`summarize` averages it by pair, and ``explanation.plot()`` draws the images.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.explanation import explain_errors, summarize
    >>> from featrec.recipes import bovw_svm
    >>> train, test = load_dataset("shapes", n_train=40, n_test=40)
    >>> model = bovw_svm(n_words=20).fit(train, train.labels)
    >>> errors = explain_errors(model, test, test.labels)
    >>> all(predicted != true for predicted, true in (error.target for error in errors))
    True
    >>> sum(one.n_images for one in summarize(errors)) == len(errors)
    True
    """
    explanation = explain(model, images)
    labels = as_labels(labels, len(explanation), what="labels")
    names = list(explanation.classes)
    for what, label in (("true", true), ("predicted", predicted)):
        if label is not None and label not in names:
            raise InputError(
                f"{what} must be a class of the model; got {label!r}. Its classes are {', '.join(map(repr, names))}"
            )
    unknown = sorted(set(labels.tolist()) - set(names), key=str)
    if unknown:
        raise InputError(f"label {unknown[0]!r} is not a class of the model; its classes are {', '.join(map(repr, names))}")
    guesses = np.asarray(model.predict(images))
    wrong = guesses != labels
    for label, given in ((true, labels), (predicted, guesses)):
        wrong &= True if label is None else given == label
    if not wrong.any():
        which = f" of {true!r}" * (true is not None) + f" as {predicted!r}" * (predicted is not None)
        raise InputError(f"there is no error{which} among {len(labels)} images, so there is nothing to explain")
    found: Explanation = explanation[wrong]
    pairs = zip(guesses[wrong].tolist(), labels[wrong].tolist(), strict=True)
    for place, (guess, label) in enumerate(pairs):
        found.targets[place] = names.index(guess), names.index(label)
    return found
