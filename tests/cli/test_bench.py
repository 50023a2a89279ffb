"""featrec bench: each run of a configuration file is run once, stored, and shown."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from featrec.cli import _bench, _bench_cell, main
from featrec.cli._bench_cell import Pool, parts
from featrec.cli._bench_config import cells_of, read_config
from featrec.cli._bench_results import append, labels_of, packed, portable, read_results, tables
from featrec.datasets import Dataset, LabeledImages, load_dataset
from featrec.exceptions import InputError
from featrec.persistence import save
from tests.cli.folders import write_dark_and_light
from tests.datasets.test_damaged import files, write

DATASET = '[[dataset]]\nname = "textures"\noptions = { n_train = 4, n_test = 3 }\n'
RECIPE = '[[recipe]]\nname = "tiny_knn"\noptions = { size = 4 }\n'
SPLIT = {"kind": "standard", "n_train": None, "n_test": None, "validation": None, "seed": None}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(f"n_jobs = 1\n{DATASET}{RECIPE}", encoding="utf-8")
    return path


@pytest.fixture
def here(monkeypatch):
    """Run cells in this process, which is faster. Return a list to which the titles of the recipes that run are added."""
    ran = []

    def in_this_process(cell, result):
        ran.append(cell["title"])
        try:
            return _bench_cell.run_cell(cell)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    monkeypatch.setattr(_bench, "_in_fresh_process", in_this_process)
    return ran


def bench(*words) -> int:
    return main(["bench", *map(str, words)])


def rows_of(config):
    return [json.loads(line) for line in config.with_suffix(".jsonl").read_text().splitlines()]


def test_a_run_in_a_new_process_stores_all_figures(config, capsys):
    assert bench(config) == 0
    captured = capsys.readouterr()
    assert "[1/1] textures, n_train=4, n_test=3, the standard split, seed 0, tiny_knn: " in captured.err
    assert "textures, n_train=4, n_test=3, the standard split" in captured.out
    (row,) = rows_of(config)
    assert (row["n_train"], row["n_test"]) == (32, 24)
    assert row["interval"][0] < row["accuracy"] < row["interval"][1]
    assert set(row["fit_steps"]) == set(row["predict_steps"]) == {"tinyimage", "kneighborsclassifier"}
    assert sum(row["fit_steps"].values()) <= row["fit_seconds"] * 1.01 + 1e-3
    assert row["images_per_second"] == pytest.approx(24 / row["predict_seconds"], rel=0.1)  # seconds are rounded to 0.1 ms
    assert 20 < row["peak_mb"] < 5000
    assert row["model_bytes"] > 1000
    assert row["threads"] == row["n_jobs"] == 1
    assert row["parameters"]["tinyimage__size"] == 4
    assert {"python", "featrec", "numpy", "scikit-learn", "numba"} <= set(row["versions"])
    assert row["machine"]["cores"] >= 1
    assert {"commit", "dirty", "date"} <= set(row)
    true, predicted = labels_of(row)
    assert np.mean(true == predicted) == pytest.approx(row["accuracy"], abs=1e-6)


def test_labels_of_many_classes_are_stored():
    many = np.arange(400)
    row = {"classes": many.tolist(), "labels": packed(many), "predicted": packed(many[::-1])}
    assert [labels.tolist() for labels in labels_of(row)] == [many.tolist(), many[::-1].tolist()]


def test_runs_with_a_result_are_skipped(config, here, capsys):
    assert bench(config) == bench(config) == 0
    assert here == ["tiny_knn"]
    assert bench(config, "--again") == 0
    assert here == ["tiny_knn"] * 2
    assert len(rows_of(config)) == 2
    capsys.readouterr()
    assert bench(config.with_suffix(".jsonl")) == 0
    assert capsys.readouterr().out.count("tiny_knn") == 1


def test_the_commit_is_read_before_the_run(config, here, monkeypatch):
    monkeypatch.setattr(_bench, "stamp", lambda: {"commit": f"{len(here)} runs before", "versions": {}, "machine": {}})
    monkeypatch.setattr(_bench, "_show", lambda *_: 0)
    bench(config)
    assert rows_of(config)[0]["commit"] == "0 runs before"


def test_another_parameter_seed_or_split_is_a_new_run(config, here):
    bench(config)
    text = config.read_text()
    for changed in (text.replace("size = 4", "size = 5"), text + "\n", text.replace('"textures"', '"textures"\nseeds = [1]')):
        config.write_text(changed, encoding="utf-8")
        bench(config)
    assert len(here) == 3
    config.write_text(text.replace('"textures"', '"textures"\nsplit = "random"\nn_train = 2\nseeds = 2'), encoding="utf-8")
    bench(config)
    assert len(here) == 5


def test_a_failed_run_is_stored_and_run_again(config, here, capsys):
    config.write_text(f'{DATASET}{RECIPE}grid = {{ n_neighbors = [99, 1] }}\ntitle = "neighbours"\n', encoding="utf-8")
    assert bench(config) == 1
    captured = capsys.readouterr()
    assert "n_neighbors = 99" in captured.err
    failed = "failed: textures, n_train=4, n_test=3, the standard split, seed 0, neighbours n_neighbors=99: ValueError"
    assert failed in captured.out
    assert bench(config) == 1
    assert here == ["neighbours n_neighbors=99", "neighbours n_neighbors=1", "neighbours n_neighbors=99"]


def test_a_killed_process_is_a_failed_run(config, monkeypatch, capsys):
    monkeypatch.setattr(_bench, "CELL", "import os; os.kill(os.getpid(), 9)")
    assert bench(config) == 2
    assert "ended by signal 9" in capsys.readouterr().err
    monkeypatch.setattr(_bench, "CELL", "raise SystemExit('no reason')")
    assert bench(config) == 2
    assert "exit 1: no reason" in capsys.readouterr().err


def test_only_and_dry_run(config, here, capsys):
    config.write_text(
        f'{DATASET}{RECIPE}[[recipe]]\nname = "color_forest"\noptions = {{ n_estimators = 5 }}\n', encoding="utf-8"
    )
    assert bench(config, "--dry-run") == 0
    assert here == []
    assert capsys.readouterr().out.splitlines() == [
        "textures, n_train=4, n_test=3, the standard split, seed 0, tiny_knn",
        "textures, n_train=4, n_test=3, the standard split, seed 0, color_forest",
    ]
    assert bench(config, "--only", "forest") == 0
    assert here == ["color_forest"]


def cells(*recipes):
    datasets = [{"name": "textures", "seeds": 3}, {"name": "shapes", "seeds": [7, 8]}]
    found = list(cells_of({"dataset": datasets, "recipe": list(recipes)}))
    assert not any("datasets" in cell or "seeds" in cell for cell in found)
    return [(cell["dataset"], cell["recipe"], cell["seed"]) for cell in found]


def test_a_recipe_may_run_on_fewer_datasets_and_seeds():
    found = cells({"name": "color_forest", "datasets": ["shapes"]}, {"name": "tiny_knn", "seeds": 1})
    forest = [("shapes", "color_forest", seed) for seed in (7, 8)]
    assert found == [("textures", "tiny_knn", 0), forest[0], ("shapes", "tiny_knn", 7), forest[1]]
    for wrong, message in (
        ({"datasets": ["faces"]}, r"names the unknown dataset 'faces'.*\[\[dataset\]\] has textures, shapes"),
        ({"datasets": "shapes"}, "must be a list of names"),
        ({"datasets": []}, "must be a list of names"),
        ({"seeds": 0}, "seeds of the recipe 'tiny_knn' must be an integer of at least 1; got 0"),
    ):
        with pytest.raises(InputError, match=message):
            cells({"name": "tiny_knn", **wrong})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"at least one \[\[dataset\]\]"),
        (DATASET, r"at least one \[\[recipe\]\]"),
        (
            f"jobs = 2\n{DATASET}{RECIPE}",
            r"the top level has no key 'jobs' \(did you mean 'n_jobs'\?\); its keys are dataset, n_",
        ),
        (f"n_jobs = 0\n{DATASET}{RECIPE}", "means no threads"),
        (f"{DATASET}sed = 3\n{RECIPE}", r"the dataset 'textures' has no key 'sed' \(did you mean 'seeds'\?\)"),
        (f"{DATASET}seeds = [1, 1]\n{RECIPE}", "a list of different non-negative integers"),
        (f"{DATASET}seeds = 0\n{RECIPE}", "seeds of the dataset 'textures'"),
        (f'{DATASET}split = "mine"\n{RECIPE}', "split of the dataset 'textures' must be"),
        (f'{DATASET}split = "random"\n{RECIPE}', "needs n_train"),
        (f"{DATASET}n_train = true\n{RECIPE}", "n_train of the dataset 'textures' must be an integer of .* 1; got True"),
        (f"{DATASET}validation = 2\n{RECIPE}", "validation of the dataset 'textures' must be true"),
        (f'[[dataset]]\nname = "texture"\n{RECIPE}', r"there is no dataset 'texture' \(did you mean 'textures'\?\)"),
        (f"[[dataset]]\n{RECIPE}", r"each \[\[dataset\]\] needs a name"),
        (f'{DATASET}[[recipe]]\nname = "tiny_kmm"\n', "there is no recipe 'tiny_kmm'"),
        (f"{DATASET}{RECIPE}[recipe.optoins]\n", r"the recipe 'tiny_knn' has no key 'optoins' \(did you mean 'options'\?\)"),
        (f'{DATASET}[[recipe]]\nname = "cnn_svm"\n', "the recipe 'cnn_svm' needs the option 'model'"),
        (f"{DATASET}{RECIPE}grid = {{ sise = [1] }}\n", r"has no option 'sise' \(did you mean 'size'\?\)"),
        (f"{DATASET}{RECIPE}grid = {{ size = [1] }}\n", "must not be set outside the grid"),
        (f"{DATASET}{RECIPE}grid = {{ n_neighbors = 3 }}\n", "a list of values to try"),
        (f'{DATASET}[[recipe]]\nname = "bovw_svm"\noptions = {{ random_state = 1 }}\n', "random_state cannot be set as an"),
    ],
)
def test_the_error_names_the_wrong_entry(tmp_path, text, message):
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_config(path)


def test_validation_uses_no_test_images():
    pool = Pool(load_dataset("textures", n_train=10, n_test=5))
    for seed in range(3):
        train, held_out = parts(pool, SPLIT | {"validation": 0.3, "seed": seed})
        assert max(train.max(), held_out.max()) < 80
        assert Counter(pool.labels[held_out].tolist()) == dict.fromkeys(pool.halves[0].classes, 3)
        assert not set(train) & set(held_out)


def test_copies_of_an_image_are_on_one_side_of_the_split():
    random = np.random.default_rng(0)
    different = random.integers(0, 256, (30, 4, 4), dtype=np.uint8)
    images = np.concatenate([different, different[:15]])
    labels = np.resize(["a", "b", "c"], len(images))
    pool = Pool(Dataset("copies", LabeledImages(images[:20], labels[:20]), LabeledImages(images[20:], labels[20:]), "", "", ""))
    splits = [parts(pool, SPLIT | {"kind": "random", "n_train": 8, "seed": seed}) for seed in range(20)]
    for train, test in splits:
        assert set(Counter(pool.labels[train].tolist()).values()) <= {7, 8}
        assert sorted([*train, *test]) == list(range(45))
        assert not {images[row].tobytes() for row in train} & {images[row].tobytes() for row in test}
    assert len({train.tobytes() for train, _ in splits}) == 20
    again = parts(pool, SPLIT | {"kind": "random", "n_train": 8, "seed": 7})
    assert np.array_equal(again[0], splits[7][0])


def test_sizes_of_splits():
    pool = Pool(load_dataset("textures", n_train=6, n_test=5))
    train, test = parts(pool, SPLIT | {"n_train": 2, "n_test": 3, "seed": 0})
    assert (len(train), len(test)) == (16, 24)
    assert train.max() < 48 <= test.min()
    with pytest.raises(InputError, match="n_train = 11 leaves no test images: the class 'brick' has 11 images"):
        parts(pool, SPLIT | {"kind": "random", "n_train": 11, "seed": 0})


def test_predictions_equal_those_of_the_pipeline(here, tmp_path):
    (cell,) = cells_of({
        "dataset": [{"name": "textures", "options": {"n_train": 5, "n_test": 4}}],
        "recipe": [{"name": "bovw_svm", "options": {"n_words": 10, "levels": 2}}],
    })  # fmt: skip
    found = _bench_cell.run_cell(cell)
    train, test = load_dataset("textures", n_train=5, n_test=4)
    model = _bench_cell.make_model(cell).fit(train, train.labels)
    assert np.array_equal(labels_of(found)[1], model.predict(test))
    save(model, tmp_path / "model")
    assert found["model_bytes"] == pytest.approx((tmp_path / "model").stat().st_size, rel=0.01)
    assert found["reading_cpu_seconds"]["fit"] > 0


def test_an_incomplete_line_is_run_again(config, here):
    bench(config)
    out = config.with_suffix(".jsonl")
    whole = out.read_bytes()
    out.write_bytes(whole[:-40])
    bench(config)
    assert len(here) == 2
    assert out.read_bytes().startswith(whole[:-40] + b"\n{")


def test_a_file_without_results_is_refused(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"a": 1}\n{"key": "x"}\n')
    with pytest.raises(InputError, match=r"line 1 of .* is not a result of featrec bench; repair or move the file"):
        read_results(path)


def test_results_do_not_contain_the_path_of_the_data(monkeypatch, tmp_path):
    monkeypatch.setenv("FEATREC_DATA", "/somewhere/data/")
    assert portable({"a": ["/somewhere/data/x.onnx"], "b": 1}) == {"a": ["$FEATREC_DATA/x.onnx"], "b": 1}
    assert _bench_cell.expanded({"model": "$FEATREC_DATA/x.onnx", "size": [1]})["model"] == "/somewhere/data//x.onnx"
    append(tmp_path / "r.jsonl", {"key": "k", "error": "no /somewhere/data/scene15"})
    assert "somewhere" not in (tmp_path / "r.jsonl").read_text()


def test_the_error_names_a_variable_that_is_not_set(monkeypatch):
    monkeypatch.delenv("FEATREC_NOWHERE", raising=False)
    for text in ("$FEATREC_NOWHERE/x.onnx", "${FEATREC_NOWHERE}/x.onnx"):
        with pytest.raises(InputError, match="the variable FEATREC_NOWHERE, which is not set; set it in the shell first"):
            _bench_cell.expanded({"model": text})


def row_of(title, predicted, seed=0, kind="standard"):
    """Return a row of results with these predictions for 50 images of each class."""
    right = sum(value == place // 50 for place, value in enumerate(predicted)) / 100
    return {
        "dataset": "d", "dataset_options": {}, "split": SPLIT | {"kind": kind}, "recipe": title, "title": title, "seed": seed,
        "n_jobs": 1, "parameters": {"svc__random_state": seed}, "classes": ["a", "b"], "labels": packed(np.repeat([0, 1], 50)),
        "predicted": packed(np.array(predicted)), "accuracy": right, "interval": [right - 0.1, right + 0.1],
        "fit_seconds": 1234.5, "images_per_second": 12.34, "peak_mb": 100.0, "model_bytes": None,
    }  # fmt: skip


def test_a_row_of_the_table_is_compared_with_the_row_above():
    below, above = [0] * 50 + [1] * 20 + [0] * 30, [0] * 50 + [1] * 50
    (table,) = tables([row_of("x", below), row_of("y", above)]).values()
    first, second = table.rows
    assert first == ["x", "70.0 (60.0 to 80.0)", "–", "1,234", "12.3", "100", "–"]
    assert second[:3] == ["y", "100.0 (90.0 to 110.0)", "+30.0, p < 0.001"]


def test_several_seeds_give_mean_and_standard_deviation():
    rows = [row_of(title, [0] * 50 + [1] * n + [0] * (50 - n), seed, "random") for title, seed, n in
            [("x", 0, 10), ("x", 1, 20), ("y", 0, 30), ("y", 1, 20)]]  # fmt: skip
    (table,) = tables(rows).values()
    first, second = table.rows
    assert first[1:3] == ["65.0 ± 7.1 (2 seeds)", "–"]
    assert second[1:3] == ["75.0 ± 7.1 (2 seeds)", "+10.0"]


@pytest.mark.parametrize("name", ["few_images.toml", "scenes.toml", "scenes_validation.toml", "small.toml"])
def test_configurations_of_the_repository_are_valid(name, monkeypatch, tmp_path):
    monkeypatch.setenv("FEATREC_DATA", str(tmp_path))
    cells = read_config(Path(__file__).parents[2] / "benchmarks" / name)
    for cell in cells:
        _bench_cell.make_model(cell)
    assert all((cell["split"]["validation"] is not None) == ("validation" in name) for cell in cells)


@pytest.mark.filterwarnings("default")
def test_damaged_files_of_a_folder_are_left_out_and_counted(tmp_path, here, capsys):
    root = write(tmp_path / "own", files())
    config = written(tmp_path, f'path = "{root}"')
    assert bench(config) == 0
    assert capsys.readouterr().err.count("3 of 15 images cannot be read and were left out") == 1
    (row,) = rows_of(config)
    assert (row["n_dropped"], row["n_train"] + row["n_test"]) == (3, 12)
    write(root, files({}))
    assert bench(config, "--again") == 0
    assert "n_dropped" not in rows_of(config)[-1]


def written(folder, dataset, recipe='name = "tiny_knn"', name="mine"):
    path = folder / "own.toml"
    path.write_text(f'n_jobs = 1\n[[dataset]]\nname = "{name}"\n{dataset}\n[[recipe]]\n{recipe}\n', encoding="utf-8")
    return path


def test_a_folder_is_split_at_random(tmp_path, here, capsys):
    images = write_dark_and_light(tmp_path / "images", 6)
    config = written(tmp_path, f'path = "{images}"\nseeds = 2', 'name = "color_forest"\noptions = { n_estimators = 3 }')
    assert bench(config) == 0
    captured = capsys.readouterr().out
    assert "random splits, a fifth of each class held out" in captured
    assert re.search(r"± [\d.]+ \(2 seeds\)", captured), "each seed has other test images"
    assert [(row["n_train"], row["n_test"]) for row in rows_of(config)] == [(10, 2), (10, 2)]
    assert bench(written(tmp_path, f'path = "{images}"\nn_train = 4\nseeds = 1'), "--again") == 0
    last = rows_of(config)[-1]
    assert (last["n_train"], last["n_test"]) == (8, 4)


def test_a_folder_with_train_and_test_keeps_its_split(tmp_path, here, capsys):
    write_dark_and_light(tmp_path / "images" / "train", 4)
    write_dark_and_light(tmp_path / "images" / "test", 2)
    config = written(tmp_path, f'path = "{tmp_path / "images"}"')
    assert bench(config) == 0
    assert "the standard split" in capsys.readouterr().out
    (row,) = rows_of(config)
    assert (row["n_train"], row["n_test"]) == (8, 4)


FEW = "options = { n_train = 3, n_test = 2 }\nseeds = 2"


def test_a_recipe_without_randomness_runs_with_one_seed(tmp_path, here, capsys):
    recipes = 'name = "tiny_knn"\n[[recipe]]\nname = "color_forest"\noptions = { n_estimators = 3 }'
    assert bench(written(tmp_path, FEW, recipes, "textures")) == 0
    assert here == ["tiny_knn", "color_forest", "color_forest"]
    table = capsys.readouterr().out
    assert re.search(r"^tiny_knn +[\d.]+ \([\d.]+ to [\d.]+\)", table, flags=re.M)
    assert re.search(r"^color_forest .*± .* \(2 seeds\)", table, flags=re.M)


def test_seeds_without_effect_on_predictions_show_no_deviation(tmp_path, here, capsys):
    """An SVC has a random_state that it does not use."""
    assert bench(written(tmp_path, FEW, 'name = "hog_svm"\noptions = { C = 10.0 }', "textures")) == 0
    table = capsys.readouterr().out
    assert "seeds)" not in table
    assert re.search(r"^hog_svm +[\d.]+ \([\d.]+ to [\d.]+\)", table, flags=re.M)
