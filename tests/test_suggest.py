"""recipes.suggest: trials, time limits and the suggestion."""

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
from featrec.cli._recipes import _wanted
from featrec.compiled._cache import COMPILATIONS
from featrec.datasets import load_dataset
from featrec.evaluation import Suggestion, Trial, _trials, suggested
from featrec.exceptions import ImageError, InputError
from featrec.preprocessing import Resize
from featrec.recipes import variants

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


def test_recipes_that_apply_are_tried_and_the_others_have_a_reason(found):
    assert isinstance(found, Suggestion)
    assert {trial.name: trial.state for trial in found.trials} == {
        "tiny_knn": "tried", "hog_svm": "tried", "color_forest": "left out", "orb_knn": "left out", "cnn_svm": "left out",
    }  # fmt: skip
    assert "the images are gray" in found["color_forest"].remark
    assert "all bags are empty" in found["orb_knn"].remark
    assert found["cnn_svm"].remark == "it needs model=...; give recipes={'cnn_svm': {'model': ...}}"
    assert found["hog_svm"].remark == recipes.describe("hog_svm")
    assert found.first in {"tiny_knn", "hog_svm"}


def test_the_figures_agree_with_the_predictions(found, digits):
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


def test_text_and_conversions(found, tmp_path):
    text = str(found)
    assert text == repr(found)
    assert "of 1,198 images, 10 classes, 3 folds; always predicting the largest class gives" in text
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
    with pytest.raises(KeyError, match="no trial 'nothing'; the trials are"):
        found["nothing"]


class Clock:
    """A clock that tests advance."""

    now = 0.0

    def perf_counter(self):
        return self.now


CLOCK = Clock()


class Slow(ClassifierMixin, BaseEstimator):
    """Needs `seconds` for each training image, or `first` in a fit on few images."""

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
    monkeypatch.setattr(_trials, "time", CLOCK)
    return CLOCK


def spent(digits, **options):
    """The suggestion and the seconds that it took."""
    before = CLOCK.now
    found = recipes.suggest(*digits, n_images=60, **options)
    return found, CLOCK.now - before


def test_a_model_that_would_take_too_long_is_left_out_with_its_estimate(digits, clock):
    found, seconds = spent(digits, recipes={"slow": Slow(0.5), "tiny_knn": {}})
    assert seconds == 14, "two rehearsals with fourteen images, and no fit"
    assert found["slow"].state == "left out"
    assert found["slow"].expected_seconds == pytest.approx(3 * 7 * np.sqrt(40 / 14))
    assert found["slow"].remark == "all 3 folds would take about 35.5 s, more than seconds=30; increase it"
    assert found.first == "tiny_knn"
    assert "it is the only finished trial" in str(found)


def test_a_rehearsal_that_takes_too_long_is_stopped(digits, clock):
    found, seconds = spent(digits, seconds=12, recipes={"slow": Slow(), "tiny_knn": {}})
    assert seconds == 5, "a third of twelve seconds for one of three folds, and one more image"
    assert found["slow"].remark == "all 3 folds would take at least 12.0 s, more than seconds=12; increase it"
    assert found["slow"].expected_seconds == 12


def test_the_fastest_are_tried_first(digits, clock, capsys):
    models = {"d": Slow(0.25), "c": Slow(0.2), "a": Slow(0.02), "e": Slow(0.3), "b": Slow(0.04)}
    found, seconds = spent(digits, total_seconds=50, recipes=models, verbose=1)
    assert {trial.name for trial in found.trials if trial.state == "tried"} == {"a", "b", "c"}
    rehearsals = 0.25 + 2 * 0.2 + 0.02 + 2 * 0.3 + 0.04
    assert seconds == pytest.approx(14 * rehearsals + 120 * (0.2 + 0.02 + 0.04))
    assert found["d"].remark == "all 3 folds would take about 17.7 s, but 5.82 s of total_seconds=50 were left; increase it"
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "trying 5 of 5 models on 60 images, at most 50 s"
    assert [line.split(":")[0] for line in err.splitlines()[1:]] == list("dcaecdeb")


