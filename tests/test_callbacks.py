"""scikit-learn's callbacks on featrec's estimators."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from featrec.classifiers import WideRidge
from featrec.datasets import load_dataset
from featrec.descriptors import HOG, ORB, TinyImage
from featrec.encoders import BagOfWords
from featrec.persistence import load, save
from featrec.preprocessing import Augmented

pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")


class Recorder:
    """Note the tasks of a fit, each by estimator, name and number of subtasks."""

    max_propagation_depth = None

    def __init__(self):
        self.begun, self.ended, self.running = [], [], 0

    def setup(self, estimator, context):
        self.running += 1

    def teardown(self, estimator, context):
        self.running -= 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.estimator_name, context.task_name, context.max_subtasks))

    def on_fit_task_end(self, estimator, context):
        self.ended.append((context.estimator_name, context.task_name, context.max_subtasks))


@pytest.fixture(scope="module")
def train():
    return load_dataset("shapes", n_train=16, n_test=1, random_state=0).train


def passes(recorder):
    return [(estimator, task) for estimator, task, _ in recorder.begun if task.startswith("images")]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_each_pass_over_the_images_is_a_task(train, n_jobs):
    recorder = Recorder()
    model = make_pipeline(ORB(), BagOfWords(8, n_jobs=n_jobs, random_state=0), WideRidge())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_callbacks(recorder).fit(train, train.labels)
    assert passes(recorder) == [("BagOfWords", "images sampled"), ("BagOfWords", "images encoded")]
    assert sorted(recorder.begun, key=str) == sorted(recorder.ended, key=str)
    n_batches = sum(n for _, task, n in recorder.begun if task.startswith("images"))
    assert sum(task == "batch" for _, task, _ in recorder.begun) == n_batches >= 2
    assert recorder.running == 0


def test_a_fit_with_callbacks_gives_the_same_model(train):
    codes = [HOG().set_callbacks(*callbacks).fit_transform([train[0]] * 3) for callbacks in ([], [Recorder()])]
    np.testing.assert_array_equal(*codes)


def test_augmented_passes_its_callbacks_to_the_model(train):
    recorder = Recorder()
    model = Augmented(make_pipeline(TinyImage(), WideRidge()), copies=1, random_state=0).set_callbacks(recorder)
    model.fit(train, train.labels)
    assert passes(recorder) == [("TinyImage", "images described")]
    assert not hasattr(model.model_, "_skl_callbacks"), "the inner model is left as it was"


def test_a_search_passes_its_callbacks_on(train):
    recorder = Recorder()
    search = GridSearchCV(make_pipeline(TinyImage(), WideRidge()), {"tinyimage__size": [(2, 2), (4, 4)]}, cv=2)
    search.set_callbacks(recorder).fit(train, np.arange(len(train)) % 2)
    assert len(passes(recorder)) == 5


def test_callbacks_survive_clone_and_are_not_saved(train, tmp_path):
    recorder = Recorder()
    model = TinyImage().set_callbacks(recorder)
    assert clone(model)._skl_callbacks == [recorder]
    model.fit(train)
    save(model, tmp_path / "model")
    assert model._skl_callbacks == [recorder]
    assert not hasattr(load(tmp_path / "model"), "_skl_callbacks")


def test_a_failed_fit_tears_its_callbacks_down(train):
    recorder = Recorder()
    with pytest.raises(ValueError, match="vocabulary"):
        BagOfWords("many").set_callbacks(recorder).fit([train[0]])
    assert recorder.running == 0


def test_the_progress_bar_runs(train):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    model = make_pipeline(TinyImage(), WideRidge()).set_callbacks(ProgressBar())
    assert model.fit(train, train.labels).score(train, train.labels) > 0
