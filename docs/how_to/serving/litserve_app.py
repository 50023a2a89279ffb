"""Serve a model file with LitServe, which collects the requests of several clients into batches.

    python litserve_app.py my.model 8000

A request is JSON, {"image": "... base64 text ..."}, sent to /predict. An image that cannot be used gets 422; the others of its
batch are answered.
"""

from __future__ import annotations

import base64
import binascii
import sys

import litserve
from fastapi import HTTPException

from featrec.serving import Predictor


class FeatrecAPI(litserve.LitAPI):
    """Loads the model file in each worker."""

    def __init__(self, model_file, **options):
        super().__init__(**options)
        self.model_file = model_file

    def setup(self, device):
        self.predictor = Predictor(self.model_file)
        self.predictor.warm()

    def decode_request(self, request):
        try:
            return base64.b64decode(request["image"], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            raise HTTPException(422, 'send {"image": "..."} with the base64 text of an encoded image') from error

    def batch(self, inputs):
        return inputs

    def predict(self, images):
        return self.predictor.predict(images)

    def unbatch(self, answers):
        return answers

    def encode_response(self, answer):
        if answer.error is not None:
            raise HTTPException(422, str(answer.error))
        return {"label": str(answer.label), "confidence": answer.confidence, "top": [list(each) for each in answer.top]}


def make_server(model_file, max_batch_size=8):
    # LitServe collects a batch for at most 2 ms.
    api = FeatrecAPI(model_file, max_batch_size=max_batch_size, batch_timeout=0.002)
    return litserve.LitServer(api, accelerator="cpu", max_payload_size=30_000_000)


if __name__ == "__main__":
    # LitServe's defaults are all addresses of the machine, and a file client.py in the working directory.
    make_server(sys.argv[1]).run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
