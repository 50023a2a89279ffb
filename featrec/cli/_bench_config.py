"""The configuration of benchmarks: read a file, check it, and list its cells (one recipe on one split of a dataset)."""

from __future__ import annotations

import importlib.util
import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from featrec.cli._arguments import check_recipe, near
from featrec.exceptions import InputError, MissingExtraError

__all__ = ["MEASURES", "cells_of", "check_extras", "read_config"]

MEASURES = ("cost", "calibration", "energy")
HELD_OUT = 0.3  # fraction of each class that is held out if validation = true


def read_config(path: Path) -> list[dict[str, Any]]:
    """Read the cells of a configuration file. Each cell contains everything that determines its result."""
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}; create it with tables [[dataset]] and [[recipe]]") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error
    try:
        return list(cells_of(config))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def cells_of(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a cell for each split of a dataset and each recipe."""
    _known(config, ("dataset", "n_jobs", "recipe", *MEASURES), "the top level")
    measures = _measures(config)
    n_jobs = _whole(config, "n_jobs", "the top level", default=-1, least=-1)
    if n_jobs == 0:
        raise InputError("n_jobs = 0 means no threads; use 1 for one thread, or -1 for all processors")
    splits = [list(_splits(table)) for table in _tables(config, "dataset")]
    names = [table["name"] for table in config["dataset"]]
    recipes = [(_sets(table, names), recipe) for table in _tables(config, "recipe") for recipe in _recipes(table)]
    for number, split in (pair for drawn in splits for pair in enumerate(drawn)):
        for sets, (recipe, runs) in recipes:
            if split["dataset"] in sets and (runs is None or number < runs):
                yield split | recipe | {"n_jobs": n_jobs} | ({"measures": measures} if measures else {})


def _measures(config: Mapping[str, Any]) -> list[str]:
    """Return the measures that a configuration asks for."""
    for name in MEASURES:
        if not isinstance(config.get(name, False), bool):
            raise InputError(f"{name} of the top level must be true or false; got {config[name]!r}")
    return [name for name in MEASURES if config.get(name, False)]


def _tables(config: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    tables = config.get(name, [])
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"at least one [[{name}]] is needed, in double brackets")
    for table in tables:
        if not isinstance(table.get("name"), str):
            raise InputError(
                f'each [[{name}]] needs a name, such as name = "{"textures" if name == "dataset" else "bovw_svm"}"'
            )
    return tables


def _splits(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a split for each seed. The standard split needs a seed only if a validation part is drawn from it."""
    where = f"the dataset {table['name']!r}"
    _known(table, ("groups", "n_test", "n_train", "name", "options", "path", "seeds", "split", "validation"), where)
    options = _options(table, where) | _path(table, where)
    kind = table.get("split", "standard" if _has_standard_split(options) else "random")
    if kind not in ("standard", "random"):
        raise InputError(f'split of {where} must be "standard" (the predefined split) or "random"; got {kind!r}')
    sizes = {name: _whole(table, name, where) for name in ("n_train", "n_test")}
    if kind == "standard" and not _has_standard_split(options):
        raise InputError(f'{where} has no train and test folders, so its split is always "random"; omit split')
    if kind == "random" and sizes["n_train"] is None and "path" not in options:
        raise InputError(f"a random split of {where} needs n_train, the number of training images per class")
    validation, groups = _validation(table, where), _groups(table, where)
    drawn = kind == "random" or validation is not None or any(size is not None for size in sizes.values())
    for seed in _seeds(table, where):
        split = {"kind": kind, **sizes, "validation": validation, "seed": seed if drawn else None, **groups}
        yield {"dataset": table["name"], "dataset_options": options, "split": split, "seed": seed}


def _path(table: Mapping[str, Any], where: str) -> dict[str, str]:
    """Return the path of a user's folder as an option. Without a path, check that ``load_dataset`` knows the name."""
    if "path" not in table:
        _check_dataset(table["name"])
        return {}
    if not isinstance(table["path"], str) or table.get("options"):
        raise InputError(f'{where} is a folder: it needs a path such as path = "images" and has no options; got {dict(table)}')
    return {"path": table["path"]}


def _has_standard_split(options: Mapping[str, Any]) -> bool:
    """Return whether a split is predefined, as in datasets of ``load_dataset`` and in folders with train/ and test/."""
    from featrec.cli._bench_cell import expanded
    from featrec.datasets import ImageFolder

    return "path" not in options or ImageFolder.is_split(expanded(options["path"]))


def _recipes(table: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], int | None]]:
    """Yield the recipe of each grid point, and the number of seeds to run (None means all seeds)."""
    where = f"the recipe {table['name']!r}"
    _known(table, ("datasets", "grid", "name", "options", "seeds", "title"), where)
    runs = _whole(table, "seeds", where)
    options, grid = _options(table, where), _options(table, where, "grid")
    for name, values in grid.items():
        if not isinstance(values, list) or not values or name in options:
            raise InputError(
                f"{name} in the grid of {where} must be a list of values to try, and must not be set outside the grid"
            )
    from featrec import recipes

    check_recipe(table["name"], [*options, *grid])
    recipe, preset = recipes.resolve(table["name"])
    title = table.get("title", table["name"])
    for values in itertools.product(*grid.values()):
        point = dict(zip(grid, values, strict=True))
        shown = ", ".join(f"{name}={value}" for name, value in point.items())
        yield {"recipe": recipe, "title": f"{title} {shown}".rstrip(), "options": preset | options | point}, runs


