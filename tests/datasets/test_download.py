"""Downloads from a server that cuts off, lies about length, serves wrong bytes, stalls, or is not there."""

from __future__ import annotations

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


def there(home: Path) -> dict[str, bytes]:
    """The set's folder, after a look at what else was left behind."""
    assert {path.name for path in home.iterdir()} <= {"tiny-set", ".tiny-set.lock"}
    folder = home / "tiny-set"
    assert not folder.exists() or any(folder.iterdir())
    return {path.name: path.read_bytes() for path in folder.glob("*")}


def test_a_set_in_its_published_layout(site, tiny, tmp_path):
    fetch(tiny, tmp_path / "not" / "yet")
    assert there(tmp_path / "not" / "yet") == CONTENT
    assert site.requests == [("/first.bin", None), ("/second.bin", None)]


def test_others_may_read_what_was_fetched(tiny, tmp_path):
    before = os.umask(0o022)
    try:
        fetch(tiny, tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "tiny-set" / "first.bin").stat().st_mode & 0o777 == 0o644


def test_what_is_there_is_neither_asked_for_nor_touched(site, tiny, tmp_path):
    (tmp_path / "tiny-set").mkdir()
    (tmp_path / "tiny-set" / "first.bin").write_bytes(b"my own")
    fetch(tiny, tmp_path)
    assert there(tmp_path) == {"first.bin": b"my own", "second.bin": CONTENT["second.bin"]}
    assert site.requests == [("/second.bin", None)]


def test_a_cut_off_file_is_resumed_at_once(site, tiny, tmp_path):
    site.deeds = [("cut", 70_000), ("cut", 50_000)]
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT
    assert [wish for _, wish in site.requests] == [None, "bytes=70000-", "bytes=120000-", None]


def test_a_file_that_is_cut_off_for_good_is_resumed_by_the_next_call(site, tiny, tmp_path):
    site.deeds = [("cut", 70_000), ("cut", 0)]
    with pytest.raises(
        DatasetError,
        match=r"first.bin of the dataset 'tiny' cannot be downloaded: 127.0.0.1:\d+ the connection broke off .* "
        r"after 70,000 of 200,000 bytes"
        r"\. Calling again resumes .* manually; expected: tiny-set/ with first.bin, second.bin\. .* https://example.org/tiny",
    ):
        fetch(tiny, tmp_path)
    assert there(tmp_path) == {"first.bin.part": CONTENT["first.bin"][:70_000]}
    site.requests.clear()
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT
    assert site.requests[0] == ("/first.bin", "bytes=70000-")


def test_a_server_that_always_cuts_off_is_given_up(site, tiny, tmp_path):
    site.always = ("cut", 1_000)
    with pytest.raises(DatasetError, match=r"after 5,000 of 200,000 bytes"):
        fetch(tiny, tmp_path)
    assert len(site.requests) == 5


def test_a_server_that_cannot_resume(site, tiny, tmp_path):
    site.ranges = False
    (tmp_path / "tiny-set").mkdir()
    (tmp_path / "tiny-set" / "first.bin.part").write_bytes(CONTENT["first.bin"][:10])
    site.deeds = [("cut", 70_000)]
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT


@pytest.mark.parametrize("deed", [("shifted", None), ("status", 416)])
def test_a_server_that_has_not_the_range(site, tiny, tmp_path, deed):
    site.deeds = [("cut", 70_000), deed]
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT
    assert [wish for _, wish in site.requests] == [None, "bytes=70000-", None, None]


@pytest.mark.parametrize("told", [199_999, 200_001, 0, 10**15])
def test_a_lie_about_the_length(site, tiny, tmp_path, told):
    site.deeds = [("announce", told)]
    with pytest.raises(DatasetError, match=rf"declares {told:,} bytes, but the published file has 200,000"):
        fetch(tiny, tmp_path)
    assert there(tmp_path) == {}


def test_more_bytes_than_the_file_has(site, tiny, tmp_path):
    site.deeds = [("silent", 1)]
    with pytest.raises(DatasetError, match=r"sends more than the 200,000 bytes of the published file"):
        fetch(tiny, tmp_path)
    assert there(tmp_path) == {}


def test_fewer_bytes_than_the_file_has(site, tiny, tmp_path):
    site.deeds = [("silent", -5)]
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT
    assert site.requests[1] == ("/first.bin", "bytes=199995-")


def test_no_length_at_all(site, tiny, tmp_path):
    site.always = ("silent", 0)
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT


def test_a_transfer_in_chunks(site, tiny, tmp_path):
    site.deeds = [("chunks", 70_000)]
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT
    assert [wish is None for _, wish in site.requests] == [True, False, True]


def test_wrong_bytes_are_thrown_away(site, tiny, tmp_path):
    site.always = ("wrong", None)
    with pytest.raises(DatasetError, match=r"sends a file whose sha256 is not the published [0-9a-f]{64}; it was deleted"):
        fetch(tiny, tmp_path)
    assert there(tmp_path) == {}
    assert len(site.requests) == 1


