"""Running a network: one cv2.dnn.Net per thread, because it can neither be shared nor pickled."""

from __future__ import annotations

import threading
from collections import OrderedDict

import cv2
import numpy as np

from featrec.exceptions import InputError

__all__ = ["forward"]

NETWORKS_PER_THREAD = 2


class _Loaded(threading.local):
    """The most recently used networks of this thread, by the digest of their file."""

    def __init__(self) -> None:
        self.networks: OrderedDict[str, cv2.dnn.Net] = OrderedDict()

    def get(self, digest: str, data: np.ndarray) -> cv2.dnn.Net:
        if digest not in self.networks:
            self.networks[digest] = cv2.dnn.readNetFromONNX(data)
        self.networks.move_to_end(digest)
        while len(self.networks) > NETWORKS_PER_THREAD:
            self.networks.popitem(last=False)
        return self.networks[digest]


_LOADED = _Loaded()


def forward(data: np.ndarray, digest: str, layer: str, values: np.ndarray) -> np.ndarray:
    """Run the network in `data` (the bytes of an ONNX file) up to `layer` on a batch (n, channels, height, width)."""
    try:
        network = _LOADED.get(digest, data)
        network.setInput(values)
        return np.array(network.forward(layer))
    except cv2.error as error:
        raise InputError(
            f"OpenCV {cv2.__version__} cannot run the network up to {layer!r}: {' '.join(str(error).split())} "
            "Export it with a fixed input size, with another ONNX opset, or without these operations."
        ) from error
