"""featrec bench: measures that a configuration asks for, facts that each run records, groups, and the page of results."""

import re
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from featrec.cli import _bench, _bench_cell, main
from featrec.cli._bench_cell import Pool, make_model, parts
from featrec.cli._bench_config import cells_of
from featrec.cli._bench_page import stored_comparison
from featrec.cli._bench_results import described, labels_of, read_results, tables, unpacked
from featrec.datasets import ImageFolder, load_dataset
from featrec.evaluation import Cost, compare
from featrec.exceptions import InputError, MissingExtraError
from tests.tiny_network import WEIGHTS, network_bytes

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
COST = Cost(0.5, 0.25, 0.001, 0.002, 0.0005, 8, 200_000_000)


def config(recipe="tiny_knn", options=None, dataset=None, **top):
    textures = {"name": "textures", "options": {"n_train": 4, "n_test": 3}}
    recipes = [{"name": recipe, "options": {"size": 4} if options is None else options}]
    return {"n_jobs": 1, "dataset": [dataset or textures], "recipe": recipes, **top}


def cell_of(**options):
    return next(cells_of(config(**options)))


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(_bench, "_in_fresh_process", lambda cell, result: _bench_cell.run_cell(cell))


def written(folder, text):
    path = folder / "own.toml"
    path.write_text(f"n_jobs = 1\n{text}\n", encoding="utf-8")
    return path


def run(path, folder):
    """Run the command in this process, without its handler of errors."""
    options = {"only": [], "html": folder / "page.html", "out": None, "again": False, "dry_run": False, "markdown": False}
    return _bench.run_bench(SimpleNamespace(config=path, **options))


def test_measures_do_not_change_the_key_of_a_run():
    plain, measured = cell_of(), cell_of(cost=True, calibration=True, energy=False)
    assert "measures" not in plain
    assert measured["measures"] == ["cost", "calibration"]
    assert described(plain, make_model(plain))["key"] == described(measured, make_model(measured))["key"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"costs": True}, r"the top level has no key 'costs' \(did you mean 'cost'\?\)"),
        ({"calibration": 1}, "calibration of the top level must be true or false; got 1"),
        ({"dataset": {"name": "textures", "groups": "person"}}, "groups of the dataset 'textures' must be a column of a manif"),
        ({"dataset": {"name": "mine", "path": "x.csv", "groups": ["a"]}}, "groups of the dataset 'mine' must be a column"),
    ],
)
def test_the_error_names_the_wrong_entry(text, message):
    with pytest.raises(InputError, match=message):
        cell_of(**text)


def test_a_run_records_parameters_pretraining_duplicates_and_requested_measures(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "featrec.evaluation.cost_of", lambda model, rows: asked.append(rows.taken()) or (COST, ""), raising=False
    )
    row = _bench_cell.run_cell(cell_of(cost=True, calibration=True))
    train, test = load_dataset("textures", n_train=4, n_test=3)
    model = make_model(cell_of()).fit(train, train.labels)
    expected = compare({"knn": model}, train, train.labels, test=(test, test.labels), calibration=True)["knn"]
    for name in ("ece", "brier", "log_loss"):
        assert row["calibration"][name] == pytest.approx(getattr(expected.calibration, name), abs=1e-6)
    assert row["cost"] == vars(COST)
    assert len(asked[0]) == 24, "at most 64 images, all of the test set"
    assert (row["width"], row["n_parameters"], row["pretrained_on"], row["n_duplicates"]) == (16, None, [], 0)
    assert row["network"] is False
    plain = _bench_cell.run_cell(cell_of())
    assert not {"cost", "calibration", "kwh"} & set(plain)


def test_a_network_records_its_size_and_its_columns_are_shown(tmp_path):
    (tmp_path / "network.onnx").write_bytes(network_bytes())
    options = {"model": str(tmp_path / "network.onnx"), "preprocessing": "torch", "layer": "feat"}
    cell = cell_of(recipe="cnn_svm", options=options)
    row = cell | {"parameters": {}} | _bench_cell.run_cell(cell)
    assert row["network"] is True
    assert row["n_parameters"] == WEIGHTS["filters"].size + WEIGHTS["bias"].size
    (table,) = tables([row]).values()
    assert list(table.header[7:]) == ["parameters", "multiply-adds"]


