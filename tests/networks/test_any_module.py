"""PixelsNetwork with functions, classes, modules and names."""

import importlib.util
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from featrec.exceptions import InputError, MissingExtraError
from featrec.networks import LeNet5, PixelsNetwork, SmallResNet
from featrec.networks._layers import module_facts
from featrec.networks._learner import mean_loss
from featrec.networks._stored_network import check_input
from featrec.persistence import load, save
from featrec.preprocessing import Resize

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")
from tests.networks import tiny_modules  # noqa: E402
from tests.networks.tiny_modules import Blocks, plain  # noqa: E402
from tests.tiny_network import noise  # noqa: E402


def network(module=plain, **options):
    return PixelsNetwork(module, **{"epochs": 6, "batch_size": 12, "random_state": 0, "device": "cpu"} | options)


@pytest.mark.parametrize("module", [plain, Blocks, "lenet5"])
def test_it_learns_an_easy_task(module):
    (X, y), (unseen, expected) = noise(), noise(30, seed=1)
    model = network(module).fit(X, y)
    assert (model.predict(unseen) == expected).mean() > 0.9
    np.testing.assert_allclose(model.predict_proba(unseen).sum(axis=1), 1, rtol=1e-5)
    assert model.n_parameters_ == sum(values.size for values in model.state_.values() if values.ndim) - 2 * sum(
        values.size for name, values in model.state_.items() if name.endswith("running_mean")
    )


@pytest.mark.parametrize("channels", [None, 3])
def test_names_of_timm_learn_an_easy_task(timm, channels):
    (X, y), (unseen, expected) = noise(channels=channels), noise(30, channels=channels, seed=1)
    for name, options in (("timm:test_resnet", {}), ("timm:test_vit", {"optimizer": "adamw"})):
        model = network(name, **options).fit(X, y)
        assert (model.predict(unseen) == expected).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "own", "options"),
    [
        ("lenet5", LeNet5(epochs=2, random_state=3), {"batch_size": 128, "learning_rate": 0.05, "shift": 2}),
        (
            "small_resnet",
            SmallResNet(epochs=2, random_state=3),
            {"batch_size": 256, "learning_rate": 0.2, "label_smoothing": 0.1, "flip": True, "shift": 4, "cutout": 8}
            | {"precision": "auto"},
        ),
    ],
)
def test_own_networks_are_cases_of_it(name, own, options):
    X, y = noise(channels=3)
    model = network(name, epochs=2, **options | {"random_state": 3}).fit(X, y)
    own.fit(X, y)
    assert all((model.state_[key] == own.state_[key]).all() for key in own.state_)
    assert (model.predict_proba(X) == own.predict_proba(X)).all()
    assert (model.n_parameters_, model.n_multiply_adds_) == (own.n_parameters_, own.n_multiply_adds_)


def test_a_module_is_a_template_whose_weights_are_the_start():
    X, y = noise(channels=3)
    template = Blocks(n_classes=2)
    before = {name: value.clone() for name, value in template.state_dict().items()}
    model = network(template, epochs=1, learning_rate=1e-9, weight_decay=0.0).fit(X, y)
    for name, value in template.state_dict().items():
        assert torch.equal(value, before[name])
        if "running" not in name and "num" not in name:
            np.testing.assert_allclose(model.state_[name], before[name].numpy(), atol=1e-6)


def test_the_seed_determines_weights_and_dropout_and_torch_is_unchanged():
    X, y = noise()
    state = torch.get_rng_state()
    model = network(epochs=2).fit(X, y)
    again = clone(model).fit(X, y)
    assert torch.equal(torch.get_rng_state(), state)
    assert (again.predict_proba(X) == model.predict_proba(X)).all()
    assert (clone(model).set_params(random_state=1).fit(X, y).predict_proba(X) != model.predict_proba(X)).any()


