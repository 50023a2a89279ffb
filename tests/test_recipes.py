"""Every recipe works like any scikit-learn pipeline; options and presets."""

import inspect
import json
import pickle
import re
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import LinearSVC

from benchmarks.comparison import agrees
from featrec import recipes
from featrec.datasets import ImageFolder, load_dataset
from featrec.descriptors import HOG
from featrec.exceptions import EmptyBagWarning, InputError
from featrec.persistence import load, save
from featrec.preprocessing import Augmented, Resize
from featrec.recipes._presets import PRESETS
from tests.tiny_network import write_tiny_network

DENSE = {"step": 8, "bin_sizes": (4, 6)}
SMALL = {
    "bovw_svm": {"n_words": 8},
    "orb_knn": {"n_words": 8},
    "color_forest": {"n_estimators": 10},
    "phow_svm": {"n_words": 8, **DENSE},
    "vlad_svm": {"n_words": 4, "n_dimensions": 10, **DENSE},
    "fisher_svm": {"n_words": 4, "n_dimensions": 10, **DENSE},
    "fisher_lbp_svm": {"n_words": 4, "n_dimensions": 10, **DENSE},
    "patches_ridge": {"n_words": 40},
    "patches_kernel": {"n_words": 40},
    "patches_compact": {"n_words": 40},
    "cnn_fisher_svm": {"layer": "map", "n_words": 4, "n_dimensions": 4},
    "cnn_vlad_svm": {"layer": "map", "n_words": 4, "n_dimensions": 4},
}


@pytest.fixture(scope="module")
def shapes():
    train, test = load_dataset("shapes", n_train=48, n_test=16, random_state=0)
    return [np.asarray(image) for image in train], np.asarray(train.labels), [np.asarray(image) for image in test]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "tiny.onnx"
    write_tiny_network(path)
    return path


# They learn from pixels and have no codes; classifiers/test_networks.py tests them.
NETWORKS = ["pixels_lenet5", "pixels_resnet"]


def make(name, network, **options):
    needed = {"model": network, "preprocessing": "tf"} if name.startswith("cnn_") else {}
    return recipes.make(name, **needed, **options)


@pytest.fixture(scope="module", params=[name for name in recipes.names() if name not in NETWORKS])
def recipe(request, network):
    options = SMALL.get(request.param, {})
    if request.param.startswith("cnn_"):
        options = options | {"model": network, "preprocessing": "tf", "size": 32}
    return recipes.make(request.param, **options)


@pytest.fixture(scope="module")
def fitted(recipe, shapes):
    images, labels, _ = shapes
    return clone(recipe).fit(images, labels)


def test_each_recipe_fits_predicts_and_pickles(fitted, shapes):
    _, labels, unseen = shapes
    predicted = fitted.predict(unseen)
    assert set(predicted) <= set(labels)
    assert (pickle.loads(pickle.dumps(fitted)).predict(unseen) == predicted).all()


def test_each_recipe_predicts_the_same_from_its_model_file(fitted, shapes, tmp_path):
    _, _, unseen = shapes
    save(fitted, tmp_path / "model.featrec")
    assert (load(tmp_path / "model.featrec").predict(unseen) == fitted.predict(unseen)).all()


def test_each_recipe_can_be_joined_with_hog(recipe, fitted, shapes):
    """The features of both have names, and keep the index of a shuffled column."""
    images, labels, unseen = shapes
    column = pd.Series(images, index=[f"image {i}" for i in range(48)]).sample(frac=1, random_state=0)
    alone = clone(recipe)[:-1]
    union = FeatureUnion([("recipe", alone), ("hog", make_pipeline(Resize((32, 32)), HOG()))]).set_output(transform="pandas")
    frame = union.fit_transform(column)
    assert list(frame.columns) == list(union.get_feature_names_out())
    assert list(frame.index) == list(column.index)
    again = alone.transform(column.iloc[::-1])
    assert list(again.columns) == list(alone.get_feature_names_out())
    assert list(again.index) == list(column.index[::-1])
    classifier = LinearSVC(random_state=0).fit(frame, labels[[int(name.split()[1]) for name in column.index]])
    model = make_pipeline(union, classifier)
    width = fitted[:-1].transform(unseen[:1]).shape[1]
    assert union.transform(unseen).shape == (16, width + union.transformer_list[1][1][-1].n_features_out_)
    assert len(model.predict(unseen)) == 16


