"""Downloads from a server that disconnects, declares wrong lengths, sends wrong bytes, stalls, or is unreachable."""

import hashlib
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from featrec.datasets._download import fetch
from featrec.datasets._home import PublishedFile, PublishedSet
from featrec.exceptions import DatasetError, MissingExtraError

ROOT = Path(__file__).resolve().parents[2]
QUICK = (2.0, 0.3)
CONTENT = {name: np.random.default_rng(size).bytes(size) for name, size in (("first.bin", 200_000), ("second.bin", 300))}


def published_file(name: str, content: bytes, *addresses: str) -> PublishedFile:
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return PublishedFile(name, tuple(address + name for address in addresses), len(content), checksum)


def published(*addresses: str) -> PublishedSet:
    files = tuple(published_file(name, content, *addresses) for name, content in CONTENT.items())
    return PublishedSet("tiny", "tiny-set", tuple(CONTENT), "https://example.org/tiny", files)


@pytest.fixture
def tiny(site) -> PublishedSet:
    site.files |= CONTENT
    return published(site.address)


def files_in(home: Path) -> dict[str, bytes]:
    """Return the files of the dataset after checking that no other files are left."""
    assert {path.name for path in home.iterdir()} <= {"tiny-set", ".tiny-set.lock"}
    folder = home / "tiny-set"
    assert not folder.exists() or any(folder.iterdir())
    return {path.name: path.read_bytes() for path in folder.glob("*")}


def test_a_set_in_its_published_layout(site, tiny, tmp_path):
    fetch(tiny, tmp_path / "not" / "yet")
    assert files_in(tmp_path / "not" / "yet") == CONTENT
    assert site.requests == [("/first.bin", None), ("/second.bin", None)]


def test_other_users_may_read_downloaded_files(tiny, tmp_path):
    before = os.umask(0o022)
    try:
        fetch(tiny, tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "tiny-set" / "first.bin").stat().st_mode & 0o777 == 0o644


def test_existing_files_are_neither_requested_nor_changed(site, tiny, tmp_path):
    (tmp_path / "tiny-set").mkdir()
    (tmp_path / "tiny-set" / "first.bin").write_bytes(b"my own")
    fetch(tiny, tmp_path)
    assert files_in(tmp_path) == {"first.bin": b"my own", "second.bin": CONTENT["second.bin"]}
    assert site.requests == [("/second.bin", None)]


def test_the_next_call_resumes_an_interrupted_download(site, tiny, tmp_path):
    site.deeds = [("cut", 70_000), ("cut", 0)]
    message = (
        r"first.bin of the dataset 'tiny' cannot be downloaded: 127.0.0.1:\d+ the connection broke off .* "
        r"after 70,000 of 200,000 bytes\. Calling again resumes .* manually; expected: tiny-set/ with first.bin, second.bin\. "
        r".* https://example.org/tiny"
    )
    with pytest.raises(DatasetError, match=message):
        fetch(tiny, tmp_path)
    assert files_in(tmp_path) == {"first.bin.part": CONTENT["first.bin"][:70_000]}
    site.requests.clear()
    fetch(tiny, tmp_path)
    assert files_in(tmp_path) == CONTENT
    assert site.requests[0] == ("/first.bin", "bytes=70000-")


def test_a_server_without_ranges(site, tiny, tmp_path):
    site.ranges = False
    (tmp_path / "tiny-set").mkdir()
    (tmp_path / "tiny-set" / "first.bin.part").write_bytes(CONTENT["first.bin"][:10])
    site.deeds = [("cut", 70_000)]
    fetch(tiny, tmp_path)
    assert files_in(tmp_path) == CONTENT


START, RESUMED = None, "bytes=70000-"
DEEDS = {
    "interrupted": ([("cut", 70_000), ("cut", 50_000)], [START, RESUMED, "bytes=120000-"]),
    "another range": ([("cut", 70_000), ("shifted", None)], [START, RESUMED, START]),
    "no range": ([("cut", 70_000), ("status", 416)], [START, RESUMED, START]),
    "no length and too few": ([("silent", -5)], [START, "bytes=199995-"]),
    "no length": ([("silent", 0)], [START]),
    "chunks": ([("chunks", 70_000)], [START, RESUMED]),
    "a redirect": ([("elsewhere", "/moved")], [START, START]),
    "a gz file declared as an encoding is not unpacked": ([("encoded", None)], [START]),
}


@pytest.mark.parametrize(("deeds", "ranges"), DEEDS.values(), ids=DEEDS)
def test_the_whole_file_arrives(site, tiny, tmp_path, deeds, ranges):
    site.deeds = deeds.copy()
    site.files["moved"] = CONTENT["first.bin"]
    fetch(tiny, tmp_path)
    assert files_in(tmp_path) == CONTENT
    assert [range_ for _, range_ in site.requests] == [*ranges, None]


WRONG = {
    **{
        f"length {n}": (("announce", n), rf"declares {n:,} bytes, but the published file has 200,000")
        for n in (0, 199_999, 10**15)
    },
    "more bytes": (("silent", 1), "sends more than the 200,000 bytes of the published file"),
    "checksum": (("wrong", None), r"sends a file whose sha256 is not the published [0-9a-f]{64}; it was deleted"),
    "missing": (("status", 404), r"127.0.0.1:\d+ responds with 404 Not Found for http://127.0.0.1:\d+/first.bin"),
    "mute": (("mute", None), r"cannot be reached \(Read timed out.*\); check the network"),
    "circular": (("elsewhere", "/first.bin"), r"the request failed \(Exceeded 30 redirects"),
    "broken": (("status", 500), r"127.0.0.1:\d+ responds with 500 Internal Server Error for http"),
}


