"""Codes to labels: only what scikit-learn lacks."""

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
