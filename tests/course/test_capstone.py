"""The capstone: images of one term, and the leaderboard of predictions and model files."""

import csv
import os
import pickle
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from featrec.cli import main
from featrec.course import Capstone, _capstone, _leaderboard, find_entries, judge_entries, write_leaderboard
from featrec.course._fence import choose_fence
from featrec.course._leaderboard import Entry
from featrec.course._master import load_capstone
from featrec.exceptions import FeatrecError, InputError
from featrec.persistence import save
from featrec.recipes import make

WHEN = datetime(2027, 7, 1, tzinfo=UTC)
CLASSES = ["arrow", "button", "crescent", "cross", "gear", "heart", "leaf", "star"]


@pytest.fixture
def small(monkeypatch):
    """A capstone with few images."""
    for name, number in (("N_TRAIN", 16), ("N_TEST", 24), ("N_UNSEEN", 8)):
        monkeypatch.setattr(_capstone, name, number)
    return Capstone(b"k" * 32, "2027a")


def test_images_depend_on_key_and_term_and_stay_the_same(small):
    images, labels = small.test()
    again, same = Capstone(small.key, small.term).test()
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    for other in (Capstone(small.key, "2027b"), Capstone(b"l" * 32, small.term)):
        assert not np.array_equal(images, other.test()[0])
        assert labels.tolist() != other.test()[1].tolist()
    assert sorted(set(labels)) == CLASSES


def test_no_unseen_image_is_given_out(small):
    given = {image.tobytes() for image in [*small.test()[0], *small._given_out.train]}
    unseen, labels = small.unseen()
    assert len(given) == 40
    assert not given & {image.tobytes() for image in unseen}
    assert len(labels) == 8


def test_students_get_no_labels_of_test_images(small, tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "9999.png").write_bytes(b"of the last term")
    small.write(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("test/*")) == [f"{number:04}.png" for number in range(1, 25)]
    assert sorted({path.parent.name for path in tmp_path.glob("train/*/*.png")}) == CLASSES
    assert len(list(tmp_path.glob("train/*/*.png"))) == 16
    # The generator cycles through the classes; the order of the files must not.
    assert small.test()[1].tolist() != np.resize(CLASSES, 24).tolist()


def test_the_notebook_of_students_has_no_part_of_instructors():
    master = load_capstone()
    text = "\n".join(cell.source for cell in master.student_cells(0))
    assert all(part in text for part in ("**Task.**", "**Data.**", "**Rules.**", "## 4. Submit"))
    assert "fisher_svm" not in text
    guide = "\n".join(cell.source for cell in master.cells if "instructor" in cell.tags)
    assert all(part in guide for part in ("**Plan.**", "**Misconceptions.**", "**Rubric**"))
    for number, what in ((_capstone.N_TRAIN, "training images"), (_capstone.N_TEST, "test images")):
        assert f"{number} {what}" in text.replace("\n", " ")


def predictions(labels, form="{:04}.png,{}", first="image,label"):
    return "\n".join([first, *(form.format(number, label) for number, label in enumerate(labels, 1))]) + "\n"


@pytest.mark.parametrize("form", ["{:04}.png,{}", '"capstone/test/{:04}.png";"{}"', "capstone/test/{:04}.png\t{}\t0.912"])
def test_predictions_are_read_in_the_usual_forms(form, small, tmp_path):
    labels = small.test()[1]
    labels[:6] = ["star" if label == "arrow" else "arrow" for label in labels[:6]]
    for first in ("image,label", form.format(1, labels[0])):
        text = predictions(labels, form, first) if first == "image,label" else predictions(labels, form).partition("\n")[2]
        (tmp_path / "ada.csv").write_text(text)
        (entry,) = judge_entries(find_entries(tmp_path), small)
        assert (entry.problem, entry.accuracy, entry.unseen) == ("", 0.75, None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text.replace("0003.png", "0004.png"), "line 5: 0004.png occurs twice"),
        (
            lambda text: text.replace("0003.png", "0099.png"),
            "line 4: there is no test image 0099.png; they are 0001.png to 0024",
        ),
        (lambda text: text.replace("0003.png,", "0003.png,un"), "line 4: there is no class 'un"),
        (lambda text: text.replace("0003.png,", "0003.png "), "line 4 is '0003.png "),
        (lambda text: text.rpartition("0024.png")[0], "1 of 24 test images have no prediction, such as 0024.png"),
    ],
)
def test_what_is_wrong_with_predictions_is_told(change, problem, small, tmp_path):
    (tmp_path / "ada.csv").write_text(change(predictions(small.test()[1])))
    (entry,) = judge_entries(find_entries(tmp_path), small)
    assert problem in entry.problem
    assert entry.right is None


