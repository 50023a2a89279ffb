"""Dense SIFT agrees with VLFeat's reference values and with the naive implementation, and has the right symmetries."""

import math
from pathlib import Path

import numpy as np
import pytest
from skimage import data
from skimage.color import rgb2hsv

from featrec.compiled._dense_sift import dense_sift, sift_room
from featrec.descriptors import DenseSIFT
from featrec.descriptors._dense_sift import plan
from featrec.exceptions import InputError
from tests.naive import dense_sift as naive

REFERENCE = Path(__file__).parents[1] / "data" / "vlfeat_reference.npz"
# Images and parameters of VLFeat's reference values: step, bin size, window and window size.
CASES = [
    (image, *case)
    for image in ("camera", "brick")
    for case in ((4, 4, "flat", 1.5), (3, 5, "flat", 1.5), (6, 8, "flat", 1.5), (6, 4, "gauss", 1.5), (7, 6, "gauss", 2.0))
]
WINDOWS = {"flat": "flat", "gauss": "gaussian"}


@pytest.fixture(scope="module")
def vlfeat():
    with np.load(REFERENCE) as figures:
        return dict(figures)


@pytest.fixture
def image():
    return np.random.default_rng(7).integers(0, 256, (41, 57), dtype=np.uint8)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def in_bins(descriptors):
    """Return an array of shape (n, 4 bins in y, 4 bins in x, 8 orientations)."""
    return descriptors.reshape(-1, 4, 4, 8)


def vlfeat_angle(dy, dx):
    """Compute VLFeat's cubic approximation of the arctangent."""
    size = abs(dy) + np.finfo(np.float32).eps
    if dx >= 0:
        ratio, quarter = (dx - size) / (dx + size), math.pi / 4
    else:
        ratio, quarter = (dx + size) / (size - dx), 3 * math.pi / 4
    angle = quarter + (0.1821 * ratio * ratio - 0.9675) * ratio
    return -angle if dy < 0 else angle


class TestVLFeat:
    @pytest.mark.parametrize(("image", "step", "bin_size", "window", "window_size"), CASES)
    def test_both_windows_and_the_threshold_agree_with_vlfeat(self, vlfeat, image, step, bin_size, window, window_size):
        key = f"dsift_{image}_step{step}_bin{bin_size}_{window}_window{window_size}"
        given = {"step": step, "bin_sizes": bin_size, "window": WINDOWS[window], "window_size": window_size, "magnif": None}
        bag = DenseSIFT(**given, contrast_threshold=0).extract(vlfeat[image])
        np.testing.assert_array_equal(bag.frames[:, :2], vlfeat[key + "_xy_norm"][:, :2])
        assert correlation(bag.descriptors, vlfeat[key].astype(np.float32)) >= 0.9999
        np.testing.assert_allclose(bag.descriptors, vlfeat[key], atol=0.012)
        norms = vlfeat[key + "_xy_norm"][:, 2]
        threshold = float(np.median(norms))
        bag = DenseSIFT(**given, contrast_threshold=threshold).extract(vlfeat[image])
        clear = np.abs(norms - threshold) > 1e-5 * threshold
        np.testing.assert_array_equal(bag.descriptors.any(axis=1)[clear], (norms >= threshold)[clear])

    @pytest.mark.parametrize("image", ["camera", "brick"])
    def test_four_sizes_equal_phow(self, vlfeat, image):
        key = f"phow_{image}_step6_sizes4_6_8_10_magnif6"
        bag = DenseSIFT(step=6, contrast_threshold=0).extract(vlfeat[image])
        frames = vlfeat[key + "_xy_norm_size"]
        np.testing.assert_array_equal(bag.frames[:, :2], frames[:, :2])
        np.testing.assert_array_equal(bag.frames[:, 2], 4 * frames[:, 3])
        for size in (4, 6, 8, 10):
            rows = frames[:, 3] == size
            assert correlation(bag.descriptors[rows], vlfeat[key][rows].astype(np.float32)) >= 0.9999
        np.testing.assert_allclose(bag.descriptors, vlfeat[key], atol=0.012)

    def test_the_difference_to_vlfeat_is_its_approximate_angle(self, vlfeat):
        image = vlfeat["brick"].astype(np.float32) / 255
        profiles = naive.bin_profiles(8, 1.5, "flat")
        descriptors, contrasts = naive.dense_sift([image], 6, 8, 0, profiles, [1], 0, arctangent=vlfeat_angle)
        key = "dsift_brick_step6_bin8_flat_window1.5"
        np.testing.assert_allclose(descriptors, vlfeat[key], atol=2e-4)
        np.testing.assert_allclose(contrasts, vlfeat[key + "_xy_norm"][:, 2], rtol=1e-5)

    @pytest.mark.parametrize("threshold", [0.005, 0.02, 0.03])
    def test_contrast_equals_the_norm_of_vlfeat(self, vlfeat, threshold):
        bag = DenseSIFT(step=6, contrast_threshold=threshold).extract(vlfeat["brick"])
        norms = vlfeat["phow_brick_step6_sizes4_6_8_10_magnif6_xy_norm_size"][:, 2]
        clear = np.abs(norms - threshold) > 1e-5
        np.testing.assert_array_equal(bag.descriptors.any(axis=1)[clear], (norms >= threshold)[clear])
        assert 0 < np.count_nonzero(norms < threshold) < len(norms)


