"""Serve a model file with KServe: the Open Inference Protocol V2 over HTTP and gRPC.

    python kserve_model.py --model_name scenes --model_file my.model

The input "image" contains encoded images: base64 text in JSON, or the bytes themselves over gRPC. The outputs are "label" and
"confidence", which is NaN (null in JSON) if the model has no probabilities. KServe listens on all addresses.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import math
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.errors import InvalidInput
from kserve.utils.utils import generate_uuid

from featrec.serving import Predictor


class FeatrecModel(Model):
    """Loads the model file when the server starts, and predicts outside of its event loop."""

    def __init__(self, name: str, path: str):
        super().__init__(name)
        self.path = path

    def load(self) -> bool:
        self.predictor = Predictor(self.path)
        self.predictor.warm()
        self.ready = True
        return self.ready

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> InferResponse:
        images = _images(payload)
        answers = await asyncio.to_thread(self.predictor.predict, images)
        for number, answer in enumerate(answers):
            if answer.error is not None:
                raise InvalidInput(f"image {number}: {answer.error}")
        labels = [str(answer.label) for answer in answers]
        confidences = [math.nan if answer.confidence is None else answer.confidence for answer in answers]
        outputs = [
            InferOutput("label", [len(answers)], "BYTES", data=labels),
            InferOutput("confidence", [len(answers)], "FP64", data=confidences),
        ]
        return InferResponse(payload.id or generate_uuid(), self.name, outputs)


def _images(payload: Any) -> list[bytes]:
    inputs = payload.inputs if isinstance(payload, InferRequest) else []
    found = next((each for each in inputs if each.name == "image"), None)
    if found is None or found.datatype != "BYTES":
        raise InvalidInput('the request needs an input "image" of datatype BYTES: /v2/models/NAME/infer')
    try:
        return [_decoded(element) for element in found.as_numpy().ravel().tolist()]
    except (ValueError, TypeError) as error:
        raise InvalidInput(f'the input "image" is neither base64 text nor binary data of this shape ({error})') from error


def _decoded(element: Any) -> bytes:
    return element if isinstance(element, bytes) else base64.b64decode(element, validate=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.add_argument("--model_file", required=True)
    arguments, _ = parser.parse_known_args()
    model = FeatrecModel(arguments.model_name, arguments.model_file)
    model.load()
    ModelServer().start([model])
