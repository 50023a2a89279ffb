"""Kernels and distances between codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.pairwise._kernels import HistogramKernel, chi2_kernel, intersection_kernel

__all__ = ["HistogramKernel", "chi2_kernel", "intersection_kernel"]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._kernels": ["HistogramKernel", "chi2_kernel", "intersection_kernel"],
    },
)
