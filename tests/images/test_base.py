"""Features that subclasses inherit from the base classes, and the warning about dark images."""

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from featrec import Bag, Bags, Images
from featrec.base import positive_integer
from featrec.descriptors import HOG, DenseSIFT
from featrec.encoders import BagOfWords
from featrec.exceptions import DarkImageWarning, ImageError, InputError, MissingImageError
from featrec.images import LocalExtractor, Preprocessor
from featrec.preprocessing import Rescale, Resize
from tests.images.own_extractors import FACTOR, Means, MeansAtOnce


class Darker(Preprocessor):
    _parameter_constraints = {"by": [positive_integer(1)]}

    def __init__(self, by=2):
        self.by = by

    def _change(self, image):
        return image // self.by


class Corners(LocalExtractor):
    def _describe(self, image):
        return Bag(image[::8, :2].reshape(-1, 2), size=image.shape[:2])

    def _dimension(self):
        return 2


class Columns(Means):
    def _describe(self, image):
        return image.mean(axis=0)


@pytest.fixture
def images(rng):
    return [rng.integers(0, 256, (8 + position, 9), dtype=np.uint8) for position in range(70)]


def test_preprocessor(images):
    step = Darker(3)
    batch = step.fit_transform(images)
    assert isinstance(batch, Images)
    np.testing.assert_array_equal(batch[5], images[5] // 3)
    np.testing.assert_array_equal(step.apply(images[5]), images[5] // 3)
    assert repr(batch) == "Images(70 of ImageItems → Darker)"


def test_changed_parameters_do_not_affect_earlier_batches(images):
    step = Darker(3)
    batch = step.transform(images)
    step.set_params(by=100)
    np.testing.assert_array_equal(batch[5], images[5] // 3)


@pytest.mark.parametrize("step", [Darker(), Corners()])
@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_set_output_changes_nothing(images, step, container):
    step = clone(step).set_output(transform=container)
    assert isinstance(step.fit_transform(images), (Images, Bags))


def test_local_extractor(images):
    bags = Corners().fit_transform(images)
    assert isinstance(bags, Bags)
    assert bags.shape == (70,)
    np.testing.assert_array_equal(bags[9].descriptors, Corners().extract(images[9]).descriptors)
    assert list(Corners().get_feature_names_out()) == ["corners0", "corners1"]
    assert repr(bags) == "Bags(70 of ImageItems → Corners)"
    assert Corners().transform([]).shape == (0,)


@pytest.mark.parametrize("kind", [Means, MeansAtOnce])
def test_global_extractor(images, kind):
    expected = np.array([[FACTOR * image.mean(), FACTOR * image.std()] for image in images], np.float32)
    for n_jobs in (None, 1, 2):
        codes = kind(n_jobs=n_jobs).fit_transform(images)
        assert codes.dtype == np.float32
        np.testing.assert_array_equal(codes, expected)
    with joblib.parallel_config(n_jobs=2):
        np.testing.assert_array_equal(kind().fit_transform(images), expected)
    np.testing.assert_array_equal(kind().extract(images[3]), expected[3])


def test_dataframes_have_the_index_and_names(images):
    column = pd.Series(images, index=np.arange(70) * 2).sample(frac=1, random_state=0)
    frame = Means().set_output(transform="pandas").fit_transform(column)
    assert list(frame.index) == list(column.index)
    assert list(frame.columns) == ["means0", "means1"]
    assert frame.loc[6, "means0"] == pytest.approx(FACTOR * images[3].mean())


def test_empty_batches(images):
    assert Means().fit(images).transform([]).shape == (0, 2)
    with pytest.raises(NotFittedError, match="Before an empty batch can be transformed, Means must be fitted"):
        Means().transform([])
    with pytest.raises(InputError, match=r"Means\.fit needs at least one image to learn the length of a code; got none"):
        Means().fit([])
    with pytest.raises(NotFittedError, match="Means"):
        Means().get_feature_names_out()


UNEQUAL = "Columns returns 5 values for this image but 9 for previous images"


def test_an_image_with_a_row_of_another_length_is_named(images):
    images[40] = images[40][:, :5]
    for n_jobs in (1, 2):
        with pytest.raises(ImageError, match=rf"image 40: {UNEQUAL}.*Put Resize\(\(height, width\)\)"):
            Columns(n_jobs).transform(images)


def test_a_batch_with_rows_of_another_length_names_its_first_image(images):
    images[32:] = [image[:, :5] for image in images[32:]]
    with pytest.raises(ImageError, match=f"image 32: {UNEQUAL}"):
        Columns().fit(images).transform(images)


@pytest.mark.parametrize("step", [Darker(), Corners(), Means()])
def test_invalid_input_and_unusable_images(images, step):
    with pytest.raises(InputError, match=r"expected a batch of images: .* got one image \(str\)"):
        step.fit("cat.jpg")
    with pytest.raises(MissingImageError, match=r"image 3 \('cat\.jpg'\): no such file"):
        list(step.transform([*images[:3], "cat.jpg"]))


def test_other_errors_get_a_note_with_the_image(images):
    class Broken(Means):
        def _describe(self, image):
            raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError, match="by zero") as caught:
        Broken().transform(images[:3])
    assert "at image 0" in caught.value.__notes__


def test_parameters_are_checked_at_fit_and_transform(images):
    for call in (Darker(0).fit, Darker(0).transform):
        with pytest.raises(ValueError, match="The 'by' parameter of Darker must be an int in the range"):
            call(images)
    with pytest.raises(ValueError, match="The 'n_jobs' parameter of Means"):
        Means(n_jobs="two").transform(images)


@pytest.fixture
def scans(rng, tmp_path):
    """Write 16-bit files: one normal image, and three images with 12-bit values."""
    paths = [tmp_path / f"{name}.png" for name in "abcd"]
    for path, top in zip(paths, (256 << 8, 4096, 4000, 4096), strict=True):
        cv2.imwrite(str(path), rng.integers(0, top, (40, 40)).astype(np.uint16))
    return paths


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("stage", ["global", "local"])
def test_one_warning_per_batch_about_dark_images(scans, stage, n_jobs):
    model = (
        HOG(n_jobs=n_jobs) if stage == "global" else make_pipeline(DenseSIFT(), BagOfWords(4, random_state=0, n_jobs=n_jobs))
    )
    with pytest.warns(DarkImageWarning, match=r"image \d \('.*[bcd].png'\): .* is nearly black.*Rescale\(bits=12\)") as caught:
        model.fit_transform(scans)
    assert len(caught) == 1


@pytest.mark.parametrize("step", [Rescale(bits=12), Rescale()], ids=repr)
def test_no_warning_about_rescaled_black_8_bit_and_float_images(scans, step):
    assert len(make_pipeline(step, Resize(32), HOG()).fit_transform(scans[1:])) == 3
    flat = [np.zeros((32, 32), np.uint16), np.ones((32, 32), np.uint8), np.full((32, 32), 0.01)]
    assert not HOG().fit_transform(flat).any()
