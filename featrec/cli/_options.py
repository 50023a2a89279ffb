"""Options of a recipe as a shell gives them: ``NAME=VALUE``, checked one by one before any work."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Sequence
from typing import Any

from featrec.exceptions import InputError

__all__ = ["OPTION_HELP", "parse_options"]

OPTION_HELP = (
    "an option of the recipe: a number (n_words=400), true or false (mirror=true), several numbers (size=32,32), none, or a "
    "word; again for another"
)
WORDS = {"none": None, "true": True, "false": False}


def parse_options(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """A recipe's options from ``NAME=VALUE``; refused by the option's name where the recipe cannot use the value."""
    from featrec.cli._bench_config import check_recipe

    options = {}
    for text in texts:
        option, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set takes NAME=VALUE, such as n_words=400 or mirror=true; got {text!r}")
        options[option.strip()] = _value(value.strip())
    check_recipe(name, options)
    for option, value in options.items():
        _check_value(name, option, value)
    return options


def _value(text: str) -> Any:
    """The value as TOML writes it, or Python, or a shell's user: ``32,32``, ``(32, 32)`` and ``[32, 32]`` are one."""
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
    """Make the recipe with this option alone: whatever is refused then is refused because of it."""
    from featrec import recipes
    from featrec.base import check_all_parameters

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an old name is warned of when the model is made
            check_all_parameters(recipes.make(name, **{option: value}))
    except ImportError:
        raise
    except Exception as error:
        rule = "" if isinstance(value, str) else _rule(str(error))
        raise InputError(f"--set {option}={_shown(value)}: {_accepted(name, option)}{rule}; got {value!r}") from error


def _accepted(name: str, option: str) -> str:
    """What the recipe's docstring says of an option: ``n_words of bovw_svm is int, default=200``."""
    from featrec import recipes

    recipe = name.partition(":")[0]
    found = re.search(rf"^ +(?:\w+, )*{option}(?:, \w+)* : (.+)$", getattr(recipes, recipe).__doc__ or "", flags=re.M)
    return f"{option} of {recipe} is {found[1]}" if found else f"{option} is no value that {recipe} can use"


def _rule(told: str) -> str:
    """The range in an error of scikit-learn's, without the kinds of objects that only Python can give."""
    found = re.search(r"in the range [\[(][^\])]+[\])]", told)
    return f", {found[0]}" if found else ""


def _shown(value: Any) -> str:
    """The value as it would be given."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value).replace(" ", "")
