"""check: whether explanations are complete and faithful, on images whose objects are known."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec import recipes
from featrec.datasets import load_dataset
from featrec.descriptors import HOG, ColorHistogram
from featrec.exceptions import InputError
from featrec.explanation import check, explain
from featrec.explanation._check import SHARES
from featrec.preprocessing import Resize

MODELS = {
    "bovw_svm": recipes.bovw_svm(n_words=100, levels=2),
    "fisher_svm": recipes.fisher_svm(n_words=8, n_dimensions=16, bin_sizes=(4, 6)),
    "linear HOG": make_pipeline(Resize(64), HOG(), LinearSVC(random_state=0, C=0.1)),
}


@pytest.fixture(scope="module")
def shapes():
    train, test = load_dataset("shapes")
    return train[::2], test[::8]


@pytest.fixture(scope="module", params=MODELS)
def model(request, shapes):
    train, _ = shapes
    return MODELS[request.param].fit(train, train.labels)


@pytest.mark.slow
def test_explanations_are_faithful(model, shapes):
    _, test = shapes
    found = check(model, test, masks=test.masks)
    assert found.errors.max() <= 1e-4 * found.scale
    assert found.wins(0.1) >= 0.95
    rate, low, high = found.hit_rate
    assert low <= rate <= high
    assert low > found.object_shares.mean() > np.mean([mask.mean() for mask in test.masks])
    assert "deletion of a tenth: lower than random in" in str(found)


def test_curves_begin_with_the_image_and_end_without_its_parts(shapes):
    train, test = shapes
    model = recipes.bovw_svm(n_words=20, levels=2).fit(train[::3], train.labels[::3])
    found, explanation = check(model, test[:3], n_repeats=1), explain(model, test[:3])
    for at, one in enumerate(explanation):
        assert found.deletion[at, 0] == found.insertion[at, -1] == pytest.approx(one.decision)
        # Without descriptors, the code is zero.
        assert found.deletion[at, -1] == found.insertion[at, 0] == pytest.approx(one.base_value, abs=1e-6)
        # A share of the descriptors is deleted from the Bag.
        steps, order = model[:-1], np.argsort(-one.values, kind="stable")
        bag = steps[0].transform(test[at : at + 1])[0]
        kept = np.sort(order[round(SHARES[2] * len(order)) :])
        part = type(bag)(bag.descriptors[kept], bag.frames[kept], bag.size)
        head = model[-1].set_params(decision_function_shape="ovo")
        scores = head.decision_function(steps[1].transform([part]))[0]
        position, k = model.classes_.tolist().index(one.target), len(model.classes_)
        pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
        expected = sum(score * ((i == position) - (j == position)) for score, (i, j) in zip(scores, pairs, strict=True))
        assert found.deletion[at, 2] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_labels_that_are_shuffled_give_other_explanations(shapes):
    train, test = shapes
    model = make_pipeline(Resize(32), HOG(), LinearSVC(random_state=0)).fit(train, train.labels)
    found = check(model, test[:4], training_set=(train, train.labels), n_repeats=1)
    assert np.abs(found.shuffled).max() < 0.6
    assert np.median(found.shuffled) < 0.5
    same = check(model, test[:2], training_set=(train, train.labels), n_repeats=1, random_state=0)
    again = check(model, test[:2], training_set=(train, train.labels), n_repeats=1, random_state=0)
    np.testing.assert_array_equal(same.random_deletion, again.random_deletion)


def test_parts_without_a_place_are_never_deleted(shapes):
    train, test = shapes
    model = make_pipeline(ColorHistogram(bins=2), LinearSVC(random_state=0)).fit(train, train.labels)
    found = check(model, test[:2], masks=test[:2].masks)
    assert (found.deletion == found.deletion[:, :1]).all()
    assert not found.hits.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": [np.ones((9, 9), bool)] * 2}, r"a mask must be a bool array of the image's shape \(96, 96\)"),
        ({"masks": [np.ones((96, 96), bool)]}, "got 1 masks and 2 images"),
        ({"n_repeats": 0}, "n_repeats must be"),
    ],
)
def test_bad_input(shapes, options, message):
    train, test = shapes
    model = make_pipeline(Resize(32), HOG(), LinearSVC(random_state=0)).fit(train, train.labels)
    with pytest.raises(InputError, match=message):
        check(model, test[:2], **options)
    with pytest.raises(InputError, match="at least one image"):
        check(model, [])
    with pytest.raises(InputError, match="share must be one of"):
        check(model, test[:1]).wins(0.15)
    with pytest.raises(InputError, match="there is no pointing game without masks"):
        _ = check(model, test[:1]).hit_rate