def test_fast_models_are_tried_even_if_rehearsals_of_others_use_up_the_time(digits, clock):
    models = {"fast": Slow(0.01), **{f"slow {number}": Slow(0.2) for number in range(9)}}
    found, seconds = spent(digits, total_seconds=9, recipes=models)
    assert seconds < 9.3
    assert found.first == "fast"
    assert (
        found["slow 0"].remark == "all 3 folds would take at least 7.66 s, but 3.26 s of total_seconds=9 were left; increase it"
    )
    assert found["slow 8"].remark == "total_seconds=9 was nearly used up; increase it"
    assert found["slow 8"].expected_seconds is None
    *_, line = str(found).splitlines()
    assert line.endswith("slow 6, slow 7, slow 8, left out for lack of time; increase total_seconds")


def test_a_model_that_takes_longer_than_estimated_is_cut(digits, clock):
    found, seconds = spent(digits, recipes={"slow": Slow(0.5, first=0.1)})
    trial = found["slow"]
    assert seconds == pytest.approx(1.4 + 30 + 0.5)
    assert trial.state == "cut"
    assert (trial.n_folds, trial.fit_seconds) == (1, 20.0)
    assert len(trial.rows) == len(trial.y_pred) == 20
    assert trial.accuracy == pytest.approx((trial.y_pred == found.y_true[trial.rows]).mean())
    assert trial.remark == "stopped after 30 s with 1 of 3 folds done; increase seconds and total_seconds"
    assert found.first is None
    assert "there is no suggestion" in str(found)


def test_a_model_that_is_cut_in_its_first_fold_has_no_figures(digits, clock, capsys):
    found, _ = spent(digits, seconds=10, recipes={"slow": Slow(0.5, first=0.05)})
    assert found["slow"].state == "cut"
    assert found["slow"].accuracy is None
    assert capsys.readouterr() == ("", ""), "nothing is printed without verbose"


class NeedsMore(Slow):
    """Cannot be fitted on the few images of a rehearsal."""

    def fit(self, X, y):
        if len(X) < 20:
            raise ValueError("too few")
        return super().fit(X, y)


def test_a_model_that_cannot_be_rehearsed_gets_a_share_of_the_time(digits, clock):
    models = {"blind": NeedsMore(0.5), "more": NeedsMore(0.1), "slow": Slow(0.1)}
    found, _ = spent(digits, total_seconds=40, recipes=models)
    assert found["blind"].remark == "stopped after 13.3 s with 0 of 3 folds done; increase seconds and total_seconds"
    assert found["more"].state == found["slow"].state == "tried"


def test_an_observer_can_stop_vocabularies():
    from featrec.parallel import observed_by
    from featrec.vocabularies import BinaryVocabulary, GaussianVocabulary, KMeansVocabulary

    points = np.random.default_rng(0).random((300, 4), np.float32)
    packed = (255 * points).astype(np.uint8)
    rounds = []

    def end_in_the_third_round():
        rounds.append(1)
        if len(rounds) == 3:
            raise TimeoutError("in the third round")

    for vocabulary, descriptors in (
        (KMeansVocabulary(9, random_state=0), points),
        (GaussianVocabulary(9, random_state=0), points),
        (BinaryVocabulary(9, random_state=0), packed),
    ):
        rounds.clear()
        with observed_by(end_in_the_third_round), pytest.raises(TimeoutError, match="in the third round"):
            vocabulary.fit(descriptors)


class Compiles(Slow):
    """Compiles in each fit."""

    def fit(self, X, y):
        COMPILATIONS.seconds += 500
        CLOCK.now += 500
        return super().fit(X, y)


def test_compile_time_does_not_count(digits, clock, monkeypatch):
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
    assert "would take about 4.26 s, but 3.76 s of total_seconds=18 were left" in found["network"].remark


class Broken(Slow):
    def fit(self, X, y):
        raise ZeroDivisionError("by zero")


def test_after_an_error_the_other_models_are_tried(digits):
    found = recipes.suggest(*digits, n_images=60, recipes={"broken": Broken(), "tiny_knn": {"size": 8}})
    assert found["broken"].remark == "ZeroDivisionError: by zero"
    assert found.first == "tiny_knn"


