"""StoredNetwork: the parts of a trained network that a model file contains, and checks of these files."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from featrec.exceptions import InputError
from featrec.model_files import Stored, check_stored_array
from featrec.networks._exported_network import check_input, exported
from featrec.networks._module_source import check_source, is_named, short_name
from featrec.networks._onnx_graph import read_graph

__all__ = ["MOST_INPUT", "StoredNetwork"]

# Maximum number of values of one input, for model files.
MOST_INPUT = 2**27


class StoredNetwork:
    """Mixin of estimators with a trained torch module.

    A model file contains no code. It contains the weights and the name of the module, or an ONNX export if featrec has no name
    for the module.
    """

    # The parameter that specifies the module.
    _source_parameter: ClassVar[str]
    # Whether the module is one of featrec's, which compute nothing while they are made.
    _own: ClassVar[bool] = False
    # Whether the parameter can be the name of one of featrec's modules.
    _own_names: ClassVar[bool] = True
    shape_: tuple[int, int, int]

    def _source(self) -> Any:
        """Return the parameter that specifies the module."""
        return getattr(self, self._source_parameter)

    def _check_source(self) -> None:
        """Check a name. Predictions also need this check, because the name may come from a model file."""
        if not self._own:
            check_source(self._source(), type(self).__name__, self._source_parameter, own=self._own_names)

    def _export(self, module: Any) -> None:
        """Export a module that a model file cannot name."""
        for name in ("network_", "scores_", "export_failure_"):
            self.__dict__.pop(name, None)
        if self._own or is_named(self._source()):
            return
        export = exported(module, self.shape_)
        if isinstance(export, str):
            self.export_failure_ = export
        else:
            self.network_, self.scores_ = export

    def _stored_attributes(self) -> dict[str, Any]:
        """Return what a model file contains instead of a module."""
        if self._own or isinstance(self._source(), str):
            return {}
        stage, name = type(self).__name__, short_name(self._source())
        if not hasattr(self, "state_"):
            raise InputError(
                f"{stage} with {self._source_parameter}={name} cannot be saved before fit: a model file contains no code, only "
                "the network that fit exports. Fit it first, or use the name of a model, such as 'timm:resnet18'"
            )
        if not hasattr(self, "network_"):
            raise InputError(
                f"{stage} with {self._source_parameter}={name} cannot be saved: a model file contains an ONNX export of the "
                f'module, which failed in fit ({self.export_failure_}). pip install "featrec[torch]" installs what the export '
                "needs; otherwise change the module, or use the name of a model, such as 'timm:resnet18'"
            )
        return {self._source_parameter: name, "state_": {}}

    @staticmethod
    def _check_stored_settings(stored: Stored) -> None:
        if "shape_" in stored:
            shape = stored["shape_"]
            whole = isinstance(shape, list) and len(shape) == 3 and all(type(side) is int and side > 0 for side in shape)
            if not whole or math.prod(shape) > MOST_INPUT:
                raise ValueError(f"images of shape {shape!r:.80}; expected three sizes with at most {MOST_INPUT:,} numbers")

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        if "state_" not in stored:
            return
        n_channels = stored["shape_"][2]
        check_stored_array("means", stored["mean_"], (n_channels,), np.float32)
        check_stored_array("deviations", stored["deviation_"], (n_channels,), np.float32)
        if not (stored["deviation_"] > 0).all():
            raise ValueError(f"a deviation of {stored['deviation_'].min()}; all must be greater than 0")
        state = stored["state_"]
        for name, values in state.items() if isinstance(state, dict) else [("state_", state)]:
            array = np.asarray(values)
            if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
                raise ValueError(f"weights {name!r:.80} that are not finite numbers")
        if not state:
            check_stored_array("a network", stored["network_"], (None,), np.uint8)
            read_graph(stored["network_"], "the network")
            check_stored_array("scores", stored["scores_"], (len(check_input((1, 1, 1))), len(stored["classes_"])), np.float32)
