"""FineTuned: its head against scikit-learn, what is trained, preprocessing, weights, model files and errors."""

import copy
import hashlib
import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from featrec.exceptions import InputError, MissingExtraError
from featrec.networks import FineTuned
from featrec.persistence import load, save

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")
from featrec.networks._fine_tuning import find_head, parts_before  # noqa: E402
from tests.networks import tiny_modules  # noqa: E402
from tests.networks.tiny_modules import Blocks  # noqa: E402
from tests.tiny_network import noise  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how_to" / "networks_trained_here.py"
HALF = {"mean": 127.5, "scale": 1 / 127.5, "color_order": "rgb"}


def pretrained(kind=Blocks):
    """A module with fixed random weights, and statistics of its batch normalisation as after training."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        module = kind()
        module.train()(torch.randn(64, 3, 16, 16))
    return module.eval()


def tuned(model=None, **options):
    model = pretrained() if model is None else model
    options = {"preprocessing": HALF, "size": 16, "epochs": 2, "batch_size": 12, "random_state": 0, "device": "cpu"} | options
    return FineTuned(model, **options)


@pytest.fixture(scope="module")
def weights(timm, tmp_path_factory):
    """Weights of timm's test_resnet, as a file of torch and as safetensors."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        state = timm.create_model("test_resnet").state_dict()
    folder = tmp_path_factory.mktemp("weights")
    torch.save(state, folder / "net.pth")
    pytest.importorskip("safetensors.torch").save_file(state, folder / "net.safetensors")
    return folder


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def by_name(path, **options):
    options = {"preprocessing": None, "size": 32, "sha256": sha256(path), "weights": path} | options
    return tuned("timm:test_resnet", **options)


def features(module, images):
    """The inputs of the head, with the preprocessing of HALF, computed layer by layer."""
    values = torch.from_numpy((images.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 127.5)
    with torch.inference_mode():
        stem = module.stem_norm(module.stem(values)).relu()
        return module.pool(module.blocks(stem)).flatten(1).numpy()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("class_weight", [None, {"left": 3.0, "top": 1.0, "rest": 1.0}])
def test_the_head_is_the_logistic_regression_of_scikit_learn(flip, class_weight):
    X, y = noise(channels=3)
    y[10:25] = "rest"
    module, penalty = pretrained(), 0.05
    model = tuned(module, epochs=0, flip=flip, class_weight=class_weight, head_penalty=penalty).fit(X, y)
    views = [X, X[:, :, ::-1]] if flip else [X]
    learned = np.concatenate([features(module, view) for view in views])
    mean, deviation = learned.mean(axis=0), learned.std(axis=0)
    deviation[deviation < 1e-6] = 1
    targets = np.tile(y, len(views))
    mass = sum((class_weight or {}).get(label, 1.0) for label in targets)
    reference = LogisticRegression(C=1 / (penalty * mass), class_weight=class_weight, tol=1e-8, max_iter=1000)
    reference.fit((learned - mean) / deviation, targets)
    expected = reference.predict_proba((features(module, X) - mean) / deviation)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=2e-3)
    assert model.trained_ == ["fc"]
    assert [entry["epoch"] for entry in model.history_] == [0]


def test_an_image_with_weight_two_counts_as_two_in_the_head():
    X, y = noise(24, channels=3)
    X[:12] = X[:12] // 2
    doubled = np.concatenate([X, X[:12]]), np.concatenate([y, y[:12]])
    weighted = tuned(epochs=0, flip=False, size=16, head_penalty=1e-3)
    expected = clone(weighted).fit(*doubled).predict_proba(X)
    found = weighted.fit(X, y, sample_weight=np.repeat([2, 1], 12)).predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=0.02)  # repeated images also change the deviation of the features


def test_only_the_last_blocks_and_the_head_are_trained():
    X, y = noise(channels=3)
    module = pretrained()
    for n_blocks, names in (
        (1, ["blocks.2"]),
        (2, ["blocks.1", "blocks.2"]),
        (9, ["stem", "blocks.0", "blocks.1", "blocks.2"]),
    ):
        model = tuned(module, n_blocks=n_blocks).fit(X, y)
        assert model.trained_ == [*names, "fc"]
        for name, value in module.state_dict().items():
            same = name not in ("fc.weight", "fc.bias") and (model.state_[name] == value.numpy()).all()
            inside = name.startswith(tuple(names)) or (name.startswith("stem_norm") and "stem" in names)
            statistics = "running" in name or "num_batches" in name
            assert same == (not name.startswith("fc") and (not inside or statistics)), name
    assert tuned(module, n_blocks=0).fit(X, y).trained_ == ["fc"]


