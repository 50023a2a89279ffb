"""Dataset: a training set and a test set, with their source and licence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from featrec.datasets._sequence import LabeledSequence

__all__ = ["Dataset"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A pair: ``train, test = load_dataset(name)``.

    Attributes
    ----------
    name : str
    train, test : sequence of images
        Each has ``labels`` and ``classes``, and is sliced like an array of shape (n,).
    license : str
        Terms of use of the images.
    citation : str
        The publication to cite.
    description : str
        Content of the images, and how they are split.
    """

    name: str
    train: LabeledSequence
    test: LabeledSequence
    license: str
    citation: str
    description: str

    @property
    def classes(self) -> list[str]:
        return self.train.classes

    def __iter__(self) -> Iterator[LabeledSequence]:
        return iter((self.train, self.test))

    def __len__(self) -> int:
        return 2

    def __getitem__(self, position: int) -> LabeledSequence:
        return (self.train, self.test)[position]

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}: {len(self.train)} + {len(self.test)} images, {len(self.classes)} classes)"
