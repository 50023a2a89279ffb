"""Evaluate a fitted model, compare several models, and measure how accuracy depends on image quality and training images.

A model is any object with ``predict``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.evaluation._attack import Attack, ModelAttack, attack
    from featrec.evaluation._compare import compare, compare_runs as compare_runs
    from featrec.evaluation._comparison import Comparison
    from featrec.evaluation._corrupt import corrupt, corruption_names
    from featrec.evaluation._cost import (
        Cost,
        EnergyMeter as EnergyMeter,
        cost_of as cost_of,
        measured_on as measured_on,
        peak_megabytes as peak_megabytes,
        stamp as stamp,
    )
    from featrec.evaluation._data_efficiency import DataEfficiency, SizeResult, data_efficiency
    from featrec.evaluation._datasets_comparison import DatasetsComparison, combine_comparisons, compare_datasets
    from featrec.evaluation._drift import Drift
    from featrec.evaluation._drift_report import DriftLook, DriftReport
    from featrec.evaluation._given import (
        named_among as named_among,
        paths_of as paths_of,
        predictions_of as predictions_of,
        refuse_no_model as refuse_no_model,
    )
    from featrec.evaluation._measures import (
        Calibration,
        calibration_of as calibration_of,
        holm as holm,
        mcnemar as mcnemar,
        probabilities_of as probabilities_of,
        wilson_interval as wilson_interval,
    )
    from featrec.evaluation._model_result import (
        ModelResult,
        Pair,
        Run as Run,
        facts_of as facts_of,
        is_network as is_network,
        learns_from_pixels as learns_from_pixels,
    )
    from featrec.evaluation._page import (
        sortable as sortable,
    )
    from featrec.evaluation._report import (
        GroupAccuracy,
        Report,
        check_confidence as check_confidence,
        count_dropped as count_dropped,
        evaluate,
    )
    from featrec.evaluation._result import (
        Table as Table,
        data_size as data_size,
        number as number,
        p_value as p_value,
        percent as percent,
        percent_range as percent_range,
    )
    from featrec.evaluation._risk_coverage import ModelRiskCoverage, RiskCoverage, risk_coverage
    from featrec.evaluation._robustness import CorruptedAccuracy, ModelRobustness, Robustness, robustness
    from featrec.evaluation._shift import ModelShift, Shift, shift
    from featrec.evaluation._splits import Part as Part, Rows as Rows, duplicates_in as duplicates_in
    from featrec.evaluation._suggestion import Suggestion, Trial, suggested as suggested
    from featrec.evaluation._training_summary import (
        Observed as Observed,
        TrainingSummary,
        confidences_from as confidences_from,
        labels_of as labels_of,
        observed as observed,
    )
    from featrec.evaluation._trials import (
        Clock as Clock,
        Folds as Folds,
        Limits as Limits,
        sorted_trials as sorted_trials,
        tried_in_turn as tried_in_turn,
    )

__all__ = [
    "Attack",
    "Calibration",
    "Comparison",
    "CorruptedAccuracy",
    "Cost",
    "DataEfficiency",
    "DatasetsComparison",
    "Drift",
    "DriftLook",
    "DriftReport",
    "GroupAccuracy",
    "ModelAttack",
    "ModelResult",
    "ModelRiskCoverage",
    "ModelRobustness",
    "ModelShift",
    "Pair",
    "Report",
    "RiskCoverage",
    "Robustness",
    "Shift",
    "SizeResult",
    "Suggestion",
    "TrainingSummary",
    "Trial",
    "attack",
    "combine_comparisons",
    "compare",
    "compare_datasets",
    "corrupt",
    "corruption_names",
    "data_efficiency",
    "evaluate",
    "risk_coverage",
    "robustness",
    "shift",
]

# Names that are not in __all__ are for other packages of featrec; they may change in any version.
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._attack": ["Attack", "ModelAttack", "attack"],
        "._compare": ["compare", "compare_runs"],
        "._comparison": ["Comparison"],
        "._corrupt": ["corrupt", "corruption_names"],
        "._cost": ["Cost", "EnergyMeter", "cost_of", "measured_on", "peak_megabytes", "stamp"],
        "._data_efficiency": ["DataEfficiency", "SizeResult", "data_efficiency"],
        "._datasets_comparison": ["DatasetsComparison", "combine_comparisons", "compare_datasets"],
        "._drift": ["Drift"],
        "._drift_report": ["DriftLook", "DriftReport"],
        "._given": ["named_among", "paths_of", "predictions_of", "refuse_no_model"],
        "._measures": ["Calibration", "calibration_of", "holm", "mcnemar", "probabilities_of", "wilson_interval"],
        "._model_result": ["ModelResult", "Pair", "Run", "facts_of", "is_network", "learns_from_pixels"],
        "._training_summary": ["Observed", "TrainingSummary", "confidences_from", "labels_of", "observed"],
        "._page": ["sortable"],
        "._report": ["GroupAccuracy", "Report", "check_confidence", "count_dropped", "evaluate"],
        "._result": ["Table", "data_size", "number", "p_value", "percent", "percent_range"],
        "._risk_coverage": ["ModelRiskCoverage", "RiskCoverage", "risk_coverage"],
        "._robustness": ["CorruptedAccuracy", "ModelRobustness", "Robustness", "robustness"],
        "._shift": ["ModelShift", "Shift", "shift"],
        "._splits": ["Part", "Rows", "duplicates_in"],
        "._suggestion": ["Suggestion", "Trial", "suggested"],
        "._trials": ["Clock", "Folds", "Limits", "sorted_trials", "tried_in_turn"],
    },
)
