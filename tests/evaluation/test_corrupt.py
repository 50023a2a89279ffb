"""corrupt against plain twins, SciPy, scikit-image and Pillow; the published code is compared in tests/benchmarks."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.color import hsv2rgb, rgb2hsv
from skimage.util import random_noise

from featrec.datasets import load_dataset
from featrec.evaluation import corrupt, corruption_names
from featrec.evaluation._common_corruptions import ELASTIC, disk, scaled_quality
from featrec.evaluation._corrupt import CORRUPTIONS
from featrec.exceptions import InputError, UnsupportedImageError
from featrec.images import check_images
from tests.naive import corruptions as naive

SCALE = 32 / 224


def changed(kind, image, severity, seed=0):
    """The result of one function before the fractions are cut off; a gray image gets and loses its channel."""
    channels = image.reshape(*image.shape[:2], -1)
    found = CORRUPTIONS[kind](channels, severity, np.random.default_rng(seed))
    return np.asarray(found, float).reshape(image.shape)


@pytest.fixture
def image(rng):
    """A smooth colour image of 32 × 36 pixels."""
    noise = ndimage.gaussian_filter(rng.normal(size=(32, 36, 3)), (2, 2, 0))
    return np.uint8(np.clip(128 + 300 * noise, 0, 255))


@pytest.fixture
def large(rng):
    noise = ndimage.gaussian_filter(rng.normal(size=(224, 224, 3)), (4, 4, 0))
    return np.uint8(np.clip(128 + 900 * noise, 0, 255))


def test_names():
    assert len(corruption_names()) == 19
    assert corruption_names()[14:] == ["jpeg_compression", "rotation", "scale", "occlusion", "color_shift"]


@pytest.mark.parametrize("kind", corruption_names())
def test_every_size_shape_and_type(kind, rng):
    images = [
        rng.integers(0, 256, (28, 28), dtype=np.uint8),
        rng.integers(0, 256, (41, 28, 3), dtype=np.uint8),
        rng.random((30, 57, 3)),
        np.zeros((33, 33), np.uint8),
        np.full((28, 30, 3), 65535, np.uint16),
    ]
    for severity in (1, 3, 5):
        for before, after in zip(images, corrupt(images, kind, severity, random_state=0), strict=True):
            assert after.shape == before.shape
            assert after.dtype == np.uint8


UNEVEN = ("glass_blur", "frost", "elastic_transform")  # their published constants do not increase in all respects


@pytest.mark.parametrize("kind", [kind for kind in corruption_names() if kind not in UNEVEN])
def test_severity_increases_the_change(kind, large):
    found = [corrupt([large], kind, severity, random_state=1)[0] for severity in range(1, 6)]
    most = [np.abs(image - large.astype(float)).mean() for image in found]
    assert (np.diff(most) > -0.5).all()
    assert most[4] > most[0] * 1.2


@pytest.mark.parametrize("kind", ["gaussian_noise", "glass_blur", "snow", "elastic_transform", "occlusion"])
def test_the_random_numbers_belong_to_the_image_and_its_position(kind, rng):
    images = np.repeat(rng.integers(0, 256, (1, 28, 28, 3), dtype=np.uint8), 12, axis=0)
    whole = corrupt(images, kind, random_state=3)
    kept = whole.held()
    assert any((kept[0] != other).any() for other in kept[1:])
    for found in (whole.compute(n_jobs=2), whole[5:], whole[[11, 5]], pickle.loads(pickle.dumps(whole[5:8]))):
        position = {12: 5, 7: 0, 2: 1, 3: 0}[len(found)]
        np.testing.assert_array_equal(found[position], kept[5])
    np.testing.assert_array_equal(corrupt(images, kind, random_state=np.random.RandomState(3))[5], kept[5])
    assert (corrupt(images, kind, random_state=4)[5] != kept[5]).any()


def test_a_generator_is_a_random_state(image):
    found = [corrupt([image], "gaussian_noise", random_state=np.random.default_rng(7))[0] for _ in range(2)]
    np.testing.assert_array_equal(*found)


def test_gaussian_noise(image):
    noise = np.random.default_rng(0).standard_normal(image.shape)
    expected = np.clip(image + 255 * 0.18 * np.sqrt(SCALE) * noise, 0, 255)
    np.testing.assert_allclose(changed("gaussian_noise", image, 3), expected, atol=1e-9)


def test_shot_noise(image):
    photons = 12 / SCALE
    expected = np.minimum(np.random.default_rng(0).poisson(image * photons / 255) * 255 / photons, 255)
    np.testing.assert_allclose(changed("shot_noise", image, 3), expected, atol=1e-9)


def test_impulse_noise(image):
    amount = 0.17 * np.sqrt(SCALE)
    expected = 255 * random_noise(image / 255, "s&p", rng=np.random.default_rng(0), amount=amount)
    np.testing.assert_allclose(changed("impulse_noise", image, 4), expected, atol=1e-9)


@pytest.mark.parametrize("radius, deviation, scale, n_parts", [(3, 0.1, 1.0, 1), (10, 0.1, SCALE, 7), (8, 0.1, 0.5, 3)])
def test_the_kernel_of_a_lens(radius, deviation, scale, n_parts):
    kernel = disk(radius, deviation, scale)
    np.testing.assert_allclose(kernel, naive.disk_kernel(radius * scale, n_parts), atol=1e-6)


def test_defocus_blur(image):
    for severity, (radius, deviation) in {2: (4, 0.5), 5: (10, 0.5)}.items():
        kernel = disk(radius, deviation, SCALE)
        expected = [ndimage.correlate(image[..., c].astype(float), kernel, mode="mirror") for c in range(3)]
        np.testing.assert_allclose(changed("defocus_blur", image, severity), np.stack(expected, axis=-1), atol=1e-4)


def test_glass_blur(rng):
    image = rng.integers(0, 256, (64, 70, 3), dtype=np.uint8)
    sigma, shift, rounds = 1.5 * 64 / 224, 1, 2
    first = np.uint8(ndimage.gaussian_filter(image / 255, (sigma, sigma, 0), mode="nearest") * 255)
    moved = naive.shuffled(first, shift, rounds, np.random.default_rng(0))
    expected = ndimage.gaussian_filter(moved.astype(float), (sigma, sigma, 0), mode="nearest")
    np.testing.assert_allclose(changed("glass_blur", image, 5), expected, atol=1e-9)


def test_motion_blur(image):
    angle = np.random.default_rng(0).uniform(-45, 45)
    found = changed("motion_blur", image, 4)
    for channel in range(3):
        expected = naive.line_average(image[..., channel].astype(float), 15 * SCALE, 12 * SCALE, angle)
        assert (found[..., channel] == np.floor(expected + 0.5 / 257)).mean() > 0.999


def test_zoom_blur(image):
    total = image.astype(float)
    for factor in np.arange(1, 1.31, 0.03):
        rows, columns = (int(np.ceil(side / factor)) for side in image.shape[:2])
        top, left = (32 - rows) // 2, (36 - columns) // 2
        centre = image[top : top + rows, left : left + columns].astype(float)
        larger = ndimage.zoom(centre, (factor, factor, 1), order=1, mode="nearest")
        top, left = (larger.shape[0] - 32) // 2, (larger.shape[1] - 36) // 2
        total += larger[top : top + 32, left : left + 36]
    np.testing.assert_allclose(changed("zoom_blur", image, 5), total / 12, atol=1e-3)


def test_snow(large):
    random = np.random.default_rng(0)
    noise = random.normal(0.55, 0.3, (224, 224))
    flakes = ndimage.zoom(noise[(224 - 90) // 2 :, (224 - 90) // 2 :][:90, :90], 2.5, order=1)[:224, :224]
    flakes = np.floor(255 * np.clip(np.where(flakes < 0.85, 0, flakes), 0, 1))
    window, angle = slice(40, 60), random.uniform(-135, -45)  # a part, because the twin is slow
    part, turned = (naive.line_average(flakes[cut, cut], 12, 12, angle) for cut in (slice(10, 90), slice(134, 214)))
    streaks = sum(np.floor(found[30:50, 30:50] + 0.5 / 257)[..., None] / 255 for found in (part, turned[::-1, ::-1]))
    values = large[window, window] / 255
    gray = values @ [0.299, 0.587, 0.114]
    white = 0.55 * values + 0.45 * np.maximum(values, 1.5 * gray[..., None] + 0.5)
    np.testing.assert_allclose(changed("snow", large, 5)[window, window], 255 * np.clip(white + streaks, 0, 1), atol=1e-3)


def test_frost_is_a_texture_of_our_own():
    black, gray = np.zeros((64, 80, 3), np.uint8), np.full((64, 80, 3), 100, np.uint8)
    ice = changed("frost", black, 5) / 0.75
    assert 0 <= ice.min() < ice.max() <= 255
    assert ice.std() > 10
    np.testing.assert_allclose(changed("frost", gray, 5), np.clip(60 + 0.75 * ice, 0, 255), atol=1e-9)
    assert (ice.mean(axis=(0, 1))[[0, 2]] @ [-1, 1]) > 5, "ice is bluish"
    assert np.abs(changed("frost", black, 5, seed=1) / 0.75 - ice).mean() > 10


def test_fog(image):
    cloud = naive.plasma(64, 1.4, np.random.default_rng(0))[:32, :36, None]
    brightest = image.max() / 255
    expected = (image / 255 + 3 * cloud) * brightest / (brightest + 3) * 255
    np.testing.assert_allclose(changed("fog", image, 5), np.clip(expected, 0, 255), atol=1e-9)


def test_brightness(image):
    image[:3] = 0
    hsv = rgb2hsv(image / 255)
    hsv[..., 2] = np.clip(hsv[..., 2] + 0.3, 0, 1)
    np.testing.assert_allclose(changed("brightness", image, 3), 255 * hsv2rgb(hsv), atol=1e-9)


def test_contrast(image):
    for channel in range(3):
        mean = image[..., channel].mean()
        expected = mean + 0.2 * (image[..., channel] - mean)
        np.testing.assert_allclose(changed("contrast", image, 3)[..., channel], expected, atol=1e-9)


def test_elastic_transform():
    """Without the shear, which cv2 computes in steps of 1/32 pixel; the image is a plane, which a shear moves by a constant."""
    y, x = np.mgrid[:64, :64]
    image = np.uint8(60 + 2 * x + y // 8)
    random, scale = np.random.default_rng(0), 64 / 224
    strength, deviation, corner = (244 * value for value in ELASTIC[4])
    random.uniform(-corner * scale, corner * scale, (3, 2))
    dx, dy = (
        ndimage.gaussian_filter(random.uniform(-1, 1, (64, 64)), deviation * scale, truncate=3) * strength * scale**2
        for _ in range(2)
    )
    found = changed("elastic_transform", image, 5)
    inside = [(i, j) for i in range(16, 48, 5) for j in range(16, 48, 5)]
    expected = [naive.bilinear(image.astype(float), i + dy[i, j], j + dx[i, j]) for i, j in inside]
    off = np.array([found[place] for place in inside]) - expected
    slope = np.linalg.lstsq(np.column_stack([inside, np.ones(len(inside))]), off, rcond=None)
    assert np.abs(off - np.column_stack([inside, np.ones(len(inside))]) @ slope[0]).max() < 1
    assert np.std(expected - np.array([float(image[place]) for place in inside])) > 0.5


def test_pixelate(large):
    blocks = large.reshape(112, 2, 112, 2, 3).mean(axis=(1, 3))
    expected = np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)
    assert np.abs(changed("pixelate", large, 2) - expected).max() <= 1


@pytest.mark.parametrize("factor", [1.0, np.sqrt(SCALE), 1.5])
@pytest.mark.parametrize("quality", [25, 7])
def test_jpeg_compression(quality, factor, large):
    def steps(quality):
        buffer = io.BytesIO()
        Image.fromarray(large).save(buffer, "JPEG", quality=quality)
        return np.array(Image.open(buffer).quantization[0], float)

    found, expected = steps(scaled_quality(quality, factor)), factor * steps(50) * 50 / quality
    usable = (expected > 4) & (expected < 200)  # libjpeg rounds the steps and limits them to 255
    np.testing.assert_allclose(found[usable], expected[usable], rtol=0.15)
    if factor == 1:
        assert scaled_quality(quality, 1.0) == quality


def test_jpeg_at_the_published_size(large):
    buffer = io.BytesIO()
    Image.fromarray(large).save(buffer, "JPEG", quality=10)
    np.testing.assert_array_equal(corrupt([large], "jpeg_compression", 4)[0], np.asarray(Image.open(buffer)))


def test_rotation(large):
    sign = np.random.default_rng(0).choice([-1, 1])
    turn = np.deg2rad(30) * sign
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.full(2, 111.5)
    expected = ndimage.affine_transform(large[..., 0].astype(float), matrix, centre - matrix @ centre, order=1, mode="mirror")
    assert np.abs(changed("rotation", large, 4)[..., 0] - expected).mean() < 0.5


def test_scale(large):
    factors = set()
    for seed in range(6):
        found = changed("scale", large, 3, seed)[..., 0]
        off = {}
        for factor in (1.35, 1 / 1.35):
            offset = 111.5 * (1 - 1 / factor)
            expected = ndimage.affine_transform(large[..., 0].astype(float), np.eye(2) / factor, offset, order=1, mode="mirror")
            off[factor] = np.abs(found - expected).mean()
        factors.add(min(off, key=off.get))
        assert min(off.values()) < 0.5
    assert len(factors) == 2, "some images are enlarged and some reduced"


def test_occlusion():
    image = np.zeros((50, 100), np.uint8)
    for severity, share in enumerate((0.05, 0.1, 0.2, 0.3, 0.4), start=1):
        assert changed("occlusion", image, severity).mean() / 128 == pytest.approx(share, rel=0.05)


def test_color_shift(image):
    image = np.clip(image, 10, 130)
    gains = changed("color_shift", image, 3).mean(axis=(0, 1)) / image.mean(axis=(0, 1))
    assert np.abs(np.log(gains)).max() == pytest.approx(0.3)
    assert gains.prod() == pytest.approx(1)
    np.testing.assert_array_equal(changed("color_shift", image[..., 0], 3), image[..., 0])


def test_folders_and_preprocessed_images_are_corrupted():
    train, _ = load_dataset("shapes", n_train=6, n_test=6)
    found = corrupt(train, "fog", random_state=0)
    assert found[2].shape == check_images(train)[2].shape


@pytest.mark.parametrize(
    "kind, severity, message",
    [
        ("rain", 3, "there is no corruption 'rain'; the names are gaussian_noise, "),
        (["fog"], 3, r"there is no corruption \['fog'\]"),
        ("fog", 0, "severity must be an integer from 1 to 5; got 0"),
        ("fog", 2.5, "severity must be an integer from 1 to 5; got 2.5"),
        ("fog", True, "severity must be an integer from 1 to 5; got True"),
    ],
)
def test_wrong_arguments_are_refused(kind, severity, message):
    with pytest.raises(InputError, match=message):
        corrupt([np.zeros((30, 30), np.uint8)], kind, severity)


def test_a_wrong_random_state_is_refused(image):
    with pytest.raises(InputError, match="random_state must be an int, a RandomState, a Generator or None; got 'zero'"):
        corrupt([image], "fog", random_state="zero")


def test_a_small_image_is_named_with_the_way_out():
    images = [np.zeros((30, 30), np.uint8), np.zeros((30, 27), np.uint8)]
    with pytest.raises(UnsupportedImageError, match=r"image 1: corruptions need .* at least 28 × 28 .* 30 × 27.*Resize"):
        corrupt(images, "fog")[1]
