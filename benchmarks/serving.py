"""A served model under load: latency, throughput of batches, memory, a replaced model, and a stop.

    pip install 'featrec[serve]'
    python benchmarks/serving.py --data $FEATREC_DATA/scene15 --out benchmarks/results/serving.jsonl
    python benchmarks/serving.py --data $FEATREC_DATA/scene15 --only batching --only lone

The recipe is trained on DATA/train, and `featrec serve` answers the files of DATA/test. The clients (serving_client.py) have a
core of their own, the server has the others; `--shared` lets the server use all. Servers that are compared run in turns. Each
answer is compared with the prediction of the model. The processor time of the server for a request depends less on other
programs than its throughput.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.serving_client import LOST, Exchange, exchanges, run_client  # noqa: E402
from benchmarks.serving_process import HOST, Server, serving  # noqa: E402
from featrec.cli._bench_results import append, measured_on, stamp  # noqa: E402

CLIENT = Path(__file__).with_name("serving_client.py")
# The server takes a file that has not changed between two looks, a second apart.
SWAP_SECONDS = 4.0
# End of the labels of the model that replaces the other one.
NEW = " (new)"
HEADER = ("measurement", "result", "goal", "met")


class Bench:
    """The model, the images and the cores of all measurements."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        self.options, self.folder = options, folder
        self.model, self.paths, self.labels = trained(options, folder)
        own = sorted(os.sched_getaffinity(0))
        self.core = own[-1] if len(own) > 1 else None
        self.server_cores = set(own[:-1]) if len(own) > 1 and not options.shared else None

    def plan(self, server: Server, clients: int, **limits: float) -> dict[str, Any]:
        """Return what the clients shall do."""
        images = [str(path) for path in self.paths]
        return {"host": HOST, "port": server.port, "images": images, "clients": clients, "core": self.core, **limits}

    def server(self, *options: str, model: Path | None = None) -> Any:
        """Start a server on its cores, as a context manager."""
        return serving(model or self.model, *options, *self.options.serve, cores=self.server_cores)

    def run(self, server: Server, clients: int, **limits: float) -> dict[str, Any]:
        """Run the clients; return a summary, with the processor time of the server for a request."""
        before = server.processor_seconds()
        found = run_client(self.plan(server, clients, **limits))
        spent = server.processor_seconds() - before
        return self.told(found) | {"processor_ms": round(1e3 * spent / len(found), 3)}

    def told(self, found: Sequence[Exchange], labels: Sequence[Sequence[str]] | None = None) -> dict[str, Any]:
        """Summarise answers; `labels` are the right labels of each image if they are not those of the model."""
        right = labels or [(label,) for label in self.labels]
        good = [one for one in found if one.status == 200]
        seconds = sorted(one.received - one.sent for one in good) or [float("nan")]
        wall = max(one.received for one in found) - min(one.sent for one in found)
        return {
            "requests": len(found),
            "errors": sum(one.status != 200 for one in found),
            "wrong": sum(one.label not in right[one.image] for one in good),
            "p50_ms": round(1e3 * share_of(seconds, 0.5), 2),
            "p99_ms": round(1e3 * share_of(seconds, 0.99), 2),
            "per_second": round(len(good) / wall, 1),
        }


