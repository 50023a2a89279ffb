"""Archive: images in a .zip, .tar or .tar.gz, read one by one in place; nothing is unpacked to disk.

An archive keeps no open file handle: each read opens the file, checks that it is unchanged since it was listed, and closes it.
Archives can therefore be pickled and read by several threads at once. Archives are untrusted: everything they declare is
checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from featrec.datasets._file import Stamp, found
from featrec.datasets._tree import HIDDEN, Tree, is_hidden, what_it_is
from featrec.exceptions import DatasetError, ImageError, TruncatedImageError, UnreadableImageError
from featrec.images import read_image

__all__ = ["Archive", "Damaged", "Member", "MemberImage", "archive_kind", "archive_tree", "exactly", "refuse_bomb"]

MAX_MEMBERS = 1_000_000
MAX_MEMBER = 2**28  # bytes of one image, compressed or not
# An archive that unpacks to more bytes than this, and to more than MAX_RATIO times its own size, is a bomb.
LEAST_BOMB = 2**26
MAX_RATIO = 200
DRIVE = re.compile("[A-Za-z]:")


class Damaged(Exception):
    """The problem with an archive; callers turn it into a featrec error that names the archive."""


class Member(NamedTuple):
    """One member of an archive.

    Parameters
    ----------
    name : str
        As stored in the archive.
    kind : {"file", "folder", "other"}
    start : int
        Position of the header in a zip, or of the content in the uncompressed tar.
    size : int
        Uncompressed size in bytes.
    packed, method, checksum : int
        Only in zip files.
    """

    name: str
    kind: str
    start: int = 0
    size: int = 0
    packed: int = 0
    method: int = 0
    checksum: int = 0


class Archive:
    """A file that contains files. Subclasses implement ``_members`` (list) and ``_bytes`` (content of one member)."""

    def __init__(self, path: str):
        self.path = path
        self.stamp = Stamp.of(found(path, "archive"))

    def members(self) -> Iterator[Member]:
        """The members, in the order of the archive."""
        try:
            with open(self.path, "rb") as file:
                yield from self._members(file)
        except OSError as error:
            raise DatasetError(f"the archive {self.path!r} cannot be read ({error})") from error
        except Damaged as error:
            raise DatasetError(f"the archive {self.path!r} {error}") from error

    def read(self, member: Member, item: str) -> bytes:
        """The content of a member, if the archive is unchanged since it was listed."""
        try:
            self.stamp.compare(found(self.path, "archive"), self.path, "archive")
            with open(self.path, "rb") as file:
                return self._bytes(file, member)
        except ImageError as error:
            raise error.at(None, item) from error.__cause__
        except OSError as error:
            raise UnreadableImageError(f"the archive cannot be read ({error})", item=item) from error
        except Damaged as error:
            raise TruncatedImageError(f"the archive {error}", item=item) from error

    def _members(self, file: BinaryIO) -> Iterator[Member]:
        raise NotImplementedError

    def _bytes(self, file: BinaryIO, member: Member) -> bytes:
        raise NotImplementedError


class MemberImage(NamedTuple):
    """An image in an archive."""

    path: str
    archive: Archive
    member: Member

    def read(self) -> np.ndarray:
        """Unpack the image in memory and decode it."""
        data = self.archive.read(self.member, self.path)
        try:
            return read_image(data)
        except ImageError as error:
            raise error.at(None, self.path) from error.__cause__


def archive_tree(archive: Archive) -> Tree:
    """The content of an archive. A single folder around all others is removed from the names.

    Links, devices and nested archives are skipped. A path out of the archive, a duplicate name, and an image of more than 256
    MB are errors.
    """
    tree = Tree(archive.path)
    total = 0
    for count, member in enumerate(archive.members()):
        if count >= MAX_MEMBERS:
            raise DatasetError(f"the archive {archive.path!r} contains more than {MAX_MEMBERS:,} members; split it")
        parts = _parts(archive.path, member.name)
        hidden = next((depth for depth, name in enumerate(parts) if is_hidden(name)), None)
        if hidden is not None:
            tree.skipped[tree.path(parts[: hidden + 1])] = HIDDEN
        elif member.kind == "folder":
            tree.folders |= {parts} if parts else set()
        elif why := what_it_is(parts[-1] if parts else "", is_file=member.kind == "file"):
            tree.skipped[tree.path(parts)] = why
        else:
            _add(tree, parts, MemberImage(tree.path(parts), archive, member))
            total += member.size
    refuse_bomb(archive.path, total, archive.stamp.size)
    return _without_wrapping(tree)


def _add(tree: Tree, parts: tuple[str, ...], image: MemberImage) -> None:
    if parts in tree.images:
        raise DatasetError(
            f"the archive {tree.place!r} contains two images with the same name, {image.member.name!r}; "
            "pack it again from a folder."
        )
    size = max(image.member.size, image.member.packed)
    if size > MAX_MEMBER:
        raise DatasetError(
            f"the image {image.member.name!r} of the archive {tree.place!r} has {size:,} bytes, "
            f"more than the limit of {MAX_MEMBER:,} for an image unpacked in memory. Unpack the archive into a folder."
        )
    tree.images[parts] = image


def _parts(path: str, name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    trick = None
    if name.startswith("/") or DRIVE.match(name):
        trick = "is absolute"
    elif ".." in parts:
        trick = "leads upwards"
    elif "\\" in name or "\0" in name:
        trick = "contains a backslash or a zero byte"
    if trick:
        raise DatasetError(
            f"the name {name!r} in the archive {path!r} {trick}; paths that could lead out of the archive are refused. "
            "Pack it again from its folder, with relative paths and '/' as separator."
        )
    return parts


def refuse_bomb(path: str, unpacked: int, packed: int) -> None:
    """Refuse a small archive that unpacks to a huge size."""
    if unpacked > LEAST_BOMB and unpacked > MAX_RATIO * packed:
        raise DatasetError(
            f"the archive {path!r} unpacks {packed:,} bytes to {unpacked:,} or more, over {MAX_RATIO} times as many, "
            "which suggests a zip bomb. If you trust it, unpack it into a folder."
        )


def _without_wrapping(tree: Tree) -> Tree:
    """The tree below the only folder, if that contains folders and no images; packing a folder creates such archives."""
    tops = tree.top_folders()
    if len(tops) != 1 or any(len(parts) == 1 or (parts[0] == tops[0] and len(parts) == 2) for parts in tree.images):
        return tree
    inner = tree.below(tops[0])
    inner.skipped = tree.skipped
    return inner if inner.top_folders() else tree


def exactly(file: Any, n: int) -> bytes:
    """Read exactly this many bytes; fewer mean a damaged archive. Memory use is limited to the bytes that exist."""
    data = file.read(n)
    if len(data) != n:
        raise Damaged("is truncated; copy or download it again")
    return data


def archive_kind(path: str) -> str | None:
    """ "zip", "tar" or "tar.gz", by the first bytes of the file or else by its name; None for any other file."""
    name = Path(path).name.lower()
    if not name.endswith((".zip", ".tar", ".tar.gz", ".tgz")):
        return None
    try:
        with open(path, "rb") as file:
            beginning = file.read(4)
    except OSError as error:
        raise DatasetError(f"the archive {path!r} cannot be read ({error})") from error
    if beginning.startswith(b"\x1f\x8b"):
        return "tar.gz"
    return "zip" if beginning.startswith(b"PK") or name.endswith(".zip") else "tar"
