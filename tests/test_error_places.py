"""Which image an error names if scikit-learn has sliced the input."""

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from featrec import recipes
from featrec.datasets import ImageFolder, LabeledImages
from featrec.descriptors import DenseSIFT, TinyImage
from featrec.encoders import BagOfWords
from featrec.exceptions import ImageError, TruncatedImageError
from featrec.images import Preprocessor, check_images
from featrec.preprocessing import Resize

BAD = 11
LABELS = np.array(["cat", "dog"] * 8)
COUNTED = "The number is the position among the images passed in; in a cross-validation, it is the position in the fold."


class Picky(Preprocessor):
    """Refuses bright images."""

    def _change(self, image):
        if image.mean() > 200:
            raise ImageError("too bright")
        return image


@pytest.fixture
def images(rng):
    found = [rng.integers(0, 100, (24, 24), dtype=np.uint8) for _ in LABELS]
    found[BAD] = np.full((24, 24), 255, np.uint8)
    return found


def in_folds(images, *steps):
    """Each fold is fitted on half of the images, first on the second half."""
    model = make_pipeline(*steps, TinyImage(), DecisionTreeClassifier())
    return cross_val_predict(model, images, LABELS, cv=KFold(2))


@pytest.mark.parametrize("hold", [lambda images: LabeledImages(images, LABELS), check_images], ids=["LabeledImages", "Images"])
def test_our_sequences_count_in_the_whole_batch(images, hold):
    with pytest.raises(ImageError, match=f"^image {BAD}: too bright"):
        in_folds(hold(images), Picky())
    with pytest.raises(ImageError, match=f"^image {BAD}: too bright"):
        in_folds(hold(images), Resize(20), Picky())


def test_a_slice_of_a_slice(images):
    held = LabeledImages(images, LABELS)[4:][::-1]
    with pytest.raises(ImageError, match=f"^image {BAD}: too bright"):
        Picky().transform(held)[15 - BAD]


def test_a_folder_names_the_path(images, tmp_path):
    for i, image in enumerate(images):
        (tmp_path / LABELS[i]).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / LABELS[i] / f"{i:02}.png")
    path = tmp_path / LABELS[BAD] / f"{BAD:02}.png"
    path.write_bytes(path.read_bytes()[:45])
    folder = ImageFolder(tmp_path)
    with pytest.raises(TruncatedImageError, match=rf"image \d+ \('{path}'\): damaged or truncated") as caught:
        in_folds(folder)
    assert COUNTED not in str(caught.value)


@pytest.mark.parametrize("hold", [list, np.array], ids=["list", "array"])
def test_lists_and_arrays_count_in_the_fold_and_the_error_says_so(images, hold):
    with pytest.raises(ImageError, match=rf"^image {BAD - 8}: too bright\. The number is the position") as caught:
        in_folds(hold(images), Picky())
    assert str(caught.value).endswith(COUNTED)
    model = make_pipeline(Picky(), DenseSIFT(step=8, bin_sizes=3), BagOfWords(2), DecisionTreeClassifier())
    with pytest.raises(ImageError, match=r"^image 3: too bright\. The number is the position"):
        cross_val_predict(model, hold(images), LABELS, cv=KFold(2))


def test_a_list_of_paths_names_the_path(images, tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    with pytest.raises(ImageError, match=rf"\('{paths[BAD]}'\): too bright$"):
        in_folds(paths, Picky())


def test_suggest_counts_in_the_input(images):
    model = make_pipeline(Picky(), TinyImage(), DecisionTreeClassifier())
    found = recipes.suggest(images, LABELS, n_images=len(images), cv=2, recipes={"mine": model})
    assert f"image {BAD}: too bright" in found["mine"].remark
