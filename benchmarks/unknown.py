"""How well models tell images of unknown classes from images of their classes, and whether conformal sets keep their coverage.

    FEATREC_DATA=... python benchmarks/unknown.py unknown        10 draws of 10 known classes of scene15, against the other 5
    FEATREC_DATA=... python benchmarks/unknown.py coverage       20 draws of calibration images
    python benchmarks/unknown.py show                            the tables of all rows

A row is written when it is finished; a row that the file already has is not measured again.

Unknown classes: the training images of the known classes (100 each) train a RejectUnknown, which holds out 10 % of them; its
vocabulary and its classifier never see these. 100 test images of each of the 15 classes are judged. The AUROC is the
probability that an image of an unknown class has a greater novelty than an image of a known class. "maximal score" is the
largest decision value of the SVM, the usual baseline, which ``method="score"`` uses. Features are computed once per draw; a
RejectUnknown around the SVM is the same as around the Pipeline, because the same images are held out.

Coverage: the model is fitted on the training images of all classes. In each draw, a part of the test images, which the model
has not seen, calibrates the conformal sets, and the coverage is measured on the others.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import betabinom
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

from featrec import recipes
from featrec.classifiers import RejectUnknown
from featrec.classifiers._rejection import calibration_split
from featrec.cli._bench_results import append, read_results, stamp
from featrec.datasets import load_dataset
from featrec.evaluation import calibration_of, probabilities_of
from featrec.images import read_image
from featrec.preprocessing import Augmented

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "unknown.jsonl"
N_KNOWN, N_DRAWS, N_COVERAGE_DRAWS = 10, 10, 20
N_TEST = 100  # of each class
CALIBRATION_FRACTION, COVERAGE = 0.1, 0.95
N_CALIBRATION, NOMINAL = 500, 0.9
BATCH = 200
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "fisher_svm": ("fisher_svm", {}),
    "fisher_svm, 64 words": ("fisher_svm", {"n_words": 64}),
    "fisher_svm, mirrored": ("fisher_svm", {"mirror": True}),
    "lbp_svm": ("lbp_svm", {}),
    "SqueezeNet features": (
        "cnn_svm",
        {"model": "$FEATREC_DATA/weights/squeezenet1_1.onnx", "layer": "feat", "preprocessing": "caffe", "size": 227},
    ),
}
METHODS = ("confidence", "distance")


def make(title: str, seed: int, n_jobs: int, cache: Path | None) -> Pipeline | Augmented:
    """Return the model of a title, not fitted. Only descriptions by networks are cached; they do not depend on the draw."""
    recipe, options = MODELS[title]
    given = {name: os.path.expandvars(value) if isinstance(value, str) else value for name, value in options.items()}
    kept = {"cache": cache} if recipe.startswith("cnn") else {}
    return recipes.make(recipe, **given, **kept, random_state=seed, n_jobs=n_jobs)


def unknown_row(title: str, seed: int, n_jobs: int, cache: Path | None) -> dict[str, Any]:
    """Fit a model on known classes, and judge test images of all classes."""
    train, test = load_dataset("scene15")
    classes = np.unique(train.labels)
    known = np.sort(np.random.default_rng(seed).permutation(classes)[:N_KNOWN])
    own = train[np.flatnonzero(np.isin(train.labels, known))]
    labels = np.asarray(own.labels)
    learned, held = calibration_split(labels, CALIBRATION_FRACTION, seed)
    model = make(title, seed, n_jobs, cache)
    mirrored, model = isinstance(model, Augmented), getattr(model, "model", model)
    steps, head = Pipeline(model.steps[:-1]), model.steps[-1][1]
    if mirrored:  # as Augmented does: the vocabulary and the classifier learn from copies, too
        pairs = [(image, np.ascontiguousarray(image[:, ::-1])) for image in map(read_image, own[learned])]
        both = steps.fit_transform([image for pair in pairs for image in pair], np.repeat(labels[learned], 2))
        first, head = both[::2], _WithCopies(head, both[1::2])
    else:
        first = steps.fit_transform(own[learned], labels[learned])
    codes = np.empty((len(labels), first.shape[1]), np.float32)
    codes[learned], codes[held] = first, steps.transform(own[held])
    judges = {method: _judge(head, method, seed).fit(codes, labels) for method in METHODS}
    del codes, first
    return {
        "key": f"unknown, {title}, {seed}",
        "title": title,
        "seed": seed,
        "known": known.tolist(),
        "n_train": len(learned),
        "n_calibration": len(held),
        **_judged(steps, judges, test[drawn(test.labels, seed)], known),
        **stamp(packages=["onnxruntime"], watched=[Path(__file__)]),
    }


class _WithCopies(ClassifierMixin, BaseEstimator):
    """A classifier that learns from each row and from the code of its mirrored copy."""

    def __init__(self, model: Any, copies: np.ndarray):
        self.model, self.copies = model, copies

    def __sklearn_clone__(self) -> _WithCopies:
        return _WithCopies(clone(self.model), self.copies)

    def fit(self, X: np.ndarray, y: Any) -> _WithCopies:
        self.model.fit(np.stack([X, self.copies], axis=1).reshape(-1, X.shape[1]), np.repeat(y, 2))
        self.classes_ = self.model.classes_
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(X))

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.decision_function(X))


def drawn(labels: Any, seed: int) -> np.ndarray:
    """Draw the same number of rows of each class, in the order of the images."""
    random, labels = np.random.default_rng((seed, 1)), np.asarray(labels)
    each = [random.permutation(np.flatnonzero(labels == name))[:N_TEST] for name in np.unique(labels)]
    return np.sort(np.concatenate(each))


def _judge(head: Any, method: str, seed: int) -> RejectUnknown:
    fraction = CALIBRATION_FRACTION
    return RejectUnknown(head, method=method, coverage=COVERAGE, calibration_fraction=fraction, random_state=seed)


def _judged(steps: Pipeline, judges: dict[str, RejectUnknown], test: Any, known: np.ndarray) -> dict[str, Any]:
    """Return the figures on the test images."""
    truth = np.asarray(test.labels)
    parts = [_of_batch(judges, steps.transform(test[start : start + BATCH])) for start in range(0, len(truth), BATCH)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    new = ~np.isin(truth, known)
    right = found["label"][~new] == truth[~new]
    scores = {"maximal score": -found["scores"].max(axis=1)} | {name: found[name] for name in judges}
    return {
        "n_known": int((~new).sum()),
        "n_unknown": int(new.sum()),
        "accuracy": float(right.mean()),
        "auroc": {name: float(roc_auc_score(new, score)) for name, score in scores.items()},
        "known_accepted": {name: float((found[name] <= judges[name].threshold_)[~new].mean()) for name in judges},
        "unknown_rejected": {name: float((found[name] > judges[name].threshold_)[new].mean()) for name in judges},
        "ece": {
            "before": _ece(softmax(found["scores"][~new]), known, truth[~new]),
            "after": _ece(found["shares"][~new], known, truth[~new]),
        },
    }


def _of_batch(judges: dict[str, RejectUnknown], codes: np.ndarray) -> dict[str, np.ndarray]:
    judge = judges["confidence"]
    scores = {"scores": judge.decision_function(codes), "shares": judge.predict_proba(codes)}
    return scores | {"label": judge.model_.predict(codes)} | {name: each.novelty(codes) for name, each in judges.items()}


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return decision values as if they were logarithms of probabilities."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


class _Told:
    """A model whose probabilities are given."""

    def __init__(self, classes: np.ndarray):
        self.classes_ = classes

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X


def _ece(shares: np.ndarray, classes: np.ndarray, truth: np.ndarray) -> float:
    found = calibration_of([probabilities_of(_Told(classes), shares, truth)])
    assert found is not None
    return found.ece


def coverage_rows(title: str, n_jobs: int, cache: Path | None, seeds: list[int]) -> Iterator[dict[str, Any]]:
    """Fit a model on the training images of all classes, and yield the coverage in each draw of calibration images."""
    train, test = load_dataset("scene15")
    truth = np.asarray(test.labels)
    model = make(title, 0, n_jobs, cache).fit(train, train.labels)
    steps, head = Pipeline(model.steps[:-1]), model.steps[-1][1]
    batches = [head.decision_function(steps.transform(test[start : start + BATCH])) for start in range(0, len(truth), BATCH)]
    scores = np.concatenate(batches)
    for seed in seeds:
        yield covered(title, scores, head.classes_, truth, seed) | stamp(watched=[Path(__file__)])


class _Scored(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose codes are the decision values of another one."""

    def __init__(self, classes: np.ndarray):
        self.classes = self.classes_ = classes

    def fit(self, X: Any, y: Any) -> _Scored:
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return X

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.classes_[X.argmax(axis=1)])


