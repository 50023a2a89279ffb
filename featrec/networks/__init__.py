"""Networks, for comparison with engineered features: features of trained networks, and classifiers that are trained here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.networks._architectures import LeNet5, SmallResNet
    from featrec.networks._cnn_features import CNNFeatures
    from featrec.networks._fine_tuned import FineTuned
    from featrec.networks._pixels_network import PixelsNetwork

__all__ = ["CNNFeatures", "FineTuned", "LeNet5", "PixelsNetwork", "SmallResNet"]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._architectures": ["LeNet5", "SmallResNet"],
        "._cnn_features": ["CNNFeatures"],
        "._fine_tuned": ["FineTuned"],
        "._pixels_network": ["PixelsNetwork"],
    },
)