def test_blocks_have_a_lower_learning_rate():
    X, y = noise(channels=3)
    module = pretrained()

    def moved(**options):
        model = tuned(module, **options).fit(X, y)
        return abs(model.state_["blocks.2.conv.weight"] - module.state_dict()["blocks.2.conv.weight"].numpy()).mean()

    assert 5 < moved(block_rate=0.1) / moved(block_rate=0.01) < 20


def test_it_learns_what_fixed_features_lack():
    (X, y), (unseen, expected) = noise(200, channels=3), noise(60, channels=3, seed=1)
    module = pretrained()
    with torch.no_grad():
        module.blocks[2].conv.weight.zero_()
    head = tuned(module, epochs=0, flip=False).fit(X, y)
    whole = tuned(module, epochs=8, n_blocks=4, learning_rate=0.05, block_rate=1.0, flip=False).fit(X, y)
    assert whole.history_[-1]["loss"] < head.history_[0]["loss"]
    assert whole.score(unseen, expected) > 0.9


def test_parts_of_networks_of_timm(timm):
    def parts(name):
        module = timm.create_model(name)
        return [part for part, _ in parts_before(module, find_head(module, None, name))], find_head(module, None, name)

    assert parts("test_resnet") == (["conv1.0", "conv1.3", "conv1.6", "layer1.0", "layer2.0", "layer3.0", "layer4.0"], "fc")
    names, head = parts("test_efficientnet")
    assert head == "classifier"
    assert names[0] == "conv_stem"
    assert names[-1] == "conv_head"
    assert all(name.startswith("blocks.") for name in names[1:-1])
    assert parts("test_vit")[0][-2:] == ["blocks.4", "blocks.5"]
    assert parts("test_convnext")[1] == "head.fc"


def test_a_backbone_is_divided():
    module = torch.nn.ModuleDict({"backbone": pretrained(), "fc": torch.nn.Linear(5, 2)})
    assert [name for name, _ in parts_before(module, "fc")][:2] == ["backbone.stem", "backbone.blocks.0"]


def test_images_of_any_size_are_resized_and_gray_becomes_colour():
    X, y = noise(24, channels=3)
    model = tuned(epochs=0).fit(X, y)
    large = [np.repeat(np.repeat(image, 2, axis=0), 2, axis=1) for image in X]
    np.testing.assert_allclose(model.predict_proba(large), model.predict_proba(X), atol=1e-5)
    wide = [np.pad(image, ((0, 0), (3, 3), (0, 0))) for image in X]
    np.testing.assert_allclose(model.predict_proba(wide), model.predict_proba(X), atol=1e-5)
    assert tuned(epochs=0, crop=False).fit(wide, y).input_["crop"] is False
    gray = noise(24)[0]
    np.testing.assert_array_equal(model.predict_proba(gray), model.predict_proba(np.repeat(gray[..., None], 3, axis=3)))
    np.testing.assert_allclose(model.predict_proba(X / 255), model.predict_proba(X), atol=1e-6)
    assert model.predict_proba([]).shape == (0, 2)


def test_the_order_of_colours_is_that_of_the_network():
    X, y = noise(24, channels=3)
    rgb = tuned(epochs=0).fit(X, y)
    bgr = tuned(epochs=0, preprocessing=HALF | {"color_order": "bgr"}).fit(X[..., ::-1], y)
    np.testing.assert_array_equal(bgr.predict_proba(X[..., ::-1]), rgb.predict_proba(X))


def test_early_stopping_history_and_progress(capsys):
    X, y = noise(channels=3)
    model = tuned(epochs=40, validation_fraction=0.25, patience=2, verbose=1, learning_rate=1e-7).fit(X, y)
    assert [entry["epoch"] for entry in model.history_] == list(range(len(model.history_)))
    assert all({"loss", "valid_loss", "valid_accuracy"} < entry.keys() for entry in model.history_)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("head: loss ")
    assert shown.err.count("epoch") == len(model.history_) - 1
    assert "validation accuracy" in shown.err


