"""The models of tests/data/model_v1_*.featrec, the pictures they learn from, and the answers they must give for ever.

Run ``python -m tests.data.make_model_fixtures`` from the root of the repository only when a new format is introduced, with a
new number in PREFIX: the files of an older format are kept, so that every later version is held to reading them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

from featrec.descriptors import HOG, ORB, ColorHistogram, DenseSIFT, TinyImage
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.pairwise import HistogramKernel
from featrec.persistence import save
from featrec.preprocessing import Grayscale, Resize

FOLDER = Path(__file__).parent
PREFIX = "model_v1"
LABELS = np.array(["rings", "stripes", "checks"] * 8)


def pictures() -> list[np.ndarray]:
    """Three kinds of pattern, each at eight scales and colours, by formulas: the same wherever they are computed."""
    return [_picture(kind, 3.0 + number) for number in range(8) for kind in ("rings", "stripes", "checks")]


def _picture(kind: str, scale: float) -> np.ndarray:
    y, x = np.mgrid[:48, :48] - 23.5
    waves = {
        "rings": np.sin(np.hypot(x, y) * 6 / scale),
        "stripes": np.sin((x + 0.3 * y) * 6 / scale),
        "checks": np.sin(x * 6 / scale) * np.sin(y * 6 / scale),
    }[kind]
    tint = {"rings": (1.0, 0.6, 0.4), "stripes": (0.4, 1.0, 0.6), "checks": (0.6, 0.4, 1.0)}[kind]
    return np.round((waves[..., None] + 1) * 127 * np.array(tint)).astype(np.uint8)


def models() -> dict:
    """One unfitted model of each kind that a file can hold and that answers quickly."""
    words = BagOfWords(6, random_state=0)
    return {
        "linear": make_pipeline(Resize((24, 24)), HOG(cells_per_block=(1, 1)), LinearSVC(random_state=0)),
        "kernel": make_pipeline(
            DenseSIFT(step=8, bin_sizes=4), SpatialPyramid(words, levels=2), SVC(kernel=HistogramKernel(), C=10.0)
        ),
        "forest": make_pipeline(ColorHistogram(bins=3), RandomForestClassifier(5, random_state=0)),
        "neighbours": make_pipeline(TinyImage(size=(5, 5)), KNeighborsClassifier(3, algorithm="kd_tree", leaf_size=5)),
        "brute": make_pipeline(Grayscale(), TinyImage(size=(5, 5)), KNeighborsClassifier(3, algorithm="brute")),
        "calibrated": make_pipeline(
            Resize((24, 24)), HOG(cells_per_block=(1, 1)), CalibratedClassifierCV(LinearSVC(random_state=0), cv=2)
        ),
        "binary": make_pipeline(
            Resize((128, 128)), ORB(edge_threshold=8, fast_threshold=3), BagOfWords(8, random_state=0), SVC()
        ),
    }


def scores(model, given) -> np.ndarray:
    """What a model says beside the label."""
    name = "decision_function" if hasattr(model, "decision_function") else "predict_proba"
    return getattr(model, name)(given)


def main() -> None:
    """Write the files and the answers."""
    given, answers = pictures(), {}
    for name, model in models().items():
        model.fit(given, LABELS)
        save(model, FOLDER / f"{PREFIX}_{name}.featrec")
        answers[name] = {"labels": model.predict(given).tolist(), "scores": scores(model, given).round(6).tolist()}
    (FOLDER / f"{PREFIX}.json").write_text(json.dumps(answers) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
