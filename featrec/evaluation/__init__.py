"""What fitted models are worth: one judged, several compared. Anything with ``predict`` will do."""

from featrec.evaluation._compare import compare
from featrec.evaluation._comparison import Comparison, ModelResult, Pair
from featrec.evaluation._evaluate import evaluate
from featrec.evaluation._report import GroupAccuracy, Report
from featrec.evaluation._suggestion import Suggestion, Trial

__all__ = [
    "Comparison",
    "GroupAccuracy",
    "ModelResult",
    "Pair",
    "Report",
    "Suggestion",
    "Trial",
    "compare",
    "evaluate",
]
