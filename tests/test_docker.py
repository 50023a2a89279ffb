"""The steps of docker/Dockerfile, run without Docker: compiled loops, another processor, another user, read-only files."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featrec.persistence import save
from featrec.recipes import tiny_knn

DOCKER = Path(__file__).resolve().parent.parent / "docker"
PORT = 18370
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs sh")


@pytest.fixture(scope="module")
def steps():
    spec = importlib.util.spec_from_file_location("try_steps", DOCKER / "try_steps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def given(steps):
    return steps.instructions((DOCKER / "Dockerfile").read_text(encoding="utf-8"))


def test_all_instructions_are_known_to_the_script(steps, given):
    names = [name for name, _ in given]
    assert names[0] == "FROM"
    assert set(names) <= {"FROM", "RUN", "COPY", "ARG", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert "libgl1" in next(rest for name, rest in given if name == "RUN"), "opencv-contrib-python links libGL.so.1"


def test_the_user_is_not_root_and_owns_nothing(given):
    names = [name for name, _ in given]
    (user,) = [rest for name, rest in given if name == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    after = names[names.index("USER") :]
    assert not {"RUN", "COPY"} & set(after)
    assert not [rest for _, rest in given if "--chown" in rest or "chmod" in rest]


def test_what_is_copied_exists_and_is_not_ignored(given):
    allowed = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for sources in (rest.split()[:-1] for name, rest in given if name == "COPY"):
        for source in sources:
            assert (DOCKER.parent / source).exists()
            assert f"!{source}" in allowed
    assert allowed[0] == "*"


def test_the_server_listens_inside_the_container_only_under_a_known_name(given):
    command = next(rest for name, rest in given if name == "CMD")
    assert "--allowed-host" in command
    assert '"*"' not in command


@pytest.fixture(scope="module")
def open_folder():
    """A temporary folder that other users can enter, in contrast to those of pytest."""
    with tempfile.TemporaryDirectory(prefix="featrec-docker-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def image(steps, open_folder):
    """The image, built for a recipe with few loops."""
    built = steps.Image(open_folder / "root")
    built.environment["RECIPES"] = "lbp_svm"
    built.build(DOCKER / "Dockerfile")
    return built


def start(image, arguments, **variables):
    words, environment = image.start(arguments, **variables)
    return subprocess.run(words, env=environment, cwd="/", capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_loops_of_the_build_are_used_at_the_start(image):
    assert list((image.folder / "opt/featrec/cache").rglob("*.nbi"))
    done = start(image, ["--version"])
    assert done.returncode == 0, done.stderr
    assert "nothing was left to compile" in done.stderr
    assert done.stdout.startswith("featrec ")


@pytest.mark.slow
def test_loops_for_another_processor_are_compiled_at_the_start(image):
    shutil.rmtree(image.folder / "tmp" / "numba", ignore_errors=True)
    done = start(image, ["--version"], NUMBA_CPU_NAME="x86-64-v2", NUMBA_CPU_FEATURES="")
    assert done.returncode == 0, done.stderr
    assert re.search(r"[1-9]\d* loops compiled", done.stderr)


@pytest.mark.slow
def test_nothing_but_tmp_can_be_written(steps, image):
    if not steps.can_isolate():
        pytest.skip("needs root and mount namespaces")
    script = (
        f"id -u; touch {image.folder}/tmp/x && echo tmp; touch {image.folder}/opt/x {image.folder}/x /x /etc/x || echo refused"
    )
    words, environment = image.start(["--version"])
    words[words.index("sh", 5) + 1 :] = ["sh", "-c", script]
    done = subprocess.run(words, env=environment, cwd="/", capture_output=True, text=True)
    assert done.stdout.split() == ["10001", "tmp", "refused"], done.stderr
    assert done.stderr.count("Read-only file system") + done.stderr.count("Permission denied") == 4


@pytest.mark.slow
@pytest.mark.parametrize("cpu", [None, "x86-64-v2"])
def test_the_server_answers(image, open_folder, cpu):
    """Also on another processor than that of the build."""
    for package in ("fastapi", "uvicorn", "prometheus_client", "python_multipart"):
        pytest.importorskip(package)
    shutil.rmtree(image.folder / "tmp" / "numba", ignore_errors=True)
    models = open_folder / "models"
    models.mkdir(exist_ok=True)
    images = [np.full((20, 20), level, np.uint8) for level in (0, 10, 240, 250)]
    images = [image + np.arange(20, dtype=np.uint8) // 4 for image in images]
    save(tiny_knn().fit(images, ["dark", "dark", "light", "light"]), models / "tiny.model")
    Image.fromarray(images[2]).save(open_folder / "light.png")
    variables = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""} if cpu else {}
    words, environment = image.start(["serve", str(models), "--port", str(PORT)], **variables)
    process = subprocess.Popen(
        words, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        end = time.monotonic() + 180
        reply = None
        while reply is None and time.monotonic() < end and process.poll() is None:
            time.sleep(0.3)
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v2/health/ready", timeout=2).close()
                content = (open_folder / "light.png").read_bytes()
                request = urllib.request.Request(f"http://127.0.0.1:{PORT}/predict", content, {"content-type": "image/png"})
                with urllib.request.urlopen(request, timeout=10) as answer:
                    reply = answer.read().decode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        log = process.communicate(timeout=60)[0].decode()
    assert reply is not None, log
    assert '"light"' in reply or '"dark"' in reply, reply
    assert process.returncode == 0, log


@pytest.mark.slow
def test_what_is_copied_is_enough_to_install(image, tmp_path):
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.partition(".")[0]) < 77:
        pytest.skip("needs setuptools 77 or later")
    shutil.copytree(image.folder / "opt/featrec/source", tmp_path / "source")
    words = ["pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", "wheels", "./source"]
    done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheels").glob("featrec-*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    assert {"featrec/serving/page.html", "featrec/cli/_serve.py"} <= set(names)


def test_arguments_of_the_entry_point_follow_two_dashes(steps):
    assert steps.split(["folder", "--pip", "--", "--version", "--"]) == (["folder", "--pip"], ["--version", "--"])
    assert steps.split(["folder"]) == (["folder"], [])


def test_the_script_runs_on_its_own(tmp_path):
    done = subprocess.run([sys.executable, DOCKER / "try_steps.py", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