def test_each_recipe_can_be_calibrated(recipe, fitted, shapes):
    """The last fit, on all images, is that of the recipe and predicts the same."""
    images, labels, unseen = shapes
    model = CalibratedClassifierCV(clone(recipe), cv=2, ensemble=False).fit(images, labels)
    probabilities = model.predict_proba(unseen)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    (calibrated,) = model.calibrated_classifiers_
    assert (calibrated.estimator.predict(unseen) == fitted.predict(unseen)).all()


def test_difficult_images_give_finite_codes_and_at_most_one_warning(fitted, shapes):
    model, unseen = fitted, shapes[2]
    hard = [np.full((96, 96), 128, np.uint8), np.zeros((1, 1), np.uint8), np.tile(np.arange(96, dtype=np.uint8), (96, 1))]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        codes = np.asarray(model[:-1].transform([*hard, unseen[0]]))
        assert len(model.predict([*hard, unseen[0]])) == 4
    assert np.isfinite(codes).all()
    messages = [str(w.message) for w in caught]
    assert all(issubclass(w.category, EmptyBagWarning) for w in caught), messages
    encoders = {"bagofwords", "spatialpyramid", "patchcodes"}
    resized = {"resize", "cnnmaps"} & model.named_steps.keys()  # a network resizes its input
    takes_bags = not resized and any(name.rpartition("__")[2] in encoders for name in model.get_params())
    assert len(messages) == (2 if takes_bags else 0), "one warning for transform and one for predict"
    if "featureunion" not in dict(model.steps):
        # Scaled columns hide the rows of zeros; only the image of one pixel has no patch.
        empty = 1 if "widescaler" in dict(model.steps) else int((~codes.any(axis=1)).sum())
        assert all(f"{empty} of 4 images" in message for message in messages)


@pytest.mark.parametrize("name", ["vlad_svm", "fisher_svm", "fisher_lbp_svm"])
def test_mirror_adds_mirrored_copies(name, shapes, tmp_path):
    images, labels, unseen = shapes
    plain, mirrored = (recipes.make(name, **SMALL[name], mirror=mirror).fit(images, labels) for mirror in (False, True))
    assert isinstance(mirrored, Augmented)
    assert mirrored.model[-1].get_params() == plain[-1].get_params()
    assert (plain.decision_function(unseen) != mirrored.decision_function(unseen)).any()
    flipped = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    plain_score, mirrored_score = plain.score(flipped, labels), mirrored.score(flipped, labels)
    assert plain_score < mirrored_score
    save(mirrored, tmp_path / "model.featrec")
    assert (load(tmp_path / "model.featrec").predict(unseen) == mirrored.predict(unseen)).all()


def test_mirrored_and_calibrated(shapes):
    images, labels, unseen = shapes
    model = recipes.make("vlad_svm", **SMALL["vlad_svm"], mirror=True, probability="calibrated").fit(images, labels)
    np.testing.assert_allclose(model.predict_proba(unseen).sum(axis=1), 1, atol=1e-6)


def test_the_kernels_of_phow(shapes):
    images, labels, unseen = shapes
    model = recipes.make("phow_svm", kernel="chi2", C=10.0, **SMALL["phow_svm"]).fit(images, labels)
    assert model.score(images, labels) > 0.9
    assert set(model.predict(unseen)) <= set(labels)
    with pytest.raises(InputError, match=r'kernel of phow_svm must be "intersection" or "chi2"; got \'rbf\''):
        recipes.make("phow_svm", kernel="rbf")