@pytest.mark.parametrize("length", [70_000, 200_000, 200_001])
def test_a_part_of_something_else(site, tiny, tmp_path, length):
    (tmp_path / "tiny-set").mkdir()
    (tmp_path / "tiny-set" / "first.bin.part").write_bytes(bytes(length))
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT


def test_a_part_that_is_whole_needs_no_request(site, tiny, tmp_path):
    (tmp_path / "tiny-set").mkdir()
    (tmp_path / "tiny-set" / "first.bin.part").write_bytes(CONTENT["first.bin"])
    fetch(tiny, tmp_path)
    assert site.requests == [("/second.bin", None)]


@pytest.mark.parametrize("status, told", [(404, "404 Not Found"), (500, "500 Internal Server Error"), (403, "403 Forbidden")])
def test_an_error_of_the_server(site, tiny, tmp_path, status, told):
    site.always = ("status", status)
    with pytest.raises(DatasetError, match=rf"127.0.0.1:\d+ answers {told} for http://127.0.0.1:\d+/first.bin"):
        fetch(tiny, tmp_path)
    assert there(tmp_path) == {}
    assert len(site.requests) == 1


def test_an_error_while_resuming_keeps_the_part(site, tiny, tmp_path):
    site.deeds = [("cut", 70_000), ("status", 503)]
    with pytest.raises(DatasetError, match="answers 503 Service Unavailable"):
        fetch(tiny, tmp_path)
    assert there(tmp_path) == {"first.bin.part": CONTENT["first.bin"][:70_000]}


def test_the_second_server_is_asked_where_the_first_fails(site, tiny, tmp_path):
    fetch(published(nobody(), site.address), tmp_path)
    assert there(tmp_path) == CONTENT


def test_every_server_that_failed_is_named(site, tiny, tmp_path):
    site.always = ("status", 404)
    with pytest.raises(DatasetError, match=r"127.0.0.1:\d+ cannot be reached .*; 127.0.0.1:\d+ answers 404"):
        fetch(published(nobody(), site.address), tmp_path)


def nobody() -> str:
    """An address where nobody listens: the port was free a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


def test_a_server_that_is_not_there(site, tmp_path):
    with pytest.raises(
        DatasetError, match=r"cannot be reached \(Failed to establish .*refused\); is there a network\?.*manually"
    ):
        fetch(published(nobody()), tmp_path)
    assert there(tmp_path) == {}


def test_a_server_that_never_answers(site, tiny, tmp_path):
    site.always = ("mute", None)
    with pytest.raises(DatasetError, match=r"cannot be reached \(Read timed out.*\); is there a network"):
        fetch(tiny, tmp_path, timeout=QUICK)
    assert there(tmp_path) == {}


def test_a_server_that_stalls(site, tiny, tmp_path):
    site.always = ("stall", 0)
    site.deeds = [("stall", 131_072)]
    with pytest.raises(DatasetError, match=r"the connection broke off \(Read timed out.*\) after 131,072 of 200,000 bytes"):
        fetch(tiny, tmp_path, timeout=QUICK)
    assert there(tmp_path) == {"first.bin.part": CONTENT["first.bin"][:131_072]}


def test_a_server_that_sends_the_client_elsewhere(site, tiny, tmp_path):
    site.files["moved"] = CONTENT["first.bin"]
    site.deeds = [("elsewhere", "/moved")]
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT


def test_a_server_that_sends_the_client_in_circles(site, tiny, tmp_path):
    site.always = ("elsewhere", "/first.bin")
    with pytest.raises(DatasetError, match=r"the request failed \(Exceeded 30 redirects"):
        fetch(tiny, tmp_path)


def test_a_gz_file_that_is_called_an_encoding_is_not_unpacked(site, tiny, tmp_path):
    site.always = ("encoded", None)
    fetch(tiny, tmp_path)
    assert there(tmp_path) == CONTENT


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
    """Another process that fetches the set."""
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


def test_one_of_two_threads_waits_for_the_other(site, tiny, tmp_path):
    pytest.importorskip("fcntl")
    site.deeds = [("stall", 131_072)]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch, tiny, tmp_path)
        wait_for(lambda: site.requests)
        second = pool.submit(fetch, tiny, tmp_path)
        time.sleep(0.1)
        site.closing.set()
        first.result(), second.result()
    assert there(tmp_path) == CONTENT
    assert site.requests == [("/first.bin", None), ("/first.bin", "bytes=131072-"), ("/second.bin", None)]


@pytest.mark.slow
def test_one_of_two_processes_waits_for_the_other(site, tiny, tmp_path):
    pytest.importorskip("fcntl")
    site.deeds = [("stall", 70_000)]
    first = fetching(tiny, tmp_path)
    wait_for(lambda: site.requests)
    second = fetching(tiny, tmp_path)
    assert "Another process is downloading the same dataset" in second.stderr.readline()
    site.closing.set()
    assert (first.wait(30), second.wait(30)) == (0, 0)
    first.stderr.close(), second.stderr.close()
    assert there(tmp_path) == CONTENT
    assert site.requests == [("/first.bin", None), ("/first.bin", "bytes=70000-"), ("/second.bin", None)]


@pytest.mark.slow
def test_a_process_that_was_killed_leaves_a_part_and_no_lock(site, tiny, tmp_path):
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
