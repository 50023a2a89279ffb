"""Dense SIFT against VLFeat's figures, its plain twin and its own symmetries."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from featrec.compiled._dense_sift import dense_sift
from featrec.descriptors import DenseSIFT
from featrec.exceptions import InputError
from tests.naive import dense_sift as naive

REFERENCE = Path(__file__).parents[1] / "data" / "vlfeat_reference.npz"
FLAT_CASES = [
    (image, step, bin_size) for image in ("camera", "brick") for step, bin_size in ((4, 4), (3, 5), (6, 8))
]  # step and bin size of VLFeat's figures with a flat window


@pytest.fixture(scope="module")
def vlfeat():
    with np.load(REFERENCE) as figures:
        return dict(figures)


@pytest.fixture
def picture():
    return np.random.default_rng(7).integers(0, 256, (41, 57), dtype=np.uint8)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def in_bins(descriptors):
    """(n, 4 bins in y, 4 bins in x, 8 orientations)."""
    return descriptors.reshape(-1, 4, 4, 8)


def vlfeat_angle(dy, dx):
    """The cubic that VLFeat takes for the arctangent."""
    size = abs(dy) + np.finfo(np.float32).eps
    if dx >= 0:
        ratio, quarter = (dx - size) / (dx + size), math.pi / 4
    else:
        ratio, quarter = (dx + size) / (size - dx), 3 * math.pi / 4
    angle = quarter + (0.1821 * ratio * ratio - 0.9675) * ratio
    return -angle if dy < 0 else angle


class TestVLFeat:
    @pytest.mark.parametrize(("image", "step", "bin_size"), FLAT_CASES)
    def test_flat_window(self, vlfeat, image, step, bin_size):
        key = f"dsift_{image}_step{step}_bin{bin_size}_flat_window1.5"
        extractor = DenseSIFT(step=step, bin_sizes=bin_size, magnif=None, contrast_threshold=0)
        bag = extractor.extract(vlfeat[image])
        np.testing.assert_array_equal(bag.frames[:, :2], vlfeat[key + "_xy_norm"][:, :2])
        assert correlation(bag.descriptors, vlfeat[key].astype(np.float32)) >= 0.9999
        np.testing.assert_allclose(bag.descriptors, vlfeat[key], atol=0.012)

    @pytest.mark.parametrize("image", ["camera", "brick"])
    def test_four_sizes_are_phow(self, vlfeat, image):
        key = f"phow_{image}_step6_sizes4_6_8_10_magnif6"
        bag = DenseSIFT(step=6, contrast_threshold=0).extract(vlfeat[image])
        frames = vlfeat[key + "_xy_norm_size"]
        np.testing.assert_array_equal(bag.frames[:, :2], frames[:, :2])
        np.testing.assert_array_equal(bag.frames[:, 2], 4 * frames[:, 3])
        for size in (4, 6, 8, 10):
            rows = frames[:, 3] == size
            assert correlation(bag.descriptors[rows], vlfeat[key][rows].astype(np.float32)) >= 0.9999
        np.testing.assert_allclose(bag.descriptors, vlfeat[key], atol=0.012)

    def test_only_the_angle_is_approximated_there(self, vlfeat):
        image = vlfeat["brick"].astype(np.float32) / 255
        weights = naive.window_weights(8, 1.5)
        descriptors, contrasts = naive.dense_sift(image, 6, 8, 0, weights, 0, arctangent=vlfeat_angle)
        key = "dsift_brick_step6_bin8_flat_window1.5"
        np.testing.assert_allclose(descriptors, vlfeat[key], atol=2e-4)
        np.testing.assert_allclose(contrasts, vlfeat[key + "_xy_norm"][:, 2], rtol=1e-5)

    @pytest.mark.parametrize("threshold", [0.005, 0.02, 0.03])
    def test_contrast_is_vlfeats_norm(self, vlfeat, threshold):
        bag = DenseSIFT(step=6, contrast_threshold=threshold).extract(vlfeat["brick"])
        norms = vlfeat["phow_brick_step6_sizes4_6_8_10_magnif6_xy_norm_size"][:, 2]
        clear = np.abs(norms - threshold) > 1e-5
        np.testing.assert_array_equal(bag.descriptors.any(axis=1)[clear], (norms >= threshold)[clear])
        assert 0 < np.count_nonzero(norms < threshold) < len(norms)


class TestNaive:
    @pytest.mark.parametrize(
        ("shape", "step", "bin_size", "first"), [((14, 17), 2, 3, 1), ((9, 4), 1, 1, 0), ((13, 16), 3, 4, 0)]
    )
    @pytest.mark.parametrize("threshold", [0.0, 0.35])
    def test_agrees(self, shape, step, bin_size, first, threshold):
        image = np.random.default_rng(3).random(shape, dtype=np.float32)
        weights = np.array(naive.window_weights(bin_size, 1.5), np.float32)
        expected, contrasts = naive.dense_sift(image, step, bin_size, first, weights, threshold)
        descriptors = np.full((len(expected), 128), np.nan, np.float32)
        dense_sift(image, step, bin_size, first, weights, threshold, descriptors)
        assert len(expected) > 0
        assert np.abs(contrasts - threshold).min() > 1e-6
        np.testing.assert_allclose(descriptors, expected, atol=3e-5)

    @pytest.mark.parametrize("angle", range(0, 360, 15))
    def test_every_direction(self, angle):
        y, x = np.mgrid[:13, :13] - 6
        ramp = 0.5 + 0.02 * (np.cos(np.deg2rad(angle)) * x + np.sin(np.deg2rad(angle)) * y)
        descriptors = in_bins(DenseSIFT(bin_sizes=4, magnif=None).extract(ramp).descriptors)
        lower = angle // 45
        expected = {lower} if angle % 45 == 0 else {lower, (lower + 1) % 8}
        assert set(np.flatnonzero(descriptors.max(axis=(0, 1, 2)) > 1e-3)) == expected


class TestSymmetry:
    def test_transposed(self, picture):
        there = DenseSIFT(step=3, bin_sizes=(3, 5)).extract(picture)
        back = DenseSIFT(step=3, bin_sizes=(3, 5)).extract(picture.T)
        swapped = in_bins(back.descriptors).transpose(0, 2, 1, 3)[..., (2 - np.arange(8)) % 8].reshape(-1, 128)
        order = np.lexsort((there.frames[:, 0], there.frames[:, 1], there.frames[:, 2]))
        same = np.lexsort((back.frames[:, 1], back.frames[:, 0], back.frames[:, 2]))
        np.testing.assert_array_equal(there.frames[order, 0], back.frames[same, 1])
        np.testing.assert_allclose(there.descriptors[order], swapped[same], atol=2e-4)

    def test_turned_by_a_quarter(self):
        picture = np.random.default_rng(8).integers(
            0, 256, (37, 37), dtype=np.uint8
        )  # the lattice of step 4 ends on the border
        extractor = DenseSIFT(step=4, bin_sizes=4)
        there = in_bins(extractor.extract(picture).descriptors)
        turned = in_bins(extractor.extract(np.rot90(picture)).descriptors)
        places = np.rot90(np.arange(49).reshape(7, 7)).ravel()
        expected = np.rot90(there[places], axes=(1, 2))[..., (np.arange(8) + 2) % 8]
        np.testing.assert_allclose(turned, expected, atol=2e-4)

    def test_brighter_and_with_less_contrast_is_the_same(self, picture):
        extractor = DenseSIFT(step=5, contrast_threshold=0)
        plain = extractor.extract(picture / 255).descriptors
        np.testing.assert_allclose(extractor.extract(0.3 + 0.5 * picture / 255).descriptors, plain, atol=1e-4)


class TestBag:
    def test_descriptors_have_length_1(self, picture):
        bag = DenseSIFT().extract(picture)
        assert bag.descriptors.dtype == np.float32
        assert bag.metric == "euclidean"
        assert bag.size == (41, 57)
        np.testing.assert_allclose(np.linalg.norm(bag.descriptors, axis=1), 1, atol=1e-5)
        assert bag.descriptors.min() >= 0

    def test_sizes_share_their_centres(self):
        bag = DenseSIFT(bin_sizes=(10, 4, 6)).extract(np.zeros((50, 50), np.uint8))
        centres = [set(map(tuple, bag.frames[bag.frames[:, 2] == 4 * size, :2])) for size in (4, 6, 10)]
        assert centres[2] < centres[1] < centres[0]
        np.testing.assert_array_equal(bag.frames[0], [15, 15, 40, -1])

    def test_flat_picture_keeps_its_frames(self):
        bag = DenseSIFT().extract(np.full((40, 50), 77, np.uint8))
        assert len(bag.frames) > 0
        assert not bag.descriptors.any()

    def test_no_nan_without_a_threshold(self):
        bag = DenseSIFT(contrast_threshold=0).extract(np.zeros((40, 50), np.uint8))
        np.testing.assert_array_equal(bag.descriptors, 0)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (12, 40)])
    def test_too_small(self, shape):
        bag = DenseSIFT().extract(np.zeros(shape, np.uint8))
        assert bag.descriptors.shape == (0, 128)
        assert bag.descriptors.dtype == np.float32
        assert bag.frames.shape == (0, 4)

    def test_small_pictures_have_the_sizes_that_fit(self):
        bag = DenseSIFT(bin_sizes=(2, 4)).extract(np.zeros((12, 12), np.uint8))
        np.testing.assert_array_equal(np.unique(bag.frames[:, 2]), [8])


class TestInput:
    def test_types_agree(self, picture):
        extractor = DenseSIFT(step=6)
        expected = extractor.extract(picture).descriptors
        for same in (picture.astype(np.uint16) * 257, picture / 255, (picture / 255).astype(np.float32), picture[..., None]):
            np.testing.assert_allclose(extractor.extract(same).descriptors, expected, atol=1e-5)

    def test_colour_is_described_by_its_luma(self, picture):
        extractor = DenseSIFT(step=6)
        expected = extractor.extract(picture).descriptors
        np.testing.assert_array_equal(extractor.extract(np.repeat(picture[..., None], 3, axis=2)).descriptors, expected)
        colour = np.zeros((*picture.shape, 3))
        colour[..., 1] = picture / 255
        np.testing.assert_allclose(extractor.extract(colour).descriptors, expected, atol=1e-3)

    def test_read_only_and_strided_pictures(self, picture):
        expected = DenseSIFT(step=6).extract(np.ascontiguousarray(picture[::-1])).descriptors
        view = picture[::-1]
        view.flags.writeable = False
        np.testing.assert_array_equal(DenseSIFT(step=6).extract(view).descriptors, expected)

    def test_picture_is_left_alone(self, picture):
        image = picture / np.float32(255)
        before = image.copy()
        DenseSIFT(magnif=None).extract(image)
        np.testing.assert_array_equal(image, before)

    def test_threads_give_the_same(self, picture):
        extractor = DenseSIFT(step=3)
        expected = extractor.extract(picture).descriptors
        with ThreadPoolExecutor(2) as pool:
            for bag in pool.map(extractor.extract, [picture] * 8):
                np.testing.assert_array_equal(bag.descriptors, expected)


class TestParameters:
    def test_one_size_as_a_number(self, picture):
        one, many = DenseSIFT(bin_sizes=5), DenseSIFT(bin_sizes=np.array([5]))
        np.testing.assert_array_equal(one.extract(picture).descriptors, many.extract(picture).descriptors)

    def test_smoothing_comes_before_the_gradients(self, picture):
        sharp = DenseSIFT(bin_sizes=4, magnif=None, contrast_threshold=0.05).extract(picture)
        smooth = DenseSIFT(bin_sizes=4, magnif=2, contrast_threshold=0.05).extract(picture)
        assert sharp.descriptors.any(axis=1).mean() > smooth.descriptors.any(axis=1).mean()

    def test_a_wider_window_weighs_outer_bins_more(self, picture):
        narrow = in_bins(DenseSIFT(bin_sizes=4, window_size=1).extract(picture).descriptors)
        wide = in_bins(DenseSIFT(bin_sizes=4, window_size=4).extract(picture).descriptors)
        assert wide[:, 0, 0].sum() > narrow[:, 0, 0].sum()

    @pytest.mark.parametrize("bin_sizes", [(), (4, 0), (4, 2.5), [[4, 6]]])
    def test_wrong_sizes(self, picture, bin_sizes):
        with pytest.raises(InputError, match="bin_sizes of DenseSIFT must be one or more whole numbers"):
            DenseSIFT(bin_sizes=bin_sizes).extract(picture)

    @pytest.mark.parametrize(
        "wrong", [{"step": 0}, {"magnif": 0}, {"contrast_threshold": -1}, {"window_size": 0}, {"bin_sizes": "4"}]
    )
    def test_wrong_values(self, picture, wrong):
        with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of DenseSIFT must be"):
            DenseSIFT(**wrong).extract(picture)

    def test_names_clone_pickle(self, picture):
        extractor = clone(DenseSIFT(step=9))
        assert len(extractor.get_feature_names_out()) == 128
        bags = pickle.loads(pickle.dumps(extractor.transform([picture])))
        np.testing.assert_array_equal(bags[0].descriptors, DenseSIFT(step=9).extract(picture).descriptors)
