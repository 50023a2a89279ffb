"""The recipe of gradients: HOG with a few numbers of colour, and a kernel's ridge regression or SVM."""

from __future__ import annotations

from typing import Any

from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC

from featrec.classifiers import NystroemRidgeClassifier
from featrec.descriptors import HOG
from featrec.preprocessing import Deskew, Resize
from featrec.recipes._parts import General, renamed

__all__ = ["hog_svm"]


@renamed(n_components="n_dimensions")
def hog_svm(
    *,
    size: int | tuple[int, int] | str | None = "auto",
    pixels_per_cell: Any = "auto",
    orientations: int | None = None,
    signed: bool | None = None,
    color: str | None = "auto",
    mirror: bool = True,
    deskew: bool | str = "auto",
    n_dimensions: int | str | None = "auto",
    landmarks: int | str = "auto",
    gamma: float = 2.0,
    C: float | None = None,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """One object that fills the image in one pose (digits, faces, signs, products): HOG of several cell sizes, kernel ridge.

    For a hundred to a hundred thousand images. Training time grows with the number of images and not with its square, and
    thousands of images a second are answered: the head is no SVM, as it was when the recipe got its name, but ridge
    regression on some landmarks' kernel values. `C` gives the SVM.

    Decided from the training images: the size they are brought to (``Resize``), whether their colours are used (``HOG``), how
    many landmarks, which penalty, and whether their mirror images are learned from as well, which held-out images say
    (``NystroemRidgeClassifier``).

    Parameters
    ----------
    size : int, (height, width), "auto" or None, default="auto"
        What images are scaled to. "auto": the training images' median height and width, 28 to 64 pixels; None where all have
        one size already.
    pixels_per_cell : int, (rows, columns), several such pairs, or "auto", default="auto"
        Several sizes of cells stand side by side. "auto": an eighth, a quarter and half of the image.
    orientations : int or None, default=None
        None: 18.
    signed : bool or None, default=None
        Tell a dark edge from a bright one. None: True.
    color : {"auto", "gray", "rgb"} or None, default="auto"
        Means and deviations of lightness and colours in 4 × 4 cells, beside the gradients; see ``HOG``.
    mirror : bool, default=True
        Learn from mirror images too, where held-out images say that it helps. False saves the time to find out.
    deskew : bool or "auto", default="auto"
        Set digits and letters upright that lean. "auto" decides on the training images; see
        :class:`~featrec.preprocessing.Deskew`.
    n_dimensions : int, "auto" or None, default="auto"
        Principal components that the kernel sees. "auto": 300; None: all numbers.
    landmarks : int or "auto", default="auto"
        Training images that span the solution: more are right more often, and take longer. "auto": 6,000.
    gamma : float, default=2
        Of the kernel, over the mean squared distance of codes.
    C : float or None, default=None
        A number gives the recipe's former self: the exact kernel SVM with this C, for a few thousand images. What is left to
        "auto" or None is then as it was: 64 × 64 pixels, cells of 8, 9 unsigned orientations, all components, no colour, no
        mirror images.
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    svm = C is not None
    size = ((64, 64) if svm else "auto") if size == "auto" else size
    gradients: dict[str, Any] = {
        "pixels_per_cell": (8, 8) if svm and isinstance(pixels_per_cell, str) else pixels_per_cell,
        "orientations": (9 if svm else 18) if orientations is None else orientations,
        "signed": not svm if signed is None else signed,
    }
    if not svm:
        gradients |= {"balance": True, "color": color, "mirror": mirror}
    steps = [Resize(size)] if size is not None else []
    upright = not svm if deskew == "auto" else bool(deskew)
    steps += [Deskew(when="auto" if deskew == "auto" else "always")] if upright else []
    steps += [HOG(cells_per_block=(2, 2), **gradients, **general.describing)]
    if svm:
        steps += [PCA(n_dimensions, random_state=random_state)] if isinstance(n_dimensions, int) else []
        return make_pipeline(*steps, general.calibrated(SVC(C=C, gamma="scale", class_weight=class_weight)))
    reduced: dict[str, Any] = {"n_dimensions": n_dimensions, "landmarks": landmarks, "gamma": gamma, "n_views": 1 + mirror}
    head = NystroemRidgeClassifier(**reduced, class_weight=class_weight, **general.learning)
    return make_pipeline(*steps, general.calibrated(head))
