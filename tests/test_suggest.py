"""recipes.suggest tries what applies, says why the rest does not, and which to take up first."""

import argparse
import json
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline

from featrec import recipes
from featrec.cli import main
from featrec.cli._compare import _wanted
from featrec.compiled._compilations import COMPILATIONS
from featrec.datasets import load_dataset
from featrec.evaluation import Suggestion, Trial, _clock
from featrec.evaluation._suggestion import suggested
from featrec.exceptions import ImageError, InputError
from featrec.preprocessing import Resize
from featrec.recipes._names import variants
from featrec.recipes._suggest import _candidates, _made, _Seen, sample

PATCHES = ["patches_ridge", "patches_kernel", "patches_compact"]
MAKERS = [recipes.patches_ridge, recipes.patches_kernel, recipes.patches_compact]
QUICK = ["tiny_knn", "color_forest", "hog_svm", "orb_knn", "cnn_svm"]


@pytest.fixture(scope="module")
def digits():
    train, _ = load_dataset("digits")
    return np.stack(list(train)), np.asarray(train.labels)


@pytest.fixture(scope="module")
def found(digits):
    return recipes.suggest(*digits, n_images=100, recipes=QUICK)


def test_what_applies_is_tried_and_the_rest_has_a_reason(found):
    assert isinstance(found, Suggestion)
    assert {trial.name: trial.state for trial in found.trials} == {
        "tiny_knn": "tried", "hog_svm": "tried", "color_forest": "left out", "orb_knn": "left out", "cnn_svm": "left out",
    }  # fmt: skip
    assert "these are gray" in found["color_forest"].remark
    assert "all bags are empty" in found["orb_knn"].remark
    assert found["cnn_svm"].remark == "it needs model=...; give recipes={'cnn_svm': {'model': ...}}"
    assert found["hog_svm"].remark == recipes.describe("hog_svm")
    assert found.first in {"tiny_knn", "hog_svm"}


def test_the_figures_are_those_of_the_predictions(found, digits):
    _, labels = digits
    assert len(found.rows) == len(found.y_true) == len(set(found.rows.tolist()))
    np.testing.assert_array_equal(labels[found.rows], found.y_true)
    assert set(np.unique(found.y_true)) == set(np.unique(labels))
    for trial in found.trials[:2]:
        assert trial.n_folds == found.n_folds == 3
        np.testing.assert_array_equal(trial.rows, np.arange(len(found.y_true)))
        assert trial.accuracy == pytest.approx((trial.y_pred == found.y_true).mean())
        assert trial.interval[0] < trial.accuracy < trial.interval[1]
        assert trial.fit_seconds > 0
        assert trial.seconds_per_image > 0
    assert found.trials[0].accuracy >= found.trials[1].accuracy > 0.5


def test_the_same_seed_gives_the_same_figures(found, digits):
    again = recipes.suggest(*digits, n_images=100, recipes=["hog_svm"], n_jobs=2)
    np.testing.assert_array_equal(again["hog_svm"].y_pred, found["hog_svm"].y_pred)
    other = recipes.suggest(*digits, n_images=100, recipes=["tiny_knn"], random_state=1)
    assert set(other.rows.tolist()) != set(found.rows.tolist())


def test_it_is_a_table_and_sentences(found, tmp_path):
    text = str(found)
    assert text == repr(found)
    assert "of 1,198 images, 10 classes, 3 folds; always guessing the largest class would be right for" in text
    assert f"Try {found.first} first: " in text
    assert "orb_knn, left out: " in text
    assert "<th>remark</th>" in found._repr_html_()
    frame = found.to_frame()
    assert list(frame.index) == [trial.name for trial in found.trials]
    assert frame.loc["hog_svm", "accuracy"] == found["hog_svm"].accuracy
    assert frame.loc["hog_svm", "low"] == found["hog_svm"].interval[0]
    assert np.isnan(frame.loc["orb_knn", "accuracy"])
    read = json.loads(found.to_json(tmp_path / "found.json"))
    assert read["first"] == found.first
    assert read["trials"][0]["name"] == found.trials[0].name
    assert "| orb_knn | – |" in found.to_markdown(tmp_path / "found.md")
    with pytest.raises(KeyError, match="no trial 'nothing'; there are"):
        found["nothing"]


class Clock:
    """Time that passes only where a test says so."""

    now = 0.0

    def perf_counter(self):
        return self.now


CLOCK = Clock()


