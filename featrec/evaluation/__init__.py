"""What fitted models are worth: one judged, several compared. Anything with ``predict`` will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.evaluation._clock import Clock as Clock
    from featrec.evaluation._compare import compare
    from featrec.evaluation._comparison import Comparison, ModelResult, Pair
    from featrec.evaluation._evaluate import check_confidence as check_confidence, count_dropped as count_dropped, evaluate
    from featrec.evaluation._labels import as_labels as as_labels, paths_of as paths_of
    from featrec.evaluation._predictions import named_among as named_among, predictions_of as predictions_of
    from featrec.evaluation._preflight import refuse_no_model as refuse_no_model
    from featrec.evaluation._report import GroupAccuracy, Report
    from featrec.evaluation._run import is_network as is_network, learns_from_pixels as learns_from_pixels
    from featrec.evaluation._suggestion import Suggestion, Trial, suggested as suggested
    from featrec.evaluation._text import Table as Table, p_value as p_value
    from featrec.evaluation._trials import Folds as Folds, sorted_trials as sorted_trials
    from featrec.evaluation._turns import Limits as Limits, tried_in_turn as tried_in_turn

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

# Names beyond __all__ serve other stages of featrec; they may change in any version.
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._clock": ["Clock"],
        "._compare": ["compare"],
        "._comparison": ["Comparison", "ModelResult", "Pair"],
        "._evaluate": ["check_confidence", "count_dropped", "evaluate"],
        "._labels": ["as_labels", "paths_of"],
        "._predictions": ["named_among", "predictions_of"],
        "._preflight": ["refuse_no_model"],
        "._report": ["GroupAccuracy", "Report"],
        "._run": ["is_network", "learns_from_pixels"],
        "._suggestion": ["Suggestion", "Trial", "suggested"],
        "._text": ["Table", "p_value"],
        "._trials": ["Folds", "sorted_trials"],
        "._turns": ["Limits", "tried_in_turn"],
    },
)
