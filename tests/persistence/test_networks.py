"""Edited files of trained networks: refused by load, or an error at predict. Nothing is executed, and torch is not needed."""

import json

import numpy as np
import pytest

from featrec.exceptions import InputError, MissingExtraError
from featrec.networks import FineTuned, LeNet5, PixelsNetwork
from featrec.persistence import load
from tests.persistence.archives import edited, refused, saved
from tests.persistence.edits import add, change_array, named, plain
from tests.tiny_network import network_bytes

SHAPES = {
    "0.weight": (6, 1, 5, 5),
    "0.bias": (6,),
    "3.weight": (16, 6, 5, 5),
    "3.bias": (16,),
    "7.weight": (120, 64),
    "7.bias": (120,),
    "9.weight": (84, 120),
    "9.bias": (84,),
    "11.weight": (3, 84),
    "11.bias": (3,),
}


def with_array(model, attribute, change):
    """Return the bytes of a model file in which the array of one attribute is changed."""
    return edited(model, lambda schema, members: change_array(members, schema["content"]["content"][attribute], change))


def fitted(model, channels=1, size=16):
    """Give a model the attributes of `fit`."""
    random = np.random.default_rng(0)
    model.shape_, model.classes_ = (size, size, channels), np.array(["a", "b", "c"])
    model.mean_, model.deviation_ = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    model.state_ = {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    model.history_, model.n_parameters_, model.n_multiply_adds_, model.best_epoch_ = [{"epoch": 1, "loss": 0.1}], 1, 1, 1
    return model


def exported():
    """A PixelsNetwork whose file contains a network in ONNX, the tiny network of the tests."""
    model = fitted(PixelsNetwork("some.module"), channels=3, size=32)
    model.network_ = np.frombuffer(network_bytes(), np.uint8)
    model.scores_, model.state_ = np.zeros((2, 3), np.float32), {}
    return model


def tuned():
    model = fitted(FineTuned("timm:resnet18"), channels=3)
    model.input_ = {"size": (16, 16), "mean": (0.0,) * 3, "scale": (1.0,) * 3, "color_order": "rgb", "crop": True}
    return model


@pytest.mark.parametrize("model", [LeNet5(), PixelsNetwork("lenet5"), FineTuned("timm:resnet18")], ids=str)
@pytest.mark.parametrize(
    ("attribute", "change", "match"),
    [
        ("mean_", lambda array: array[:0], r"means of shape \(0,\)"),
        ("mean_", lambda array: array + np.nan, "means .* expected finite float32"),
        ("deviation_", lambda array: array * 0, r"a deviation of 0\.0; all must be greater than 0"),
        ("deviation_", lambda array: array.astype(np.float64), "deviations .* type float64"),
        ("deviation_", lambda array: np.ones(10**6, np.float32), r"deviations of shape \(1000000,\)"),
    ],
)
def test_edited_moments(model, attribute, change, match):
    refused(with_array(fitted(model), attribute, change), f"{type(model).__name__}: {match}")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda array: array * np.nan, "weights '0.weight' that are not finite numbers"),
        (lambda array: array.astype(np.complex64), "weights '0.weight' that are not finite numbers"),
        (lambda array: np.array(["a", "b"]), "weights '0.weight' that are not finite numbers"),
    ],
)
def test_edited_weights(change, match):
    def edit(schema, members):
        change_array(members, schema["content"]["content"]["state_"]["content"]["0.weight"], change)

    refused(edited(saved(fitted(LeNet5())), edit), f"LeNet5: {match}")


def test_weights_that_are_no_arrays():
    def edit(schema, members):
        schema["content"]["content"]["state_"]["content"]["0.weight"] = named("os", "system")

    refused(edited(saved(fitted(LeNet5())), edit), "LeNet5: weights '0.weight' that are not finite numbers")


@pytest.mark.parametrize("shape", [[16, 16], [-16, -16, 1], [16, 16, 0], [10**6, 10**6, 3], ["16", 16, 1], "all", None])
@pytest.mark.parametrize("make", [lambda: fitted(LeNet5()), exported, tuned])
def test_edited_shapes(make, shape):
    def edit(schema, members):
        schema["content"]["content"]["shape_"] = plain(shape)

    refused(edited(saved(make()), edit), r"images of shape .*; expected three sizes with at most 134,217,728 numbers")


