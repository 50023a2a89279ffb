"""A page to try a model file, with Gradio: an image in, classes out.

    python gradio_app.py my.model 7860

Gradio stores uploads in a folder for temporary files; here, they are deleted after an hour. Its telemetry, its public links and
its button that saves inputs are switched off, and the page loads no fonts from outside. (The page of `featrec serve` stores
nothing.)
"""

from __future__ import annotations

import sys

import gradio

from featrec.serving import Predictor


def make_page(model_file):
    """Return a Gradio page for a model file."""
    predictor = Predictor(model_file, top=5)
    predictor.warm()

    def answer(image):
        if image is None:
            raise gradio.Error("drop an image first")
        (found,) = predictor.predict([image])
        if found.error is not None:
            raise gradio.Error(str(found.error))
        if found.confidence is None:  # scores of a model without probabilities are no shares
            return str(found.label)
        return {str(label): confidence for label, confidence in found.top}

    return gradio.Interface(
        answer,
        gradio.Image(type="numpy", sources=["upload", "clipboard", "webcam"], label="image"),
        gradio.Label(label="class"),
        title=f"{len(predictor.classes)} classes",
        flagging_mode="never",
        analytics_enabled=False,
        delete_cache=(3600, 3600),
        api_name="predict",
    )


def launch(model_file, port, **options):
    """Open the page on this machine only."""
    local = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    return make_page(model_file).launch(server_name="127.0.0.1", server_port=int(port), share=False, theme=local, **options)


if __name__ == "__main__":
    launch(*sys.argv[1:3])
