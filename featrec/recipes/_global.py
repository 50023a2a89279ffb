"""Recipes with one row of features per image, and networks that learn from pixels."""

from __future__ import annotations

from typing import Any, Unpack

from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC, LinearSVC

from featrec.classifiers import NystroemRidgeClassifier, WideLinearSVC
from featrec.descriptors import HOG, LBP, ColorHistogram, TinyImage
from featrec.networks import NETWORK_DOCS, CNNFeatures, LeNet5, SmallResNet
from featrec.preprocessing import Deskew, Grayscale, Resize
from featrec.recipes._general import General, Options, recipe

__all__ = ["cnn_svm", "color_forest", "hog_svm", "lbp_svm", "pixels_lenet5", "pixels_resnet", "tiny_knn"]


@recipe()
def tiny_knn(*, size: int | tuple[int, int] = (16, 16), n_neighbors: int = 1, **general: Unpack[Options]) -> Pipeline:
    """Baseline for all other recipes: the pixels of a tiny image and the nearest neighbour.

    `class_weight` and `random_state` have no effect.

    Parameters
    ----------
    size : int or (height, width), default=(16, 16)
        Size of the tiny image.
    n_neighbors : int, default=1

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    options.without_class_weight("tiny_knn")
    neighbors = KNeighborsClassifier(n_neighbors=n_neighbors, n_jobs=options.n_jobs)
    return make_pipeline(TinyImage(size=size, **options.describing), options.calibrated(neighbors))


@recipe()
def color_forest(*, n_estimators: int = 300, **general: Unpack[Options]) -> Pipeline:
    """Classes that differ in colour rather than in shape: a colour histogram and a random forest.

    Parameters
    ----------
    n_estimators : int, default=300
        Number of trees.

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    shared = {"class_weight": options.class_weight, "random_state": options.random_state, "n_jobs": options.n_jobs}
    forest = RandomForestClassifier(n_estimators, **shared)
    return make_pipeline(ColorHistogram(space="hsv", **options.describing), options.calibrated(forest))


@recipe()
def lbp_svm(
    *,
    grids: Any = ((1, 1), (2, 2), (4, 4)),
    radius: Any = (1, 2),
    C: float = 1.0,
    **general: Unpack[Options],
) -> Pipeline:
    """Textures, materials and faces under changing light: local binary patterns in grids of cells, linear SVM.

    `random_state` has no effect.

    Parameters
    ----------
    grids : sequence of (rows, columns), default=((1, 1), (2, 2), (4, 4))
        Grids of cells; patterns are counted in each cell.
    radius : float or sequence of floats, default=(1, 2)
        Radii of the circles, with eight points each.
    C : float, default=1

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    svm = WideLinearSVC(C=C, class_weight=options.class_weight, n_jobs=options.n_jobs)
    return make_pipeline(LBP(radius=radius, grids=grids, **options.describing), options.calibrated(svm))


@recipe(n_components="n_dimensions")
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
    **general: Unpack[Options],
) -> Pipeline:
    """One object that fills the image in one pose (digits, faces, signs, products): HOG with several cell sizes, kernel ridge.

    Suitable for a hundred to a hundred thousand images. The training time grows linearly with the number of images, and the
    model predicts thousands of images per second. Despite the name of the recipe, the classifier is an SVM only if `C` is
    given. Otherwise, it is ridge regression on kernel values between images and landmarks (some of the training images).

    The size of images, the use of colours and the number of landmarks depend on the training images. The penalty and the use of
    mirror images depend on the accuracy on held-out images.

    Parameters
    ----------
    size : int, (height, width), "auto" or None, default="auto"
        Size that images are scaled to. "auto": the median height and width of the training images, limited to between 28 and 64
        pixels. None: images are not scaled and must all have the same size.
    pixels_per_cell : int, (rows, columns), several such pairs, or "auto", default="auto"
        Cell sizes in pixels. "auto": an eighth, a quarter and half of the image size.
    orientations : int or None, default=None
        Number of orientations. None: 18.
    signed : bool or None, default=None
        Whether to distinguish opposite directions of gradients. None: True.
    color : {"auto", "gray", "rgb"} or None, default="auto"
        Whether to add means and standard deviations of lightness and colours in 4 × 4 cells to the gradients; see
        :class:`~featrec.descriptors.HOG`.
    mirror : bool, default=True
        If True, also learn from mirror images, provided that this increases the accuracy on held-out images. If False, save
        time by not trying this.
    deskew : bool or "auto", default="auto"
        Whether to straighten slanted digits and letters. "auto" examines the training images; see
        :class:`~featrec.preprocessing.Deskew`.
    n_dimensions : int, "auto" or None, default="auto"
        Number of principal components for the kernel. "auto": 300. None: no reduction.
    landmarks : int or "auto", default="auto"
        Number of training images that are used as landmarks. More landmarks are slower and usually more accurate. "auto":
        6,000.
    gamma : float, default=2
        Width parameter of the kernel, relative to the mean squared distance of codes.
    C : float or None, default=None
        Parameter of an exact kernel SVM, which is suitable for a few thousand images. None: kernel ridge. If `C` is given, the
        defaults of the other parameters are 64 × 64 pixels, cells of 8 pixels, 9 unsigned orientations, all components, no
        colour and no mirror images.

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
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
    steps += [HOG(cells_per_block=(2, 2), **gradients, **options.describing)]
    if svm:
        steps += [PCA(n_dimensions, random_state=options.random_state)] if isinstance(n_dimensions, int) else []
        return make_pipeline(*steps, options.calibrated(SVC(C=C, gamma="scale", class_weight=options.class_weight)))
    reduced: dict[str, Any] = {"n_dimensions": n_dimensions, "landmarks": landmarks, "gamma": gamma, "n_views": 1 + mirror}
    ridge = NystroemRidgeClassifier(**reduced, class_weight=options.class_weight, **options.learning)
    return make_pipeline(*steps, options.calibrated(ridge))


