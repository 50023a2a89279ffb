"""How fast is featrec? Each row of benchmarks/rows runs against another implementation, alternating in one process.

    python benchmarks/speed.py                              every row, as a table
    python benchmarks/speed.py --only assignment --only kernels --json benchmarks/results/speed.jsonl

First, both sides run once and their results are compared. Then, each round times both sides, a matrix product (float32, one
thread) and a copy, so other load affects all four; figures are medians over rounds. The share is the rate of one thread of
featrec divided by the rate of the matrix product, or by the bandwidth of the copy.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.rows._row import Row  # noqa: E402  (the repository must be on the path first)
from featrec.cli._bench_results import measured_on, stamp  # noqa: E402
from featrec.evaluation import Table  # noqa: E402

ROWS = Path(__file__).resolve().parent / "rows"
SECONDS = 4.0  # for each row; more if the minimum number of rounds takes longer
SHORTEST = 0.02  # seconds; shorter work is repeated within a round
MOST_ROUNDS = 25
MOST_WORDS = 300  # maximum number of characters of an error that are stored, because NumPy's messages contain whole arrays
HEADER = ("work", "against", "threads", "ours, ms", "theirs, ms", "times as fast", "of CPU time", "target", "met", "share")


def topics() -> list[str]:
    """Return the modules with rows, sorted."""
    return sorted(path.stem for path in ROWS.glob("[!_]*.py"))


def run(names: Iterable[str], scale: float = 1.0, repeats: int = 5, seconds: float = SECONDS) -> Iterator[dict[str, Any]]:
    """Yield a line for each row of these topics as soon as it is measured."""
    yardstick = Yardstick(scale)
    made = stamp(packages=("faiss-cpu", "threadpoolctl"), watched=[ROWS.parent / "speed.py", ROWS]) | {"scale": scale}
    for topic in names:
        module = importlib.import_module(f"benchmarks.rows.{topic}")
        for peer in missing_peers(module):
            print(f"{topic}: {peer} is not installed; its rows are left out", file=sys.stderr)
        for row in module.rows(scale):
            about = {"topic": topic, "work": row.work, "against": row.against, "target": row.target}
            about |= {"threads": row.threads, "threads_theirs": row.threads_theirs}
            try:
                found = measure(row, yardstick, repeats, seconds)
            except Exception as error:
                found = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:MOST_WORDS]}"}
            yield about | found | made


def missing_peers(module: Any) -> list[str]:
    """Return the packages that a topic requires and that are not installed."""
    return [peer for peer in getattr(module, "PEERS", ()) if importlib.util.find_spec(peer) is None]


def measure(row: Row, yardstick: Yardstick, repeats: int, seconds: float) -> dict[str, Any]:
    """Compare the results, then time both sides in turn."""
    with limited(row.threads):
        ours = row.ours()
    with limited(row.threads_theirs):
        theirs = row.theirs()
    row.agree(ours, theirs)
    del ours, theirs
    sides = [(row.ours, row.threads), (row.theirs, row.threads_theirs)]
    once = [timed(work, 1, threads)[0] for work, threads in sides]
    calls = [max(1, math.ceil(SHORTEST / max(wall, 1e-9))) if seconds else 1 for wall in once]
    a_round = sum(wall * number for wall, number in zip(once, calls, strict=True))
    rounds = max(repeats, min(MOST_ROUNDS, int(seconds / a_round)))
    samples: list[list[tuple[float, float]]] = [[], []]
    for turn in range(rounds):
        # The sides take turns to start, so a change in the machine's speed affects both equally.
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            work, threads = sides[side]
            samples[side].append(timed(work, calls[side], threads))
        yardstick.measure()
    return summary(row, *samples) | {"calls": calls, "rounds": rounds} | yardstick.share(row, samples[0])


def timed(work: Callable[[], Any], calls: int, threads: int) -> tuple[float, float]:
    """Return wall-clock and CPU seconds of one call."""
    with limited(threads):
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(calls):
            work()
        return (time.perf_counter() - wall) / calls, (time.process_time() - processor) / calls


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Limit the threads of BLAS, OpenMP, OpenCV and faiss, if they are loaded."""
    cv2, faiss = sys.modules.get("cv2"), sys.modules.get("faiss")
    before = cv2 and cv2.getNumThreads(), faiss and faiss.omp_get_max_threads()
    with threadpool_limits(threads):
        if cv2:
            cv2.setNumThreads(threads)
        if faiss:
            faiss.omp_set_num_threads(threads)
        try:
            yield
        finally:
            if cv2:
                cv2.setNumThreads(before[0])
            if faiss:
                faiss.omp_set_num_threads(before[1])


