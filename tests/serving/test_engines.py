"""The engines of docs/how_to/serving/ answer with a model file, where their packages are installed."""

import asyncio
import base64
import contextlib
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import pytest

from featrec.persistence import save
from tests.serving.models import LEVELS, encoded, pixels, with_probabilities, with_scores

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "how_to" / "serving"
# Their packages warn of each other's deprecations.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::UserWarning")]
pytestmark += [pytest.mark.filterwarnings("ignore::FutureWarning"), pytest.mark.filterwarnings("ignore::ResourceWarning")]
pytestmark += [pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]
PORT = 18340
BROKEN = b"\xff\xd8\xff no image"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "my.model"
    save(with_probabilities(), path)
    return path


@pytest.fixture(scope="module")
def scores_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "scores.model"
    save(with_scores(), path)
    return path


@pytest.fixture(scope="module")
def images():
    """Encoded images and their classes."""
    return [encoded(pixels(level, 50)) for level in LEVELS.values()], list(LEVELS)


def engine(name, *packages):
    """The module of an example."""
    for package in packages:
        pytest.importorskip(package)
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(data):
    return base64.b64encode(data).decode()


@contextlib.contextmanager
def running(words, health, seconds=90, **options):
    """A server process, when it is ready."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True}
    process = subprocess.Popen(words, env=environment(), **pipes, **options)
    told = []
    reader = threading.Thread(target=lambda: told.append(process.stdout.read()), daemon=True)
    reader.start()
    try:
        wait_until_ready(process, health, seconds)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            os.killpg(process.pid, signal.SIGKILL)  # what is left of it
        process.wait(10)
        reader.join(10)
        process.stdout.close()
        sys.stdout.write(b"".join(told).decode(errors="replace")[-3000:])  # shown if the test fails


def wait_until_ready(process, health, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=2):
            return
        time.sleep(0.3)
    raise AssertionError(f"{health} does not answer")


def environment():
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # MLflow runs uvicorn
    return {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}


def post(address, content):
    """Status and JSON of the answer to a JSON request."""
    request = urllib.request.Request(address, json.dumps(content).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, json.load(reply)
    except HTTPError as error:
        return error.code, json.loads(error.read())


# ---- MLServer


def v2_request(contents, **changes):
    return {"inputs": [{"name": "image", "shape": [len(contents)], "datatype": "BYTES", "data": contents, **changes}]}


@pytest.fixture(scope="module")
def runtime(model_file):
    module = engine("mlserver_runtime", "mlserver")
    from mlserver.settings import ModelParameters, ModelSettings

    settings = ModelSettings(name="tiny", implementation=module.FeatrecRuntime, parameters=ModelParameters(uri=str(model_file)))
    found = module.FeatrecRuntime(settings)
    assert asyncio.run(found.load())
    return found


def test_mlserver_answers_a_batch(runtime, images):
    from mlserver.codecs import NumpyCodec, StringCodec
    from mlserver.types import InferenceRequest

    contents, labels = images
    request = InferenceRequest(**v2_request([text(each) for each in contents]))
    label, confidence = asyncio.run(runtime.predict(request)).outputs
    assert StringCodec.decode_output(label) == labels
    np.testing.assert_array_equal(NumpyCodec.decode_output(confidence), [[1.0], [1.0]])


def test_mlserver_refuses_what_it_cannot_use(runtime, images):
    from mlserver.errors import InferenceError
    from mlserver.types import InferenceRequest

    wrong = {
        "image 1: damaged or truncated": v2_request([text(images[0][0]), text(BROKEN)]),
        'the request needs an input "image"': v2_request([text(images[0][0])], name="picture"),
        'input "image" of datatype BYTES': v2_request([1, 2], datatype="INT8"),
    }
    for message, request in wrong.items():
        with pytest.raises(InferenceError, match=message):
            asyncio.run(runtime.predict(InferenceRequest(**request)))


@pytest.mark.slow
def test_mlserver_over_http(model_file, images, tmp_path):
    pytest.importorskip("mlserver")
    (tmp_path / "mlserver_runtime.py").write_bytes((FOLDER / "mlserver_runtime.py").read_bytes())
    (tmp_path / "my.model").write_bytes(model_file.read_bytes())
    settings = {"name": "scenes", "implementation": "mlserver_runtime.FeatrecRuntime", "parameters": {"uri": "./my.model"}}
    (tmp_path / "model-settings.json").write_text(json.dumps(settings))
    ports = {"http_port": PORT, "grpc_port": PORT + 1, "metrics_port": PORT + 2, "host": "127.0.0.1", "parallel_workers": 0}
    (tmp_path / "settings.json").write_text(json.dumps(ports))
    address = f"http://127.0.0.1:{PORT}/v2/models/scenes"
    mlserver = [sys.executable, "-c", "from mlserver.cli import main; main()", "start", "."]
    with running(mlserver, f"{address}/ready", cwd=tmp_path):
        status, reply = post(f"{address}/infer", v2_request([text(each) for each in images[0]]))
        assert (status, reply["outputs"][0]["data"]) == (200, images[1])
        status, reply = post(f"{address}/infer", v2_request([text(BROKEN)]))
        assert status == 400
        assert "image 0: damaged or truncated" in reply["error"]


# ---- MLflow


@pytest.fixture(scope="module")
def stored(model_file, tmp_path_factory):
    """A folder that MLflow has written."""
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip("mlflow is not installed")
    folder = tmp_path_factory.mktemp("mlflow")
    words = [sys.executable, FOLDER / "mlflow_model.py", model_file, folder / "stored"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=environment())
    assert done.returncode == 0, done.stderr
    return folder / "stored"


def test_mlflow_stores_no_pickle_and_answers(stored, images):
    import mlflow
    import pandas as pd

    files = {path.relative_to(stored).as_posix() for path in stored.rglob("*") if path.is_file()}
    assert {"mlflow_model.py", "artifacts/my.model"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".joblib", ".cloudpickle"))]
    model = mlflow.pyfunc.load_model(str(stored))
    found = model.predict(pd.DataFrame({"image": [*images[0], BROKEN]}))
    assert list(found["label"])[:2] == images[1]
    assert list(found["confidence"])[:2] == [1.0, 1.0]
    assert found["label"].isna()[2]
    assert "damaged or truncated" in found["error"][2]


@pytest.mark.slow
def test_mlflow_over_http(stored, images):
    address = f"http://127.0.0.1:{PORT + 3}"
    serve = shlex.split("-m mlflow models serve --model-uri stored --env-manager local --host 127.0.0.1 --port")
    table = {"columns": ["image"], "data": [[text(each)] for each in images[0]]}
    with running([sys.executable, *serve, str(PORT + 3)], f"{address}/ping", cwd=stored.parent):
        status, reply = post(f"{address}/invocations", {"dataframe_split": table})
        assert status == 200
        assert [row["label"] for row in reply["predictions"]] == images[1]


# ---- KServe


def kserve_request(elements, **changes):
    from kserve import InferInput, InferRequest

    facts = {"name": "image", "shape": [len(elements)], "datatype": "BYTES", "data": elements} | changes
    return InferRequest("scenes", [InferInput(**facts)])


@pytest.mark.parametrize("encode", [text, bytes], ids=["base64", "bytes"])
def test_kserve_answers_a_batch(model_file, scores_file, images, encode):
    module = engine("kserve_model", "kserve")
    for file, labels, confidences in ((model_file, images[1], [1.0, 1.0]), (scores_file, None, [np.nan, np.nan])):
        model = module.FeatrecModel("scenes", str(file))
        assert model.load()
        reply = asyncio.run(model.predict(kserve_request([encode(each) for each in images[0]])))
        label, confidence = reply.outputs
        assert labels is None or label.data == labels
        np.testing.assert_array_equal(confidence.data, confidences)


def test_kserve_refuses_what_it_cannot_use(model_file, images):
    module = engine("kserve_model", "kserve")
    from kserve.errors import InvalidInput

    model = module.FeatrecModel("scenes", str(model_file))
    model.load()
    good = text(images[0][0])
    wrong = [
        ("image 1: damaged or truncated", kserve_request([good, text(BROKEN)])),
        ('needs an input "image" of datatype BYTES', kserve_request([good], name="picture")),
        ('needs an input "image" of datatype BYTES', kserve_request([1, 2], datatype="INT8")),
        ('needs an input "image" of datatype BYTES', {"instances": [good]}),
        ("neither base64 text nor binary data", kserve_request(["no base64"])),
        ("neither base64 text nor binary data", kserve_request([good], shape=[2])),
        ("neither base64 text nor binary data", kserve_request([[good], 3], shape=[2])),
    ]
    for message, request in wrong:
        with pytest.raises(InvalidInput, match=message):
            asyncio.run(model.predict(request))


@pytest.mark.slow
def test_kserve_over_http(model_file, images, tmp_path):
    if importlib.util.find_spec("kserve") is None:
        pytest.skip("kserve is not installed")
    address = f"http://127.0.0.1:{PORT + 6}/v2/models/scenes"
    ports = ["--http_port", str(PORT + 6), "--grpc_port", str(PORT + 7)]
    words = [sys.executable, FOLDER / "kserve_model.py", "--model_name", "scenes", "--model_file", model_file, *ports]
    with running(words, f"{address}/ready", cwd=tmp_path):
        status, reply = post(f"{address}/infer", v2_request([text(each) for each in images[0]]))
        assert (status, reply["outputs"][0]["data"], reply["outputs"][1]["data"]) == (200, images[1], [1.0, 1.0])
        status, reply = post(f"{address}/infer", v2_request([text(BROKEN)]))
        assert status == 400, reply
        assert "image 0: damaged or truncated" in reply["error"]
        assert asyncio.run(labels_over_grpc(PORT + 7, images[0])) == images[1]


async def labels_over_grpc(port, contents):
    from kserve import InferenceGRPCClient, InferInput, InferRequest

    tensor = InferInput("image", [len(contents)], "BYTES")
    tensor.set_data_from_numpy(np.array(contents, object), binary_data=True)
    client = InferenceGRPCClient(f"127.0.0.1:{port}")
    try:
        reply = await client.infer(InferRequest("scenes", [tensor]))
    finally:
        await client.close()
    return [each.decode() for each in reply.outputs[0].as_numpy()]


# ---- LitServe


def test_litserve_answers_a_batch(model_file, scores_file, images):
    module = engine("litserve_app", "litserve")
    for file in (model_file, scores_file):
        api = module.FeatrecAPI(file, max_batch_size=8, batch_timeout=0.002)
        api.setup("cpu")
        decoded = [api.decode_request({"image": text(each)}) for each in [*images[0], BROKEN]]
        answers = list(api.unbatch(api.predict(api.batch(decoded))))
        found = [api.encode_response(answer) for answer in answers[:2]]
        assert [each["label"] for each in found] == images[1] or file == scores_file  # HOG ignores brightness
        assert [each["confidence"] for each in found] == ([1.0, 1.0] if file == model_file else [None, None])
        json.dumps(found)
        with pytest.raises(module.HTTPException, match="damaged or truncated"):
            api.encode_response(answers[2])
        for wrong in ({}, {"image": "no base64"}, {"image": 3}):
            with pytest.raises(module.HTTPException, match="base64 text of an encoded image"):
                api.decode_request(wrong)


@pytest.mark.slow
def test_litserve_over_http(model_file, images, tmp_path):
    if importlib.util.find_spec("litserve") is None:
        pytest.skip("litserve is not installed")
    address = f"http://127.0.0.1:{PORT + 4}"
    with running([sys.executable, FOLDER / "litserve_app.py", model_file, str(PORT + 4)], f"{address}/health", cwd=tmp_path):
        for content, label in zip(*images, strict=True):
            reply = post(f"{address}/predict", {"image": text(content)})
            assert reply == (200, {"label": label, "confidence": 1.0, "top": [[label, 1.0], [other(label), 0.0]]})
        status, reply = post(f"{address}/predict", {"image": text(BROKEN)})
        assert status == 422, reply
        assert "damaged or truncated" in reply["detail"]
    assert not list(tmp_path.iterdir())


def other(label):
    return next(name for name in LEVELS if name != label)


# ---- Gradio, in processes of its own, because it leaves sockets open.

IN_GRADIO = """
import sys
import numpy as np
sys.path.insert(0, {folder!r})
import gradio_app
image = np.full((24, 32, 3), 200, np.uint8)
page = gradio_app.make_page({model!r})
assert page.fn(image) == {{"light": 1.0, "dark": 0.0}}, page.fn(image)
assert page.analytics_enabled is False
try:
    page.fn(None)
except gradio_app.gradio.Error as error:
    assert "drop an image first" in str(error)
else:
    raise AssertionError
assert gradio_app.make_page({scores!r}).fn(image) in ("dark", "light")
"""
ASK_GRADIO = """
from gradio_client import Client, handle_file
print(Client({address!r}, verbose=False).predict(handle_file({file!r}), api_name="/predict")["label"])
"""


def run_code(code, folder):
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio is not installed")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_gradio_answers(model_file, scores_file, tmp_path):
    run_code(IN_GRADIO.format(folder=str(FOLDER), model=str(model_file), scores=str(scores_file)), tmp_path)


@pytest.mark.slow
def test_gradio_over_http(model_file, images, tmp_path):
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio is not installed")
    address = f"http://127.0.0.1:{PORT + 5}"
    (tmp_path / "light.png").write_bytes(images[0][1])
    with running([sys.executable, FOLDER / "gradio_app.py", model_file, str(PORT + 5)], address, cwd=tmp_path):
        with urllib.request.urlopen(address) as reply:
            assert "fonts.googleapis" not in reply.read().decode()
        assert run_code(ASK_GRADIO.format(address=address, file=str(tmp_path / "light.png")), tmp_path) == "light"
