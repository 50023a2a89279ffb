"""The command ``encode``. An interrupted run can be resumed."""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrec.cli._arguments import add_threads, check_outputs, count, read_model
from featrec.cli._terminal import each_or_error, report, say
from featrec.exceptions import EmptyBagWarning, ImageError, InputError

if TYPE_CHECKING:
    import numpy as np

    from featrec.cli._codes_file import CodesFile
    from featrec.cli._images import ImageFiles
    from featrec.lazy import Images

__all__ = ["add_encode_arguments", "run_encode"]

# The batch size is fixed, so every bit of the codes is the same for any number of threads and after any interruption.
BATCH = 16
LARGEST_BLOCK = 1024
BLOCK_BYTES = 2**25


def add_encode_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file from 'featrec train' or featrec.persistence.save")
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="images, folders with images at any depth, archives (.zip, .tar, .tar.gz) or manifests (.csv); "
        "use - to read paths from standard input",
    )
    parser.add_argument(
        "--out",
        metavar="FILE.npy",
        type=Path,
        required=True,
        help="output file: float32, one row per image; open it with numpy.load",
    )
    add_threads(parser)
    parser.add_argument(
        "--save-every",
        metavar="N",
        type=count,
        default=LARGEST_BLOCK,
        help="save after every N images, so that a killed run loses at most N images "
        f"(default: {LARGEST_BLOCK}, fewer for long codes)",
    )
    parser.add_argument("--restart", action="store_true", help="discard the work of an earlier run")
    parser.add_argument("--force", action="store_true", help="replace an existing output file")


def run_encode(arguments: argparse.Namespace) -> int:
    """Write the codes of any number of images to one file; an interrupted run can be resumed.

    All usable images are encoded. Returns 1 if some images could not be used.
    """
    from featrec.cli._codes_file import CodesFile
    from featrec.cli._images import gather
    from featrec.lazy import Images

    out = arguments.out
    if out.suffix != ".npy":
        raise InputError(f"--out must be a file name that ends in .npy; got {str(out)!r}")
    check_outputs(out, example="codes.npy")
    encoding = _Encoding(read_model(arguments.model), arguments.model)
    images = gather(arguments.files)
    with CodesFile(out, _task(arguments.model, images), len(images), fresh=arguments.restart) as file:
        _refuse_existing(file, arguments.force)
        if not file.published:
            _encode(encoding, Images(images), file, arguments)
            _write_names(images, file)
            file.publish()
        file.clear()
    return _summarize(file)


def _task(model: str, images: ImageFiles) -> dict[str, Any]:
    """Return everything that must be the same in an interrupted run and in the run that resumes it."""
    import cv2
    import numpy
    import sklearn

    import featrec

    with open(model, "rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "the model": content,
        "the list of images": images.fingerprint(),
        "what is installed": {module.__name__: module.__version__ for module in (featrec, cv2, numpy, sklearn)},
    }


def _encode(encoding: _Encoding, images: Images, file: CodesFile, arguments: argparse.Namespace) -> None:
    with warnings.catch_warnings():
        # A warning would be shown for each batch. Instead, the summary counts the images without features.
        warnings.simplefilter("ignore", EmptyBagWarning)
        if file.width is None:
            file.begin(encoding.first_width(images))
        elif file.n_done:
            print(f"resuming after {file.n_done:,} of {len(images):,} images")
        for rows, failures in _blocks(encoding, images, file, arguments):
            report(ImageError(reason, item=images.name(row)) for row, reason in failures)
            file.append(rows, {"failures": failures, "zeros": int((~rows.any(axis=1)).sum())})


def _blocks(
    encoding: _Encoding, images: Images, file: CodesFile, arguments: argparse.Namespace
) -> Iterator[tuple[np.ndarray, list[tuple[int, str]]]]:
    """Yield the remaining blocks of codes, with the row and reason of each unusable image; its code is zero."""
    import numpy as np

    from featrec.parallel import map_batches

    assert file.width is not None
    nothing = np.zeros(file.width, np.float32)
    size = _block_size(arguments.save_every, file.width)
    begin, first = time.perf_counter(), file.n_done
    for start in range(first, len(images), size):
        block = images[start : start + size]
        parts = map_batches(encoding, block, n_jobs=arguments.n_jobs, batch_size=BATCH)
        codes = [code for part in parts for code in part]
        failures = [(start + row, code.reason) for row, code in enumerate(codes) if isinstance(code, ImageError)]
        yield np.stack([nothing if isinstance(code, ImageError) else code for code in codes]), failures
        done = start + len(block)
        say(f"{done:>9,} of {len(images):,}, {(done - first) / (time.perf_counter() - begin):.0f} a second")