def test_an_unreadable_image_is_reported_before_the_trials(tmp_path):
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
        ({"recipes": ["patches_ridge:digit"]}, r"'patches_ridge:digit'.*Did you mean 'patches_ridge:digits'\?"),
        ({"recipes": "hog_svm"}, r"use \['hog_svm'\]"),
        ({"recipes": []}, "recipes is empty; None tries all"),
        ({"recipes": {"hog_svm": 3}}, r"recipes\['hog_svm'\] must be a dict of options or a model; got int"),
        ({"cv": 1}, "cv must be an integer, at least 2; got 1"),
        ({"n_images": 0.5}, "n_images must be an integer, at least 1; got 0.5"),
        ({"seconds": 0}, "^seconds must be a positive number; got 0"),
        ({"total_seconds": -1}, "total_seconds must be a positive number; got -1"),
        ({"seconds": "3"}, "^seconds must be a positive number; got '3'"),
        ({"recipes": {"mine": "hog_svm"}}, r"recipes\['mine'\] is a string, not a model; use recipes.make\('hog_svm'\)"),
        ({"recipes": {"tiny_knn": {"size": -1}}}, "size"),
        ({"recipes": {"tiny_knn": {"sise": 8}}}, r"recipes\['tiny_knn'\]: .*'sise'; its options are size, n_neighbors"),
        ({"confidence": 95}, "confidence must be between 0 and 1"),
        ({"cv": 1000}, "at least two classes need 1000 images, one for each fold"),
    ],
)
def test_wrong_arguments_are_refused(digits, options, message):
    with pytest.raises(InputError, match=message):
        recipes.suggest(*digits, **options)


def test_one_class_is_refused(digits):
    with pytest.raises(InputError, match=r"labels contain one class, \['cat'\]; a classifier needs at least two"):
        recipes.suggest(digits[0][:9], ["cat"] * 9)


def test_the_sample_is_stratified_with_one_image_of_each_class_for_each_fold():
    labels = np.array(["many"] * 900 + ["some"] * 90 + ["few"] * 5 + ["two"] * 2)
    images = np.zeros((len(labels), 8, 8), np.uint8)
    found = recipes.suggest(images, labels, n_images=100, recipes={"fast": Slow(0)})
    names, counts = np.unique(found.y_true, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"few": 3, "many": 90, "some": 9}
    assert found.left_out_classes == ("two",)
    everything = recipes.suggest(images, labels, n_images=10_000, cv=2, recipes={"fast": Slow(0)})
    np.testing.assert_array_equal(everything.rows, np.arange(len(labels)))


def test_a_preset_is_tried_under_its_name(digits):
    found = recipes.suggest(*digits, n_images=30, recipes={"patches_ridge:digits": {"n_words": 9}})
    assert found["patches_ridge:digits"].remark == recipes.describe("patches_ridge:digits")


