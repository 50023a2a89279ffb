"""Schemathesis sends requests made from /openapi.json, and compares the answers with it."""

import subprocess
import sys

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")
pytest.importorskip("schemathesis")

from featrec.serving import create_app
from tests.serving.models import with_scores
from tests.serving.served import running

# The requests with a body are about images: random bytes fit the description, but are no image.
SETTINGS = """
[parameters]
"path.name" = "m"

[[operations]]
include-method = "POST"

[operations.checks]
positive_data_acceptance.enabled = false
"""


@pytest.mark.slow
def test_answers_are_as_described(tmp_path):
    (tmp_path / "schemathesis.toml").write_text(SETTINGS, encoding="utf-8")
    with running(create_app({"m": with_scores()})) as client:
        address = str(client.base_url.join("/openapi.json"))
        command = [sys.executable, "-m", "schemathesis.cli", "run", address, "--max-examples", "30", "--seed", "1"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "13 passed" in done.stdout
