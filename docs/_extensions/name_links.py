"""Public names that stand as code in a page are linked to their page of the API.

Authors write `DenseSIFT` in Markdown, which is readable on a code host, too. Names of one plain word (`load`, `compare`) may
also be parameters, and a name may also be that of a method (`plot_words`); these are linked only with their module
(`persistence.load`) or brackets (`compare()`).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from api_pages import public_names
from docutils import nodes
from make_reference import STAGES
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform


def targets() -> dict[str, str]:
    """The full name of each text that is linked."""
    found, methods = {stage: stage for stage in STAGES}, set(_methods())
    for stage in STAGES:
        short = stage.removeprefix("featrec.")
        for name in public_names(stage):
            full = f"{stage}.{name}"
            texts = [full, f"{short}.{name}", f"{name}()"]
            if ("_" in name or not name.islower()) and name not in methods:
                texts.append(name)
            found.update(dict.fromkeys(texts, full))
    return found


def _methods() -> Iterator[str]:
    """The names of the public attributes of all public classes."""
    for stage in STAGES:
        module = importlib.import_module(stage)
        for name in public_names(stage):
            if inspect.isclass(thing := getattr(module, name)):
                yield from (attribute for attribute in dir(thing) if not attribute.startswith("_"))


class LinkNames(SphinxPostTransform):
    """Runs before Sphinx resolves references."""

    default_priority = 5

    def run(self, **options: Any) -> None:
        known = targets()
        for node in list(self.document.findall(nodes.literal)):
            full = known.get(node.astext())
            if full and not _is_within(node, (nodes.reference, nodes.title, addnodes.pending_xref, addnodes.desc_signature)):
                node.replace_self(self._reference(node, full))

    def _reference(self, node: nodes.literal, full: str) -> addnodes.pending_xref:
        reference = addnodes.pending_xref("", refdomain="py", reftype="obj", reftarget=full, refexplicit=True, refwarn=False)
        reference["refdoc"] = self.env.current_document.docname
        copy = node.deepcopy()
        copy["classes"] = [*copy["classes"], "py", "py-obj", "xref"]
        reference.append(copy)
        return reference


def _is_within(node: nodes.Node, kinds: tuple[type, ...]) -> bool:
    parent = node.parent
    while parent is not None:
        if isinstance(parent, kinds):
            return True
        parent = parent.parent
    return False


def setup(app: Any) -> dict[str, bool]:
    app.add_post_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
