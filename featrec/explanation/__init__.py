"""Why a model decided as it did: contributions of the parts of an image, and what visual words show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.explanation._check import Faithfulness, check
    from featrec.explanation._explain import explain
    from featrec.explanation._explanation import Explanation, ImageExplanation
    from featrec.explanation._page import write_page as write_page

__all__ = ["Explanation", "Faithfulness", "ImageExplanation", "check", "explain"]

# Names that are not in __all__ are for other packages of featrec; they may change in any version.
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._check": ["Faithfulness", "check"],
        "._explain": ["explain"],
        "._explanation": ["Explanation", "ImageExplanation"],
        "._page": ["write_page"],
    },
)
