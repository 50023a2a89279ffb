"""Layers inside ONNX files, runtimes, and what the check in fit finds."""

import json
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from featrec.cli import main
from featrec.descriptors import RootSIFT
from featrec.exceptions import InputError, MissingExtraError, ModelFileError, NetworkWarning
from featrec.networks import CNNFeatures, CNNMaps, _onnx_network, _pretrained_network, list_layers
from featrec.persistence import load, save
from tests.tiny_network import (
    BIAS,
    DECLARED,
    FILTERS,
    field,
    integers,
    network_bytes,
    node,
    number,
    run_tiny_network,
    tensor,
    value,
    write_tiny_network,
)

IMAGE = np.random.default_rng(5).integers(0, 256, (32, 32, 3), dtype=np.uint8)
INPUT = (IMAGE.transpose(2, 0, 1)[None] - 127.5) / 127.5


def has_onnxruntime():
    return _onnx_network.is_installed("onnxruntime")


RUNTIMES = ["opencv", pytest.param("onnxruntime", marks=pytest.mark.skipif(not has_onnxruntime(), reason="no onnxruntime"))]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_layer_inside_the_graph_needs_no_editing(runtime):
    features = CNNFeatures(network_bytes(), layer="average", preprocessing=DECLARED, runtime=runtime).fit([IMAGE])
    np.testing.assert_allclose(features.transform([IMAGE])[0], run_tiny_network(INPUT)["feat"][0], rtol=1e-4, atol=1e-4)
    assert features.runtime_ == runtime


