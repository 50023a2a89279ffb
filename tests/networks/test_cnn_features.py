"""CNNFeatures with ONNX files; and networks that were once in other packages of featrec."""

import importlib
import json
import os
import pickle
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data
from sklearn.base import clone

from featrec import networks
from featrec.exceptions import InputError, ModelFileError
from featrec.networks import CNNFeatures
from featrec.persistence import load, save
from tests.persistence.archives import packed, unpacked
from tests.tiny_network import DECLARED, field, network_bytes, number, run_tiny_network, value, write_tiny_network


@pytest.fixture
def tiny(tmp_path):
    return write_tiny_network(tmp_path / "tiny.onnx")


def tiny_input(image):
    """Return the input (3, 32, 32) for a colour image of 32×32 in [0, 1], with the preprocessing of DECLARED."""
    return (image.transpose(2, 0, 1)[None] * 255 - 127.5) / 127.5


@pytest.mark.parametrize("layer", ["feat", "logits", "map"])
def test_features_equal_the_network_in_numpy(rng, tiny, layer):
    image = rng.random((32, 32, 3))
    expected = run_tiny_network(tiny_input(image))[layer]
    expected = expected.mean(axis=(2, 3)) if layer == "map" else expected
    np.testing.assert_allclose(CNNFeatures(tiny, layer=layer).extract(image), expected[0], rtol=1e-4, atol=1e-4)


def test_the_declared_layer_else_the_last_output_is_used(rng, tiny):
    image = rng.random((32, 32, 3))
    np.testing.assert_array_equal(CNNFeatures(tiny).extract(image), CNNFeatures(tiny, layer="feat").extract(image))
    tiny.with_suffix(".json").write_text(json.dumps({**DECLARED, "layer": "logits"}))
    assert CNNFeatures(tiny).fit([image]).layer_ == "logits"
    assert CNNFeatures(tiny, layer="feat").fit([image]).layer_ == "feat"


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("torch", lambda rgb: (rgb - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("tf", lambda rgb: rgb * 2 - 1),
        ("caffe", lambda rgb: rgb[..., ::-1] * 255 - [104, 117, 123]),
    ],
)
def test_conventions(rng, tiny, name, by_hand):
    image = rng.random((32, 32, 3))
    expected = run_tiny_network(by_hand(image).transpose(2, 0, 1)[None])["feat"][0]
    np.testing.assert_allclose(CNNFeatures(tiny, preprocessing=name).extract(image), expected, rtol=1e-3, atol=1e-3)


