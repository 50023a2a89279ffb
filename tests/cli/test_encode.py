"""featrec encode: one row per image, in order, and the same bytes after any number of interruptions."""

import csv
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from featrec import recipes
from featrec.cli import _codes_file, main
from featrec.cli._codes_file import CodesFile
from featrec.datasets import load_dataset
from featrec.descriptors import SIFT, TinyImage
from featrec.encoders import BagOfWords
from featrec.exceptions import InputError
from featrec.persistence import save

BLOCK = 16
# Runs the command in forks of one process and kills them. Forks are used because starting Python takes longer than the work.
# Every second kill waits until more has been written than before, because on any machine some kills must interrupt the work.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from featrec.cli import main
from featrec.persistence import load
model, images, out, kills = sys.argv[1:]
load(model)
out, generator, killed, cut = Path(out), random.Random(5), 0, set()
words = ["encode", model, images, "--save-every", "16", "--n-jobs", "2", "--out"]

def begin(target):
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main([*words, str(target)]))
    return child

def end(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def size():
    return part.stat().st_size if part.exists() else 0

def wait_for_work(child):
    before = size()
    while size() <= before and os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        time.sleep(0.001)

part = out.with_name(out.name + ".part")
start = time.perf_counter()
assert end(begin(out.with_name("undisturbed.npy"))) == 0
whole = time.perf_counter() - start
expected = out.with_name("undisturbed.npy").read_bytes()
while killed < int(kills):
    child = begin(out)
    if killed % 2:
        wait_for_work(child)
    time.sleep(generator.uniform(0, 0.02 if killed % 2 else whole))
    os.kill(child, signal.SIGKILL)
    code = end(child)
    assert code in (0, -signal.SIGKILL), code
    killed += code != 0
    cut.add(size())
    if code == 0 or out.exists():
        assert out.read_bytes() == expected
        assert end(begin(out)) in (0, 2)  # a kill may have left the journal
        out.unlink()
        out.with_suffix(".rows.csv").unlink()
assert end(begin(out)) == 0
assert out.read_bytes() == expected
assert sorted(path.name for path in out.parent.glob("killed*")) == ["killed.npy", "killed.rows.csv"]
print(killed, len(cut - {0}))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Create 160 images in folders at two depths, and a small model."""
    root = tmp_path_factory.mktemp("encode")
    shapes, _ = load_dataset("shapes", n_train=160, n_test=1, size=48)
    for i, image in enumerate(shapes):
        path = root / "images" / str(i % 3) / ("deep" if i % 2 else "") / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    Image.fromarray(shapes[0]).save(root / "images" / "loose.png")
    model = recipes.tiny_knn().fit(shapes, shapes.labels)
    save(model, root / "model.featrec")
    save(recipes.hog_svm(C=10.0).fit(shapes, shapes.labels), root / "hog.featrec")
    return root


@pytest.fixture
def out(tmp_path):
    return tmp_path / "codes.npy"


def encode(*words):
    return main(["encode", *map(str, words)])


def paths_of(folder):
    """Return the images in a folder, sorted by the parts of their paths."""
    return [str(path) for path in sorted(folder.rglob("*.png"), key=lambda path: path.relative_to(folder).parts)]


def rows_of(out):
    with open(out.with_suffix(".rows.csv"), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def begun(place, out, blocks, monkeypatch, *words, images=None):
    """Interrupt a run after some blocks. Return the paths of the incomplete file and the journal."""
    append, count = CodesFile.append, []

    def append_and_end(self, rows, notes):
        if len(count) == blocks:
            raise KeyboardInterrupt
        count.append(1)
        append(self, rows, notes)

    with monkeypatch.context() as patch:
        patch.setattr(CodesFile, "append", append_and_end)
        model, images = place / "model.featrec", images or place / "images"
        assert encode(model, images, "--out", out, "--save-every", BLOCK, *words) == 2
    assert not out.exists()
    return Path(f"{out}.part"), Path(f"{out}.journal")


@pytest.fixture(scope="module")
def undisturbed(place):
    """Return the bytes that a run without interruptions writes."""
    out = place / "whole.npy"
    assert finish(place, out) == 0
    return out.read_bytes()


def finish(place, out, images=None):
    return encode(place / "model.featrec", images or place / "images", "--out", out)


@pytest.mark.parametrize("name", ["model", "hog"])
def test_the_codes_are_those_of_the_steps_before_the_classifier(place, out, capsys, name):
    from featrec.persistence import load

    assert encode(place / f"{name}.featrec", place / "images", "--out", out) == 0
    codes, paths = np.load(out, mmap_mode="r"), paths_of(place / "images")
    assert codes.dtype == np.float32
    assert np.array_equal(codes, load(place / f"{name}.featrec")[:-1].transform(paths))
    assert [(int(row["row"]), row["path"], row["error"]) for row in rows_of(out)] == [(i, p, "") for i, p in enumerate(paths)]
    assert f"wrote {out} (161 codes of {codes.shape[1]:,} numbers" in capsys.readouterr().out
    assert sorted(path.name for path in out.parent.iterdir()) == ["codes.npy", "codes.rows.csv"]


@pytest.mark.parametrize("kind", ["classes", "split", "zip", "manifest", "flat", "file"])
def test_the_rows_have_labels_if_they_are_known(place, out, tmp_path, kind):
    source = next((place / "images").rglob("*.png")).read_bytes()
    halves = ["train", "test"] if kind == "split" else [""]
    for name in [f"{half}/{label}/1.png" for half in halves for label in ("b", "a")]:
        path = tmp_path / "own" / ("1.png" if kind == "flat" else name.lstrip("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    given = tmp_path / "own"
    if kind == "zip":
        given = Path(shutil.make_archive(str(tmp_path / "own"), "zip", given))
    elif kind == "manifest":
        given = tmp_path / "own.csv"
        given.write_text("path,label\nown/b/1.png,sky\nown/a/1.png,sea\n", encoding="utf-8")
    elif kind == "file":
        given = given / "a" / "1.png"
    assert encode(place / "hog.featrec", given, "--out", out) == 0
    expected = {"classes": ["a", "b"], "split": ["a", "b"] * 2, "zip": ["a", "b"], "manifest": ["sky", "sea"]}
    rows = rows_of(out)
    assert list(rows[0]) == ["row", "path", "label", "error"]
    assert [row["label"] for row in rows] == expected.get(kind, [""])


def test_the_output_of_a_pipeline_without_a_classifier(place, out):
    paths = paths_of(place / "images")
    model = make_pipeline(TinyImage(), StandardScaler()).fit(paths)
    save(model, out.with_name("m.featrec"))
    assert encode(out.with_name("m.featrec"), *paths[::-1], "--out", out) == 0
    assert np.allclose(np.load(out), model.transform(paths[::-1]), atol=1e-6)


def test_codes_do_not_depend_on_threads_and_blocks(place, tmp_path, undisturbed):
    for i, (jobs, every) in enumerate([(1, 1), (2, 20), (3, 160)]):
        words = ("--n-jobs", jobs, "--save-every", every, "--out", tmp_path / f"{i}.npy")
        assert encode(place / "model.featrec", place / "images", *words) == 0
        assert (tmp_path / f"{i}.npy").read_bytes() == undisturbed


def test_images_from_archives_manifests_and_standard_input(place, out, monkeypatch):
    paths = paths_of(place / "images")
    archive, manifest = out.with_name("some.tar"), out.with_name("some.csv")
    with tarfile.open(archive, "w") as tar:
        tar.add(paths[3], arcname="a/3.png")
        tar.add(paths[4], arcname="4.png")
    table = [f"{Path(path).name},x" for path in paths[5:7]]
    for path in paths[5:7]:
        out.with_name(Path(path).name).write_bytes(Path(path).read_bytes())
    manifest.write_text("\n".join(["path,label", *table]) + "\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{paths[7]}\n\n{paths[8]}\n"))
    assert encode(place / "model.featrec", archive, manifest, "-", paths[9], "--out", out) == 0
    assert encode(place / "model.featrec", paths[4], paths[3], *paths[5:10], "--out", out.with_name("files.npy")) == 0
    assert np.array_equal(np.load(out), np.load(out.with_name("files.npy")))
    assert [Path(row["path"]).name for row in rows_of(out)][:2] == ["4.png", "3.png"]


@pytest.mark.parametrize("on_error", ["raise", "empty"])
def test_damaged_images_are_reported_and_have_rows_of_zeros(place, out, capsys, on_error):
    paths = paths_of(place / "images")[:40]
    model, bad = out.with_name("m.featrec"), out.with_name("bad.png")
    save(recipes.tiny_knn(on_error=on_error).fit(paths[:4], list("aabb")), model)
    bad.write_bytes(b"no image")
    assert encode(model, bad, *paths, out.with_name("none.png"), "--out", out) == 1
    captured = capsys.readouterr()
    assert f"error: {str(bad)!r}: unsupported image format" in captured.err
    assert "2 of 42 images could not be used; their codes are zero" in captured.err
    assert "no features were found" not in captured.out
    rows = rows_of(out)
    assert [row["row"] for row in rows if row["error"]] == ["0", "41"]
    assert rows[41]["error"].startswith("no such file")
    assert encode(model, *paths, "--out", out.with_name("good.npy")) == 0
    assert np.array_equal(np.load(out)[1:-1], np.load(out.with_name("good.npy")))
    assert not np.load(out)[[0, 41]].any()


def test_images_without_features_are_counted(out, capsys):
    shapes, _ = load_dataset("shapes", n_train=40, n_test=1)
    save(make_pipeline(SIFT(), BagOfWords(10, random_state=0)).fit(shapes), out.with_name("m.featrec"))
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(out.with_name("black.png"))
    Image.fromarray(shapes[0]).save(out.with_name("shape.png"))
    assert encode(out.with_name("m.featrec"), out.with_name("black.png"), out.with_name("shape.png"), "--out", out) == 0
    captured = capsys.readouterr()
    assert "1 codes are zero, because no features were found in these images" in captured.out
    assert captured.err == ""


def assert_error(capsys, line):
    assert re.search(line, capsys.readouterr().err)


def test_models_without_codes(place, out, capsys):
    paths = paths_of(place / "images")
    save(make_pipeline(SIFT()).fit(paths), out.with_name("bags.featrec"))
    assert encode(out.with_name("bags.featrec"), *paths, "--out", out) == 2
    assert_error(capsys, "the steps before the classifier return Bags instead of codes; the model needs")
    save(LinearSVC().fit([[0.0], [1.0]], [0, 1]), out.with_name("svc.featrec"))
    assert encode(out.with_name("svc.featrec"), *paths, "--out", out) == 2
    assert_error(capsys, "contains a LinearSVC, which computes no codes; expected a pipeline")


@pytest.mark.parametrize("probability", [None, "calibrated"])
def test_the_codes_of_a_model_with_mirrored_copies(place, out, probability):
    images = paths_of(place / "images")[:20]
    labels = ["even", "odd"] * 10
    options = {"n_words": 3, "bin_sizes": 4, "n_dimensions": 8, "mirror": True, "probability": probability}
    model = recipes.vlad_svm(**options).fit(images, labels)
    save(model, out.with_name("mirrored.featrec"))
    assert encode(out.with_name("mirrored.featrec"), *images, "--out", out) == 0
    inner = model if probability is None else model.estimator_
    assert np.array_equal(np.load(out), inner.model_[:-1].transform(images))


def test_force_replaces_an_existing_file(place, out, capsys):
    assert finish(place, out) == 0
    before = out.read_bytes()
    image = paths_of(place / "images")[0]
    assert encode(place / "model.featrec", image, "--out", out) == 2
    assert_error(capsys, "codes.npy exists; use --force to replace it")
    assert out.read_bytes() == before
    assert encode(place / "model.featrec", image, "--out", out, "--force") == 0
    assert len(np.load(out)) == 1


def test_two_processes_cannot_write_one_file(place, out, capsys):
    with CodesFile(out, {}, 3), pytest.raises(InputError, match=r"another process is writing .*codes\.npy; wait until"):
        CodesFile(out, {}, 3)
    with CodesFile(out, {}, 3):
        assert finish(place, out) == 2
    assert_error(capsys, "another process is writing .*codes.npy; wait until it finishes, or set another --out")
    assert finish(place, out) == 0


# Interruptions


def test_a_run_resumes_after_an_interruption(place, out, undisturbed, monkeypatch, capsys):
    part, _ = begun(place, out, 4, monkeypatch)
    inode = part.stat().st_ino
    assert finish(place, out) == 0
    assert "resuming after 64 of 161 images" in capsys.readouterr().out
    assert out.stat().st_ino == inode
    assert out.read_bytes() == undisturbed


def cut(file, n_bytes):
    file.write_bytes(file.read_bytes()[:-n_bytes])


def change(file, before, after):
    data = file.read_bytes()
    assert before in data
    file.write_bytes(data.replace(before, after, 1))


def flip_a_bit(file):
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)


DAMAGE = {
    "the codes are cut": lambda part, journal: cut(part, 100),
    "the codes are too long": lambda part, journal: part.write_bytes(part.read_bytes() + bytes(1000)),
    "a code has changed": lambda part, journal: flip_a_bit(part),
    "the shape has changed": lambda part, journal: change(part, b"(161,", b"(162,"),
    "the codes are missing": lambda part, journal: part.unlink(),
    "the journal is cut": lambda part, journal: cut(journal, 7),
    "the first line of the journal is cut": lambda part, journal: journal.write_bytes(journal.read_bytes()[:20]),
    "a line of the journal has changed": lambda part, journal: change(journal, b'"stop":32', b'"stop":48'),
    "the journal is missing": lambda part, journal: journal.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_blocks_are_written_again(place, out, undisturbed, monkeypatch, damage):
    DAMAGE[damage](*begun(place, out, 4, monkeypatch))
    assert finish(place, out) == 0
    assert out.read_bytes() == undisturbed


def test_a_run_resumes_after_damage_and_another_interruption(place, out, undisturbed, monkeypatch, capsys):
    part, _ = begun(place, out, 4, monkeypatch)
    cut(part, 100)
    begun(place, out, 2, monkeypatch)
    assert finish(place, out) == 0
    assert "resuming after 80 of 161 images" in capsys.readouterr().out
    assert out.read_bytes() == undisturbed


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted")
def test_a_journal_that_is_deleted_before_it_is_locked_is_created_again(tmp_path, monkeypatch):
    path, locked, lock = tmp_path / "codes.npy.journal", [], _codes_file._lock

    def lock_late(file):
        if not locked:
            path.unlink()
        locked.append(file)
        lock(file)

    monkeypatch.setattr(_codes_file, "_lock", lock_late)
    journal = _codes_file.Journal(path)
    assert os.path.samestat(os.fstat(journal.file.fileno()), os.stat(path))
    journal.close()


def test_failures_before_and_after_an_interruption_are_reported_once(place, out, tmp_path, monkeypatch, capsys):
    bad = [tmp_path / f"{i}.png" for i in range(2)]
    for path in bad:
        path.write_bytes(b"")
    images = paths_of(place / "images")
    words = [place / "model.featrec", *images[:20], bad[0], *images[20:], bad[1], "--out", out, "--save-every", 16]
    monkeypatch.setattr(_codes_file, "_header", ending(_codes_file._header, 6))
    assert encode(*words) == 2
    monkeypatch.undo()
    assert capsys.readouterr().err.count("0.png") == 1
    assert encode(*words) == 1
    message = capsys.readouterr().err
    assert [message.count(f"{i}.png': ") for i in range(2)] == [0, 1]
    assert "2 of 163 images" in message
    assert [row["row"] for row in rows_of(out) if row["error"]] == ["20", "162"]


def ending(function, calls):
    """Return a function that is interrupted after this number of calls."""
    count = []

    def call(*arguments):
        count.append(1)
        if len(count) > calls:
            raise KeyboardInterrupt
        return function(*arguments)

    return call


@pytest.mark.parametrize("name", ["publish", "clear"])
def test_an_interruption_of_the_last_steps(place, out, undisturbed, monkeypatch, name):
    monkeypatch.setattr(CodesFile, name, ending(getattr(CodesFile, name), 0))
    assert finish(place, out) == 2
    monkeypatch.undo()
    assert Path(f"{out}.journal").exists()
    assert finish(place, out) == 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["codes.npy", "codes.rows.csv"]
    assert out.read_bytes() == undisturbed


def test_the_error_names_the_inputs_that_have_changed(place, out, monkeypatch, capsys):
    begun(place, out, 2, monkeypatch)
    assert encode(place / "hog.featrec", place / "images", "--out", out) == 2
    assert_error(capsys, "started by an earlier run, and since then the model has changed. Use the same input as that run, set")
    assert encode(place / "hog.featrec", paths_of(place / "images")[0], "--out", out) == 2
    assert_error(capsys, "the model and the list of images have changed.* discard the work of that run with --restart")
    monkeypatch.setattr("cv2.__version__", "3.1.4")
    assert finish(place, out) == 2
    assert_error(capsys, "since then what is installed has changed")
    monkeypatch.undo()
    assert encode(place / "hog.featrec", place / "images", "--out", out, "--restart") == 0
    assert np.load(out, mmap_mode="r").shape == (161, 1764)


def copies(folder, place):
    folder.mkdir()
    for path in paths_of(place / "images")[:40]:
        (folder / Path(path).name).write_bytes(Path(path).read_bytes())
    return folder


def test_other_and_changed_images_of_the_same_names_are_refused(place, out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(copies(tmp_path / "one", place))
    begun(place, out, 1, monkeypatch, images=".")
    monkeypatch.chdir(copies(tmp_path / "two", place))
    assert finish(place, out, ".") == 2
    assert_error(capsys, "since then the list of images has changed")
    monkeypatch.chdir(tmp_path)
    assert finish(place, out, tmp_path / "one") == 0
    assert "resuming after 16 of 40 images" in capsys.readouterr().out
    begun(place, out.with_name("changed.npy"), 1, monkeypatch, images=tmp_path / "one")
    first = min((tmp_path / "one").iterdir())
    first.write_bytes(first.read_bytes() + b"\0")
    assert finish(place, out.with_name("changed.npy"), tmp_path / "one") == 2
    assert_error(capsys, "since then the list of images has changed")


def test_a_run_without_a_complete_block_is_discarded(place, out, monkeypatch):
    begun(place, out, 0, monkeypatch)
    assert encode(place / "hog.featrec", place / "images", "--out", out) == 0
    assert np.load(out, mmap_mode="r").shape == (161, 1764)


@pytest.mark.skipif(sys.platform == "win32", reason="a process is forked and killed by a signal")
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random(place, tmp_path, kills):
    words = [place / "model.featrec", place / "images", tmp_path / "killed.npy", kills]
    done = subprocess.run([sys.executable, "-c", KILLER, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    killed, cut = map(int, done.stdout.split())
    assert killed == kills
    assert cut >= kills // 4, "some kills must interrupt the work, at different blocks"
