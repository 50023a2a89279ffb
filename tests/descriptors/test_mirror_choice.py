"""Patches(mirror="auto"): mirror images where they do no harm."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from featrec.datasets import load_dataset
from featrec.descriptors import Patches, _patches
from featrec.exceptions import ImageError
from featrec.images import _thumbnails, check_images
from featrec.images._thumbnails import _small
from featrec.persistence import load, save


def arrows(n=120, seed=0):
    """Wedges that point left or right: told apart, until a mirror image may stand for the image."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    ramp = np.tile(np.linspace(0, 1, 16), (16, 1))
    images = np.clip(np.where(labels[:, None, None], ramp, ramp[:, ::-1]) + random.normal(0, 0.2, (n, 16, 16)), 0, 1)
    return images, np.where(labels, "right", "left")


def test_classes_that_are_mirror_images_of_each_other_are_kept_apart():
    images, labels = arrows()
    assert Patches(mirror="auto").fit(images, labels).mirror_ is False


def test_digits_are_not_mirrored_and_shapes_are():
    digits, _ = load_dataset("digits")
    assert Patches(4, mirror="auto").fit(digits, digits.labels).mirror_ is False
    shapes, _ = load_dataset("shapes", n_train=200, n_test=4, random_state=0)
    assert Patches(mirror="auto").fit(shapes, shapes.labels).mirror_ is True


def test_the_rule_counts_what_the_mirror_image_changes(monkeypatch):
    images, labels = arrows(40)
    few = np.array([_small(image, 8).ravel() for image in images])
    turned = np.array([_small(image[:, ::-1], 8).ravel() for image in images])
    lost = won = 0
    for i in range(40):
        others = [j for j in range(40) if j != i]
        plain = max(others, key=lambda j: few[i] @ few[j])
        either = max(others, key=lambda j: max(few[i] @ few[j], turned[i] @ few[j]))
        lost += labels[plain] == labels[i] != labels[either]
        won += labels[either] == labels[i] != labels[plain]
    assert lost - won > np.sqrt(lost + won)
    monkeypatch.setattr(_patches, "LEAST", 0.0)
    assert not _patches.mirror_is_harmless(check_images(images), labels)


def test_without_labels_mirror_images_are_taken():
    images, _ = arrows(8)
    assert Patches(mirror="auto").fit(images).mirror_ is True


def test_it_must_be_fitted_and_gives_the_bags_of_what_it_found(tmp_path):
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


def test_images_that_cannot_be_read_take_no_part(tmp_path):
    images, labels = arrows(30)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    mixed = [*images, broken]
    found = Patches(mirror="auto", on_error="empty").fit(mixed, [*labels, "left"])
    assert found.mirror_ is False
    with pytest.raises(ImageError, match=r"broken\.png"):
        Patches(mirror="auto", color="auto").fit([broken, *images], ["left", *labels])


def test_a_sample_has_each_class_by_its_share(monkeypatch):
    monkeypatch.setattr(_thumbnails, "MOST", 30)
    labels = np.repeat(["a", "b"], [90, 30])
    rows = _thumbnails._spread(labels)
    assert len(rows) == 30
    assert abs((labels[rows] == "b").mean() - 0.25) < 0.05
    assert (np.diff(rows) > 0).all()


def test_few_digits_are_enough_to_see_that_they_are_not_mirrored():
    digits, _ = load_dataset("digits")
    for n in (100, 400):
        assert Patches(4, mirror="auto").fit(digits[:n], digits[:n].labels).mirror_ is False
