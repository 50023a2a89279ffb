"""Malformed requests get a status of 400 to 499 or a closed connection; 200 exactly if the bytes are an image; never 500."""

import time

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from featrec.serving import Limits, create_app
from tests.serving import hostile
from tests.serving.models import with_scores
from tests.serving.served import running

# As in the command: an image of a user may be dark or flat.
pytestmark = pytest.mark.filterwarnings("ignore::featrec.exceptions.FeatrecWarning")

LIMITS = Limits(header_seconds=3, body_seconds=2, max_bytes=5_000_000, max_pixels=20_000_000)
KINDS = (
    "image",
    "image as body",
    "base64 image",
    "explained image",
    "wrong type",
    "wrong length",
    "wrong tensor",
    "wrong pixels",
)


@pytest.fixture(scope="module")
def address():
    with running(create_app({"m": with_scores()}, limits=LIMITS)) as client:
        yield client.base_url.host, client.base_url.port


def check(report, *kinds):
    assert report["faults"] == []
    outcomes = report["outcomes"]
    for kind in kinds:
        assert any(outcome.startswith(f"{kind}: ") and outcome != f"{kind}: 200" for outcome in outcomes), kind
    assert {"image: 200", "image: 415", "image: 422"} <= set(outcomes)
    assert not any(outcome.endswith(": 500") for outcome in outcomes)


def test_some_malformed_uploads(address):
    check(hostile.attack(address, "m", 70, LIMITS, first=62), *KINDS)


@pytest.mark.slow
def test_five_thousand_malformed_uploads(address):
    check(hostile.attack(address, "m", 5000, LIMITS), *KINDS, "slow client", "image of 10001 × 10001 pixels")


def test_a_huge_image_is_refused_before_it_is_decoded(address):
    found = hostile.too_large(0, "m")
    start = time.perf_counter()
    assert hostile.send(address, found) == 413
    assert time.perf_counter() - start < 1
    assert len(found.image) < LIMITS.max_bytes


def test_the_server_still_answers_afterwards(address):
    image = hostile.whole("PNG")[0]
    assert hostile.send(address, hostile.Upload("image", hostile.multipart(image), image)) == 200


def test_an_answer_that_is_wrong_is_noticed():
    image = hostile.whole("PNG")[0]
    good = hostile.Upload("image", hostile.multipart(image), image)
    cut = hostile.Upload("image", hostile.multipart(image[:20]), image[:20])
    slow = hostile.Upload("slow client", b"", slow=0)
    assert hostile.fault(good, 200, LIMITS) is None
    assert hostile.fault(cut, 422, LIMITS) is None
    assert hostile.fault(good, 503, LIMITS) is None
    assert hostile.fault(slow, hostile.CLOSED, LIMITS) is None
    for found, status in ((good, 422), (good, 500), (cut, 200), (good, hostile.CLOSED), (slow, 200), (cut, hostile.SILENT)):
        assert hostile.fault(found, status, LIMITS), (found.kind, status)


@pytest.mark.parametrize("change", [{"datatype": ["BYTES"]}, {"datatype": "FP32", "shape": [1, 1, 1], "data": [1e300]}])
def test_tensors_that_the_attack_has_found(address, change):
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": ["AAAA"]} | change
    assert hostile.send(address, hostile.Upload("wrong tensor", hostile.infer(tensor, "m"))) == 400