@pytest.mark.slow
def test_cost_is_measured_in_another_process(monkeypatch):
    monkeypatch.setattr("featrec.evaluation._cost.SECONDS", 0.1)
    cost = _bench_cell.run_cell(cell_of(cost=True))["cost"]
    assert cost["batch_size"] == 24
    assert 0 < cost["p50_seconds"] <= cost["p95_seconds"] < cost["start_seconds"]


def test_energy_is_that_of_fit_and_predict(monkeypatch, here, tmp_path):
    tracker = SimpleNamespace(start_task=lambda: None, stop_task=lambda: SimpleNamespace(energy_consumed=0.002))
    monkeypatch.setitem(sys.modules, "codecarbon", SimpleNamespace(OfflineEmissionsTracker=lambda **options: tracker))
    assert _bench_cell.run_cell(cell_of(energy=True))["kwh"] == 0.002
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    path = written(tmp_path, 'energy = true\n[[dataset]]\nname = "textures"\n[[recipe]]\nname = "tiny_knn"')
    with pytest.raises(MissingExtraError, match=r"energy = true needs codecarbon; pip install \"featrec\[energy\]\""):
        run(path, tmp_path)
    assert not path.with_suffix(".jsonl").exists()


def test_results_are_kept_if_a_measure_is_added(here, tmp_path, capsys):
    text = '[[dataset]]\nname = "textures"\noptions = { n_train = 3, n_test = 2 }\n[[recipe]]\nname = "tiny_knn"'
    assert main(["bench", str(written(tmp_path, text))]) == 0
    assert main(["bench", str(written(tmp_path, f"calibration = true\n{text}"))]) == 0
    assert "1 of 1 runs with a result have no calibration; --again runs them again" in capsys.readouterr().err
    assert main(["bench", str(tmp_path / "own.toml"), "--again"]) == 0
    assert "Brier score" in capsys.readouterr().out
    assert main(["bench", str(tmp_path / "own.toml")]) == 0
    assert "--again" not in capsys.readouterr().err


def people(folder, n=6, classes=2):
    """Write a manifest in which each of n persons has two images of each class, and two persons share an image."""
    rng = np.random.default_rng(0)
    lines = ["path,label,person"]
    for person in range(n):
        for label in range(classes):
            for number in range(2):
                pixels = rng.integers(0, 100, (12, 12, 3)) + 100 * label
                if label == number == 0 and person < 2:
                    pixels = np.full((12, 12, 3), 7)
                name = f"{person}{label}{number}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
                lines.append(f"{name},class {label},person {person}")
    (folder / "images.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "images.csv"


def test_images_of_a_group_are_on_one_side_of_the_split(tmp_path):
    folder = ImageFolder(people(tmp_path))
    pool = Pool((folder, folder[:0]), groups="person")
    split = {"kind": "random", "n_train": 8, "n_test": None, "validation": None, "groups": "person"}
    for seed in range(10):
        train, test = parts(pool, {**split, "seed": seed})
        tested, fitted = set(pool.groups[test]), set(pool.groups[train])
        assert not tested & fitted
        assert len({"person 0", "person 1"} & tested) in (0, 2), "they share an image"
        assert Counter(pool.labels[train].tolist()) == {"class 0": 8, "class 1": 8}
    pool.groups = pool.labels
    with pytest.raises(
        InputError, match="the class 'class 0' has no training images, because the images of each group of 'person'"
    ):
        parts(pool, {**split, "n_train": 11, "seed": 0})


def test_groups_are_stored_and_shown_on_the_page(tmp_path, here, capsys):
    path = people(tmp_path)
    dataset = f'[[dataset]]\nname = "faces"\npath = "{path}"\nseeds = 2\n'
    recipes = '[[recipe]]\nname = "tiny_knn"\n[[recipe]]\nname = "color_forest"\noptions = { n_estimators = 3 }'
    with pytest.raises(InputError, match=r"has no column 'persons'; it has \['person'\]"):
        run(written(tmp_path, f'{dataset}groups = "persons"\n{recipes}'), tmp_path)
    assert run(written(tmp_path, f'{dataset}groups = "person"\n{recipes}'), tmp_path) == 0
    assert "random splits, a fifth of each class held out, each person on one side" in capsys.readouterr().out
    rows = list(read_results(tmp_path / "own.jsonl").values())
    groups = [np.array(row["groups"])[unpacked(row["group"])] for row in rows]
    assert all(len(group) == row["n_test"] for group, row in zip(groups, rows, strict=True))
    page = (tmp_path / "page.html").read_text()
    assert '<h2 id="groups">Groups</h2>' in page
    assert groups[0][0] in page
    assert "data:image" in page, "the images are read again"


def test_duplicates_are_counted_and_told(tmp_path, here, capsys):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)) for _ in range(7)]
    train, test = ["a/0.png", "a/1.png", "b/2.png", "b/3.bmp"], ["a/4.png", "b/5.png", "b/3.png", "b/6.png"]
    places = [*(f"train/{place}" for place in train), *(f"test/{place}" for place in test)]
    for place in places:
        path = tmp_path / "images" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        images[int(path.stem)].save(path)  # 3.bmp and 3.png have the same pixels, but not the same bytes
    path = written(tmp_path, f'[[dataset]]\nname = "own"\npath = "{tmp_path / "images"}"\n[[recipe]]\nname = "tiny_knn"')
    assert run(path, tmp_path) == 0
    assert "seed 0: 1 of 4 test images are identical, pixel for pixel, to training images." in capsys.readouterr().out
    (row,) = read_results(tmp_path / "own.jsonl").values()
    assert row["n_duplicates"] == 1
    assert unpacked(row["duplicates"]).tolist() == [0, 1, 0, 0], "the order is that of the paths"
    assert "1 test image is identical, pixel for pixel, to training images" in (tmp_path / "page.html").read_text()