def gated_network():
    """Return a network that multiplies a convolution by a hard sigmoid of its average, as squeeze-and-excitation blocks do."""
    numbers = {"alpha": 1 / 6, "beta": 0.5}
    slopes = [
        field(1, name.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", each) + number(20, 1)
        for name, each in numbers.items()
    ]
    nodes = [
        node("Conv", ["data", "filters", "bias"], "conv", integers("pads", [1, 1, 1, 1]), integers("kernel_shape", [3, 3])),
        node("GlobalAveragePool", ["conv"], "average"),
        node("HardSigmoid", ["average"], "gate", *slopes),
        node("Mul", ["conv", "gate"], "out"),
    ]
    weights = {"filters": FILTERS, "bias": BIAS}
    graph = b"".join(
        [
            *(field(1, each) for each in nodes),
            *(field(5, tensor(name, each)) for name, each in weights.items()),
            field(11, value("data", [1, 3, 32, 32])),
            field(12, value("out", [1, 8, 32, 32])),
        ]
    )
    return number(1, 8) + field(7, graph) + field(8, field(1, b"") + number(2, 13))


def convolved():
    padded = np.pad(INPUT, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,fcij->nfhw", windows, FILTERS) + BIAS[:, None, None]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_squeeze_and_excitation_is_right_in_every_runtime(runtime):
    conv = convolved()
    gate = np.clip(conv.mean(axis=(2, 3), keepdims=True) / 6 + 0.5, 0, 1)
    features = CNNFeatures(gated_network(), preprocessing=DECLARED, runtime=runtime).fit([IMAGE])
    np.testing.assert_allclose(features.transform([IMAGE])[0], (conv * gate).mean(axis=(2, 3))[0], rtol=1e-4, atol=1e-4)
    inside = CNNFeatures(gated_network(), layer="gate", preprocessing=DECLARED, runtime=runtime)
    np.testing.assert_allclose(inside.extract(IMAGE), gate.ravel(), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not has_onnxruntime(), reason="no onnxruntime")
def test_fit_refuses_values_of_opencv_that_differ_from_onnxruntime(monkeypatch):
    run = _onnx_network._run_opencv
    monkeypatch.setattr(_onnx_network, "_run_opencv", lambda *given: run(*given) * 1.01)
    with pytest.raises(InputError, match=r"computes wrong values for layer 'feat': they differ .* Use runtime='onnxruntime'"):
        CNNFeatures(network_bytes(), preprocessing=DECLARED, runtime="opencv").fit([IMAGE])


def test_another_runtime_than_in_fit_warns(tmp_path, monkeypatch):
    features = CNNFeatures(network_bytes(), preprocessing=DECLARED).fit([IMAGE])
    expected = features.transform([IMAGE])
    features.runtime_ = "onnxruntime"
    save(features, tmp_path / "model")
    for module in (_onnx_network, _pretrained_network):
        monkeypatch.setattr(module, "is_installed", lambda name: False)
    loaded = load(tmp_path / "model")
    with pytest.warns(NetworkWarning, match="opencv runs the network, which onnxruntime ran in fit"):
        np.testing.assert_allclose(loaded.transform([IMAGE]), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(MissingExtraError, match=r"needs onnxruntime; pip install \"featrec\[onnx\]\""):
        CNNFeatures(network_bytes(), preprocessing=DECLARED, runtime="onnxruntime").fit([IMAGE])


def test_an_older_model_file_without_a_runtime_runs_with_opencv():
    features = CNNFeatures(network_bytes(), preprocessing=DECLARED, runtime="opencv").fit([IMAGE])
    expected = features.transform([IMAGE])
    del features.runtime_, features.output_
    np.testing.assert_array_equal(features.transform([IMAGE]), expected)


@pytest.mark.parametrize(
    ("preprocessing", "layer", "what"),
    [
        ({"mean": 1e9, "scale": 1, "color_order": "rgb"}, "feat", "another image"),
        ({"mean": 0, "scale": 1e-30, "color_order": "rgb"}, "feat", "another image"),
    ],
)
def test_an_input_that_surely_does_not_fit_warns(preprocessing, layer, what):
    with pytest.warns(NetworkWarning, match=f"layer '{layer}' .* returns the same values for {what}"):
        CNNFeatures(network_bytes(), layer=layer, preprocessing=preprocessing).fit([IMAGE])


def test_an_input_that_fits_does_not_warn():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CNNFeatures(network_bytes(), preprocessing=DECLARED).fit([IMAGE])
    assert not caught


def test_nan_in_the_outputs_names_the_image():
    features = CNNFeatures(network_bytes(), preprocessing=DECLARED).fit([IMAGE])
    features.input_ = features.input_ | {"scale": (np.inf,) * 3}
    message = "image 0: .*layer 'feat' of the network returns NaN or infinite numbers"
    with pytest.raises(InputError, match=message), np.errstate(invalid="ignore"):
        features.transform([IMAGE, IMAGE])


def test_weights_in_other_files_are_refused():
    outside = field(5, number(1, 8) + number(2, 1) + field(8, b"bias") + field(13, b"x") + number(14, 1))
    changed = network_bytes() + field(7, outside)
    with pytest.raises(InputError, match="stores weights in other files, which is not supported; export it with external_data"):
        CNNFeatures(changed, preprocessing=DECLARED).fit([IMAGE])


def test_a_model_file_with_weights_in_other_files_is_refused(tmp_path, monkeypatch):
    features = CNNFeatures(network_bytes(), preprocessing=DECLARED).fit([IMAGE])
    outside = field(7, field(5, number(1, 8) + field(8, b"bias") + number(14, 1)))
    features.network_ = np.frombuffer(network_bytes() + outside, np.uint8)
    monkeypatch.setattr(CNNFeatures, "_check_stored_arrays", staticmethod(lambda stored: None))
    save(features, tmp_path / "model")
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match="stores weights in other files"):
        load(tmp_path / "model")


# name, operation, shape, parameters, multiply-adds: by hand, for an input of 32×32
TINY = [
    ("conv", "Conv", (8, 32, 32), 8 * 27 + 8, 8 * 32 * 32 * 27),
    ("map", "Relu", (8, 32, 32), 0, 0),
    ("average", "GlobalAveragePool", (8, 1, 1), 0, 0),
    ("feat", "Flatten", (8,), 0, 0),
    ("logits", "MatMul", (3,), 24, 24),
]


def test_layers_are_listed_with_shapes_and_costs(tmp_path, capsys):
    path = write_tiny_network(tmp_path / "tiny.onnx")
    layers = list_layers(path)
    assert [(each.name, each.kind, each.shape, each.n_parameters, each.n_multiply_adds) for each in layers] == TINY
    assert main(["network", "show", str(path)]) == 0
    out = capsys.readouterr().out
    assert "conv " in out
    assert "8 × 32 × 32" in out
    assert "5 layers, 248 parameters, 221,208 multiply-adds per image" in out
    assert main(["network", "show", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["name"] == "conv"
    assert main(["network", "show", str(tmp_path / "none.onnx")]) == 2
    assert "no network file at" in capsys.readouterr().err


def test_a_function_is_a_network():
    def darkest(values):
        return values.min(axis=(2, 3))

    features = CNNFeatures(darkest, preprocessing={"mean": 0, "scale": 1, "color_order": "rgb", "size": (8, 8)})
    codes = features.fit_transform([IMAGE[:8, :8]])
    np.testing.assert_allclose(codes[0], IMAGE[:8, :8].min(axis=(0, 1)), atol=1e-4)
    assert features.runtime_ == "function"


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (lambda values: values.sum(), {}, "must return an array with one row per image"),
        (lambda values: None, {}, "must return an array with one row per image"),
        (lambda values: values, {"layer": "a"}, "layer and runtime do not apply to the function"),
        (lambda values: values, {"weights": "w.pth"}, "weights, sha256, key_map and download apply to models given by name"),
    ],
)
def test_a_function_is_checked(function, options, message):
    declared = {**DECLARED, "size": (8, 8)}
    with pytest.raises(InputError, match=message):
        CNNFeatures(function, preprocessing=declared, **options).fit([IMAGE])


def test_a_function_can_be_neither_saved_nor_cached(tmp_path):
    declared = {**DECLARED, "size": (8, 8)}
    with pytest.raises(InputError, match=r"cannot be saved, because a model file contains no code"):
        save(CNNFeatures(np.copy, preprocessing=declared).fit([IMAGE]), tmp_path / "model")
    with pytest.raises(InputError, match="cache cannot be used with a function"):
        CNNFeatures(np.copy, preprocessing=declared, cache=tmp_path / "cache").fit([IMAGE])


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_file_of_torch_says_how_to_export_it(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"is not an ONNX file. .*torch.onnx.export\(module.eval\(\)"):
        CNNFeatures(path, preprocessing="torch").fit([IMAGE])


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
def test_pillow_interpolation_equals_pillow(kind):
    from PIL import Image

    photo = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    declared = {"mean": 0, "scale": 1, "color_order": "rgb", "size": (32, 32), "crop_fraction": 0.8, "interpolation": kind}
    found = CNNFeatures(lambda values: values.reshape(len(values), -1), preprocessing=declared).extract(photo)
    resized = Image.fromarray(photo).resize((40, int(40 * 90 / 70)), Image.Resampling[kind.upper()])
    top = round((resized.height - 32) / 2)
    expected = np.asarray(resized)[top : top + 32, 4:36].transpose(2, 0, 1)
    np.testing.assert_allclose(found.reshape(3, 32, 32), expected, atol=1e-3)


def test_parameters_and_work_count_only_what_the_layer_needs():
    features = CNNFeatures(network_bytes(), layer="feat", preprocessing=DECLARED).fit([IMAGE])
    assert (features.n_parameters_, features.n_multiply_adds_) == (8 * 27 + 8, 8 * 32 * 32 * 27)
    logits = CNNFeatures(network_bytes(), layer="logits", preprocessing={**DECLARED, "pretrained_on": "birds"}).fit([IMAGE])
    assert logits.n_parameters_ - features.n_parameters_ == 24
    assert (features.pretrained_on, logits.pretrained_on) == ("unknown images", "birds")


@pytest.mark.parametrize(
    ("scales", "message"),
    [((), "from 1 to 16 numbers; got 0"), ((0,), "numbers from 0.05 to 20; got 0"), ((2.0,), "accepts only images of size")],
)
def test_scales_are_checked(scales, message):
    with pytest.raises(InputError, match=message):
        CNNMaps(network_bytes(), layer="map", preprocessing=DECLARED, scales=scales).fit([IMAGE])


def test_a_model_file_with_absurd_scales_is_refused(tmp_path):
    maps = CNNMaps(network_bytes(), layer="map", preprocessing=DECLARED).fit([IMAGE])
    maps.scales = (1e6,)
    with pytest.raises(InputError, match="scales="):
        save(maps, tmp_path / "model")


def test_networks_are_imported_without_a_runtime():
    names = "CNNFeatures, CNNMaps, FineTuned, LeNet5, PixelsNetwork, list_layers"
    loaded = "{'torch', 'timm', 'onnxruntime', 'skorch'} & set(sys.modules)"
    code = f"import sys; from featrec.networks import {names}; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_groups_of_images_give_the_same_maps(n_jobs):
    images = [np.roll(IMAGE, shift, axis=0) for shift in range(5)]
    single = CNNMaps(network_bytes(), layer="map", preprocessing=DECLARED).fit(images)
    grouped = CNNMaps(network_bytes(), layer="map", preprocessing=DECLARED, batch_size=2).fit(images)
    expected = single.transform(images)
    for bag, other in zip(grouped.transform(images).compute(n_jobs=n_jobs), expected, strict=True):
        np.testing.assert_allclose(bag.descriptors, other.descriptors, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(bag.frames, other.frames)
    rooted = RootSIFT().transform(grouped.transform(images))
    np.testing.assert_allclose(list(rooted)[3].descriptors, rooted[3].descriptors, atol=1e-5)


def test_an_unusable_image_in_a_group_is_named():
    maps = CNNMaps(network_bytes(), layer="map", preprocessing=DECLARED, batch_size=2).fit([IMAGE])
    with pytest.raises(InputError, match="image 3: the image has 0 rows"):
        list(maps.transform([IMAGE, IMAGE, IMAGE, np.zeros((0, 4), np.uint8)]))

    def blind_to_white(values):
        out = values[:, :, ::8, ::8].copy()
        out[values.mean(axis=(1, 2, 3)) > 0.9] = np.nan
        return out

    maps = CNNMaps(blind_to_white, preprocessing={**DECLARED, "size": (32, 32)}, batch_size=2).fit([IMAGE])
    with pytest.raises(InputError, match="image 1: layer 'output' of the network returns NaN"):
        list(maps.transform([IMAGE, np.full((32, 32, 3), 255, np.uint8)]))
    forgiving = CNNMaps(network_bytes(), layer="map", preprocessing=DECLARED, batch_size=2, on_error="empty").fit([IMAGE])
    assert [len(bag.descriptors) for bag in forgiving.transform([IMAGE, np.zeros((0, 4), np.uint8)])] == [1024, 0]


def wide_network(channels=160):
    """Return a network whose map has more channels than the recipes keep."""
    filters = np.random.default_rng(0).normal(size=(channels, 3, 3, 3)).astype(np.float32)
    nodes = [
        node("Conv", ["data", "filters"], "conv", integers("pads", [1, 1, 1, 1]), integers("kernel_shape", [3, 3])),
        node("Relu", ["conv"], "map"),
    ]
    graph = b"".join(
        [
            *(field(1, each) for each in nodes),
            field(5, tensor("filters", filters)),
            field(11, value("data", [None, 3, 32, 32])),
            field(12, value("map", [None, channels, 32, 32])),
        ]
    )
    return number(1, 8) + field(7, graph) + field(8, field(1, b"") + number(2, 13))


@pytest.mark.parametrize("recipe", ["cnn_svm", "cnn_fisher_svm", "cnn_vlad_svm"])
def test_recipes_of_networks_run_in_the_shell_with_their_defaults(recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for place in range(6):
            pixels = (level + random.integers(-30, 30, (*random.integers(30, 60, 2), 3))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{place}.png")
    (tmp_path / "net.onnx").write_bytes(wide_network())
    network = f"net.onnx,preprocessing=tf,recipe={recipe}"
    assert main(["train", "pictures", "--cnn", network, "--out", "my.model"]) == 0
    assert main(["predict", "my.model", "pictures/dark/0.png"]) == 0
    assert "dark" in capsys.readouterr().out
    assert main(["compare", "pictures", "--recipes", "tiny_knn", "--cnn", network]) == 0
    assert f"{recipe} net" in capsys.readouterr().out
    assert main(["train", "pictures", "--cnn", "net.onnx,recipe=hog_svm", "--out", "other.model"]) == 2
    assert "recipe=hog_svm is not a recipe for networks" in capsys.readouterr().err