def test_crop_uses_the_centre_and_stretching_the_whole_image(rng, tiny):
    wide = rng.random((32, 48, 3))
    cropped = CNNFeatures(tiny).extract(wide)
    np.testing.assert_allclose(cropped, CNNFeatures(tiny).extract(wide[:, 8:40]), atol=1e-5)
    stretched = cv2.resize(wide, (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(CNNFeatures(tiny, crop=False).extract(wide), CNNFeatures(tiny).extract(stretched), atol=1e-4)
    declared = CNNFeatures(tiny, preprocessing={**DECLARED, "crop": False})
    np.testing.assert_array_equal(declared.extract(wide), CNNFeatures(tiny, crop=False).extract(wide))


def test_a_long_strip_is_cropped_before_it_is_enlarged(tiny):
    strip = np.zeros((1, 200_000), np.uint8)
    np.testing.assert_allclose(CNNFeatures(tiny).extract(strip), CNNFeatures(tiny).extract(strip[:, :1]), atol=1e-6)


@pytest.mark.skipif(cv2.__version__ < "5", reason="OpenCV 4 cannot plan a matrix product over an input of free size")
def test_a_free_input_size_must_be_declared_or_given(rng, tmp_path):
    free = write_tiny_network(tmp_path / "free.onnx", size=None, declared={**DECLARED, "size": [20, 24]})
    image = rng.random((40, 48, 3))
    assert CNNFeatures(free).fit([image]).input_["size"] == (20, 24)
    given = CNNFeatures(free, size=(40, 48)).fit([image])
    expected = run_tiny_network(tiny_input(image))["feat"][0]
    np.testing.assert_allclose(given.transform([image])[0], expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match=r"accepts any size, but preprocessing='tf' contains no size; set size="):
        CNNFeatures(free, preprocessing="tf").extract(image)


@pytest.mark.skipif(cv2.__version__ >= "5", reason="OpenCV 5 runs it")
def test_a_free_input_size_that_opencv_cannot_run_is_an_error(rng, tmp_path):
    free = write_tiny_network(tmp_path / "free.onnx", size=None, declared={**DECLARED, "size": [20, 24]})
    with pytest.raises(InputError, match=r"OpenCV 4\..* cannot run .* 'feat': .*Export it with a fixed input size"):
        CNNFeatures(free).extract(rng.random((40, 48, 3)))


@pytest.mark.parametrize("batch", [None, 1, 4])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_results_do_not_depend_on_batches_and_threads(ragged, tmp_path, batch, batch_size):
    path = write_tiny_network(tmp_path / "tiny.onnx", batch=batch)
    expected = np.stack([CNNFeatures(path).extract(image) for image in ragged * 3])
    codes = CNNFeatures(path, batch_size=batch_size).fit_transform(ragged * 3)
    assert codes.shape == (18, 8)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes, expected, rtol=1e-5, atol=1e-6)
    threaded = CNNFeatures(path, batch_size=batch_size, n_jobs=2).fit(ragged).transform(ragged * 3)
    np.testing.assert_allclose(threaded, codes, rtol=1e-5, atol=1e-6)


def test_a_fitted_extractor_needs_no_file(ragged, tiny):
    features = CNNFeatures(tiny).fit(ragged)
    codes = features.transform(ragged)
    os.remove(tiny)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).transform(ragged), codes)
    with pytest.raises(InputError, match=r"no network file at '.*tiny.onnx'; check the path"):
        clone(features).fit(ragged)


def test_fit_reads_the_parameters_again(rng, tiny):
    images = rng.random((2, 32, 32, 3))
    features = CNNFeatures(tiny).fit(images)
    features.set_params(layer="logits", preprocessing="torch").fit(images)
    fresh = CNNFeatures(tiny, layer="logits", preprocessing="torch").fit(images)
    np.testing.assert_array_equal(features.transform(images), fresh.transform(images))


def test_transform_before_fit_and_a_model_as_bytes(ragged, tiny):
    expected = CNNFeatures(tiny).fit_transform(ragged)
    np.testing.assert_array_equal(CNNFeatures(str(tiny)).transform(ragged), expected)
    np.testing.assert_array_equal(CNNFeatures(tiny.read_bytes(), preprocessing=DECLARED).transform(ragged), expected)


def test_a_network_for_gray_images(rng, tmp_path):
    image = rng.random((8, 8))
    path = tmp_path / "gray.onnx"
    path.write_bytes(one_relu(channels=1))
    features = CNNFeatures(path, preprocessing={"mean": 127.5, "scale": 1, "color_order": "gray"})
    np.testing.assert_allclose(features.extract(image), [np.maximum(image * 255 - 127.5, 0).mean()], rtol=1e-5)
    with pytest.raises(InputError, match="the network expects 1 channels, but 'rgb' in preprocessing='tf' has 3"):
        CNNFeatures(path, preprocessing="tf").extract(image)


def one_relu(channels, inputs=1, sides=4):
    shape = [1, channels, 8, 8][:sides]
    node = field(1, b"data0") + field(2, b"out") + field(4, b"Relu")
    values = b"".join(field(11, value(f"data{i}", shape)) for i in range(inputs))
    graph = field(1, node) + field(2, b"relu") + values + field(12, value("out", shape))
    return number(1, 8) + field(7, graph) + field(8, field(1, b"") + number(2, 13))


