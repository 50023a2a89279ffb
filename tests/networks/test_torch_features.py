"""CNNFeatures and CNNMaps with torch modules: layers by hooks, the ONNX export, model files, weights and names of timm."""

import hashlib
import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from featrec.descriptors import Whiten
from featrec.encoders import VLAD, SpatialPyramid
from featrec.exceptions import InputError, MissingExtraError
from featrec.networks import CNNFeatures, CNNMaps, _onnx_network, list_layers
from featrec.persistence import load, save

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

DECLARED = {"mean": 127.5, "scale": 1 / 127.5, "color_order": "rgb", "size": (32, 32)}
IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, 40, 32, 3), dtype=np.uint8))
RUNTIMES = ["torch", "opencv", *(["onnxruntime"] if _onnx_network.is_installed("onnxruntime") else [])]


class Residual(torch.nn.Module):
    """A small residual network, with a layer inside a layer."""

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.ReLU())
        self.block = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, 1, 1), torch.nn.ReLU())
        self.head = torch.nn.Linear(8, 4)

    def forward(self, image):
        stem = self.stem(image)
        return self.head((stem + self.block(stem)).mean((2, 3)))


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    network = Residual()
    with torch.no_grad():
        network(torch.randn(64, 3, 32, 32))  # gives the batch normalisation statistics that are not trivial
    return network.eval()


def by_hand(module, layer):
    """Return the layer of the module for the images, prepared with NumPy."""
    found = {}
    values = np.stack([image[4:36].transpose(2, 0, 1) for image in IMAGES]).astype(np.float32)
    handle = dict(module.named_modules())[layer].register_forward_hook(lambda _, __, out: found.update(out=out))
    with torch.inference_mode():
        module(torch.from_numpy((values - np.float32(127.5)) / np.float32(127.5)))
    handle.remove()
    return found["out"].numpy()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("layer", ["stem", "block.0", "head"])
def test_every_runtime_returns_the_layer_of_the_module(module, layer, runtime):
    expected = by_hand(module, layer)
    features = CNNFeatures(module, layer=layer, preprocessing=DECLARED, runtime=runtime).fit(IMAGES)
    pooled = expected.mean(axis=(2, 3)) if expected.ndim == 4 else expected
    np.testing.assert_allclose(features.transform(IMAGES), pooled, atol=1e-3 * np.abs(expected).max())
    assert (features.runtime_, features.layer_) == (runtime, layer)


def test_the_module_of_the_user_is_not_changed(module):
    training = Residual().train()
    hooks = [len(each._forward_hooks) for each in training.modules()]
    CNNFeatures(training, layer="stem", preprocessing=DECLARED, runtime="torch").fit(IMAGES)
    assert training.training
    assert [len(each._forward_hooks) for each in training.modules()] == hooks


def test_model_files_contain_the_export_and_no_code(module, tmp_path):
    features = CNNFeatures(module, layer="block", preprocessing=DECLARED, runtime=RUNTIMES[-1]).fit(IMAGES)
    save(features, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.model == "Residual (its ONNX export is in network_)"
    np.testing.assert_array_equal(loaded.transform(IMAGES), features.transform(IMAGES))
    assert features.model is module


def test_clones_and_pickles_return_the_same(module):
    features = CNNFeatures(module, preprocessing=DECLARED, runtime="torch").fit(IMAGES)
    expected = features.transform(IMAGES)
    np.testing.assert_array_equal(clone(features).fit_transform(IMAGES), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).transform(IMAGES), expected)


def test_changed_weights_are_refused_after_fit():
    changing = Residual().eval()
    features = CNNFeatures(changing, preprocessing=DECLARED, runtime="torch").fit(IMAGES)
    with torch.no_grad():
        changing.head.weight += 1
    features = pickle.loads(pickle.dumps(features))
    from featrec.networks._torch_network import KEPT

    KEPT.kept.clear()
    with pytest.raises(InputError, match="the weights of Residual have changed since fit; fit the extractor again"):
        features.transform(IMAGES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "blocks"}, "Residual has no layer 'blocks'; nearest: 'block'"),
        ({"preprocessing": None}, "the preprocessing for Residual is not declared and cannot be guessed"),
        ({"embed": False}, "embed=False needs a model given by name, such as 'timm:resnet18'; got Residual"),
        ({"weights": "a.pth"}, "weights, sha256, key_map and download apply to models given by name"),
    ],
)
def test_a_wrong_option_is_named_without_printing_the_module(module, options, message):
    with pytest.raises(InputError, match=message) as raised:
        CNNFeatures(module, **{"preprocessing": DECLARED, **options}).fit(IMAGES)
    assert "Conv2d" not in str(raised.value)