class Slow(ClassifierMixin, BaseEstimator):
    """Takes so many seconds for each image that it learns from; the first fit may take others."""

    def __init__(self, seconds=1.0, first=None):
        self.seconds = seconds
        self.first = first

    def fit(self, X, y):
        few = len(X) < 20
        for _ in X:
            CLOCK.now += self.first if few and self.first is not None else self.seconds
        self.answer_ = y[0]
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.answer_)


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(_clock, "time", CLOCK)
    return CLOCK


def spent(digits, **options):
    """What suggest finds, and the seconds that it takes."""
    before = CLOCK.now
    found = recipes.suggest(*digits, n_images=60, **options)
    return found, CLOCK.now - before


def test_what_would_not_end_is_left_out_with_its_time(digits, clock):
    found, seconds = spent(digits, recipes={"slow": Slow(0.5), "tiny_knn": {}})
    assert seconds == 14, "fourteen images of the rehearsal, twice, and no fit in earnest"
    assert found["slow"].state == "left out"
    assert found["slow"].expected_seconds == pytest.approx(3 * 7 * np.sqrt(40 / 14))
    assert found["slow"].remark == "all 3 folds would take about 35.5 s, and seconds=30 allows less; give more"
    assert found.first == "tiny_knn"
    assert "nothing else could be tried to the end" in str(found)


def test_a_rehearsal_ends_where_the_folds_cannot(digits, clock):
    found, seconds = spent(digits, seconds=12, recipes={"slow": Slow(), "tiny_knn": {}})
    assert seconds == 5, "a third of twelve seconds for one of three folds, and the image that was begun"
    assert found["slow"].remark == "all 3 folds would take at least 12.0 s, and seconds=12 allows less; give more"
    assert found["slow"].expected_seconds == 12


def test_the_quickest_come_first_and_the_rest_gets_what_is_left(digits, clock, capsys):
    models = {"d": Slow(0.25), "c": Slow(0.2), "a": Slow(0.02), "e": Slow(0.3), "b": Slow(0.04)}
    found, seconds = spent(digits, total_seconds=50, recipes=models, verbose=1)
    assert {trial.name for trial in found.trials if trial.state == "tried"} == {"a", "b", "c"}
    rehearsals = 0.25 + 2 * 0.2 + 0.02 + 2 * 0.3 + 0.04
    assert seconds == pytest.approx(14 * rehearsals + 120 * (0.2 + 0.02 + 0.04))
    assert found["d"].remark == "all 3 folds would take about 17.7 s, and 5.82 of total_seconds=50 were left; give more"
    out, told = capsys.readouterr()
    assert out == ""
    assert told.splitlines()[0] == "trying 5 of 5 on 60 images, 50 s at most"
    assert [line.split(":")[0] for line in told.splitlines()[1:]] == list("dcaecdeb")


def test_the_quick_are_tried_though_the_others_use_up_the_time(digits, clock):
    models = {"quick": Slow(0.01), **{f"slow {number}": Slow(0.2) for number in range(9)}}
    found, seconds = spent(digits, total_seconds=9, recipes=models)
    assert seconds < 9.3
    assert found.first == "quick"
    assert found["slow 0"].remark == "all 3 folds would take at least 7.66 s, and 3.26 of total_seconds=9 were left; give more"
    assert found["slow 8"].remark == "nothing was left of total_seconds=9; give more"
    assert found["slow 8"].expected_seconds is None


def test_nothing_is_told_where_nothing_is_asked(digits, capsys):
    recipes.suggest(*digits, n_images=60, recipes=["tiny_knn"])
    assert capsys.readouterr() == ("", "")


def test_what_takes_longer_than_foretold_is_cut_after_whole_folds(digits, clock):
    found, seconds = spent(digits, recipes={"slow": Slow(0.5, first=0.1)})
    trial = found["slow"]
    assert seconds == pytest.approx(1.4 + 30 + 0.5)
    assert trial.state == "cut"
    assert (trial.n_folds, trial.fit_seconds) == (1, 20.0)
    assert len(trial.rows) == len(trial.y_pred) == 20
    assert trial.accuracy == pytest.approx((trial.y_pred == found.y_true[trial.rows]).mean())
    assert trial.remark == "30 s were over with 1 of 3 folds done; give it more seconds and total_seconds"
    assert found.first is None
    assert "nothing to suggest" in str(found)


def test_what_is_cut_in_its_first_fold_has_no_figures(digits, clock):
    found, _ = spent(digits, seconds=10, recipes={"slow": Slow(0.5, first=0.05)})
    assert found["slow"].state == "cut"
    assert found["slow"].accuracy is None


