"""The leaderboard of the capstone: predictions and model files of students, ranked with confidence intervals."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import featrec
from featrec.course._capstone import Capstone
from featrec.course._fence import FencedProcess, choose_fence
from featrec.course._gradebook import time_of, write_table
from featrec.exceptions import InputError

__all__ = ["Entry", "find_entries", "judge_entries", "leaderboard_page", "write_leaderboard"]

SECONDS = 120
CONFIDENCE = 0.95
MODEL_SUFFIXES = (".model", ".featrec", ".zip", ".skops")
COLUMNS = (
    *("rank", "student", "file", "submitted", "files", "accuracy", "low", "high", "p_leader"),
    *("unseen_accuracy", "unseen_low", "unseen_high", "problem"),
)
NOTES = (
    "The rank is by accuracy on the test images, whose labels nobody has been given. Equal accuracies have the same rank.",
    "The interval is the 95 % Wilson interval. p is from the exact McNemar test against the first entry, on the same images, "
    "with Holm's correction; with p of 0.05 or more, the difference from the first entry may be chance.",
    "Unseen images were never given out, so only model files have an accuracy on them. An accuracy that is clearly lower there "
    "means that the model was adapted to the test images.",
)


@dataclass(frozen=True)
class Entry:
    """The last file of a student.

    `right` tells for each test image whether the prediction is right, and `unseen` for each unseen image; both are None until
    the entry is judged, and stay None if it has a problem. `n_files` is the number of files that the student has submitted.
    """

    student: str
    path: Path
    submitted: datetime
    n_files: int = 1
    right: np.ndarray | None = None
    unseen: np.ndarray | None = None
    problem: str = ""

    @property
    def accuracy(self) -> float:
        return -1.0 if self.right is None else float(self.right.mean())


def find_entries(folder: str | Path) -> list[Entry]:
    """Find the last file of each student: ``STUDENT.csv`` or ``STUDENT.model``, or such a file in the folder ``STUDENT``.

    The time of a file is part of its name, as in ``predictions_2027-07-01T12-30.csv`` (UTC), or that of its last change.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    entries : list of Entry
    """
    folder = Path(folder)
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt", *MODEL_SUFFIXES):
            files.setdefault(path.stem if path.parent == folder else path.relative_to(folder).parts[0], []).append(path)
    if not files:
        raise InputError(
            f"{folder} contains no STUDENT.csv with predictions, no STUDENT.model, and no such files in folders of students"
        )
    last = {student: max(paths, key=time_of) for student, paths in files.items()}
    return [Entry(student, path, time_of(path), len(files[student])) for student, path in sorted(last.items())]


def judge_entries(
    entries: Sequence[Entry], capstone: Capstone, *, n_jobs: int = 2, seconds: int = SECONDS, tell: Callable = lambda _: None
) -> list[Entry]:
    """Compare predictions with the labels. Model files predict inside a fence, and nothing in them is executed.

    Parameters
    ----------
    entries : sequence of Entry
    capstone : Capstone
    n_jobs : int, default=2
        Number of model files that predict at the same time.
    seconds : int, default=120
        Time for one model file.
    tell : callable, optional
        Called with one line of text for each entry.

    Returns
    -------
    entries : list of Entry
        The best accuracy first; those with a problem last.
    """
    images, labels = capstone.test()
    unseen, unseen_labels = capstone.unseen()
    models = [entry for entry in entries if entry.path.suffix.lower() in MODEL_SUFFIXES]
    predicted: dict[Path, np.ndarray | str] = {
        entry.path: _read_predictions(entry.path, labels) for entry in entries if entry not in models
    }
    predicted |= _predict_all(models, np.concatenate([images, unseen]), n_jobs, seconds)
    judged = []
    for entry in entries:
        found = predicted[entry.path]
        if isinstance(found, str):
            one = replace(entry, problem=found)
        else:
            right = found[: len(labels)] == labels
            rest = found[len(labels) :] == unseen_labels if len(found) > len(labels) else None
            one = replace(entry, right=right, unseen=rest)
        judged.append(one)
        tell(f"{one.student}: {one.problem or f'{one.accuracy:.1%}'}")
    return sorted(judged, key=lambda entry: (-entry.accuracy, entry.student))


def _read_predictions(path: Path, labels: np.ndarray) -> np.ndarray | str:
    """The label of each test image, or what is wrong with the file. Accepts what ``featrec predict`` prints."""
    classes, n = sorted(set(labels.tolist())), len(labels)
    found: dict[int, str] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read: {error}"
    for number, line in enumerate(text.splitlines(), 1):
        words = [word.strip().strip('"') for word in re.split(r"[,;\t]", line)]
        image = re.search(r"(\d+)\.png$", words[0])
        if not line.strip() or (number == 1 and not image):
            continue
        if not image or len(words) < 2:
            return f"line {number} is {line!r:.60}; write 0001.png,{classes[0]}"
        place = int(image[1])
        if not 1 <= place <= n:
            return f"line {number}: there is no test image {image[0]}; they are 0001.png to {n:04}.png"
        if place in found:
            return f"line {number}: {image[0]} occurs twice"
        if words[1] not in classes:
            return f"line {number}: there is no class {words[1]!r:.40}; the classes are {', '.join(classes)}"
        found[place] = words[1]
    if missing := sorted(set(range(1, n + 1)) - set(found)):
        return f"{len(missing)} of {n} test images have no prediction, such as {missing[0]:04}.png"
    return np.array([found[place] for place in range(1, n + 1)])


def _predict_all(entries: Sequence[Entry], images: np.ndarray, n_jobs: int, seconds: int) -> dict[Path, np.ndarray | str]:
    """The predictions of model files, several at a time, each in a fenced process; or what is wrong with a file."""
    predicted: dict[Path, np.ndarray | str] = {}
    if not entries:
        return predicted
    fence, waiting = choose_fence(), list(entries)
    running: list[tuple[Path, FencedProcess]] = []
    try:
        while waiting or running:
            while waiting and len(running) < n_jobs:
                path = waiting.pop(0).path
                running.append((path, _start(path, images, fence, seconds)))
            for path, process in list(running):
                if (state := process.state()) != "running":
                    running.remove((path, process))
                    predicted[path] = _labels(process, len(images)) if state == "ended" else f"stopped after {seconds} seconds"
                    process.close()
            time.sleep(0.05)
    finally:
        for _, process in running:
            process.close()
    return predicted


def _start(path: Path, images: np.ndarray, fence: str, seconds: int) -> FencedProcess:
    package = Path(featrec.__file__).resolve().parent
    process = FencedProcess(fence=fence, seconds=seconds, readable=(package,))
    model = process.folder / f"submission{path.suffix}"
    model.write_bytes(path.read_bytes())
    np.save(process.folder / "images.npy", images)
    process.start({"model": str(model), "images": str(process.folder / "images.npy"), "package": str(package)})
    return process


def _labels(process: FencedProcess, n: int) -> np.ndarray | str:
    found = process.found()
    if isinstance(found, str):
        return re.sub(r"^[\w.]+(?=Error: )", lambda name: name[0].rpartition(".")[2], found.replace(f"{process.folder}/", ""))
    labels = np.array(found["labels"])
    return labels if len(labels) == n else f"predicted {len(labels)} labels for {n} images"


def write_leaderboard(folder: Path, entries: Sequence[Entry], term: str) -> list[Path]:
    """Write leaderboard.csv and leaderboard.html.

    Parameters
    ----------
    folder : Path
    entries : sequence of Entry
        What :func:`judge_entries` returned.
    term : str

    Returns
    -------
    paths : list of Path
    """
    page = folder / "leaderboard.html"
    page.write_text(leaderboard_page(entries, term), encoding="utf-8")
    return [write_table(folder / "leaderboard.csv", COLUMNS, _rows(entries)), page]


def _rows(entries: Sequence[Entry]) -> Iterable[list]:
    """The values of the columns, as numbers; empty where there is none."""
    p_values = _p_values(entries)
    ranked = [entry.accuracy for entry in entries]
    for place, entry in enumerate(entries):
        stamp = entry.submitted.isoformat(timespec="minutes")
        rank: int | str = 1 + ranked.index(entry.accuracy) if entry.right is not None else ""
        yield [
            *(rank, entry.student, entry.path.name, stamp, entry.n_files),
            *(*_interval(entry.right), p_values.get(place, "")),
            *(*_interval(entry.unseen), entry.problem),
        ]


def _interval(right: np.ndarray | None) -> Iterable[float | str]:
    """Accuracy and the ends of its interval."""
    from featrec.evaluation import wilson_interval

    if right is None:
        return "", "", ""
    return float(right.mean()), *wilson_interval(int(right.sum()), len(right), CONFIDENCE)


def _p_values(entries: Sequence[Entry]) -> dict[int, float]:
    """Corrected p values of the comparisons with the first entry, by place."""
    from featrec.evaluation import holm, mcnemar

    others = [(place, entry.right) for place, entry in enumerate(entries) if place and entry.right is not None]
    first = entries[0].right if entries else None
    if first is None or not others:
        return {}
    counts = [(int((first & ~right).sum()), int((right & ~first).sum())) for _, right in others]
    corrected = holm(np.array([mcnemar(*pair) for pair in counts]))
    return {place: float(p) for (place, _), p in zip(others, corrected, strict=True)}


def leaderboard_page(entries: Sequence[Entry], term: str) -> str:
    """Return the leaderboard as one HTML page, which shows no label of an image.

    Parameters
    ----------
    entries : sequence of Entry
        What :func:`judge_entries` returned.
    term : str

    Returns
    -------
    html : str
    """
    from featrec.evaluation import Table, sortable
    from featrec.html_page import Section, bullets, page

    rows = list(_rows(entries))
    ranked = [row for row in rows if row[0] != ""]
    table = Table(
        ["student", "rank", "accuracy in %", "interval", "p against the first", "unseen images in %", "interval", "files"],
        [[row[1], f"{row[0]}", *_shown(row[5:8]), _p(row[8]), *_shown(row[9:12]), f"{row[4]}"] for row in ranked],
    )
    board = sortable(table, "A click on a heading sorts the table.", label="Leaderboard")
    sections = [Section("board", "Leaderboard", board), Section("notes", "How to read it", bullets(NOTES))]
    if problems := [f"{row[1]}, {row[2]}: {row[12]}" for row in rows if row[0] == ""]:
        sections.append(Section("problems", "Files that could not be used", bullets(problems)))
    stamp = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    byline = f"Term {term}, {len(ranked)} entries, {stamp}"
    return page("Capstone", byline, _verdict(ranked), sections, f"Made by featrec {featrec.__version__}.")


def _verdict(ranked: Sequence[Sequence]) -> list[str]:
    if not ranked:
        return ["No entry could be used."]
    first = ranked[0]
    told = [f"{first[1]} is first with {100 * first[5]:.1f} % ({100 * first[6]:.1f} to {100 * first[7]:.1f} %)."]
    if close := [row[1] for row in ranked[1:] if row[8] != "" and row[8] >= 1 - CONFIDENCE]:
        told.append(f"The difference from the first may be chance: {', '.join(close)}.")
    return told


def _shown(numbers: Sequence[float | str]) -> tuple[str, str]:
    if numbers[0] == "":
        return "–", "–"
    accuracy, low, high = (100 * float(number) for number in numbers)
    return f"{accuracy:.1f}", f"{low:.1f} to {high:.1f}"


def _p(value: float | str) -> str:
    return "–" if value == "" else "< 0.001" if float(value) < 0.001 else f"{float(value):.3f}"
