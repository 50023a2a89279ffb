"""Make the pictures of the README: python docs/make_pictures.py

They are the library's own work: a model is fitted on the set "shapes", and one picture is followed through it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from sklearn.pipeline import Pipeline

from featrec import recipes
from featrec.datasets import load_dataset
from featrec.evaluation import Report, evaluate
from featrec.plotting import plot_confusion_matrix, plot_keypoints, plot_word_map

PICTURES = Path(__file__).parent / "pictures"
INK = "#2b2f36"
FOLLOWED = 4
PIXELS = 1600


def overview(model: Pipeline, picture: np.ndarray, report: Report) -> Figure:
    """One picture on its way from pixels to a label, and how often the model is right."""
    extractor, encoder = model[0], model[1]
    figure = Figure(figsize=(16, 3.9), dpi=PIXELS / 16)
    FigureCanvasAgg(figure)
    lefts, widths = (0.008, 0.198, 0.388, 0.602, 0.838), (0.168, 0.168, 0.168, 0.168, 0.160)
    panels = [figure.add_axes((left, 0.17, width, 0.69)) for left, width in zip(lefts, widths, strict=True)]
    plot_word_map(picture, extractor.set_params(step=2), encoder, axes=[panels[0], panels[2], panels[3]])
    plot_keypoints(picture, extractor.set_params(step=4).extract(picture), ax=panels[1])
    plot_confusion_matrix(report.confusion, report.classes, ax=panels[4])
    panels[3].set_ylabel("")
    panels[3].set_xlabel("")
    panels[4].set_xlabel("")
    panels[4].set_ylabel("")
    label = model.predict([picture])[0]
    captions = [
        ("a picture", "of any size"),
        ("DenseSIFT", "descriptors on a lattice"),
        ("KMeansVocabulary", "the word of each place"),
        ("BagOfWords, SpatialPyramid", "how often each word occurs, in %"),
        (f"SVC → '{label}'", f"{report.accuracy:.0%} of {report.n} test pictures right"),
    ]
    for ax, (title, subtitle) in zip(panels, captions, strict=True):
        _caption(ax, title, subtitle)
    for ax, following in zip(panels, panels[1:], strict=False):
        _arrow(figure, ax, following)
    return figure


def _caption(ax: Axes, title: str, subtitle: str) -> None:
    ax.set_title("")
    place = ax.get_position()
    middle = (place.x0 + place.x1) / 2
    ax.figure.text(middle, 0.935, title, ha="center", va="center", fontsize=13, color=INK, weight="bold")
    ax.figure.text(middle, 0.06, subtitle, ha="center", va="center", fontsize=11, color=INK)


def _arrow(figure: Figure, ax: Axes, following: Axes) -> None:
    """Between the titles, where nothing else stands."""
    start = (ax.get_position().x0 + ax.get_position().x1) / 2 + 0.066
    end = (following.get_position().x0 + following.get_position().x1) / 2 - 0.066
    figure.add_artist(
        FancyArrowPatch((start, 0.935), (end, 0.935), arrowstyle="-|>", mutation_scale=14, color="#8a919c", linewidth=1.5)
    )


def main() -> None:
    """Write every picture."""
    train, test = load_dataset("shapes")
    model = recipes.bovw_svm(n_words=100, n_jobs=2).fit(train, train.labels)
    report = evaluate(model, test, test.labels)
    PICTURES.mkdir(exist_ok=True)
    overview(model, test[FOLLOWED], report).savefig(PICTURES / "overview.png", facecolor="white")


if __name__ == "__main__":
    main()
