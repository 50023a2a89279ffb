"""What a subclass of the bases gets without writing it."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from featrec import Bag, Bags, Images
from featrec.base import positive_integer
from featrec.exceptions import ImageError, InputError, MissingImageError
from featrec.images import GlobalExtractor, LocalExtractor, Preprocessor


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


class Means(GlobalExtractor):
    def __init__(self, n_jobs=None, verbose=0):
        self.n_jobs, self.verbose = n_jobs, verbose

    def _describe(self, image):
        return [image.mean(), image.std()]


class MeansAtOnce(Means):
    def _describe_batch(self, images):
        return np.array([self._describe(image) for image in images])


class Columns(Means):
    def _describe(self, image):
        return image.mean(axis=0)


@pytest.fixture
def pictures(rng):
    return [rng.integers(0, 256, (8 + position, 9), dtype=np.uint8) for position in range(70)]


def test_preprocessor(pictures):
    step = Darker(3)
    images = step.fit_transform(pictures)
    assert isinstance(images, Images)
    np.testing.assert_array_equal(images[5], pictures[5] // 3)
    np.testing.assert_array_equal(step.apply(pictures[5]), pictures[5] // 3)
    assert repr(images) == "Images(70 of Pictures → Darker)"


def test_what_was_given_to_transform_counts(pictures):
    """Lazy pictures keep the parameters of the moment they were asked for."""
    step = Darker(3)
    images = step.transform(pictures)
    step.set_params(by=100)
    np.testing.assert_array_equal(images[5], pictures[5] // 3)


@pytest.mark.parametrize("step", [Darker(), Corners()])
@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_set_output_changes_nothing(pictures, step, container):
    step = clone(step).set_output(transform=container)
    assert isinstance(step.fit_transform(pictures), (Images, Bags))


def test_local_extractor(pictures):
    bags = Corners().fit_transform(pictures)
    assert isinstance(bags, Bags)
    assert bags.shape == (70,)
    np.testing.assert_array_equal(bags[9].descriptors, Corners().extract(pictures[9]).descriptors)
    assert list(Corners().get_feature_names_out()) == ["corners0", "corners1"]
    assert Corners().transform([]).shape == (0,)


@pytest.mark.parametrize("kind", [Means, MeansAtOnce])
def test_global_extractor(pictures, kind):
    expected = np.array([[image.mean(), image.std()] for image in pictures], np.float32)
    for n_jobs in (None, 1, 2):
        codes = kind(n_jobs).fit_transform(pictures)
        assert codes.dtype == np.float32
        np.testing.assert_array_equal(codes, expected)
    with joblib.parallel_config(n_jobs=2):
        np.testing.assert_array_equal(kind().fit_transform(pictures), expected)
    np.testing.assert_array_equal(kind().extract(pictures[3]), expected[3])


def test_index_and_names_go_on_the_frame(pictures):
    column = pd.Series(pictures, index=np.arange(70) * 2).sample(frac=1, random_state=0)
    frame = Means().set_output(transform="pandas").fit_transform(column)
    assert list(frame.index) == list(column.index)
    assert list(frame.columns) == ["means0", "means1"]
    assert frame.loc[6, "means0"] == pytest.approx(pictures[3].mean())


def test_empty_batches(pictures):
    assert Means().fit(pictures).transform([]).shape == (0, 2)
    with pytest.raises(NotFittedError, match="An empty batch has no known width before fit of Means"):
        Means().transform([])
    with pytest.raises(InputError, match=r"Means\.fit needs one picture at least, to learn the length of a code; got none"):
        Means().fit([])
    with pytest.raises(NotFittedError, match="Means"):
        Means().get_feature_names_out()


def test_unequal_codes_name_the_picture(pictures):
    pictures[40] = pictures[40][:, :5]
    for n_jobs in (1, 2):
        with pytest.raises(
            ImageError, match=r"image 40: Columns gives 5 numbers, 9 for those before.*Put Resize\(\(height, width\)\)"
        ):
            Columns(n_jobs).transform(pictures)


def test_a_whole_batch_of_another_length_names_its_first_picture(pictures):
    pictures[32:] = [image[:, :5] for image in pictures[32:]]
    with pytest.raises(ImageError, match=r"image 32: Columns gives 5 numbers, 9 for those before"):
        Columns().fit(pictures).transform(pictures)


@pytest.mark.parametrize("step", [Darker(), Corners(), Means()])
def test_bad_input_and_bad_pictures(pictures, step):
    with pytest.raises(InputError, match=r"a batch of pictures is expected: .* got one picture \(str\)"):
        step.fit("cat.jpg")
    with pytest.raises(MissingImageError, match=r"image 3 \('cat\.jpg'\): there is no such file"):
        list(step.transform([*pictures[:3], "cat.jpg"]))


def test_errors_of_others_get_a_note(pictures):
    class Broken(Means):
        def _describe(self, image):
            raise ZeroDivisionError("no idea")

    with pytest.raises(ZeroDivisionError, match="no idea") as caught:
        Broken().transform(pictures[:3])
    assert "at image 0" in caught.value.__notes__


def test_parameters_are_checked_at_fit_and_transform(pictures):
    for call in (Darker(0).fit, Darker(0).transform):
        with pytest.raises(ValueError, match="The 'by' parameter of Darker must be an int in the range"):
            call(pictures)
    with pytest.raises(ValueError, match="The 'n_jobs' parameter of Means"):
        Means(n_jobs="two").transform(pictures)
