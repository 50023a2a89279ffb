"""Results of benchmarks: one line of JSON per run, with versions and machine, and tables that summarise the runs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import statistics
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.evaluation import measured_on, peak_megabytes, stamp
from featrec.exceptions import InputError

if TYPE_CHECKING:
    import numpy as np

    from featrec.evaluation import Table

__all__ = [
    "append",
    "described",
    "is_random",
    "labels_of",
    "measured_on",
    "packed",
    "peak_megabytes",
    "place",
    "portable",
    "read_results",
    "remarks",
    "stamp",
    "tables",
    "unpacked",
    "without_seed",
]

DECIDES = ("dataset", "dataset_options", "split", "recipe", "parameters", "seed", "n_jobs")
# Parameters of scikit-learn pipelines that are not stored, because they do not change results, or because they contain steps
# whose own parameters are stored.
IGNORED = ("steps", "transformer_list", "memory", "n_jobs", "transform_input", "verbose")
HEADER = ("recipe", "accuracy, %", "against the row above", "fit, s", "images/s", "peak, MB", "model, MB")
FIGURES = ("fit_seconds", "images_per_second", "peak_mb")
# Columns that a table has only if one of its rows has the figure: heading, place of the figure in the result, and factor.
MORE: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("start, s", ("cost", "start_seconds"), 1),
    ("first image, s", ("cost", "first_seconds"), 1),
    ("one image, ms", ("cost", "p50_seconds"), 1e3),
    ("95th percentile, ms", ("cost", "p95_seconds"), 1e3),
    ("in batches, ms", ("cost", "batch_seconds"), 1e3),
    ("peak of predictions, MB", ("cost", "peak_bytes"), 1e-6),
    ("calibration error, %", ("calibration", "ece"), 100),
    ("Brier score", ("calibration", "brier"), 1),
    ("log loss", ("calibration", "log_loss"), 1),
    ("Wh, estimate", ("kwh",), 1e3),
    ("parameters", ("n_parameters",), 1),
    ("multiply-adds", ("n_multiply_adds",), 1),
)


# The file of results


def described(cell: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Add the parameters of the model to a cell, and a key that is computed from everything that determines the result."""
    values = sorted(model.get_params().items())
    kinds = {name: type(value).__name__ for name, value in values if _is_estimator(value)}
    others = {
        name: _plain(value) for name, value in values if name.rpartition("__")[2] not in IGNORED and not _is_estimator(value)
    }
    cell = portable({**cell, "parameters": {"": type(model).__name__, **kinds, **others}})
    decisive = json.dumps({name: cell[name] for name in DECIDES}, sort_keys=True)
    return {"key": hashlib.sha256(decisive.encode()).hexdigest()[:16], **cell}


def portable(value: Any) -> Any:
    """Replace the path in FEATREC_DATA with ``$FEATREC_DATA``, because local paths are private and may change."""
    home = os.path.normpath(os.environ.get("FEATREC_DATA", ""))
    if not os.path.isabs(home) or home == os.sep:
        return value
    written = json.dumps(home)[1:-1]
    return json.loads(json.dumps(value).replace(written, "$FEATREC_DATA"))


def read_results(path: Path) -> dict[str, dict[str, Any]]:
    """Return the last result for each key, in the order in which the keys first appear. An incomplete last line is ignored."""
    if not path.exists():
        return {}
    found: dict[str, dict[str, Any]] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            found[row["key"]] = row
        except (json.JSONDecodeError, KeyError, TypeError):
            if number < len(lines) and line:
                raise InputError(f"line {number} of {path} is not a result of featrec bench; repair or move the file") from None
    return found


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Append a line and wait until it is on disk."""
    text = json.dumps(portable(dict(row)), ensure_ascii=False, separators=(",", ":")) + "\n"
    with open(path, "ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else "\n" + text
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def packed(classes: np.ndarray) -> str:
    """Compress class indices. All low bytes precede all high bytes; most high bytes are 0 and compress well."""
    halves = bytes((classes & 255).tolist()) + bytes((classes >> 8).tolist())
    return base64.b64encode(zlib.compress(halves, 9)).decode("ascii")


def labels_of(row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of the true class and the predicted class of each image."""
    import numpy as np

    names = np.array(row["classes"])
    return names[unpacked(row["labels"])], names[unpacked(row["predicted"])]


