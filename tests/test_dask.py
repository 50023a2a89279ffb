"""Any pipeline on a Dask cluster: what every worker computes from paths is what one process computes."""

import importlib.util
import os
import pickle
import signal
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from featrec import encoders, recipes
from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.exceptions import MissingImageError
from featrec.images import check_images
from featrec.parallel import map_batches, worker_count

distributed = pytest.importorskip("distributed", reason="needs the extra 'dask'")

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how_to" / "dask_cluster.py"
RECIPES = ["hog_svm", "bovw_svm", "orb_knn", "tiny_knn", "color_forest"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Paths and labels."""
    root = tmp_path_factory.mktemp("pictures")
    shapes, _ = load_dataset("shapes", n_train=96, n_test=1, size=64)
    paths = [root / f"{i:03}.png" for i in range(len(shapes))]
    for path, image in zip(paths, shapes, strict=True):
        Image.fromarray(image).save(path)
    return [str(path) for path in paths], shapes.labels


@pytest.fixture(scope="module")
def client():
    """Two processes of one thread each on this machine."""
    where = {"host": "127.0.0.1", "dashboard_address": None, "silence_logs": 50}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **where) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def seeded(name):
    """A recipe that leaves the number of workers to the context."""
    model = recipes.make(name)
    parameters = model.get_params()
    return model.set_params(
        **{key: 0 for key in parameters if key.endswith("random_state")},
        **{key: None for key in parameters if key.endswith("n_jobs")},
    )


def process(batch):
    return os.getpid()


def workers_inside(batch):
    return worker_count(), worker_count(4), worker_count(-1)


@pytest.mark.slow
def test_the_context_alone_sends_work_to_all_workers(client):
    with joblib.parallel_config("dask"):
        assert worker_count() == worker_count(-1) == worker_count(7) == 2
        assert worker_count(1) == 1
        found = set(map_batches(process, list(range(64)), batch_size=1))
    assert found <= set(client.run(os.getpid).values())
    assert os.getpid() not in found


def test_a_worker_of_the_cluster_starts_no_others(client):
    with joblib.parallel_config("dask"):
        assert map_batches(workers_inside, [1, 2, 3], batch_size=1) == [(1, 1, 1)] * 3


def test_functions_that_write_to_shared_arrays_run_locally(client):
    squares = np.zeros(50)

    def square(rows):
        squares[rows.start : rows.stop] = np.square(rows)
        return os.getpid()

    with joblib.parallel_config("dask"):
        assert worker_count(shared_memory=True) == joblib.cpu_count()
        where = map_batches(square, range(50), n_jobs=2, batch_size=5, shared_memory=True)
    assert set(where) == {os.getpid()}
    assert (squares == np.arange(50.0) ** 2).all()


@pytest.mark.parametrize("name", [RECIPES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in RECIPES[1:])])
def test_a_recipe_on_the_cluster(client, images, name):
    paths, labels = images
    here = seeded(name).fit(paths[:64], labels[:64])
    with joblib.parallel_config("dask"):
        there = seeded(name).fit(paths[:64], labels[:64])
        codes = there[:-1].transform(paths)
        predicted = there.predict(paths)
    assert np.array_equal(codes, here[:-1].transform(paths))
    assert (predicted == here.predict(paths)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*encoders.__all__} - {"Encoder", "SpatialPyramid"}))
def test_an_encoder_on_the_cluster(client, images, name):
    paths, _ = images
    model = make_pipeline(DenseSIFT(step=12), getattr(encoders, name)(8, random_state=0))
    expected = clone(model).fit_transform(paths)
    with joblib.parallel_config("dask"):
        assert np.array_equal(model.fit_transform(paths), expected)
        assert np.array_equal(model.transform(paths), expected)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_on_another_backend(images, name, backend):
    paths, labels = images
    here = seeded(name).fit(paths[:64], labels[:64])
    with joblib.parallel_config(backend, n_jobs=2):
        there = seeded(name).fit(paths[:64], labels[:64])
        assert np.array_equal(there[:-1].transform(paths), here[:-1].transform(paths))
        assert (there.predict(paths) == here.predict(paths)).all()


def test_a_pickled_batch_holds_its_own_paths_and_no_image(images):
    paths, _ = images
    bags = recipes.bovw_svm()[:1].fit(paths).transform(check_images(paths * 100))
    assert len(pickle.dumps(bags[:32])) < 32 * 1000


def test_the_how_to_runs(client, images, tmp_path):
    specification = importlib.util.spec_from_file_location("dask_cluster", PAGE)
    page = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(page)
    paths, _ = images
    assert page.different_versions(client) == {}
    steps = seeded("tiny_knn").fit(paths, images[1])[:-1]
    codes = page.encode(steps, paths, tmp_path / "codes.npy", block=40)
    assert np.array_equal(codes, steps.transform(paths))


def test_an_error_on_a_worker_names_the_image(client, images):
    paths, labels = images
    model = seeded("hog_svm").fit(paths, labels)
    with joblib.parallel_config("dask"), pytest.raises(MissingImageError, match=r"image 70 \('nowhere/x\.png'\): "):
        model.predict([*paths[:70], "nowhere/x.png"])


@pytest.mark.slow
def test_a_search_distributes_whole_fits(client, images):
    paths, labels = images
    model = seeded("bovw_svm")
    expected = cross_val_predict(clone(model), np.array(paths), labels, cv=3)
    with joblib.parallel_config("dask"):
        found = cross_val_predict(clone(model), np.array(paths), labels, cv=3)
    assert (found == expected).all()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a process is killed by a signal")
def test_a_worker_killed_in_the_middle_loses_nothing(client, images):
    paths, labels = images
    paths = paths * 8
    model = seeded("bovw_svm").fit(paths[:64], labels[:64])
    expected = model[:-1].transform(paths)
    found = []

    def encode():
        with joblib.parallel_config("dask"):
            found.append(model[:-1].transform(paths))

    processes = client.run(os.getpid)
    work = threading.Thread(target=encode)
    work.start()
    busy = wait_for_work(client)
    os.kill(processes[busy], signal.SIGKILL)
    work.join()
    assert np.array_equal(found[0], expected)
    assert processes[busy] not in client.run(os.getpid).values()


def wait_for_work(client):
    """The address of a worker that has done a part and has more to do."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for address, tasks in client.processing().items():
            if tasks and client.has_what().get(address):
                return address
        time.sleep(0.01)
    raise TimeoutError("no worker has begun")
