"""The benchmark of the server: what it sends, how it counts, its table, and a short run of each measurement."""

import asyncio
import json
import os

import pytest
from PIL import Image

from benchmarks import serving, serving_client
from benchmarks.serving_client import Exchange
from featrec.datasets import load_dataset

ROW = {"clients": 8, "requests": 1000, "errors": 0, "wrong": 0}
ROWS = [
    {**ROW, "measurement": "load", "seconds": 60, "p50_ms": 20, "p99_ms": 45.25, "per_second": 400, "processor_ms": 2.5},
    {**ROW, "measurement": "batching", "ratio": 1.31, "processor_ratio": 1.4, "batched": 410, "single": 313},
    {**ROW, "measurement": "lone", "difference": 0.4, "batched": 4.4, "single": 4},
    {**ROW, "measurement": "memory", "counts": [1000, 20000], "growth_mb": 21, "megabytes": [300, 321]},
    {**ROW, "measurement": "swap", "swaps": 10, "errors": 2, "wrong": 1},
    {**ROW, "measurement": "stop", "in_flight": 8, "lost": 0, "stop_seconds": 0.3},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("shapes")
    for half, pictures in zip(("train", "test"), load_dataset("shapes", n_train=24, n_test=8), strict=True):
        for number, (picture, label) in enumerate(zip(pictures, pictures.labels, strict=True)):
            (root / half / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(root / half / label / f"{number:03}.jpg")
    return root


def test_the_table_tells_which_goals_are_met():
    lines = serving.table(ROWS).splitlines()[2:]
    met = ["yes", "yes", "yes", "yes", "yes", "no", "no", "yes"]
    assert [line.split("|")[4].strip() for line in lines] == met
    assert "45.2 ms (median 20.0 ms)" in lines[1]
    assert "3 of them lost, refused or with a wrong label" in lines[6]


def test_the_last_row_of_a_measurement_counts():
    slower = {**ROWS[0], "p99_ms": 150}
    assert "150.0 ms" in serving.table([ROWS[0], slower])
    assert "45.2 ms" in serving.table([slower, ROWS[0]])


def test_exchanges_are_summarised():
    bench = serving.Bench.__new__(serving.Bench)
    bench.labels = ["cat", "dog"]
    found = [Exchange(i % 2, i / 10, i / 10 + 0.01, 200, ["cat", "dog"][i % 2]) for i in range(99)]
    found += [Exchange(0, 9.9, 10.0, 200, "dog"), Exchange(0, 9.9, 10.0, 503, None), Exchange(1, 9.9, 10.0, 0, None)]
    told = bench.told(found)
    assert (told["requests"], told["errors"], told["wrong"], told["per_second"]) == (102, 2, 1, 10.0)
    assert told["p50_ms"] == pytest.approx(10)
    assert told["p99_ms"] == pytest.approx(100)


def test_the_clients_record_what_a_server_does():
    """A server that answers the first two requests of each connection, and then closes it without an answer."""

    async def serve(reader, writer):
        for _ in range(2):
            await serving_request(reader)
            body = json.dumps({"results": [{"label": "cat"}]}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
            writer.write(body)
        await serving_request(reader)
        writer.close()

    async def serving_request(reader):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        assert b'name="image"' in await reader.readexactly(length)

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()[:2]
        requests = [serving_client.request_bytes(b"an image", "localhost")]
        found = await serving_client.client(address, requests, iter(range(6)), float("inf"))
        server.close()
        return found

    found = asyncio.run(run())
    assert [one.status for one in found] == [200, 200, serving_client.LOST] * 2
    assert [one.label for one in found][:3] == ["cat", "cat", None]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the benchmark gives cores to processes, as Linux can")
def test_every_measurement_runs(folder, tmp_path, capsys):
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    out = tmp_path / "serving.jsonl"
    short = [
        "--recipe",
        "hog_svm",
        "--clients",
        "2",
        "--seconds",
        "9",
        "--rounds",
        "1",
        "--counts",
        "20",
        "40",
        "--images",
        "8",
    ]
    assert serving.main(["--data", str(folder), *short, "--out", str(out)]) == 0
    rows = {row["measurement"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert list(rows) == list(serving.MEASUREMENTS)
    assert all(row["errors"] == row["wrong"] == 0 for row in rows.values())
    assert rows["load"]["requests"] > 20
    assert len(rows["batching"]["turns"]) == 1
    assert rows["swap"]["of_the_other"] > 0
    assert rows["stop"]["exit_codes"] == [0]
    assert "99th percentile" in capsys.readouterr().out
