"""Classifiers and scalers of codes that scikit-learn does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.classifiers._calibrated import Calibrated
    from featrec.classifiers._kernel_ridge import KernelRidgeClassifier
    from featrec.classifiers._le_net5 import LeNet5
    from featrec.classifiers._nystroem_ridge import NystroemRidgeClassifier
    from featrec.classifiers._small_res_net import SmallResNet
    from featrec.classifiers._wide_linear_svc import WideLinearSVC
    from featrec.classifiers._wide_pca import WidePCA
    from featrec.classifiers._wide_ridge import WideRidge
    from featrec.classifiers._wide_scaler import WideScaler

__all__ = [
    "Calibrated",
    "KernelRidgeClassifier",
    "LeNet5",
    "NystroemRidgeClassifier",
    "SmallResNet",
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
        "._le_net5": ["LeNet5"],
        "._nystroem_ridge": ["NystroemRidgeClassifier"],
        "._small_res_net": ["SmallResNet"],
        "._wide_linear_svc": ["WideLinearSVC"],
        "._wide_pca": ["WidePCA"],
        "._wide_ridge": ["WideRidge"],
        "._wide_scaler": ["WideScaler"],
    },
)
