"""Serve a model file with MLServer: a runtime that answers the Open Inference Protocol V2.

Write beside this file a `model-settings.json`:

    {"name": "scenes", "implementation": "mlserver_runtime.FeatrecRuntime", "parameters": {"uri": "./my.model"}}

and a `settings.json`, because the worker processes of MLServer 1.7.1 fail with uvloop 0.23:

    {"host": "127.0.0.1", "parallel_workers": 0}

and start it with `mlserver start .`. The input "image" contains encoded images as base64 text. The outputs are "label" and
"confidence", which is NaN if the model has no probabilities.
"""

from __future__ import annotations

import asyncio
import math

from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri
from numpy import array

from featrec.serving import Predictor


class FeatrecRuntime(MLModel):
    """Loads the model file when MLServer starts, and predicts outside of its event loop."""

    async def load(self) -> bool:
        self.predictor = Predictor(await get_model_uri(self._settings))
        await asyncio.to_thread(self.predictor.warm)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        images = self._images(payload)
        answers = await asyncio.to_thread(self.predictor.predict, images)
        for number, answer in enumerate(answers):
            if answer.error is not None:
                raise InferenceError(f"image {number}: {answer.error}")
        labels = [str(answer.label) for answer in answers]
        confidences = array([[math.nan if answer.confidence is None else answer.confidence] for answer in answers])
        return InferenceResponse(
            model_name=self.name,
            outputs=[StringCodec.encode_output("label", labels), NumpyCodec.encode_output("confidence", confidences)],
        )

    def _images(self, payload: InferenceRequest) -> list[bytes]:
        found = next((each for each in payload.inputs if each.name == "image"), None)
        if found is None or found.datatype != "BYTES":
            raise InferenceError('the request needs an input "image" of datatype BYTES, with images as base64 text')
        try:
            return Base64Codec.decode_input(found)
        except (ValueError, TypeError) as error:
            raise InferenceError(f'the input "image" is not base64 text ({error})') from error
