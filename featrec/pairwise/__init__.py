"""Kernels and distances between codes."""

from featrec.pairwise._histogram_kernel import HistogramKernel
from featrec.pairwise._kernels import chi2_kernel, intersection_kernel

__all__ = ["HistogramKernel", "chi2_kernel", "intersection_kernel"]