def test_grid_search_over_modules_and_rates():
    X, y = noise(36)
    grid = {"module": [plain, Blocks(1, n_classes=2)], "learning_rate": [0.05, 1e-6]}
    search = GridSearchCV(network(epochs=3), grid, cv=2).fit(X, y)
    assert search.best_params_["learning_rate"] == 0.05
    assert search.best_score_ > 0.9


def test_early_stopping_keeps_the_best_epoch():
    random = np.random.default_rng(0)
    X, y = random.integers(0, 256, (60, 16, 16), dtype=np.uint8), np.resize(["a", "b"], 60)  # nothing can be learned
    model = network(epochs=40, validation_fraction=0.3, patience=3).fit(X, y)
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert len(losses) == model.best_epoch_ + 3 < 40
    assert model.best_epoch_ == 1 + int(np.argmin(losses))
    _, held = model._split(np.searchsorted(["a", "b"], y), int(np.random.RandomState(0).randint(np.iinfo(np.int32).max)))
    right = model.predict_proba(X[held])[np.arange(len(held)), np.searchsorted(["a", "b"], y[held])]
    np.testing.assert_allclose(-np.log(right).mean(), min(losses), rtol=1e-4)
    assert network(epochs=3).fit(X, y).best_epoch_ == 3


def test_the_weighted_loss_is_that_of_repeated_images():
    random = np.random.default_rng(0)
    scores, numbers = torch.from_numpy(random.normal(size=(6, 3))), torch.tensor([0, 1, 2, 2, 1, 0])
    repeats = torch.tensor([1, 2, 3, 1, 1, 2])
    for class_weights in (None, torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)):
        expected = torch.nn.functional.cross_entropy(
            scores.repeat_interleave(repeats, 0), numbers.repeat_interleave(repeats), class_weights, label_smoothing=0.0
        )
        found = mean_loss(scores, numbers, repeats.double(), class_weights)
        np.testing.assert_allclose(found, expected)


def test_images_without_weight_are_not_learned():
    (X, y), (wrong, labels) = noise(), noise(60, seed=3)
    swapped = np.where(labels == "left", "top", "left")
    weights = np.repeat([1.0, 0.0], 60)
    model = network(epochs=8).fit(np.concatenate([X, wrong]), np.concatenate([y, swapped]), sample_weight=weights)
    assert model.score(*noise(30, seed=1)) > 0.9
    equal = network(epochs=2).fit(X, y, sample_weight=np.full(60, 7.0))
    np.testing.assert_allclose(equal.predict_proba(X), network(epochs=2).fit(X, y).predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("weights", [[1.0] * 3, [-1.0] + [1.0] * 59, [0.0] * 60, [np.nan] * 60])
def test_unsuitable_weights_of_images_are_errors(weights):
    with pytest.raises(
        InputError, match="PixelsNetwork: sample_weight must contain one finite number for each of the 60 images"
    ):
        network().fit(*noise(), sample_weight=weights)


def test_patience_without_validation_is_an_error():
    with pytest.raises(InputError, match="PixelsNetwork: patience=2 needs images to validate on; set validation_fraction"):
        network(patience=2).fit(*noise())


@pytest.mark.parametrize("module", [plain, Blocks, Blocks()])
def test_modules_do_not_print_themselves(module):
    shown = repr(make_pipeline(Resize((16, 16)), network(module)))
    name = "plain" if module is plain else "Blocks"
    assert f"module=<tests.networks.tiny_modules.{name}>" in shown
    assert "Conv2d" not in shown
    assert repr(clone(network(module))) == repr(network(module))
    assert network(module).get_params()["module"] is module


def test_multiply_adds_agree_with_the_counter_of_torch():
    counter = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode(display=False)
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(4, 8, (3, 5), groups=2), nn.ConvTranspose2d(8, 6, 3, stride=2, groups=2), nn.Flatten(2), nn.Linear(667, 3)
    )
    module.append(nn.Flatten()).append(nn.Linear(18, 5))
    with counter:
        module(torch.zeros(1, 4, 13, 18))
    n_parameters, n_multiply_adds = module_facts(module, (13, 18, 4), 5, "a module", "PixelsNetwork")
    assert 2 * n_multiply_adds == counter.get_total_flops()
    assert n_parameters == sum(parameter.numel() for parameter in module.parameters())