def test_the_last_file_of_a_student_counts(tmp_path):
    (tmp_path / "ada").mkdir()
    for name in ("a_2027-07-01T12-30.csv", "b_2027-07-03T08-00.model", "c_2027-07-02T12-30.csv"):
        (tmp_path / "ada" / name).write_text("x")
    (tmp_path / "grace.model").write_text("x")
    (tmp_path / "notes.md").write_text("x")
    found = find_entries(tmp_path)
    assert [(one.student, one.path.name, one.n_files) for one in found] == [
        ("ada", "b_2027-07-03T08-00.model", 3),
        ("grace", "grace.model", 1),
    ]
    with pytest.raises(InputError, match=r"contains no STUDENT.csv with predictions, no STUDENT.model"):
        find_entries(tmp_path / "nothing")


def entry(student, n_right, **more):
    return Entry(student, Path(f"{student}.csv"), WHEN, right=np.arange(200) < n_right, **more)


def test_the_leaderboard_ranks_with_intervals(tmp_path):
    entries = [
        entry("ada", 180, unseen=np.arange(100) < 89),
        entry("=bob", 176),
        entry("<i>eve</i>", 176),
        entry("carl", 120),
        Entry("dora", Path("dora.csv"), WHEN, problem="line 4: there is no class 'arow'"),
    ]
    paths = write_leaderboard(tmp_path, entries, "2027a")
    assert [path.name for path in paths] == ["leaderboard.csv", "leaderboard.html"]
    with open(paths[0], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "2", "4", ""]
    assert [row["accuracy"] for row in rows] == ["0.9", "0.88", "0.88", "0.6", ""]
    interval = binomtest(180, 200).proportion_ci(method="wilson")
    assert (float(rows[0]["low"]), float(rows[0]["high"])) == pytest.approx(tuple(interval), abs=1e-6)
    assert rows[0]["unseen_accuracy"] == "0.89"
    # 4 images that only ada has right: the exact test gives 2 · 0.5⁴, and Holm doubles it.
    assert [row["p_leader"] for row in rows[:3]] == ["", "0.25", "0.25"]
    assert float(rows[3]["p_leader"]) < 1e-15
    assert rows[1]["student"] == "'=bob"
    page = paths[1].read_text()
    assert "The difference from the first may be chance: =bob, &lt;i&gt;eve&lt;/i&gt;." in page
    assert "<i>" not in page
    assert "Term 2027a, 4 entries" in page
    assert "dora, dora.csv: line 4: there is no class &#x27;arow&#x27;" in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)


def test_the_command_needs_a_course(tmp_path, capsys):
    assert main(["course", str(tmp_path), "--leaderboard", str(tmp_path)]) == 2
    assert "course.json is missing; lay out the course first: featrec course" in capsys.readouterr().err


@pytest.mark.slow
def test_model_files_are_judged_in_the_fence(small, tmp_path):
    """A model, a pickle that would write a file, and a model that takes too long."""
    try:
        choose_fence()
    except FeatrecError as error:
        pytest.skip(str(error))
    train = small._given_out.train
    model = make("tiny_knn").fit(train, train.labels)
    save(model, tmp_path / "ada.model")
    written = tmp_path / "written.txt"

    class Evil:
        def __reduce__(self):
            return Path.write_text, (written, "x")

    (tmp_path / "mallory.model").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "damaged.model").write_bytes((tmp_path / "ada.model").read_bytes()[:-200])
    judged = {one.student: one for one in judge_entries(find_entries(tmp_path), small)}
    for part, (images, labels) in (("right", small.test()), ("unseen", small.unseen())):
        np.testing.assert_array_equal(getattr(judged["ada"], part), model.predict(images) == labels)
    assert judged["mallory"].problem.startswith("ModelFileError: 'submission.model': a pickle or joblib file")
    assert judged["damaged"].problem.startswith("ModelFileError: 'submission.model': damaged")
    assert not written.exists()
    (late,) = judge_entries([one for one in find_entries(tmp_path) if one.student == "ada"], small, seconds=-1000)
    assert late.problem == "stopped after -1000 seconds"
    assert _leaderboard.SECONDS == 120


@pytest.mark.slow
def test_the_capstone_from_layout_to_leaderboard(tmp_path):
    """With all images: the notebook runs in the folder of students, and the leaderboard reads both files that it writes."""
    pytest.importorskip("nbformat")
    pytest.importorskip("otter")
    course = tmp_path / "course"
    assert main(["course", str(course), "--term", "2027a"]) == 0
    student = course / "student"
    cells = [cell.source for cell in load_capstone().student_cells(0) if cell.kind == "code"]
    (tmp_path / "capstone.py").write_text("\n\n".join(cells) + "\n", encoding="utf-8")
    command = [sys.executable, "-W", "error", str(tmp_path / "capstone.py")]
    environment = os.environ | {"MPLBACKEND": "Agg"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=student, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "the same predictions: True"
    (tmp_path / "entries").mkdir()
    for name, entry in (("my_name.csv", "ada.csv"), ("my_name.model", "bob.model")):
        (student / name).rename(tmp_path / "entries" / entry)
    assert main(["course", str(course), "--leaderboard", str(tmp_path / "entries")]) == 0
    with open(course / "leaderboard.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["accuracy"] == second["accuracy"]
    assert float(first["accuracy"]) > 0.7
    assert sum(bool(row["unseen_accuracy"]) for row in (first, second)) == 1
