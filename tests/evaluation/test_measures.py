"""Intervals, tests and measures agree with scikit-learn, SciPy, statsmodels, autorank, exact tables and worked examples."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, f, friedmanchisquare, t, ttest_1samp
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, precision_recall_fscore_support

from featrec.evaluation._datasets_comparison import critical_difference, friedman
from featrec.evaluation._measures import (
    Resampling,
    balanced_accuracy,
    class_measures,
    confusion_counts,
    holm,
    mcnemar,
    paired_interval,
    wilson_interval,
)

# AUC of four variants of C4.5 on 14 datasets, of Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR
# 2006, table 6. The tests below repeat the results of its section 3.2.4.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.97501, 0.975],  # printed as equal, but ranked 2 and 3
        [0.957, 0.978, 0.946, 0.970],
    ]
)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (880, 1000)])
def test_wilson_interval_equals_that_of_scipy(n_right, n, confidence):
    expected = binomtest(n_right, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(n_right, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def _labels(kind, seed):
    random = np.random.default_rng(seed)
    names = np.array(["ash", "birch", "cedar", "dogwood", "elm"]) if kind == "strings" else np.array([3, 5, 8, 13, 21])
    y_true = names[random.integers(0, 4, 200)]
    guesses = names[random.integers(1, 5, 200)]
    return names, y_true, np.where(random.random(200) < 0.6, y_true, guesses)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["strings", "ints"])
def test_class_measures_equal_those_of_scikit_learn(kind, seed):
    classes, y_true, y_pred = _labels(kind, seed)
    confusion = confusion_counts(y_true, y_pred, classes)
    assert np.array_equal(confusion, confusion_matrix(y_true, y_pred, labels=classes))
    measures = class_measures(confusion)
    expected = precision_recall_fscore_support(y_true, y_pred, labels=classes, zero_division=0)
    for found, wanted in zip(measures, expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-12)
    known = np.isin(y_pred, y_true)
    y_pred = np.where(known, y_pred, y_true)
    measures = class_measures(confusion_counts(y_true, y_pred, classes))
    assert balanced_accuracy(measures) == pytest.approx(balanced_accuracy_score(y_true, y_pred), abs=1e-12)


def test_a_class_without_predictions_or_images_has_zeros():
    measures = class_measures(np.array([[3, 0, 0], [2, 0, 0], [0, 0, 0]]))
    assert measures.precision.tolist() == [0.6, 0.0, 0.0]
    assert measures.recall.tolist() == [1.0, 0.0, 0.0]
    assert balanced_accuracy(measures) == 0.5


@pytest.mark.parametrize(("b", "c"), [(0, 0), (5, 5), (0, 6), (3, 17), (120, 80)])
def test_mcnemar_equals_the_binomial_sum(b, c):
    n, low = b + c, min(b, c)
    expected = min(1.0, 2 * sum(math.comb(n, k) for k in range(low + 1)) / 2**n)
    assert mcnemar(b, c) == pytest.approx(expected)
    assert mcnemar(c, b) == mcnemar(b, c)


def test_holm_correction():
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([0.2])) == pytest.approx([0.2])
    assert len(holm(np.array([]))) == 0


def test_holm_and_mcnemar_equal_those_of_statsmodels(rng):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    p_values = rng.random(12) ** 3
    assert holm(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1], abs=1e-12)
    for b, c in rng.integers(0, 40, (20, 2)):
        assert mcnemar(b, c) == pytest.approx(tables.mcnemar([[50, b], [c, 50]], exact=True).pvalue, abs=1e-12)


def test_the_paired_interval_contains_the_true_difference_as_often_as_it_says(rng):
    p_first, p_second, n = 0.12, 0.06, 150
    counts = rng.multinomial(n, [p_first, p_second, 1 - p_first - p_second], 4000)
    hits = [low <= p_first - p_second <= high for b, c, _ in counts for low, high in [paired_interval(b, c, n, 0.95)]]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_the_paired_interval_of_a_worked_example():
    """Adjusted Wald: (9 + 1 - 3 - 1) / 42 plus and minus z * sqrt((10 + 4) / 42 - (6 / 42) ** 2) / sqrt(42)."""
    half = 1.959964 * math.sqrt((14 / 42 - (6 / 42) ** 2) / 42)
    assert paired_interval(9, 3, 40, 0.95) == pytest.approx((6 / 42 - half, 6 / 42 + half), abs=1e-6)


def test_without_shared_images_the_corrected_test_is_the_t_test_of_scipy(rng):
    differences = rng.normal(0.02, 0.03, 12)
    expected = ttest_1samp(differences, 0)
    assert Resampling(0.0).p(differences) == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.9)
    assert Resampling(0.0).interval(differences, 0.9) == pytest.approx((interval.low, interval.high))


def test_the_corrected_test_equals_the_formula_of_nadeau_and_bengio(rng):
    """Their statistic is the uncorrected t divided by sqrt(1 + J * n_test / n_train)."""
    differences = rng.normal(0.02, 0.03, 15)
    plain = ttest_1samp(differences, 0).statistic
    expected = 2 * t.sf(abs(plain) / math.sqrt(1 + 15 * 30 / 270), 14)
    assert Resampling(30 / 270).p(differences) == pytest.approx(expected)
    assert Resampling(30 / 270).p(-differences) == pytest.approx(expected)


def test_the_corrected_interval_covers_where_the_plain_one_does_not():
    """Means of random subsets of a training sample: the plain interval is far too short, the corrected one is not."""
    rng = np.random.default_rng(0)
    hits = {0.0: 0, 1 / 9: 0}
    for _ in range(300):
        sample = rng.normal(size=100)
        values = np.array([rng.choice(sample, 10, replace=False).mean() for _ in range(100)])
        for ratio in hits:
            low, high = Resampling(ratio).interval(values, 0.95)
            hits[ratio] += low <= 0 <= high
    assert hits[0.0] < 0.8 * 300
    assert hits[1 / 9] > 0.9 * 300


def test_equal_differences_have_the_p_value_of_the_sign_test():
    assert Resampling(0.2).p(np.zeros(5)) == 1.0
    assert Resampling(0.2).p(np.full(5, 0.1)) == pytest.approx(binomtest(5, 5).pvalue)


def test_friedman_of_the_worked_example_of_demsar():
    found = friedman(DEMSAR)
    assert found.mean_ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert 12 * 14 / 20 * ((found.mean_ranks**2).sum() - 4 * 25 / 4) == pytest.approx(9.28, abs=0.02)  # without ties
    assert critical_difference(4, 14, 0.90) == pytest.approx(1.12, abs=5e-3)
    assert critical_difference(4, 14, 0.95) == pytest.approx(1.25, abs=5e-3)
    assert found.p < 0.05


def test_the_statistic_equals_that_of_scipy(rng):
    for shape in ((6, 3), (9, 5), (12, 4)):
        accuracies = np.round(rng.random(shape), 1)  # with ties
        expected = friedmanchisquare(*accuracies.T)
        found = friedman(accuracies)
        assert (found.chi2, found.p_chi2) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize(("k", "n", "statistic", "expected"), [
    (3, 3, 6.0, 0.028), (3, 4, 6.5, 0.042), (3, 4, 8.0, 0.0046), (4, 2, 6.0, 0.042), (4, 3, 7.4, 0.033), (4, 3, 9.0, 0.0017),
])  # fmt: skip
def test_p_values_of_few_datasets_equal_the_exact_table(rng, k, n, statistic, expected):
    """Values of Friedman's table (1937)."""
    for _ in range(20_000):
        ranks = np.array([rng.permutation(k) for _ in range(n)])
        spread = 12 / (n * k * (k + 1)) * ((ranks.sum(axis=0) - n * (k - 1) / 2) ** 2).sum()
        if abs(spread - statistic) < 0.01:
            assert friedman(-ranks).p == pytest.approx(expected, abs=6e-4)
            return
    pytest.fail("no ranks have this statistic")


