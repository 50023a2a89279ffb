"""Recipe options on the command line: ``NAME=VALUE``, checked one by one before any work."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Sequence
from typing import Any

from featrec.exceptions import InputError

__all__ = ["OPTION_HELP", "parse_options"]

OPTION_HELP = (
    "option of the recipe (may be repeated): a number (n_words=400), true or false (mirror=true), several numbers "
    "(size=32,32), none, or a word"
)
WORDS = {"none": None, "true": True, "false": False}


def parse_options(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """Parse options from ``NAME=VALUE``; errors name the option whose value is invalid."""
    from featrec.cli._bench_config import check_recipe

    options = {}
    for text in texts:
        option, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set expects NAME=VALUE, such as n_words=400 or mirror=true; got {text!r}")
        options[option.strip()] = _value(value.strip())
    check_recipe(name, options)
    for option, value in options.items():
        _check_value(name, option, value)
    return options


def _value(text: str) -> Any:
    """Parse a value in the syntax of TOML, Python or a shell: ``32,32``, ``(32, 32)`` and ``[32, 32]`` are equal."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    brackets = text.replace("(", "[").replace(")", "]")
    for candidate in (text, brackets, f"[{brackets}]" if "," in text else ""):
        try:
            return tomllib.loads(f"value = {candidate}")["value"]
        except tomllib.TOMLDecodeError:
            continue
    words = [word.strip() for word in text.split(",")]
    return words if len(words) > 1 and all(map(str.isidentifier, words)) else text


def _check_value(name: str, option: str, value: Any) -> None:
    """Create the recipe with only this option, so that an error must be caused by it."""
    from featrec import recipes
    from featrec.base import check_all_parameters

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old names cause a warning when the model is created
            check_all_parameters(recipes.make(name, **{option: value}))
    except ImportError:
        raise
    except Exception as error:
        rule = "" if isinstance(value, str) else _rule(str(error))
        raise InputError(f"--set {option}={_shown(value)}: {_accepted(name, option)}{rule}; got {value!r}") from error


def _accepted(name: str, option: str) -> str:
    """Describe an option by the recipe's docstring: ``n_words of bovw_svm is int, default=200``."""
    from featrec import recipes

    recipe = name.partition(":")[0]
    found = re.search(rf"^ +(?:\w+, )*{option}(?:, \w+)* : (.+)$", getattr(recipes, recipe).__doc__ or "", flags=re.M)
    return f"{option} of {recipe} is {found[1]}" if found else f"{option} is not a value that {recipe} accepts"


def _rule(told: str) -> str:
    """The range in an error message of scikit-learn, without types that only exist in Python."""
    found = re.search(r"in the range [\[(][^\])]+[\])]", told)
    return f", {found[0]}" if found else ""


def _shown(value: Any) -> str:
    """Format a value as on the command line."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value).replace(" ", "")
