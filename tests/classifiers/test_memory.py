"""Memory is limited by the control groups of a container or a job, not only by the machine."""

import warnings

import numpy as np
import pytest

from featrec.classifiers import WidePCA, _codes_classifier
from featrec.exceptions import FeatrecWarning, InputError

V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
KINDS = pytest.mark.parametrize(
    ("names", "membership", "mount"),
    [(V2, "0::/job/step", ""), (V1, "12:cpu,cpuacct:/\n5:blkio,memory:/job/step\n1:name=systemd:/\n0::/", "memory/")],
    ids=["v2", "v1"],
)
GB = 10**9


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Create a file system in which the process is not in a control group."""
    if _codes_classifier._physical() is None or _codes_classifier._available() is None:
        pytest.skip("this system does not say how much memory it has")
    (tmp_path / "proc/self").mkdir(parents=True)
    monkeypatch.setattr(_codes_classifier, "ROOT", tmp_path)
    return tmp_path


def add_group(root, folder, names, limit, used, cached=0):
    place = root / "sys/fs/cgroup" / folder
    place.mkdir(parents=True, exist_ok=True)
    for name, content in zip((*names[:2], "memory.stat"), (limit, used, f"anon 7\n{names[2]} {cached}\nslab 3"), strict=True):
        (place / name).write_text(f"{content}\n")


def fit():
    """Run a fit that needs about 40 MB."""
    return WidePCA(2, random_state=0, n_jobs=1).fit(np.eye(5, dtype=np.float32))


@KINDS
def test_the_smallest_limit_of_all_outer_groups_counts(root, names, membership, mount):
    (root / "proc/self/cgroup").write_text(membership)
    add_group(root, f"{mount}job/step", names, 4 * GB, GB)
    add_group(root, f"{mount}other", names, 5, 5)
    fit()
    add_group(root, f"{mount}job", names, GB // 100, 0)
    with pytest.raises(InputError, match=r"this machine, or its container, has 0\.01 GB"):
        fit()


@KINDS
def test_a_container_sees_its_own_group_at_the_top(root, names, membership, mount):
    (root / "proc/self/cgroup").write_text(membership.replace("job/step", "docker/0123"))
    add_group(root, mount, names, GB // 100, 0)
    with pytest.raises(InputError, match=r"has 0\.01 GB"):
        fit()


@KINDS
def test_used_memory_is_not_free_but_cached_files_are(root, names, membership, mount):
    (root / "proc/self/cgroup").write_text(membership)
    add_group(root, f"{mount}job", names, 2 * GB, 1.99 * GB // 1, cached=GB)
    fit()
    add_group(root, f"{mount}job", names, 2 * GB, 2 * GB - 10**7)
    with pytest.warns(FeatrecWarning, match=r"of memory besides the codes; 0\.01 GB are free; use a smaller max_rows"):
        fit()


@pytest.mark.parametrize("membership", [None, "0::/job"])
def test_groups_without_a_limit_do_not_count(root, membership):
    if membership:
        (root / "proc/self/cgroup").write_text(membership)
    add_group(root, "job", V2, "max", 2000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit().n_components_ == 2