def test_p_of_many_datasets_is_that_of_iman_and_davenport():
    """Demsar gives F(3, 39) = 3.69 for 9.28, without the correction for ties."""
    uncorrected = 13 * 9.28 / (14 * 3 - 9.28)
    assert uncorrected == pytest.approx(3.69, abs=5e-3)
    found = friedman(DEMSAR)
    assert found.p == pytest.approx(f.sf(13 * found.chi2 / (14 * 3 - found.chi2), 3, 39))


def test_the_same_order_on_all_datasets():
    few, many = (np.tile([0.9, 0.8, 0.7], (n, 1)) for n in (2, 12))
    assert friedman(few).p == pytest.approx(1 / 6)
    assert friedman(many).p == pytest.approx(6.0**-11)
    assert friedman(np.full((5, 3), 0.5)).p == 1.0


def test_critical_differences_equal_those_of_autorank():
    """autorank reports the critical difference of Nemenyi's test."""
    autorank = pytest.importorskip("autorank")
    pandas = pytest.importorskip("pandas")
    found = autorank.autorank(pandas.DataFrame(DEMSAR), alpha=0.05, verbose=False, force_mode="nonparametric")
    assert found.cd == pytest.approx(critical_difference(4, 14, 0.95), abs=1e-3)
    assert sorted(found.rankdf["meanrank"]) == pytest.approx(sorted(friedman(DEMSAR).mean_ranks))
    assert found.pvalue == pytest.approx(friedman(DEMSAR).p_chi2)
