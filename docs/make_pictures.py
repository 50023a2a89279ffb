"""Draw the figure of the README: python docs/make_pictures.py

It shows the steps of a model, fitted on the dataset "shapes", for one test image.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.evaluation import Report, evaluate
from featrec.pairwise import HistogramKernel
from featrec.plotting import plot_confusion_matrix, plot_keypoints, plot_word_map

PICTURES = Path(__file__).parent / "pictures"
INK = "#2b2f36"
FOLLOWED = 14
PIXELS = 1600
COLORS = 256
WIDTH = 0.178
LEFTS = (0.006, 0.194, 0.382, 0.586, 0.816)


def overview(model: Pipeline, picture: np.ndarray, report: Report) -> Figure:
    """The steps from one image to its label, and the confusion matrix of the model."""
    extractor, encoder = model[0], model[1]
    figure = Figure(figsize=(16, 4.2), dpi=PIXELS / 16)
    FigureCanvasAgg(figure)
    panels = [figure.add_axes((left, 0.16, WIDTH, 0.68)) for left in LEFTS]
    finer = clone(extractor).set_params(step=3)
    plot_keypoints(picture, extractor.extract(picture), ax=panels[1])
    plot_word_map(picture, finer, encoder, n_colors=10, axes=[panels[0], panels[2], panels[3]])
    plot_confusion_matrix(report.confusion, report.classes, ax=panels[4])
    panels[4].set_xticks([])
    label = model.predict([picture])[0]
    captions = [
        ("an image", "of any size and type"),
        ("DenseSIFT", "the gradients around each point"),
        ("vocabulary", "the nearest of 60 words"),
        ("BagOfWords", "% of each word; a pyramid adds positions"),
        (f"SVC: “{label}”", f"{report.accuracy:.0%} of {report.n} test images correct"),
    ]
    for ax, (title, subtitle) in zip(panels, captions, strict=True):
        ax.set(title="", xlabel="", ylabel="")
        _caption(ax, title, subtitle)
    for ax, following in pairwise(panels):
        _arrow(ax, following)
    return figure


def _caption(ax: Axes, title: str, subtitle: str) -> None:
    middle = _middle(ax)
    ax.figure.text(middle, 0.92, title, ha="center", va="center", fontsize=15, color=INK, weight="bold")
    ax.figure.text(middle, 0.05, subtitle, ha="center", va="center", fontsize=11, color=INK)


def _arrow(ax: Axes, following: Axes) -> None:
    """Between two titles."""
    ends = (_middle(ax) + 0.062, 0.92), (_middle(following) - 0.062, 0.92)
    arrow = FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=16, color="#8a919c", linewidth=1.8)
    ax.figure.add_artist(arrow)


def _middle(ax: Axes) -> float:
    return (ax.get_position().x0 + ax.get_position().x1) / 2


def _save(figure: Figure, name: str) -> None:
    """As a PNG of so few colours that a page loads it at once."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    picture = Image.open(buffer).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    picture.save(PICTURES / f"{name}.png", optimize=True)


def main() -> None:
    """Write the figure."""
    train, test = load_dataset("shapes", size=192)
    words = BagOfWords(60, random_state=0, n_jobs=-1)
    kernel = HistogramKernel("intersection", n_jobs=-1)
    model = make_pipeline(DenseSIFT(step=8, bin_sizes=16), SpatialPyramid(words), SVC(kernel=kernel))
    model.fit(train, train.labels)
    report = evaluate(model, test, test.labels)
    PICTURES.mkdir(exist_ok=True)
    _save(overview(model, test[FOLLOWED], report), "overview")


if __name__ == "__main__":
    main()
