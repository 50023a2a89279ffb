"""Load datasets: your own folders of images, or published datasets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.datasets._dataset import (
        Dataset,
        LabeledImages,
        LabeledSequence as LabeledSequence,
        find_damaged as find_damaged,
    )
    from featrec.datasets._folder import ImageFolder
    from featrec.datasets._load import dataset_names, load_dataset
    from featrec.datasets._manifest import is_manifest as is_manifest, read_manifest as read_manifest
    from featrec.datasets._place import is_archive as is_archive, tree_of as tree_of
    from featrec.datasets._tree import FileImage as FileImage, Stamp as Stamp

__all__ = [
    "Dataset",
    "ImageFolder",
    "LabeledImages",
    "dataset_names",
    "load_dataset",
]

# Names that are not in __all__ are private to featrec and may change in any version.
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._dataset": ["Dataset", "LabeledImages", "LabeledSequence", "find_damaged"],
        "._folder": ["ImageFolder"],
        "._load": ["dataset_names", "load_dataset"],
        "._manifest": ["is_manifest", "read_manifest"],
        "._place": ["is_archive", "tree_of"],
        "._tree": ["FileImage", "Stamp"],
    },
)
