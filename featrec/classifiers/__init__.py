"""Codes to labels: only what scikit-learn lacks."""

from featrec.classifiers._wide_linear_svc import WideLinearSVC

__all__ = ["WideLinearSVC"]
