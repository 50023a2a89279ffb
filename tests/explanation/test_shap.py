"""Explanations in the plots of shap; skipped where shap is not installed."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords
from featrec.exceptions import InputError, MissingExtraError
from featrec.explanation import explain

mpl.use("Agg")


@pytest.fixture(scope="module")
def explanation():
    train, test = load_dataset("textures", n_train=5, n_test=2)
    model = make_pipeline(DenseSIFT(step=8), BagOfWords(12, random_state=0), LinearSVC(random_state=0))
    return explain(model.fit(train, train.labels), list(test), "brick")


def test_without_shap_the_error_says_what_to_install(explanation, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    for found in (explanation, explanation[0]):
        with pytest.raises(MissingExtraError, match="to_shap needs the package shap; pip install shap"):
            found.to_shap()


@pytest.fixture
def shap():
    return pytest.importorskip("shap")


def test_rows_add_up_to_decisions(explanation, shap):
    table = explanation[:5].to_shap()
    decisions = [item.decision for item in explanation[:5]]
    np.testing.assert_allclose(table.values.sum(axis=1) + table.base_values, decisions, rtol=1e-5)
    first, parts = explanation[0].to_shap(), explanation[0].to_shap("part")
    for found in (first, parts):
        assert found.values.sum() + found.base_values == pytest.approx(explanation[0].decision)
    assert first.data.sum() == len(explanation[0].values) == len(parts.values)
    row = dict(zip(table.feature_names, table.values[0], strict=True))
    assert {name: row[name] for name in first.feature_names} == dict(zip(first.feature_names, first.values, strict=True))
    with pytest.raises(InputError, match='by must be "word" or "part"'):
        explanation[0].to_shap("place")


@pytest.mark.filterwarnings("ignore")
def test_plots_draw(explanation, shap):
    import matplotlib.pyplot as plt

    table, first, parts = explanation.to_shap(), explanation[0].to_shap(), explanation[0].to_shap("part")
    plots = shap.plots
    for plot, found in (
        (plots.waterfall, first),
        (plots.waterfall, parts),
        (plots.bar, first),
        (plots.bar, table),
        (plots.beeswarm, table),
        (plots.heatmap, table),
    ):
        plot(found, show=False)
        assert plt.gcf().axes
        plt.close("all")
    plots.force(first, matplotlib=True, show=False)
    assert plt.gcf().axes
    plt.close("all")
