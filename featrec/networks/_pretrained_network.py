"""PretrainedNetwork: what CNNFeatures and CNNMaps share. It reads a network, prepares images, and runs the network."""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np

from featrec.base import StrOptions, positive_integer
from featrec.exceptions import ImageError, InputError, NetworkWarning
from featrec.model_files import SizeLimit, Stored, check_stored_array
from featrec.networks._layers import cost_up_to
from featrec.networks._network_input import CONVENTIONS, NetworkInput
from featrec.networks._network_source import NetworkSource, is_file, is_name, network_name
from featrec.networks._onnx_graph import read_graph
from featrec.networks._onnx_network import RUNTIMES, check_runtimes_agree, is_installed, run_onnx, runtime_of
from featrec.networks._stored_network import MOST_INPUT
from featrec.networks._torch_module import NamesModules, nearest_names
from featrec.networks._torch_network import KEPT, Pretrained, TorchNetwork
from featrec.networks._training import resolved_device

__all__ = ["MOST_SCALES", "PretrainedNetwork"]

MOST_SCALES, MOST_SCALE = 16, 20
# Maximum difference between a module and its ONNX export, relative to the largest value of the layer.
TOLERANCE = 1e-3
# Values that differ by less than this, relative to the largest value of the layer, count as the same.
SAME = 1e-6
# What a network was trained on, if its configuration does not contain this.
UNKNOWN = "unknown images"
# Names of the output of a module: in `layer_` and in an ONNX export.
WHOLE, EXPORTED = "output", "features"
# Parameters that determine where the network is found; the digest of the network identifies it.
PLACES = {"model", "network_", "weights", "sha256", "key_map", "download", "embed", "device", "runtime"}


