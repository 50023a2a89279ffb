"""Patches agree with the naive implementation, scikit-learn and the formula; ``mirror="auto"`` mirrors only if harmless."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.image import extract_patches_2d

from featrec.compiled._pixels import cut_patches
from featrec.datasets import load_dataset
from featrec.descriptors import DescriptorCache, Patches
from featrec.encoders import SpatialPyramid, TriangleCode
from featrec.exceptions import ImageError, InputError, MissingImageError
from featrec.persistence import load, save
from tests.naive import patches as naive


def make_image(shape=(11, 14, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def by_formula(image, size, contrast):
    """Compute the formula for patches that are cut by scikit-learn."""
    patches = extract_patches_2d(image.astype(float), (size, size))
    patches = patches.reshape(len(patches), -1)
    deviations = patches - patches.mean(axis=1, keepdims=True)
    return deviations / np.sqrt(patches.var(axis=1, ddof=1, keepdims=True) + contrast)


@pytest.mark.parametrize("size, stride", [(1, 1), (3, 1), (4, 2), (3, 5), (9, 1), (2, 2)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("contrast", [-1.0, 0.0, 10.0])
def test_patches_equal_the_naive_twin(size, stride, channels, contrast):
    images = make_image((2, 9, 12 * channels))
    images[1, :, : 6 * channels] = 77  # partly of one colour
    n = 2 * ((9 - size) // stride + 1) * ((12 - size) // stride + 1)
    found, expected = (np.full((n, size * size * channels), np.nan, np.float32) for _ in range(2))
    cut_patches(images, size, channels, stride, 0.5, contrast, found)
    naive.cut_patches(images, size, channels, stride, 0.5, contrast, expected)
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize("shape", [(32, 32, 3), (11, 30)])
@pytest.mark.parametrize("contrast", [0.0, 10.0, 100.0])
def test_descriptors_follow_the_formula(shape, contrast):
    image = make_image(shape)
    bag = Patches(6, contrast=contrast).fit([image]).extract(image)
    np.testing.assert_allclose(bag.descriptors, by_formula(image, 6, contrast), atol=1e-5)


def test_without_contrast_pixels_are_unchanged():
    image = make_image((9, 10))
    bag = Patches(4, contrast=None, color="gray").extract(image)
    np.testing.assert_array_equal(bag.descriptors, extract_patches_2d(image, (4, 4)).reshape(-1, 16))


@pytest.mark.parametrize("contrast", [None, 0.0, 10.0])
@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_all_data_types_give_the_same_patches(contrast, color):
    image = make_image((12, 12)) if color == "gray" else make_image()
    image[:7, :7] = 200
    patches = Patches(5, contrast=contrast, color=color)
    expected = patches.extract(image).descriptors
    for same in (image.astype(np.uint16) * 257, image / 255, (image / 255).astype(np.float32)):
        np.testing.assert_allclose(patches.extract(same).descriptors, expected, rtol=2e-6, atol=2e-6)


def test_a_boolean_image_is_black_and_white():
    bits = make_image((8, 8)) > 99
    patches = Patches(3, color="gray")
    np.testing.assert_array_equal(patches.extract(bits).descriptors, patches.extract(bits * np.uint8(255)).descriptors)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("contrast", [0.0, 10.0])
def test_flat_patches_are_zero(dtype, contrast):
    image = np.zeros((20, 20), dtype)
    image[0, 0] = np.finfo(dtype).max > 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image[10:] += np.float32(0.3) if np.dtype(dtype).kind == "f" else dtype(50)
    descriptors = Patches(4, contrast=contrast, color="gray").extract(image).descriptors.reshape(17, 17, 16)
    assert not descriptors[10:].any()
    assert not descriptors[1:6].any()
    assert descriptors[0, 0].any()
    assert np.isfinite(descriptors).all()


def test_sums_stay_exact_in_the_largest_patch():
    image = np.full((121, 120, 3), 65535, np.uint16)
    image[::2] = 0
    descriptors = Patches(120, color="rgb").extract(image).descriptors
    np.testing.assert_allclose(np.abs(descriptors), 1, rtol=2e-3)
    np.testing.assert_allclose(descriptors[0], -descriptors[1])


def test_mirrored_patches_follow_those_of_the_image():
    image = make_image()
    plain = Patches(4, stride=3, color="rgb")
    both = Patches(4, stride=3, color="rgb", mirror=True).extract(image)
    parts = [plain.extract(image), plain.extract(np.ascontiguousarray(image[:, ::-1]))]
    np.testing.assert_array_equal(both.descriptors, np.concatenate([part.descriptors for part in parts]))
    np.testing.assert_array_equal(both.frames, np.concatenate([part.frames for part in parts]))
    np.testing.assert_array_equal(both.mirrored, np.repeat([False, True], len(parts[0].frames)))
    assert parts[0].mirrored is None


def test_mirrored_patches_are_found_in_the_image():
    image = make_image((20, 23, 3))
    bag = Patches(4, stride=3, contrast=None, color="rgb", mirror=True).extract(image)
    for descriptor, frame, mirrored in zip(bag.descriptors, bag._frames_in_image(), bag.mirrored, strict=True):
        left, top = (frame[:2] - 1.5).astype(int)
        patch = image[top : top + 4, left : left + 4]
        np.testing.assert_array_equal(descriptor.reshape(4, 4, 3), patch[:, ::-1] if mirrored else patch)


def test_codes_do_not_depend_on_the_mark():
    bags = [Patches(4, stride=3, color="gray", mirror=True).extract(make_image((20, 23), seed)) for seed in range(4)]
    unmarked = [replace(bag, mirrored=None) for bag in bags]
    encoder = SpatialPyramid(TriangleCode(5, random_state=0), levels=((1, 1), (2, 2)))
    np.testing.assert_array_equal(clone(encoder).fit_transform(bags), clone(encoder).fit_transform(unmarked))


def test_frames_are_centres_row_by_row():
    bag = Patches(4, stride=3, color="gray").extract(make_image((8, 11)))
    expected = [[x + 1.5, y + 1.5, 4, -1] for y in (0, 3) for x in (0, 3, 6)]
    np.testing.assert_array_equal(bag.frames, expected)
    assert bag.size == (8, 11)
    assert not bag.frames.flags.writeable


@pytest.mark.parametrize("mirror", [False, True])
def test_an_image_smaller_than_a_patch_gives_an_empty_bag(mirror):
    bag = Patches(6, color="rgb", mirror=mirror).extract(make_image((5, 40, 3)))
    assert bag.descriptors.shape == (0, 108)
    assert bag.frames.shape == (0, 4)
    assert bag.size == (5, 40)


def test_the_first_images_decide_about_colour():
    gray, color = make_image((8, 8)), make_image((8, 8, 3))
    assert Patches().fit([gray, color]).color_ == "rgb"
    assert Patches().fit([gray] * 32 + [color]).color_ == "gray"
    assert Patches().fit([color, gray]).color_ == "rgb"
    assert Patches(color="gray").fit([color]).color_ == "gray"
    assert Patches().fit([np.repeat(gray[..., None], 3, axis=2)]).color_ == "gray"
    assert Patches(3).fit([color]).extract(gray).descriptors.shape[1] == 27
    three = np.repeat(gray[..., None], 3, axis=2)
    patches = Patches(3, color="rgb")
    np.testing.assert_array_equal(patches.extract(gray).descriptors, patches.extract(three).descriptors)


def test_automatic_colour_must_be_fitted():
    for ask in (lambda p: p.transform([make_image()]), lambda p: p.extract(make_image()), lambda p: p.get_feature_names_out()):
        with pytest.raises(NotFittedError, match="decides in fit whether images have colour"):
            ask(Patches())
    assert len(Patches(3, color="rgb").get_feature_names_out()) == 27


def test_unreadable_images_do_not_decide_about_colour():
    batch = ["nowhere.png", make_image((8, 8))]
    with pytest.raises(MissingImageError, match="nowhere"):
        Patches().fit(batch)
    patches = Patches(on_error="empty").fit(batch)
    assert patches.color_ == "gray"
    assert [len(bag.descriptors) for bag in patches.transform(batch)] == [0, 9]
    with pytest.raises(InputError, match="none of the 1 images can be used"):
        Patches(on_error="empty").fit(batch[:1])
    with pytest.raises(InputError, match="needs at least one image"):
        Patches().fit([])


def test_automatic_and_explicit_colour_share_cache_entries(tmp_path):
    image, cache = make_image((8, 8, 3)), DescriptorCache(tmp_path / "cache")
    first = Patches(cache=cache).fit([image]).transform([image])[0]
    second = Patches(color="rgb", cache=cache).transform([image])[0]
    np.testing.assert_array_equal(first.descriptors, second.descriptors)
    assert (cache.info().misses, cache.info().hits) == (1, 1)


def arrows(n=120, seed=0):
    """Return ramps that rise to the left or to the right; mirror images have the other class."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    ramp = np.tile(np.linspace(0, 1, 16), (16, 1))
    images = np.clip(np.where(labels[:, None, None], ramp, ramp[:, ::-1]) + random.normal(0, 0.2, (n, 16, 16)), 0, 1)
    return images, np.where(labels, "right", "left")


