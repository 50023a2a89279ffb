"""How much memory there is where a container or a job may have less than the machine."""

import pytest

from featrec.classifiers import _memory

V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    return tmp_path


def member(root, text):
    (root / "proc/self/cgroup").write_text(text)


def group(root, folder, names, limit, used, cached):
    place = root / "sys/fs/cgroup" / folder
    place.mkdir(parents=True, exist_ok=True)
    for name, content in zip((*names[:2], "memory.stat"), (limit, used, f"anon 7\n{names[2]} {cached}\nslab 3"), strict=True):
        (place / name).write_text(f"{content}\n")


@pytest.mark.parametrize(
    ("names", "membership", "mount"),
    [(V2, "0::/job/step", ""), (V1, "12:cpu,cpuacct:/\n5:blkio,memory:/job/step\n1:name=systemd:/\n0::/", "memory")],
    ids=["v2", "v1"],
)
def test_limits_of_all_groups_around_the_process(root, names, membership, mount):
    member(root, membership)
    group(root, f"{mount}/job/step".strip("/"), names, 3000, 2000, 500)
    group(root, f"{mount}/job".strip("/"), names, 2500, 2400, 100)
    group(root, f"{mount}/other".strip("/"), names, 10, 5, 0)
    assert _memory._groups(root) == [(3000, 1500), (2500, 2300)]


@pytest.mark.parametrize(
    ("names", "membership", "mount"), [(V2, "0::/", ""), (V1, "5:memory:/docker/0123", "memory")], ids=["v2", "v1"]
)
def test_a_container_sees_its_own_group_at_the_top(root, names, membership, mount):
    member(root, membership)
    group(root, mount, names, 4000, 1000, 0)
    assert _memory._groups(root) == [(4000, 1000)]


def test_no_limit_and_no_groups(root):
    assert _memory._groups(root) == []
    member(root, "0::/job")
    group(root, "job", V2, "max", 2000, 0)
    assert _memory._groups(root) == []


def test_the_least_counts(monkeypatch):
    whole, free = _memory._physical(), _memory._available()
    if whole is None or free is None:
        pytest.skip("this system does not tell how much memory it has")
    monkeypatch.setattr(_memory, "_groups", lambda: [_memory._Group(5000, 1000), _memory._Group(4500, 4000)])
    assert (_memory._physical(), _memory._available()) == (4500, 500)