@recipe(NETWORK_DOCS)
def cnn_svm(
    model: Any,
    *,
    layer: str | None = None,
    preprocessing: Any = None,
    size: int | tuple[int, int] | None = None,
    weights: Any = None,
    sha256: str | None = None,
    key_map: Any = None,
    download: bool = False,
    C: float = 1.0,
    **general: Unpack[Options],
) -> Pipeline:
    """Any images, with a trained network (ONNX, torch or timm): features of one layer, and a linear SVM.

    Parameters
    ----------
    C : float, default=1

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    prepared: dict[str, Any] = {"layer": layer, "preprocessing": preprocessing, "size": size}
    prepared |= {"weights": weights, "sha256": sha256, "key_map": key_map, "download": download}
    svm = LinearSVC(C=C, class_weight=options.class_weight, random_state=options.random_state)
    return make_pipeline(CNNFeatures(model, **prepared, **options.describing), Normalizer(), options.calibrated(svm))


@recipe()
def pixels_lenet5(
    *,
    size: int | tuple[int, int] = (28, 28),
    epochs: int | None = None,
    batch_size: int = 128,
    **general: Unpack[Options],
) -> Pipeline:
    """Digits and other small gray images, for comparison: LeNet-5 trained from scratch.

    The network takes pixels, so `cache` has no effect, and `on_error` must be "raise".

    Parameters
    ----------
    size : int or (height, width), default=(28, 28)
    epochs : int or None, default=None
        Number of passes over the training set. None: 12, or more for small training sets.
    batch_size : int, default=128

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    options.without_empty_rows("pixels_lenet5")
    network = LeNet5(epochs=epochs, batch_size=batch_size, class_weight=options.class_weight, **options.learning)
    return make_pipeline(Grayscale(), Resize(size), options.calibrated(network))


@recipe()
def pixels_resnet(
    *,
    size: int | tuple[int, int] = (32, 32),
    width: int = 32,
    epochs: int | None = None,
    batch_size: int = 256,
    mirror: bool = True,
    **general: Unpack[Options],
) -> Pipeline:
    """Thousands of small images of each class, for comparison: a small residual network trained from scratch.

    The network takes pixels, so `cache` has no effect, and `on_error` must be "raise".

    Parameters
    ----------
    size : int or (height, width), default=(32, 32)
    width : int, default=32
        Number of feature maps in the first layer; with twice as many, training takes nearly four times as long.
    epochs : int or None, default=None
        Number of passes over the training set. None: 15, or more for small training sets. Training on 100 images takes half a
        minute.
    batch_size : int, default=256
    mirror : bool, default=True
        Whether to learn from mirror images too. Use False for digits, letters and other classes that change when mirrored.

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    options.without_empty_rows("pixels_resnet")
    learning = {"epochs": epochs, "batch_size": batch_size, "class_weight": options.class_weight, **options.learning}
    return make_pipeline(Resize(size), options.calibrated(SmallResNet(width=width, flip=mirror, **learning)))
