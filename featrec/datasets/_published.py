"""What is known of a dataset that is published elsewhere: its layout, and the files it can be fetched from."""

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
        As it is published.
    urls : tuple of str
        Where it lies; the next is tried where one fails.
    size : int
        In bytes.
    checksum : str
        ``"sha256:..."``, from a source that the comment beside it names.
    """

    name: str
    urls: tuple[str, ...]
    size: int
    checksum: str


@dataclass(frozen=True)
class PublishedSet:
    """A set in its published layout. One without files and archive is not offered for download.

    Attributes
    ----------
    name : str
    folder : str
        Below the folder that holds all sets.
    content : tuple of str
        What must lie in the folder.
    homepage : str
    files : tuple of PublishedFile
        Those that lie in the folder as they are published.
    archive : PublishedFile, optional
        A tar file that holds the content, below the folder's name or at its root; or a zip file that holds such a tar file.
    inner : str, optional
        The tar file's name in the zip file.
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
        """What to put where, for a message."""
        return f"expected: {self.folder}/ with {', '.join(self.content)}. They are published at {self.homepage}."

    @property
    def offer(self) -> str:
        """How the set can be had, for a message."""
        if not self.sources:
            return "It is not offered for download: no checksum of it could be confirmed."
        megabytes = max(1, round(sum(file.size for file in self.sources) / 1e6))
        return f"load_dataset({self.name!r}, data_home=..., download=True) fetches it ({megabytes:,} MB)."

    def missing(self, home: Path) -> list[str]:
        """Which parts of the content are not there."""
        return [part for part in self.content if not (home / self.folder / part).exists()]
