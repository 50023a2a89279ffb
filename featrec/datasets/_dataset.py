"""Dataset: a training and a test half, with where they come from."""

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
        On what terms the images may be used.
    citation : str
        Whom to name.
    description : str
        What the images show and how they are split.
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
