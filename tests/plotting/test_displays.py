"""Every display draws on given axes and within its figure, and changes no global setting."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featrec.plotting as plotting
from featrec.datasets import load_dataset
from featrec.descriptors import HOG, LBP, SIFT, DenseSIFT, PatchCodes, Patches, Whiten
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.plotting import (
    AccuracyCostDisplay,
    CodesDisplay,
    ConfusedPairsDisplay,
    ConfusionMatrixDisplay,
    ContactSheetDisplay,
    DenseGridDisplay,
    FiltersDisplay,
    HOGDisplay,
    HOGInversionDisplay,
    HOGTemplatesDisplay,
    KeypointsDisplay,
    LBPDisplay,
    MatchesDisplay,
    PyramidDisplay,
    ReliabilityDisplay,
    VocabularySizeDisplay,
    WhiteningDisplay,
    WordHistogramsDisplay,
    WordMapDisplay,
)

mpl.use("Agg")
DISPLAYS = [name for name in plotting.__all__ if name.endswith("Display")]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_thumbnails_are_means_of_areas(rng):
    from featrec.plotting._display import thumbnail

    image = rng.integers(0, 256, (144, 216, 3), dtype=np.uint8)
    small = thumbnail(image)
    assert small.shape == (48, 72, 3)
    np.testing.assert_allclose(small, image.reshape(48, 3, 72, 3, 3).mean(axis=(1, 3)), atol=0.51)
    np.testing.assert_array_equal(thumbnail(image[:8, :8, 0]), np.repeat(image[:8, :8, :1], 3, axis=2))


def drawings(train, test, dense, cell):
    """One call of each display, for images of any dataset."""
    hog = HOG(pixels_per_cell=cell, cells_per_block=2)
    model = make_pipeline(hog, StandardScaler(), LogisticRegression(max_iter=50, tol=0.1)).fit(train, train.labels)
    words = make_pipeline(dense, BagOfWords(8, random_state=0)).fit(train)
    filters = PatchCodes(20, size=4, random_state=0, mirror=False).fit(train)
    white = make_pipeline(Patches(4), Whiten(whiten="zca", epsilon=0.1)).fit(train)
    image, other, y = test[0], test[1], test.labels
    predicted = model.predict(test)
    return {
        "AccuracyCostDisplay": lambda **o: AccuracyCostDisplay("abc", [0.5, 0.6, 0.4], [1, 2, 3]).plot(**o),
        "CodesDisplay": lambda **o: CodesDisplay.from_estimator(model, test, y, max_thumbnails=5, **o),
        "ConfusedPairsDisplay": lambda **o: ConfusedPairsDisplay.from_predictions(y, predicted, test, n_examples=2, **o),
        "ConfusionMatrixDisplay": lambda **o: ConfusionMatrixDisplay.from_predictions(y, predicted, **o),
        "ContactSheetDisplay": lambda **o: ContactSheetDisplay.from_predictions(
            y, predicted, test, max_wrong=3, max_right=3, **o
        ),
        "DenseGridDisplay": lambda **o: DenseGridDisplay.from_estimator(dense, image, **o),
        "FiltersDisplay": lambda **o: FiltersDisplay.from_estimator(filters, **o),
        "HOGDisplay": lambda **o: HOGDisplay.from_estimator(model, image, **o),
        "HOGInversionDisplay": lambda **o: HOGInversionDisplay.from_estimator(model, image, train, **o),
        "HOGTemplatesDisplay": lambda **o: HOGTemplatesDisplay.from_estimator(model, image, classes=model.classes_[:2], **o),
        "KeypointsDisplay": lambda **o: KeypointsDisplay.from_estimator(SIFT(), image, **o),
        "LBPDisplay": lambda **o: LBPDisplay.from_estimator(LBP(), image, **o),
        "MatchesDisplay": lambda **o: MatchesDisplay.from_estimator(SIFT(), image, other, **o),
        "PyramidDisplay": lambda **o: PyramidDisplay.from_estimator(SpatialPyramid(BagOfWords(4)), image, **o),
        "ReliabilityDisplay": lambda **o: ReliabilityDisplay.from_estimator(model, test, y, **o),
        "VocabularySizeDisplay": lambda **o: VocabularySizeDisplay([10, 20], [[0.5, 0.6], [0.7, 0.6]]).plot(**o),
        "WhiteningDisplay": lambda **o: WhiteningDisplay.from_estimator(white, test, **o),
        "WordHistogramsDisplay": lambda **o: WordHistogramsDisplay.from_estimator(words, image, other, **o),
        "WordMapDisplay": lambda **o: WordMapDisplay.from_estimator(words, image, **o),
    }


@pytest.fixture(scope="module")
def of_digits(digits):
    return drawings(*digits, DenseSIFT(step=1, bin_sizes=1), 2)


@pytest.mark.parametrize("name", DISPLAYS)
def test_displays_draw_on_given_axes_and_change_no_setting(name, of_digits):
    before = dict(mpl.rcParams)
    given, figure = Figure(layout="constrained").subplots(1, 2)[1], Figure()
    display = of_digits[name](ax=given)
    assert type(display).__name__ == name
    assert (display.ax_, display.figure_) == (given, given.figure)
    assert display.plot(figure.add_axes((0.1, 0.1, 0.8, 0.8))) is display
    assert display.figure_ is figure
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "textures", "shapes"])
def test_every_display_renders_within_its_figure(name):
    train, test = load_dataset(name, **({"size": 64} if name == "shapes" else {}))
    small = name == "digits"
    dense = DenseSIFT(step=1 if small else 8, bin_sizes=1 if small else 4)
    drawn = drawings(train[::4], test[::4], dense, 2 if small else 8)
    assert sorted(drawn) == DISPLAYS
    for each, draw in drawn.items():
        figure = draw().figure_
        FigureCanvasAgg(figure).draw()
        page, titles = figure.bbox, [ax.title for ax in figure.axes if ax.title.get_text()]
        assert titles, each
        for box in (title.get_window_extent() for title in titles):
            assert box.x0 >= page.x0 - 1, each
            assert box.x1 <= page.x1 + 1, each
            assert box.y1 <= page.y1 + 1, each
