"""Contributions to codes of CNNFeatures: the cells of a map whose mean is the code, or columns without a place."""

import os
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from featrec.networks import CNNFeatures
from featrec.networks._onnx_graph import Node, OnnxGraph
from featrec.networks._onnx_network import _averaged, is_installed
from tests.descriptors.contributions import assert_complete, touched
from tests.tiny_network import DECLARED, run_tiny_network, write_tiny_network

RUNTIMES = ["opencv", *(["onnxruntime"] if is_installed("onnxruntime") else [])]


@pytest.fixture
def tiny(tmp_path):
    return write_tiny_network(tmp_path / "tiny.onnx")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("layer", ["feat", "map", "average"])
@pytest.mark.parametrize("batch", [None, 3])
def test_cells_of_the_map_contribute(rng, tmp_path, runtime, layer, batch):
    features = CNNFeatures(write_tiny_network(tmp_path / "tiny.onnx", batch=batch), layer=layer, runtime=runtime)
    image, weights = rng.random((32, 32, 3)), np.random.default_rng(0).normal(size=8)
    expected = np.einsum("c,cyx->yx", weights, run_tiny_network(image.transpose(2, 0, 1)[None] * 2 - 1)["map"][0]) / 32**2
    found = assert_complete(features.fit([image]), image)
    np.testing.assert_allclose(found.values.reshape(32, 32), expected, atol=1e-5)
    np.testing.assert_allclose(found.outlines[33], [(0.5, 0.5), (1.5, 0.5), (1.5, 1.5), (0.5, 1.5)])
    assert found.names[33] == "cell in row 2, column 2 of the map"


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("shape", [(64, 96, 3), (96, 64)])
@pytest.mark.parametrize("dtype", [np.uint8, float])
def test_only_cells_near_a_changed_spot_change_their_contributions(rng, tiny, crop, shape, dtype):
    image = rng.integers(0, 256, shape, dtype=np.uint8) if dtype is np.uint8 else rng.random(shape)
    features = CNNFeatures(tiny, crop=crop).fit([image])
    weights, where, changed = np.random.default_rng(0).normal(size=8), (30, 42, 24, 30), image.copy()
    changed[30:42, 24:30] = 255 - changed[30:42, 24:30] if dtype is np.uint8 else 1 - changed[30:42, 24:30]
    before, after = (features.contributions(each, weights) for each in (image, changed))
    different = np.abs(before.values - after.values) > 1e-6
    height, width = (before.frames[32, 1] - before.frames[0, 1], before.frames[1, 0] - before.frames[0, 0])
    near = touched(before.outlines, *where, down=height, across=width)  # filters of 3×3 see the neighbouring cells
    assert not (different & ~near).any()
    assert different[touched(before.outlines, *where)].mean() > 0.9


def test_columns_that_are_no_means_have_no_place(rng, tiny):
    image = rng.random((40, 30, 3))
    found = assert_complete(CNNFeatures(tiny, layer="logits").fit([image]), image)
    assert found.names == ("cnnfeatures0", "cnnfeatures1", "cnnfeatures2")
    assert np.isnan(found.outlines).all()


def test_without_fit_the_network_is_read(rng, tiny):
    image, weights = rng.random((40, 30, 3)), np.ones(8)
    expected = CNNFeatures(tiny).fit([image]).contributions(image, weights)
    np.testing.assert_array_equal(CNNFeatures(tiny).contributions(image, weights).values, expected.values)


def test_flat_and_tiny_images(tiny):
    for image in (np.zeros((20, 30), np.uint8), np.full((1, 1, 3), 9, np.uint8), np.full((5, 200, 3), 255, np.uint8)):
        assert_complete(CNNFeatures(tiny), image)


def tokens(values):
    """Return one token for each square of 8×8 pixels, after two tokens without a position."""
    squares = values.reshape(len(values), 3, 4, 8, 4, 8).mean(axis=(3, 5)).reshape(len(values), 3, 16)
    return np.concatenate([np.ones((len(values), 2, 3)), squares.transpose(0, 2, 1)], axis=1)


def test_tokens_contribute_at_their_places(rng):
    image = rng.random((32, 32, 3))
    features = CNNFeatures(tokens, preprocessing={**DECLARED, "size": (32, 32)}).fit([image])
    found = assert_complete(features, image)
    assert found.names[:2] == ("token 0 without a position", "token 1 without a position")
    assert np.isnan(found.outlines[:2]).all()
    np.testing.assert_allclose(found.outlines[2 + 5], [(7.5, 7.5), (15.5, 7.5), (15.5, 15.5), (7.5, 15.5)])
    weights = np.random.default_rng(0).normal(size=3)
    np.testing.assert_allclose(found.values[2 + 5], weights @ (image[8:16, 8:16] * 2 - 1).mean(axis=(0, 1)) / 18, rtol=1e-5)


