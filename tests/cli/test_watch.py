"""featrec watch: lines, JSON lines, drift, the summary, Ctrl-C, and errors on one line."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from featrec.cli import main
from featrec.descriptors import TinyImage
from featrec.evaluation import TrainingSummary
from featrec.persistence import save
from featrec.preprocessing import NormalizeContrast
from featrec.serving import Watch
from tests.cli.folders import write_dark_and_light
from tests.serving.test_frames import write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dark_and_light(tmp_path_factory.mktemp("images"), 30)


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "hog.featrec"
    words = ["train", str(folder), "--recipe", "hog_svm", "--out", str(out), "--n-jobs", "1", "--keep-summary"]
    assert main([*words, "--holdout", "0.5"]) == 0
    return out


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "a.avi", n=12, color=(200, 200, 200))


def watch(*words):
    return main(["watch", *map(str, words)])


def test_a_line_per_change_and_a_summary(model, folder, tmp_path, capsys):
    for number, name in enumerate(["dark", "dark", "light"]):
        shutil.copy(folder / name / "0.png", tmp_path / f"{number}.png")
    assert watch(model, tmp_path, "--smooth", "none") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"frame 0\t{tmp_path / '0.png'}\tdark\t")
    assert lines[1].startswith(f"frame 2\t{tmp_path / '2.png'}\tlight\t")
    assert lines[2].startswith("3 frames in ")
    assert "frames a second; prediction" in lines[2]
    assert lines[3] == "dark 66.7 %, light 33.3 %; 1 changes"


def test_json_lines(model, video, capsys):
    assert watch(model, video, "--json", "--every", "5") == 0
    *frames, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [frame["frame"] for frame in frames] == [0, 5, 10]
    assert [frame["time"] for frame in frames] == [0, 0.5, 1.0]
    assert {frame["label"] for frame in frames} == {"light"}
    scores = frames[0]["scores"]
    assert list(scores) == ["light", "dark"]
    assert frames[0]["confidence"] == pytest.approx(scores["light"] - scores["dark"])
    assert frames[0]["ms"] > 0
    assert frames[0]["drift"] is None
    assert last["summary"]["n_frames"] == 3
    assert last["summary"]["shares"] == {"light": 1.0}


def write_frames(folder, n, level, start=0):
    rng = np.random.default_rng((1, start))  # other images than those of the folder, of which the model would be surer
    for number in range(n):
        pixels = (level + rng.integers(-20, 20, (24, 32, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{start + number}.png")


def test_drift_against_the_first_frames(model, tmp_path, capsys):
    write_frames(tmp_path, 150, 40)
    write_frames(tmp_path, 90, 140, start=150)
    assert watch(model, tmp_path, "--drift", "first:40") == 0
    captured = capsys.readouterr().out
    (begin,) = [line for line in captured.splitlines() if line.startswith("frame ") and "drift begins: " in line]
    assert 150 < int(begin.split()[1]) < 240
    assert "The latest images differ from the first 40 images" in captured


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    """A model that does not depend on light, because gray values are scaled to a fixed mean and spread."""
    rng, path = np.random.default_rng(2), tmp_path_factory.mktemp("blind") / "a.featrec"
    frames = [np.kron(rng.integers(60, 120, (6, 8)), np.ones((4, 4))).astype(np.uint8) for _ in range(40)]
    fitted = make_pipeline(NormalizeContrast(), TinyImage(size=(6, 8)), GaussianNB()).fit(frames[:20], list("ab" * 10))
    save(fitted, path, summary=TrainingSummary.of(fitted, frames[20:]))
    return path


def test_a_change_of_light_that_the_model_does_not_see(blind, tmp_path, capsys):
    rng = np.random.default_rng(3)
    for number in range(240):
        pixels = np.kron(rng.integers(60, 120, (6, 8)), np.ones((4, 4)))
        Image.fromarray((pixels * (1 if number < 150 else 0.8)).astype(np.uint8)).save(tmp_path / f"{number}.png")
    assert watch(blind, tmp_path, "--drift", "first:60") == 0
    captured = capsys.readouterr().out
    (begin,) = [line for line in captured.splitlines() if "drift" in line and line.startswith("frame ")]
    assert 150 < int(begin.split()[1]) < 240
    assert "\tdrift begins: the light changed: the mean brightness is 0.2" in begin
    assert "(1 in brightness)" in captured
    assert watch(blind, tmp_path, "--drift", "first:60", "--json") == 0
    *frames, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert frames[100]["differing"] == []
    assert frames[-1]["differing"] == last["summary"]["drift"]["differing"] == ["brightness"]


def test_drift_against_the_training_set(model, tmp_path, capsys):
    """Half of the training images are dark, so dark frames alone are a drift."""
    write_frames(tmp_path, 130, 40)
    assert watch(model, tmp_path, "--drift", "training", "--json") == 0
    *frames, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [frame["drift"] for frame in frames[:124]] == [False] * 124
    assert frames[-1]["drift"] is True
    assert last["summary"]["drift"]["reference"] == "the summary of 30 images of the training set"


def test_the_summary_is_of_held_out_images(model):
    summary = TrainingSummary.load(model)
    assert summary.n_images == 30
    assert summary.codes.shape == (30, 32)
    assert summary.brightness.shape == (30,)


def test_without_held_out_images_it_is_of_the_training_set(folder, tmp_path):
    out = tmp_path / "a.featrec"
    words = ["train", str(folder), "--recipe", "tiny_knn", "--out", str(out), "--n-jobs", "1", "--holdout", "0"]
    assert main([*words, "--keep-summary"]) == 0
    assert TrainingSummary.load(out).n_images == 60


def test_a_model_without_summary(folder, tmp_path, capsys):
    out = tmp_path / "a.featrec"
    words = ["train", str(folder), "--recipe", "tiny_knn", "--out", str(out), "--n-jobs", "1", "--holdout", "0"]
    assert main(words) == 0
    assert watch(out, folder / "dark", "--drift", "training") == 2
    assert "has no summary of its training set; train it with 'featrec train --keep-summary'" in capsys.readouterr().err


def test_damaged_images_of_a_folder(model, folder, tmp_path, capsys):
    shutil.copy(folder / "dark" / "0.png", tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    assert watch(model, tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"featrec: error: '{tmp_path / '1.png'}': ")
    assert captured.out.splitlines()[1].startswith("1 frames in ")
    (tmp_path / "0.png").unlink()
    assert watch(model, tmp_path) == 2
    assert capsys.readouterr().out == "no frames\n"


def test_a_cut_video(model, tmp_path, capsys):
    video = write_video(tmp_path / "a.avi", n=60, color=(200, 200, 200))
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    assert watch(model, video) == 1
    captured = capsys.readouterr()
    assert " frames in " in captured.out
    assert "announces 60 frames but ended after" in captured.err


def test_ctrl_c_ends_with_the_summary(model, video, capsys, monkeypatch):
    predict, seen = Watch.predict, []

    def interrupted(self, image):
        if len(seen) == 5:
            raise KeyboardInterrupt
        seen.append(image)
        return predict(self, image)

    monkeypatch.setattr(Watch, "predict", interrupted)
    assert watch(model, video) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1].startswith("5 frames in ")
    assert captured.err == ""


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["nowhere.mp4"], "'nowhere.mp4': no file or folder has this name; expected a video file"),
        ([".", "--drift", "first"], "--drift must be training or first:N, such as first:200; got first"),
        ([".", "--drift", "first:x"], "--drift must be training or first:N"),
        ([".", "--drift", "first:5"], "reference must be an integer of at least 20"),
    ],
)
def test_errors_are_one_line(model, words, match, capsys):
    assert watch(model, *words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("featrec: error: ")
    assert match in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_a_model_that_is_missing(capsys):
    assert watch("missing.featrec", "video.avi") == 2
    assert "there is no file 'missing.featrec'; a model file is created by 'featrec train'" in capsys.readouterr().err
