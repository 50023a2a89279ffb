"""Numbers in a model file stay inside: compiled code follows them without looking, and sizes become memory."""

from __future__ import annotations

from collections.abc import Callable

from featrec.exceptions import ModelFileError
from featrec.persistence._neighbours import NEIGHBOUR_CHECKS
from featrec.persistence._pyramid import PYRAMID_CHECKS
from featrec.persistence._schema import Members, Node, full_name, nodes, public_name
from featrec.persistence._settings import SETTING_CHECKS, check_settings
from featrec.persistence._sparse import SPARSE_CHECKS
from featrec.persistence._support_vectors import SUPPORT_VECTOR_CHECKS
from featrec.persistence._trees import TREE_CHECKS
from featrec.persistence._vocabularies import VOCABULARY_CHECKS

__all__ = ["check_bounds"]

# By an object's full name, by its module, by a stage's public name or by how it is stored.
CHECKS: dict[str, Callable[[Node, Members], None]] = {
    **NEIGHBOUR_CHECKS,
    **PYRAMID_CHECKS,
    **SETTING_CHECKS,
    **SPARSE_CHECKS,
    **SUPPORT_VECTOR_CHECKS,
    **TREE_CHECKS,
    **VOCABULARY_CHECKS,
}


def check_bounds(root: Node, members: Members) -> None:
    """Refuse trees, neighbours, support vectors, words and settings whose numbers point outside or imply too much."""
    for node in nodes(root):
        keys = (full_name(node), str(node.get("__module__")), public_name(node), node["__loader__"])
        for check in [check_settings, *(CHECKS[key] for key in dict.fromkeys(keys) if key in CHECKS)]:
            try:
                check(node, members)
            except ModelFileError:
                raise
            except Exception as error:
                raise ModelFileError(f"{full_name(node)} lacks what it needs ({error!r}); save the model again") from error
