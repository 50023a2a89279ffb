"""explain: sums of contributions equal decisions, whatever stands between the features and the classifier."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from featrec.classifiers import (
    Calibrated,
    KernelRidgeClassifier,
    NystroemRidgeClassifier,
    RejectUnknown,
    WideLinearSVC,
    WidePCA,
    WideRidge,
    WideScaler,
)
from featrec.datasets import load_dataset
from featrec.descriptors import HOG, LBP, ColorHistogram, DenseSIFT, Patches, RootSIFT, TinyImage, Whiten
from featrec.encoders import BagOfWords, FisherVector, SpatialPyramid, ThresholdCode
from featrec.exceptions import InputError
from featrec.explanation import explain
from featrec.pairwise import HistogramKernel
from featrec.preprocessing import Augmented, PredictAugmented, Resize

SIFT = DenseSIFT(step=8, bin_sizes=4)
WORDS = BagOfWords(20, norm="hellinger", random_state=0)


@pytest.fixture(scope="module")
def images():
    """Three classes of textures, in colour and gray, of two sizes."""
    train, test = load_dataset("textures", n_train=12, n_test=4)
    return tuple(part[np.flatnonzero(np.isin(part.labels, ["brick", "grass", "print"]))] for part in (train, test))


@pytest.fixture(scope="module")
def two(images):
    """The same with two classes."""
    return tuple(part[np.flatnonzero(part.labels != "print")] for part in images)


def complete(model, part, tolerance=1e-5, **options):
    """Explain all images and compare sums with decisions; return the last explanation."""
    found = list(explain(model, part, **options))
    scale = max(abs(one.decision) for one in found)
    for one in found:
        assert abs(one.values.sum() + one.base_value - one.decision) <= tolerance * scale
        assert one.frames.shape == (len(one.values), 4)
        assert one.outlines.shape == (len(one.values), 4, 2)
        assert len(one.source) == len(one.names) == len(one.words) == len(one.values)
    return found[-1]


LINEAR = [
    LinearSVC(random_state=0),
    LogisticRegression(),
    LinearDiscriminantAnalysis(),
    RidgeClassifier(),
    WideLinearSVC(C=10),
    WideRidge(),
    OneVsRestClassifier(LinearSVC(random_state=0)),
    SVC(kernel="linear"),
    NuSVC(kernel="linear", nu=0.3),
    SVC(kernel=HistogramKernel()),
    OneVsRestClassifier(SVC(kernel=HistogramKernel())),
    KernelRidgeClassifier(kernel="linear"),
]
OTHERS = [
    (SVC(), "path"),
    (SVC(kernel=HistogramKernel("chi2")), "path"),
    (KernelRidgeClassifier(), "path"),
    (KernelRidgeClassifier(dtype="float16"), "path"),
    (NystroemRidgeClassifier(random_state=0), "path"),
    (RandomForestClassifier(10, random_state=0), "rules"),
    (DecisionTreeClassifier(random_state=0), "rules"),
    (KNeighborsClassifier(3), "neighbors"),
    (KNeighborsClassifier(3, metric="manhattan"), "neighbors"),
]


@pytest.mark.parametrize("head", LINEAR, ids=str)
def test_linear_classifiers_are_explained_exactly(images, two, head):
    for train, test in (images, two):
        model = make_pipeline(SIFT, SpatialPyramid(WORDS, levels=2), head).fit(train, train.labels)
        one = complete(model, test)
        assert one.exact
        assert one.method == "sum"
        assert [each.target for each in explain(model, test)] == model.predict(test).tolist()


@pytest.mark.parametrize("head", LINEAR[:6] + LINEAR[7:8], ids=str)
def test_the_decision_is_that_of_the_model(images, two, head):
    for train, test in (images, two):
        model = make_pipeline(SIFT, WORDS, head).fit(train, train.labels)
        if isinstance(head, SVC):
            model.set_params(svc__decision_function_shape="ovo")
        scores = model.decision_function(test)
        classes = model.classes_.tolist()
        for target in classes:
            decisions = [one.decision for one in explain(model, test, target)]
            if len(classes) == 2:
                expected = scores if target == classes[1] else -scores
            elif isinstance(head, SVC):  # the pairs are (0, 1), (0, 2), (1, 2)
                expected = scores @ np.array([[1, 1, 0], [-1, 0, 1], [0, -1, -1]])[classes.index(target)]
            else:
                expected = scores[:, classes.index(target)]
            np.testing.assert_allclose(decisions, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("head", "method"), OTHERS, ids=str)
def test_other_classifiers_are_explained_by_other_methods(images, two, head, method):
    for train, test in (images, two):
        model = make_pipeline(SIFT, WORDS, head).fit(train, train.labels)
        one = complete(model, test, 2e-3)
        assert one.method == method
        assert not one.exact
        if method == "rules":
            shares = model.predict_proba(test[-1:])[0]
            assert one.decision == pytest.approx(shares[model.classes_.tolist().index(one.target)])


def test_paths_begin_at_an_image_without_features(two):
    train, test = two
    model = make_pipeline(SIFT, WORDS, SVC()).fit(train, train.labels)
    one = complete(model, test, 2e-3, target="brick")
    assert one.base_value == pytest.approx(-model[-1].decision_function(np.zeros((1, 20)))[0], rel=1e-3)


def test_neighbours_are_named_with_their_distances(images):
    train, test = images
    model = make_pipeline(SIFT, WORDS, KNeighborsClassifier(3)).fit(train, train.labels)
    one = explain(model, test, ("brick", "grass"))[0]
    codes, code = model[:-1].transform(train), model[:-1].transform(test[:1])[0]
    assert [label for _, label, _ in one.neighbors] == ["brick"] * 3 + ["grass"] * 3
    for row, label, distance in one.neighbors:
        assert train.labels[row] == label
        assert distance == pytest.approx(((codes[row] - code) ** 2).sum(), rel=1e-4)
    distances = [distance for _, _, distance in one.neighbors]
    assert one.decision == pytest.approx(np.mean(distances[3:]) - np.mean(distances[:3]))


STEPS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    MinMaxScaler(),
    MaxAbsScaler(),
    RobustScaler(),
    Normalizer(),
    Normalizer("l1"),
    Normalizer("max"),
    PCA(6),
    PCA(6, whiten=True),
    TruncatedSVD(6),
    WidePCA(6, random_state=0),
    WideScaler(),
    WideScaler(power=0.5, epsilon=0.1, unit_length=True),
    SelectKBest(k=8),
    FunctionTransformer(),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_decisions_pass_through_scalers_norms_and_projections(images, step):
    train, test = images
    model = make_pipeline(SIFT, WORDS, step, StandardScaler(with_mean=False), LinearSVC(random_state=0))
    complete(model.fit(train, train.labels), test)
    forest = make_pipeline(SIFT, WORDS, step, DecisionTreeClassifier(random_state=0)).fit(train, train.labels)
    if isinstance(step, (PCA, TruncatedSVD, WidePCA)):
        return  # a rule about a direction is spread over the columns by their weights, see the next test
    complete(forest, test)


def test_unions_keep_their_parts_apart(images):
    train, test = images
    parts = [
        ("sift", make_pipeline(SIFT, RootSIFT(), Whiten(16, random_state=0), FisherVector(3, random_state=0))),
        ("patterns", make_pipeline(LBP(grids=((1, 1), (2, 2))), StandardScaler())),
        ("gradients", make_pipeline(Resize(32), HOG(pixels_per_cell=(8, 8)))),
        ("colours", ColorHistogram(bins=2)),
    ]
    union = FeatureUnion(parts, transformer_weights={"sift": 2.0, "colours": 0.5})
    one = complete(make_pipeline(union, Normalizer(), LinearSVC(random_state=0)).fit(train, train.labels), test)
    assert set(one.source) == {"sift", "patterns", "gradients", "colours"}
    assert np.isnan(one.outlines[one.source == "colours"]).all()
    assert (one.words[one.source == "sift"] >= 0).all()
    assert (one.words[one.source != "sift"] == -1).all()
    assert all(one.names[one.source == "colours"])


def test_wrapped_models_are_unwrapped(images):
    train, test = images
    plain = make_pipeline(SIFT, WORDS, LinearSVC(random_state=0)).fit(train, train.labels)
    expected = complete(plain, test, target="grass")
    search = GridSearchCV(plain, {"linearsvc__C": [1.0]}, cv=2).fit(train, train.labels)
    for model in (FrozenEstimator(plain), search):
        np.testing.assert_allclose(complete(model, test, target="grass").values, expected.values)
    for head in (
        Calibrated(LinearSVC(random_state=0), method="temperature"),
        CalibratedClassifierCV(LinearSVC(random_state=0), cv=3),
    ):
        model = make_pipeline(SIFT, WORDS, head).fit(train, train.labels)
        assert complete(model, test).target == model.predict(test)[-1]
    whole = CalibratedClassifierCV(plain, cv=2).fit(train, train.labels)
    one = complete(whole, test, target="grass")
    each = [explain(inner.estimator, test, "grass")[-1].decision for inner in whole.calibrated_classifiers_]
    assert one.decision == pytest.approx(np.mean(each))


def test_augmented_models_average_their_views(images):
    train, test = images
    inner = make_pipeline(SIFT, WORDS, LinearSVC(random_state=0))
    model = Augmented(inner, copies=1, flip="horizontal", views=2, random_state=0).fit(train, train.labels)
    one = complete(model, test)
    scores = model.decision_function(test[-1:])[0]
    assert one.decision == pytest.approx(scores[model.classes_.tolist().index(one.target)], rel=1e-5)
    assert len(one.values) == 3 * len(explain(model.model_, test)[-1].values)


def test_models_with_fixed_views_average_them(images):
    train, test = images
    inner = make_pipeline(SIFT, WORDS, LinearSVC(random_state=0))
    model = PredictAugmented(inner, rotate=5, translate=0.1).fit(train, train.labels)
    one = complete(model, test)
    scores = model.decision_function(test[-1:])[0]
    assert one.decision == pytest.approx(scores[model.classes_.tolist().index(one.target)], rel=1e-5)
    assert len(one.values) == 14 * len(explain(model.model_, test)[-1].values)


@pytest.mark.parametrize("method", ["confidence", "distance"])
def test_models_that_reject_are_explained_by_the_class_without_rejection(images, method):
    train, test = images
    inner = make_pipeline(SIFT, WORDS, LinearSVC(random_state=0))
    model = RejectUnknown(inner, method=method, coverage=0.5, random_state=0).fit(train, train.labels)
    review = model.review(test)
    assert not review.accepted.all()
    for one, expected, label in zip(explain(model, test), explain(model.model_, test), review.most_likely, strict=True):
        assert (one.target, one.decision) == (expected.target, expected.decision)
        assert one.target == label


def test_places_are_those_of_the_users_image(rng):
    """A blot that decides lies where the largest contribution is, after resizing, and in either half of mirrored patches."""
    images = [np.full((60, 90), 128, np.uint8) for _ in range(40)]
    for i, image in enumerate(images):
        image[:] += rng.integers(0, 9, image.shape, dtype=np.uint8)
        if i % 2:
            image[36:44, 60:70] = 255
    labels = np.array(["plain", "blot"] * 20)
    models = [
        make_pipeline(Resize((30, 45)), TinyImage(size=(15, 15)), RidgeClassifier()),
        make_pipeline(
            Resize((30, 45)), HOG(pixels_per_cell=(5, 5), cells_per_block=(1, 1), block_norm="L1"), LinearSVC(random_state=0)
        ),
        make_pipeline(
            Resize(48, mode="pad"), DenseSIFT(step=3, bin_sizes=2), BagOfWords(8, random_state=0), LinearSVC(random_state=0)
        ),
        make_pipeline(
            Resize((30, 45)),
            Patches(size=6, stride=2, mirror=True),
            SpatialPyramid(ThresholdCode(8, random_state=0), levels=[(1, 2)]),
            WideRidge(),
        ),
    ]
    for model in models:
        one = explain(model.fit(images, labels), images, "blot")[1]
        x, y = one.frames[one.values.argmax(), :2]
        assert 48 <= x <= 82, model
        assert 24 <= y <= 56, model


def test_mirrored_patches_lie_in_the_image(rng):
    image = np.zeros((20, 30), np.uint8)
    image[:, :10] = 200
    model = make_pipeline(Patches(size=6, stride=6, mirror=True), BagOfWords(2, random_state=0), LinearSVC(random_state=0))
    one = explain(model.fit([image, 255 - image] * 3, ["a", "b"] * 3), [image])[0]
    half = len(one.values) // 2
    assert sorted(one.frames[:half, 0]) == pytest.approx(sorted(29 - one.frames[half:, 0]))


def test_occlusion_explains_any_model(images):
    train, test = images
    model = make_pipeline(TinyImage(), GradientBoostingClassifier(n_estimators=5, random_state=0)).fit(train, train.labels)
    one = explain(model, test, "brick", method="occlusion", blocks=4)[0]
    hidden = test[0].copy()
    hidden[:16, :16] = np.rint(hidden.mean())
    scores = model.decision_function([test[0], hidden])[:, 0]
    assert one.decision == pytest.approx(scores[0])
    assert one.values[0] == pytest.approx(scores[0] - scores[1])
    assert one.outlines[0].tolist() == [[-0.5, -0.5], [15.5, -0.5], [15.5, 15.5], [-0.5, 15.5]]
    assert not one.exact


def test_targets_are_a_class_a_pair_or_one_class_per_image(images):
    train, test = images
    model = make_pipeline(SIFT, WORDS, LinearSVC(random_state=0)).fit(train, train.labels)
    scores = model.decision_function(test)
    pair = explain(model, test, ("print", "brick"))
    np.testing.assert_allclose([one.decision for one in pair], scores[:, 2] - scores[:, 0], rtol=1e-6)
    assert pair[0].target == ("print", "brick")
    assert [one.target for one in explain(model, test, test.labels)] == test.labels.tolist()
    assert [one.target for one in explain(model, test, test.labels)[3:5]] == test.labels[3:5].tolist()
    for target, message in [
        ("moon", "target 'moon' is not a class of the model; its classes are 'brick', 'grass', 'print'"),
        (("brick",), "a pair as target must consist of two classes"),
        (("brick", "brick"), "two different classes"),
        (["brick"], f"got 1 classes for {len(test)} images"),
    ]:
        with pytest.raises(InputError, match=message):
            explain(model, test, target)


def test_an_image_without_features_has_only_a_base_value(images):
    train, _ = images
    model = make_pipeline(SIFT, WORDS, LinearSVC(random_state=0)).fit(train, train.labels)
    one = explain(model, [np.zeros((4, 4), np.uint8)])[0]
    assert len(one.values) == 0
    assert one.decision == pytest.approx(one.base_value)


class Foreign(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X

    def __sklearn_is_fitted__(self):
        return True


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((SIFT, WORDS, Foreign(), LinearSVC()), "Foreign cannot be explained"),
        ((SIFT, Foreign(), WORDS, LinearSVC()), None),
        ((Foreign(), SIFT, WORDS, LinearSVC()), "step 'foreign' .Foreign. cannot be explained"),
        ((SIFT, WORDS, FunctionTransformer(np.sqrt), LinearSVC()), "FunctionTransformer.sqrt. cannot be explained"),
        ((SIFT, WORDS, GradientBoostingClassifier(n_estimators=2)), "GradientBoostingClassifier cannot be explained"),
        ((SIFT, WORDS, SVC(kernel="poly")), "with kernel='poly' cannot be explained"),
        ((SIFT, WORDS, KNeighborsClassifier(metric="cosine")), "with metric='cosine' cannot be explained"),
        ((SIFT, WORDS, PCA(4), DecisionTreeClassifier(max_depth=2)), None),
    ],
    ids=str,
)
def test_foreign_steps_are_named_with_the_way_out(images, steps, message):
    train, test = images
    model = make_pipeline(*steps).fit(train, train.labels)
    if message is None:
        explain(model, test)[0]
        return
    with pytest.raises(InputError, match=message) as error:
        explain(model, test)[0]
    assert 'method="occlusion"' in str(error.value)
    assert np.isfinite(explain(model, test[:1], method="occlusion", blocks=2)[0].values).all()


def test_models_that_are_no_fitted_pipelines_are_refused(images):
    train, _ = images
    with pytest.raises(InputError, match="LinearSVC cannot be explained: explain needs a Pipeline"):
        explain(LinearSVC().fit(np.eye(3), ["a", "b", "c"]), train[:1])[0]
    with pytest.raises(InputError, match='method must be "auto" or "occlusion"'):
        explain(make_pipeline(SIFT, WORDS, LinearSVC()).fit(train, train.labels), train, method="shap")


def test_the_image_is_named_in_errors(images, tmp_path):
    train, _ = images
    model = make_pipeline(SIFT, WORDS, LinearSVC()).fit(train, train.labels)
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(Exception, match=r"image 1 .*bad\.png"):
        explain(model, [train[0], tmp_path / "bad.png"])[1]


def test_frames_of_several_images_have_one_row_per_part(images):
    train, test = images
    model = make_pipeline(SIFT, WORDS, LinearSVC()).fit(train, train.labels)
    explanation = explain(model, test)[[2, 0]]
    table = explanation.to_frame()
    assert table.columns.tolist() == ["image", "source", "name", "word", "value", "x", "y", "diameter", "angle"]
    assert table["image"].unique().tolist() == [2, 0]
    assert table.groupby("image")["value"].sum().tolist() == pytest.approx(
        [explanation[1].values.sum(), explanation[0].values.sum()]
    )
