import json

import numpy as np
import pytest

from benchmarks import robustness as bench
from featrec.datasets import load_dataset
from featrec.evaluation import robustness


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(bench, "MODELS", {"tiny": ("tiny_knn", {}), "tiny, 8 pixels": ("tiny_knn", {"size": [8, 8]})})
    monkeypatch.setattr(bench, "load_dataset", lambda name: load_dataset("shapes", n_train=80, n_test=40))


def test_rows_are_kept_resumed_and_joined(small, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    arguments = ["--out", str(out), "--n-train", "40", "--n-test", "16", "--corruption", "fog", "--corruption", "rotation"]
    bench.main([*arguments, "--only", "tiny"])
    first = out.read_text()
    bench.main(arguments)
    assert out.read_text().startswith(first)
    rows = bench.read(out)
    assert [row["title"] for row in rows] == ["tiny", "tiny, 8 pixels"]
    assert {"versions", "machine", "commit", "date", "fit_seconds"} <= set(rows[0])
    text = capsys.readouterr().out
    assert text.count("fitted in") == 2
    assert "highest mean accuracy under corruption" in text

    train, test = load_dataset("shapes", n_train=80, n_test=40)
    train, test = train[bench.drawn(train.labels, 40, 0)], test[bench.drawn(test.labels, 16, 0)]
    models = {title: bench.model(title, 1).fit(train, train.labels) for title in bench.MODELS}
    expected = robustness(
        models, test, test.labels, corruptions=["fog", "rotation"], severities=bench.SEVERITIES, random_state=0
    )
    found = bench.joined(rows)
    assert json.loads(found.to_json())["results"] == json.loads(expected.to_json())["results"]
    assert str(found) == str(expected)


def test_drawn_images_are_stratified():
    labels = np.repeat(["a", "b"], [30, 50])
    rows = bench.drawn(labels, 20, 0)
    assert (np.diff(rows) > 0).all()
    assert np.unique(labels[rows], return_counts=True)[1].tolist() == [10, 10]


@pytest.mark.parametrize("title", list(bench.MODELS))
def test_models_can_be_made(title, monkeypatch):
    monkeypatch.setenv("FEATREC_DATA", "somewhere")
    model = bench.model(title, 2)
    assert hasattr(model, "fit")
    assert "$" not in str(model)
