"""WidePCA against scikit-learn's PCA."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from featrec.classifiers import WidePCA, _wide_pca as module
from featrec.exceptions import InputError
from featrec.persistence import load, save


def codes(n=120, d=300, seed=0):
    random = np.random.default_rng(seed)
    turned = np.linalg.qr(random.normal(size=(d, d)))[0]
    return (random.normal(size=(n, d)) * 0.97 ** np.arange(d) @ turned + 3).astype(np.float32)


@pytest.fixture
def small_pieces(monkeypatch):
    """Use several tiles and pieces, and subspace iteration for small matrices."""
    monkeypatch.setattr(module, "TILE", 50)
    monkeypatch.setattr(module, "COLUMNS", 64)
    monkeypatch.setattr(module, "ROWS", 32)
    monkeypatch.setattr(module, "SMALL", 10)


@pytest.mark.parametrize("shape", [(120, 300), (300, 60)])
def test_components_are_those_of_scikit_learn(small_pieces, shape):
    X, Z = codes(*shape), codes(50, shape[1], 1)
    peer = PCA(20).fit(X.astype(np.float64))
    model = WidePCA(20, turn=False, random_state=0).fit(X)
    expected = peer.transform(Z)
    found = model.transform(Z) * np.sign(np.sum(model.components_ * peer.components_, axis=1))
    assert model.n_components_ == 20
    assert model.explained_variance_ratio_ == pytest.approx(peer.explained_variance_ratio_.sum(), abs=0.01)
    # Subspace iteration is more precise for the leading components.
    np.testing.assert_allclose(found[:, :5], expected[:, :5], atol=0.02 * expected.std())


@pytest.mark.parametrize("dtype, error", [("float32", 1e-4), ("int8", 0.03)])
def test_a_rotation_keeps_distances_and_equalises_variances(dtype, error):
    X = codes()
    plain = WidePCA(30, turn=False, random_state=0).fit_transform(X)
    turned = WidePCA(30, dtype=dtype, random_state=0).fit_transform(X)
    np.testing.assert_allclose(pdist(turned), pdist(plain), rtol=error)
    assert turned.std(axis=0).max() < 3 * turned.std(axis=0).min()
    assert plain.std(axis=0).max() > 3 * plain.std(axis=0).min() / 2


def test_bytes_take_a_quarter_and_come_back_from_a_file(tmp_path):
    X = codes()
    model = WidePCA(30, dtype="int8", random_state=0).fit(X)
    assert model.components_.dtype == np.int8
    assert np.abs(model.components_).max() == 127
    save(model, tmp_path / "model.featrec")
    np.testing.assert_array_equal(load(tmp_path / "model.featrec").transform(X), model.transform(X))


def test_it_learns_from_some_rows_only():
    X = codes(200)
    X[100:] = np.nan_to_num(X[100:])
    some = WidePCA(10, max_rows=80, random_state=0).fit(X)
    again = WidePCA(10, max_rows=80, random_state=0).fit(X)
    other = WidePCA(10, max_rows=80, random_state=1).fit(X)
    np.testing.assert_array_equal(some.components_, again.components_)
    assert np.abs(some.components_ - other.components_).max() > 0.01


def test_there_are_no_more_components_than_the_rows_span():
    X = codes(12)
    model = WidePCA(1000, random_state=0).fit(X)
    assert model.n_components_ == 11
    assert model.transform(X).shape == (12, 11)
    assert model.explained_variance_ratio_ == pytest.approx(1, abs=1e-5)
    flat = WidePCA(1000, random_state=0).fit(np.ones((5, 9), np.float32))
    np.testing.assert_allclose(flat.transform(np.ones((2, 9), np.float32)), 0, atol=1e-5)


def test_memory_is_shown_and_compared_with_the_machine(capsys, monkeypatch):
    X = codes()
    model = WidePCA(10, random_state=0, verbose=1).fit(X)
    shown = f"WidePCA of 120 codes: {model.memory_needed(120, 300) / 1e9:.3g} GB of memory"
    assert shown in capsys.readouterr().err
    monkeypatch.setattr("featrec.classifiers._codes_classifier._physical", lambda: 10_000)
    with pytest.raises(InputError, match=r"WidePCA of 120 codes needs .*; use a smaller max_rows"):
        model.fit(X)
