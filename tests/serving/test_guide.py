"""The guide of the README in one shell: each line as it is printed."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.serving.models import encoded
from tests.test_documents import blocks, draw

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "how_to" / "serving.md"
PORT = "8765"
END = "==== end of a line ===="


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def installed(folder):
    """A folder with the command ``featrec`` of this checkout."""
    folder.mkdir()
    (folder / "featrec").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m featrec "$@"\n')
    (folder / "featrec").chmod(0o755)
    return folder


def test_the_how_to_has_the_guide_of_the_readme():
    assert blocks(PAGE, "sh")[0] in blocks(ROOT / "README.md", "sh")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash") or not shutil.which("curl"), reason="bash or curl is not installed")
def test_each_line_of_the_guide_runs_in_one_shell(tmp_path):
    """The port is replaced by a free one, because another program may use it."""
    draw(tmp_path / "pictures", np.random.default_rng(0))
    (tmp_path / "holiday.jpg").write_bytes(encoded(np.full((60, 70, 3), 120, np.uint8), "JPEG"))
    port = free_port()
    lines = [line.replace(PORT, port) for line in blocks(PAGE, "sh")[0].splitlines()]
    script = "set -e -m" + "".join(f"\n{line}\necho; echo '{END}'" for line in lines)
    environment = os.environ | {"PATH": f"{installed(tmp_path / 'bin')}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = ["bash", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    outputs = done.stdout.split(END)[:-1]
    assert len(outputs) == len(lines)
    check, train, predict, _, _, ready, predicted, explained, metrics, _ = outputs
    assert "18 of 18 images can be read" in check
    assert re.search(r"accuracy|correct", train)
    label = predict.split("\t")[1]
    assert json.loads(ready[ready.index("{") :].splitlines()[0]) == {"ready": True}
    assert json.loads(predicted)["results"][0]["label"] == label
    (result,) = json.loads(explained)["results"]
    assert (result["target"], len(result["parts"])) == (label, 3)
    assert 'featrec_images_total{model="guide",outcome="ok"} 2.0' in metrics
    assert (tmp_path / "why.html").stat().st_size > 10_000
    assert "Traceback" not in done.stderr