def test_published_numbers_of_multiply_adds():
    gray, colour = np.zeros((10, 28, 28), np.uint8), np.zeros((10, 32, 32, 3), np.uint8)
    assert LeNet5(epochs=1).fit(gray, np.arange(10)).n_multiply_adds_ == 416_520
    assert SmallResNet(epochs=1).fit(colour, np.arange(10)).n_multiply_adds_ == 95_259_136


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("resnet18", "module must be 'lenet5', 'small_resnet' or a timm model such as .*; got 'resnet18'"),
        ("net.pt", r"module='net.pt' is a file name.*torch\.onnx\.export"),
        (
            tiny_modules.raises,
            r"tiny_modules.raises\(n_channels=1, size=\(16, 16\), n_classes=2\) raises KeyError: 'no such layer'",
        ),
        (tiny_modules.no_module, "must return a torch.nn.Module; got str"),
        (tiny_modules.one_score, r"must return one score for each of the 2 classes; for one image it returns \(1, 1\)"),
        (tiny_modules.deep, r"deep cannot process images of 16 × 16 pixels with 1 channel\(s\): .*put Resize"),
        (3, "The 'module' parameter of PixelsNetwork must be"),
    ],
)
def test_unsuitable_modules_are_errors(module, message):
    with pytest.raises(ValueError, match=message) as caught:
        network(module).fit(*noise())
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet81", "has no model 'resnet81'. Nearest names: .*resnet"),
        ("timm:resnet18.none", r"has no weights 'none' for resnet18; it has \['"),
        ("timm:hf-hub:someone/model", "has no model 'hf-hub:someone/model'"),
        ("timm:local-dir:/tmp/model", "has no model 'local-dir:/tmp/model'"),
    ],
)
def test_unknown_names_of_timm_are_errors(timm, name, message):
    with pytest.raises(InputError, match=message):
        network(name).fit(*noise())


def test_the_error_without_timm_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r'needs timm; pip install "featrec\[timm\]"'):
        network("timm:resnet18").fit(*noise())


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(InputError, match=r"PixelsNetwork has not converged: the loss is nan\. Use a learning_rate below 1e"):
        network(learning_rate=1e30).fit(*noise())


def test_it_can_be_pickled():
    X, y = noise()
    for module in (plain, Blocks(1, n_classes=2)):
        model = network(module, epochs=1).fit(X, y)
        assert (pickle.loads(pickle.dumps(model)).predict_proba(X) == model.predict_proba(X)).all()


def test_a_second_fit_does_not_depend_on_the_first():
    X, y = noise()
    model = network(plain, epochs=1).fit(X, y)
    assert {"network_", "scores_"} <= vars(model).keys()
    model.set_params(module="lenet5").fit(X, y)
    assert not {"network_", "scores_"} & vars(model).keys()


onnx = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is not installed: the extra torch")


@onnx
@pytest.mark.parametrize("runtime", ["onnxruntime", "OpenCV"])
@pytest.mark.parametrize("channels", [None, 3])
def test_a_model_file_has_an_export_instead_of_the_module(tmp_path, monkeypatch, runtime, channels):
    if runtime == "OpenCV":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    else:
        pytest.importorskip("onnxruntime")
    X, y = noise(channels=channels)
    for module in (plain, Blocks(channels or 1, n_classes=2)):
        model = network(module, epochs=2).fit(X, y)
        save(make_pipeline(Resize((16, 16)), model), tmp_path / "model.featrec")
        assert model.module is module
        assert model.state_
        loaded = load(tmp_path / "model.featrec")
        np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X), atol=1e-5)
        assert loaded.predict_proba(X[:0]).shape == (0, 2)
        assert loaded[-1].state_ == {}
        save(loaded, tmp_path / "again.featrec")
        assert (tmp_path / "again.featrec").read_bytes() == (tmp_path / "model.featrec").read_bytes()
        with pytest.raises(InputError, match=r"module must be .*set it with set_params\(module=...\) before another fit"):
            loaded.fit(X, y)


