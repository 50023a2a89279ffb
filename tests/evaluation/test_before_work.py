"""compare checks everything that needs no fit before the first fit."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from featrec import recipes
from featrec.datasets import ImageFolder, LabeledImages
from featrec.descriptors import HOG, TinyImage
from featrec.evaluation import compare, evaluate
from featrec.exceptions import ImageError, InputError, MissingExtraError, UnknownLabelWarning
from featrec.networks import CNNFeatures
from featrec.preprocessing import Augmented, Resize
from tests.tiny_network import write_tiny_network

IMAGES = [np.full((16, 16), 12 * number, np.uint8) for number in range(20)]
LABELS = ["dark"] * 10 + ["light"] * 10


class NeverFits(ClassifierMixin, BaseEstimator):
    """A model that must not be fitted."""

    def fit(self, X, y):
        raise AssertionError("a model was fitted")

    def predict(self, X):
        raise AssertionError("a model was used")


def refused(model, match, *, error=InputError, images=IMAGES, labels=LABELS, **options):
    options = options or {"cv": 2}
    with pytest.raises(error, match=match) as caught:
        compare({"first": NeverFits(), "second": model}, images, labels, **options)
    return caught.value


@pytest.fixture
def network(tmp_path):
    return write_tiny_network(tmp_path / "tiny.onnx")


@pytest.mark.parametrize(
    ("model", "match"),
    [
        ("color_forest", r"models\['second'\] is a string, not a model; use recipes.make\('color_forest'\)"),
        (__file__, r"is a string, not a model; use persistence.load\('.*test_before_work.py'\)"),
        (recipes.hog_svm, r"models\['second'\] is a function, not a model; call it: hog_svm\(\)"),
        (GaussianNB, r"models\['second'\] is a class, not a model; call it: GaussianNB\(\)"),
        (None, r"models\['second'\] is None; expected a model, such as recipes.make\('hog_svm'\)"),
        ({"n_words": 3}, "the predictions 'second' are a dict of path to label, but the test images have no paths"),
        (SVC(C=-1), "The 'C' parameter of SVC must be"),
        (make_pipeline(TinyImage(), SVC(C=-1)), "The 'C' parameter of SVC must be"),
        (make_pipeline(HOG(orientations=0), SVC()), "The 'orientations' parameter of HOG must be"),
        (CalibratedClassifierCV(recipes.hog_svm(size=(-1, 4))), "size"),
        (make_pipeline(Resize(8), TinyImage()), r"models\['second'\] is a Pipeline without predict; a pipeline must end with"),
        (FrozenEstimator(SVC()), "the model 'second' is frozen but not fitted; fit it first"),
    ],
    ids=["name", "file", "recipe", "class", "none", "options", "C", "in pipeline", "ours", "size", "no classifier", "unfitted"],
)  # fmt: skip
def test_non_models_and_wrong_parameters_are_refused(model, match):
    refused(model, match, error=ValueError)


def test_evaluate_refuses_non_models():
    with pytest.raises(InputError, match=r"the model is a string, not a model; use recipes.make\('hog_svm'\)"):
        evaluate("hog_svm", IMAGES, LABELS)
    with pytest.raises(InputError, match=r"the model is a function, not a model; call it: hog_svm\(\)"):
        evaluate(recipes.hog_svm, IMAGES, LABELS)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layer": "no"}, "has no layer 'no'; nearest: .*'feat'"),
        ({"size": (64, 64)}, "size"),
        ({"preprocessing": {"scale": "big"}}, "preprocessing"),
        ({"model": "nowhere.onnx"}, "no network file at 'nowhere.onnx'"),
    ],
)
@pytest.mark.parametrize("around", [lambda model: model, Augmented, CalibratedClassifierCV], ids=["plain", "augmented", "cv"])
def test_an_unusable_network_is_found_before_any_fit(network, options, match, around):
    model = recipes.cnn_svm(**({"model": network} | options))
    error = refused(around(model), match)
    assert "while checking the model 'second', before any fit" in error.__notes__


def test_images_that_a_step_refuses_are_found_before_any_fit():
    refused(make_pipeline(TinyImage(), SVC()), "Unflatten", images=np.zeros((20, 64)))
    tiny = [np.zeros((2, 2), np.uint8)] * 20
    refused(make_pipeline(HOG(), SVC()), "HOG", images=tiny)


def test_an_unreadable_first_image_is_no_error_with_on_error_empty(tmp_path):
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "0.png").write_bytes(b"no image")
    paths = [tmp_path / f"{number}.png" for number in range(20)]
    refused(make_pipeline(TinyImage(), SVC()), r"image 0 \('.*0\.png'\)", error=ImageError, images=paths, test=(paths, LABELS))
    forgiving = make_pipeline(TinyImage(on_error="empty"), KNeighborsClassifier(1))
    with pytest.warns(UserWarning, match="1 of 20 images could not be used"):
        compared = compare({"forgiving": forgiving}, paths, LABELS, test=(paths, LABELS))
    assert compared.n == 20


def test_parameters_that_a_search_sets_are_not_checked():
    search = GridSearchCV(make_pipeline(Resize((4, 4)), TinyImage(size=-1), SVC()), {"tinyimage__size": [(2, 2), (4, 4)]}, cv=2)
    assert compare({"search": search}, IMAGES, LABELS, cv=2).n == 20


def test_a_missing_extra_is_found_before_any_fit(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skorch", None)
    refused(recipes.pixels_lenet5(), r'pip install "featrec\[torch\]"', error=MissingExtraError)


def test_a_model_without_fit_is_refused():
    class Predicts:
        def predict(self, X):
            return LABELS

    refused(Predicts(), r"the model 'second' \(Predicts\) has predict, but cannot be cloned and fitted.*inside FrozenEstimator")


def test_a_frozen_model_is_tried_on_one_image_first():
    fitted = GaussianNB().fit([[0.0], [1.0]], ["dark", "light"])
    with pytest.raises(ValueError, match="features") as caught:
        compare({"first": NeverFits(), "frozen": FrozenEstimator(fitted)}, np.zeros((20, 3)), LABELS, cv=2)
    assert caught.value.__notes__ == ["while checking the model 'frozen', before any fit"]
    numbers = KNeighborsClassifier(1).fit([[0.0], [1.0]], [0, 1])
    refused(FrozenEstimator(numbers), "some labels are strings and some are numbers", images=np.zeros((20, 1)))


@pytest.mark.parametrize(
    ("images", "labels", "options", "match"),
    [
        *((IMAGES, LABELS, {"cv": cv}, f"cv must be the number of folds, at least 2, or a scikit-learn splitter; got {cv!r}")
          for cv in (1, 0, -3, True, "5")),
        (IMAGES, LABELS, {"cv": 11}, "at least 11 images of each class, one for each fold; class 'dark' has 10 images"),
        (IMAGES, ["dark"] * 19 + ["light"], {"cv": 2}, "'light' has 1 image. Use a smaller cv, leave out small classes"),
        (IMAGES, LABELS, {"cv": StratifiedKFold(15)}, "cv: StratifiedKFold cannot split these images: .*n_splits=15"),
        (IMAGES, LABELS, {"cv": ShuffleSplit(1)}, "cv must have at least two splits; ShuffleSplit has 1"),
        (IMAGES, LABELS, {"cv": [(np.arange(9), np.arange(8, 20))] * 2}, "split 1 .* 9 training and 12 test images, 1 of them"),
        (IMAGES, ["dark"] * 20, {"cv": 2}, "the training set of fold 1 has one class, 'dark'; a classifier needs at least"),
        (IMAGES, LABELS, {"cv": 3, "groups": [0, 1] * 10}, "cv=3 needs at least 3 groups.*groups has 2"),
        (IMAGES, LABELS, {"cv": 3, "groups": [1, 2]}, "groups has 2 labels for 20 images"),
        (IMAGES, LABELS, {"cv": 3, "confidence": 1.0}, "confidence must be between 0 and 1"),
        (IMAGES, LABELS, {"cv": 3, "networks": True}, "networks must be a collection of names; got True"),
        (IMAGES, LABELS, {"cv": 3, "networks": "bayes"}, r"networks must be a collection of names; use \['bayes'\]"),
        (IMAGES, LABELS, {"cv": 3, "networks": ["cnn"]}, "contains 'cnn', which is not a model; the models are first, second"),
        (IMAGES, LABELS, {"cv": None}, "give exactly one of test=.* and cv=5"),
        (IMAGES, LABELS, {"test": (IMAGES, LABELS), "cv": 3}, "give exactly one of test"),
        (IMAGES, LABELS, {"test": IMAGES}, r"test must be a pair \(images, labels\)"),
        (IMAGES, LABELS, {"test": LabeledImages(IMAGES, LABELS)}, r"got LabeledImages; use test=\(test, test.labels\)"),
        (IMAGES, LABELS, {"test": ([], [])}, "the test set has no images"),
        (IMAGES, LABELS, {"test": (IMAGES, None)}, "the test set's y is None"),
        (IMAGES, LABELS, {"test": (IMAGES, LABELS[:4])}, "the test set's y has 4 labels for 20 images"),
        (IMAGES, LABELS, {"test": (IMAGES, [0, 1] * 10)}, "some labels are strings and some are numbers"),
        (IMAGES, LABELS, {"test": (IMAGES, LABELS), "groups": LABELS}, "groups need cv, which keeps a group in one fold"),
        (IMAGES, ["dark"] * 20, {"test": (IMAGES, LABELS)}, "y has one class, 'dark'; a classifier needs at least two"),
        (IMAGES, None, {"cv": 2}, "y is None; each of the 20 images needs a label"),
        (IMAGES, pd.Categorical(["a", None] * 10), {"cv": 2}, "y must be all strings or all integers, without missing values"),
        ([], [], {"cv": 2}, "compare needs training images; got none"),
        ("cats/", LABELS, {"cv": 2}, r"expected a batch of images; got 'cats/'. Use \[image\] for one image, ImageFolder"),
        ({"a": 1}, LABELS, {"cv": 2}, "expected a batch of images; got a dict, which has no order; give a list"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(images, labels, options, match):
    refused(GaussianNB(), match, images=images, labels=labels, **options)


@pytest.mark.parametrize(
    ("models", "match"),
    [
        ([GaussianNB()], "models must be a dict of name to model.*got list"),
        ({}, "models must be a dict of name to model.*got an empty dict"),
        ({1: GaussianNB()}, "the names of models must be strings; got 1"),
        ({"other": LABELS[:3]}, "the array of predictions 'other' has 3 labels for 20 images"),
        ({"other": np.arange(20)}, "some labels are strings and some are numbers"),
    ],
)
def test_wrong_models_are_refused(models, match):
    with pytest.raises(InputError, match=match):
        compare(models, IMAGES, LABELS, cv=2)


def test_labels_may_be_pandas_columns():
    rows = np.arange(20.0)[:, None]
    for labels in (pd.Categorical(LABELS), pd.Series(LABELS, dtype="string"), pd.Series([0] * 10 + [1] * 10)):
        assert compare({"bayes": GaussianNB()}, rows, labels, cv=2)["bayes"].accuracy > 0.5


def test_test_labels_that_no_training_image_has_are_reported():
    rows = np.arange(20.0)[:, None]
    with pytest.warns(UnknownLabelWarning, match="The test set has labels that no training image has"):
        compared = compare({"bayes": GaussianNB()}, rows, LABELS, test=(rows, ["Dark", *LABELS[1:]]))
    remark = (
        "The test set has labels that no training image has, which count as errors: 'Dark' (1 of 20; did you mean 'dark'?)."
    )
    assert compared.remarks == (remark,)
    assert remark in str(compared)


class Folder:
    """A folder with a damaged image."""

    def __init__(self, root, damaged):
        for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
            (root / label).mkdir(exist_ok=True)
            Image.fromarray(image).save(root / label / f"{number:02}.png")
        self.path = root / LABELS[damaged] / f"{damaged:02}.png"
        self.path.write_bytes(b"no image")
        self.images = ImageFolder(root)


MODELS = {
    "pipeline": make_pipeline(TinyImage(), KNeighborsClassifier(1)),
    "search": GridSearchCV(make_pipeline(TinyImage(), KNeighborsClassifier(1)), {"tinyimage__size": [4]},
                           cv=2, error_score="raise"),
    "augmented": Augmented(make_pipeline(TinyImage(), LogisticRegression()), flip="horizontal"),
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("form", ["folder", "paths", "bytes", "column"])
def test_an_error_in_a_fold_has_the_index_in_the_given_images(tmp_path, model, form):
    folder = Folder(tmp_path, 17)
    paths = folder.images.paths
    given = {
        "folder": folder.images,
        "paths": paths,
        "bytes": [(tmp_path / path).read_bytes() for path in paths],
        "column": pd.Series(paths, index=np.arange(100, 120)),
    }[form]
    with pytest.raises(ImageError, match="image 17") as caught:
        compare({"model": MODELS[model]}, given, LABELS, cv=StratifiedKFold(4, shuffle=True, random_state=0))
    assert caught.value.position == 17
    assert caught.value.item == (None if form == "bytes" else str(folder.path))
    assert caught.value.__notes__ == ["while fitting the model 'model'"]


def test_an_unusable_array_in_a_fold_has_its_index():
    images = [image.astype(float) / 255 for image in IMAGES]
    images[13] = images[13] * np.nan
    with pytest.raises(ImageError, match=r"^image 13: ") as caught:
        compare({"model": MODELS["pipeline"]}, images, LABELS, cv=4)
    assert caught.value.position == 13
    assert "position among the images passed in" not in str(caught.value)


def test_a_damaged_test_image_has_its_index_in_the_test_set(tmp_path):
    folder = Folder(tmp_path, 3)
    with pytest.raises(ImageError, match="image 3") as caught:
        compare({"model": MODELS["pipeline"]}, IMAGES, LABELS, test=(folder.images.paths, LABELS))
    assert (caught.value.position, caught.value.item) == (3, str(folder.path))
    assert caught.value.__notes__ == ["while predicting with the model 'model'"]


def test_a_network_can_be_compared(network):
    models = {"net": recipes.cnn_svm(network), "tiny": recipes.tiny_knn()}
    colour = [np.dstack([image] * 3) for image in IMAGES]
    compared = compare(models, colour, LABELS, cv=2)
    assert compared["net"].kind == "network"
    assert isinstance(models["net"][0], CNNFeatures)