class NeedsMore(Slow):
    """Cannot be fitted to the few images of a rehearsal."""

    def fit(self, X, y):
        if len(X) < 20:
            raise ValueError("too few")
        return super().fit(X, y)


def test_what_cannot_be_rehearsed_has_its_share_of_the_time(digits, clock):
    models = {"blind": NeedsMore(0.5), "more": NeedsMore(0.1), "slow": Slow(0.1)}
    found, _ = spent(digits, total_seconds=40, recipes=models)
    assert found["blind"].remark == "13.3 s were over with 0 of 3 folds done; give it more seconds and total_seconds"
    assert found["more"].state == found["slow"].state == "tried"


def test_the_words_of_a_vocabulary_end_in_time_too(digits):
    from featrec.evaluation._trials import OutOfTime
    from featrec.parallel import observed_by
    from featrec.vocabularies import BinaryVocabulary, GaussianVocabulary, KMeansVocabulary

    points = np.random.default_rng(0).random((300, 4), np.float32)
    packed = (255 * points).astype(np.uint8)
    rounds = []

    def end_in_the_third_round():
        rounds.append(1)
        if len(rounds) == 3:
            raise OutOfTime("in the third round")

    for vocabulary, descriptors in (
        (KMeansVocabulary(9, random_state=0), points),
        (GaussianVocabulary(9, random_state=0), points),
        (BinaryVocabulary(9, random_state=0), packed),
    ):
        rounds.clear()
        with observed_by(end_in_the_third_round), pytest.raises(OutOfTime, match="in the third round"):
            vocabulary.fit(descriptors)


class Compiles(Slow):
    """Something is compiled within each fit."""

    def fit(self, X, y):
        COMPILATIONS.seconds += 500
        CLOCK.now += 500
        return super().fit(X, y)


def test_what_is_compiled_does_not_count(digits, clock, monkeypatch):
    monkeypatch.setattr(COMPILATIONS, "seconds", 0.0)
    found, seconds = spent(digits, recipes={"compiles": Compiles(0.1)})
    assert seconds == pytest.approx(4 * 500 + 134 * 0.1)
    assert found["compiles"].state == "tried"
    assert found["compiles"].fit_seconds == pytest.approx(4.0)


def test_networks_that_learn_from_pixels_come_last(digits, clock):
    class Network(Slow):
        network_kind = "pixels"

    found, _ = spent(digits, recipes={"network": Network(0.06), "slow": Slow(0.1)}, total_seconds=18)
    assert found["slow"].state == "tried"
    assert "would take about 4.26 s, and 3.76 of total_seconds=18 were left" in found["network"].remark


class Broken(Slow):
    def fit(self, X, y):
        raise ZeroDivisionError("by zero")


def test_an_error_of_one_model_costs_nothing_of_the_others(digits):
    found = recipes.suggest(*digits, n_images=60, recipes={"broken": Broken(), "tiny_knn": {"size": 8}})
    assert found["broken"].remark == "ZeroDivisionError: by zero"
    assert found.first == "tiny_knn"


def test_an_image_that_cannot_be_read_is_named_before_anything_is_tried(tmp_path):
    for place in range(8):
        Image.new("L", (20, 20), 30 * place).save(tmp_path / f"{place}.png")
    (tmp_path / "5.png").write_bytes(b"no image")
    paths = [tmp_path / f"{place}.png" for place in range(8)]
    with pytest.raises(ImageError, match=r"5\.png"):
        recipes.suggest(paths, ["a", "b"] * 4, recipes=["tiny_knn"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipes": ["hog_svn"]}, r"there is no recipe 'hog_svn'; .* Did you mean 'hog_svm'\?"),
        ({"recipes": "hog_svm"}, r"write \['hog_svm'\]"),
        ({"recipes": []}, "recipes names none; None tries all"),
        ({"recipes": {"hog_svm": 3}}, "'hog_svm' in recipes has options, as a dict, or is a model; got int"),
        ({"cv": 1}, "cv is an integer from 2 up; got 1"),
        ({"n_images": 0.5}, "n_images is an integer from 1 up; got 0.5"),
        ({"seconds": 0}, "^seconds is a number, more than 0; got 0"),
        ({"total_seconds": -1}, "total_seconds is a number, more than 0; got -1"),
        ({"seconds": "3"}, "^seconds is a number, more than 0; got '3'"),
        ({"recipes": {"mine": "hog_svm"}}, r"recipes\['mine'\] is a text, not a model; write recipes.make\('hog_svm'\)"),
        ({"recipes": {"tiny_knn": {"size": -1}}}, "size"),
        ({"confidence": 95}, "confidence lies between 0 and 1"),
        ({"cv": 1000}, "two classes with 1000 images or more, one for each fold, are needed"),
    ],
)
def test_what_cannot_be_done_is_refused(digits, options, message):
    with pytest.raises(InputError, match=message):
        recipes.suggest(*digits, **options)