def unpacked(text: str) -> np.ndarray:
    """Return the class indices that ``packed`` has compressed."""
    import numpy as np

    low, high = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(2, -1).astype(int)
    found: np.ndarray = low + 256 * high
    return found


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _plain(value: Any) -> Any:
    """Convert a value to JSON types. The result must be the same in every process."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else repr(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if _is_estimator(value):
        return type(value).__name__
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return getattr(value, "__qualname__", None) or (os.fspath(value) if isinstance(value, os.PathLike) else repr(value))


# The table


def tables(rows: Iterable[Mapping[str, Any]]) -> dict[str, Table]:
    """Make a table for each dataset and split. Each row summarises all seeds of a recipe; rows are in the order of the runs."""
    from featrec.evaluation import Table

    groups: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        groups.setdefault(place(row), {}).setdefault(without_seed(row), []).append(row)
    found: dict[str, Table] = {}
    for split, recipes in groups.items():
        runs = list(recipes.values())
        lines = [_line(*pair) for pair in zip(runs, [[], *runs], strict=False)]
        more = {heading: [_cell(each, where, factor) for each in runs] for heading, where, factor in MORE}
        shown = {heading: cells for heading, cells in more.items() if set(cells) != {"–"}}
        rest = zip(lines, zip(*shown.values(), strict=True) if shown else [()] * len(lines), strict=True)
        found[split] = Table([*HEADER, *shown], [[*line, *cells] for line, cells in rest])
    return found


def _cell(runs: Iterable[Mapping[str, Any]], where: Sequence[str], factor: float) -> str:
    """Format the median of a figure over the runs that have it."""
    values = [value for run in runs if "error" not in run and (value := _figure(run, where)) is not None]
    return _number(factor * statistics.median(values)) if values else "–"


def _figure(run: Mapping[str, Any], where: Sequence[str]) -> Any:
    found: Any = run
    for name in where:
        found = None if found is None else found.get(name)
    return found


def remarks(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return sentences on duplicates, pre-training and costs that could not be measured."""
    found: dict[str, None] = {}
    for row in rows:
        if row.get("n_duplicates"):
            n = f"{row['n_duplicates']:,} of {row['n_test']:,} test images are"
            found[f"{place(row)}, seed {row['seed']}: {n} identical, pixel for pixel, to training images."] = None
        if row.get("pretrained_on"):
            found[f"{row['title']} was pre-trained on {' and '.join(row['pretrained_on'])}."] = None
        if row.get("cost_remark"):
            found[f"The cost of {row['title']} could not be measured: {row['cost_remark']}."] = None
    return list(found)


def place(row: Mapping[str, Any]) -> str:
    """Describe the dataset and split of a run, but not the seed: ``scene15, random splits, n_train 100 a class``."""
    split = row["split"]
    words = [row["dataset"], *(f"{name}={value}" for name, value in row["dataset_options"].items())]
    words.append("the standard split" if split["kind"] == "standard" else "random splits")
    if split["kind"] == "random" and split["n_train"] is None:
        words.append("a fifth of each class held out")
    words += [f"{name} {split[name]} a class" for name in ("n_train", "n_test") if split[name] is not None]
    if split["validation"]:
        words.append(f"judged on {100 * split['validation']:g} % of the training images")
    if split.get("groups"):
        words.append(f"each {split['groups']} on one side")
    return ", ".join(words)


def is_random(row: Mapping[str, Any]) -> bool:
    """Return whether the split or the model depends on the seed."""
    return row["split"]["seed"] is not None or any(name.rpartition("__")[2] == "random_state" for name in row["parameters"])


def without_seed(row: Mapping[str, Any]) -> str:
    """Return a key that is the same for all runs in one row of a table."""
    parameters = {name: value for name, value in row["parameters"].items() if name.rpartition("__")[2] != "random_state"}
    return json.dumps([row["recipe"], row["title"], parameters, row["n_jobs"]], sort_keys=True)


def _line(runs: Sequence[Mapping[str, Any]], above: Sequence[Mapping[str, Any]]) -> list[str]:
    done = [run for run in runs if "error" not in run]
    if not done:
        return [runs[0]["title"], "failed", *["–"] * (len(HEADER) - 2)]
    figures = [_number(statistics.median(run[name] for run in done)) for name in FIGURES]
    sizes = [run["model_bytes"] for run in done if run["model_bytes"] is not None]
    figures.append(_number(statistics.median(sizes) / 1e6) if sizes else "–")
    return [runs[0]["title"], _accuracy(done), _gain(done, [run for run in above if "error" not in run]), *figures]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _accuracy(runs: Sequence[Mapping[str, Any]]) -> str:
    """Format the accuracy, with Wilson's interval for a single run or the standard deviation over several seeds."""
    shares = [100 * run["accuracy"] for run in runs]
    drawn = any(run["split"]["seed"] is not None for run in runs)
    if len(runs) == 1 or (not drawn and len({run["predicted"] for run in runs}) == 1):  # the seed has no effect
        low, high = runs[0]["interval"]
        return f"{shares[0]:.1f} ({100 * low:.1f} to {100 * high:.1f})"
    return f"{statistics.mean(shares):.1f} ± {statistics.stdev(shares):.1f} ({len(runs)} seeds)"


def _gain(runs: Sequence[Mapping[str, Any]], above: Sequence[Mapping[str, Any]]) -> str:
    """Format the gain over the previous row in percentage points: the mean over seeds with the same test images.

    For a single seed, add the p value of McNemar's exact test.
    """
    before = {run["seed"]: run for run in above}
    pairs = [(run, before[run["seed"]]) for run in runs if run["seed"] in before]
    pairs = [(run, other) for run, other in pairs if labels_of(run)[0].tolist() == labels_of(other)[0].tolist()]
    if not pairs:
        return "–"
    gain = statistics.mean(100 * (run["accuracy"] - other["accuracy"]) for run, other in pairs)
    return f"{gain:+.1f}, {_mcnemar(*pairs[0])}" if len(pairs) == 1 else f"{gain:+.1f}"


def _mcnemar(run: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    from featrec.evaluation import mcnemar, p_value

    (true, first), (_, second) = labels_of(run), labels_of(other)
    right, other_right = first == true, second == true
    return p_value(mcnemar(int((right & ~other_right).sum()), int((other_right & ~right).sum())))