def _block_size(most: int, width: int) -> int:
    """Return a multiple of the batch size, because batches must start at the same images in every run."""
    size = min(most, max(1, BLOCK_BYTES // (4 * max(1, width))))
    return BATCH * max(1, size // BATCH)


class _Encoding:
    """The steps that compute codes in a model."""

    def __init__(self, model: Any, name: str):
        self.name = name
        self.steps = _steps_to_codes(model, name)
        policies = [key for key in self.steps.get_params() if key.endswith("on_error")]
        self.steps.set_params(**dict.fromkeys(policies, "raise"))

    def __call__(self, images: Images) -> list[Any]:
        """Return the code of each image, or an ImageError if the image is unusable."""
        from featrec.parallel import alone

        with alone():
            return each_or_error(self._codes, images)

    def first_width(self, images: Images) -> int:
        """Return the length of a code, computed from the first usable image."""
        first: ImageError | None = None
        for row in range(len(images)):
            (code,) = self(images[row : row + 1])
            if not isinstance(code, ImageError):
                return len(code)
            first = first or code
        raise InputError(f"none of the {len(images):,} images can be used; the first error: {first and first.brief()}")

    def _codes(self, images: Images) -> np.ndarray:
        import numpy as np

        codes = self.steps.transform(images)
        if not isinstance(codes, np.ndarray) or codes.ndim != 2:
            raise InputError(
                f"{self.name}: the steps before the classifier return {type(codes).__name__} instead of codes; "
                "the model needs an extractor that returns one row per image, or an encoder"
            )
        return codes.astype(np.float32, copy=False)


def _steps_to_codes(model: Any, name: str) -> Any:
    """Return a pipeline without its final predictor."""
    from sklearn.pipeline import Pipeline

    model = _fitted_pipeline(model)
    if isinstance(model, Pipeline) and hasattr(model[-1], "predict") and len(model) > 1:
        return model[:-1]
    if not hasattr(model, "transform"):
        raise InputError(
            f"{name} contains a {type(model).__name__}, which computes no codes; expected a pipeline of steps that compute "
            "codes, with or without a final classifier"
        )
    return model


def _fitted_pipeline(model: Any) -> Any:
    """Return the fitted pipeline inside an augmented or calibrated model, or inside a model that rejects unknown images."""
    from sklearn.calibration import CalibratedClassifierCV

    from featrec.classifiers import Calibrated, RejectUnknown
    from featrec.preprocessing import Augmented, PredictAugmented

    if isinstance(model, (Augmented, PredictAugmented, RejectUnknown)) and hasattr(model, "model_"):
        return _fitted_pipeline(model.model_)
    if isinstance(model, Calibrated) and hasattr(model, "estimator_"):
        return _fitted_pipeline(model.estimator_)
    if isinstance(model, CalibratedClassifierCV) and len(getattr(model, "calibrated_classifiers_", ())) == 1:
        return _fitted_pipeline(model.calibrated_classifiers_[0].estimator)
    return model


def _names_file(out: Path) -> Path:
    return out.with_suffix(".rows.csv")


def _refuse_existing(file: CodesFile, force: bool) -> None:
    """Raise an error if an output file exists, unless an interrupted run of the same task wrote it. `file` must be locked."""
    for path in (file.out, _names_file(file.out)):
        if path.exists() and not force and file.width is None:
            raise InputError(f"{path} exists; use --force to replace it")


def _write_names(images: ImageFiles, file: CodesFile) -> None:
    """Write a CSV file with the path and label of each row, and the error of each unusable image."""
    reasons = {row: reason for block in file.blocks for row, reason in block["failures"]}
    target = _names_file(file.out)
    growing = target.with_name(target.name + ".part")
    with open(growing, "w", newline="", encoding="utf-8", errors="surrogateescape") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["row", "path", "label", "error"])
        writer.writerows((row, images.name(row), images.labels[row], reasons.get(row, "")) for row in range(len(images)))
        table.flush()
        os.fsync(table.fileno())
    os.replace(growing, target)


def _summarize(file: CodesFile) -> int:
    failed = sum(len(block["failures"]) for block in file.blocks)
    empty = sum(block["zeros"] for block in file.blocks) - failed
    size = file.out.stat().st_size / 1e6
    print(f"wrote {file.out} ({file.n_rows:,} codes of {file.width:,} numbers, {size:.1f} MB) and {_names_file(file.out)}")
    if empty:
        print(f"{empty:,} codes are zero, because no features were found in these images")
    if failed:
        sys.stderr.write(f"featrec: {failed:,} of {file.n_rows:,} images could not be used; their codes are zero\n")
    return 1 if failed else 0