def test_epochs_that_make_the_network_worse_are_not_used():
    X, y = noise(channels=3)
    options = {"validation_fraction": 0.25, "class_weight": {"left": 2.0, "top": 1.0}, "label_smoothing": 0.1}
    worse = tuned(epochs=6, patience=2, learning_rate=1.0, block_rate=1.0, **options).fit(X, y)
    assert worse.best_epoch_ == 0
    assert [entry["epoch"] for entry in worse.history_] == [0, 1, 2]
    head = tuned(epochs=0, **options).fit(X, y)
    assert head.history_[0] == worse.history_[0]
    np.testing.assert_array_equal(worse.predict_proba(X), head.predict_proba(X))
    better = tuned(epochs=6, patience=6, **options).fit(X, y)
    losses = [entry["valid_loss"] for entry in better.history_]
    assert better.best_epoch_ == int(np.argmin(losses))


def test_seed_clone_pickle_and_grid_search():
    X, y = noise(36, channels=3)
    model = tuned(epochs=1).fit(X, y)
    expected = model.predict_proba(X)
    assert (clone(model).fit(X, y).predict_proba(X) == expected).all()
    assert (pickle.loads(pickle.dumps(model)).predict_proba(X) == expected).all()
    search = GridSearchCV(tuned(epochs=0), {"head_penalty": [0.01, 1e6]}, cv=2).fit(X, y)
    assert search.best_params_ == {"head_penalty": 0.01}
    assert "<tests.networks.tiny_modules.Blocks>" in repr(model)


def test_the_module_is_not_changed():
    X, y = noise(24, channels=3)
    module = pretrained()
    before = copy.deepcopy(module.state_dict())
    tuned(module, n_blocks=9).fit(X, y)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is not installed: the extra torch")
def test_a_model_file_has_an_export_instead_of_the_module(tmp_path):
    X, y = noise(24, size=20, channels=3)
    model = tuned(epochs=1).fit(X, y)
    save(model, tmp_path / "model.featrec")
    loaded = load(tmp_path / "model.featrec")
    np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X), atol=1e-5)
    assert loaded.model == "tests.networks.tiny_modules.Blocks"


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_weights_of_a_file(weights, timm, name, tmp_path):
    X, y = noise(24, size=32, channels=3)
    model = by_name(weights / name, epochs=1).fit(X, y)
    assert model.digest_ == sha256(weights / name)
    assert model.input_["mean"] == tuple(255 * value for value in timm.get_pretrained_cfg("test_resnet").mean)
    stored = torch.load(weights / "net.pth", weights_only=True)
    assert (model.state_["conv1.0.weight"] == stored["conv1.0.weight"].numpy()).all()
    save(model, tmp_path / "model.featrec")
    loaded = load(tmp_path / "model.featrec")
    assert loaded.weights == name
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()


def test_names_of_weights_are_translated_only_where_it_is_said(weights, tmp_path):
    X, y = noise(24, size=32, channels=3)
    expected = by_name(weights / "net.pth", epochs=0).fit(X, y).predict_proba(X)
    state = torch.load(weights / "net.pth", weights_only=True)
    path = tmp_path / "renamed.pth"
    torch.save({"state_dict": {f"theirs.{name}": value for name, value in state.items()}}, path)
    with pytest.raises(InputError, match=r"names in '.*renamed.pth' do not match the network: missing 'conv1.0.weight'"):
        by_name(path).fit(X, y)
    for key_map in ("order", {f"theirs.{name}": name for name in state}):
        assert (by_name(path, key_map=key_map, epochs=0).fit(X, y).predict_proba(X) == expected).all()


def test_weights_of_another_number_of_classes(weights, tmp_path):
    X, y = noise(24, size=32, channels=3)
    state = torch.load(weights / "net.pth", weights_only=True)
    for name in ("fc.weight", "fc.bias"):
        state[name] = state[name][:7].clone()
    torch.save(state, tmp_path / "seven.pth")
    expected = by_name(weights / "net.pth", epochs=0).fit(X, y).predict_proba(X)
    for key_map in (None, "order"):
        model = by_name(tmp_path / "seven.pth", key_map=key_map, epochs=0).fit(X, y)
        assert (model.predict_proba(X) == expected).all()


