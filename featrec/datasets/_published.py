"""Published datasets: their layout, and the files for download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PublishedFile", "PublishedSet"]


@dataclass(frozen=True)
class PublishedFile:
    """One file on a server.

    Attributes
    ----------
    name : str
        Name as published.
    urls : tuple of str
        Download addresses, tried in order.
    size : int
        Size in bytes.
    checksum : str
        ``"sha256:..."``, from the source named in a comment.
    """

    name: str
    urls: tuple[str, ...]
    size: int
    checksum: str


@dataclass(frozen=True)
class PublishedSet:
    """A dataset in its published layout. Without `files` and `archive`, it cannot be downloaded.

    Attributes
    ----------
    name : str
    folder : str
        Folder name, inside the folder of all datasets.
    content : tuple of str
        Names that the folder must contain.
    homepage : str
    files : tuple of PublishedFile
        Files stored in the folder as published.
    archive : PublishedFile, optional
        A tar file with the content, at its root or in a folder of that name; or a zip file that contains such a tar file.
    inner : str, optional
        Name of the tar file in the zip file.
    """

    name: str
    folder: str
    content: tuple[str, ...]
    homepage: str
    files: tuple[PublishedFile, ...] = ()
    archive: PublishedFile | None = None
    inner: str | None = None

    @property
    def sources(self) -> tuple[PublishedFile, ...]:
        return self.files if self.archive is None else (*self.files, self.archive)

    @property
    def expected(self) -> str:
        """The expected files, for an error message."""
        return f"expected: {self.folder}/ with {', '.join(self.content)}. They are published at {self.homepage}."

    @property
    def offer(self) -> str:
        """How to get the dataset, for an error message."""
        if not self.sources:
            return "It cannot be downloaded automatically, because no checksum could be confirmed."
        megabytes = max(1, round(sum(file.size for file in self.sources) / 1e6))
        return f"load_dataset({self.name!r}, data_home=..., download=True) downloads it ({megabytes:,} MB)."

    def missing(self, home: Path) -> list[str]:
        """The missing parts of the content."""
        return [part for part in self.content if not (home / self.folder / part).exists()]
