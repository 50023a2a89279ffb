"""Scene classification without featrec, as an experienced user of OpenCV and scikit-learn would write it.

    python benchmarks/handwritten.py --data $FEATREC_DATA/scene15

The steps are SIFT on a grid, visual words, a spatial pyramid of square roots of their shares, and a linear SVM. The data
folder contains train/ and test/, each with a folder per class.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
from joblib import Parallel, delayed
from sklearn.cluster import MiniBatchKMeans
from sklearn.svm import LinearSVC


def describe(path: Path, step: int, bins: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return descriptors as uint8, because values of SIFT are integers up to 255, and their relative positions."""
    gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    height, width = gray.shape
    margin = 1.5 * max(bins)  # distance from the centre of a descriptor to the centres of its outermost bins
    ys, xs = np.arange(margin, height - margin, step), np.arange(margin, width - margin, step)
    # In OpenCV, a bin is 1.5 times as wide as the size of the keypoint.
    points = [cv2.KeyPoint(float(x), float(y), side * 2 / 3, 0) for side in bins for y in ys for x in xs]
    if not points:
        return np.empty((0, 128), np.uint8), np.empty((0, 2), np.float32)
    points, descriptors = cv2.SIFT_create().compute(gray, points)
    places = cv2.KeyPoint_convert(points)[:, ::-1] / (height, width)
    return descriptors.astype(np.uint8), places


def learn_words(bags: list, n_words: int, n_sample: int, seed: int) -> MiniBatchKMeans:
    """Run k-means on a sample with the same number of descriptors from each image."""
    random = np.random.default_rng(seed)
    each = max(1, n_sample // len(bags))
    sample = [descriptors[random.permutation(len(descriptors))[:each]] for descriptors, _ in bags]
    return MiniBatchKMeans(n_words, random_state=seed).fit(np.concatenate(sample).astype(np.float32))


def encode(bag: tuple, words: MiniBatchKMeans, levels: int) -> np.ndarray:
    """Concatenate histograms of words in 1×1, 2×2, 4×4, ... regions; entries are square roots of shares."""
    descriptors, places = bag
    n_words = words.n_clusters
    found = words.predict(descriptors.astype(np.float32)) if len(descriptors) else np.empty(0, int)
    histograms = []
    for level in range(levels):
        side = 2**level
        rows, columns = np.minimum((places * side).astype(int), side - 1).T
        counts = np.bincount((rows * side + columns) * n_words + found, minlength=side * side * n_words)
        counts = counts.reshape(side * side, n_words)
        histograms.append(np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).ravel())
    return np.concatenate(histograms).astype(np.float32)


class Clock(dict):
    """Measured seconds by name of the step."""

    def lap(self, name: str, start: float) -> float:
        self[name] = self.get(name, 0.0) + time.perf_counter() - start
        return time.perf_counter()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--step", type=int, default=6, help="distance between neighbouring points in pixels")
    parser.add_argument("--bins", type=int, nargs="+", default=[4, 8], help="bin sizes of descriptors in pixels")
    parser.add_argument("--words", type=int, default=400)
    parser.add_argument("--levels", type=int, default=3, help="levels of the pyramid; 3 means 1×1, 2×2 and 4×4")
    parser.add_argument("--sample", type=int, default=100_000, help="number of descriptors from which words are learned")
    parser.add_argument("--jobs", type=int, default=2, help="threads")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print results and predictions as JSON")
    options = parser.parse_args(arguments)
    paths = {half: sorted((options.data / half).glob("*/*")) for half in ("train", "test")}
    labels = {half: np.array([path.parent.name for path in paths[half]]) for half in paths}
    cv2.setNumThreads(1)  # threads process different images
    seconds, start = Clock(), time.perf_counter()
    with Parallel(n_jobs=options.jobs, prefer="threads") as parallel:
        bags, codes = {}, {}
        for half in ("train", "test"):
            bags[half] = parallel(delayed(describe)(path, options.step, options.bins) for path in paths[half])
            start = seconds.lap("reading and extraction", start)
            if half == "train":
                words = learn_words(bags["train"], options.words, options.sample, options.seed)
                start = seconds.lap("vocabulary", start)
            codes[half] = np.stack([encode(bag, words, options.levels) for bag in bags[half]])  # predict starts threads itself
            start = seconds.lap("encoding", start)
            del bags[half]
    classifier = LinearSVC(random_state=options.seed).fit(codes["train"], labels["train"])
    predicted = classifier.predict(codes["test"])
    seconds.lap("classifier", start)
    seconds["total"] = sum(seconds.values())
    accuracy = float(np.mean(predicted == labels["test"]))
    if options.json:
        print(json.dumps({"accuracy": accuracy, "seconds": seconds, "predicted": predicted.tolist()}))
        return
    for name, value in seconds.items():
        print(f"{name:<24}{value:8.1f} s")
    print(f"accuracy {100 * accuracy:.1f} % of {len(predicted)} pictures")


if __name__ == "__main__":
    main()
