"""compare finds out before the first fit what can be found out without one."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
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
    """A model whose fit is work that must not have begun."""

    def fit(self, X, y):
        raise AssertionError("work has begun")

    def predict(self, X):
        raise AssertionError("work has begun")


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
        ("color_forest", r"models\['second'\] is a text, not a model; write recipes.make\('color_forest'\)"),
        (__file__, r"is a text, not a model; write persistence.load\('.*test_before_work.py'\)"),
        (recipes.hog_svm, r"models\['second'\] is a function, not a model; call it: hog_svm\(\)"),
        (GaussianNB, r"models\['second'\] is a class, not a model; call it: GaussianNB\(\)"),
        (None, r"models\['second'\] is None; a model such as recipes.make\('hog_svm'\) is expected"),
        ({"n_words": 3}, "the predictions 'second' are a dict of path to label, but the images that are judged have no paths"),
        (SVC(C=-1), "The 'C' parameter of SVC must be"),
        (make_pipeline(TinyImage(), SVC(C=-1)), "The 'C' parameter of SVC must be"),
        (make_pipeline(HOG(orientations=0), SVC()), "The 'orientations' parameter of HOG must be"),
        (CalibratedClassifierCV(recipes.hog_svm(size=(-1, 4))), "size"),
        (make_pipeline(Resize(8), TinyImage()), r"models\['second'\] is a Pipeline without predict; a model ends with a class"),
        (FrozenEstimator(SVC()), "the model 'second' is frozen and not fitted; fit it before"),
    ],
    ids=["name", "file", "recipe", "class", "none", "options", "C", "in pipeline", "ours", "size", "no classifier", "unfitted"],
)  # fmt: skip
def test_what_is_no_model_or_has_wrong_parameters_is_refused(model, match):
    refused(model, match, error=ValueError)


def test_evaluate_says_what_makes_a_model_too():
    with pytest.raises(InputError, match=r"the model is a text, not a model; write recipes.make\('hog_svm'\)"):
        evaluate("hog_svm", IMAGES, LABELS)
    with pytest.raises(InputError, match=r"the model is a function, not a model; call it: hog_svm\(\)"):
        evaluate(recipes.hog_svm, IMAGES, LABELS)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layer": "no"}, "layer must be an output of .*'feat'; got 'no'"),
        ({"size": (64, 64)}, "size"),
        ({"preprocessing": {"mean": 0}}, "preprocessing"),
        ({"model": "nowhere.onnx"}, "no network file at 'nowhere.onnx'"),
    ],
)
@pytest.mark.parametrize("around", [lambda model: model, Augmented, CalibratedClassifierCV], ids=["plain", "augmented", "cv"])
def test_a_network_that_cannot_be_used_is_found_before_any_fit(network, options, match, around):
    model = recipes.cnn_svm(**({"model": network} | options))
    error = refused(around(model), match)
    assert "before any fit, at the model 'second'" in error.__notes__


def test_images_that_a_step_does_not_take_are_found_before_any_fit():
    refused(make_pipeline(TinyImage(), SVC()), "Unflatten", images=np.zeros((20, 64)))
    tiny = [np.zeros((2, 2), np.uint8)] * 20
    refused(make_pipeline(HOG(), SVC()), "HOG", images=tiny)


def test_a_first_image_that_cannot_be_read_says_nothing_of_a_model_that_goes_on(tmp_path):
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "0.png").write_bytes(b"no image")
    paths = [tmp_path / f"{number}.png" for number in range(20)]
    refused(make_pipeline(TinyImage(), SVC()), r"image 0 \('.*0\.png'\)", error=ImageError, images=paths, test=(paths, LABELS))
    forgiving = make_pipeline(TinyImage(on_error="empty"), KNeighborsClassifier(1))
    with pytest.warns(UserWarning, match="1 of 20 images could not be used"):
        compared = compare({"forgiving": forgiving}, paths, LABELS, test=(paths, LABELS))
    assert compared.n == 20


def test_what_a_search_sets_is_left_to_it():
    search = GridSearchCV(make_pipeline(Resize((4, 4)), TinyImage(size=-1), SVC()), {"tinyimage__size": [(2, 2), (4, 4)]}, cv=2)
    assert compare({"search": search}, IMAGES, LABELS, cv=2).n == 20


def test_a_missing_extra_is_found_before_any_fit(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skorch", None)
    refused(recipes.pixels_lenet5(), r'pip install "featrec\[torch\]"', error=MissingExtraError)


def test_a_model_without_fit_says_how_it_is_given():
    class Answers:
        def predict(self, X):
            return LABELS

    refused(Answers(), r"the model 'second' \(Answers\) has predict, but not fit and get_params.*inside FrozenEstimator")


def test_a_frozen_model_is_asked_about_one_image_first():
    fitted = GaussianNB().fit([[0.0], [1.0]], ["dark", "light"])
    with pytest.raises(ValueError, match="features") as caught:
        compare({"first": NeverFits(), "frozen": FrozenEstimator(fitted)}, np.zeros((20, 3)), LABELS, cv=2)
    assert caught.value.__notes__ == ["before any fit, at the model 'frozen'"]
    numbers = KNeighborsClassifier(1).fit([[0.0], [1.0]], [0, 1])
    refused(FrozenEstimator(numbers), "some labels are strings and some are numbers", images=np.zeros((20, 1)))


@pytest.mark.parametrize(
    ("cv", "labels", "match"),
    [
        (1, LABELS, "cv is a number of folds, 2 or more, or a splitter of scikit-learn; got 1"),
        (0, LABELS, "cv is a number of folds, 2 or more.*; got 0"),
        (-3, LABELS, "cv is a number of folds, 2 or more.*; got -3"),
        (True, LABELS, "cv is a number of folds, 2 or more.*; got True"),
        ("5", LABELS, "cv is a number of folds, 2 or more.*; got '5'"),
        (
            11,
            LABELS,
            "cv=11 puts an image of each class into each of 11 folds, but class 'dark' has 10 images",
        ),
        (2, ["dark"] * 19 + ["light"], "class 'light' has 1 image. Take a smaller cv, leave such classes out"),
        (StratifiedKFold(15), LABELS, "cv: StratifiedKFold cannot split these images: .*n_splits=15"),
        (2, ["dark"] * 20, "fold 1 of cv learns from one class, 'dark'; a classifier needs two or more"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(cv, labels, match):
    refused(GaussianNB(), match, labels=labels, cv=cv)


def test_groups_are_as_many_as_folds():
    refused(GaussianNB(), "cv=3 folds need 3 groups or more.*groups has 2", cv=3, groups=[0, 1] * 10)


@pytest.mark.parametrize(
    ("images", "labels", "options", "match"),
    [
        ("cats/", LABELS, {"cv": 2}, r"a batch of images is expected; got 'cats/'. ImageFolder\(path\) reads a folder"),
        ({"a": 1}, LABELS, {"cv": 2}, "a batch of images is expected; got a dict, which has no order; give a list"),
        (IMAGES, LABELS, {"cv": 2, "networks": True}, "networks is a collection of names; got True"),
        (IMAGES, LABELS, {"test": LabeledImages(IMAGES, LABELS)}, r"got LabeledImages; write test=\(test, test.labels\)"),
        ([], [], {"cv": 2}, "compare needs images to learn from; got none"),
        (IMAGES, None, {"cv": 2}, "y is None; a label for each of the 20 images is needed"),
        (IMAGES, pd.Categorical(["a", None] * 10), {"cv": 2}, "y must be all strings or all whole numbers, none missing"),
        (IMAGES, ["dark"] * 20, {"test": (IMAGES, LABELS)}, "y holds one class, 'dark'; a classifier needs two or more"),
        (IMAGES, LABELS, {"test": (IMAGES, [0, 1] * 10)}, "some labels are strings and some are numbers"),
        (IMAGES, LABELS, {"test": (IMAGES, None)}, "the test set's y is None"),
    ],
)
def test_images_and_labels_that_cannot_be_used_are_refused(images, labels, options, match):
    refused(GaussianNB(), match, images=images, labels=labels, **options)


def test_labels_of_pandas_are_taken():
    rows = np.arange(20.0)[:, None]
    for labels in (pd.Categorical(LABELS), pd.Series(LABELS, dtype="string"), pd.Series([0] * 10 + [1] * 10)):
        assert compare({"bayes": GaussianNB()}, rows, labels, cv=2)["bayes"].accuracy > 0.5


def test_classes_that_nothing_can_be_learned_about_are_told():
    rows = np.arange(20.0)[:, None]
    with pytest.warns(UnknownLabelWarning, match="The test set has labels that no image to learn from has"):
        compared = compare({"bayes": GaussianNB()}, rows, LABELS, test=(rows, ["Dark", *LABELS[1:]]))
    told = (
        "The test set has labels that no image to learn from has, which count as errors: "
        "'Dark' (1 of 20; did you mean 'dark'?)."
    )
    assert compared.remarks == (told,)
    assert told in str(compared)


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
def test_a_damaged_image_in_a_fold_has_the_index_of_what_was_given(tmp_path, model, form):
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


def test_an_array_that_is_no_image_has_its_index_too():
    images = [image.astype(float) / 255 for image in IMAGES]
    images[13] = images[13] * np.nan
    with pytest.raises(ImageError, match="image 13") as caught:
        compare({"model": MODELS["pipeline"]}, images, LABELS, cv=4)
    assert caught.value.position == 13


def test_a_damaged_test_image_is_counted_in_the_test_set(tmp_path):
    folder = Folder(tmp_path, 3)
    with pytest.raises(ImageError, match="image 3") as caught:
        compare({"model": MODELS["pipeline"]}, IMAGES, LABELS, test=(folder.images.paths, LABELS))
    assert (caught.value.position, caught.value.item) == (3, str(folder.path))
    assert caught.value.__notes__ == ["while asking the model 'model'"]


def test_a_network_is_loaded_once_before_and_then_compared(network):
    models = {"net": recipes.cnn_svm(network), "tiny": recipes.tiny_knn()}
    colour = [np.dstack([image] * 3) for image in IMAGES]
    compared = compare(models, colour, LABELS, cv=2)
    assert compared["net"].kind == "network"
    assert isinstance(models["net"][0], CNNFeatures)
