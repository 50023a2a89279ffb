"""The benchmark of watch runs on a few generated images."""

import json

import numpy as np
import pytest

from benchmarks import watch as bench


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watch")
    words = ["--models", str(folder), "--dataset", "shapes", "--n-train", "80", "--recipe", "tiny_knn"]
    sizes = ["--n-video", "60", "--n-runs", "2", "--n-frames", "100", "--n-panned", "30", "--n-changed", "30"]
    patch = pytest.MonkeyPatch()
    patch.setattr(bench, "RECIPES", ("tiny_knn",))
    patch.setattr(bench, "N_FIRST", 40)
    patch.setattr(bench, "N_BEFORE", 100)
    patch.setattr(bench, "WITHIN", 25)
    patch.setattr(bench, "CHANGES", {bench.IN_VIDEO: bench.CHANGES[bench.IN_VIDEO]})
    bench.main([*words, *sizes, "--out", str(folder / "rows.jsonl")])
    patch.undo()
    return {row["part"]: row for row in map(json.loads, (folder / "rows.jsonl").read_text().splitlines())}


def test_each_part_has_a_row(rows):
    assert rows.keys() == set(bench.PARTS)
    assert all({"versions", "machine", "commit", "date", "recipe", "dataset"} <= row.keys() for row in rows.values())
    assert rows["speed"]["frames_per_cpu_second"] > 0
    assert rows["speed"]["first_changed"] == 40
    assert set(rows["alarms"]["found"]) == {
        f"{stream}, {reference}" for stream in ("drawn", "repeated", "panned") for reference in ("training", "first:200")
    }
    assert all(len(each["alarms"]) == 2 for each in rows["alarms"]["found"].values())
    assert set(rows["light"]["found"]) == {
        f"{bench.IN_VIDEO}, {reference}{without}"
        for reference in ("training", "first:200")
        for without in ("", ", without brightness")
    }


def test_changes_of_light():
    image = np.array([[0, 100, 255]], np.uint8)
    assert bench.scaled(0.4)(image).tolist() == [[0, 40, 102]]
    assert bench.scaled(1.6)(image).tolist() == [[0, 160, 255]]
    assert bench.curved(2)(image).tolist() == [[0, 39, 255]]


def test_panned_frames_overlap():
    frames = bench.panned(np.arange(60).reshape(1, 60))
    assert len(frames) == bench.N_PAN
    assert {frame.shape for frame in frames} == {(1, 42)}
    assert frames[1][0, 0] == frames[0][0, bench.PAN]


@pytest.fixture
def pool():
    """Codes are the numbers of frames."""
    found = bench.Pool.__new__(bench.Pool)
    found.codes = np.arange(90, dtype=np.float32)[:, None]
    found.confidences = found.brightness = np.zeros(90)
    return found


@pytest.mark.parametrize(("divide", "n_frames"), [(bench.drawn, 60), (bench.repeated, 200), (bench.of_scenes, 50)])
def test_frames_and_summary_share_no_image(pool, divide, n_frames):
    summary, rows = divide(pool, n_frames, np.random.default_rng(0))
    again, others = divide(pool, n_frames, np.random.default_rng(1))
    scenes = 10 if divide is bench.of_scenes else 1
    assert len(rows) == n_frames
    assert not set(summary.codes[:, 0] // scenes) & set(rows // scenes)
    assert not np.array_equal(rows, others)
    assert np.array_equal(summary.codes, again.codes) == (divide is bench.repeated)
    assert (len(set(rows)) == n_frames) == (divide is not bench.repeated)
