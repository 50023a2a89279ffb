"""Time from files to labels: a recipe against benchmarks/handwritten.py with equal parameters, each in a new process.

    python benchmarks/end_to_end.py --data $FEATREC_DATA/scene15 --out benchmarks/results/end_to_end.jsonl

The time includes decoding, vocabulary, codes and classifier, but no imports. The loops of featrec have already been compiled;
loading them from the cache is included in the time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from featrec.cli._bench_results import (  # noqa: E402  (the repository must be on the path first)
    measured_on,
    peak_megabytes,
    stamp,
)

HEADER = ("", "accuracy, %", "seconds in all", "of which", "times as fast")
SHARED = ("step", "bins", "words", "levels", "jobs", "seed")


def ours(options: argparse.Namespace) -> dict[str, Any]:
    """Fit the recipe and predict in this process."""
    from featrec import recipes
    from featrec.datasets import ImageFolder

    model = equal(recipes.make(options.recipe, n_jobs=options.jobs, random_state=options.seed), options)
    start = time.perf_counter()
    train, test = ImageFolder.split(options.data)
    model.fit(train, train.labels)
    fitted = time.perf_counter()
    predicted = model.predict(test)
    seconds = {"fit": fitted - start, "predict": time.perf_counter() - fitted}
    seconds["total"] = sum(seconds.values())
    return {"seconds": seconds, "predicted": predicted.tolist(), "peak_mb": round(peak_megabytes(), 1)}


def equal(model: Any, options: argparse.Namespace) -> Any:
    """Set the grid, vocabulary size and pyramid of the other side."""
    wanted = {
        "DenseSIFT": {"step": options.step, "bin_sizes": tuple(options.bins)},
        "BagOfWords": {"vocabulary": options.words},
        "SpatialPyramid": {"levels": options.levels},
    }
    parts = {type(part).__name__: name for name, part in model.get_params().items() if type(part).__name__ in wanted}
    if set(parts) != set(wanted):
        raise SystemExit(
            f"the recipe has no {', '.join(sorted(set(wanted) - set(parts)))}; use a recipe with words in a pyramid"
        )
    return model.set_params(**{f"{parts[kind]}__{name}": value for kind, own in wanted.items() for name, value in own.items()})


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a line for each side and round; the sides alternate."""
    import numpy as np

    from featrec.datasets import ImageFolder
    from featrec.evaluation import compare

    labels = ImageFolder.split(options.data)[1].labels
    shared = [word for name in SHARED for word in _words(name, getattr(options, name))]
    commands = {
        options.recipe: [sys.executable, __file__, "--ours", "--recipe", options.recipe],
        "handwritten": [sys.executable, str(ROOT / "benchmarks" / "handwritten.py"), "--json"],
    }
    lines = []
    for number in range(options.rounds):
        for side, command in commands.items():
            with tempfile.TemporaryFile("w+") as out:
                subprocess.run([*command, "--data", str(options.data), *shared], check=True, stdout=out)
                out.seek(0)
                found = json.loads(out.read())
            predicted = np.array(found.pop("predicted"))
            result = compare({side: predicted}, labels, labels, test=(labels, labels)).results[0]
            found |= {"accuracy": round(result.accuracy, 6), "interval": [round(end, 6) for end in result.interval]}
            found["right"] = "".join("01"[right] for right in (predicted == labels).tolist())
            lines.append({"side": side, "round": number, **{name: getattr(options, name) for name in SHARED}, **found})
            print(f"{side}: {100 * found['accuracy']:.1f} %, {found['seconds']['total']:.1f} s", file=sys.stderr, flush=True)
    made = stamp(watched=[Path(__file__), ROOT / "benchmarks" / "handwritten.py"])
    return [{"dataset": options.data.name, **line, **made} for line in lines]


def _words(name: str, value: Any) -> list[str]:
    return [f"--{name}", *map(str, value if isinstance(value, list) else [value])]


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Return a table of both sides, with medians over rounds."""
    from featrec.evaluation import Table

    sides = {side: [line for line in lines if line["side"] == side] for side in dict.fromkeys(line["side"] for line in lines)}
    totals = {side: statistics.median(line["seconds"]["total"] for line in own) for side, own in sides.items()}
    rows = []
    for side, own in sides.items():
        low, high = own[0]["interval"]
        parts = [name for name in own[0]["seconds"] if name != "total"]
        seconds = {name: statistics.median(line["seconds"][name] for line in own) for name in parts}
        told_parts = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
        accuracy = f"{100 * own[0]['accuracy']:.1f} ({100 * low:.1f} to {100 * high:.1f})"
        rows.append([side, accuracy, f"{totals[side]:.1f}", told_parts, f"{totals['handwritten'] / totals[side]:.1f}"])
    first = lines[0]
    about = (
        f"{first['dataset']}: step {first['step']}, bins of {' and '.join(map(str, first['bins']))}, {first['words']} words, "
        f"{first['levels']} levels, {first['jobs']} threads:"
    )
    return f"{about}\n\n{Table(HEADER, rows).markdown()}"


def main(arguments: list[str] | None = None) -> int:
    """Run both sides, print the table and write the lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/ and test/")
    parser.add_argument("--recipe", default="phow_svm", help="a recipe with words in a pyramid (default: phow_svm)")
    parser.add_argument("--step", type=int, default=6)
    parser.add_argument("--bins", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--words", type=int, default=400)
    parser.add_argument("--levels", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="number of threads of each side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the lines to this file")
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.ours:
        print(json.dumps(ours(options)))
        return 0
    lines = run(options)
    print("\n".join([table(lines), "", *sorted(set(map(measured_on, lines)))]))
    if options.out:
        options.out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
