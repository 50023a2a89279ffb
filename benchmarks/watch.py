"""Speed of `featrec watch` at 640 × 480 on one core, false alarms of drift, and the delay after a change of light.

    FEATREC_DATA=... python benchmarks/watch.py --models FOLDER --only fit
    FEATREC_DATA=... taskset -c 0 python benchmarks/watch.py --models FOLDER --out benchmarks/results/watch.jsonl

The first line fits the models and saves them in FOLDER. The second line adds a row for each recipe and part:

- speed: a generated video of 640 × 480 pixels. Its frames are test images drawn at random, with less light in the last third.
  The time of a frame includes decoding, prediction, smoothing and the comparison with the first 200 frames.
- alarms: 20 runs of 2,000 frames without a change, compared with a summary of other test images and with the first 200 frames.
  - drawn: each run divides all test images at random into 2,000 frames and a summary of up to 500 images. No image comes twice.
  - repeated: all runs share one summary; frames are drawn from the other images, and come back.
  - panned: as drawn, but each image is panned for ten frames.
- light: 1,000 frames without a change, then 200 of another light; each run divides the test images anew. 10 runs, with and
  without the comparison of brightness.

The level of Drift holds for independent images, so "drawn" is the test of what it promises. In "repeated", the images from
which frames are drawn differ by chance from the summary, and the same difference is there at each look.

The runs of the last two parts use codes that are computed once. Without FEATREC_DATA, use --dataset shapes.
"""

from __future__ import annotations

import argparse
import itertools
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
from featrec.evaluation._training_summary import MOST_IMAGES
from featrec.evaluation._two_samples import projected
from featrec.images import as_rgb, as_uint8, read_image
from featrec.parallel import alone, one_inner_thread
from featrec.persistence import load, save
from featrec.serving import Watch, open_frames

RECIPES = ("hog_svm", "orb_knn", "bovw_svm")
PARTS = ("speed", "alarms", "light")
SIZE = (480, 640)
N_FIRST, N_BEFORE, WITHIN = 200, 1000, 200
N_PAN, PAN = 10, 2
BATCH = 64
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
    """Projected codes, confidences and mean brightness of images, from which frames and summaries are taken."""

    def __init__(self, model: Any, images: Iterable[np.ndarray]):
        waiting, parts = iter(images), []
        with alone(), one_inner_thread():
            while batch := list(itertools.islice(waiting, BATCH)):
                parts.append(observed(model, batch))
        self.brightness = np.concatenate([part.brightness for part in parts if part.brightness is not None])
        self.codes = np.concatenate([projected(part.codes) for part in parts if part.codes is not None])
        self.confidences = np.concatenate([part.confidences for part in parts if part.confidences is not None])

    def __len__(self) -> int:
        return len(self.codes)

    def show(self, drift: Drift, rows: np.ndarray) -> None:
        drift.update(self.codes[rows], self.confidences[rows], self.brightness[rows])

    def summary(self, rows: np.ndarray) -> TrainingSummary:
        rows = rows[:MOST_IMAGES]
        confidences, brightness = self.confidences[rows].astype(np.float32), self.brightness[rows].astype(np.float32)
        return TrainingSummary(self.codes[rows], confidences, self.codes.shape[1], len(rows), brightness)


def panned(image: np.ndarray) -> list[np.ndarray]:
    """Return ten frames of a camera that moves over an image."""
    width = image.shape[1] - PAN * (N_PAN - 1)
    return [image[:, PAN * step : PAN * step + width] for step in range(N_PAN)]


def drawn(pool: Pool, n_frames: int, random: np.random.Generator) -> tuple[TrainingSummary, np.ndarray]:
    """Return a summary and the rows of frames; no image comes twice."""
    rows = random.permutation(len(pool))
    return pool.summary(rows[n_frames:]), rows[:n_frames]


