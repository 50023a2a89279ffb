"""Images of the same size are described together; images in one array are not read one by one."""

import numpy as np
import pytest

from featrec.exceptions import FailedImageWarning, FeatrecError, ImageError
from featrec.images import GlobalExtractor, check_images


class RowMeans(GlobalExtractor):
    """An extractor that records the shapes of its input."""

    def __init__(self, given=None, on_error="raise", n_jobs=None):
        self.given, self.on_error, self.n_jobs = given, on_error, n_jobs

    def _describe_stack(self, images):
        if images.shape[1] < 3:
            raise ImageError(f"needs 3 rows; got {images.shape[1]}")
        if self.given is not None:
            self.given.append(images.shape)
        return images.reshape(len(images), images.shape[1], -1).mean(axis=2)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("rows", [slice(None), slice(2, 7), slice(None, None, -2), [3, 3, 1], [6]])
def test_a_stack_equals_images_read_one_by_one(rng, shape, dtype, rows):
    images = rng.integers(0, 2, (9, *shape)).astype(dtype)
    found = RowMeans().transform(check_images(images)[rows])
    np.testing.assert_array_equal(found, RowMeans().transform(list(images[rows])))


OTHERS = {
    "16 bits": np.zeros((3, 4, 5), np.uint16),
    "bool": np.ones((3, 4, 5), bool),
    "foreign": np.ones((3, 4, 5), ">f4"),
    "alpha": np.zeros((3, 4, 5, 4), np.uint8),
    "nan": np.full((3, 4, 5), np.nan),
    "too bright": np.full((3, 4, 5), 1.001),
    "empty": np.zeros((3, 0, 5)),
    "masked": np.ma.masked_equal(np.arange(60, dtype=np.uint8).reshape(3, 4, 5), 7),
}


@pytest.mark.parametrize("images", OTHERS.values(), ids=OTHERS)
def test_other_arrays_are_treated_like_a_list(images):
    outcomes = []
    for batch in (images, list(images)):
        try:
            outcomes.append(RowMeans().transform(batch).tolist())
        except FeatrecError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_an_array_is_described_in_few_calls(rng):
    given = []
    extractor = RowMeans(given)
    images = rng.random((40, 3, 5))
    codes = extractor.transform(images)
    np.testing.assert_allclose(codes, images.mean(axis=2), rtol=1e-6)
    assert sum(shape[0] for shape in given) == 40
    assert len(given) <= 4


def test_a_refused_image_of_a_batch_is_named(rng):
    images = [rng.random((3, 4)), rng.random((3, 5)), rng.random((2, 4)), rng.random((2, 4))]
    with pytest.raises(ImageError, match="image 2: needs 3 rows; got 2"):
        RowMeans().fit_transform(images)
    extractor = RowMeans(on_error="empty").fit(images)
    with pytest.warns(FailedImageWarning, match="2 of 4 images"):
        codes = extractor.transform(images)
    np.testing.assert_allclose(codes[:2], [image.mean(axis=1) for image in images[:2]], rtol=1e-6)
    assert not codes[2:].any()
    assert [failure.index for failure in extractor.failures_] == [2, 3]
    with pytest.raises(ImageError, match="image 1: RowMeans returns 4 values for this image but 3 for previous images"):
        RowMeans(on_error="empty").transform([rng.random((3, 4)), rng.random((4, 4))])


def test_failures_before_fit_give_an_array_without_columns():
    with pytest.warns(FailedImageWarning, match="2 of 2 images"):
        assert RowMeans(on_error="empty").transform(np.zeros((2, 2, 2))).shape == (2, 0)