@pytest.mark.parametrize("damage", [b"", b"no network", b"\x89PNG\r\n\x1a\n" * 9, network_bytes()[:200], b"\xff" * 40])
def test_a_file_that_is_not_onnx_is_named(tmp_path, damage):
    path = tmp_path / "wrong.onnx"
    path.write_bytes(damage)
    with pytest.raises(InputError, match=r"wrong.onnx' is not an ONNX file, or is damaged"):
        CNNFeatures(path, preprocessing="tf").extract(np.zeros((8, 8)))


def test_any_damage_is_an_input_error(rng):
    good = network_bytes()
    for _ in range(200):
        damaged = bytearray(good[: rng.integers(len(good))])
        for at in rng.integers(0, max(1, len(damaged)), 5):
            damaged[at : at + 1] = bytes([rng.integers(256)])
        with pytest.raises(InputError, match=r"ONNX|network|layer"):
            CNNFeatures(bytes(damaged), preprocessing="tf", layer="none").fit([np.zeros((8, 8))])


@pytest.mark.parametrize("parameters", [{"inputs": 2}, {"sides": 2}, {"inputs": 0}])
def test_networks_for_other_inputs_are_an_error(parameters):
    with pytest.raises(InputError, match="the model given as bytes is not a network for images: it must have one input"):
        CNNFeatures(one_relu(3, **parameters), preprocessing="tf").extract(np.zeros((8, 8)))


def test_operations_that_opencv_cannot_run_are_an_error():
    odd = network_bytes().replace(b"GlobalAveragePool", b"GlobalUnknownPool")
    with pytest.raises(InputError, match=r"OpenCV .* cannot run the network up to 'feat'.* Install onnxruntime"):
        CNNFeatures(odd, preprocessing="tf", runtime="opencv").extract(np.zeros((8, 8)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"layer": "flat"}, r"tiny.onnx' has no layer 'flat'; nearest: 'feat'"),
        ({"model": network_bytes(), "preprocessing": {"mean": 0}}, r"missing: \['color_order', 'scale'\]"),
        ({"preprocessing": {**DECLARED, "std": 1}}, r"unknown: \['std'\]"),
        ({"preprocessing": {**DECLARED, "mean": (1, 2)}}, r"mean in preprocessing must be a number or 3 numbers; got \(1, 2\)"),
        ({"preprocessing": {**DECLARED, "scale": "big"}}, "scale in preprocessing must be a number or 3 numbers"),
        ({"preprocessing": {**DECLARED, "color_order": "RGB"}}, "color_order in preprocessing must be one of .*; got 'RGB'"),
        ({"preprocessing": {**DECLARED, "crop": "yes"}}, "crop in preprocessing must be true or false; got 'yes'"),
        ({"preprocessing": "keras"}, "'preprocessing' parameter of CNNFeatures must be"),
        ({"size": (64, 64)}, r"size in .*tiny.json' is \(64, 64\), but the network expects \(32, 32\)"),
        ({"size": (32,)}, "size must be 2 positive integers"),
        ({"model": 3}, "model must be an ONNX file, a torch module, .*; got int"),
    ],
)
def test_a_wrong_parameter_is_named(tiny, parameters, message):
    with pytest.raises(ValueError, match=message):
        CNNFeatures(**{"model": tiny, **parameters}).fit([np.zeros((8, 8))])


def test_preprocessing_is_never_guessed(tmp_path):
    path = write_tiny_network(tmp_path / "tiny.onnx", declared=None)
    with pytest.raises(InputError, match=r"is not declared and cannot be guessed. Set preprocessing to 'torch', 'tf', "):
        CNNFeatures(path).extract(np.zeros((8, 8)))
    with pytest.raises(InputError, match="the preprocessing for the model given as bytes is not declared"):
        CNNFeatures(path.read_bytes()).extract(np.zeros((8, 8)))


@pytest.mark.parametrize(("text", "message"), [("{", "cannot be read as JSON"), ("[1]", "must contain one object")])
def test_a_broken_json_file_is_named(tiny, text, message):
    tiny.with_suffix(".json").write_text(text)
    with pytest.raises(InputError, match=f"tiny.json' {message}"):
        CNNFeatures(tiny).extract(np.zeros((8, 8)))