PATCHES = {"size": 5, "contrast": 3.0, "mirror": False, "color": "gray"}
CODES = {"n_words": 7, "code": "triangle", "epsilon": 0.5, "grid": 2, "overlap": 0.1}
RIDGE = ["patches", "whiten", "spatialpyramid", "widescaler", "wideridge"]
UNITED = ["resize", "deskew", "featureunion", "kernelridgeclassifier"]
KERNEL = {"gamma": 0.3, "alphas": (0.2,), "landmarks": 5, "dtype": "float16"}


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("hog_svm", {"size": None}, {"steps": ["deskew", "hog", "nystroemridgeclassifier"], "deskew__when": "auto"}),
        (
            "hog_svm",
            {"deskew": True},
            {"steps": ["resize", "deskew", "hog", "nystroemridgeclassifier"], "resize__size": "auto", "deskew__when": "always"},
        ),
        ("hog_svm", {"deskew": True, "n_dimensions": 3, "C": 10.0}, {"steps": ["resize", "deskew", "hog", "pca", "svc"]}),
        ("hog_svm", {"orientations": 8, "signed": False}, {"hog__orientations": 8, "hog__signed": False}),
        ("hog_svm", {}, {"hog__orientations": 18, "hog__signed": True, "hog__mirror": True, "hog__color": "auto"}),
        ("hog_svm", {"mirror": False, "color": None}, {"nystroemridgeclassifier__n_views": 1, "hog__mirror": False}),
        ("hog_svm", {"pixels_per_cell": [[4, 4], [8, 8]]}, {"hog__pixels_per_cell": [[4, 4], [8, 8]]}),
        ("hog_svm", {"n_dimensions": 3, "landmarks": 9}, {"nystroemridgeclassifier__n_dimensions": 3}),
        ("hog_svm", {"class_weight": "balanced", "gamma": 1.5}, {"nystroemridgeclassifier__class_weight": "balanced"}),
        ("hog_svm", {"n_dimensions": 3, "C": 2.0}, {"pca__n_components": 3, "svc__C": 2.0, "resize__size": (64, 64)}),
        ("hog_svm", {"C": 2.0}, {"hog__orientations": 9, "hog__signed": False, "hog__color": None, "hog__mirror": False}),
        ("hog_svm", {"C": 2.0, "class_weight": "balanced"}, {"svc__class_weight": "balanced", "hog__pixels_per_cell": (8, 8)}),
        ("patches_ridge", PATCHES, {f"patches__{key}": value for key, value in PATCHES.items()}),
        ("patches_kernel", PATCHES, {f"patches__{key}": value for key, value in PATCHES.items()}),
        ("patches_ridge", {"mirror": True}, {"patches__mirror": True}),
        ("patches_ridge", CODES, {"whiten__epsilon": 0.5, "spatialpyramid__encoder__vocabulary": 7}),
        ("patches_kernel", CODES, {"spatialpyramid__levels": [(2, 2)], "spatialpyramid__overlap": 0.1}),
        ("patches_kernel", KERNEL, {f"kernelridgeclassifier__{key}": value for key, value in KERNEL.items()}),
        ("patches_kernel", KERNEL, {"widescaler__dtype": "float16"}),
        ("patches_kernel", {"deskew": True, "hog": 4}, {"steps": UNITED}),
        ("patches_ridge", {"deskew": True}, {"steps": ["resize", "deskew", *RIDGE]}),
        ("patches_ridge", {"grid": np.int64(2)}, {"whiten__epsilon": 0.02, "spatialpyramid__levels": [(2, 2)]}),
        ("pixels_resnet", {"mirror": False}, {"smallresnet__flip": False}),
        ("patches_ridge", {"color": ("rgb", "gray")}, {"featureunion__gray__patches__color": "gray"}),
    ],
)
def test_options_reach_their_step(name, options, expected):
    model = recipes.make(name, **options)
    found = model.get_params() | {"steps": list(model.named_steps)}
    assert {key: found[key] for key in expected} == expected


def test_hog_svm_decides_from_the_images_and_weights_classes():
    """Digits of 8 × 8 pixels, 5 to 100 of each class."""
    train, test = load_dataset("digits")
    names, sizes = np.asarray(train.labels), np.geomspace(5, 100, 10).astype(int)
    kept = np.concatenate([np.flatnonzero(names == name)[:size] for name, size in zip(np.unique(names), sizes, strict=True)])
    plain, balanced = (recipes.hog_svm(class_weight=weight).fit(train[kept], names[kept]) for weight in (None, "balanced"))
    steps = plain.named_steps
    assert (steps["resize"].size_, steps["hog"].color_, steps["nystroemridgeclassifier"].n_views_) == ((28, 28), "gray", 1)
    scores = [balanced_accuracy_score(test.labels, model.predict(test)) for model in (plain, balanced)]
    assert min(scores) > 0.8
    assert (plain.decision_function(test[:9]) != balanced.decision_function(test[:9])).all()


def test_patches_of_several_channels_are_concatenated(shapes):
    images, labels, unseen = shapes
    options = {"n_words": 12, "grid": 2, "random_state": 0}
    both = recipes.patches_kernel(color=("rgb", "gray"), **options).fit(images, labels)
    alone = [
        recipes.patches_kernel(color=color, **options).fit(images, labels)[:-1].transform(unseen) for color in ("rgb", "gray")
    ]
    np.testing.assert_array_equal(both[:-1].transform(unseen), np.hstack(alone))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("patches_ridge", {}),
        ("patches_kernel", {}),
        ("patches_kernel", {"hog": 4}),
        ("patches_kernel", {"landmarks": 300, "dtype": "float16"}),
    ],
)
def test_patch_recipes_are_accurate_on_digits(name, options):
    train, test = load_dataset("digits")
    model = recipes.make(name, mirror=False, n_words=100, size=4, grid=2, n_jobs=2, **options).fit(train, train.labels)
    assert model.score(test, test.labels) > 0.98


