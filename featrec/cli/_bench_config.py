"""Reads a benchmark's TOML file into cells (datasets × recipes × seeds); errors name the invalid entry."""

from __future__ import annotations

import difflib
import inspect
import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from featrec.exceptions import InputError

__all__ = ["cells_of", "check_recipe", "read_config"]

HELD_OUT = 0.3  # share of each class, for validation = true
FROM_SEEDS = ("n_jobs", "random_state", "verbose")


def read_config(path: Path) -> list[dict[str, Any]]:
    """The cells of a file, each with everything that determines its result."""
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}; a configuration names [[dataset]] and [[recipe]]") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error
    try:
        return list(cells_of(config))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def cells_of(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Combine the splits of each dataset with each recipe."""
    _known(config, ("dataset", "n_jobs", "recipe"), "the top level")
    n_jobs = _whole(config, "n_jobs", "the top level", default=-1, least=-1)
    if n_jobs == 0:
        raise InputError("n_jobs = 0 means no threads; use 1 for one, -1 for all processors")
    splits = [list(_splits(table)) for table in _tables(config, "dataset")]
    names = [table["name"] for table in config["dataset"]]
    recipes = [(_sets(table, names), recipe) for table in _tables(config, "recipe") for recipe in _recipes(table)]
    for place, split in (pair for drawn in splits for pair in enumerate(drawn)):
        for sets, (recipe, runs) in recipes:
            if split["dataset"] in sets and (runs is None or place < runs):
                yield split | recipe | {"n_jobs": n_jobs}


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
    """One cell per seed. The standard split is not random, unless a validation part is requested."""
    where = f"the dataset {table['name']!r}"
    _known(table, ("n_test", "n_train", "name", "options", "path", "seeds", "split", "validation"), where)
    options = _options(table, where) | _place(table, where)
    kind = table.get("split", "standard" if _has_standard_split(options) else "random")
    if kind not in ("standard", "random"):
        raise InputError(f'split of {where} must be "standard" (the predefined split) or "random"; got {kind!r}')
    sizes = {name: _whole(table, name, where) for name in ("n_train", "n_test")}
    if kind == "standard" and not _has_standard_split(options):
        raise InputError(f'{where} has no train and test folders, so its split is always "random"; omit split')
    if kind == "random" and sizes["n_train"] is None and "path" not in options:
        raise InputError(f"a random split of {where} needs n_train, the number of training images per class")
    validation = _validation(table, where)
    drawn = kind == "random" or validation is not None or any(size is not None for size in sizes.values())
    for seed in _seeds(table, where):
        split = {"kind": kind, **sizes, "validation": validation, "seed": seed if drawn else None}
        yield {"dataset": table["name"], "dataset_options": options, "split": split, "seed": seed}


def _place(table: Mapping[str, Any], where: str) -> dict[str, str]:
    """The path of a user's folder; without a path, the name is a dataset of ``load_dataset``."""
    if "path" not in table:
        _check_dataset(table["name"])
        return {}
    if not isinstance(table["path"], str) or table.get("options"):
        raise InputError(f'{where} is a folder with a path, such as path = "images", and has no options; got {dict(table)}')
    return {"path": table["path"]}


def _has_standard_split(options: Mapping[str, Any]) -> bool:
    """Whether there is a predefined split: datasets have one, and folders with train/ and test/."""
    from featrec.cli._bench_cell import expanded
    from featrec.datasets import ImageFolder

    return "path" not in options or ImageFolder.is_split(expanded(options["path"]))


def _recipes(table: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], int | None]]:
    """One recipe per grid point, with the number of seeds to run; None means all."""
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
        told = ", ".join(f"{name}={value}" for name, value in point.items())
        yield {"recipe": recipe, "title": f"{title} {told}".rstrip(), "options": preset | options | point}, runs


def _sets(table: Mapping[str, Any], names: list[str]) -> list[str]:
    """The datasets for a recipe: all, unless it names some."""
    where = f"the recipe {table['name']!r}"
    wanted = table.get("datasets", names)
    if not isinstance(wanted, list) or not wanted or not all(isinstance(name, str) for name in wanted):
        raise InputError(f'datasets of {where} must be a list of names, such as datasets = ["{names[0]}"]; got {wanted!r}')
    for name in wanted:
        if name not in names:
            raise InputError(
                f"{where} names the unknown dataset {name!r}{_near(name, names)}; [[dataset]] has {', '.join(names)}"
            )
    return wanted


def _check_dataset(name: str) -> None:
    """Check the options with load_dataset before the first cell runs; nothing is loaded."""
    from featrec.datasets import dataset_names

    if name not in dataset_names():
        raise InputError(
            f"there is no dataset {name!r}{_near(name, dataset_names())}; available: {', '.join(dataset_names())}. For your "
            'own folder, add path = "FOLDER"'
        )


def check_recipe(name: str, options: Iterable[str]) -> None:
    """Refuse unknown options, and options that are set elsewhere."""
    from featrec import recipes

    recipe = getattr(recipes, recipes.resolve(name)[0])
    parameters = inspect.signature(recipe).parameters
    known = [option for option in (*parameters, *getattr(recipe, "renamed_options", ())) if option not in FROM_SEEDS]
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for option in options:
        if option in FROM_SEEDS:
            raise InputError(
                f"{option} cannot be set as an option of {name!r}; the seed and the number of threads have their own keys"
            )
        if option not in known:
            raise InputError(
                f"the recipe {name!r} has no option {option!r}{_near(option, known)}; its options are {', '.join(known)}"
            )
    for option, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and option not in options:
            raise InputError(f"the recipe {name!r} needs the option {option!r}")


def _known(table: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    keys = list(keys)
    for key in table:
        if key not in keys:
            raise InputError(f"{where} has no key {key!r}{_near(key, keys)}; its keys are {', '.join(keys)}")


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


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


def _seeds(table: Mapping[str, Any], where: str) -> list[int]:
    """The seeds: by default five for random splits, and one for the standard split."""
    value = table.get("seeds", 5 if table.get("split") == "random" else 1)
    seeds = list(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value
    fits = isinstance(seeds, list) and all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in seeds)
    if not fits or not seeds or len(set(seeds)) < len(seeds):
        raise InputError(
            f"seeds of {where} must be a number of seeds, or a list of different non-negative integers; got {value!r}"
        )
    return seeds