def summary(row: Row, ours: Sequence[tuple[float, float]], theirs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return medians in milliseconds, and the median ratio over rounds with its quartiles."""
    ratios = [their[0] / mine[0] for mine, their in zip(ours, theirs, strict=True)]
    processor = [their[1] / max(mine[1], 1e-9) for mine, their in zip(ours, theirs, strict=True)]
    low, ratio, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
    found = {"ratio": ratio, "low": low, "high": high, "cpu_ratio": statistics.median(processor), "met": ratio >= row.target}
    for side, samples in (("ours", ours), ("theirs", theirs)):
        found[f"{side}_ms"] = 1e3 * statistics.median(wall for wall, _ in samples)
        found[f"{side}_cpu_ms"] = 1e3 * statistics.median(cpu for _, cpu in samples)
    return {name: value if isinstance(value, bool) else float(f"{value:.4g}") for name, value in found.items()}


class Yardstick:
    """The speed of one thread of this machine, measured along with each row: float32 products and copies."""

    def __init__(self, scale: float = 1.0):
        size, n_bytes = (1024, 1 << 27) if scale >= 1 else (128, 1 << 20)
        self.left, self.right, self.product = (np.full((size, size), 1e-3, np.float32) for _ in range(3))
        self.source, self.target = np.ones(n_bytes, np.uint8), np.zeros(n_bytes, np.uint8)
        self.products: list[float] = []
        self.copies: list[float] = []

    def measure(self) -> None:
        """Time one product and one copy."""
        self.products.append(timed(lambda: np.dot(self.left, self.right, out=self.product), 1, 1)[0])
        self.copies.append(timed(lambda: np.copyto(self.target, self.source), 1, 1)[0])

    def share(self, row: Row, ours: Sequence[tuple[float, float]]) -> dict[str, Any]:
        """Return the share that featrec reaches, and the rates; reset for the next row."""
        gflops = 2e-9 * len(self.left) ** 3 / statistics.median(self.products)
        gigabytes = 2e-9 * len(self.source) / statistics.median(self.copies)
        self.products, self.copies = [], []
        seconds = statistics.median(wall for wall, _ in ours) * row.threads
        rates = {"machine_gflops": round(gflops, 1), "machine_gb_per_s": round(gigabytes, 1)}
        if row.products:
            return rates | {"share": round(row.products / seconds / gflops / 1e9, 4), "share_of": "products"}
        if row.bytes_moved:
            return rates | {"share": round(row.bytes_moved / seconds / gigabytes / 1e9, 4), "share_of": "copy"}
        return rates | {"share": None, "share_of": None}


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Return the lines as a Markdown table."""
    return Table(HEADER, [cells(line) for line in lines]).markdown()


def cells(line: dict[str, Any]) -> list[str]:
    """Return the cells of one row of the table."""
    ours, theirs = line["threads"], line["threads_theirs"]
    about = [line["work"], line["against"], str(ours) if ours == theirs else f"{ours} against {theirs}"]
    if "error" in line:
        return [*about, "–", "–", "failed", "–", f"{line['target']:g}", "**no**", "–"]
    share = "–" if line["share"] is None else f"{100 * line['share']:.0f} % of {line['share_of']}"
    figures = [
        _milliseconds(line["ours_ms"]),
        _milliseconds(line["theirs_ms"]),
        f"{line['ratio']:.3g} ({line['low']:.3g} to {line['high']:.3g})",
    ]
    return [*about, *figures, f"{line['cpu_ratio']:.3g}", f"{line['target']:g}", "yes" if line["met"] else "**no**", share]


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def keep(lines: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the lines to the file, and keep lines of other topics in the file."""
    old = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    renewed = {line["topic"] for line in lines}
    kept = [line for line in old if line["topic"] not in renewed] + list(lines)
    kept.sort(key=lambda line: line["topic"])
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Return 1 if results differ or a row fails; with --strict, also if a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="TOPIC", action="append", choices=topics(), help=f"one of {', '.join(topics())}")
    parser.add_argument(
        "--scale", metavar="S", type=float, default=1.0, help="size of the work; less than 1 for a quick test run"
    )
    parser.add_argument("--repeats", metavar="N", type=int, default=5, help="minimum number of rounds")
    parser.add_argument(
        "--seconds", metavar="S", type=float, default=SECONDS, help=f"seconds of timing per row (default: {SECONDS:g})"
    )
    parser.add_argument("--json", metavar="OUT", type=Path, help="write the lines to this file; keep other topics")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args(arguments)
    lines = []
    for line in run(options.only or topics(), options.scale, options.repeats, options.seconds):
        print(f"{line['work']}: {line.get('error') or line['ratio']}", file=sys.stderr, flush=True)
        lines.append(line)
    print("\n".join([table(lines), "", *sorted(set(map(measured_on, lines)))]))
    if options.json:
        keep(lines, options.json)
    failed = any("error" in line or (options.strict and not line["met"]) for line in lines)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