class PretrainedNetwork(NamesModules):
    """Mixin of extractors that run a trained network."""

    network_kind = "features"
    _network_constraints: ClassVar[dict[str, Any]] = {
        "model": [object],
        "layer": [str, None],
        "preprocessing": [StrOptions(set(CONVENTIONS)), dict, None],
        "size": [positive_integer(), tuple, list, None],
        "crop": ["boolean", None],
        "weights": [str, os.PathLike, None],
        "sha256": [str, None],
        "key_map": [StrOptions({"order"}), dict, None],
        "download": ["boolean"],
        "runtime": [StrOptions({"auto", "torch", *RUNTIMES})],
        "device": [str],
        "precision": [StrOptions({"float32", "float16", "bfloat16"})],
        "embed": ["boolean"],
        "batch_size": [positive_integer()],
    }
    _file_limits = {"size": SizeLimit(2**24, sides=2), "batch_size": SizeLimit(2**12)}
    # If network_ contains the network, model files store only the file name of `model`, without the folder.
    _file_parameters: ClassVar = {"model": "network_", "weights": "network_"}

    model: Any
    layer: str | None
    preprocessing: Any
    size: Any
    crop: bool | None
    weights: Any
    sha256: str | None
    key_map: Any
    download: bool
    runtime: str
    device: str
    precision: str
    embed: bool
    batch_size: int
    network_: np.ndarray
    input_: dict[str, Any]

    def _read(self) -> PretrainedNetwork:
        """Read the network, and check everything that can be checked without images."""
        self._check_model()
        for name in ("network_", "output_"):
            vars(self).pop(name, None)
        pretrained = Pretrained(self.weights, self.sha256, self.key_map, self.download)
        source = NetworkSource.find(self.model, pretrained)
        declared, where = self._declaration(source)
        layer = declared.pop("layer", None) if self.layer is None else self.layer
        declared.pop("layer", None)
        self.pretrained_on_ = str(declared.pop("pretrained_on", UNKNOWN))
        given = {"size": self.size, "crop": self.crop}
        declared |= {key: value for key, value in given.items() if value is not None}
        shape = source.graph.shape if source.graph is not None else (None,) * 4
        self.input_ = asdict(NetworkInput.declared(declared, shape, where))
        self.digest_ = source.digest
        self.batch_ = shape[0] or 0
        if source.graph is not None:
            self.layer_ = _known_layer(layer, source)
            self._use_onnx(source)
        elif source.module is not None:
            self.layer_ = layer or WHOLE
            self._use_module(source)
        else:
            self._use_function(source, layer)
        self._check_values(source.name)
        return self

    def _check_model(self) -> None:
        model = self.model
        if not (is_file(model) or callable(model) or hasattr(model, "graph_module") or hasattr(model, "transforms")):
            raise InputError(
                "model must be an ONNX file, a torch module, a name such as 'timm:resnet18', torchvision weights, or a "
                f"function; got {type(model).__name__}"
            )

    def _declaration(self, source: NetworkSource) -> tuple[dict[str, Any], str]:
        """Return the declared preprocessing, and where it was declared, for error messages."""
        if isinstance(self.preprocessing, str):
            return dict(CONVENTIONS[self.preprocessing]), f"preprocessing={self.preprocessing!r}"
        if self.preprocessing is not None:
            return dict(source.declared or {}) | dict(self.preprocessing), "preprocessing"
        if source.declared is None:
            raise InputError(
                f"the preprocessing for {source.name} is not declared and cannot be guessed. Set preprocessing to "
                f"{', '.join(map(repr, CONVENTIONS))} or to a dict of mean, scale and color_order, as published with the "
                "network; or write these keys into a JSON file of the same name next to the ONNX file."
            )
        return dict(source.declared), source.where

    def _use_onnx(self, source: NetworkSource) -> None:
        if self.runtime == "torch":
            raise InputError(f"runtime='torch' cannot run {source.name}, which is an ONNX file; use 'onnxruntime' or 'opencv'")
        if self.precision != "float32":
            raise InputError(f"precision={self.precision!r} needs runtime='torch'; {source.name} is an ONNX file")
        self.network_, self.output_ = np.frombuffer(source.data, np.uint8), self.layer_
        self.runtime_ = runtime_of(self.runtime)
        fixed = source.graph.shape[2:] if source.graph is not None else ()
        for size in self._sizes():
            if any(side not in (None, wanted) for side, wanted in zip(fixed, size, strict=True)):
                raise InputError(
                    f"{source.name} accepts only images of size {fixed}, not {size}; export it with a free input size"
                )
        if self.runtime_ == "opencv":
            check_runtimes_agree(self.network_, self._key(), self.layer_, self._chart())

    def _use_module(self, source: NetworkSource) -> None:
        """Choose between the module itself and an ONNX export, which must return the same values."""
        device = resolved_device(self.device)
        live = self.precision != "float32" or device != "cpu" or not self.embed or not is_installed("onnxruntime")
        self.runtime_ = "torch" if self.runtime == "torch" or (self.runtime == "auto" and live) else runtime_of(self.runtime)
        network = self._torch_network(lambda: source)
        if not self.embed:
            if not is_name(self.model):
                raise InputError(f"embed=False needs a model given by name, such as 'timm:resnet18'; got {source.name}")
            return
        exported, reason = self._export(network)
        if exported is not None:
            self.network_, self.output_ = exported, EXPORTED
        elif self.runtime_ != "torch":
            if self.runtime != "auto":
                raise InputError(f"{source.name} cannot be exported to ONNX: {reason} Use runtime='torch'.")
            self.runtime_ = "torch"

    def _use_function(self, source: NetworkSource, layer: str | None) -> None:
        if layer is not None or self.runtime != "auto":
            raise InputError(f"layer and runtime do not apply to the function {source.name}, which determines its own output")
        self.layer_, self.runtime_ = WHOLE, "function"

    def _export(self, network: TorchNetwork) -> tuple[np.ndarray | None, str]:
        """Export the network and check that the export returns the same values; return it, or None and the reason."""
        sizes, channels = self._sizes(), len(self.input_["mean"])
        try:
            data = np.frombuffer(network.exported(sizes[0], channels, free_size=len(set(sizes)) > 1), np.uint8)
            for size in sizes:
                values = self._chart(size=size)
                expected, found = network.run(values), run_onnx(runtime_of("auto"), data, self._key(), EXPORTED, values)
                largest = np.abs(expected).max(initial=0.0)
                if found.shape != expected.shape or not np.abs(found - expected).max(initial=0.0) <= TOLERANCE * largest:
                    return None, "the export returns different values from the module."
        except InputError as error:
            return None, str(error)
        except Exception as error:  # any failure inside torch's exporter
            return None, f"{type(error).__name__}: {' '.join(str(error).split()):.200}."
        return data, ""

    def _torch_network(self, find: Callable[[], NetworkSource]) -> TorchNetwork:
        """Return the torch network; if it is not in memory, make it from the source, whose weights must be unchanged."""
        layer = None if self.layer_ == WHOLE else self.layer_
        device = resolved_device(self.device)

        def make() -> TorchNetwork:
            source = find()
            if source.digest != self.digest_:
                raise InputError(
                    f"the weights of {source.name} have changed since fit; fit the extractor again, or restore the weights"
                )
            return TorchNetwork(source.module, layer, device, self.precision, source.name)

        network: TorchNetwork = KEPT.get((self.digest_, layer, device, self.precision), make)
        return network

    def _check_values(self, name: str) -> None:
        """Run the network on generated images: an error if it fails, a warning if the result does not depend on the input."""
        values = self._chart()
        first = self._run(values)
        others = {"another image": self._chart(1)}
        if self.input_["color_order"] != "gray":
            others["the image with red and blue swapped"] = np.ascontiguousarray(values[:, ::-1])
        for what, other in others.items():
            if np.abs(first - self._run(other)).max(initial=0.0) <= SAME * np.abs(first).max(initial=0.0):
                warnings.warn(
                    f"layer {self.layer_!r} of {name} returns the same values for {what}. The preprocessing may not fit the "
                    f"network (mean={self.input_['mean']}, scale={self.input_['scale']}), or the layer may not depend on "
                    "the image.",
                    NetworkWarning,
                    stacklevel=4,
                )
                return

    def _chart(self, seed: int = 0, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return a batch of generated images with smooth colours, prepared for the network."""
        prepare = NetworkInput(**self.input_ | ({} if size is None else {"size": size}))
        random = np.random.default_rng(seed)
        images = [random.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(max(1, self.batch_))]
        values: np.ndarray = np.stack([prepare.prepare(np.kron(image, np.ones((8, 8, 1), np.uint8))) for image in images])
        return values

    def _reader(self) -> Any:
        """Return this object if it is fitted, else a copy that has read the network."""
        if hasattr(self, "digest_"):
            return self
        reader = copy.copy(self)
        reader._read()
        return reader

    def _decides(self) -> dict[str, Any]:
        """Include the digest of the network instead of its location, and the content of the JSON file."""
        reader = self._reader()
        if reader.runtime_ == "function":
            raise InputError(
                "cache cannot be used with a function as the model, because a function has no digest; set cache=None"
            )
        decided = super(PretrainedNetwork, reader)._decides()  # type: ignore[misc]
        return {name: value for name, value in decided.items() if name not in PLACES}

    @property
    def pretrained_on(self) -> str:
        """The images that the network was trained on, if they are known."""
        return getattr(self, "pretrained_on_", UNKNOWN)

    @property
    def n_parameters_(self) -> int:
        """Number of weights that the layer needs, if the network is stored as ONNX."""
        return self._cost()[0]

    @property
    def n_multiply_adds_(self) -> int:
        """Number of multiply-adds for one image that the layer needs, if the network is stored as ONNX."""
        return self._cost()[1]

    def _cost(self) -> tuple[int, int]:
        if not hasattr(self, "network_"):
            raise AttributeError(f"{type(self).__name__} can compute the cost of a network only if it is stored as ONNX")
        sizes = [
            cost_up_to(self.output_, self.network_, self._key(), size, self._available_runtime()) for size in self._sizes()
        ]
        return sizes[0][0], sum(work for _, work in sizes)

    def _sizes(self) -> list[tuple[int, int]]:
        """Return the input sizes that are used."""
        return [self.input_["size"]]

    def _forward(self, images: Sequence[np.ndarray], size: tuple[int, int] | None = None) -> np.ndarray:
        """Return the outputs of the layer for a batch of images. Default of `size`: the input size."""
        declared = NetworkInput(**self.input_ | ({} if size is None else {"size": size}))
        prepare = declared.prepare
        values = np.zeros((self.batch_ or len(images), len(declared.mean), *declared.size), np.float32)
        for position, image in enumerate(images):
            values[position] = prepare(image)
        out = self._run(values)[: len(images)]
        if not np.isfinite(out).all():
            raise ImageError(f"layer {self.layer_!r} of the network returns NaN or infinite numbers for this image")
        return out

    def _run(self, values: np.ndarray) -> np.ndarray:
        runtime = self._available_runtime()
        if runtime == "torch":
            return self._torch_network(self._source).run(values)
        if runtime == "function":
            return _called(self.model, values)
        return run_onnx(runtime, self.network_, self._key(), getattr(self, "output_", self.layer_), values, self.device)

    def _key(self) -> str:
        """Return a key of the ONNX network; an export depends on the layer and the input size."""
        return f"{self.digest_} {self.layer_} {self._sizes()}"

    def _available_runtime(self) -> str:
        """Return the runtime of fit; if it is not available, another one, with a warning."""
        wanted: str = getattr(self, "runtime_", "opencv")
        if wanted == "function" or (wanted == "torch" and self._has_module()):
            return wanted
        if wanted == "opencv" or (wanted == "onnxruntime" and is_installed("onnxruntime")):
            return wanted
        if not hasattr(self, "network_"):
            raise InputError(
                f"{network_name(self.model)} needs its weights; use set_params(weights=...) with the file used in fit"
            )
        found = runtime_of("auto")
        warnings.warn(
            f"{found} runs the network, which {wanted} ran in fit; the values may differ slightly", NetworkWarning, stacklevel=6
        )
        return found

    def _has_module(self) -> bool:
        """Whether the torch module can be found; a model file contains only its name and its ONNX export."""
        if is_name(self.model) and hasattr(self, "network_"):
            return self.download or (self.weights is not None and os.path.isfile(self.weights))
        return not is_file(self.model) or is_name(self.model)

    def _source(self) -> NetworkSource:
        return NetworkSource.find(self.model, Pretrained(self.weights, self.sha256, self.key_map, self.download))

    def _stored_attributes(self) -> dict[str, Any]:
        """Return what model files contain instead of the parameters that are objects of other libraries."""
        if is_file(self.model):
            return {}
        name = network_name(self.model)
        if not hasattr(self, "network_"):
            raise InputError(
                f"{name} cannot be saved, because a model file contains no code. Fit the extractor with a torch module that "
                "can be exported to ONNX, or export the network to an ONNX file and give that file."
            )
        return {"model": f"{name} (its ONNX export is in network_)"}

    @staticmethod
    def _check_stored_settings(stored: Stored) -> None:
        if "input_" in stored:
            declared, batch = stored["input_"], stored["batch_"]
            scales = stored.get("scales", [1.0])
            numbers_only = isinstance(scales, (list, tuple)) and all(isinstance(each, (int, float)) for each in scales)
            if not numbers_only or not all(0 < each <= MOST_SCALE for each in scales):
                raise ValueError(f"scales={scales!r:.80}; expected numbers above 0 and at most {MOST_SCALE}")
            largest = max([1.0, *scales]) ** 2
            numbers = max(1, batch) * len(declared["mean"]) * math.prod(declared["size"]) * largest
            if not 0 <= numbers <= MOST_INPUT or len(scales) > MOST_SCALES:
                raise ValueError(
                    f"{batch} images of size {declared['size']!r:.80} exceed the limit of {MOST_INPUT:,} numbers per batch"
                )

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        if "network_" in stored:
            check_stored_array("a network", stored["network_"], (None,), np.uint8)
            read_graph(stored["network_"], "the network")


def _known_layer(layer: Any, source: NetworkSource) -> str:
    graph = source.graph
    assert graph is not None
    if layer is None:
        return graph.outputs[-1]
    if layer not in graph.outputs and layer not in graph.layers:
        known = [*graph.outputs, *graph.layers]
        raise InputError(f"{source.name} has no layer {layer!r}; nearest: {nearest_names(layer, dict.fromkeys(known))}")
    return str(layer)


def _called(function: Callable[[np.ndarray], Any], values: np.ndarray) -> np.ndarray:
    out = function(values)
    try:
        found = np.asarray(out.detach().cpu() if hasattr(out, "detach") else out, dtype=np.float32)
    except (TypeError, ValueError):
        found = np.empty(0, np.float32)
    if found.ndim < 2 or len(found) != len(values):
        raise InputError(
            f"the function {network_name(function)} must return an array with one row per image ({len(values)} here); got "
            f"{type(out).__name__} of shape {np.shape(found) if found.size else 'unknown'}"
        )
    return found
