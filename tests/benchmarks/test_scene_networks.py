import json

import numpy as np

from benchmarks import scene_networks
from featrec.evaluation import compare


def test_rows_and_table(monkeypatch):
    labels = np.resize(["a", "b"], 60)
    models = {"Lite0 pooled": labels[::-1].copy(), "Lite0 pooled + Fisher": labels.copy()}
    found = compare(models, np.zeros((60, 4, 4), np.uint8), labels, test=(np.zeros((60, 4, 4), np.uint8), labels))
    first, second = [row | {"width": 1280, "n_bytes": 1_000_000} for row in scene_networks.rows(json.loads(found.to_json()))]
    assert (first["name"], first["accuracy"], second["accuracy"]) == ("Lite0 pooled + Fisher", 1.0, 0.0)
    text = scene_networks.table([first, second])
    assert "| Lite0 pooled + Fisher | 100.00 (93.98 to 100.00) | 1,280 | 1.0 |" in text
    assert "- Lite0 pooled + Fisher against Lite0 pooled: +100.00 points, p = 0.000 (McNemar, Holm)" in text


def test_every_model_is_a_union_of_known_parts(tmp_path):
    for number in (0, 2):
        (tmp_path / f"efficientnet-lite{number}-0.pth").write_bytes(b"")
    made = dict(scene_networks.models(tmp_path, tmp_path / "cache", 1))
    assert made.keys() == scene_networks.MODELS.keys()
    union = made["Lite0 pooled + Fisher + SIFT Fisher"][0]
    assert [name for name, _ in union.transformer_list] == ["pooled 0", "fisher 0", "sift"]