@pytest.mark.parametrize(("name", "value"), [("images._convert.MOST", 60), ("descriptors._patches.LEAST", 0.0)])
def test_classes_that_are_mirror_images_of_each_other_are_not_mirrored(monkeypatch, name, value):
    """By a sample of thumbnails, and by the neighbours that change alone."""
    monkeypatch.setattr(f"featrec.{name}", value)
    images, labels = arrows()
    assert Patches(mirror="auto").fit(images, labels).mirror_ is False


def test_digits_are_not_mirrored_and_shapes_are():
    digits, _ = load_dataset("digits")
    for some in (digits, digits[:400], digits[:100]):
        assert Patches(4, mirror="auto").fit(some, some.labels).mirror_ is False
    shapes, _ = load_dataset("shapes", n_train=200, n_test=4, random_state=0)
    assert Patches(mirror="auto").fit(shapes, shapes.labels).mirror_ is True


def test_without_labels_mirror_images_are_used():
    images, _ = arrows(8)
    assert Patches(mirror="auto").fit(images).mirror_ is True


def test_automatic_mirroring_must_be_fitted_and_is_saved(tmp_path):
    images, labels = arrows(20)
    with pytest.raises(NotFittedError, match="decides in fit whether mirror images help"):
        Patches(color="gray", mirror="auto").transform(images)
    model = Patches(color="gray", mirror="auto").fit(images, labels)
    np.testing.assert_array_equal(
        model.transform(images)[0].descriptors, Patches(color="gray").transform(images)[0].descriptors
    )
    save(model, tmp_path / "patches.featrec")
    again = load(tmp_path / "patches.featrec")
    assert again.mirror_ is False
    assert len(again.transform(images)[0].descriptors) == len(model.transform(images)[0].descriptors)


def test_unreadable_images_do_not_decide_about_mirroring(tmp_path):
    images, labels = arrows(30)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    mixed = [*images, broken]
    found = Patches(mirror="auto", on_error="empty").fit(mixed, [*labels, "left"])
    assert found.mirror_ is False
    with pytest.raises(ImageError, match=r"broken\.png"):
        Patches(mirror="auto", color="auto").fit([broken, *images], ["left", *labels])
