"""Speed of `featrec watch` at 640 × 480 on one core, false alarms of drift, and the delay after a change of light.

    FEATREC_DATA=... python benchmarks/watch.py --models FOLDER --only fit
    FEATREC_DATA=... taskset -c 0 python benchmarks/watch.py --models FOLDER --out benchmarks/results/watch.jsonl

The first line fits the models and saves them in FOLDER. The second line adds a row for each recipe and part:

- speed: a generated video of 640 × 480 pixels. Its frames are test images drawn at random, with less light in the last third.
  The time of a frame includes decoding, prediction, smoothing and the comparison with the first 200 frames.
- alarms: 20 runs of 2,000 frames without any change, compared with a summary of held-out images and with the first 200 frames.
  The frames are drawn from test images, or each drawn image is panned for ten frames.
- light: 1,000 frames drawn from test images, followed by frames of another light, in 10 runs.

The runs of the last two parts draw from codes that are computed once. Without FEATREC_DATA, use --dataset shapes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from featrec import recipes
from featrec.cli._bench_results import stamp
from featrec.datasets import load_dataset
from featrec.evaluation import Drift, TrainingSummary, observed
from featrec.images import as_rgb, as_uint8, read_image
from featrec.parallel import alone, one_inner_thread
from featrec.persistence import load, save
from featrec.serving import Watch, open_frames

RECIPES = ("hog_svm", "orb_knn", "bovw_svm")
PARTS = ("speed", "alarms", "light")
SIZE = (480, 640)
N_FIRST, N_BEFORE, WITHIN = 200, 1000, 200
N_PAN, PAN = 10, 2
Change = Callable[[np.ndarray], np.ndarray]


def scaled(factor: float) -> Change:
    """Return a function that multiplies pixels, as a lamp or an aperture does."""
    return lambda image: np.clip(np.rint(image * np.float32(factor)), 0, 255).astype(np.uint8)


def curved(gamma: float) -> Change:
    """Return a function that applies a gamma curve."""
    return lambda image: np.rint(255 * (image / np.float32(255)) ** gamma).astype(np.uint8)


CHANGES: dict[str, Change] = {
    "light × 0.7": scaled(0.7),
    "light × 0.4": scaled(0.4),
    "light × 0.2": scaled(0.2),
    "light × 1.6": scaled(1.6),
    "gamma 2": curved(2),
    "gamma 0.5": curved(0.5),
}
IN_VIDEO = "light × 0.2"


def dataset(name: str, n: int | None) -> tuple[Any, Any]:
    """Return the training and test images; of generated images, `n` for training and twice as many for testing."""
    options = {} if name != "shapes" else {"n_train": n or 1500, "n_test": 2 * (n or 1500)}
    found = load_dataset(name, **options)
    return found.train, found.test


def fitted(recipe: str, name: str, n: int | None, folder: Path) -> Any:
    """Return the model in the folder; fit and save it if it is missing."""
    file = folder / f"{name}-{recipe}.featrec"
    if not file.exists():
        train, _ = dataset(name, n)
        save(recipes.make(recipe, random_state=0, n_jobs=2).fit(train, train.labels), file)
    model = load(file)
    return model.set_params(**{key: 1 for key in model.get_params() if key.rpartition("__")[2] == "n_jobs"})


def image_at(images: Any, row: int) -> np.ndarray:
    """Return a test image as uint8."""
    return as_uint8(read_image(images[int(row)]))


# Speed


def write_video(path: Path, images: Any, n_frames: int, change: Change, random: np.random.Generator) -> int:
    """Write a video whose frames are drawn images, and return the number of the first changed frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, SIZE[::-1])
    first = 2 * n_frames // 3
    for number, row in enumerate(random.integers(0, len(images), n_frames)):
        frame = cv2.resize(as_rgb(image_at(images, row)), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        writer.write((change(frame) if number >= first else frame)[:, :, ::-1])
    writer.release()
    return first


def speed(model: Any, images: Any, *, n_frames: int) -> dict[str, Any]:
    """Measure a model on a video."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.avi"
        first_changed = write_video(path, images, n_frames, CHANGES[IN_VIDEO], np.random.default_rng(0))
        watch = Watch(model, drift=Drift(N_FIRST))
        start = 0.0
        for frame in open_frames(path):
            if frame.number == 1:  # the first prediction may compile
                start = time.process_time()
            watch.predict(frame.image)
        cpu = time.process_time() - start
    summary = watch.summary()
    assert summary.drift is not None
    return {
        "n_frames": n_frames,
        "size": list(SIZE),
        "n_cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "frames_per_second": round(summary.frames_per_second, 1),
        "frames_per_cpu_second": round((n_frames - 1) / cpu, 1),
        "p50_ms": round(summary.p50_ms or 0, 2),
        "p99_ms": round(summary.p99_ms or 0, 2),
        "change": IN_VIDEO,
        "first_changed": first_changed,
        "alarms": list(summary.drift.alarms),
    }


# False alarms, and the delay after a change


class Pool:
    """Codes and confidences of images, from which frames are drawn."""

    def __init__(self, model: Any, images: Iterable[np.ndarray]):
        with alone(), one_inner_thread():
            parts = [observed(model, [image]) for image in images]
        self.codes = np.concatenate([part.codes for part in parts if part.codes is not None])
        self.confidences = np.concatenate([part.confidences for part in parts if part.confidences is not None])

    def show(self, drift: Drift, rows: np.ndarray) -> None:
        drift.update(self.codes[rows], self.confidences[rows])


def panned(image: np.ndarray) -> list[np.ndarray]:
    """Return ten frames of a camera that moves over an image."""
    width = image.shape[1] - PAN * (N_PAN - 1)
    return [image[:, PAN * step : PAN * step + width] for step in range(N_PAN)]


def alarms(model: Any, images: Any, *, n_runs: int, n_frames: int, n_images: int, n_shown: int | None) -> dict[str, Any]:
    """Count the runs with alarms, by stream and reference."""
    held_out, shown = halves(images, n_shown)
    streams = {
        "drawn": (Pool(model, (image_at(images, row) for row in shown)), 1),
        "panned": (Pool(model, (frame for row in shown[:n_images] for frame in panned(image_at(images, row)))), N_PAN),
    }
    summaries = {
        "drawn": TrainingSummary.of(model, [image_at(images, row) for row in held_out]),
        "panned": TrainingSummary.of(model, [panned(image_at(images, row))[N_PAN // 2] for row in held_out]),
    }
    found: dict[str, Any] = {}
    for stream, (pool, repeats) in streams.items():
        for name, reference in (("training", summaries[stream]), ("first:200", N_FIRST)):
            counts, thins = [], []
            for run in range(n_runs):
                drift, random = Drift(reference), np.random.default_rng((1, run))
                starts = random.integers(0, len(pool.codes) // repeats, n_frames // repeats) * repeats
                pool.show(drift, (starts[:, None] + np.arange(repeats)).ravel())
                counts.append(len(drift.report().alarms))
                thins.append(drift.report().thin_codes)
            runs = {"runs_with_alarms": int(np.count_nonzero(counts)), "alarms": counts, "thin": thins}
            found[f"{stream}, {name}"] = runs
    return {
        "n_runs": n_runs,
        "n_frames": n_frames,
        "n_shown": len(shown),
        "n_panned": min(n_images, len(shown)),
        "found": found,
    }


def light(model: Any, images: Any, *, n_runs: int, n_images: int, n_shown: int | None) -> dict[str, Any]:
    """Measure after how many frames a change of light is found, by change and reference; None if not within 200 frames."""
    held_out, shown = halves(images, n_shown)
    summary = TrainingSummary.of(model, [image_at(images, row) for row in held_out])
    before = Pool(model, (image_at(images, row) for row in shown))
    found: dict[str, Any] = {}
    for title, change in CHANGES.items():
        after = Pool(model, (change(image_at(images, row)) for row in shown[:n_images]))
        for name, reference in (("training", summary), ("first:200", N_FIRST)):
            delays: list[int | None] = []
            for run in range(n_runs):
                drift, random = Drift(reference), np.random.default_rng((2, run))
                before.show(drift, random.integers(0, len(before.codes), N_BEFORE))
                n_false = len(drift.report().alarms)
                after.show(drift, random.integers(0, len(after.codes), WITHIN))
                later = drift.report().alarms[n_false:]
                delays.append(later[0] - N_BEFORE if later else None)
            found[f"{title}, {name}"] = delays
    return {"n_runs": n_runs, "n_before": N_BEFORE, "within": WITHIN, "n_changed": min(n_images, len(shown)), "found": found}


def halves(images: Any, n_shown: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return rows for the summary, and rows to draw frames from."""
    rows = np.random.default_rng(3).permutation(len(images))
    n_held_out = len(rows) // 3
    return rows[:n_held_out], rows[n_held_out:][:n_shown]


def measured(part: str, model: Any, images: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Run one part."""
    if part == "speed":
        return speed(model, images, n_frames=options.n_video)
    sizes = {"n_images": options.n_images, "n_shown": options.n_shown}
    if part == "alarms":
        return alarms(model, images, n_runs=options.n_runs, n_frames=options.n_frames, **sizes)
    return light(model, images, n_runs=max(1, options.n_runs // 2), **sizes)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("watch.jsonl"))
    parser.add_argument("--models", type=Path, required=True, help="folder of the models")
    parser.add_argument("--dataset", choices=["scene15", "shapes"], default="scene15")
    parser.add_argument("--recipe", action="append", choices=list(RECIPES), help="default: all")
    parser.add_argument("--only", action="append", choices=["fit", *PARTS], help="default: all parts")
    parser.add_argument("--n-train", type=int, help="number of generated training images")
    parser.add_argument("--n-video", type=int, default=900, help="number of frames of the video")
    parser.add_argument("--n-runs", type=int, default=20)
    parser.add_argument("--n-frames", type=int, default=2000, help="number of frames of a run without a change")
    parser.add_argument("--n-images", type=int, default=300, help="number of images that are panned or changed")
    parser.add_argument("--n-shown", type=int, help="number of images from which frames are drawn; default: two thirds")
    options = parser.parse_args(arguments)
    options.models.mkdir(parents=True, exist_ok=True)
    for recipe in options.recipe or RECIPES:
        model = fitted(recipe, options.dataset, options.n_train, options.models)
        _, images = dataset(options.dataset, options.n_train)
        for part in [part for part in PARTS if part in (options.only or PARTS)]:
            row = {"part": part, "recipe": recipe, "dataset": options.dataset, **measured(part, model, images, options)}
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row | stamp(watched=[Path(__file__)]), ensure_ascii=False) + "\n")
            print(json.dumps(row, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
