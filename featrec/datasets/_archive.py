"""Archive: images in a .zip, .tar or .tar.gz, read one by one where they lie; nothing is ever unpacked to the disk.

An archive keeps no open handle: each reading opens the file, sees that it is still the one that was listed, and closes it.
So archives go to other processes and are read by several threads at once. What a stranger's archive says of itself is
believed only as far as it has been checked.
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
MAX_MEMBER = 2**28  # bytes of one image, packed or not
# An archive that unpacks to more than this many bytes, and to more than this many times its own, is a bomb.
LEAST_BOMB = 2**26
MAX_RATIO = 200
DRIVE = re.compile("[A-Za-z]:")


class Damaged(Exception):
    """What is wrong with an archive; turned into one of featrec's errors, which say where."""


class Member(NamedTuple):
    """One thing that an archive holds.

    Parameters
    ----------
    name : str
        As it stands in the archive.
    kind : {"file", "folder", "other"}
    start : int
        Where it begins: in a zip its own header, in a tar its bytes, counted in the unpacked tar.
    size : int
        Unpacked.
    packed, method, checksum : int
        Of zips.
    """

    name: str
    kind: str
    start: int = 0
    size: int = 0
    packed: int = 0
    method: int = 0
    checksum: int = 0


class Archive:
    """A file that holds files. A subclass lists it (``_members``) and reads the bytes of one member (``_bytes``)."""

    def __init__(self, path: str):
        self.path = path
        self.stamp = Stamp.of(found(path, "archive"))

    def members(self) -> Iterator[Member]:
        """What it holds, in its own order."""
        try:
            with open(self.path, "rb") as file:
                yield from self._members(file)
        except OSError as error:
            raise DatasetError(f"the archive {self.path!r} cannot be read ({error})") from error
        except Damaged as error:
            raise DatasetError(f"the archive {self.path!r} {error}") from error

    def read(self, member: Member, item: str) -> bytes:
        """The bytes of a member, if the archive is still the one that was listed."""
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
        """Unpack it in memory and decode it."""
        data = self.archive.read(self.member, self.path)
        try:
            return read_image(data)
        except ImageError as error:
            raise error.at(None, self.path) from error.__cause__


def archive_tree(archive: Archive) -> Tree:
    """What an archive holds. One folder around all the others is left out of the names.

    Links, devices and archives inside are skipped. A name that leads out of the archive, two images of one name and an
    image of more than 256 MB are refused.
    """
    tree = Tree(archive.path)
    total = 0
    for count, member in enumerate(archive.members()):
        if count >= MAX_MEMBERS:
            raise DatasetError(f"the archive {archive.path!r} holds more than {MAX_MEMBERS:,} members; split it")
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
            f"the archive {tree.place!r} holds two images of one name, {image.member.name!r}; "
            "which is meant cannot be told. Pack it again from a folder."
        )
    size = max(image.member.size, image.member.packed)
    if size > MAX_MEMBER:
        raise DatasetError(
            f"the image {image.member.name!r} of the archive {tree.place!r} has {size:,} bytes, "
            f"more than the limit of {MAX_MEMBER:,} for one that is unpacked in memory. Unpack the archive into a folder."
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
        trick = "has a backslash or a zero byte in it"
    if trick:
        raise DatasetError(
            f"the name {name!r} in the archive {path!r} {trick}; names that could lead out of the archive are refused. "
            "Pack it again from its folder, with relative names and '/' between their parts."
        )
    return parts


def refuse_bomb(path: str, unpacked: int, packed: int) -> None:
    """Refuse an archive that is small and unpacks to very much."""
    if unpacked > LEAST_BOMB and unpacked > MAX_RATIO * packed:
        raise DatasetError(
            f"the archive {path!r} unpacks {packed:,} bytes to {unpacked:,} or more, over {MAX_RATIO} times as many, "
            "as archives do that are made to fill a memory. If you trust it, unpack it into a folder."
        )


def _without_wrapping(tree: Tree) -> Tree:
    """The tree below its only folder, where that holds folders and no image; packing a folder makes such an archive."""
    tops = tree.top_folders()
    if len(tops) != 1 or any(len(parts) == 1 or (parts[0] == tops[0] and len(parts) == 2) for parts in tree.images):
        return tree
    inner = tree.below(tops[0])
    inner.skipped = tree.skipped
    return inner if inner.top_folders() else tree


def exactly(file: Any, n: int) -> bytes:
    """So many bytes, or the archive is damaged; no more memory is taken than there are bytes."""
    data = file.read(n)
    if len(data) != n:
        raise Damaged("is cut off; copy or download it again")
    return data


def archive_kind(path: str) -> str | None:
    """ "zip", "tar" or "tar.gz" by how the file begins, or by its name where that says nothing; None for any other file."""
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