def repeated(pool: Pool, n_frames: int, random: np.random.Generator) -> tuple[TrainingSummary, np.ndarray]:
    """Return the same summary for each run, and the rows of frames that are drawn again and again from the other images."""
    rows = np.random.default_rng(3).permutation(len(pool))
    n_summary = min(MOST_IMAGES, len(rows) // 3)
    return pool.summary(rows[:n_summary]), rows[n_summary:][random.integers(0, len(rows) - n_summary, n_frames)]


def of_scenes(pool: Pool, n_frames: int, random: np.random.Generator) -> tuple[TrainingSummary, np.ndarray]:
    """Return a summary with one frame per scene, and the rows of all frames of other scenes."""
    starts = N_PAN * random.permutation(len(pool) // N_PAN)
    n_scenes = n_frames // N_PAN
    return pool.summary(starts[n_scenes:] + N_PAN // 2), (starts[:n_scenes, None] + np.arange(N_PAN)).ravel()


def alarms(model: Any, images: Any, pool: Pool, *, n_runs: int, n_frames: int, n_images: int) -> dict[str, Any]:
    """Count the runs with alarms, by stream and reference."""
    scenes = np.random.default_rng(4).permutation(len(images))[:n_images]
    streams = {
        "drawn": (pool, drawn),
        "repeated": (pool, repeated),
        "panned": (Pool(model, (frame for row in scenes for frame in panned(image_at(images, row)))), of_scenes),
    }
    found: dict[str, Any] = {}
    for stream, (each, divide) in streams.items():
        for name in ("training", "first:200"):
            counts, causes, reports = [], [], []
            for run in range(n_runs):
                summary, rows = divide(each, n_frames, np.random.default_rng((1, run)))
                drift = Drift(summary if name == "training" else N_FIRST)
                each.show(drift, rows)
                reports.append(drift.report())
                counts.append(len(reports[-1].alarms))
                causes += [" ".join(names) for names in reports[-1].causes]
            runs = {"runs_with_alarms": int(np.count_nonzero(counts)), "alarms": counts, "causes": causes}
            thin = {
                "thin_codes": sorted({report.thin_codes for report in reports}),
                "thin_confidences": sorted({report.thin_confidences for report in reports}),
                "thin_brightness": sorted({report.thin_brightness for report in reports}),
            }
            found[f"{stream}, {name}"] = runs | thin | {"n_reference": reports[0].n_reference}
    return {"n_runs": n_runs, "n_frames": n_frames, "n_test": len(pool), "n_panned": len(scenes), "found": found}


def light(model: Any, images: Any, pool: Pool, *, n_runs: int, n_images: int) -> dict[str, Any]:
    """Measure after how many frames a change of light is found, and in what, by change and reference.

    None if it is not found within 200 frames. "without brightness": codes and confidences only.
    """
    rows = np.random.default_rng(3).permutation(len(pool))
    changed, unchanged = rows[:n_images], rows[n_images:]
    found: dict[str, Any] = {}
    for title, change in CHANGES.items():
        after = Pool(model, (change(image_at(images, row)) for row in changed))
        for name, brightness in itertools.product(("training", "first:200"), (True, False)):
            delays: list[int | None] = []
            causes: list[str] = []
            for run in range(n_runs):
                random = np.random.default_rng((2, run))
                before = random.permutation(unchanged)
                drift = Drift(pool.summary(before[N_BEFORE:]) if name == "training" else N_FIRST, brightness=brightness)
                pool.show(drift, before[:N_BEFORE])
                n_false = len(drift.report().alarms)
                after.show(drift, random.permutation(len(after))[:WITHIN])
                later = drift.report().alarms[n_false:]
                delays.append(later[0] - N_BEFORE if later else None)
                causes += [" ".join(names) for names in drift.report().causes[n_false:]][:1]
            found[f"{title}, {name}{'' if brightness else ', without brightness'}"] = {"delays": delays, "causes": causes}
    return {"n_runs": n_runs, "n_before": N_BEFORE, "within": WITHIN, "n_changed": len(changed), "found": found}


def measured(part: str, model: Any, images: Any, pool: Pool | None, options: argparse.Namespace) -> dict[str, Any]:
    """Run one part."""
    if part == "speed" or pool is None:
        return speed(model, images, n_frames=options.n_video)
    if part == "alarms":
        sizes = {"n_frames": options.n_frames, "n_images": options.n_panned}
        return alarms(model, images, pool, n_runs=options.n_runs, **sizes)
    return light(model, images, pool, n_runs=max(1, options.n_runs // 2), n_images=options.n_changed)


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
    parser.add_argument("--n-panned", type=int, default=400, help="number of images that are panned")
    parser.add_argument("--n-changed", type=int, default=200, help="number of images whose light is changed")
    options = parser.parse_args(arguments)
    options.models.mkdir(parents=True, exist_ok=True)
    for recipe in options.recipe or RECIPES:
        model = fitted(recipe, options.dataset, options.n_train, options.models)
        _, images = dataset(options.dataset, options.n_train)
        parts = [part for part in PARTS if part in (options.only or PARTS)]
        pool = Pool(model, (image_at(images, row) for row in range(len(images)))) if parts and parts != ["speed"] else None
        for part in parts:
            found = measured(part, model, images, pool, options)
            row = {"part": part, "recipe": recipe, "dataset": options.dataset, **found}
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row | stamp(watched=[Path(__file__)]), ensure_ascii=False) + "\n")
            print(json.dumps(row, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
