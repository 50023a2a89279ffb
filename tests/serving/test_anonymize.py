"""serve --anonymize: the model, the answers and the explanations see no face."""

import asyncio
import io
import logging
import re

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from featrec.cli import main
from featrec.descriptors import TinyImage
from featrec.persistence import save
from featrec.preprocessing import BlurFaces
from featrec.serving import Predictor

FACE = astronaut()[20:220, 110:330]
LBP = BlurFaces("lbp", min_size=60)


class SeesFaces(ClassifierMixin, BaseEstimator):
    """A classifier that says whether the image that it gets contains a face."""

    classes_ = np.array(["face", "none"])

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.array(["face" if len(LBP.find(image)) else "none" for image in X])


def encoded(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def test_the_model_sees_no_face():
    model = SeesFaces().fit([])
    (open_answer,) = Predictor(model).predict([encoded(FACE)])
    (blurred,) = Predictor(model, anonymize=LBP).predict([encoded(FACE)])
    assert (open_answer.label, blurred.label) == ("face", "none")


@pytest.fixture
def model(tmp_path):
    images = [np.full((20, 20), level, np.uint8) for level in (10, 20, 200, 210)]
    path = tmp_path / "tiny.model"
    save(make_pipeline(TinyImage(size=4), LogisticRegression()).fit(images, ["a", "a", "b", "b"]), path)
    return path


@pytest.fixture
def started(monkeypatch):
    """What the command gives to the server instead of starting it."""
    given = {}
    monkeypatch.setattr("featrec.serving.run_server", lambda models, **options: given.update(options))
    return given


def test_the_option_is_given_to_the_server(model, started):
    assert main(["serve", str(model)]) == 0
    assert started["anonymize"] is None
    assert main(["serve", str(model), "--anonymize", "--detector", "lbp"]) == 0
    assert isinstance(started["anonymize"], BlurFaces)
    assert len(started["anonymize"].find(FACE)) >= 1


def test_a_server_does_not_start_without_its_detector(model, started, capsys):
    assert main(["serve", str(model), "--anonymize", "--detector", "missing.onnx"]) == 2
    assert "there is no detector file 'missing.onnx'" in capsys.readouterr().err
    assert main(["serve", str(model), "--detector", "lbp"]) == 2
    assert "--detector needs --anonymize" in capsys.readouterr().err
    assert not started


def test_predictions_and_explanations_over_http_see_no_face(model):
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("prometheus_client")
    from featrec.serving import create_app

    seen = []

    class Noted(BlurFaces):
        def apply(self, image):
            blurred = super().apply(image)
            seen.append((len(self.find(image)), len(self.find(blurred))))
            return blurred

    app = create_app(model, anonymize=Noted("lbp", min_size=60))

    async def ask():
        here = {"transport": httpx.ASGITransport(app=app), "base_url": "http://localhost"}
        async with app.router.lifespan_context(app), httpx.AsyncClient(**here) as client:
            seen.clear()  # what warmed the model
            options = {"content": encoded(FACE), "headers": {"content-type": "image/png"}}
            return [(await client.post(path, **options)).status_code for path in ("/predict", "/explain")]

    assert asyncio.run(ask()) == [200, 200]
    assert seen == [(1, 0), (1, 0)]


def test_the_log_has_nothing_of_an_image(model, caplog):
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("prometheus_client")
    from featrec.serving import create_app

    app = create_app(model)

    async def ask():
        here = {"transport": httpx.ASGITransport(app=app, client=("203.0.113.7", 4711)), "base_url": "http://localhost"}
        async with app.router.lifespan_context(app), httpx.AsyncClient(**here) as client:
            caplog.clear()
            for content in (encoded(FACE), b"no image"):
                files = {"image": ("name_of_a_person.png", content, "image/png")}
                await client.post("/predict?top=1", files=files, headers={"x-request-id": "id-1"})

    with caplog.at_level(logging.INFO, logger="featrec.serving"):
        asyncio.run(ask())
    lines = [record.getMessage() for record in caplog.records if record.name == "featrec.serving"]
    assert len(lines) == 2
    for line, status in zip(lines, ("200", "4"), strict=True):
        assert re.fullmatch(rf"POST /predict {status}\d* [\d.]+ ms id-1", line)
