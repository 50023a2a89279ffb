"""Classifiers and scalers of codes that scikit-learn does not have, and classifiers that reject unknown images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.classifiers._calibrated import Calibrated
    from featrec.classifiers._kernel_ridge import KernelRidgeClassifier
    from featrec.classifiers._nystroem_ridge import NystroemRidgeClassifier
    from featrec.classifiers._reject_unknown import RejectUnknown
    from featrec.classifiers._review import Review
    from featrec.classifiers._wide_linear_svc import WideLinearSVC
    from featrec.classifiers._wide_pca import WidePCA
    from featrec.classifiers._wide_ridge import WideRidge
    from featrec.classifiers._wide_scaler import WideScaler

__all__ = [
    "Calibrated",
    "KernelRidgeClassifier",
    "NystroemRidgeClassifier",
    "RejectUnknown",
    "Review",
    "WideLinearSVC",
    "WidePCA",
    "WideRidge",
    "WideScaler",
]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._calibrated": ["Calibrated"],
        "._kernel_ridge": ["KernelRidgeClassifier"],
        "._nystroem_ridge": ["NystroemRidgeClassifier"],
        "._reject_unknown": ["RejectUnknown"],
        "._review": ["Review"],
        "._wide_linear_svc": ["WideLinearSVC"],
        "._wide_pca": ["WidePCA"],
        "._wide_ridge": ["WideRidge"],
        "._wide_scaler": ["WideScaler"],
    },
    moved={"featrec.networks": ["LeNet5", "SmallResNet"]},
    also={"featrec.preprocessing": ["PredictAugmented"]},
)