@pytest.fixture
def folder(tmp_path, rng):
    """A folder of eight dark and eight light images of several sizes."""
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(8):
            size = (*rng.integers(40, 64, 2), 3)
            pixels = (level + rng.integers(-20, 20, size)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


@pytest.mark.filterwarnings("always")
def test_the_default_runs_and_every_name_in_its_table_can_be_trained(folder, tmp_path, capsys):
    out = tmp_path / "found.json"
    assert main(["suggest", str(folder), "--n-jobs", "1", "--total-seconds", "6", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert {trial["name"] for trial in found["trials"]} == set(variants())
    assert "Error" not in " ".join(trial["remark"] for trial in found["trials"])
    assert found["first"] is not None
    assert sorted(found["paths"]) == sorted(str(path) for path in folder.rglob("*.png"))
    *_, words = capsys.readouterr().out.splitlines()
    assert words == f"next: featrec train {folder} --recipe {found['first']} --out my.model"
    for trial in found["trials"]:
        if trial["state"] == "tried":
            assert recipes.make(trial["name"])


def test_patch_recipes_without_resizing_are_left_out_for_large_images():
    """A patch at each pixel of a photograph takes gigabytes."""
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
        'it is for small images, but one has 300 × 400 pixels; use image_size="auto", or add Resize('
    )
    assert [found[name].state for name in (*PATCHES, "tiny_knn", "small", "coarse")] == ["tried"] * 6


def test_a_network_is_cut_between_batches(digits):
    pytest.importorskip("skorch", reason="networks need the extra torch")
    start = time.perf_counter()
    options = {"pixels_lenet5": {"size": (12, 12), "epochs": 10**6}}
    found = recipes.suggest(*digits, n_images=40, recipes=options, seconds=1.0)
    assert found["pixels_lenet5"].state == "cut"
    assert time.perf_counter() - start < 30


def made(name, correct, seconds, *, state="tried", rows=None, n=100):
    """A trial with correct predictions for the first `correct` images."""
    rows = np.arange(n) if rows is None else rows
    y_pred = np.where(np.arange(len(rows)) < correct, "a", "b")
    return Trial(name, state, correct / len(rows), (0.6, 0.9), seconds, 0.0, 3, "", "", rows, y_pred)


def verdict(*trials):
    y_true = np.array(["a"] * 99 + ["b"])
    first = suggested(list(trials), y_true, 0.05)
    return first, Suggestion(trials, first, 1000, np.arange(100), y_true, 3, (), 0.95).verdict()


def test_without_a_significant_difference_the_fastest_comes_first():
    first, sentences = verdict(made("best", 90, 9.0), made("near", 88, 1.0), made("far", 60, 0.1))
    assert first == "near"
    assert sentences[-1] == (
        "Try near first: its accuracy of 88.0 % is not significantly different from the highest accuracy "
        "(best, 90.0 %; McNemar p = 0.500), and it is faster: 1.00 s to fit and predict, against 9.00 s for best."
    )


def test_more_than_two_points_are_not_given_up_for_speed():
    first, _ = verdict(made("best", 70, 9.0), made("fast", 60, 0.1), made("close", 69, 8.0))
    assert first == "close"
    first, sentences = verdict(made("best", 70, 9.0), made("fast", 66, 0.1))
    assert first == "best"
    assert sentences[-2:] == [
        "Try best first: it is the most accurate.",
        "100 images are too few to show a difference between best and fast; increase n_images.",
    ]


def test_the_best_comes_first_if_its_lead_is_significant_or_it_is_the_fastest():
    first, sentences = verdict(made("best", 90, 9.0), made("far", 60, 0.1))
    assert first == "best"
    assert sentences[-1] == (
        "Try best first: it is the most accurate, and its lead over far is statistically significant (McNemar p < 0.001)."
    )
    first, sentences = verdict(made("best", 90, 0.5), made("near", 89, 1.0))
    assert sentences[-1] == "Try best first: it is the most accurate, and faster than those close to it (near)."


def test_a_best_model_no_better_than_guessing_is_reported_first():
    _, sentences = verdict(made("best", 90, 9.0))
    assert sentences[0] == "No model is significantly better than always predicting the largest class (99.0 %)."


def test_a_model_that_was_ahead_when_it_was_cut_is_reported():
    _, sentences = verdict(made("best", 70, 1.0), made("cut", 40, 30.0, state="cut", rows=np.arange(40, 80)))
    assert sentences[-1].startswith("cut had 100.0 %, compared with 75.0 % for best on the same images, when it was stopped")


def test_the_command_tries_what_the_function_tries(tmp_path):
    arguments = argparse.Namespace(recipes="", cnn=[], seed=0, n_jobs=1)
    assert set(_wanted(arguments)) == set(variants())
    arguments.recipes = "tiny_knn, hog_svm"
    assert _wanted(arguments) == {"tiny_knn": {}, "hog_svm": {}}
    (tmp_path / "net.onnx").touch()
    arguments.cnn, arguments.recipes = [f"{tmp_path / 'net.onnx'},size=64"], ""
    assert set(_wanted(arguments)) == set(variants()) - {"cnn_svm", "cnn_fisher_svm", "cnn_vlad_svm"} | {"cnn_svm net"}


def test_the_command(folder, tmp_path, capsys):
    out = tmp_path / "found.json"
    words = ["suggest", str(folder), "--recipes", "tiny_knn,color_forest,cnn_svm", "--cv", "2", "--n-jobs", "1"]
    assert main([*words, "--json", str(out), "--markdown", str(tmp_path / "found.md")]) == 0
    printed = capsys.readouterr().out
    assert "16 of 16 images, 2 classes, 2 folds" in printed
    assert "Try " in printed
    assert "it needs a network file; use --cnn FILE" in printed
    assert "recipes={" not in printed
    assert {trial["name"] for trial in json.loads(out.read_text())["trials"]} == {"tiny_knn", "color_forest", "cnn_svm"}
    assert "| recipe | accuracy |" in (tmp_path / "found.md").read_text()
    assert main([*words, "--json", str(tmp_path / "no" / "found.json")]) == 2
    assert "mkdir -p" in capsys.readouterr().err