def test_one_class_is_refused(digits):
    with pytest.raises(InputError, match=r"labels hold one class, \['cat'\]; models are told apart by two or more"):
        recipes.suggest(digits[0][:9], ["cat"] * 9)


def test_each_class_has_its_share_and_one_for_each_fold():
    labels = np.array(["many"] * 900 + ["some"] * 90 + ["few"] * 5 + ["two"] * 2)
    rows, too_small = sample(labels, 100, 3, 0)
    names, counts = np.unique(labels[rows], return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"few": 3, "many": 90, "some": 9}
    assert too_small == ("two",)
    everything, _ = sample(labels, 10_000, 2, 0)
    np.testing.assert_array_equal(everything, np.arange(len(labels)))


def test_every_name_is_one_that_make_takes(digits):
    assert list(_candidates(None)) == list(variants())
    assert set(recipes.names()) <= set(variants())
    for name in variants():
        if name.partition(":")[0] != "cnn_svm":
            assert hasattr(recipes.make(name), "predict")


def test_a_preset_is_tried_under_its_name():
    model, remark = _made("patches_ridge:digits", {"n_words": 60}, _Seen(True, (8, 8)), {"random_state": 3})
    assert model.named_steps["patches"].mirror is False
    assert remark == recipes.describe("patches_ridge:digits")
    assert _candidates(["patches_ridge:digits"]) == {"patches_ridge:digits": {}}
    with pytest.raises(InputError, match=r"there is no recipe 'patches_ridge:digit'.*Did you mean 'patches_ridge:digits'\?"):
        _candidates(["patches_ridge:digit"])


