"""Maps of contributions agree with plain loops; patches and bars show the right parts."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from featrec.images import squares
from featrec.plotting import cut_patch, plot_contributions, plot_signed_bars, scale_of, spread, tinted

mpl.use("Agg")


def overlap(low, high, place):
    return max(0.0, min(high, place + 0.5) - max(low, place - 0.5))


def naive_spread(values, outlines, shape):
    """Each pixel's share of each upright rectangle."""
    found = np.zeros((2, *shape))
    for value, outline in zip(values, outlines, strict=True):
        (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
        for y in range(shape[0]):
            for x in range(shape[1]):
                area = overlap(left, right, x) * overlap(top, bottom, y)
                found[int(value < 0), y, x] += value * area / ((right - left) * (bottom - top))
    return found


def test_upright_parts_agree_with_plain_loops(rng):
    frames = np.column_stack([rng.uniform(-2, 12, 9), rng.uniform(-2, 9, 9), rng.uniform(0.4, 8, 9), np.full(9, -1)])
    values, outlines = rng.normal(size=9), squares(frames)
    np.testing.assert_allclose(spread(values, outlines, (8, 11)), naive_spread(values, outlines, (8, 11)), atol=1e-12)


def test_turned_parts_keep_their_sum_and_their_area(rng):
    frames = np.array([[20, 18, 12, 30], [12.3, 21.7, 3, 77], [30, 10, 7.5, 45]], np.float32)
    for frame, value in zip(frames, (2.0, -3.0, 0.5), strict=True):
        layers = spread(np.array([value]), squares(frame[None]), (40, 44))
        assert layers.sum() == pytest.approx(value)
        y, x = np.mgrid[:40, :44]
        turn = np.deg2rad(frame[3])
        along = (x - frame[0]) * np.cos(turn) + (y - frame[1]) * np.sin(turn)
        across = (y - frame[1]) * np.cos(turn) - (x - frame[0]) * np.sin(turn)
        distance = np.maximum(np.abs(along), np.abs(across)) - frame[2] / 2
        density = np.abs(layers.sum(axis=0))
        assert density[distance > 1.5].max() == 0
        inner = density[distance < -1.5]
        np.testing.assert_allclose(inner, abs(value) / frame[2] ** 2, rtol=0.25)


def test_parts_without_a_place_are_left_out():
    outlines = np.full((2, 4, 2), np.nan)
    assert not spread(np.ones(2), outlines, (5, 5)).any()


def test_colours_are_symmetric_around_zero():
    colors = tinted(np.array([[-2.0, -0.5, 0, 0.5, 2.0]]), 1.0)
    assert colors.shape == (1, 5, 4)
    assert colors[0, 2, 3] == 0
    np.testing.assert_array_equal(colors[0, :, 3], colors[0, ::-1, 3])
    assert tuple(colors[0, 0, :3]) != tuple(colors[0, -1, :3])
    assert scale_of(np.zeros((3, 3))) == 1.0


def test_a_turned_patch_is_cut_upright(rng):
    """Turning the image by 90 degrees and asking for a patch at 90 degrees gives the same pixels."""
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    upright = cut_patch(image, squares(np.array([[30, 20, 16, -1]], float))[0])
    turned = np.rot90(image, -1)  # (x, y) moves to (63 - y, x), and a direction of 0 degrees to 90 degrees
    np.testing.assert_array_equal(cut_patch(turned, squares(np.array([[43, 30, 16, 90]], float))[0]), upright)


def test_titles_sentences_and_bars():
    ax = plot_contributions(np.zeros((9, 9)), np.zeros(0), np.zeros((0, 4, 2)), title="title", ax=Figure().add_subplot())
    assert ax.texts[0].get_text() == "no features"
    bars = plot_signed_bars(["a", "b"], [0.5, -0.25], rest="7 others", rest_value=0.1, ax=Figure().add_subplot())
    assert [bar.get_width() for bar in bars.patches] == [0.5, -0.25, 0.1]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["a", "b", "7 others"]
    assert [text.get_text() for text in bars.texts] == ["+0.50", "−0.25", "+0.10"]
