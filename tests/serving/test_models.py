"""Models: files by name, replaced when they change; a bad one changes nothing."""

import os
import shutil

import pytest

from featrec.evaluation import TrainingSummary
from featrec.exceptions import InputError, ModelFileError
from featrec.persistence import save
from featrec.serving import _models
from featrec.serving._models import Models
from tests.serving.models import pixels, with_probabilities, with_scores


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    save(with_probabilities(), folder / "knn.model")
    save(with_scores(), folder / "svm.model")
    return folder


@pytest.fixture
def folder(files, tmp_path):
    shutil.copytree(files, tmp_path / "models")
    return tmp_path / "models"


def replace(folder, name, source):
    shutil.copy(source, folder / "new.tmp")
    os.replace(folder / "new.tmp", folder / name)


def loaded(source):
    events = []
    models = Models(source, on_load=lambda name, good: events.append((name, good)))
    models.load()
    return models, events


def test_a_folder_has_the_names_of_its_files(folder):
    (folder / "notes.txt").write_text("no model")
    (folder / ".hidden.model").write_text("no model")
    models, events = loaded(folder)
    assert [model.name for model in models.all()] == ["knn", "svm"]
    assert events == [("knn", True), ("svm", True)]
    assert models.get("knn").predictor.predict([pixels(200)])[0].label == "light"
    assert models.get() is None
    assert models.get("no") is None


def test_the_version_is_that_of_the_content(folder):
    one, other = loaded(folder)[0].all()
    assert len(one.version) == 12
    assert one.version != other.version
    assert loaded(folder / "knn.model")[0].get().version == one.version


def test_a_changed_file_replaces_its_model_at_the_second_look(folder):
    models, events = loaded(folder / "knn.model")
    old = models.get()
    models.refresh()
    replace(folder, "knn.model", folder / "svm.model")
    models.refresh()  # it may still be written
    assert models.get() is old
    models.refresh()
    assert models.get().version != old.version
    assert models.get().predictor.has_confidence is False
    assert old.predictor.predict([pixels(40)])[0].label == "dark"  # what is in progress ends
    new = models.get()
    models.refresh()
    assert models.get() is new
    assert events == [("knn", True), ("knn", True)]


def test_a_bad_file_changes_nothing_and_is_tried_once(folder, caplog):
    models, events = loaded(folder)
    old = models.get("knn")
    (folder / "knn.model").write_bytes(b"garbage")
    for _ in range(4):
        models.refresh()
    assert models.get("knn") is old
    assert "not a model file" in models.errors["knn"]
    assert events[2:] == [("knn", False)]
    assert "the old model stays" in caplog.text
    replace(folder, "knn.model", folder / "svm.model")
    models.refresh()
    models.refresh()
    assert models.errors == {}
    assert models.get("knn").version == models.get("svm").version


def test_a_new_file_becomes_a_model(folder):
    models, _ = loaded(folder)
    shutil.copy(folder / "knn.model", folder / "third.model")
    models.refresh()
    models.refresh()
    assert models.get("third").version == models.get("knn").version


def test_a_removed_file_is_served_until_it_is_gone_for_some_time(folder, monkeypatch):
    models, _ = loaded(folder)
    (folder / "knn.model").unlink()
    models.refresh()
    assert models.get("knn") is not None
    monkeypatch.setattr(_models, "PATIENCE", -1.0)
    models.refresh()
    assert [model.name for model in models.all()] == ["svm"]


def test_a_bad_file_among_good_ones_is_reported(folder):
    (folder / "bad.model").write_bytes(b"garbage")
    models, events = loaded(folder)
    assert [model.name for model in models.all()] == ["knn", "svm"]
    assert ("bad", False) in events
    assert list(models.errors) == ["bad"]


def test_nothing_but_bad_files_is_an_error(tmp_path):
    (tmp_path / "bad.model").write_bytes(b"garbage")
    with pytest.raises(ModelFileError, match="not a model file"):
        loaded(tmp_path)
    (tmp_path / "bad.model").unlink()
    with pytest.raises(InputError, match="has no model file"):
        Models(tmp_path)


def test_names_are_checked():
    with pytest.raises(InputError, match=r"'\.\./knn' is no name of a model"):
        Models({"../knn": with_probabilities()})


def test_drift_from_the_training_set_needs_a_summary_in_the_file(folder):
    model = with_probabilities()
    images = [pixels(level, seed) for seed in range(20) for level in (40, 200)]
    save(model, folder / "knn.model", summary=TrainingSummary.of(model, images))
    (found,) = _of(folder / "knn.model", drift="training").all()
    found.predictor.predict(images)
    found.predictor.drift.join()
    assert found.predictor.drift.gauges()["images"] == 40
    with pytest.raises(InputError, match="has no summary of its training set"):
        _of(folder / "svm.model", drift="training")
    with pytest.raises(InputError, match="needs a model file that was trained with --keep-summary"):
        Models(model, options={"drift": "training"})
    assert [one.predictor.drift.watcher.reference for one in _of(folder, drift=30).all()] == [30, 30]


def _of(source, **options):
    models = Models(source, options=options)
    models.load()
    return models


def test_each_model_has_its_own_watcher_of_drift():
    class Watch:
        def __init__(self, model):
            self.model, self.n = model, 0

        def update(self, codes, confidences, brightness):
            self.n += len(codes)

        def gauges(self):
            return {"n": self.n}

    knn, svm = with_probabilities(), with_scores()
    models = Models({"knn": knn, "svm": svm}, options={"drift": Watch})
    models.get("knn").predictor.predict([pixels(40)])
    models.get("knn").predictor.drift.join()
    assert [model.predictor.drift.gauges()["n"] for model in models.all()] == [1, 0]
    assert models.get("svm").predictor.drift.watcher.model is svm