PATCH_RECIPES = ["patches_ridge", "patches_kernel", "patches_compact"]


@pytest.mark.parametrize("name", PATCH_RECIPES)
def test_patches_of_a_folder_of_large_images_of_mixed_size(name, shapes, tmp_path):
    """All images are scaled to the usual size with a mean side of 32, in `predict` too."""
    images, labels, unseen = shapes
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        height, width = 96 + 4 * place, 320 - 4 * place
        cv2.imwrite(str(tmp_path / label / f"{place}.jpg"), cv2.resize(image[:, :, ::-1], (width, height)))
    folder = ImageFolder(tmp_path)
    model = recipes.make(name, random_state=0, n_words=100).fit(folder, folder.labels)
    assert model["resize"].size_ == (29, 35)
    small = [cv2.resize(image, (35, 29), interpolation=cv2.INTER_AREA) for image in unseen]
    large = [cv2.resize(image, (35 * 40, 29 * 40), interpolation=cv2.INTER_NEAREST) for image in small]
    codes = np.asarray(model[:-1].transform(small))
    assert codes.any(axis=1).all()
    np.testing.assert_allclose(model[:-1].transform(large), codes, atol=1e-5)
    assert model.score(folder, folder.labels) > 0.9


@pytest.mark.parametrize("name", PATCH_RECIPES)
@pytest.mark.parametrize("side", [28, 32])
def test_small_images_of_one_size_are_not_scaled(name, side, shapes):
    stack, labels = np.stack([cv2.resize(image, (side, side)) for image in shapes[0][:24]]), shapes[1][:24]
    if side == 28:
        stack = stack[..., 1]
    as_it_is, plain = (recipes.make(name, n_words=20, **options).fit(stack, labels) for options in ({"image_size": None}, {}))
    assert "resize" not in as_it_is.named_steps
    np.testing.assert_array_equal(plain.decision_function(stack), as_it_is.decision_function(stack))
    np.testing.assert_array_equal(plain.decision_function(list(stack)), as_it_is.decision_function(stack))


def test_patches_need_a_channel():
    with pytest.raises(InputError, match="several of these; got none"):
        recipes.patches_ridge(color=[])


GENERAL = {"probability": None, "class_weight": None, "on_error": "raise", "cache": None, "random_state": 0}
GENERAL |= {"n_jobs": None, "verbose": 0}


@pytest.mark.parametrize("name", recipes.names())
def test_general_options_are_in_every_signature_and_docstring(name):
    parameters = inspect.signature(getattr(recipes, name)).parameters
    assert {option: parameters[option].default for option in GENERAL} == GENERAL
    assert list(parameters)[-len(GENERAL) :] == list(GENERAL)
    described = re.findall(r"^(\w+) :", getattr(recipes, name).__doc__.partition("\nReturns\n")[0], re.M)
    assert described == list(parameters)


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="tiny_knn: got an unexpected keyword argument 'sise'"):
        recipes.tiny_knn(sise=8)


@pytest.mark.parametrize("name", recipes.names())
def test_class_weight_reaches_the_classifier_or_warns(name, network):
    if name in {"tiny_knn", "orb_knn"}:
        with pytest.warns(UserWarning, match=f"class_weight='balanced' has no effect in {name}"):
            make(name, network, class_weight="balanced")
    else:
        assert make(name, network, class_weight="balanced")[-1].get_params()["class_weight"] == "balanced"


@pytest.mark.parametrize("name", [name for name in recipes.names() if name not in NETWORKS])
def test_cache_reaches_every_extractor(name, network, tmp_path):
    parameters = make(name, network, cache=tmp_path).get_params()
    caches = [value for key, value in parameters.items() if key.endswith("__cache")]
    assert caches
    assert all(value == tmp_path for value in caches)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_pixels_refuse_on_error_empty(name):
    with pytest.raises(InputError, match=rf"on_error of {name} must be \"raise\".*ImageFolder\(on_error=\"drop\"\)"):
        recipes.make(name, on_error="empty")