def _sets(table: Mapping[str, Any], names: list[str]) -> list[str]:
    """Return the names of the datasets on which to run a recipe (by default all)."""
    where = f"the recipe {table['name']!r}"
    wanted = table.get("datasets", names)
    if not isinstance(wanted, list) or not wanted or not all(isinstance(name, str) for name in wanted):
        raise InputError(f'datasets of {where} must be a list of names, such as datasets = ["{names[0]}"]; got {wanted!r}')
    for name in wanted:
        if name not in names:
            raise InputError(
                f"{where} names the unknown dataset {name!r}{near(name, names)}; [[dataset]] has {', '.join(names)}"
            )
    return wanted


def _check_dataset(name: str) -> None:
    """Raise an error if ``load_dataset`` does not know the name. Nothing is loaded."""
    from featrec.datasets import dataset_names

    if name not in dataset_names():
        raise InputError(
            f"there is no dataset {name!r}{near(name, dataset_names())}; available: {', '.join(dataset_names())}. For your "
            'own folder, add path = "FOLDER"'
        )


def _known(table: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    keys = list(keys)
    for key in table:
        if key not in keys:
            raise InputError(f"{where} has no key {key!r}{near(key, keys)}; its keys are {', '.join(keys)}")


def _options(table: Mapping[str, Any], where: str, name: str = "options") -> dict[str, Any]:
    options = table.get(name, {})
    if not isinstance(options, dict):
        raise InputError(f"{name} of {where} must be a table, such as {name} = {{ n_words = 200 }}; got {options!r}")
    return options


def _whole(table: Mapping[str, Any], name: str, where: str, *, default: int | None = None, least: int = 1) -> Any:
    value = table.get(name, default)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise InputError(f"{name} of {where} must be an integer of at least {least}; got {value!r}")
    return value


def _validation(table: Mapping[str, Any], where: str) -> float | None:
    value = table.get("validation", False)
    if isinstance(value, bool):
        return HELD_OUT if value else None
    if not isinstance(value, float) or not 0 < value < 1:
        raise InputError(f"validation of {where} must be true ({HELD_OUT}) or a share between 0 and 1; got {value!r}")
    return value


def _groups(table: Mapping[str, Any], where: str) -> dict[str, str]:
    """Return the column of groups. It is part of the split only if it is given, so that the keys of other splits are stable."""
    if "groups" not in table:
        return {}
    if not isinstance(table["groups"], str) or "path" not in table:
        raise InputError(
            f'groups of {where} must be a column of a manifest, such as path = "images.csv" and groups = "person"; '
            f"got {dict(table)}"
        )
    return {"groups": table["groups"]}


def _seeds(table: Mapping[str, Any], where: str) -> list[int]:
    """Return the seeds. Default: five for random splits, one for the standard split."""
    value = table.get("seeds", 5 if table.get("split") == "random" else 1)
    seeds = list(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value
    fits = isinstance(seeds, list) and all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in seeds)
    if not fits or not seeds or len(set(seeds)) < len(seeds):
        raise InputError(
            f"seeds of {where} must be an integer (the number of seeds) or a list of different non-negative integers; "
            f"got {value!r}"
        )
    return seeds


def check_extras(cells: Iterable[Mapping[str, Any]]) -> None:
    """Check before the first run that the requested measures are possible."""
    wanted = any("energy" in cell.get("measures", ()) for cell in cells)
    if wanted and importlib.util.find_spec("codecarbon") is None:
        raise MissingExtraError('energy = true needs codecarbon; pip install "featrec[energy]", or omit energy')
