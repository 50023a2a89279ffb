"""Why a model decided as it did: contributions of the parts of an image, and what visual words show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.explanation._check import Faithfulness, check
    from featrec.explanation._class_summary import Element, GroupSummary, Summary, summarize
    from featrec.explanation._explain import explain
    from featrec.explanation._explain_errors import explain_errors
    from featrec.explanation._explanation import Explanation, ImageExplanation
    from featrec.explanation._page import write_page as write_page
    from featrec.explanation._show_words import word_gallery
    from featrec.explanation._word_gallery import WordGallery

__all__ = [
    "Element",
    "Explanation",
    "Faithfulness",
    "GroupSummary",
    "ImageExplanation",
    "Summary",
    "WordGallery",
    "check",
    "explain",
    "explain_errors",
    "summarize",
    "word_gallery",
]

# Names that are not in __all__ are for other packages of featrec; they may change in any version.
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._check": ["Faithfulness", "check"],
        "._class_summary": ["Element", "GroupSummary", "Summary", "summarize"],
        "._explain": ["explain"],
        "._explain_errors": ["explain_errors"],
        "._explanation": ["Explanation", "ImageExplanation"],
        "._page": ["write_page"],
        "._show_words": ["word_gallery"],
        "._word_gallery": ["WordGallery"],
    },
)