def covered(title: str, scores: np.ndarray, classes: np.ndarray, truth: np.ndarray, seed: int) -> dict[str, Any]:
    """Calibrate on a part of the images, and return the share of the others whose set contains the true class."""
    order = np.random.default_rng(seed).permutation(len(truth))
    own, others = order[:N_CALIBRATION], order[N_CALIBRATION:]
    judge = RejectUnknown(FrozenEstimator(_Scored(classes)), method="conformal", coverage=NOMINAL)
    members = judge.fit(scores[own], truth[own]).predict_sets(scores[others])
    n_covered = int(members[np.arange(len(others)), np.searchsorted(classes, truth[others])].sum())
    return {
        "key": f"coverage, {title}, {seed}",
        "title": title,
        "seed": seed,
        "nominal": NOMINAL,
        "n_calibration": len(own),
        "n_test": len(others),
        "n_covered": n_covered,
        "coverage": n_covered / len(others),
        "interval": list(interval(len(own), len(others), NOMINAL)),
        "mean_size": float(members.sum(axis=1).mean()),
        "empty": float((~members.any(axis=1)).mean()),
    }


def interval(n_calibration: int, n_test: int, nominal: float) -> tuple[float, float]:
    """Return the 99 % interval of the coverage of one draw: that of a beta-binomial distribution."""
    rank = int(np.ceil((n_calibration + 1) * nominal - 1e-9))
    low, high = betabinom(n_test, rank, n_calibration + 1 - rank).interval(0.99)
    return float(low) / n_test, float(high) / n_test