@pytest.fixture
def weights():
    if "FEATREC_DATA" not in os.environ:
        pytest.skip("FEATREC_DATA is not set")
    return Path(os.environ["FEATREC_DATA"]) / "weights"


PUBLISHED = [("squeezenet1_1", "caffe", 512, 1000), ("mobilenet_v2", "tf", 1280, 1001)]


@pytest.mark.data
@pytest.mark.parametrize(("name", "preprocessing", "width", "classes"), PUBLISHED)
def test_published_networks_classify_photographs(weights, name, preprocessing, width, classes):
    model = weights / f"{name}.onnx"
    labels = (weights / f"imagenet_labels_{classes}.txt").read_text().splitlines()
    images = [data.chelsea(), data.coffee()]
    shares = CNNFeatures(model, layer="prob", preprocessing=preprocessing).fit_transform(images)
    assert [labels[i] for i in shares.argmax(axis=1)] == ["Egyptian cat", "espresso"]
    assert CNNFeatures(model, preprocessing=preprocessing).fit_transform(images).shape == (2, width)


@pytest.mark.data
@pytest.mark.parametrize(("name", "preprocessing", "width", "classes"), PUBLISHED)
def test_published_networks_agree_with_onnxruntime(weights, rng, name, preprocessing, width, classes):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = weights / f"{name}.onnx"
    image = rng.random((227, 227) if name == "squeezenet1_1" else (224, 224)).astype(np.float32)
    rgb = np.stack([image * 255] * 3)[None]
    values = rgb - np.float32([104, 117, 123]).reshape(3, 1, 1) if preprocessing == "caffe" else rgb / 127.5 - 1
    session = onnxruntime.InferenceSession(str(model))
    for layer in ("prob", "logits", "feat"):
        expected = session.run([layer], {"data": values.astype(np.float32)})[0][0]
        found = CNNFeatures(model, layer=layer, preprocessing=preprocessing).extract(image)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


FORMER = [("descriptors", "CNNFeatures"), ("classifiers", "LeNet5"), ("classifiers", "SmallResNet")]


@pytest.mark.parametrize(("stage", "name"), FORMER)
def test_the_old_import_works_with_a_warning(stage, name):
    module = importlib.import_module(f"featrec.{stage}")
    with pytest.warns(FutureWarning, match=rf"featrec\.{stage}\.{name} has moved; import it from featrec\.networks") as caught:
        assert getattr(module, name) is getattr(networks, name)
    assert caught[0].filename == __file__
    assert name not in dir(module)


@pytest.mark.parametrize("stage", ["descriptors", "classifiers"])
def test_a_star_import_does_not_warn(stage):
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(f"from featrec.{stage} import *", names)
    assert not {"CNNFeatures", "LeNet5", "SmallResNet"} & names.keys()


def written_before(model, stage, path, **changed):
    """A model file that names the former stage, with changed parameters."""
    save(model, path)
    facts, members = unpacked(path.read_bytes())
    schema = json.loads(members["schema.json"])
    assert schema["__module__"] == "featrec.networks"
    schema["__module__"] = f"featrec.{stage}"
    for name, setting in changed.items():
        schema["content"]["content"][name]["content"] = json.dumps(setting)
    path.write_bytes(packed(facts, {**members, "schema.json": json.dumps(schema).encode()}))
    return path


@pytest.mark.parametrize(("stage", "name"), FORMER)
def test_a_model_file_with_the_old_name_loads_without_a_warning(stage, name, tmp_path):
    model = getattr(networks, name)(**({"model": "net.onnx"} if name == "CNNFeatures" else {"epochs": 3}))
    path = written_before(model, stage, tmp_path / "model.featrec")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load(path)
    assert type(loaded) is type(model)
    assert loaded.get_params() == model.get_params()


def test_limits_of_settings_also_apply_to_the_old_name(tmp_path):
    path = written_before(networks.CNNFeatures("net.onnx"), "descriptors", tmp_path / "model.featrec", batch_size=10**9)
    with pytest.raises(ModelFileError, match="CNNFeatures: batch_size=1000000000 is above the limit"):
        load(path)