@onnx
def test_a_loaded_export_needs_no_torch(tmp_path):
    pytest.importorskip("onnxruntime")
    X, y = noise()
    model = network(plain, epochs=2).fit(X, y)
    save(model, tmp_path / "model.featrec")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys, numpy as np;"
        "absent = type('Absent', (), {'find_spec': lambda self, name, *rest: 1 / 0 if name in ('torch', 'tests') else None});"
        "sys.meta_path.insert(0, absent());"
        "from featrec.persistence import load; model = load('model.featrec');"
        "np.save('out.npy', model.predict_proba(np.load('X.npy')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), model.predict_proba(X), atol=1e-5)


@onnx
def test_an_export_that_computes_something_else_is_found(tmp_path):
    X, y = noise(channels=3)
    model = network(tiny_modules.OnlyPairs, epochs=1).fit(X, y)
    with pytest.raises(InputError, match=r"OnlyPairs cannot be saved: .* failed in fit \(.*\).*timm:resnet18"):
        save(model, tmp_path / "model.featrec")
    assert model.predict(X).shape == (60,)

    good = network(Blocks, epochs=1).fit(X, y)
    good.scores_ = good.scores_ + np.float32(0.1)
    save(good, tmp_path / "model.featrec")
    with pytest.raises(InputError, match="computes different scores from the torch module that was exported"):
        load(tmp_path / "model.featrec").predict(X)


def test_without_the_packages_of_the_export_save_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    model = network(plain, epochs=1).fit(*noise())
    with pytest.raises(InputError, match=r'cannot be saved.*onnx.*pip install "featrec\[torch\]"'):
        save(model, tmp_path / "model.featrec")
    assert list(tmp_path.iterdir()) == []


@onnx
def test_what_cannot_be_copied_is_an_error_of_save(tmp_path):
    model = network(plain, epochs=1).fit(*noise())
    model.lock_ = threading.Lock()
    with pytest.raises(InputError, match=r"PixelsNetwork cannot be saved, because it cannot be copied \(.*lock"):
        save(model, tmp_path / "model.featrec")


def test_an_unfitted_model_is_saved_by_name_only(tmp_path):
    with pytest.raises(InputError, match=r"module=tests\.networks\.tiny_modules\.plain cannot be saved before fit"):
        save(network(plain), tmp_path / "model.featrec")
    save(network("timm:resnet18"), tmp_path / "model.featrec")
    assert load(tmp_path / "model.featrec").module == "timm:resnet18"


def test_a_named_model_is_saved_with_its_weights(timm, tmp_path):
    X, y = noise(channels=3)
    model = network("timm:test_resnet", epochs=1).fit(X, y)
    save(model, tmp_path / "model.featrec")
    loaded = load(tmp_path / "model.featrec")
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()
    assert (clone(loaded).fit(X, y).predict_proba(X) == model.predict_proba(X)).all()
    loaded.state_["fc.weight"] = loaded.state_["fc.weight"][:1]
    with pytest.raises(
        InputError, match=r"weights in the model do not fit its network: 1 of \d+ tensors .* such as 'fc.weight'"
    ):
        loaded.predict(X)


def test_the_input_of_the_check_is_always_the_same():
    first = check_input((4, 5, 3))
    assert first.shape == (2, 3, 4, 5)
    assert first.dtype == np.float32
    by_hand = [(number * 2654435761 % 2**32 / 2**32 - 0.5) * 12**0.5 for number in range(120)]
    np.testing.assert_allclose(first.ravel(), by_hand, atol=1e-6)  # model files depend on it
    assert abs(first.mean()) < 0.05
    assert abs(first.std() - 1) < 0.05