@pytest.mark.filterwarnings("always")
def test_the_default_runs_and_every_name_in_its_table_can_be_trained(tmp_path, capsys, rng):
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(8):
            size = (*rng.integers(40, 64, 2), 3)
            pixels = (level + rng.integers(-20, 20, size)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    out = tmp_path / "found.json"
    assert main(["suggest", str(tmp_path / "images"), "--n-jobs", "1", "--total-seconds", "6", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert {trial["name"] for trial in found["trials"]} == set(variants())
    assert "Error" not in " ".join(trial["remark"] for trial in found["trials"])
    assert found["first"] is not None
    assert sorted(found["paths"]) == sorted(str(path) for path in (tmp_path / "images").rglob("*.png"))
    *_, words = capsys.readouterr().out.splitlines()
    assert words == f"next: featrec train {tmp_path / 'images'} --recipe {found['first']} --out my.model"
    for trial in found["trials"]:
        if trial["state"] == "tried":
            assert recipes.make(trial["name"])


def test_patches_are_cut_of_large_images_once_they_are_small():
    """A patch at each pixel of a photograph takes gigabytes; the recipes make images smaller unless told not to."""
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, shape, np.uint8) for shape in [(8, 8)] * 5 + [(400, 300)]]
    labels = ["a", "b"] * 3
    small = make_pipeline(Resize((8, 8)), recipes.patches_ridge(n_words=5, size=4, grid=1))
    whole = {f"{name} of whole images": make(n_words=5, image_size=None) for name, make in zip(PATCHES, MAKERS, strict=True)}
    coarse = recipes.patches_ridge(n_words=5, size=4, grid=1, image_size=None).set_params(patches__stride=2)
    found = recipes.suggest(
        images,
        labels,
        cv=2,
        recipes={name: {"n_words": 5} for name in PATCHES} | {"tiny_knn": {}, "small": small, "coarse": coarse} | whole,
    )
    assert [found[name].state for name in whole] == ["left out"] * 3
    assert found["patches_ridge of whole images"].remark.startswith(
        'it is for small images, and one has 300 × 400 pixels; leave image_size="auto", or put Resize('
    )
    assert [found[name].state for name in (*PATCHES, "tiny_knn", "small", "coarse")] == ["tried"] * 6


def test_a_network_is_cut_between_batches(digits):
    pytest.importorskip("skorch", reason="networks need the extra torch")
    start = time.perf_counter()
    options = {"pixels_lenet5": {"size": (12, 12), "epochs": 10**6}}
    found = recipes.suggest(*digits, n_images=40, recipes=options, seconds=1.0)
    assert found["pixels_lenet5"].state == "cut"
    assert time.perf_counter() - start < 30


def made(name, right, seconds, *, state="tried", rows=None, n=100):
    """A trial with so many right, the first of its images."""
    rows = np.arange(n) if rows is None else rows
    y_pred = np.where(np.arange(len(rows)) < right, "a", "b")
    return Trial(name, state, right / len(rows), (0.6, 0.9), seconds, 0.0, 3, "", "", rows, y_pred)


def verdict(*trials):
    y_true = np.array(["a"] * 99 + ["b"])
    first = suggested(list(trials), y_true, 0.05)
    return first, Suggestion(trials, first, 1000, np.arange(100), y_true, 3, (), 0.95).verdict()


def test_within_the_noise_the_fastest_comes_first():
    first, said = verdict(made("best", 90, 9.0), made("near", 88, 1.0), made("far", 60, 0.1))
    assert first == "near"
    assert "its 88.0 % are within the noise of the best, best with 90.0 % (McNemar p = 0.500)" in said[-1]
    assert "1.00 s to learn and to answer where best takes 9.00 s" in said[-1]


def test_more_than_two_points_are_not_given_up_for_speed():
    first, said = verdict(made("best", 70, 9.0), made("quick", 60, 0.1), made("close", 69, 8.0))
    assert first == "close"
    first, said = verdict(made("best", 70, 9.0), made("quick", 66, 0.1))
    assert first == "best"
    assert said[-2:] == [
        "Try best first: it is the most accurate.",
        "100 images cannot tell quick from best; a larger n_images can.",
    ]


def test_beyond_the_noise_the_best_comes_first():
    first, said = verdict(made("best", 90, 9.0), made("far", 60, 0.1))
    assert first == "best"
    assert said[-1] == "Try best first: it is the most accurate, and its lead over far is beyond chance (McNemar p < 0.001)."
    first, said = verdict(made("best", 90, 0.5), made("near", 89, 1.0))
    assert said[-1] == "Try best first: it is the most accurate, and the fastest of those within the noise (near)."


def test_no_better_than_guessing_is_said_first():
    _, said = verdict(made("best", 90, 9.0))
    assert said[0] == "None is beyond chance better than always guessing the largest class (99.0 %)."


def test_one_that_was_ahead_when_it_was_cut_is_told():
    _, said = verdict(made("best", 70, 1.0), made("cut", 40, 30.0, state="cut", rows=np.arange(40, 80)))
    assert said[-1].startswith("cut had 100.0 % against 75.0 % of best on the same images when it was cut")


def test_the_command_tries_what_the_function_tries(tmp_path):
    arguments = argparse.Namespace(recipes="", cnn=[], seed=0, n_jobs=1)
    assert _wanted(arguments) == _candidates(None)
    arguments.recipes = "tiny_knn, hog_svm"
    assert _wanted(arguments) == {"tiny_knn": {}, "hog_svm": {}}
    (tmp_path / "net.onnx").touch()
    arguments.cnn, arguments.recipes = [f"{tmp_path / 'net.onnx'},size=64"], ""
    assert set(_wanted(arguments)) == set(_candidates(None)) - {"cnn_svm"} | {"cnn_svm net"}


def test_the_command_tells_the_way_out_in_the_shells_words(tmp_path, capsys, rng):
    for name in ("dark", "light"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.fromarray(rng.integers(0, 256, (40, 50), dtype=np.uint8)).save(tmp_path / name / f"{number}.png")
    words = ["--recipes", "cnn_svm,tiny_knn", "--cv", "2", "--n-jobs", "1"]
    assert main(["suggest", str(tmp_path), *words]) == 0
    told = capsys.readouterr().out
    assert "it needs the file of a network; use --cnn FILE" in told
    assert "recipes={" not in told


def test_the_command(tmp_path, capsys, rng):
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(6):
            pixels = (level + rng.integers(-20, 20, (24, 32, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    out = tmp_path / "found.json"
    words = ["suggest", str(tmp_path / "images"), "--recipes", "tiny_knn,color_forest", "--cv", "2", "--n-jobs", "1"]
    assert main([*words, "--json", str(out), "--markdown", str(tmp_path / "found.md")]) == 0
    printed = capsys.readouterr().out
    assert "12 of 12 images, 2 classes, 2 folds" in printed
    assert "Try " in printed
    assert {trial["name"] for trial in json.loads(out.read_text())["trials"]} == {"tiny_knn", "color_forest"}
    assert "| recipe | accuracy |" in (tmp_path / "found.md").read_text()
    assert main([*words, "--json", str(tmp_path / "no" / "found.json")]) == 2
    assert "mkdir -p" in capsys.readouterr().err
