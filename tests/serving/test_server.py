"""featrec serve as a process: start, several workers, models replaced under load, and a graceful stop."""

import importlib.util
import json
import os
import re
import shutil
import signal
import threading
import time

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from featrec.cli import main
from featrec.persistence import save
from tests.serving.models import encoded, pixels, with_probabilities, with_scores
from tests.serving.served import serving, wait_until

LIGHT = encoded(pixels(200))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    save(with_probabilities(), folder / "knn.model")
    save(with_scores(), folder / "svm.model")
    return folder


class Load:
    """Clients that ask until they are told to stop. An answer that never comes is a failure.

    A stopping server closes its socket. The system then refuses connections, and resets those that no process has accepted: the
    server did not take their requests. So a reset of a new connection ends a client; a reset of one in use is a failure.
    """

    def __init__(self, client, n=4):
        self.address, self.answers, self.failures, self.stopped = client.base_url, [], [], False
        self.threads = [threading.Thread(target=self._ask) for _ in range(n)]
        for thread in self.threads:
            thread.start()

    def _ask(self):
        import httpx

        with httpx.Client(base_url=self.address, timeout=20) as client:
            is_new = True
            while not self.stopped:
                try:
                    answer = client.post("/predict?model=m", content=LIGHT)
                    self.answers.append((answer.status_code, answer.json().get("version")))
                    is_new = answer.headers.get("connection") == "close"
                except httpx.ConnectError:
                    return
                except httpx.TransportError as error:
                    if is_new and isinstance(error, httpx.ReadError | httpx.WriteError):
                        return
                    self.failures.append(repr(error))

    def end(self):
        self.stopped = True
        for thread in self.threads:
            thread.join(30)


def test_a_model_alone_is_enough(files):
    with serving(files / "knn.model") as (process, client):
        answer = client.post("/predict", content=LIGHT)
        assert (answer.status_code, answer.json()["model"]) == (200, "knn")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        log = process.stderr.read()
    assert re.search(r"POST /predict 200 \d+\.\d ms [0-9a-f]{32}", log)
    assert "Traceback" not in log


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_is_replaced_under_load_without_a_lost_request(files, tmp_path, workers):
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(files / "knn.model", folder / "m.model")
    shutil.copy(files / "svm.model", folder / "other.model")
    with serving(folder, "--workers", workers, "--quiet") as (process, client):
        load = Load(client)
        old = client.get("/v2/models/m").json()["versions"]
        wait_until(lambda: len(load.answers) > 20)
        shutil.copy(files / "svm.model", folder / "new.tmp")
        os.replace(folder / "new.tmp", folder / "m.model")
        new = client.get("/v2/models/other").json()["versions"]
        wait_until(lambda: metric(client, "featrec_model_loads_total", model="m", outcome="ok") == 2 * workers)
        (folder / "m.model").write_bytes(b"garbage")
        wait_until(lambda: metric(client, "featrec_model_loads_total", model="m", outcome="error") == workers)
        n = len(load.answers)
        wait_until(lambda: len(load.answers) > n + 20)
        load.end()
        assert "not a model file" in client.get("/models").json()["errors"]["m"]
        images = metric(client, "featrec_images_total", model="m", outcome="ok")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    assert {version for _, version in load.answers} == {*old, *new}
    assert load.answers[-1][1] == new[0]
    assert images == len(load.answers)  # of all processes together


def metric(client, name, **labels):
    text = ",".join(f'{label}="{value}"' for label, value in labels.items())
    found = re.search(rf"^{name}{{{text}}} (\S+)$", client.get("/metrics").text, re.M)
    return float(found[1]) if found else 0.0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_finishes_what_was_taken(files, tmp_path, workers):
    shutil.copy(files / "knn.model", tmp_path / "m.model")
    log = []
    with serving(tmp_path / "m.model", "--workers", workers) as (process, client):
        reader = threading.Thread(target=lambda: log.extend(process.stderr))
        reader.start()
        load = Load(client)
        wait_until(lambda: len(load.answers) > 50)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        load.end()
        reader.join(10)
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    assert sum("POST /predict 200" in line for line in log) == len(load.answers)


@pytest.mark.slow
def test_a_request_that_is_on_its_way_at_sigterm_is_answered(files):
    with serving(files / "knn.model") as (process, client):
        assert client.get("/v2").headers.get("connection") != "close"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)  # it does not listen any more, but the connection is open
        last = client.get("/v2")
        assert (last.status_code, last.headers["connection"]) == (200, "close")
        assert process.wait(20) == 0


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(files):
    psutil = pytest.importorskip("psutil")
    with serving(files / "knn.model", "--workers", 2) as (process, client):
        children = psutil.Process(process.pid).children()
        workers = [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]
        assert len(workers) == 2
        for _ in range(4):
            client.post("/predict", content=LIGHT)
        os.kill(workers[0], signal.SIGKILL)
        time.sleep(1)

        def count():
            return metric(client, "featrec_images_total", model="knn", outcome="ok")

        wait_until(lambda: client.post("/predict", content=LIGHT).status_code == 200)
        assert count() >= 5  # what the dead one has counted stays in the sum


REFUSED = [
    (["no.model"], "there is no file or folder 'no.model'"),
    (["{knn}", "--host", "0.0.0.0"], "--allowed-host must say under which name"),
    (["{knn}", "--token-file", "{short}"], "a token needs at least 16 characters"),
    (["{knn}", "--token-file", "no.txt"], "--token-file no.txt cannot be read"),
    (["{knn}", "--max-files", "65"], r"max_files (65) is larger than max_queue (64)"),
    (["{empty}"], "has no model file"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=[message[:20] for _, message in REFUSED])
def test_what_cannot_be_served_is_refused_at_once(files, tmp_path, capsys, words, message):
    (tmp_path / "short.txt").write_text("short")
    (tmp_path / "empty").mkdir()
    places = {"knn": files / "knn.model", "short": tmp_path / "short.txt", "empty": tmp_path / "empty"}
    assert main(["serve", *(word.format(**places) for word in words)]) == 2
    assert message in capsys.readouterr().err


def test_a_used_port_is_an_error(files, capsys):
    from featrec.serving._server import bound

    with bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        taken.listen()
        assert main(["serve", str(files / "knn.model"), "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use); use --port" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_model_file_ends_the_command_with_its_reason(tmp_path, capsys, workers):
    (tmp_path / "bad.model").write_bytes(b"garbage")
    assert main(["serve", str(tmp_path / "bad.model"), "--port", "0", "--workers", str(workers)]) == 2
    assert re.search("^featrec: error: .*not a model file", capsys.readouterr().err, re.M)


def test_without_the_extra_the_error_names_it(files, capsys, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "uvicorn" else real(name, *rest))
    assert main(["serve", str(files / "knn.model")]) == 2
    assert 'the server needs uvicorn; pip install "featrec[serve]" installs it' in capsys.readouterr().err


def test_the_options_of_the_command_are_those_of_the_limits(capsys):
    from dataclasses import asdict

    from featrec.cli._serve import LIMITS
    from featrec.serving import Limits

    defaults = asdict(Limits())
    assert LIMITS.keys() <= defaults.keys()
    for name, (_, _, text) in LIMITS.items():
        shown = re.search(r"\(default: ([\d.,]+)\)", text)[1].replace(",", "")
        assert json.loads(shown) == defaults[name]