def test_a_module_that_cannot_be_exported_runs_in_torch_but_is_not_saved(tmp_path):
    class Unpredictable(torch.nn.Module):
        def forward(self, image):
            return torch.from_numpy(image.numpy().mean(axis=(2, 3)) ** 2)

    features = CNNFeatures(Unpredictable(), preprocessing=DECLARED).fit(IMAGES)
    assert features.runtime_ == "torch"
    assert features.transform(IMAGES).shape == (3, 3)
    with pytest.raises(InputError, match="Unpredictable cannot be saved, because a model file contains no code"):
        save(features, tmp_path / "model")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_maps_are_the_columns_of_the_layer_at_their_places(module, runtime, batch_size):
    expected = by_hand(module, "stem")
    maps = CNNMaps(module, layer="stem", preprocessing=DECLARED, runtime=runtime, batch_size=batch_size).fit(IMAGES)
    bags = maps.transform(IMAGES)
    for bag, columns in zip(bags, expected, strict=True):
        np.testing.assert_allclose(bag.descriptors, columns.reshape(8, -1).T, atol=1e-3 * np.abs(expected).max())
        # 16 × 16 columns of two pixels; the crop of an image of 40 × 32 begins in row 4
        np.testing.assert_allclose(bag.frames[0], [0.5, 4.5, 2, -1])
        np.testing.assert_allclose(bag.frames[-1], [30.5, 34.5, 2, -1])
        assert bag.size == (40, 32)
    assert maps.get_feature_names_out().shape == (8,)


def test_several_scales_are_joined(module):
    maps = CNNMaps(module, layer="stem", preprocessing=DECLARED, scales=(1, 0.5), crop=False).fit(IMAGES)
    bag = maps.transform(IMAGES)[0]
    assert len(bag.descriptors) == 16 * 16 + 8 * 8
    np.testing.assert_allclose(bag.frames[256], [32 / 16 - 0.5, 40 / 16 - 0.5, 5, -1])
    single = CNNMaps(module, layer="stem", preprocessing={**DECLARED, "size": (16, 16)}, crop=False).fit(IMAGES)
    np.testing.assert_allclose(bag.descriptors[256:], single.transform(IMAGES)[0].descriptors, atol=1e-5)


def test_the_error_of_a_batch_names_the_image(module):
    maps = CNNMaps(module, layer="stem", preprocessing=DECLARED, batch_size=2, scales=(1,)).fit(IMAGES)
    with pytest.raises(InputError, match="image 2: the image has 0 rows"):
        list(maps.transform([*IMAGES[:2], np.zeros((0, 4), np.uint8)]))


def test_a_pipeline_over_maps(module):
    model = make_pipeline(
        CNNMaps(module, layer="stem", preprocessing=DECLARED), Whiten(4), SpatialPyramid(VLAD(2, random_state=0), levels=2)
    )
    codes = model.fit_transform(IMAGES)
    assert codes.shape == (3, 5 * 2 * 4)
    assert np.isfinite(codes).all()


def test_layers_of_a_module(module):
    layers = {layer.name: layer for layer in list_layers(module, size=32)}
    assert (layers["stem.0"].shape, layers["stem.0"].n_parameters) == ((8, 16, 16), 8 * 27 + 8)
    assert layers["stem.0"].n_multiply_adds == 8 * 16 * 16 * 27
    assert (layers["head"].kind, layers["head"].n_multiply_adds) == ("Linear", 32)


def test_an_exported_program_is_a_network(module, tmp_path):
    pytest.importorskip("onnxscript")
    values = torch.zeros(1, 3, 32, 32)
    program = torch.export.export(module, (values,))
    torch.export.save(program, tmp_path / "net.pt2")
    expected = CNNFeatures(module, preprocessing=DECLARED).fit_transform(IMAGES)
    for model in (program, tmp_path / "net.pt2"):
        codes = CNNFeatures(model, preprocessing=DECLARED).fit_transform(IMAGES)
        np.testing.assert_allclose(codes, expected, atol=1e-3 * np.abs(expected).max())


# timm: no download; the weights are written by the test.


