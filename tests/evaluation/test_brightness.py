"""Mean brightness of images: its value, and that images of a lazy sequence are decoded only once."""

import numpy as np
import pytest
from PIL import Image
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from featrec.datasets import ImageFolder
from featrec.descriptors import ORB, TinyImage
from featrec.evaluation import TrainingSummary, observed
from featrec.evaluation._brightness import Brightness
from featrec.exceptions import FailedImageWarning
from featrec.images import brightness, check_images
from featrec.preprocessing import Resize


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
def test_it_is_the_mean_of_all_values(shape, kind, rng):
    image = rng.uniform(size=shape)
    image = image.astype(kind) if np.dtype(kind).kind == "f" else (image * np.iinfo(kind).max).astype(kind)
    white = 1 if np.dtype(kind).kind == "f" else np.iinfo(kind).max
    assert brightness(image) == pytest.approx(image.mean(dtype=float) / white)
    assert brightness(np.full(shape, white, kind)) == 1
    assert brightness(np.zeros(shape, kind)) == 0


LEVELS = [10, 60, 110, 160, 210, 250]


@pytest.fixture
def folder(tmp_path):
    for number, level in enumerate(LEVELS):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), level, np.uint8)).save(path)
    return ImageFolder(tmp_path)


@pytest.fixture
def counted(monkeypatch):
    """The files that are decoded."""
    decode, files = ImageFolder._item, []

    def counting(self, stored):
        files.append(stored)
        return decode(self, stored)

    monkeypatch.setattr(ImageFolder, "_item", counting)
    return files


def model():
    return make_pipeline(TinyImage(size=(4, 4), normalize=False), KNeighborsClassifier(1))


def expected(folder):
    return [folder[row].mean() / 255 for row in range(len(folder))]


def test_images_of_a_folder_are_decoded_once(folder, counted):
    fitted, means = model().fit(folder, folder.labels), expected(folder)
    counted.clear()
    found = observed(fitted, folder)
    assert len(counted) == 6
    assert found.brightness.tolist() == pytest.approx(means)
    counted.clear()
    summary = TrainingSummary.of(fitted, folder, folder.labels)
    assert len(counted) == 6
    assert summary.brightness == pytest.approx(means)


def test_it_is_that_of_the_given_images(folder):
    """Not of images that a step of the model has changed; and of the given rows, in their order."""
    changed = make_pipeline(Resize((8, 8)), *(step for _, step in model().steps)).fit(folder, folder.labels)
    rows = np.array([4, 1, 1, 3])
    found = observed(changed, check_images(folder)[rows])
    assert found.brightness.tolist() == pytest.approx(np.array(expected(folder))[rows])


def test_in_several_threads_and_of_local_features(folder, counted):
    means = expected(folder)
    fitted = model().set_params(tinyimage__n_jobs=2).fit(folder, folder.labels)
    counted.clear()
    assert observed(fitted, folder).brightness == pytest.approx(means)
    light = Brightness(folder)
    ORB().transform(light.images).compute(n_jobs=2)
    assert light.values() == pytest.approx(means)
    assert len(counted) == 2 * 6


def test_an_image_that_cannot_be_read_has_none(folder):
    with open(folder.paths[2], "wb") as file:
        file.write(b"no image")
    forgiving = model().set_params(tinyimage__on_error="empty")
    with pytest.warns(FailedImageWarning):
        fitted = forgiving.fit(folder, folder.labels)
    with pytest.warns(FailedImageWarning):
        found = observed(fitted, folder)
    with pytest.warns(FailedImageWarning):
        summary = TrainingSummary.of(fitted, folder)
    assert np.flatnonzero(np.isnan(found.brightness)).tolist() == [2]
    assert len(summary.brightness) == 5
    assert len(summary.codes) == 6


def test_lists_arrays_and_codes(rng):
    images = rng.integers(0, 256, (6, 9, 9), np.uint8)
    means = images.mean(axis=(1, 2)) / 255
    fitted = model().fit(images, list("ababab"))
    for given in (images, list(images), check_images(images), list(map(Image.fromarray, images))):
        assert observed(fitted, given).brightness == pytest.approx(means)
    codes = rng.normal(size=(6, 4))
    assert observed(GaussianNB().fit(codes, list("ababab")), codes).brightness is None
