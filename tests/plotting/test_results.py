"""The figures of results: confusion matrices of any size and comparisons."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.neighbors import KNeighborsClassifier

from featrec.evaluation import compare
from featrec.exceptions import InputError
from featrec.plotting import plot_comparison, plot_confusion_matrix


@pytest.fixture
def axes():
    return Figure().add_subplot()


def texts(ax):
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in ax.texts}


def test_the_diagonal_reads_as_recall(axes):
    plot_confusion_matrix([[18, 2], [5, 15]], ["cat", "dog"], ax=axes)
    assert texts(axes) == {(0, 0): "90", (0, 1): "10", (1, 0): "25", (1, 1): "75"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_counts_and_empty_classes(axes):
    plot_confusion_matrix([[18, 2], [0, 0]], np.array([3, 7]), normalize=False, ax=axes)
    assert texts(axes) == {(0, 0): "18", (0, 1): "2"}
    assert axes.get_title() == "90.0 % of 20 right\ncounts"
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.9, 0.1], [0, 0]])


@pytest.mark.parametrize("n", [2, 15, 50])
def test_numbers_fit_their_cells_and_names_the_figure(n):
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


def test_what_is_no_confusion_matrix_is_refused():
    with pytest.raises(InputError, match=r"of 3 classes has that many rows and columns; got shape \(2, 2\)"):
        plot_confusion_matrix(np.eye(2), ["a", "b", "c"])
    with pytest.raises(InputError, match="holds counts, 0 or more"):
        plot_confusion_matrix([[1, -1], [0, 1]], ["a", "b"])


@pytest.fixture(scope="module")
def comparison():
    random = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 30)
    X = random.normal(0, 1, (90, 2)) + np.repeat(np.eye(3, 2) * 2, 30, axis=0)
    models = {"one": KNeighborsClassifier(1), "nine": KNeighborsClassifier(9), "by hand": np.resize(["a", "b", "c"], 90)}
    return compare(models, X, y, test=(X[::-1], y[::-1]))


def test_a_comparison_shows_models_best_first_with_intervals(comparison):
    ax = plot_comparison(comparison)
    ax.figure.canvas.draw()
    ordered = sorted(comparison.results, key=lambda result: -result.accuracy)
    assert [label.get_text() for label in ax.get_yticklabels()] == [result.name for result in ordered]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    bars = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]]
    for bar, result in zip(bars, ordered, strict=True):
        np.testing.assert_allclose(np.asarray(bar.get_xdata()) / 100, result.interval)
    written = [text.get_text() for text in ax.texts]
    assert f"{100 * ordered[0].accuracy:.1f} %" in written
    assert sum(text.endswith("images/s") for text in written) == 2


def test_a_result_draws_itself(comparison, axes):
    assert comparison.plot(ax=axes) is axes
