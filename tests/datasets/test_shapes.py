"""The generated dataset "shapes": effects of its options."""

import cv2
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from featrec import recipes
from featrec.datasets import load_dataset
from featrec.datasets._shapes import MARKS, OUTLINES
from featrec.exceptions import InputError

CALM = dict.fromkeys(("texture", "rotation", "scale", "light", "clutter", "noise", "color"), 0.0)

KINDS = list(OUTLINES)


def shapes(n: int = 16, **options) -> np.ndarray:
    return np.asarray(load_dataset("shapes", n_train=n, n_test=1, **options).train)


def test_classes_alternate():
    train, _ = load_dataset("shapes", n_train=19, n_test=1)
    assert train.labels.tolist() == np.resize(train.classes, 19).tolist()
    assert len(train.classes) == 8


def test_an_image_does_not_depend_on_the_number_of_images():
    assert np.array_equal(shapes(5), shapes(16)[:5])


def test_training_and_test_images_differ():
    train, test = load_dataset("shapes", n_train=8, n_test=8)
    assert not any(np.array_equal(first, second) for first, second in zip(train, test, strict=True))


def test_a_larger_image_shows_the_same_scene():
    options = CALM | {"scale": 1.0, "rotation": 1.0, "light": 1.0}
    small, large = (shapes(size=size, **options).astype(float) for size in (48, 96))
    shrunk = large.reshape(16, 48, 2, 48, 2, 3).mean(axis=(2, 4))
    assert np.abs(shrunk - small).mean() < 1.5


def test_without_nuisances_an_image_has_few_tones():
    for image in shapes(**CALM):
        tones, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
        assert len(tones) > 1
        assert np.sort(counts)[-2:].sum() > 0.7 * counts.sum()


def test_without_nuisances_all_objects_of_a_class_cover_the_same_pixels():
    images = shapes(16, **CALM).astype(float)
    contrast = np.abs(images - images[:, :1, :1]).sum(axis=3)
    covered = contrast > contrast.max(axis=(1, 2), keepdims=True) / 2
    for kind in range(8):
        same, others = covered[kind] != covered[kind + 8 :: 8], covered[kind] != np.delete(covered, [kind, kind + 8], axis=0)
        assert same.mean() < 0.01 or KINDS[kind] in MARKS
        assert others.mean(axis=(1, 2)).min() > 0.05


def test_the_mask_is_the_drawn_object():
    train, _ = load_dataset("shapes", n_train=32, n_test=1, **CALM | {"scale": 1.0, "rotation": 1.0})
    for image, mask, label in zip(train, train.masks, train.labels, strict=True):
        differs = (image != image[0, 0]).any(axis=2)
        assert differs[mask].all()
        assert differs.mean() < 1.2 * mask.mean() + 0.01  # what differs outside the mask are pixels of the contour
        if label not in MARKS:
            surface, ground = np.median(image[mask], axis=0), image[0, 0].astype(float)
            to_surface, to_ground = (np.linalg.norm(image - tone, axis=2) for tone in (surface, ground))
            assert ((to_surface < to_ground) != mask).mean() < 0.002  # clipped colours shift a few pixels


def test_the_mask_excludes_what_hides_the_object():
    train, _ = load_dataset("shapes", n_train=40, n_test=1, **CALM | {"scale": 1.0, "clutter": 1.0})
    for image, mask, label in zip(train, train.masks, train.labels, strict=True):
        if label in MARKS:
            continue
        tones, counts = np.unique(image[mask], axis=0, return_counts=True)
        surface = (image == tones[counts.argmax()]).all(axis=2)  # without noise, light and texture, objects have one colour
        assert not (surface & ~mask).any()
        inside = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) == 1
        assert surface[inside].all()


@pytest.mark.parametrize("options", [{}, dict.fromkeys(CALM, 1.0), {"size": 33}], ids=["default", "hardest", "small"])
def test_masks_cover_a_part_of_each_image(options):
    for half in load_dataset("shapes", n_train=80, n_test=40, **options):
        masks = np.asarray(half.masks)
        assert masks.shape == np.asarray(half).shape[:3]
        share = masks.mean(axis=(1, 2))
        assert 0.01 < share.min() <= share.max() < 0.6


def test_other_datasets_have_no_masks():
    assert load_dataset("digits").train.masks is None


@pytest.mark.parametrize("name", [name for name in CALM if name != "color"])
def test_larger_strengths_have_larger_effects(name):
    calm = shapes(**CALM).astype(float)
    weak, strong = (np.abs(shapes(**CALM | {name: value}) - calm).mean() for value in (0.2, 1.0))
    assert 0 < weak < strong


def test_noise_has_the_documented_standard_deviation():
    difference = shapes(**CALM | {"noise": 0.2}).astype(float) - shapes(**CALM)
    assert np.median(np.abs(difference)) / 0.6745 == pytest.approx(0.2 * 0.25 * 255, rel=0.1)


def test_light_leaves_at_least_a_fifth():
    lit, calm = shapes(64, **CALM | {"light": 1.0}), shapes(64, **CALM)
    bright = calm > 100
    assert 0.19 < (lit[bright] / calm[bright]).min() < 0.3
    assert (lit[bright] / calm[bright]).max() <= 1


def middle_hue(images: np.ndarray) -> np.ndarray:
    """Return the chroma of the middle of an image, where the object is."""
    middle = images[:, 48, 48].astype(float)
    return middle - middle.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("color, least, most", [(0.0, 0.0, 0.5), (1.0, 0.9, 1.0)])
def test_color_sets_how_far_the_hue_depends_on_the_class(color, least, most):
    train, test = load_dataset("shapes", n_train=160, n_test=80, **CALM | {"color": color})
    solid = [np.isin(half.labels, ["arrow", "cross", "heart", "star"]) for half in (train, test)]
    features = [middle_hue(np.asarray(half[rows])) for half, rows in zip((train, test), solid, strict=True)]
    model = RandomForestClassifier(50, random_state=0).fit(features[0], train.labels[solid[0]])
    assert least <= model.score(features[1], test.labels[solid[1]]) <= most


@pytest.mark.parametrize(
    "options, message",
    [
        ({"noise": 1.5}, r"noise of the dataset 'shapes' must be a number from 0 \(none\) to 1; got 1.5"),
        ({"clutter": "much"}, "clutter .* must be a number .*got 'much'"),
        ({"light": float("nan")}, "light .* must be a number .*got nan"),
        ({"size": 8}, "size of the dataset 'shapes' must be an integer of at least 16; got 8"),
        ({"n_test": 2.0}, "n_test .* must be an integer of at least 1; got 2.0"),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        load_dataset("shapes", **options)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_dataset_is_neither_too_easy_nor_too_hard(seed):
    train, test = load_dataset("shapes", random_state=seed)
    models = [recipes.make(name) for name in ("tiny_knn", "color_forest", "hog_svm", "bovw_svm")]
    scores = [model.fit(train, train.labels).score(test, test.labels) for model in models]
    assert 0.85 <= max(scores) <= 0.97
    assert max(scores) - min(scores) >= 0.1
    assert min(scores) > 1 / 8