def test_unsuitable_weights_are_errors(weights, tmp_path):
    X, y = noise(4, size=32, channels=3)
    good = weights / "net.pth"
    with pytest.raises(InputError, match=rf"set sha256, .* is '{sha256(good)}'; compare it with the published one"):
        by_name(good, sha256=None).fit(X, y)
    with pytest.raises(InputError, match=r"the weights at '.*net.pth' have changed: their SHA-256 is"):
        by_name(good, sha256="0" * 64).fit(X, y)
    with pytest.raises(InputError, match=r"no weights file at 'nowhere.pth'"):
        by_name(good, weights="nowhere.pth").fit(X, y)
    with pytest.raises(InputError, match=r"needs exactly one source of trained weights: .* PixelsNetwork trains from random"):
        by_name(good, weights=None, sha256=None).fit(X, y)
    with pytest.raises(InputError, match="needs exactly one source of trained weights"):
        by_name(good, download=True).fit(X, y)
    attack = tmp_path / "attack.pth"
    torch.save({"state_dict": _Attack(tmp_path / "ran")}, attack)
    with pytest.raises(InputError, match="cannot be read without executing code"):
        by_name(attack).fit(X, y)
    assert not (tmp_path / "ran").exists()


class _Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class Function:
    """Something callable that is no module."""

    def __call__(self, values):
        return values


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Function(), {}, "must be the name of a timm model or a torch.nn.Module with trained weights; got .*Function"),
        ("lenet5", {}, "model must be a timm model such as .*; got 'lenet5'"),
        ("net.pt", {}, r"model='net.pt' is a file name.*torch.onnx.export"),
        (None, {"weights": "net.pth", "sha256": "0"}, "the module tests.networks.tiny_modules.Blocks has weights"),
        (None, {"preprocessing": None}, "the preprocessing of .*Blocks is not known and cannot be guessed. Set preprocessing"),
        (None, {"size": None}, "accepts any size, but preprocessing contains no size; set size"),
        (None, {"head": "stem"}, "head must be a linear layer of .*Blocks: fc; got 'stem'"),
        (pretrained(tiny_modules.WithSoftmax), {}, "network does not return the outputs of its linear layer 'fc'.*no softmax"),
        (torch.nn.Sequential(torch.nn.Conv2d(3, 2, 16), torch.nn.Flatten()), {}, "Sequential has no linear layer"),
        (None, {"patience": 1}, "patience=1 needs images to validate on"),
    ],
)
def test_unsuitable_parameters_are_errors(model, options, message):
    X, y = noise(4, channels=3)
    with pytest.raises(ValueError, match=message) as caught:
        tuned(model, **options).fit(X, y)
    assert "Conv2d(" not in str(caught.value)


def test_weights_that_are_not_numbers_are_an_error():
    module = pretrained()
    with torch.no_grad():
        module.stem.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="the features of the network are not finite; check its weights and the preprocessing"):
        tuned(module).fit(*noise(4, channels=3))


def test_the_error_without_timm_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r'FineTuned needs timm; pip install "featrec\[timm\]"'):
        tuned("timm:resnet18", weights="a.pth", sha256="0").fit(*noise(4))


def test_no_images_and_one_class_are_errors():
    with pytest.raises(InputError, match="needs images of at least two classes; got none"):
        tuned().fit([], [])
    with pytest.raises(InputError, match="all labels are 'a'"):
        tuned().fit(noise(4)[0], ["a"] * 4)


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("networks_trained_here", PAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is not installed: the extra torch")
def test_the_how_to_of_a_network_from_scratch(page):
    (X, y), (unseen, expected) = noise(60, size=20), noise(30, size=24, seed=1)
    model = page.from_scratch(epochs=12, batch_size=16).fit(X, y)
    loaded, n_bytes = page.saved_and_loaded(model)
    assert loaded.score(unseen, expected) > 0.9
    assert 1000 < n_bytes < 100_000


def test_the_how_to_of_the_last_layer_of_a_trained_network(page, timm, tmp_path):
    X, y = noise(12, size=32, channels=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = timm.create_model("efficientnet_lite0").state_dict()
    path = tmp_path / "net.pth"
    torch.save({f"other.{name}": value for name, value in state.items()}, path)
    model = page.fine_tuned(path, sha256=sha256(path), size=32).fit(X, y)
    loaded, _ = page.saved_and_loaded(model)
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()
    assert model.trained_ == ["classifier"]
    assert page.fine_tuned(path).sha256.startswith("5793")
