"""Use a cluster: a pipeline on a Dask cluster, with the images on shared storage.

    python docs/how_to/dask_cluster.py                      two processes on this machine, to try it
    python docs/how_to/dask_cluster.py tcp://head:8786      a running cluster

Run ``pip install featrec[dask]`` on all machines. Inside ``joblib.parallel_config("dask")``, every featrec pipeline sends its
batches to the cluster, in ``fit``, ``transform`` and ``predict``; the codes are identical to the bit. Do not set
``n_jobs=1`` in estimators, which disables the cluster.

What every worker needs
    The images under the same absolute paths: shared storage, mounted at the same place.
    The same versions as this machine; ``different_versions`` below checks them. Other versions of OpenCV find other keypoints.
    A folder for compiled loops. If the package is on storage that workers cannot write to, set NUMBA_CACHE_DIR for each
    worker; otherwise, every worker compiles again.
    One thread: ``dask worker tcp://head:8786 --nworkers 16 --nthreads 1``. Processes do not share Python's global lock.

What goes over the network
    To a worker: the paths of a batch (at most 32) and the fitted steps, with every batch. Back: the codes. Images and
    descriptors are not sent, except for the sample that a vocabulary is learned from (``max_descriptors``).
    Clustering this sample, kernels and classifiers work on arrays in memory, with the threads of this machine.

What happens when a worker dies
    Its batch goes to another worker. A batch that has killed four workers is given up
    (``distributed.scheduler.allowed-failures``); the usual cause is too little memory. When this process ends, everything
    that it has not written is lost. For millions of images, write the codes block by block, as below, or use no cluster:

        split --number=l/8 --numeric-suffixes pictures.txt part-
        featrec encode my.model - --out codes-03.npy < part-03        # on machine 3 of 8; resumes after a kill

    Searches (``GridSearchCV``, ``cross_val_score``) send whole fits to the workers; each of them works alone.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import joblib
import numpy as np

from featrec.recipes import bovw_svm


def versions():
    """The versions that determine the codes."""
    import cv2
    import numpy
    import sklearn

    import featrec

    return {module.__name__: module.__version__ for module in (featrec, cv2, numpy, sklearn)}


def different_versions(client):
    """The workers with other versions than this process, and these versions."""
    return {address: found for address, found in client.run(versions).items() if found != versions()}


def encode(steps, paths, out, block=4096):
    """Write the codes of all images to one file, with only one block in memory."""
    width = steps.transform(paths[:1]).shape[1]
    codes = np.lib.format.open_memmap(out, mode="w+", dtype=np.float32, shape=(len(paths), width))
    for start in range(0, len(paths), block):
        with joblib.parallel_config("dask"):
            codes[start : start + block] = steps.transform(paths[start : start + block])
        codes.flush()
    return codes


def learn(paths, labels):
    """Fit a model; the workers read the images."""
    with joblib.parallel_config("dask"):
        return bovw_svm(n_words=100).fit(paths, labels)


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    from distributed import Client, LocalCluster
    from PIL import Image

    from featrec.datasets import load_dataset

    local = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    cluster = nullcontext(sys.argv[1]) if len(sys.argv) > 1 else LocalCluster(**local)
    with cluster as place, Client(place) as client, TemporaryDirectory(dir=".") as shared:
        print("workers with other versions:", different_versions(client) or "none")
        shapes, _ = load_dataset("shapes", n_train=400, n_test=1)
        paths = [str(Path(shared, f"{i}.png").absolute()) for i in range(len(shapes))]
        for path, image in zip(paths, shapes, strict=True):
            Image.fromarray(image).save(path)
        model = learn(paths[:200], shapes.labels[:200])
        codes = encode(model[:-1], paths, Path(shared, "codes.npy"), block=100)
        same = np.array_equal(codes, model[:-1].transform(paths))
        print(f"{len(codes)} codes of {codes.shape[1]} numbers; the same as without a cluster: {same}")
        print(f"{100 * np.mean(model[-1].predict(codes[200:]) == shapes.labels[200:]):.0f} % of the other images are correct")
