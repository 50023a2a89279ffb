"""Speed of WideScaler and WideRidgeClassifier, and peak memory compared with scikit-learn.

    python -m benchmarks.rows.wide_ridge [ROWS COLUMNS [SIDE]]

This command fits featrec and scikit-learn on the same codes, by default 20,000 × 8,000, each in a new process. It prints time,
peak memory and the number of different predictions. SIDE is "ours" or "theirs", to run only one of the two.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from benchmarks.rows._row import Row
from featrec.classifiers import WideRidge, WideScaler

N_CLASSES = 10
DIRECTIONS = 500
# The best penalty for the codes in this file, in the middle of the grid.
ALPHA = 0.3


def rows(scale: float) -> Iterator[Row]:
    """Yield rows for WideRidgeClassifier with one penalty and with a choice of penalties, and for WideScaler."""
    yield one_penalty(max(60, round(20_000 * scale)), max(40, round(8_000 * scale)))
    yield choice(max(60, round(12_000 * scale)), max(40, round(4_000 * scale)))
    yield scaled(max(60, round(10_000 * scale)), max(40, round(8_000 * scale)))


def one_penalty(n: int, d: int) -> Row:
    """Compare with RidgeClassifier, with the same penalty on both sides."""
    codes, labels = material(n, d)
    penalty = ALPHA * float(codes.var(axis=0, dtype=np.float64).sum())
    return Row(
        work=f"ridge, {n:,} codes × {d:,} float32, one penalty",
        against="sklearn RidgeClassifier",
        target=1.0,
        ours=lambda: WideRidge(alphas=ALPHA, n_jobs=2).fit(codes, labels).predict(codes),
        theirs=lambda: RidgeClassifier(alpha=penalty).fit(codes, labels).predict(codes),
        agree=np.testing.assert_array_equal,
        threads=2,
        threads_theirs=2,
        products=float(n) * d * d + d**3 / 3,
    )


def choice(n: int, d: int) -> Row:
    """Choose from five penalties by leaving rows out: scikit-learn leaves out every row, featrec a sample of rows."""
    codes, labels = material(n, d)
    scale = float(codes.var(axis=0, dtype=np.float64).sum())
    ours = WideRidge(n_jobs=2)
    theirs = RidgeClassifierCV(alphas=[alpha * scale for alpha in ours.alphas])

    def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
        # In small test runs, there are too few rows to choose the penalty reliably.
        assert np.mean(ours == theirs) >= (0.99 if n >= 1000 else 0.5), "a different penalty was chosen"

    return Row(
        work=f"ridge, {n:,} codes × {d:,} float32, five penalties, {min(n, ours.loo_samples or n):,} rows left out one by one",
        against="sklearn RidgeClassifierCV, each row left out",
        target=3.0,
        ours=lambda: ours.fit(codes, labels).predict(codes),
        theirs=lambda: theirs.fit(codes, labels).predict(codes),
        agree=agree,
        threads=2,
        threads_theirs=2,
        products=float(n) * d * d + d**3 / 3,
    )


def scaled(n: int, d: int) -> Row:
    """Compare the square root, standardised columns, and scaling rows to length 1."""
    codes = np.random.default_rng(0).random((n, d), np.float32)
    theirs = make_pipeline(FunctionTransformer(np.sqrt), StandardScaler(), Normalizer())

    def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
        np.testing.assert_allclose(ours, theirs, atol=1e-5)

    return Row(
        work=f"square root, standardise, unit length, {n:,} codes × {d:,} float32",
        against="sklearn, three transformers",
        target=3.0,
        ours=lambda: WideScaler(power=0.5, unit_length=True, n_jobs=1).fit_transform(codes),
        theirs=lambda: theirs.fit_transform(codes),
        agree=agree,
        bytes_moved=4.0 * n * d * 5,
    )


def material(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised codes of unit length, with overlapping classes and a few strong directions."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % N_CLASSES
    directions = random.standard_normal((DIRECTIONS, d), np.float32) * np.float32(0.2)
    directions *= (np.arange(1, DIRECTIONS + 1) ** -0.5).astype(np.float32)[:, None]
    centres = random.standard_normal((N_CLASSES, DIRECTIONS), np.float32) * np.float32(0.15)
    codes = np.empty((n, d), np.float32)
    for start in range(0, n, 1000):
        some = slice(start, min(start + 1000, n))
        drawn = random.standard_normal((some.stop - start, DIRECTIONS), np.float32) + centres[labels[some]]
        codes[some] = drawn @ directions + random.standard_normal((some.stop - start, d), np.float32)
    return WideScaler(unit_length=True, copy=False).fit_transform(codes), labels


def in_this_process(side: str, codes_path: str, answers_path: str, penalty: str) -> dict:
    """Fit and predict in this process; return seconds and gigabytes. featrec also chooses the penalty."""
    with np.load(codes_path) as stored:
        codes, labels = stored["codes"], stored["labels"]
    before, start = peak_gigabytes(), time.perf_counter()
    found = {"side": side, "rows": len(codes), "columns": codes.shape[1]}
    if side == "ours":
        model = WideRidge(n_jobs=2, verbose=1)
        found["announced_gb"] = round(model.memory_needed(*codes.shape) / 1e9, 2)
    else:
        model = RidgeClassifier(alpha=float(penalty))
    model.fit(codes, labels)
    found |= {"seconds": round(time.perf_counter() - start, 1), "before_gb": round(before, 2)}
    found |= {"peak_gb": round(peak_gigabytes(), 2), "penalty": getattr(model, "penalty_", float(penalty))}
    np.save(answers_path, model.predict(codes))
    return found


def peak_gigabytes() -> float:
    """Return the peak memory of this process."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e9


def peaks(n: int = 20_000, d: int = 8_000, sides: tuple[str, ...] = ("ours", "theirs")) -> list[dict]:
    """Run each side in a new process; also return the number of different predictions."""
    with tempfile.TemporaryDirectory() as folder:
        codes, labels = material(n, d)
        np.savez(Path(folder, "codes.npz"), codes=codes, labels=labels)
        del codes
        found, answers, penalty = [], [], ALPHA
        for side in sides:
            arguments = ["--measure", side, f"{folder}/codes.npz", f"{folder}/{side}.npy", str(penalty)]
            command = [sys.executable, "-m", "benchmarks.rows.wide_ridge", *arguments]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found.append(json.loads(done.stdout))
            answers.append(np.load(Path(folder, f"{side}.npy")))
            penalty = found[-1]["penalty"]
    if len(answers) == 2:
        found.append({"different": int((answers[0] != answers[1]).sum()), "of": n})
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(in_this_process(*sys.argv[2:6])))
    else:
        size = [int(argument) for argument in sys.argv[1:3]] or [20_000, 8_000]
        for line in peaks(*size, *([(sys.argv[3],)] if len(sys.argv) > 3 else [])):
            print(json.dumps(line))
