"""Several penalties from one factor against a solve for each."""

import numpy as np
import pytest

from featrec.classifiers._penalties import best, checked, middle, solutions, stratified_order
from featrec.exceptions import InputError

EXACT = 1e-4  # relative error that is promised


@pytest.mark.parametrize("ratio", [1 / 16, 1 / 8, 1 / 4, 1, 2, 8, 16])
@pytest.mark.parametrize("decay", [0.5, 2.0, 6.0])
def test_solutions_for_other_penalties_than_the_factored_one(ratio, decay):
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.normal(size=(80, 80)))[0]
    matrix = (directions * 300 * np.exp(-decay * np.arange(80) / 8)) @ directions.T
    b, factored = random.normal(size=(80, 3)), 0.05
    inverse = np.linalg.inv(matrix + factored * np.eye(80))
    (found,) = solutions(lambda x: inverse @ x, b, factored, [ratio * factored])
    expected = np.linalg.solve(matrix + ratio * factored * np.eye(80), b)
    assert np.linalg.norm(found - expected) <= EXACT * np.linalg.norm(expected)


def test_all_penalties_share_the_solves():
    asked = []

    def solve(b):
        asked.append(1)
        return b / 1.5

    found = solutions(solve, np.ones((4, 1)), 0.5, [0.0625, 0.125, 0.5, 4.0])
    np.testing.assert_allclose([x[0, 0] for x in found], [1 / 1.0625, 1 / 1.125, 1 / 1.5, 1 / 5], rtol=1e-5)
    assert len(asked) <= 20
    asked.clear()
    solutions(solve, np.ones((4, 1)), 0.5, [0.5])
    assert len(asked) == 1


def test_middle_is_geometric():
    assert middle([0.01, 0.5, 0.04]) == pytest.approx(np.sqrt(0.005))
    assert middle([0.3]) == 0.3


def test_penalties_are_a_tuple_of_numbers():
    assert checked(1) == (1.0,)
    assert checked(np.array([0.1, 0.2])) == (0.1, 0.2)
    assert checked([1.0, 256.0]) == (1.0, 256.0)


def test_penalties_too_far_apart():
    with pytest.raises(InputError, match=r"alphas from 0.01 to 3 are too far apart.*at most 256|may be 256 times"):
        checked([0.01, 3.0])


def test_both_ends_of_the_order_have_the_classes_shares():
    labels = np.random.default_rng(0).choice(3, size=1000, p=[0.7, 0.25, 0.05])
    order = stratified_order(labels, 0)
    assert sorted(order) == list(range(1000))
    for part in (order[:100], order[-100:]):
        np.testing.assert_allclose(np.bincount(labels[part]) / 100, np.bincount(labels) / 1000, atol=0.02)
    assert (order != stratified_order(labels, 1)).any()
    np.testing.assert_array_equal(order, stratified_order(labels, 0))


def test_a_single_row_of_a_class_is_not_held_out():
    labels = np.array([0] * 50 + [1])
    assert 50 not in stratified_order(labels, 0)[-5:]


def test_most_right_answers_win_and_then_the_least_error():
    labels, wanted = np.array([0, 1]), np.eye(2)
    wrong, far, near = wanted[::-1], 5 * wanted, 1.1 * wanted
    chosen, shares = best([wrong, far, near], wanted, labels)
    assert chosen == 2
    np.testing.assert_array_equal(shares, [0, 1, 1])


def test_one_column_is_two_classes():
    chosen, shares = best([np.array([[1.0], [1.0]]), np.array([[-1.0], [1.0]])], np.array([[-1.0], [1.0]]), np.array([0, 1]))
    assert chosen == 1
    np.testing.assert_array_equal(shares, [0.5, 1])