@pytest.fixture
def weights(timm, tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


NAME = "timm:test_resnet"


def test_a_name_of_timm_with_local_weights(timm, weights, tmp_path):
    path, digest = weights
    features = CNNFeatures(NAME, layer="pre_logits", weights=path, sha256=digest).fit(IMAGES)
    assert features.input_["size"] == (160, 160)
    save(features, tmp_path / "model")
    path.unlink()
    loaded = load(tmp_path / "model")
    assert loaded.weights == "weights.pth"
    np.testing.assert_array_equal(loaded.transform(IMAGES), features.transform(IMAGES))


def test_the_preprocessing_of_timm_is_reproduced(timm, weights):
    from PIL import Image

    module = timm.create_model("test_resnet").eval()
    photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    config = timm.data.resolve_model_data_config(module)
    expected = timm.data.create_transform(**config, is_training=False)(Image.fromarray(photo)).numpy()
    features = CNNFeatures(module).fit([photo])
    from featrec.networks._network_input import NetworkInput

    np.testing.assert_allclose(NetworkInput(**features.input_).prepare(photo), expected, atol=1e-5)


def test_weights_by_name_and_hash_are_found_again_or_refused(timm, weights, tmp_path):
    path, digest = weights
    features = CNNFeatures(NAME, layer="map:-1", weights=path, sha256=digest, embed=False).fit(IMAGES)
    expected = features.transform(IMAGES)
    save(features, tmp_path / "model")
    assert (tmp_path / "model").stat().st_size < 20_000
    np.testing.assert_array_equal(load(tmp_path / "model").transform(IMAGES), expected)
    state = torch.load(path)
    torch.save({name: value + 1 for name, value in state.items()}, path)
    with pytest.raises(InputError, match=r"the weights at .* have changed: their SHA-256 is"):
        CNNFeatures(NAME, weights=path, sha256=digest).fit(IMAGES)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (NAME, {}, "needs trained weights, and nothing is downloaded unless you ask for it"),
        (
            "timm:test_resnot",
            {"weights": "w.pth"},
            r"'timm:test_resnot': timm .* has no model 'test_resnot'. Nearest names: .*test_resnet",
        ),
        (NAME, {"weights": "none.pth"}, "no weights file at 'none.pth'"),
        (NAME, {"layer": "map:x"}, "layer must name a map by its number"),
    ],
)
def test_a_wrong_name_is_refused(timm, weights, model, options, message):
    if "map" in str(options):
        options = options | {"weights": weights[0]}
    with pytest.raises(InputError, match=message):
        CNNFeatures(model, **options).fit(IMAGES)


def test_foreign_names_need_a_key_map(timm, weights, tmp_path):
    path, _ = weights
    state = torch.load(path)
    torch.save({f"net.{name}": value for name, value in state.items()}, path)
    with pytest.raises(InputError, match=r"the names in .* do not match the network: missing 'conv1.0.weight'.*Set key_map"):
        CNNFeatures(NAME, weights=path).fit(IMAGES)
    mapped = CNNFeatures(NAME, weights=path, key_map={f"net.{name}": name for name in state}).fit(IMAGES)
    ordered = CNNFeatures(NAME, weights=path, key_map="order").fit(IMAGES)
    np.testing.assert_array_equal(mapped.transform(IMAGES), ordered.transform(IMAGES))
    with pytest.raises(
        InputError, match=r"key_map contains 'nut.conv1.0.weight', which is not in .*; nearest: 'net.conv1.0.weight'"
    ):
        CNNFeatures(NAME, weights=path, key_map={"nut.conv1.0.weight": "conv1.0.weight"}).fit(IMAGES)


def test_weights_that_would_execute_code_are_refused(timm, tmp_path):
    path = tmp_path / "evil.pth"
    torch.save({"a": print}, path)
    with pytest.raises(InputError, match="cannot be read without executing code, or are damaged"):
        CNNFeatures(NAME, weights=path).fit(IMAGES)


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "opencv"])
def test_tokens_of_a_vision_transformer_are_local_descriptors(timm, runtime):
    torch.manual_seed(0)
    module = timm.create_model("test_vit").eval()
    maps = CNNMaps(module, layer="blocks.1", runtime=runtime).fit(IMAGES)
    bag = maps.transform(IMAGES)[0]
    with torch.inference_mode():
        from featrec.networks._network_input import NetworkInput

        values = torch.from_numpy(NetworkInput(**maps.input_).prepare(IMAGES[0]))[None]
        expected = module.forward_intermediates(values, indices=[1], intermediates_only=True, norm=False)[0][0].numpy()
    rows = expected.reshape(len(expected), -1).T
    np.testing.assert_allclose(bag.descriptors, rows, atol=1e-3 * np.abs(rows).max())


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"needs timm; pip install \"featrec\[timm\]\""):
        CNNFeatures(NAME).fit(IMAGES)


def test_weights_of_torchvision_bring_their_preprocessing(timm, tmp_path):
    from PIL import Image
    from torchvision import models

    from featrec.networks._network_input import NetworkInput

    torch.manual_seed(0)
    path, chosen = tmp_path / "resnet18.pth", models.ResNet18_Weights.IMAGENET1K_V1
    torch.save(models.resnet18().state_dict(), path)
    photo = np.random.default_rng(0).integers(0, 256, (250, 300, 3), dtype=np.uint8)
    features = CNNFeatures(chosen, weights=path, layer="avgpool").fit([photo])
    expected = chosen.transforms()(Image.fromarray(photo)).numpy()
    np.testing.assert_allclose(NetworkInput(**features.input_).prepare(photo), expected, atol=1e-5)
    assert (features.pretrained_on, features.n_features_out_) == ("ImageNet-1k", 512)
    with pytest.raises(InputError, match=r"ResNet18_Weights.IMAGENET1K_V1 needs trained weights, and nothing is downloaded"):
        CNNFeatures(chosen).fit([photo])
