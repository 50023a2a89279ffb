"""Damaged and malicious archives are read, or refused with an error of featrec, quickly and with little memory."""

import gzip
import io
import random
import struct
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from featrec.datasets import ImageFolder, _archive, _place, _tar
from featrec.exceptions import DatasetError, ImageError, TruncatedImageError
from tests.datasets.test_archive import image, pack
from tests.images.damage import cut, flip_bits, repeat_a_range

pytestmark = pytest.mark.filterwarnings("ignore::featrec.exceptions.SkippedFileWarning")
HEADER_SIZE = 30
ENTRY_SIZES = 20  # position of the compressed and uncompressed sizes in an entry of a zip's directory


def put(path: Path, *names: str, data: bytes | None = None, **options: int) -> Path:
    """Write an archive of these images, or of these bytes."""
    return pack(path, [(name, image(value) if data is None else data) for value, name in enumerate(names)], **options)


def tar_of(*members: tuple[str, bytes | None, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """Build a tar from tuples (name, bytes, kind)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, data, kind in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(data or b""), "a/1.png"
            archive.addfile(member, io.BytesIO(data or b""))
    return file.getvalue()


def corrected(tar: bytes | bytearray) -> bytes:
    """Correct the checksums of all blocks that look like headers."""
    data = bytearray(tar)
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


IMAGE = ("a/1.png", image(1), tarfile.REGTYPE)


def note(content: bytes, kind: bytes = tarfile.XHDTYPE) -> tuple[str, bytes, bytes]:
    """Return an extended header of a tar."""
    return ("x", content, kind)


@pytest.fixture(params=["x.zip", "x.tar", "x.tar.gz"])
def path(request, tmp_path):
    return tmp_path / request.param


@pytest.mark.parametrize(
    "name, trick",
    [
        ("../evil.png", "leads upwards"),
        ("a/../../evil.png", "leads upwards"),
        ("a/..", "leads upwards"),
        ("/etc/evil.png", "is absolute"),
        ("//server/share/evil.png", "is absolute"),
        ("C:/evil.png", "is absolute"),
        ("c:evil.png", "is absolute"),
        ("a\\..\\evil.png", "contains a backslash"),
        ("\\\\server\\evil.png", "contains a backslash"),
        ("../notes.txt", "leads upwards"),
    ],
)
def test_paths_out_of_the_archive_are_refused(path, name, trick):
    put(path, "a/1.png", name)
    with pytest.raises(DatasetError, match=rf"in the archive '.*{path.name}' {trick}.*are refused\. Pack it again"):
        ImageFolder(path)
    with pytest.raises(DatasetError, match=trick):
        ImageFolder.split(path)


def test_a_zero_byte_in_a_name(tmp_path):
    path = put(tmp_path / "x.zip", "a/1_evil.png")
    path.write_bytes(path.read_bytes().replace(b"1_evil", b"1\0evil"))
    with pytest.raises(DatasetError, match="contains a backslash or a null character"):
        ImageFolder(path)


@pytest.mark.parametrize("again", ["a/1.png", "./a/1.png", "a//1.png", "a/./1.png"])
def test_duplicate_names_are_refused(path, again):
    with pytest.raises(DatasetError, match=r"contains two images with the same name, '.*1\.png'"):
        ImageFolder(put(path, "a/1.png", "a/2.png", again))


def test_names_that_look_the_same(path):
    folder = ImageFolder(put(path, "a/caf\u00e9.png", "a/cafe\u0301.png"))
    assert sorted(int(image[0, 0]) for image in folder) == [0, 1]
    with pytest.raises(DatasetError, match="class folders whose names look the same"):
        ImageFolder(put(path, "caf\u00e9/1.png", "cafe\u0301/1.png"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"V"])
def test_links_and_devices_in_a_tar_are_skipped(tmp_path, kind):
    (tmp_path / "x.tar").write_bytes(tar_of(IMAGE, ("a/2.png", None, kind), ("a/3.png", image(3), tarfile.REGTYPE)))
    folder = ImageFolder(tmp_path / "x.tar")
    assert [int(image[0, 0]) for image in folder] == [1, 3]
    assert folder.skipped == [str(tmp_path / "x.tar" / "a" / "2.png")]


@pytest.mark.parametrize("mode", [0o120777, 0o020644, 0o060644, 0o010644, 0o140644])
def test_links_and_devices_in_a_zip_are_skipped(tmp_path, mode):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.png", image(1))
        link = zipfile.ZipInfo("a/2.png")
        link.create_system, link.external_attr = 3, mode << 16
        archive.writestr(link, "/etc/passwd")
    folder = ImageFolder(path)
    assert len(folder) == 1
    assert folder.skipped == [str(path / "a" / "2.png")]


SPARSE = r"contains 'a/1\.png' as a sparse file; pack it again without --sparse"
TARS = [
    ([("a/1.png", image(1), tarfile.GNUTYPE_SPARSE)], SPARSE),
    ([note(b"22 GNU.sparse.major=1\n"), IMAGE], SPARSE),
    ([note(b"6 a=b\n" * 50_000), IMAGE], "declares a name or extra headers of 300,000 bytes, more than the limit"),
    ([note(b"16 path=a/2.png\n", tarfile.XGLTYPE), IMAGE], "declares one name or size for all its members"),
    *[
        ([note(content), IMAGE], "has damaged extended headers")
        for content in (b"-5 path=x\n", b"0 path=x\n", b"2 path=x\n", b"99999 path=x\n", b"path=x\n", b"11 path=xyz", b"\xff")
    ],
    *[
        ([note(content), IMAGE], r"is not a valid size of 'a/1\.png'")
        for content in (b"11 size=-1\n", b"32 size=99999999999999999999999\n", b"11 size=1e\n")
    ],
]


@pytest.mark.parametrize(("members", "message"), TARS)
def test_malicious_headers_of_a_tar(tmp_path, members, message):
    path = tmp_path / "x.tar"
    path.write_bytes(tar_of(*members))
    with pytest.raises(DatasetError, match=message):
        ImageFolder(path)


def test_a_long_extended_header_is_read(tmp_path):
    (tmp_path / "x.tar").write_bytes(tar_of(note(b"6 a=b\n" * 43_000), IMAGE))
    assert len(ImageFolder(tmp_path / "x.tar")) == 1


def changed(path: Path, at: int | bytes, content: bytes, start: int = 0) -> Path:
    """Overwrite bytes at a position, or at a place after the last occurrence of other bytes."""
    data = bytearray(path.read_bytes())
    at = start + (at if isinstance(at, int) else data.rindex(at))
    data[at : at + len(content)] = content
    path.write_bytes(data)
    return path


def test_an_encrypted_zip(tmp_path):
    path = changed(put(tmp_path / "x.zip", "a/1.png", "a/2.png"), b"PK\1\2", b"\1", 8)
    with pytest.raises(DatasetError, match=r"is encrypted \('a/2\.png'\); unpack it with its password"):
        ImageFolder(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unsupported_methods_of_compression(tmp_path, method):
    path = put(tmp_path / "x.zip", "a/1.png", method=method)
    supported = r"only 0 \(stored\) and 8 \(deflated\) are supported"
    with pytest.raises(DatasetError, match=rf"compresses 'a/1\.png' with method {method}; {supported}"):
        ImageFolder(path)


def with_sizes(path: Path, *, packed: int | None = None, size: int | None = None) -> Path:
    """Change the lengths that the directory declares for its only member."""
    for value, place in ((packed, 0), (size, 4)):
        if value is not None:
            changed(path, b"PK\1\2", struct.pack("<I", value), ENTRY_SIZES + place)
    return path


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"size": 2**28 + 1}, r"the image 'a/1\.png' .* has 268,435,457 bytes, more than the limit .*Unpack"),
        ({"packed": 2**27}, r"has overlapping members|more than the limit"),
        ({"packed": 2**31}, r"has overlapping members|more than the limit"),
    ],
)
def test_lengths_over_a_limit(tmp_path, sizes, message):
    with pytest.raises(DatasetError, match=message):
        ImageFolder(with_sizes(put(tmp_path / "x.zip", "a/1.png"), **sizes))


@pytest.mark.parametrize("declared", [0, 10, 9_999_999, 10_000_001])
def test_a_wrong_length_in_the_directory(tmp_path, declared):
    """Unpacking stops one byte after the declared size."""
    path = with_sizes(put(tmp_path / "x.zip", "a/1.png", data=bytes(10_000_000)), size=declared)
    folder = ImageFolder(path)
    tracemalloc.start()
    with pytest.raises(TruncatedImageError, match=r"^'.*/a/1\.png': .* damaged here: the length or checksum does not match"):
        folder[0]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * declared + 200_000


def test_overlapping_members_are_refused(tmp_path):
    """Build a small zip that unpacks to a huge size; all members have different names."""
    path = put(tmp_path / "x.zip", "a/0000.png", data=bytes(100_000))
    data = path.read_bytes()
    start = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    entries = b"".join(data[start:end].replace(b"0000", b"%04d" % number) for number in range(500))
    path.write_bytes(data[:start] + entries + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 500, 500, len(entries), start, 0))
    assert len(zipfile.ZipFile(path).namelist()) == 500
    with pytest.raises(DatasetError, match="has overlapping members at byte 0; it is damaged or malicious"):
        ImageFolder(path)


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_archive, "LEAST_BOMB", 2**20)
    path = put(tmp_path / "x.zip", *(f"a/{number}.png" for number in range(20)), data=bytes(100_000))
    with pytest.raises(
        DatasetError, match=r"unpacks to at least 2,000,000 bytes, more than 200 times its size.*If you trust it"
    ):
        ImageFolder(path)


def test_a_gzip_bomb_is_refused_while_it_is_unpacked(tmp_path):
    """Yield a header that declares ten gigabytes, and then as many zeros."""
    member = tarfile.TarInfo("a/notes.txt")
    member.size = 10**10
    zeros = gzip.compress(bytes(10_000_000))
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(member.tobuf()) + 1_000 * zeros)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(DatasetError, match=r"more than 200 times its size. It may be a zip bomb"):
        ImageFolder(path)
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000
    assert seconds < 10


def test_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(_place, "MAX_MEMBERS", 3)
    monkeypatch.setattr(_tar, "MAX_MEMBERS", 3)
    for path in (put(tmp_path / "x.zip", *"abcd"), put(tmp_path / "x.tar", *"abcd")):
        with pytest.raises(DatasetError, match="contains more than 3 members; split it"):
            ImageFolder(path)
    (tmp_path / "x.tar").write_bytes(tar_of(*[note(b"8 a=bcd\n")] * 20))
    with pytest.raises(DatasetError, match="too many headers; split it"):
        ImageFolder(tmp_path / "x.tar")
    monkeypatch.setattr(_archive, "MAX_DIRECTORY", 100)
    with pytest.raises(DatasetError, match=r"has a directory of \d+ bytes, more than the limit of 100; split the archive"):
        ImageFolder(tmp_path / "x.zip")


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"77777777777\0", b"-0000000001\0", b"00000000009\0"])
def test_wrong_lengths_in_a_tar(tmp_path, size):
    data = bytearray(tar_of(IMAGE))
    data[124:136] = size
    for path, content in ((tmp_path / "x.tar", corrected(data)), (tmp_path / "x.tgz", gzip.compress(corrected(data)))):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"is truncated|is not a number|more than the limit"):
            ImageFolder(path)


@pytest.mark.parametrize(
    ("method", "at", "content", "reason"),
    [
        (zipfile.ZIP_STORED, b"IDAT", b"IDAT????\0", "the length or checksum does not match"),
        (zipfile.ZIP_DEFLATED, HEADER_SIZE + len("a/1.png"), b"\xff", "invalid block type"),
    ],
)
def test_a_damaged_image_in_a_zip(tmp_path, method, at, content, reason):
    path = changed(put(tmp_path / "x.zip", "a/1.png", method=method), at, content)
    with pytest.raises(TruncatedImageError, match=f"the archive is damaged here.*{reason}"):
        ImageFolder(path)[0]


def test_a_contradictory_directory(tmp_path):
    path = put(tmp_path / "x.zip", "a/1.png", "a/2.png")
    data = path.read_bytes()
    for at, value, message in [
        (10, struct.pack("<H", 7), "declares 7 members but lists 2; copy"),
        (4, struct.pack("<H", 1), "is one part of a split archive; join the parts"),
        (16, struct.pack("<I", 2**31), "its directory does not fit"),
        (12, struct.pack("<I", 60), "has a damaged directory|has overlapping members"),
    ]:
        path.write_bytes(data)
        with pytest.raises(DatasetError, match=message):
            ImageFolder(changed(path, b"PK\5\6", value, at))
    path.write_bytes(data.replace(b"PK\3\4", b"PK\3\3"))
    with pytest.raises(TruncatedImageError, match=r"a/1\.png': the archive has no image at the position"):
        ImageFolder(path)[0]


def test_every_truncation_is_noticed(path):
    """A truncated archive must never be read without an error, because training images would be missing silently."""
    data = put(path, "a/1.png", "b/2.png").read_bytes()
    if path.suffix == ".tar":
        data = data[: -(-data.rindex(b"IEND") // 512) * 512 + 512]  # the padding after the end may be missing
    for length in range(0, len(data) - (511 if path.suffix == ".tar" else 0), 23):
        path.write_bytes(data[:length])
        with pytest.raises(DatasetError, match=r"truncated|is not a zip|is not a tar|damaged"):
            ImageFolder(path)


def test_an_archive_that_cannot_be_opened(path, monkeypatch):
    folder = ImageFolder(put(path, "a/1.png"))

    def broken(*arguments, **options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("builtins.open", broken)
    with pytest.raises(DatasetError, match=r"the archive '.*' cannot be read .*Input/output error"):
        ImageFolder(path)
    with pytest.raises(ImageError, match=r"a/1\.png': the archive cannot be read .*Input/output error"):
        folder[0]


@pytest.mark.parametrize("data", [b"", b"\0", b"PK", b"PK\5\6", b"\x1f\x8b", b"\x1f\x8b\x08", b"text\n" * 300, bytes(100)])
def test_other_files_with_the_suffix_of_an_archive(path, data):
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"is not a zip|truncated|is not a tar|damaged"):
        ImageFolder(path)


INTERESTING = (b"\xff" * 4, b"\0" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"../", b"PK\1\2", b"PK\5\6")
INTERESTING += (b"\x80", b"777777", b" ", b"S")


def insert_interesting(data: bytes, chance: random.Random) -> bytes:
    at, part = chance.randrange(len(data)), chance.choice(INTERESTING)
    return data[:at] + part + data[at + len(part) :]


def replace_a_range(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + chance.randbytes(chance.choice([0, chance.randint(0, 600)])) + data[at + chance.randint(1, 600) :]


WAYS = (cut, flip_bits, flip_bits, insert_interesting, replace_a_range, replace_a_range, repeat_a_range)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return the data after several random changes."""
    for _ in range(chance.randint(1, 4)):
        data = chance.choice(WAYS)(data, chance) if data else data
    return data


def originals(folder: Path) -> dict[str, bytes]:
    """Build one archive of each kind, with long names, folders, links and extended headers."""
    names = ("train/a/1.png", "train/b/" + "long/" * 40 + "2.png", "a/3.png", "é/4.png")
    members = [(name, image(value), tarfile.REGTYPE) for value, name in enumerate(names)]
    members += [("a", None, tarfile.DIRTYPE), ("a/link.png", None, tarfile.SYMTYPE)]
    gnu, pax = tar_of(*members), tar_of(*members, form=tarfile.PAX_FORMAT)
    deflated = put(folder / "1.zip", *names).read_bytes()
    stored = put(folder / "2.zip", *names, method=zipfile.ZIP_STORED).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile, "ZIP64_LIMIT", 10)
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
        large = put(folder / "3.zip", *names).read_bytes()
    tars = {"gnu.tar": gnu, "pax.tar": pax, "gnu.tgz": gnu, "pax.tgz": pax}
    return {"large.zip": large, "deflated.zip": deflated, "stored.zip": stored} | tars


def read_all(path: Path) -> str:
    """Return the outcome of reading an archive. Only errors of featrec are caught."""
    try:
        folder = ImageFolder(path)
    except DatasetError:
        return "refused"
    outcome = "read"
    for position in range(len(folder)):
        try:
            assert folder[position].ndim >= 2
        except ImageError:
            outcome = "read in part"
    return outcome


def run_damage(tmp_path: Path, count: int, seed: int) -> dict[str, int]:
    chance = random.Random(seed)
    outcomes: dict[str, int] = {}
    for name, data in originals(tmp_path).items():
        for number in range(count):
            content = damaged(data, chance)
            if ".t" in name and chance.random() < 0.7:
                content = corrected(content)
            if name.endswith("tgz"):
                content = gzip.compress(content, 1)
                content = damaged(content, chance) if chance.random() < 0.3 else content
            path = tmp_path / f"{number}{name}"
            path.write_bytes(content)
            start = time.perf_counter()
            try:
                outcome = read_all(path)
            except Exception as error:
                raise AssertionError(f"number {number} of {name}, seed {seed}: {error!r}") from error
            assert time.perf_counter() - start < 2
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            path.unlink()
    return outcomes


def test_damaged_archives(tmp_path):
    outcomes = run_damage(tmp_path, 60, seed=20240229)
    assert sum(outcomes.values()) == 420
    assert min(outcomes.get(outcome, 0) for outcome in ("refused", "read", "read in part")) >= 5  # both outcomes must occur


@pytest.mark.slow
def test_many_damaged_archives(tmp_path):
    tracemalloc.start()
    outcomes = run_damage(tmp_path, 500, seed=7)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(outcomes.values()) == 3_500
    assert peak < 300_000_000