@pytest.mark.parametrize("size", [[10**6, 10**6], [0, 16], [16], "16", [16.5, 16]])
def test_edited_input_sizes(size):
    def edit(schema, members):
        schema["content"]["content"]["input_"]["content"]["size"] = plain(size)

    refused(edited(saved(tuned()), edit), "FineTuned: an input of size")


@pytest.mark.parametrize(
    ("attribute", "change", "match"),
    [
        ("network_", lambda array: array.astype(np.float32), "a network of shape .* expected finite uint8"),
        ("network_", lambda array: array[:0], r"a network of shape \(0,\)"),
        ("scores_", lambda array: array[:, :2], r"scores of shape \(2, 2\)"),
        ("scores_", lambda array: array * np.nan + np.nan, "scores .* expected finite float32"),
    ],
)
def test_edited_exports(attribute, change, match):
    refused(with_array(exported(), attribute, change), f"PixelsNetwork: {match}")


def test_a_file_with_neither_weights_nor_an_export():
    model = exported()
    del model.network_
    refused(saved(model), "PixelsNetwork has missing or invalid attributes")


@pytest.mark.parametrize("data", [b"no network", network_bytes()[:200]])
def test_a_damaged_export_is_refused(data):
    model = exported()
    model.network_ = np.frombuffer(data, np.uint8)
    refused(saved(model), "PixelsNetwork: the network is not an ONNX file, or is damaged")


def test_another_network_is_an_error_at_predict():
    model = exported()
    model.network_ = np.frombuffer(network_bytes(), np.uint8)
    saved(model)
    with pytest.raises(InputError, match=r"cannot run the network|returns nothing for layer|different scores from"):
        load("model.featrec").predict(np.zeros((2, 32, 32, 3), np.uint8))


@pytest.mark.parametrize(
    "source", ["os.system", "featrec.networks.LeNet5", "timm:local-dir:.", "timm:hf-hub:a/b", "timm:../net"]
)
def test_names_of_modules_are_not_imported(source):
    """The name in a file is only a text, unless it is that of a model of timm."""
    pytest.importorskip("skorch")
    model = fitted(PixelsNetwork(source))
    saved(model)
    loaded = load("model.featrec")
    assert loaded.module == source
    with pytest.raises((InputError, MissingExtraError), match=r"has no model|needs timm|cannot import timm|module must be"):
        loaded.predict(np.zeros((2, 16, 16), np.uint8))


def test_a_huge_network_is_not_made_for_a_small_file(monkeypatch):
    pytest.importorskip("skorch")
    if pytest.importorskip("tests.networks.tiny_modules").timm_or_none() is None:
        pytest.skip("timm is not installed")

    def made(make, seed):
        raise AssertionError("the network was made")

    monkeypatch.setattr("featrec.networks._training.initialized", made)
    for model in (fitted(PixelsNetwork("timm:resnet152"), channels=3), tuned().set_params(model="timm:resnet152")):
        saved(model)
        with pytest.raises(InputError, match=r"weights in the model do not fit its network: \d+ of \d+ tensors"):
            load("model.featrec").predict(np.zeros((2, 16, 16, 3), np.uint8))


def test_an_object_instead_of_a_module():
    def edit(schema, members):
        schema["content"]["content"]["module"] = named("os", "system")

    refused(edited(saved(fitted(PixelsNetwork("lenet5"))), edit), "names classes or functions that are not trusted: os.system")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("0.weight", lambda array: array[:, :, :3]),
        ("11.bias", lambda array: array.astype(np.float64)),
        ("7.bias", lambda array: array[:0]),
    ],
)
def test_weights_of_another_shape_are_an_error_at_predict(name, change):
    pytest.importorskip("skorch")
    model = fitted(LeNet5())
    model.state_[name] = change(model.state_[name])
    saved(model)
    with pytest.raises(InputError, match=f"weights in the model do not fit its network: 1 of 10 tensors .* such as '{name}'"):
        load("model.featrec").predict(np.zeros((2, 16, 16), np.uint8))


def test_an_attribute_that_hides_a_method():
    def edit(schema, members):
        add(schema, "_make_module", named("os", "system"))

    refused(edited(saved(fitted(LeNet5())), edit), "not trusted: os.system|hides a method")


def test_the_folder_of_the_weights_is_not_written():
    model = tuned().set_params(weights="/home/someone/net.pth")
    facts = json.loads(edited_schema(saved(model)))
    assert "/home/someone" not in json.dumps(facts)
    assert load("model.featrec").weights == "net.pth"


def edited_schema(data):
    found = []
    edited(data, lambda schema, members: found.append(json.dumps(schema)))
    return found[0]
