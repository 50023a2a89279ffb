"""Tables in the documents, rendered from stored results.

    python benchmarks/render.py             update every table
    python benchmarks/render.py --check     list outdated documents without changing them

A table is between two marks. The first mark names the type of table and a file in benchmarks/results::

    <!-- table: bench scenes.jsonl split=random validation=no -->
    <!-- end -->

``bench FILE``, ``comparison FILE`` and ``few FILE`` accept the conditions ``dataset``, ``split``, ``recipe``, ``title`` (each
a name) and ``validation`` (yes or no). ``comparison`` adds sentences, and the rows of benchmarks/FILE.toml without a result.
``speed FILE`` accepts ``topic=NAME``, ``networks FILE`` ``dataset=NAME``. ``decision FILE``, ``end_to_end FILE``, ``robustness
FILE``, ``serving FILE``, ``unknown FILE`` and ``verdict FILE`` (which reads all files that docs/comparison.md shows) accept no
conditions. ``plot FILE`` shows docs/pictures/FILE.svg.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    comparison,
    decision,
    end_to_end,
    few_images,
    networks_table,
    robustness,
    serving,
    speed,
    unknown,
    verdict,
)
from featrec.cli._bench_results import measured_on, read_results, tables  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = ("README.md", "docs/*.md", "docs/*/*.md")
MARKED = re.compile(r"(<!-- table: (?P<what>[^\n]+?) -->\n).*?(<!-- end -->)", re.S)
SHOWN = {
    "few_images": "Accuracy against the number of training images",
    "frontier": "Accuracy against the size of the model file and against images per second on one core",
}
NOTHING = "*Not measured yet.*"


def documents(root: Path = ROOT) -> list[Path]:
    """Return the documents that contain a table, sorted."""
    found = [path for pattern in DOCUMENTS for path in root.glob(pattern)]
    return sorted(path for path in found if MARKED.search(path.read_text(encoding="utf-8")))


def rendered(text: str, results: Path = RESULTS) -> str:
    """Return the text with all tables updated."""
    return MARKED.sub(lambda found: f"{found[1]}{table(found['what'], results)}\n{found[3]}", text)


def table(what: str, results: Path = RESULTS) -> str:
    """Return the table for a mark, or a line that there are no results yet."""
    kind, name, *conditions = what.split()
    if kind not in KINDS:
        raise ValueError(f"a table shows {', '.join(KINDS)}; got {what!r}")
    wanted = dict(condition.split("=", 1) for condition in conditions)
    path = results / name
    return KINDS[kind](path, wanted) if path.exists() else NOTHING


def _wanted(path: Path, wanted: dict[str, str]) -> list[dict[str, Any]]:
    return [row for row in read_results(path).values() if all(_meets(row, *condition) for condition in wanted.items())]


def _comparison(path: Path, wanted: dict[str, str]) -> str:
    rows = _wanted(path, wanted)
    config = ROOT / "benchmarks" / f"{path.stem}.toml"
    return f"{comparison.comparison(rows, config)}\n\n{_measured_on(rows)}" if rows else NOTHING


def _few(path: Path, wanted: dict[str, str]) -> str:
    rows = _wanted(path, wanted)
    return f"{few_images.table(rows)}\n\n{_measured_on(rows)}" if rows else NOTHING


def _plot(path: Path, wanted: dict[str, str]) -> str:
    """Return a link to the plot, which another script draws."""
    picture = ROOT / "docs" / "pictures" / f"{path.stem}.svg"
    return f"![{SHOWN.get(path.stem, path.stem)}](pictures/{picture.name})" if picture.exists() else NOTHING


def _bench(path: Path, wanted: dict[str, str]) -> str:
    rows = _wanted(path, wanted)
    parts = [f"{place}:\n\n{table.markdown()}" for place, table in tables(rows).items()]
    return "\n\n".join([*parts, _measured_on(rows)]) if rows else NOTHING


def _meets(row: dict[str, Any], name: str, value: str) -> bool:
    if name == "validation":
        return (row["split"]["validation"] is not None) == (value == "yes")
    if name not in ("dataset", "recipe", "split", "title"):
        raise ValueError(f"a table of bench accepts dataset, recipe, split, title and validation; got {name!r}")
    found: str = row["split"]["kind"] if name == "split" else row[name]
    return found == value


def _speed(path: Path, wanted: dict[str, str]) -> str:
    rows = [row for row in _lines(path) if wanted.get("topic") in (None, row["topic"])]
    return f"{speed.table(rows)}\n\n{_measured_on(rows)}" if rows else NOTHING


def _decision(path: Path, wanted: dict[str, str]) -> str:
    """Return table and plot for the results beside `path`, which the mark names for its date."""
    every = (row for name in decision.FILES for row in read_results(path.parent / name).values())
    rows = [row for row in every if row["dataset"] in decision.IMAGES]
    picture = f"![Accuracy of all measured models on each dataset](pictures/{decision.PICTURE.name})"
    return f"{decision.table(decision.figures(rows))}\n\n{picture}\n\n{_measured_on(rows)}"


def _end_to_end(path: Path, wanted: dict[str, str]) -> str:
    rows = _lines(path)
    return f"{end_to_end.table(rows)}\n\n{_measured_on(rows)}"


def _robustness(path: Path, wanted: dict[str, str]) -> str:
    rows = _lines(path)
    return f"{robustness.joined(rows).to_markdown()}\n\n{_measured_on(rows)}"


def _networks(path: Path, wanted: dict[str, str]) -> str:
    rows = [row for row in networks_table.study_rows(path) if wanted.get("dataset") in (None, row["dataset"])]
    return f"{networks_table.table(rows)}\n\n{_measured_on(rows)}" if rows else NOTHING


def _serving(path: Path, wanted: dict[str, str]) -> str:
    rows = _lines(path)
    last = {row["measurement"]: row for row in rows}
    loads = sorted(row["load_before"] for row in last.values())
    busy = f"Load of the machine by other programs before the measurements: {loads[0]:.1f} to {loads[-1]:.1f}."
    return f"{serving.table(rows)}\n\n{busy}\n\n{_measured_on(last.values())}"


def _unknown(path: Path, wanted: dict[str, str]) -> str:
    rows = list(read_results(path).values())
    return f"{unknown.show(rows)}\n\n{_measured_on(rows)}" if rows else NOTHING


def _verdict(path: Path, wanted: dict[str, str]) -> str:
    return verdict.verdict(path.parent)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _measured_on(rows: Iterable[dict[str, Any]]) -> str:
    """Return a line for each machine, set of versions and day, with all commits."""
    commits: dict[tuple[str, str], list[str]] = {}
    for line in dict.fromkeys(map(measured_on, rows)):
        where, commit, date = line.rsplit("; ", 2)
        commits.setdefault((where, date), []).append(commit)
    return "\n".join(f"Measured on {where}; {', '.join(found)}; {date}" for (where, date), found in sorted(commits.items()))


KINDS: dict[str, Callable[[Path, dict[str, str]], str]] = {
    "bench": _bench,
    "comparison": _comparison,
    "decision": _decision,
    "end_to_end": _end_to_end,
    "few": _few,
    "networks": _networks,
    "plot": _plot,
    "robustness": _robustness,
    "serving": _serving,
    "speed": _speed,
    "unknown": _unknown,
    "verdict": _verdict,
}


def main(arguments: list[str] | None = None) -> int:
    """Return 1 if --check finds an outdated document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a document is outdated")
    options = parser.parse_args(arguments)
    changed = []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        new = rendered(text)
        if new != text:
            changed.append(path)
            if not options.check:
                path.write_text(new, encoding="utf-8")
    state = "is outdated" if options.check else "updated"
    print("\n".join(f"{path.relative_to(ROOT)} {state}" for path in changed) or "all tables are up to date")
    return int(options.check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
