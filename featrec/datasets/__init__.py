"""Datasets: your own folders of images, and datasets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.datasets._dataset import Dataset
    from featrec.datasets._folder import ImageFolder
    from featrec.datasets._labeled import LabeledImages
    from featrec.datasets._load import dataset_names, load_dataset

__all__ = ["Dataset", "ImageFolder", "LabeledImages", "dataset_names", "load_dataset"]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._dataset": ["Dataset"],
        "._folder": ["ImageFolder"],
        "._labeled": ["LabeledImages"],
        "._load": ["dataset_names", "load_dataset"],
    },
)