def test_a_table_has_only_the_columns_of_its_rows():
    (old, other, *_) = list(read_results(RESULTS / "scenes.jsonl").values())
    new = {**other, "cost": vars(COST), "n_parameters": 1_000_000, "kwh": 0.001}
    (plain,) = tables([old, other]).values()
    (more,) = tables([old, new]).values()
    assert len(plain.header) == 7
    assert more.header[7:10] == ["start, s", "first image, s", "one image, ms"]
    assert more.header[-2:] == ["Wh, estimate", "parameters"]
    assert more.rows[0][7:] == ["–"] * 8
    assert more.rows[1][7:] == ["0.5", "0.25", "1", "2", "0.5", "200", "1", "1,000,000"]
    assert [row[:7] for row in more.rows] == plain.rows


def test_pages_of_results_of_an_old_version(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("FEATREC_DATA", raising=False)
    assert main(["bench", str(RESULTS / "scenes.jsonl"), "--html", str(tmp_path / "scenes.html")]) == 0
    assert "the page of scene15, the standard split has no images: " in capsys.readouterr().err
    first, second = ((tmp_path / f"scenes-{number}.html").read_text() for number in (1, 2))
    assert "The network MobileNetV2 features leads by 0.4 points" in first
    assert "The corrected t test of Nadeau and Bengio over the splits" in second


def test_a_stored_comparison_equals_a_comparison_of_the_predictions():
    rows = list(read_results(RESULTS / "scenes.jsonl").values())
    fixed = [row for row in rows if row["split"]["kind"] == "standard"]
    stored = stored_comparison({row["title"]: {0: row} for row in fixed}, [0], (), None)
    y_true = labels_of(fixed[0])[0]
    direct = compare({row["title"]: labels_of(row)[1] for row in fixed}, y_true, y_true, test=(y_true, y_true))
    assert [pair.p_holm for pair in stored.pairs] == [pair.p_holm for pair in direct.pairs]
    assert [result.interval for result in stored.results] == [result.interval for result in direct.results]
    assert stored["bovw_svm"].fit_seconds == next(row["fit_seconds"] for row in fixed if row["title"] == "bovw_svm")


def test_several_random_splits_use_the_corrected_interval():
    rows = [row for row in read_results(RESULTS / "scenes.jsonl").values() if row["split"]["kind"] == "random"]
    runs = {row["seed"]: row for row in rows if row["title"] == "phow_svm"}
    result = stored_comparison({"phow": runs}, sorted(runs), (), None)["phow"]
    shares = np.array([runs[seed]["accuracy"] for seed in sorted(runs)])
    ratio = np.mean([row["n_test"] / row["n_train"] for row in runs.values()])
    half = stats.t.ppf(0.975, len(shares) - 1) * np.sqrt(shares.var(ddof=1) * (1 / len(shares) + ratio))
    assert result.interval == pytest.approx((shares.mean() - half, shares.mean() + half), abs=1e-5)
    assert result.seeds, "the seeds of the steps are read from the parameters"
    assert re.match(r"recipes.make\('phow_svm'", result.estimator)
