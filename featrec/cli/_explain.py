"""The command ``explain``: one page that shows why a model decided as it did."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._arguments import check_outputs, count, near, read_model
from featrec.cli._terminal import report, say, warn
from featrec.exceptions import ImageError, InputError

if TYPE_CHECKING:
    from featrec.explanation import ImageExplanation

__all__ = ["add_explain_arguments", "run_explain"]

LIMIT = 50
# What Python code would be told, and the option that does the same.
IN_PYTHON, AS_OPTION = 'explain(..., method="occlusion")', "--method occlusion"


def add_explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file from 'featrec train'")
    files = "images, folders, archives or manifests; use - to read paths from standard input"
    parser.add_argument("files", metavar="FILE", nargs="+", help=files)
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="HTML page to write")
    parser.add_argument("--force", action="store_true", help="replace an existing page")
    target = "class to explain (default: the class that is predicted for each image)"
    parser.add_argument("--target", metavar="CLASS", help=target)
    rather = "explain why --target rather than this class"
    parser.add_argument("--rather-than", metavar="CLASS", help=rather)
    method = "auto: by the classifier, exact if it is linear; occlusion: hide blocks of the image, for any model"
    parser.add_argument("--method", choices=["auto", "occlusion"], default="auto", help=f"{method} (default: auto)")
    limit = f"maximum number of images on the page (default: {LIMIT}; one image takes about 100 kB)"
    parser.add_argument("--limit", metavar="N", type=count, default=LIMIT, help=limit)
    lines = "print JSON lines with path, target, decision, base value, method, and the sum of the contributions of each word"
    parser.add_argument("--json", action="store_true", help=lines)


def run_explain(arguments: argparse.Namespace) -> int:
    """Show what each part of an image adds to a decision, on one HTML page.

    Prints a line per image. Returns 1 if some images could not be used, 2 if no image could be used.
    """
    out = arguments.out
    check_outputs(out, example="page.html")
    if out.exists() and not arguments.force:
        raise InputError(f"{out} exists; use --force to replace it")
    if arguments.rather_than is not None and arguments.target is None:
        raise InputError("--rather-than needs --target: --target CLASS --rather-than CLASS")
    model = read_model(arguments.model)
    target = _target(model, arguments)
    from featrec.cli._images import gather
    from featrec.explanation import explain, write_page
    from featrec.lazy import Images

    images = Images(gather(arguments.files))
    failures: list[ImageError] = []

    def failed(error: ImageError) -> None:
        failures.append(error)
        report([error])

    def tell(name: str, item: ImageExplanation) -> None:
        print(_json_line(name, item) if arguments.json else f"{name}\t{item._sentence()}")

    try:
        explanation = explain(model, images, target, method=arguments.method)
        title = f"Explanations of {Path(arguments.model).name}"
        n = write_page(explanation, out, title=title, limit=arguments.limit, on_failure=failed, tell=tell)
    except InputError as error:
        raise InputError(str(error).replace(IN_PYTHON, AS_OPTION)) from error
    if len(images) > arguments.limit:
        warn(f"only the first {arguments.limit} of {len(images):,} images are on the page; use --limit {len(images)} for all")
    say(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
    return 0 if not failures else 1 if n else 2


def _target(model: Any, arguments: argparse.Namespace) -> Any:
    """Return the class, or the pair of classes, whose names were given."""
    if arguments.target is None:
        return None
    names = {str(label): label for label in getattr(model, "classes_", ())}
    found = []
    for option, text in (("--target", arguments.target), ("--rather-than", arguments.rather_than)):
        if text is not None and text not in names:
            hint = near(text, names)
            raise InputError(f"{option} {text!r} is not a class of the model{hint}; its classes are {', '.join(names)}")
        if text is not None:
            found.append(names[text])
    return tuple(found) if len(found) == 2 else found[0]


def _json_line(name: str, item: ImageExplanation) -> str:
    facts = {"path": name, "target": item.target, "decision": item.decision, "base_value": item.base_value}
    more = {"method": item.method, "exact": item.exact, "n_parts": len(item.values), "words": item._sums()}
    return json.dumps({**facts, **more}, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
