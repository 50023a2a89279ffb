"""Datasets: your own folders of images, and datasets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.datasets._damaged import find_damaged as find_damaged
    from featrec.datasets._dataset import Dataset
    from featrec.datasets._file import FileImage as FileImage, Stamp as Stamp
    from featrec.datasets._folder import ImageFolder
    from featrec.datasets._labeled import LabeledImages
    from featrec.datasets._load import dataset_names, load_dataset
    from featrec.datasets._manifest import is_manifest as is_manifest, read_manifest as read_manifest
    from featrec.datasets._place import is_archive as is_archive, tree_of as tree_of

__all__ = [
    "Dataset",
    "ImageFolder",
    "LabeledImages",
    "dataset_names",
    "load_dataset",
]

# Names beyond __all__ serve other stages of featrec; they may change in any version.
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._damaged": ["find_damaged"],
        "._dataset": ["Dataset"],
        "._file": ["FileImage", "Stamp"],
        "._folder": ["ImageFolder"],
        "._labeled": ["LabeledImages"],
        "._load": ["dataset_names", "load_dataset"],
        "._manifest": ["is_manifest", "read_manifest"],
        "._place": ["is_archive", "tree_of"],
    },
)
