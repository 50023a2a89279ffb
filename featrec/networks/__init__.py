"""Networks, for comparison with engineered features: features of trained networks, and classifiers that are trained here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.networks._architectures import LeNet5, SmallResNet
    from featrec.networks._cnn_features import CNNFeatures, CNNMaps
    from featrec.networks._fine_tuned import FineTuned
    from featrec.networks._layers import Layer, list_layers
    from featrec.networks._network_docs import NETWORK_DOCS as NETWORK_DOCS
    from featrec.networks._pixels_network import PixelsNetwork

__all__ = ["CNNFeatures", "CNNMaps", "FineTuned", "Layer", "LeNet5", "PixelsNetwork", "SmallResNet", "list_layers"]

# Names that are not in __all__ are for other packages of featrec; they may change in any version.
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._architectures": ["LeNet5", "SmallResNet"],
        "._cnn_features": ["CNNFeatures", "CNNMaps"],
        "._fine_tuned": ["FineTuned"],
        "._layers": ["Layer", "list_layers"],
        "._network_docs": ["NETWORK_DOCS"],
        "._pixels_network": ["PixelsNetwork"],
    },
)
