"""Figures agree with the numbers, change no global settings, and refuse wrong input."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from featrec import Bag
from featrec.descriptors import HOG, ORB, DenseSIFT, TinyImage
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.evaluation import compare
from featrec.exceptions import InputError, MetricError, MissingExtraError
from featrec.images import check_images
from featrec.plotting import (
    plot_comparison,
    plot_confusion_matrix,
    plot_critical_difference,
    plot_hog,
    plot_keypoints,
    plot_word_map,
    plot_words,
)
from featrec.preprocessing import Resize
from featrec.vocabularies import nearest_word

mpl.use("Agg")


def drawn(figure_or_axes):
    """Render the figure."""
    figure = getattr(figure_or_axes, "figure", figure_or_axes)
    figure.canvas.draw()
    return figure_or_axes


@pytest.fixture
def axes():
    return Figure().add_subplot()


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (6, 16, 20, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 5, axis=1), 5, axis=2)


@pytest.fixture(scope="module")
def extractor():
    return DenseSIFT(step=4, bin_sizes=(3, 4))


@pytest.fixture(scope="module")
def encoder(images, extractor):
    return BagOfWords(12, random_state=0).fit(extractor.transform(images))


def test_keypoints_are_circles_with_a_line_in_their_direction(axes):
    frames = np.array([[10, 20, 8, 90], [30, 5, 4, -1]], np.float32)
    drawn(plot_keypoints(np.zeros((40, 50)), Bag(np.zeros((2, 4)), frames, (40, 50)), ax=axes))
    circles, over, lines = axes.collections
    for collection in (circles, over):
        np.testing.assert_allclose(collection.get_offsets(), frames[:, :2])
        np.testing.assert_allclose(collection.get_widths(), [8, 4])
    (line,) = lines.get_segments()
    np.testing.assert_allclose(line, [[10, 20], [10, 24]], atol=1e-5)
    assert axes.get_title() == "2 keypoints"


def test_many_keypoints_are_thinned(axes):
    random = np.random.default_rng(0)
    frames = np.column_stack([random.uniform(0, 50, (700, 2)), np.full(700, 5), random.uniform(0, 360, 700)])
    drawn(plot_keypoints(np.zeros((50, 50)), Bag(np.zeros((700, 4)), frames), max_frames=100, ax=axes))
    assert len(axes.collections[0].get_offsets()) == 100
    assert axes.get_title() == "700 keypoints, 100 of them shown"


def test_a_lattice_is_drawn_as_dots_with_one_square_per_size(axes, images, extractor):
    bag = extractor.extract(images[0])
    drawn(plot_keypoints(images[0], bag, ax=axes))
    assert sorted(patch.get_width() for patch in axes.patches) == [12, 16]
    smallest = bag.frames[bag.frames[:, 2] == 12]
    shown = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(shown[np.lexsort(shown.T)], smallest[:, :2][np.lexsort(smallest[:, :2].T)])
    assert axes.get_title() == f"{len(bag.descriptors)} descriptors on a lattice, 12, 16 pixels wide"


def test_a_fine_lattice_is_thinned(axes):
    image = np.zeros((100, 120), np.uint8)
    bag = DenseSIFT(step=2, bin_sizes=3).extract(image)
    drawn(plot_keypoints(image, bag, max_frames=200, ax=axes))
    shown = np.asarray(axes.collections[0].get_offsets())
    assert 50 < len(shown) <= 200
    assert len(np.unique(np.diff(np.unique(shown[:, 0])))) == 1
    assert "one of 16 centres is shown" in axes.get_title()


@pytest.mark.parametrize("n", [0, 2])
def test_upright_frames_off_a_lattice_are_circles(axes, n):
    frames = np.array([[10, 20, 8, -1], [30, 5, 8, -1]], np.float32)[:n]
    drawn(plot_keypoints(np.zeros((40, 50)), Bag(np.zeros((n, 4)), frames), ax=axes))
    assert axes.get_title() == f"{n} keypoints"


def test_mirrored_frames_are_drawn_in_the_image(axes):
    frames = np.array([[10, 20, 8, -1], [10, 20, 8, -1]], np.float32)
    bag = Bag(np.zeros((2, 4)), frames, (40, 50), mirrored=[False, True])
    drawn(plot_keypoints(np.zeros((40, 50)), bag, ax=axes))
    shown = {tuple(place) for collection in axes.collections for place in np.asarray(collection.get_offsets()).tolist()}
    assert {(10, 20), (39, 20)} <= shown


def test_keypoints_need_frames_of_this_image():
    image = np.zeros((40, 50))
    with pytest.raises(InputError, match="the bag has no frames"):
        plot_keypoints(image, Bag(np.zeros((2, 4))))
    with pytest.raises(InputError, match=r"image of 20×25 pixels; got an image of 40×50.*after Resize"):
        plot_keypoints(image, Bag(np.zeros((1, 4)), np.zeros((1, 4)), (20, 25)))


@pytest.mark.parametrize("across", [True, False], ids=["gradient along x", "gradient along y"])
def test_hog_strokes_follow_the_edge(axes, across):
    ramp = np.tile(np.linspace(0, 1, 32), (32, 1))
    drawn(plot_hog(ramp if across else ramp.T, HOG(orientations=9), ax=axes))
    strokes = np.array(axes.collections[0].get_segments())
    spread = np.abs(strokes[:, 1] - strokes[:, 0]).mean(axis=0)
    along, beside = (spread[1], spread[0]) if across else (spread[0], spread[1])
    assert along > 4 * beside
    assert strokes.min() >= -0.5
    assert strokes.max() <= 31.5


def test_hog_of_a_flat_image_has_no_strokes(axes):
    drawn(plot_hog(np.full((32, 40), 0.5), ax=axes))
    assert not axes.collections[0].get_segments()
    assert axes.get_title() == "4×5 cells of 8×8 pixels, 9 orientations"


def test_words_show_their_nearest_patches(images, extractor, encoder):
    figure = drawn(plot_words(encoder, images, extractor, n_words=3, n_patches=4, random_state=1))
    (ax,) = figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    mosaic = np.asarray(ax.images[0].get_array())
    assert mosaic.shape == (3 * 39 - 3, 4 * 39 - 3, 3)
    word = int(names[0].removeprefix("word "))
    best = min(
        (np.linalg.norm(bag.descriptors - encoder.vocabulary_.words_[word], axis=1).min(), position)
        for position, bag in enumerate(extractor.transform(images))
    )
    bag = extractor.extract(images[best[1]])
    x, y, side, _ = bag.frames[np.linalg.norm(bag.descriptors - encoder.vocabulary_.words_[word], axis=1).argmin()]
    middle = images[best[1]][round(float(y)), round(float(x))].astype(int)
    around = images[best[1]][int(y - side / 2) : int(y + side / 2) + 1, int(x - side / 2) : int(x + side / 2) + 1]
    patch = mosaic[:36, :36]
    assert np.abs(patch.mean(axis=(0, 1)) - around.mean(axis=(0, 1))).max() < 20
    assert np.abs(patch[17:19, 17:19].mean(axis=(0, 1)) - middle).max() < 80


def test_a_vocabulary_an_encoder_and_a_pyramid_show_the_same_words(images, extractor, encoder):
    pyramid = SpatialPyramid(BagOfWords(12, random_state=0), levels=2).fit(extractor.transform(images))
    shown = [
        np.asarray(plot_words(model, images, extractor, n_words=3).axes[0].images[0].get_array())
        for model in (encoder, encoder.vocabulary_, pyramid)
    ]
    np.testing.assert_array_equal(shown[0], shown[1])
    np.testing.assert_array_equal(shown[0], shown[2])


def test_words_of_packed_bits():
    random = np.random.default_rng(0)
    images = np.kron(random.integers(0, 256, (3, 24, 24), dtype=np.uint8), np.ones((1, 8, 8), np.uint8))
    orb = ORB(edge_threshold=15)
    encoder = BagOfWords(4, random_state=0).fit(orb.transform(images))
    figure = drawn(plot_words(encoder, images, orb, n_words=9, stretch=True))
    assert figure.axes[0].images
    drawn(plot_word_map(images[0], orb, encoder))


@pytest.mark.parametrize("stretch", [False, True])
def test_patches_are_upright_and_stretched_on_request(stretch):
    """A frame that points down at the lower, brighter half of an image."""
    image = np.zeros((41, 41), np.uint8)
    image[20:, :] = 200

    class OneFrame:
        def transform(self, images):
            return check_images(images).described(lambda _: Bag(np.eye(1), np.array([[20, 20, 20, 90]]), (41, 41)))

    encoder = BagOfWords(1, random_state=0).fit([Bag(np.eye(1))])
    figure = plot_words(encoder, [image], OneFrame(), n_patches=1, stretch=stretch)
    patch = np.asarray(figure.axes[0].images[0].get_array())
    assert (patch[:, :16] == 0).all()
    assert (patch[:, 20:] == (255 if stretch else 200)).all()


def test_word_map_counts_what_the_encoder_counts(images, extractor, encoder):
    figure = drawn(plot_word_map(images[0], extractor, encoder, n_colors=3))
    image, chart, histogram = figure.axes
    code = encoder.transform(extractor.transform(images[:1]))[0]
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in histogram.patches}
    np.testing.assert_allclose([heights[word] for word in range(12)], 100 * code, rtol=1e-5)
    colored = {bar.get_facecolor() for bar in histogram.patches}
    assert len(colored) == 4
    cells = np.asarray(chart.images[1].get_array())
    bag = extractor.extract(images[0])
    smallest = bag.descriptors[bag.frames[:, 2] == 12]
    words = nearest_word(smallest, encoder.vocabulary_.words_, "euclidean")
    commonest = np.argsort(-code, kind="stable")[0]
    first = cells.reshape(-1, 4)[words == commonest]
    assert len(np.unique(first, axis=0)) == 1
    assert not image.get_xticks().size


def test_word_map_of_a_pyramid_and_a_pipeline_on_given_axes(images, extractor):
    chain = make_pipeline(Resize((60, 60)), extractor)
    pyramid = SpatialPyramid(BagOfWords(5, random_state=0), levels=2).fit(chain.fit_transform(images))
    given = Figure().subplots(1, 3)
    figure = drawn(plot_word_map(images[0], chain, pyramid, axes=given))
    assert figure is given[0].figure
    assert given[0].images[0].get_array().shape[:2] == (60, 60)


def test_word_map_of_an_image_without_descriptors(encoder, extractor):
    figure = drawn(plot_word_map(np.zeros((8, 8)), extractor, encoder))
    assert figure.axes[1].get_title() == "words of 0 descriptors"
    assert max(bar.get_height() for bar in figure.axes[2].patches) == 0


def test_word_figures_refuse_wrong_input(images, extractor, encoder):
    with pytest.raises(InputError, match=r"n_colors must be between 1 and 10.*got 11"):
        plot_word_map(images[0], extractor, encoder, n_colors=11)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        plot_word_map(images[0], extractor, BagOfWords(5))
    with pytest.raises(InputError, match=r"expected an extractor of local features.*TinyImage"):
        plot_words(encoder, images, TinyImage())
    with pytest.raises(MetricError, match="the metric of the descriptors is hamming, but the metric of the words is euclidean"):
        plot_words(encoder, np.kron(images, np.ones((1, 3, 3, 1), np.uint8)), ORB(edge_threshold=15))
    with pytest.raises(InputError, match="the descriptors have 128 dimensions, but the words have 4"):
        plot_words(BagOfWords(2, random_state=0).fit([Bag(np.eye(4))]), images, extractor)


def test_functions_change_no_settings_and_import_matplotlib_only_on_use():
    code = (
        "import sys, numpy as np, featrec.plotting; assert 'matplotlib' not in sys.modules; import matplotlib as mpl;"
        "from featrec.descriptors import DenseSIFT;"
        "settings = lambda: {name: mpl.rcParams[name] for name in mpl.rcParams if name != 'backend'};"
        "before = settings(); image = np.random.default_rng(0).random((40, 40));"
        "ax = featrec.plotting.plot_keypoints(image, DenseSIFT().extract(image));"
        "featrec.plotting.plot_hog(image); ax.figure.canvas.draw();"
        "assert settings() == before; assert 'matplotlib.pyplot' not in sys.modules;"
        "import matplotlib.pyplot as plt; plt.switch_backend('agg');"
        "ax = featrec.plotting.plot_hog(image); assert plt.get_fignums() == [ax.figure.number]"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r'pip install "featrec\[plot\]"'):
        plot_hog(np.zeros((40, 40)))


def texts(ax):
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in ax.texts}


def test_the_diagonal_shows_recall(axes):
    plot_confusion_matrix([[18, 2], [5, 15]], ["cat", "dog"], ax=axes)
    assert texts(axes) == {(0, 0): "90", (0, 1): "10", (1, 0): "25", (1, 1): "75"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_counts_and_empty_classes(axes):
    plot_confusion_matrix([[18, 2], [0, 0]], np.array([3, 7]), normalize=False, ax=axes)
    assert texts(axes) == {(0, 0): "18", (0, 1): "2"}
    assert axes.get_title() == "90.0 % of 20 correct\ncounts"
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.9, 0.1], [0, 0]])


@pytest.mark.parametrize("n", [2, 15, 50])
def test_numbers_fit_into_cells_and_names_into_the_figure(n):
    ax = plot_confusion_matrix(1000 * np.eye(n, dtype=int), [f"a long name {i}" for i in range(n)], normalize=False)
    FigureCanvasAgg(ax.figure).draw()
    cell = np.diff(ax.transData.transform([(0, 0), (1, 0)])[:, 0])
    assert max(text.get_window_extent().width for text in ax.texts) <= cell
    page = ax.figure.bbox
    for label in [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.title, ax.xaxis.label, ax.yaxis.label]:
        box = label.get_window_extent()
        assert box.x0 >= page.x0
        assert box.x1 <= page.x1
        assert box.y0 >= page.y0
        assert box.y1 <= page.y1


def test_a_wrong_confusion_matrix_is_refused():
    with pytest.raises(InputError, match=r"of 3 classes must have shape \(3, 3\); got \(2, 2\)"):
        plot_confusion_matrix(np.eye(2), ["a", "b", "c"])
    with pytest.raises(InputError, match="contains counts, 0 or more"):
        plot_confusion_matrix([[1, -1], [0, 1]], ["a", "b"])


def test_the_former_function_for_comparisons_warns(axes):
    comparison = compare({"guess": np.array(["a", "b"])}, np.zeros((2, 1)), ["a", "b"], test=(np.zeros((2, 1)), ["a", "a"]))
    with pytest.warns(FutureWarning, match=r"plot_comparison\(comparison\) is now comparison.plot\(\)"):
        assert plot_comparison(comparison, ax=axes) is axes


def test_a_critical_difference_diagram_connects_the_ranks_that_do_not_differ():
    ax = plot_critical_difference([3.143, 2.0, 2.893, 1.964], ["C4.5", "+m", "+cf", "+m+cf"], 1.0)
    bars = sorted((*line.get_xdata(), line.get_ydata()[0]) for line in ax.lines if line.get_linewidth() == 4)
    ends = [(round(start, 2), round(end, 2)) for start, end, height in bars if height > 0]
    assert ends == [(1.93, 2.92), (2.86, 3.17)]
    with pytest.raises(InputError, match="one mean rank for each of at least two names"):
        plot_critical_difference([1.0, 2.0], ["a"], 1.0)
