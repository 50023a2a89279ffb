"""SIFT, ORB, AKAZE and BRISK give the same numbers as OpenCV, and an empty Bag if OpenCV finds nothing or fails."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, camera

from featrec.descriptors import AKAZE, BRISK, ORB, SIFT, _binary_keypoints
from featrec.exceptions import MissingExtraError
from tests.contract.estimators import marks

CONTRIBUTED = cv2 if hasattr(cv2, "AKAZE_create") else getattr(cv2, "xfeatures2d", None)
# Options of featrec and of OpenCV.
OPTIONS = {
    SIFT: [
        ({}, {}),
        ({"n_features": 40}, {"nfeatures": 40}),
        ({"n_octave_layers": 5, "sigma": 1.2}, {"nOctaveLayers": 5, "sigma": 1.2}),
        ({"contrast_threshold": 0.01, "edge_threshold": 5.0}, {"contrastThreshold": 0.01, "edgeThreshold": 5.0}),
    ],
    ORB: [
        ({}, {}),
        ({"n_features": 60, "scale_factor": 1.5}, {"nfeatures": 60, "scaleFactor": 1.5}),
        ({"n_levels": 3, "fast_threshold": 8}, {"nlevels": 3, "fastThreshold": 8}),
        ({"edge_threshold": 15, "patch_size": 15, "first_level": 2}, {"edgeThreshold": 15, "patchSize": 15, "firstLevel": 2}),
        ({"score_type": "fast", "n_features": 100}, {"scoreType": cv2.ORB_FAST_SCORE, "nfeatures": 100}),
    ],
    AKAZE: [
        ({}, {}),
        ({"threshold": 0.0003, "n_octaves": 2}, {"threshold": 0.0003, "nOctaves": 2}),
        ({"n_octave_layers": 2, "diffusivity": "weickert"}, {"nOctaveLayers": 2, "diffusivity": "KAZE_DIFF_WEICKERT"}),
        ({"diffusivity": "charbonnier"}, {"diffusivity": "KAZE_DIFF_CHARBONNIER"}),
        ({"diffusivity": "pm_g1", "max_points": 40}, {"diffusivity": "KAZE_DIFF_PM_G1", "max_points": 40}),
        ({"descriptor_type": "mldb_upright"}, {"descriptor_type": "AKAZE_DESCRIPTOR_MLDB_UPRIGHT"}),
    ],
    BRISK: [
        ({}, {}),
        ({"thresh": 50, "octaves": 1}, {"thresh": 50, "octaves": 1}),
        ({"octaves": 0}, {"octaves": 0}),
        ({"pattern_scale": 0.5}, {"patternScale": 0.5}),
    ],
}
WIDTHS = {SIFT: 128, ORB: 32, AKAZE: 61, BRISK: 64}
KINDS = [pytest.param(kind, id=kind.__name__, marks=marks(kind.__name__)) for kind in OPTIONS]
needs_contributed = pytest.mark.skipif(not hasattr(CONTRIBUTED, "AKAZE_create"), reason="this OpenCV has no AKAZE and BRISK")


def each(table):
    """Return a test case for each detector and each entry of its list."""
    return [
        pytest.param(kind, entry, id=f"{kind.__name__}-{entry}", marks=marks(kind.__name__))
        for kind, entries in table.items()
        for entry in entries
    ]


@pytest.fixture(scope="module")
def gray():
    return np.ascontiguousarray(camera()[100:260, 180:400])


def of_cv2(kind, image, **options):
    home = cv2 if kind in (SIFT, ORB) else CONTRIBUTED
    options = {name: getattr(home, value) if isinstance(value, str) else value for name, value in options.items()}
    keypoints, descriptors = getattr(home, f"{kind.__name__}_create")(**options).detectAndCompute(image, None)
    return descriptors, np.array([(*point.pt, point.size, point.angle) for point in keypoints], np.float32)


def assert_equal(bag, expected):
    np.testing.assert_array_equal(bag.descriptors, expected[0])
    np.testing.assert_array_equal(bag.frames, expected[1])


@pytest.mark.parametrize(("kind", "options"), each(OPTIONS))
def test_gray_images_equal_opencv(kind, options, gray):
    bag = kind(**options[0]).extract(gray)
    assert_equal(bag, of_cv2(kind, gray, **options[1]))
    assert len(bag.descriptors) > 30
    assert bag.descriptors.shape[1] == WIDTHS[kind]
    assert (bag.descriptors.dtype, bag.metric) == ((np.float32, "euclidean") if kind is SIFT else (np.uint8, "hamming"))
    assert bag.size == (160, 220)


@pytest.mark.parametrize("kind", KINDS)
def test_colour_images_equal_opencv(kind):
    colour = np.ascontiguousarray(astronaut()[50:200, 150:300])
    assert_equal(kind().extract(colour), of_cv2(kind, cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)))


@pytest.mark.parametrize("kind", KINDS)
def test_each_option_changes_the_result(kind, gray):
    found = {kind(**options).extract(gray).descriptors.tobytes() for options, _ in OPTIONS[kind]}
    assert len(found) == len(OPTIONS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_read_only_and_strided_images(kind, gray):
    view = gray[:, ::-1]
    view.flags.writeable = False
    assert_equal(kind().extract(view), of_cv2(kind, np.ascontiguousarray(view)))


FLAT = [(1, 1), (1, 90), (90, 1), (2, 2), (5, 5), (30, 30), (58, 200), (200, 58, 3), (100, 80), (100, 80, 3)]


@pytest.mark.parametrize("shape", FLAT, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_flat_or_tiny_image_gives_an_empty_bag(kind, shape):
    bag = kind().extract(np.full(shape, 90, np.uint8))
    assert bag.descriptors.shape == (0, WIDTHS[kind])
    assert bag.descriptors.dtype == (np.float32 if kind is SIFT else np.uint8)
    assert bag.frames.shape == (0, 4)
    assert (bag.size, bag.metric) == (shape[:2], "euclidean" if kind is SIFT else "hamming")


@pytest.mark.parametrize("kind", KINDS)
def test_names(kind):
    name = kind.__name__.lower()
    assert list(kind().get_feature_names_out()[[0, -1]]) == [f"{name}0", f"{name}{WIDTHS[kind] - 1}"]


def test_orb_skips_levels_without_a_pixel(rng):
    noise = rng.integers(0, 256, (20, 24), dtype=np.uint8)
    with pytest.raises(cv2.error, match="inv_scale_x > 0"):
        of_cv2(ORB, noise, nlevels=12, scaleFactor=2.0, edgeThreshold=2, patchSize=4)
    bag = ORB(n_levels=12, scale_factor=2.0, edge_threshold=2, patch_size=4).extract(noise)
    # The width of the sixth level, 20 / 2**5 pixels, is rounded to 1; the width of the seventh is rounded to 0.
    assert_equal(bag, of_cv2(ORB, noise, nlevels=6, scaleFactor=2.0, edgeThreshold=2, patchSize=4))
    assert len(bag.descriptors) > 0


@needs_contributed
@pytest.mark.parametrize("options", [{}, {"n_octave_layers": 12, "threshold": 0.0}, {"descriptor_type": "mldb_upright"}])
def test_akaze_skips_only_images_without_keypoints(rng, options):
    """At 58 pixels, OpenCV still runs but finds nothing; at 59 pixels, it finds keypoints."""
    given = {"nOctaveLayers": options.get("n_octave_layers", 4), "threshold": options.get("threshold", 0.001)}
    for side, found in ((58, False), (59, True)):
        blobs = np.kron(rng.integers(0, 256, (side // 4 + 1, 150)), np.ones((4, 4)))[:side].astype(np.uint8)
        keypoints, _ = CONTRIBUTED.AKAZE_create(**given).detectAndCompute(np.ascontiguousarray(blobs), None)
        assert (len(keypoints) > 0) == found
        assert (len(AKAZE(**options).extract(blobs).descriptors) > 0) == found


@needs_contributed
@pytest.mark.parametrize(("side", "octaves"), [(5, 2), (6, 3), (47, 5), (48, 6)])
def test_brisk_skips_octaves_without_a_pixel(side, octaves, rng):
    noise = np.kron(rng.integers(0, 256, (side // 3 + 1, 60)), np.ones((3, 3)))[:side].astype(np.uint8)
    with pytest.raises(cv2.error, match="inv_scale_x > 0"):
        of_cv2(BRISK, noise, thresh=10, octaves=octaves + 1, patternScale=0.2)
    descriptors, frames = of_cv2(BRISK, noise, thresh=10, octaves=octaves, patternScale=0.2)
    bag = BRISK(thresh=10, octaves=10**9, pattern_scale=0.2).extract(noise)
    assert len(bag.descriptors) == len(frames)
    if side > 10:
        np.testing.assert_array_equal(bag.descriptors, descriptors)


@needs_contributed
def test_a_stored_brisk_detector_gives_the_same_as_a_new_one(gray):
    """Each thread stores its last detector; results do not depend on previous settings, images or other threads."""
    expected = {thresh: of_cv2(BRISK, gray, thresh=thresh) for thresh in (30, 60)}
    for thresh in (30, 60, 60, 30):
        assert_equal(BRISK(thresh=thresh).extract(gray), expected[thresh])
        BRISK(thresh=thresh).extract(gray[::-1, :100])
    with ThreadPoolExecutor(3) as pool:
        bags = list(pool.map(lambda i: BRISK(thresh=30 + 30 * (i % 2)).extract(gray), range(8)))
    for i, bag in enumerate(bags):
        assert_equal(bag, expected[30 + 30 * (i % 2)])


@needs_contributed
def test_each_thread_has_its_own_brisk_detector():
    barrier = Barrier(2)

    def detector(_):
        barrier.wait()
        return BRISK()._detector(100)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(detector, range(2))
    assert first is not second


@pytest.mark.parametrize("kind", [AKAZE, BRISK])
def test_an_opencv_without_the_detector_is_an_error_before_any_image(kind, monkeypatch):
    monkeypatch.setattr(_binary_keypoints, "cv2", type("cv2", (), {"__version__": "5.0.0", "xfeatures2d": None}))
    match = rf"{kind.__name__} is not in the installed OpenCV 5\.0\.0.*opencv-contrib-python"
    with pytest.raises(MissingExtraError, match=match):
        kind().fit([np.zeros((9, 9))])


@pytest.mark.parametrize("place", ["cv2", "cv2.xfeatures2d"])
def test_detectors_are_found_in_both_modules_of_opencv(place, monkeypatch):
    made = type("home", (), {"AKAZE_create": None})
    both = {"cv2": {"AKAZE_create": None}, "cv2.xfeatures2d": {"xfeatures2d": made}}[place]
    monkeypatch.setattr(_binary_keypoints, "cv2", type("cv2", (), both))
    assert _binary_keypoints.home_of("AKAZE") is (_binary_keypoints.cv2 if place == "cv2" else made)