def show(rows: list[dict[str, Any]]) -> str:
    """Return the tables of the rows."""
    lines = []
    for title in dict.fromkeys(row["title"] for row in rows):
        draws = [row for row in rows if row["title"] == title and row["key"].startswith("unknown")]
        if draws:
            lines += _table_of_draws(title, sorted(draws, key=lambda row: row["seed"]))
        draws = [row for row in rows if row["title"] == title and row["key"].startswith("coverage")]
        if draws:
            lines += _lines_of_coverage(title, sorted(draws, key=lambda row: row["seed"]))
    return "\n".join(lines).strip()


def _table_of_draws(title: str, rows: list[dict[str, Any]]) -> list[str]:
    names = list(rows[0]["auroc"])
    lines = [f"{title}: AUROC of known against unknown classes", "", f"| draw | {' | '.join(names)} | accuracy, % | ECE, % |"]
    lines.append("| :--- |" + " ---: |" * (len(names) + 2))
    for row in rows:
        values = " | ".join(f"{row['auroc'][name]:.3f}" for name in names)
        ece = f"{100 * row['ece']['before']:.1f} → {100 * row['ece']['after']:.1f}"
        lines.append(f"| {row['seed']} | {values} | {100 * row['accuracy']:.1f} | {ece} |")
    means = " | ".join(f"{np.mean([row['auroc'][name] for row in rows]):.3f}" for name in names)
    before, after = (100 * np.mean([row["ece"][name] for row in rows]) for name in ("before", "after"))
    accuracy = 100 * np.mean([row["accuracy"] for row in rows])
    lines += [f"| mean | {means} | {accuracy:.1f} | {before:.1f} → {after:.1f} |", ""]
    for name in rows[0]["known_accepted"]:
        accepted, rejected = (100 * np.mean([row[key][name] for row in rows]) for key in ("known_accepted", "unknown_rejected"))
        lines.append(f"{name}: {accepted:.1f} % of the known classes accepted, {rejected:.1f} % of the unknown ones rejected.")
    return [*lines, ""]


def _lines_of_coverage(title: str, rows: list[dict[str, Any]]) -> list[str]:
    found = np.array([row["coverage"] for row in rows])
    low, high = rows[0]["interval"]
    inside = int(((found >= low) & (found <= high)).sum())
    return [
        f"{title}: conformal sets with a nominal coverage of {100 * rows[0]['nominal']:g} %",
        "",
        f"coverage {', '.join(f'{100 * value:.1f}' for value in found)} %: mean {100 * found.mean():.2f} %; {inside} of "
        f"{len(found)} draws are inside the beta-binomial 99 % interval from {100 * low:.1f} to {100 * high:.1f} %. "
        f"A set has {np.mean([row['mean_size'] for row in rows]):.2f} classes on average.",
        "",
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure the rows that the file lacks, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["unknown", "coverage", "show"])
    parser.add_argument("--only", action="append", choices=list(MODELS), help="measure only this model (may be repeated)")
    parser.add_argument("--draws", type=int, help=f"number of draws (default: {N_DRAWS}, and {N_COVERAGE_DRAWS} for coverage)")
    parser.add_argument("--cache", type=Path, help="folder for the descriptions of networks")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--n-jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    kept = read_results(options.out)
    for title in (options.only or MODELS) if options.what != "show" else ():
        seeds = range(options.draws or (N_DRAWS if options.what == "unknown" else N_COVERAGE_DRAWS))
        missing = [seed for seed in seeds if f"{options.what}, {title}, {seed}" not in kept]
        if options.what == "unknown":
            rows: Any = (unknown_row(title, seed, options.n_jobs, options.cache) for seed in missing)
        else:
            rows = coverage_rows(title, options.n_jobs, options.cache, missing) if missing else ()
        for row in rows:
            append(options.out, row)
            print(row["key"], row.get("auroc", row.get("coverage")), flush=True)
    print(show(list(read_results(options.out).values())))


if __name__ == "__main__":
    main()
