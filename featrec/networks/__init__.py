"""Convolutional networks, for comparison with engineered features: CNNFeatures, and classifiers that are trained on pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.networks._architectures import LeNet5, SmallResNet
    from featrec.networks._cnn_features import CNNFeatures
    from featrec.networks._cnn_maps import CNNMaps
    from featrec.networks._layers import Layer, list_layers
    from featrec.networks._network_docs import NETWORK_DOCS as NETWORK_DOCS

__all__ = ["CNNFeatures", "CNNMaps", "Layer", "LeNet5", "SmallResNet", "list_layers"]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._architectures": ["LeNet5", "SmallResNet"],
        "._cnn_features": ["CNNFeatures"],
        "._cnn_maps": ["CNNMaps"],
        "._network_docs": ["NETWORK_DOCS"],
        "._layers": ["Layer", "list_layers"],
    },
)