@pytest.mark.parametrize(
    ("name", "former", "option"),
    [
        ("vlad_svm", "n_components", "n_dimensions"),
        ("hog_svm", "n_components", "n_dimensions"),
        ("fisher_svm", "n_components", "n_words"),
        ("fisher_lbp_svm", "n_components", "n_words"),
    ],
)
def test_former_names_of_options_warn(name, former, option):
    with pytest.warns(FutureWarning, match=f"the option {former} of {name} is now called {option}"):
        old = recipes.make(name, **{former: 7})
    assert str(old.get_params()) == str(recipes.make(name, **{option: 7}).get_params())
    with pytest.raises(InputError, match=f"{former} is the former name of {option}"):
        recipes.make(name, **{former: 7, option: 7})


def test_temperature_keeps_predictions_and_calibration_refuses_small_classes(shapes):
    images, labels, unseen = shapes
    kept = np.flatnonzero(np.cumsum(labels == labels[0]) * (labels == labels[0]) < 4)
    images, labels = [images[row] for row in kept], labels[kept]
    plain = recipes.hog_svm().fit(images, labels).predict(unseen)
    np.testing.assert_array_equal(recipes.hog_svm(probability="temperature").fit(images, labels).predict(unseen), plain)
    with pytest.raises(InputError, match=r'has 3 items; .* needs 5, .* probability="temperature" in a recipe'):
        recipes.hog_svm(probability="calibrated").fit(images, labels)
    with pytest.raises(InputError, match='probability must be "calibrated", "temperature" or None; got True'):
        recipes.hog_svm(probability=True)


def test_presets_are_options_under_a_name(network):
    assert recipes.presets("patches_kernel")["digits"]["deskew"] is True
    assert recipes.presets("tiny_knn") == {}
    by_name, by_option = recipes.make("patches_kernel:digits"), recipes.make("patches_kernel", preset="digits")
    by_hand = recipes.patches_kernel(**recipes.presets("patches_kernel")["digits"])
    assert str(by_name.get_params()) == str(by_option.get_params()) == str(by_hand.get_params())
    changed = recipes.make("patches_kernel:digits", n_words=7)
    assert "vocabulary=7" in str(changed.get_params())
    assert "99.43 % on mnist" in recipes.describe("patches_kernel:digits")
    for name, match in [
        ("patches_kernel:digit", r"no preset 'digit' \(did you mean 'digits'\?\); it has digits, clothes, objects"),
        ("tiny_knn:digits", "the recipe 'tiny_knn' has no preset 'digits'; it has none"),
        ("patch_kernel:digits", "there is no recipe 'patch_kernel'.*Did you mean 'patches_kernel'"),
    ]:
        for function in (recipes.make, recipes.describe):
            with pytest.raises(InputError, match=match):
                function(name)
    with pytest.raises(InputError, match="contains the preset 'digits', but preset='clothes'"):
        recipes.make("patches_kernel:digits", preset="clothes")


def measured():
    """Published benchmark results on standard splits with all training images."""
    for name in ("small", "scenes"):
        for line in (Path(__file__).parent.parent / f"benchmarks/results/{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row["split"]["kind"] == "standard" and "accuracy" in row and row["split"]["validation"] is None:
                yield row


def test_the_accuracy_of_a_preset_equals_the_published_results():
    rows = list(measured())
    for recipe, found in PRESETS.items():
        for preset, one in found.items():
            model = recipes.make(recipe, preset=preset)
            same = [
                row["accuracy"]
                for row in rows
                if (row["recipe"], row["dataset"]) == (recipe, one.dataset) and agrees(model, row["parameters"])
            ]
            assert same, f"{recipe}:{preset} has not been measured"
            assert one.accuracy == round(100 * float(np.mean(same)), 2)


def test_names_describe_and_make():
    simple, strong = (
        ["tiny_knn", "color_forest", "hog_svm", "orb_knn"],
        ["phow_svm", "vlad_svm", "fisher_svm", "fisher_lbp_svm"],
    )
    patches = ["patches_ridge", "patches_kernel", "patches_compact"]
    pretrained = ["cnn_svm", "cnn_fisher_svm", "cnn_vlad_svm"]
    assert recipes.names() == [*simple, "bovw_svm", *strong, "lbp_svm", *patches, *pretrained, *NETWORKS]
    assert all(len(recipes.describe(name)) > 20 for name in recipes.names())
    assert recipes.make("bovw_svm", n_words=50).get_params()["spatialpyramid__encoder__vocabulary"] == 50
    with pytest.raises(InputError, match=r"there is no recipe 'bow_svm'; the recipes are .* Did you mean 'bovw_svm'"):
        recipes.make("bow_svm")
