"""The command ``bench``: run each recipe of a configuration file on each dataset in a new process, and print the results."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import featrec
from featrec.cli._arguments import check_outputs
from featrec.cli._bench_config import MEASURES, check_extras, read_config
from featrec.cli._bench_results import (
    append,
    described,
    is_random,
    measured_on,
    place,
    read_results,
    remarks,
    stamp,
    tables,
    without_seed,
)
from featrec.exceptions import InputError

__all__ = ["add_bench_arguments", "run_bench"]

CELL = "from featrec.cli._bench_cell import main; main()"


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config",
        metavar="FILE",
        type=Path,
        help=".toml file with datasets and recipes (docs/benchmarks.md), or .jsonl file with results to show",
    )
    parser.add_argument(
        "--out",
        metavar="RESULTS",
        type=Path,
        help="file to which results are appended, one per line (default: FILE with suffix .jsonl)",
    )
    parser.add_argument(
        "--only", metavar="TEXT", action="append", default=[], help="run only recipes and datasets whose name contains TEXT"
    )
    parser.add_argument("--again", action="store_true", help="also run recipes that already have a result")
    parser.add_argument("--dry-run", action="store_true", help="list the runs, and exit")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    page = "also write the comparison as an HTML page; with several datasets or splits, one page each, with numbered names"
    parser.add_argument("--html", metavar="OUT", type=Path, help=page)


def run_bench(arguments: argparse.Namespace) -> int:
    """Run each recipe of a configuration file on each dataset, each time in a new process.

    Runs that already have a result are skipped. Returns 1 if some runs failed, 2 if all failed.
    """
    config, only = arguments.config, arguments.only
    check_outputs(arguments.html, example="results.html")
    if config.suffix == ".jsonl":
        if not config.is_file():
            raise InputError(f"there is no file {str(config)!r}; 'featrec bench CONFIG.toml' writes a file of results")
        return _show(list(read_results(config).values()), arguments)
    if config.is_dir():
        raise InputError(f"{config} is a folder; use a file in it, such as {config / 'bench.toml'}")
    out = arguments.out or config.with_suffix(".jsonl")
    if not out.parent.is_dir():
        raise InputError(f"cannot write {out}: the folder {out.parent} does not exist; create it: mkdir -p {out.parent}")
    cells = _different([_described(cell) for cell in read_config(config) if _is_wanted(cell, only)])
    if not cells:
        raise InputError(f"--only {' --only '.join(only)} matches nothing in {config}")
    done = read_results(out)
    rest = [cell for cell in cells if arguments.again or "error" in done.get(cell["key"], {"error": "not run"})]
    if arguments.dry_run:
        print("\n".join(f"{_name(cell)}{'' if cell in rest else ': has a result'}" for cell in cells))
        return 0
    check_extras(rest)
    _check_data(rest)
    _tell_missing(cells, rest, done)
    failed = [cell for number, cell in enumerate(rest, start=1) if "error" in _run(cell, out, f"{number}/{len(rest)}")]
    found = read_results(out)
    _show([found[cell["key"]] for cell in cells], arguments)
    return 0 if not failed else 1 if len(failed) < len(cells) else 2


def _is_wanted(cell: dict[str, Any], only: Sequence[str]) -> bool:
    return not only or any(text in name for text in only for name in (cell["title"], cell["recipe"], cell["dataset"]))


def _described(cell: dict[str, Any]) -> dict[str, Any]:
    """Add all parameters of the cell's model to the cell. Invalid options raise an error before the first cell is run."""
    from featrec.cli._bench_cell import make_model

    try:
        return described(cell, make_model(cell))
    except (TypeError, ValueError) as error:
        raise InputError(f"the recipe {cell['recipe']!r} cannot be made with {cell['options']}: {error}") from error


def _different(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep only the first seed of a cell if neither the split nor the model is random."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in cells:
        seed = cell["seed"] if is_random(cell) else None
        found.setdefault((place(cell), without_seed(cell), seed), cell)
    return list(found.values())


def _tell_missing(cells: list[dict[str, Any]], rest: list[dict[str, Any]], done: Mapping[str, Mapping[str, Any]]) -> None:
    """Say which requested measures are not in the results that are kept."""
    kept = [(cell, done[cell["key"]]) for cell in cells if cell not in rest]
    for name in MEASURES:
        n = sum(name in cell.get("measures", ()) and name not in row.get("measures", ()) for cell, row in kept)
        if n:
            sys.stderr.write(f"{n} of {len(kept)} runs with a result have no {name}; --again runs them again\n")


def _check_data(cells: Iterable[dict[str, Any]]) -> None:
    """Check that datasets exist and have the requested options and groups, before the first cell runs."""
    from featrec.cli._bench_cell import Pool, expanded, read_halves

    seen = []
    for cell in cells:
        wanted = (cell["dataset"], cell["dataset_options"], cell["split"].get("groups"))
        if wanted not in seen:
            seen.append(wanted)
            Pool(read_halves(cell["dataset"], expanded(cell["dataset_options"])), groups=wanted[2])


def _run(cell: dict[str, Any], out: Path, progress: str) -> dict[str, Any]:
    """Run one cell in its own process and append the result to the file. Errors are stored like results."""
    sys.stderr.write(f"[{progress}] {_name(cell)}: ")
    sys.stderr.flush()
    measured = stamp()  # read the commit now, because it may change during a long run
    with tempfile.TemporaryDirectory() as folder:
        found = _in_fresh_process(cell, Path(folder, "found.json"))
    append(out, cell | found | measured)
    words = found.get("error") or f"{100 * found['accuracy']:.1f} %, {found['fit_seconds'] + found['predict_seconds']:.1f} s"
    sys.stderr.write(words + "\n")
    return found


def _in_fresh_process(cell: dict[str, Any], result: Path) -> dict[str, Any]:
    paths = [str(Path(featrec.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-c", CELL, str(result)], input=json.dumps(cell), text=True, capture_output=True, env=environment
    )
    if result.exists():
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    code = done.returncode
    return {"error": f"process ended by signal {-code}; memory may have run out" if code < 0 else f"exit {code}: {last}"}


def _name(cell: dict[str, Any]) -> str:
    return f"{place(cell)}, seed {cell['seed']}, {cell['title']}"


def _show(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> int:
    for split, table in tables(rows).items():
        print(f"{split}\n\n{table.markdown() if arguments.markdown else table.plain()}\n")
    told = remarks(rows)
    failed = sorted({f"failed: {_name(row)}: {row['error']}" for row in rows if "error" in row})
    print("\n".join([*told, *failed, *sorted({measured_on(row) for row in rows})]))
    if arguments.html is not None:
        from featrec.cli._bench_page import write_pages

        for path in write_pages(rows, arguments.html):
            sys.stderr.write(f"wrote {path}\n")
    return 0