def compiled(channels, step, bin_size, first, profiles, shares, threshold, *, out, deviation=0.0, storage=(1, np.inf, 0)):
    """Call the compiled loop for one size, with the arguments of the naive implementation: four profiles and no weights."""
    filters = np.zeros((1, 4, -(-(2 * bin_size - 1) // 4) * 4), np.float32)
    filters[0, :, : 2 * bin_size - 1] = profiles
    radius = math.ceil(4 * deviation)
    smoother = np.zeros((1, -(-(2 * radius + 1) // 4) * 4), np.float32)
    gaussian = [math.exp(-0.5 * (u / (deviation or 1)) ** 2) for u in range(-radius, radius + 1)]
    smoother[0, : 2 * radius + 1] = np.array(gaussian) / sum(gaussian)
    channels = np.array(channels, np.float32)
    height, width = channels.shape[1:]
    steps = np.arange(max(filters.shape[2], smoother.shape[1]), dtype=np.uint64)
    planned = plan(height, width, step, (bin_size,), (first,), 4)
    dense_sift(
        channels.reshape(len(channels), -1),
        *planned,
        np.array([radius]),
        smoother,
        filters,
        np.ones((1, 4), np.float32),
        np.array(shares, np.float32),
        np.array([threshold * (3 * bin_size + 1) ** 2], np.float32),
        np.array(storage, np.float32),
        steps,
        np.empty_like(steps),
        *sift_room(planned[0], np.array([radius]), len(channels), height, width),
        out.reshape(-1),
    )
    return out


SHAPES = [((14, 17), 2, 3, 1), ((9, 4), 1, 1, 0), ((13, 16), 3, 4, 0)]  # image shape, step, bin size and first centre


class TestNaive:
    @pytest.mark.parametrize(("shape", "step", "bin_size", "first"), SHAPES)
    @pytest.mark.parametrize("window", ["flat", "gaussian"])
    @pytest.mark.parametrize("threshold", [0.0, 0.35])
    def test_the_loop_agrees(self, shape, step, bin_size, first, window, threshold):
        image = np.random.default_rng(3).random(shape, dtype=np.float32)
        profiles = naive.bin_profiles(bin_size, 1.5, window)
        expected, contrasts = naive.dense_sift([image], step, bin_size, first, profiles, [1], threshold)
        out = np.full(expected.shape, np.nan, np.float32)
        assert len(expected) > 0
        assert np.abs(contrasts - threshold).min() > 1e-6
        compiled([image], step, bin_size, first, profiles, [1], threshold, out=out)
        np.testing.assert_allclose(out, expected, atol=5e-6)

    @pytest.mark.parametrize("threshold", [0.0, 0.11])
    def test_channels_and_smoothing(self, threshold):
        channels = np.random.default_rng(4).random((3, 12, 13), dtype=np.float32) ** [[[1]], [[2]], [[4]]]
        profiles, shares = naive.bin_profiles(3, 1.0, "gaussian"), (0.5, 0, 0.4)
        smooth = [naive.smoothed(channel, 0.4) for channel in channels]
        expected, contrasts = naive.dense_sift(smooth, 1, 3, 0, profiles, shares, threshold)
        out = np.full(expected.shape, np.nan, np.float32)
        assert threshold == 0 or 0 < np.count_nonzero(contrasts < threshold) < len(contrasts)
        compiled(channels, 1, 3, 0, profiles, shares, threshold, out=out, deviation=0.4)
        np.testing.assert_allclose(out, expected, atol=2e-5)

    def test_the_loop_writes_bytes(self):
        image = np.random.default_rng(5).random((13, 16), dtype=np.float32)
        profiles = naive.bin_profiles(4, 1.5, "flat")
        expected = naive.dense_sift([image], 2, 4, 0, profiles, [1], 0)[0]
        out = compiled([image], 2, 4, 0, profiles, [1], 0, out=np.zeros(expected.shape, np.uint8), storage=(512, 255, 0.5))
        clear = np.abs(512 * expected % 1 - 0.5) > 0.01
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(out[clear], naive.as_bytes(expected)[clear])

    @pytest.mark.parametrize(("step", "bin_sizes"), [(4, np.array([4])), (3, (4, 5)), (5, (2, 3)), (2, (4, 6)), (7, (1, 4))])
    @pytest.mark.parametrize("window", ["flat", "gaussian"])
    def test_extractor(self, step, bin_sizes, window):
        image = np.random.default_rng(6).random((19, 23), dtype=np.float32)
        bag = DenseSIFT(step=step, bin_sizes=bin_sizes, magnif=5, window=window, contrast_threshold=0).extract(image)
        expected = []
        for size in bin_sizes:
            smooth, profiles = naive.smoothed(image, size / 5), naive.bin_profiles(size, 1.5, window)
            first = 3 * (max(bin_sizes) - size) // 2
            expected.append(naive.dense_sift([smooth], step, size, first, profiles, [1], 0)[0])
        np.testing.assert_allclose(bag.descriptors, np.concatenate(expected), atol=2e-5)

    def test_smoothing_wider_than_the_image(self):
        image = np.random.default_rng(9).random((7, 8), dtype=np.float32)
        bag = DenseSIFT(step=1, bin_sizes=2, magnif=0.8, contrast_threshold=0).extract(image)
        profiles = naive.bin_profiles(2, 1.5, "flat")
        expected = naive.dense_sift([naive.smoothed(image, 2.5)], 1, 2, 0, profiles, [1], 0)[0]
        assert bag.descriptors.shape == (2, 128)
        np.testing.assert_allclose(bag.descriptors, expected, atol=1e-3)

    @pytest.mark.parametrize("angle", range(0, 360, 15))
    def test_orientations_of_ramps(self, angle):
        y, x = np.mgrid[:13, :13] - 6
        ramp = 0.5 + 0.02 * (np.cos(np.deg2rad(angle)) * x + np.sin(np.deg2rad(angle)) * y)
        descriptors = in_bins(DenseSIFT(bin_sizes=4, magnif=None).extract(ramp).descriptors)
        lower = angle // 45
        expected = {lower} if angle % 45 == 0 else {lower, (lower + 1) % 8}
        assert set(np.flatnonzero(descriptors.max(axis=(0, 1, 2)) > 1e-3)) == expected


class TestSymmetry:
    def test_transposed(self, image):
        there = DenseSIFT(step=3, bin_sizes=(3, 5)).extract(image)
        back = DenseSIFT(step=3, bin_sizes=(3, 5)).extract(image.T)
        swapped = in_bins(back.descriptors).transpose(0, 2, 1, 3)[..., (2 - np.arange(8)) % 8].reshape(-1, 128)
        order = np.lexsort((there.frames[:, 0], there.frames[:, 1], there.frames[:, 2]))
        same = np.lexsort((back.frames[:, 1], back.frames[:, 0], back.frames[:, 2]))
        np.testing.assert_array_equal(there.frames[order, 0], back.frames[same, 1])
        np.testing.assert_allclose(there.descriptors[order], swapped[same], atol=2e-4)

    def test_turned_by_a_quarter(self):
        image = np.random.default_rng(8).integers(0, 256, (37, 37), dtype=np.uint8)  # the grid of step 4 ends at the border
        extractor = DenseSIFT(step=4, bin_sizes=4)
        there = in_bins(extractor.extract(image).descriptors)
        turned = in_bins(extractor.extract(np.rot90(image)).descriptors)
        places = np.rot90(np.arange(49).reshape(7, 7)).ravel()
        expected = np.rot90(there[places], axes=(1, 2))[..., (np.arange(8) + 2) % 8]
        np.testing.assert_allclose(turned, expected, atol=2e-4)

    def test_brightness_and_contrast_do_not_matter(self, image):
        extractor = DenseSIFT(step=5, contrast_threshold=0)
        plain = extractor.extract(image / 255).descriptors
        np.testing.assert_allclose(extractor.extract(0.3 + 0.5 * image / 255).descriptors, plain, atol=1e-4)


class TestBag:
    def test_descriptors_have_unit_length(self, image):
        bag = DenseSIFT().extract(image)
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

    @pytest.mark.parametrize("threshold", [0.005, 0])
    def test_a_flat_image_keeps_its_frames(self, threshold):
        bag = DenseSIFT(contrast_threshold=threshold).extract(np.full((40, 50), 77, np.uint8))
        assert len(bag.frames) > 0
        np.testing.assert_array_equal(bag.descriptors, 0)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (12, 40)])
    def test_a_small_image_gives_an_empty_bag(self, shape):
        bag = DenseSIFT().extract(np.zeros(shape, np.uint8))
        assert bag.descriptors.shape == (0, 128)
        assert bag.descriptors.dtype == np.float32
        assert bag.frames.shape == (0, 4)

    def test_sizes_that_do_not_fit_are_dropped(self):
        bag = DenseSIFT(bin_sizes=(2, 4)).extract(np.zeros((12, 12), np.uint8))
        np.testing.assert_array_equal(np.unique(bag.frames[:, 2]), [8])


class TestInput:
    def test_types_agree(self, image):
        extractor = DenseSIFT(step=6)
        expected = extractor.extract(image).descriptors
        for same in (image.astype(np.uint16) * 257, image / 255, (image / 255).astype(np.float32), image[..., None]):
            np.testing.assert_allclose(extractor.extract(same).descriptors, expected, atol=1e-5)

    def test_colour_is_described_by_its_luma(self, image):
        extractor = DenseSIFT(step=6)
        expected = extractor.extract(image).descriptors
        np.testing.assert_array_equal(extractor.extract(np.repeat(image[..., None], 3, axis=2)).descriptors, expected)
        colour = np.zeros((*image.shape, 3))
        colour[..., 1] = image / 255
        np.testing.assert_allclose(extractor.extract(colour).descriptors, expected, atol=1e-3)


@pytest.fixture
def photograph():
    small = data.astronaut()[100:190:2, 150:260:2]
    return np.ascontiguousarray(small)


class TestColour:
    """The descriptors of the channels are concatenated in all three colour spaces of VLFeat."""

    @pytest.mark.parametrize("color", ["rgb", "opponent", "hsv"])
    def test_a_channel_is_described_like_gray(self, photograph, color):
        bag = DenseSIFT(step=6, bin_sizes=(3, 4), color=color, contrast_threshold=0).extract(photograph)
        channels = self.channels(photograph / 255, color)
        assert bag.descriptors.shape == (len(bag.frames), 384)
        for c, channel in enumerate(channels):
            low, high = channel.min(), channel.max()
            gray = DenseSIFT(step=6, bin_sizes=(3, 4), contrast_threshold=0).extract((channel - low) / (high - low))
            np.testing.assert_array_equal(bag.frames, gray.frames)
            own = bag.descriptors[:, 128 * c : 128 * c + 128]
            # If a channel is nearly constant, rounding errors determine its descriptors.
            assert np.median(np.abs(own - gray.descriptors).max(axis=1)) < 1e-3, (color, c)

    def channels(self, image, color):
        red, green, blue = np.moveaxis(image, 2, 0)
        if color == "rgb":
            return red, green, blue
        if color == "hsv":
            return np.moveaxis(rgb2hsv(image), 2, 0)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        opponents = (red - green) / math.sqrt(2), (red + green - 2 * blue) / math.sqrt(6)
        return luma, *(opponent + 0.01 * luma for opponent in opponents)

    @pytest.mark.parametrize("color", ["rgb", "opponent", "hsv"])
    def test_the_threshold_applies_to_the_contrast_of_the_documented_channels(self, photograph, color):
        given = {"step": 3, "bin_sizes": 4, "magnif": None, "contrast_threshold": 0.04}
        kept = DenseSIFT(color=color, **given).extract(photograph).descriptors.any(axis=1)
        height, width = photograph.shape[:2]
        shares = {"rgb": (1 / 3, 1 / 3, 1 / 3), "opponent": (1, 0, 0), "hsv": (0, 0, 1)}[color]
        channels = [channel[:40, :40] for channel in self.channels(photograph / 255, color)]
        kept = kept.reshape((height - 13) // 3 + 1, (width - 13) // 3 + 1)[:9, :9]
        contrasts = naive.dense_sift(channels, 3, 4, 0, naive.bin_profiles(4, 1.5, "flat"), shares, 0)[1].reshape(10, 10)[
            :9, :9
        ]
        clear = np.abs(contrasts - 0.04) > 1e-4
        assert 0 < kept.sum() < kept.size
        np.testing.assert_array_equal(kept[clear], (contrasts >= 0.04)[clear])

    @pytest.mark.parametrize("color", ["rgb", "opponent", "hsv"])
    def test_gray_is_three_equal_channels(self, image, color):
        extractor = DenseSIFT(step=6, bin_sizes=4, color=color)
        three = extractor.extract(np.repeat(image[..., None], 3, axis=2)).descriptors
        np.testing.assert_array_equal(extractor.extract(image).descriptors, three)
        luma = DenseSIFT(step=6, bin_sizes=4).extract(image).descriptors
        described = {"rgb": (0, 1, 2), "opponent": (0, 1, 2), "hsv": (2,)}[color]
        for c in range(3):
            expected = luma if c in described else np.zeros_like(luma)
            np.testing.assert_allclose(three[:, 128 * c : 128 * c + 128], expected, atol=2e-3)


class TestBytes:
    @pytest.mark.parametrize("window", ["flat", "gaussian"])
    def test_bytes_are_the_numbers_times_512(self, image, window):
        given = {"step": 3, "bin_sizes": (3, 5), "window": window, "contrast_threshold": 0.06}
        numbers = DenseSIFT(**given).extract(image)
        held = DenseSIFT(dtype="uint8", **given).extract(image)
        assert held.descriptors.dtype == np.uint8
        assert held.metric == "euclidean"
        np.testing.assert_array_equal(held.frames, numbers.frames)
        off = np.abs(held.descriptors - np.minimum(512 * numbers.descriptors, 255))
        assert off.max() < 0.501
        assert 0 < np.count_nonzero(~held.descriptors.any(axis=1)) < len(held.frames)

    def test_bytes_are_limited_to_255(self):
        stripe = np.zeros((20, 20), np.uint8)
        stripe[:, 13:] = 255
        assert DenseSIFT(bin_sizes=4, magnif=None, dtype="uint8").extract(stripe).descriptors.max() == 255

    def test_unreadable_images_have_the_same_type(self):
        extractor = DenseSIFT(dtype="uint8", color="rgb", on_error="empty")
        bag = extractor.transform([b"no image"])[0]
        assert bag.descriptors.shape == (0, 384)
        assert bag.descriptors.dtype == np.uint8


class TestParameters:
    @pytest.mark.parametrize("bin_sizes", [(), (4, 0), (4, 2.5), [[4, 6]]])
    def test_wrong_bin_sizes_are_an_error(self, image, bin_sizes):
        with pytest.raises(InputError, match="bin_sizes of DenseSIFT must be one or more positive integers"):
            DenseSIFT(bin_sizes=bin_sizes).extract(image)
