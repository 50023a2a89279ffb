"""Run the recipes and datasets of a configuration file, each in a new process; resumes after interruptions."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import featrec
from featrec.cli._bench_config import read_config
from featrec.cli._bench_results import append, described, read_results
from featrec.cli._bench_table import HEADER, aligned, draws, markdown, place, summary, told, without_seed
from featrec.cli._stamp import stamp
from featrec.exceptions import InputError

__all__ = ["add_arguments", "run"]

CELL = "from featrec.cli._bench_cell import main; main()"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: what to run, where results go, and how they are shown."""
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
        "--only", metavar="TEXT", action="append", default=[], help="run only recipes and datasets whose name contains this"
    )
    parser.add_argument("--again", action="store_true", help="also run what already has a result")
    parser.add_argument("--dry-run", action="store_true", help="list what would run, and exit")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")


def run(arguments: argparse.Namespace) -> int:
    """Run everything without a result and print the table. Returns 1 if some runs failed, 2 if all failed."""
    if arguments.config.suffix == ".jsonl":
        if not arguments.config.is_file():
            raise InputError(f"there is no file {str(arguments.config)!r}; featrec bench CONFIG.toml writes one")
        return _show(list(read_results(arguments.config).values()), arguments)
    if arguments.config.is_dir():
        raise InputError(f"{arguments.config} is a folder; use a file in it, such as {arguments.config / 'bench.toml'}")
    out = arguments.out or arguments.config.with_suffix(".jsonl")
    if not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent} to write {out.name} to; make it first: mkdir -p {out.parent}")
    cells = _different([_described(cell) for cell in read_config(arguments.config) if _wanted(cell, arguments.only)])
    if not cells:
        raise InputError(f"--only {' --only '.join(arguments.only)} matches nothing in {arguments.config}")
    done = read_results(out)
    rest = [cell for cell in cells if arguments.again or "error" in done.get(cell["key"], {"error": "not run"})]
    if arguments.dry_run:
        print("\n".join(f"{_name(cell)}{'' if cell in rest else ': has a result'}" for cell in cells))
        return 0
    _check_data(rest)
    failed = [cell for number, cell in enumerate(rest, start=1) if "error" in _run(cell, out, f"{number}/{len(rest)}")]
    found = read_results(out)
    _show([found[cell["key"]] for cell in cells], arguments)
    return 0 if not failed else 1 if len(failed) < len(cells) else 2


def _wanted(cell: dict[str, Any], only: Sequence[str]) -> bool:
    return not only or any(text in name for text in only for name in (cell["title"], cell["recipe"], cell["dataset"]))


def _described(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell with all parameters of its model; invalid options are reported before anything runs."""
    from featrec.cli._bench_cell import make_model

    try:
        model = make_model(cell)
    except (TypeError, ValueError) as error:
        raise InputError(f"the recipe {cell['recipe']!r} cannot be made with {cell['options']}: {error}") from error
    return described(cell, model)


def _different(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop further seeds if neither split nor model is random."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for cell in cells:
        seed = cell["seed"] if draws(cell) else None
        found.setdefault((place(cell), without_seed(cell), str(seed)), cell)
    return list(found.values())


def _check_data(cells: Iterable[dict[str, Any]]) -> None:
    """Check that datasets exist and have the requested options, before the first cell runs."""
    from featrec.cli._bench_cell import expanded
    from featrec.cli._bench_splits import read_halves

    seen = []
    for cell in cells:
        wanted = (cell["dataset"], cell["dataset_options"])
        if wanted not in seen:
            seen.append(wanted)
            read_halves(cell["dataset"], expanded(cell["dataset_options"]))


def _run(cell: dict[str, Any], out: Path, progress: str) -> dict[str, Any]:
    """Run one cell in its own process and append its line to the file; failures are results, too."""
    sys.stderr.write(f"[{progress}] {_name(cell)}: ")
    sys.stderr.flush()
    measured = stamp()  # read now, because the repository may be at another commit when a long run ends
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
    last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
    code = done.returncode
    return {"error": f"the process ended by signal {-code}; memory may have run out" if code < 0 else f"exit {code}: {last}"}


def _name(cell: dict[str, Any]) -> str:
    return f"{place(cell)}, seed {cell['seed']}, {cell['title']}"


def _show(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> int:
    for where, lines in summary(rows).items():
        print(f"{where}\n\n{(markdown if arguments.markdown else aligned)(HEADER, lines)}\n")
    failed = sorted({f"failed: {_name(row)}: {row['error']}" for row in rows if "error" in row})
    print("\n".join([*failed, *sorted({told(row) for row in rows})]))
    return 0