def test_tokens_whose_number_fits_no_grid_have_no_place(rng):
    image = rng.random((32, 32, 3))
    declared = {**DECLARED, "size": (32, 33)}
    features = CNNFeatures(lambda values: tokens(values[..., :32])[:, :7], preprocessing=declared).fit([image])
    found = assert_complete(features, image)
    assert len(found.values) == 7
    assert np.isnan(found.outlines).all()


def test_a_mean_that_is_changed_afterwards_is_not_used():
    nodes = [
        Node("Conv", ("data", "w"), ("conv",)),
        Node("ReduceMean", ("conv", "axes"), ("rows",)),
        Node("ReduceMean", ("rows",), ("mean",)),
        Node("Flatten", ("mean",), ("feat",)),
        Node("Mul", ("feat", "w"), ("scaled",)),
    ]
    graph = OnnxGraph((1, 3, 8, 8), ("feat",), tuple(nodes), {}, "data")
    assert _averaged(graph, "feat") == ("rows", "conv")
    assert _averaged(graph, "scaled") == _averaged(graph, "conv") == ()


class TestTorch:
    """Modules: maps found by hooks, and through the export."""

    torch = None

    @pytest.fixture(autouse=True)
    def setup(self):
        self.torch = pytest.importorskip("torch")
        pytest.importorskip("onnx")
        self.torch.manual_seed(0)

    def network(self, *last):
        nn = self.torch.nn
        return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), *last).eval()

    @pytest.mark.parametrize("runtime", ["torch", "auto"])
    def test_global_average_pooling(self, rng, runtime):
        nn, image = self.torch.nn, rng.random((40, 32, 3))
        module = self.network(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        features = CNNFeatures(module, preprocessing={**DECLARED, "size": (32, 32)}, runtime=runtime).fit([image])
        found = assert_complete(features, image)
        with self.torch.inference_mode():
            values = self.torch.from_numpy((image[4:36].transpose(2, 0, 1)[None] * 2 - 1).astype(np.float32))
            expected = module[:3](values)[0].numpy()
        weights = np.random.default_rng(0).normal(size=8)
        np.testing.assert_allclose(found.values, (weights @ expected.reshape(8, -1)) / 256, atol=1e-5)
        np.testing.assert_allclose(found.outlines[0], [(-0.5, 3.5), (1.5, 3.5), (1.5, 5.5), (-0.5, 5.5)])

    def test_hooks_find_the_map_without_an_export(self, rng):
        nn, image = self.torch.nn, rng.random((32, 32, 3))
        module = self.network(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 8))
        options = {"preprocessing": {**DECLARED, "size": (32, 32)}, "runtime": "torch"}
        for layer, n_parts in (("3", 256), ("4", 256), ("2", 256), ("5", 8)):
            features = CNNFeatures(module, layer=layer, **options).fit([image])
            del features.network_
            assert len(assert_complete(features, image).values) == n_parts
        assert not any(each._forward_hooks for each in module.modules())

    def test_a_mean_that_is_no_module_is_found_in_the_export(self, rng):
        image, network = rng.random((32, 32, 3)), self.network()

        class Mean(self.torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.network = network

            def forward(self, values):
                return (self.network(values) + 1).mean((2, 3))

        features = CNNFeatures(Mean(), preprocessing={**DECLARED, "size": (32, 32)}, runtime="torch").fit([image])
        assert len(assert_complete(features, image).values) == 256


@pytest.mark.data
@pytest.mark.parametrize(("name", "preprocessing", "side"), [("mobilenet_v2", "tf", 7), ("squeezenet1_1", "caffe", 14)])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_published_networks_contribute_where_the_cat_is(name, preprocessing, side, runtime):
    if "FEATREC_DATA" not in os.environ:
        pytest.skip("FEATREC_DATA is not set")
    file, image = Path(os.environ["FEATREC_DATA"]) / "weights" / f"{name}.onnx", data.chelsea()
    found = assert_complete(CNNFeatures(file, preprocessing=preprocessing, runtime=runtime).fit([image]), image)
    assert len(found.values) == side * side
    np.testing.assert_allclose(found.outlines[[0, -1], [0, 2]], [(75, -0.5), (375, 299.5)])