@pytest.mark.parametrize("deed, message", WRONG.values(), ids=WRONG)
def test_a_wrong_response_is_an_error_and_leaves_no_file(site, tiny, tmp_path, deed, message):
    site.always = deed
    with pytest.raises(DatasetError, match=message):
        fetch(tiny, tmp_path, timeout=QUICK)
    assert files_in(tmp_path) == {}
    assert len(site.requests) == 1 or deed[0] in ("mute", "elsewhere")


@pytest.mark.parametrize(
    ("deeds", "always", "received", "message"),
    [
        ([], ("cut", 1_000), 5_000, "after 5,000 of 200,000 bytes"),  # five attempts
        ([("cut", 70_000)], ("status", 503), 70_000, "responds with 503 Service Unavailable"),
        ([("stall", 131_072)], ("stall", 0), 131_072, r"broke off \(Read timed out.*\) after 131,072 of 200,000 bytes"),
    ],
)
def test_an_incomplete_file_is_kept(site, tiny, tmp_path, deeds, always, received, message):
    site.deeds, site.always = deeds.copy(), always
    with pytest.raises(DatasetError, match=message):
        fetch(tiny, tmp_path, timeout=QUICK)
    assert files_in(tmp_path) == {"first.bin.part": CONTENT["first.bin"][:received]}


@pytest.mark.parametrize("length", [70_000, 200_000, 200_001])
def test_a_partial_file_of_other_content_is_replaced(site, tiny, tmp_path, length):
    (tmp_path / "tiny-set").mkdir()
    (tmp_path / "tiny-set" / "first.bin.part").write_bytes(bytes(length))
    fetch(tiny, tmp_path)
    assert files_in(tmp_path) == CONTENT


def test_a_complete_partial_file_needs_no_request(site, tiny, tmp_path):
    (tmp_path / "tiny-set").mkdir()
    (tmp_path / "tiny-set" / "first.bin.part").write_bytes(CONTENT["first.bin"])
    fetch(tiny, tmp_path)
    assert site.requests == [("/second.bin", None)]


def test_the_second_server_is_used_if_the_first_fails(site, tiny, tmp_path):
    fetch(published(unreachable(), site.address), tmp_path / "good")
    assert files_in(tmp_path / "good") == CONTENT
    site.always = ("status", 404)
    with pytest.raises(DatasetError, match=r"127.0.0.1:\d+ cannot be reached .*; 127.0.0.1:\d+ responds with 404"):
        fetch(published(unreachable(), site.address), tmp_path)


def unreachable() -> str:
    """Return an address without a server; its port was free a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


def test_a_server_that_cannot_be_reached(site, tmp_path):
    with pytest.raises(DatasetError, match=r"cannot be reached \(Failed .*refused\); check the network.*manually"):
        fetch(published(unreachable()), tmp_path)
    assert files_in(tmp_path) == {}


def test_a_folder_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"'tiny' cannot be written to '.*file/home' \(.*\)\. Free some space and check"):
        fetch(tiny, tmp_path / "file" / "home")


def test_without_pooch(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r'pip install "featrec\[data\]".*manually; expected: tiny-set/ with first.bin'):
        fetch(published("http://127.0.0.1:9/"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def fetching(tiny: PublishedSet, home: Path) -> subprocess.Popen:
    """Start another process that downloads the dataset."""
    code = (
        "import sys, pathlib; from featrec.datasets._download import fetch;"
        "from featrec.datasets._home import PublishedFile, PublishedSet;"
        f"fetch({tiny!r}, pathlib.Path({os.fspath(home)!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def wait_for(condition) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_one_of_two_threads_waits(site, tiny, tmp_path):
    pytest.importorskip("fcntl")
    site.deeds = [("stall", 131_072)]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch, tiny, tmp_path)
        wait_for(lambda: site.requests)
        second = pool.submit(fetch, tiny, tmp_path)
        time.sleep(0.1)
        site.closing.set()
        first.result(), second.result()
    assert files_in(tmp_path) == CONTENT
    assert site.requests == [("/first.bin", None), ("/first.bin", "bytes=131072-"), ("/second.bin", None)]


@pytest.mark.slow
def test_one_of_two_processes_waits(site, tiny, tmp_path):
    pytest.importorskip("fcntl")
    site.deeds = [("stall", 70_000)]
    first = fetching(tiny, tmp_path)
    wait_for(lambda: site.requests)
    second = fetching(tiny, tmp_path)
    assert "Another process is downloading the same dataset" in second.stderr.readline()
    site.closing.set()
    assert (first.wait(30), second.wait(30)) == (0, 0)
    first.stderr.close(), second.stderr.close()
    assert files_in(tmp_path) == CONTENT
    assert site.requests == [("/first.bin", None), ("/first.bin", "bytes=70000-"), ("/second.bin", None)]


@pytest.mark.slow
def test_a_killed_process_leaves_a_partial_file_and_no_lock(site, tiny, tmp_path):
    site.deeds = [("stall", 131_072)]
    process = fetching(tiny, tmp_path)
    part = tmp_path / "tiny-set" / "first.bin.part"
    wait_for(lambda: part.exists() and part.stat().st_size)
    process.kill()
    process.wait(30)
    process.stderr.close()
    received = part.stat().st_size
    fetch(tiny, tmp_path)
    assert (tmp_path / "tiny-set" / "first.bin").read_bytes() == CONTENT["first.bin"]
    assert site.requests[1] == ("/first.bin", f"bytes={received}-")
