"""The how-to page about networks that are trained here."""

import hashlib
import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")
from tests.networks.tiny_modules import noise, timm_or_none  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how_to" / "networks_trained_here.py"


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("networks_trained_here", PAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is not installed: the extra torch")
def test_a_network_from_scratch(page):
    (X, y), (unseen, expected) = noise(60, size=20), noise(30, size=24, seed=1)
    model = page.from_scratch(epochs=12, batch_size=16).fit(X, y)
    loaded, n_bytes = page.saved_and_loaded(model)
    assert loaded.score(unseen, expected) > 0.9
    assert 1000 < n_bytes < 100_000


def test_the_last_layer_of_a_trained_network(page, tmp_path):
    timm = timm_or_none()
    if timm is None:
        pytest.skip("timm is not installed")
    X, y = noise(12, size=32, channels=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = timm.create_model("efficientnet_lite0").state_dict()
    path = tmp_path / "net.pth"
    torch.save({f"other.{name}": value for name, value in state.items()}, path)
    model = page.fine_tuned(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), size=32).fit(X, y)
    loaded, _ = page.saved_and_loaded(model)
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()
    assert model.trained_ == ["classifier"]
    assert page.fine_tuned(path).sha256.startswith("5793")