def share_of(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ordered values."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def trained(options: argparse.Namespace, folder: Path) -> tuple[Path, list[Path], list[str]]:
    """Train the recipe; return the model file, the files of test images, and the model's labels for them."""
    from featrec import recipes
    from featrec.datasets import ImageFolder
    from featrec.persistence import load as load_model, save

    train, test = ImageFolder.split(options.data)
    path = folder / f"{options.recipe}.featrec"
    if options.model is None:
        save(recipes.make(options.recipe, random_state=0).fit(train, train.labels), path)
    else:
        shutil.copy(options.model, path)
    step = max(1, len(test) // options.images)
    paths = [Path(one) for one in test.paths][::step][: options.images]
    return path, paths, [str(label) for label in load_model(path).predict([str(one) for one in paths])]


# Measurements


def load(bench: Bench) -> dict[str, Any]:
    """Clients for a minute."""
    with bench.server() as server:
        bench.run(server, bench.options.clients, requests=200)
        return bench.run(server, bench.options.clients, seconds=bench.options.seconds)


def batching(bench: Bench) -> dict[str, Any]:
    """The throughput with batches against that of single images, in turns."""
    return _compared(bench, bench.options.clients, "per_second")


def lone(bench: Bench) -> dict[str, Any]:
    """What batching costs a single client."""
    return _compared(bench, 1, "p50_ms")


def _compared(bench: Bench, clients: int, figure: str) -> dict[str, Any]:
    with ExitStack() as stack:
        servers = [stack.enter_context(bench.server(*more)) for more in ((), ("--max-batch", "1"))]
        for server in servers:
            bench.run(server, clients, requests=200)
        turns = []
        for turn in range(bench.options.rounds):
            order = servers if turn % 2 == 0 else servers[::-1]
            seconds = bench.options.seconds / 12
            found = {one.port: bench.run(one, clients, seconds=seconds) for one in order}
            turns.append([found[server.port] for server in servers])
    sides, spent = ([[one[side][name] for one in turns] for side in (0, 1)] for name in (figure, "processor_ms"))
    return {
        "batched": statistics.median(sides[0]),
        "single": statistics.median(sides[1]),
        "ratio": round(statistics.median(a / b for a, b in zip(*sides, strict=True)), 3),
        "difference": round(statistics.median(a - b for a, b in zip(*sides, strict=True)), 3),
        "processor_ms": list(map(statistics.median, spent)),
        "processor_ratio": round(statistics.median(b / a for a, b in zip(*spent, strict=True)), 3),
        "turns": turns,
        **{name: sum(each[name] for one in turns for each in one) for name in ("requests", "errors", "wrong")},
    }


def memory(bench: Bench) -> dict[str, Any]:
    """Growth of the server's memory between two counts of requests."""
    first, last = bench.options.counts
    with bench.server() as server:
        found = [bench.run(server, bench.options.clients, requests=first)]
        sizes = [server.megabytes()]
        for _ in range(4):
            found.append(bench.run(server, bench.options.clients, requests=(last - first) // 4))
            sizes.append(server.megabytes())
    figures = {name: sum(one[name] for one in found) for name in ("requests", "errors", "wrong")}
    return figures | {"megabytes": [round(size, 1) for size in sizes], "growth_mb": round(sizes[-1] - sizes[0], 1)}


def swap(bench: Bench) -> dict[str, Any]:
    """Replace the model file under load, in turns by one with other labels."""
    from featrec.persistence import load as load_model, save

    folder = bench.folder / "replaced"
    folder.mkdir()
    other = load_model(bench.model)
    renamed = bench.folder / "other.featrec"
    save(_renamed(other), renamed)
    path = folder / bench.model.name
    shutil.copy(bench.model, path)
    swaps = []

    def replace_often(stop: threading.Event) -> None:
        while not stop.wait(max(SWAP_SECONDS, bench.options.seconds / 10)):
            new = renamed if len(swaps) % 2 == 0 else bench.model
            shutil.copy(new, path.with_suffix(".part"))
            os.replace(path.with_suffix(".part"), path)
            swaps.append(time.monotonic())

    with bench.server(model=folder) as server:
        found = _beside(
            replace_often, lambda: run_client(bench.plan(server, bench.options.clients, seconds=bench.options.seconds))
        )
    told = bench.told(found, [(label, label + NEW) for label in bench.labels])
    of_the_other = sum((one.label or "").endswith(NEW) for one in found)
    return told | {"swaps": len(swaps), "of_the_other": of_the_other}


def _renamed(model: Any) -> Any:
    """Return the model with other names of the classes, so that its answers are told apart."""
    import numpy as np

    last = model[-1]
    last.classes_ = np.array([f"{name}{NEW}" for name in last.classes_])
    return model


def _beside(work: Callable[[threading.Event], None], measured: Callable[[], Any]) -> Any:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,))
    thread.start()
    try:
        return measured()
    finally:
        stop.set()
        thread.join()


def stop(bench: Bench) -> dict[str, Any]:
    """SIGTERM under load: what was sent before it is answered."""
    totals = {"requests": 0, "before": 0, "in_flight": 0, "lost": 0, "wrong": 0}
    seconds, codes = [], []
    for _ in range(bench.options.rounds):
        with bench.server() as server:
            client = subprocess.Popen(
                [sys.executable, "-P", str(CLIENT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert client.stdin is not None
            client.stdin.write(json.dumps(bench.plan(server, bench.options.clients, seconds=3)))
            client.stdin.close()
            client.stdin = None
            time.sleep(2)
            when = time.monotonic()
            seconds.append(server.stop())
            codes.append(server.process.returncode)
            found = exchanges(client.communicate()[0])
        before = [one for one in found if one.sent < when]
        totals["requests"] += len(before)
        totals["before"] += sum(one.received < when for one in before)
        totals["in_flight"] += sum(one.received >= when for one in before)
        totals["lost"] += sum(one.status == LOST for one in before)
        totals["wrong"] += sum(one.label not in (None, bench.labels[one.image]) for one in before)
    return totals | {"errors": totals["lost"], "stop_seconds": round(max(seconds), 2), "exit_codes": sorted(set(codes))}


MEASUREMENTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "load": load,
    "batching": batching,
    "lone": lone,
    "memory": memory,
    "swap": swap,
    "stop": stop,
}


# Table


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the last row of each measurement as a line of a Markdown table."""
    from featrec.evaluation import Table

    last = {row["measurement"]: row for row in rows}
    lines = [line for name in MEASUREMENTS if name in last for line in _lines(name, last[name])]
    return Table(HEADER, [[*line[:3], "yes" if line[3] else "no"] for line in lines]).markdown()


def _lines(name: str, row: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    clients, faults = row["clients"], row["errors"] + row["wrong"]
    answered = f"{row['requests']:,} requests, {faults} of them lost, refused or with a wrong label"
    if name == "load":
        return [
            (f"{clients} clients, {row['seconds']:.0f} s", answered, "none", faults == 0),
            ("99th percentile", f"{row['p99_ms']:.1f} ms (median {row['p50_ms']:.1f} ms)", "under 100 ms", row["p99_ms"] < 100),
            ("throughput", f"{row['per_second']:.0f} images per second", "", True),
        ]
    if name == "batching":
        told = f"{row['ratio']:.2f} times that of single images ({row['batched']:.0f} against {row['single']:.0f} per second)"
        told += f"; {row['processor_ratio']:.2f} times per second of processor time"
        return [(f"throughput of batches, {clients} clients", told, "at least 1.2 times", row["ratio"] >= 1.2)]
    if name == "lone":
        told = f"{row['difference']:+.2f} ms ({row['batched']:.2f} against {row['single']:.2f} ms)"
        return [("cost of batches for one client", told, "at most 5 ms", row["difference"] <= 5)]
    if name == "memory":
        first, end = row["counts"]
        told = f"{row['growth_mb']:+.1f} MB ({row['megabytes'][0]:.0f} MB after {first:,} requests)"
        return [(f"memory from request {first:,} to {end:,}", told, "at most 20 MB", row["growth_mb"] <= 20)]
    if name == "swap":
        return [(f"model file replaced {row['swaps']} times under load", answered, "none", faults == 0)]
    told = f"{row['in_flight']} requests in flight, {row['lost']} without an answer; stopped after {row['stop_seconds']:.1f} s"
    return [("SIGTERM under load", told, "none", row["lost"] == 0)]


def main(arguments: list[str] | None = None) -> int:
    """Run the measurements, append their rows and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/ and test/")
    parser.add_argument("--recipe", default="hog_svm")
    parser.add_argument("--model", type=Path, metavar="FILE", help="use this model file instead of training the recipe")
    parser.add_argument("--only", action="append", choices=list(MEASUREMENTS), help="one measurement; may be repeated")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60, help="length of the load; shorter ones are shares of it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs=2, default=[1000, 20_000], help="requests between which memory is compared")
    parser.add_argument("--images", type=int, default=200, help="number of test images that are sent in turn")
    parser.add_argument("--shared", action="store_true", help="the server may use the core of the clients, too")
    parser.add_argument("--serve", nargs="*", default=[], metavar="OPTION", help="more options of featrec serve")
    parser.add_argument("--out", type=Path, help="append the rows to this file")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # otherwise the servers would go on
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, Path(folder))
        about = {"dataset": options.data.name, **{name: getattr(options, name) for name in SETTINGS}}
        for name in options.only or MEASUREMENTS:
            busy = os.getloadavg()[0]
            made = stamp(packages=("fastapi", "uvicorn"), watched=[Path(__file__), CLIENT])
            rows.append({"measurement": name, **about, **MEASUREMENTS[name](bench), "load_before": round(busy, 2), **made})
            print(json.dumps({key: value for key, value in rows[-1].items() if key not in made}), file=sys.stderr, flush=True)
            if options.out:
                append(options.out, rows[-1])
    print("\n".join([table(rows), "", *sorted(set(map(measured_on, rows)))]))
    return 0


SETTINGS = ("recipe", "clients", "seconds", "rounds", "counts", "images", "shared", "serve")


if __name__ == "__main__":
    sys.exit(main())
