"""warm compiles everything that a fit and a prediction need, and reports what it did."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from featrec import recipes
from featrec.cli import _recipes, main
from featrec.compiled import _cache
from featrec.exceptions import InputError
from featrec.recipes import _warm, variants

SCRIPT = Path(__file__).parent / "fit_as_users_do.py"
# All recipes take two minutes of processor time; these use most of the loops. LATER are those with most loops of their own.
QUICK = ("orb_knn", "bovw_svm", "lbp_svm")
LATER = ("hog_svm", "vlad_svm:scenes")


def not_ready(*words, **environment):
    environment = {**os.environ, **environment}
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("names", [QUICK, LATER], ids=" ".join)
def test_quick_recipes_need_no_loop_that_warm_has_not_compiled(names):
    assert not_ready("few", *names) == []


@pytest.mark.slow
def test_no_recipe_needs_a_loop_that_warm_has_not_compiled(tmp_path):
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "featrec", "warm"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert not_ready("cached", **environment) == []


@pytest.mark.slow
def test_a_missing_loop_is_noticed():
    """If warm uses no 16-bit images, the script finds the missing loop."""
    code = "import runpy, sys; sys.argv = ['', 'few', 'lbp_svm']\nfrom featrec.recipes import _warm\nkinds = _warm._kinds\n"
    code += f"_warm._kinds = lambda image: kinds(image)[:3] * 2\nrunpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lbp_patterns(Array(uint16" in done.stdout


def test_every_recipe_and_preset_is_compiled_or_a_network():
    wanted = _warm._wanted(None)
    assert set(wanted) == set(variants())
    left_out = {name: reason for name in wanted if (reason := _warm.reason_against(name))}
    assert {name.partition(":")[0] for name in left_out} == {
        "cnn_svm",
        "cnn_fisher_svm",
        "cnn_vlad_svm",
        "pixels_lenet5",
        "pixels_resnet",
    }
    assert sorted(_warm._in_order([name for name in wanted if name not in left_out])) == sorted(set(wanted) - set(left_out))


def test_recipes_that_share_loops_do_not_start_together():
    order = _warm._in_order(["bovw_svm", "phow_svm", "vlad_svm", "hog_svm", "orb_knn"])
    assert {"hog_svm", "orb_knn"} < set(order[:3])


def test_images_of_every_type_are_used():
    images = _warm._images()
    kinds = {(image.dtype.name, image.ndim) for image in images}
    assert kinds == {(name, n) for name in ("uint8", "uint16", "float32", "float64") for n in (2, 3)}
    assert {(image.ndim, image.flags.writeable) for image in images} == {(2, True), (2, False), (3, True), (3, False)}
    for place in (0, 1):  # each of the two classes has all types
        assert {(image.dtype.name, image.ndim) for image in images[place::2]} == kinds


def test_a_model_with_read_only_arrays_is_used():
    seen = []

    class Model:
        def fit(self, images, labels):
            self.words = np.zeros(3)
            return self

        def predict(self, images):
            seen.append(self.words.flags.writeable)

    sys.modules[__name__].Model = Model
    Model.__qualname__ = "Model"
    _warm.use(Model())
    assert seen == [True, False]


def test_the_command_prints_a_summary(capsys):
    assert main(["warm", "tiny_knn,cnn_svm", "pixels_lenet5", "--n-jobs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cnn_svm is left out: it needs model=..."
    assert lines[1].startswith("pixels_lenet5 is left out: it is a network")
    (folder,) = _cache.folders()
    assert lines[2].startswith(f"nothing was left to compile; the cache is {folder}, ")
    assert lines[2].endswith(" MB")


def test_the_python_code_of_the_page_on_containers_runs(capsys):
    page = Path(__file__).resolve().parent.parent / "docs" / "how_to" / "containers.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)
    exec(compile(block, str(page), "exec"), {})
    assert "the cache is" in capsys.readouterr().out


def test_progress_is_shown_on_request(capsys):
    recipes.warm(["tiny_knn"], n_jobs=1, verbose=1)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("compiling the loops of 1 recipe into ")
    assert second.split() == ["1", "of", "1", "tiny_knn:", "ready"]


def test_after_a_failure_the_other_recipes_are_compiled(monkeypatch, capsys):
    use = _warm.use

    def fail_once(model):
        if "colorhistogram" in dict(model.steps):
            raise ValueError("no\ncolour")
        use(model)

    monkeypatch.setattr(_warm, "use", fail_once)
    assert main(["warm", "color_forest", "tiny_knn", "--n-jobs", "1"]) == 1
    assert "color_forest failed: ValueError: no colour\nnothing was left" in capsys.readouterr().out


def test_the_demo_option_compiles_the_recipes_of_the_demo(monkeypatch, capsys):
    warmed = []
    monkeypatch.setattr(_warm, "_warm_one", lambda name: warmed.append(name) or _warm.Row(name))
    assert main(["warm", "--demo", "--n-jobs", "1"]) == 0
    assert set(warmed) == set(_recipes.IN_DEMO)


@pytest.mark.parametrize("number", ["0", "many"])
def test_a_wrong_number_of_processes_is_refused(capsys, number):
    with pytest.raises(SystemExit, match="2"):
        main(["warm", "tiny_knn", "--n-jobs", number])
    message = f"argument --n-jobs: the number of processes must be at least 1, or -1 for all processors; got {number}"
    assert message in capsys.readouterr().err


def test_wrong_arguments_are_refused(monkeypatch):
    with pytest.raises(InputError, match="Did you mean 'hog_svm'"):
        recipes.warm(["hog_swm"])
    with pytest.raises(InputError, match=r"use \['hog_svm'\]"):
        recipes.warm("hog_svm")
    with pytest.raises(InputError, match="n_jobs must not be 0"):
        recipes.warm(["tiny_knn"], n_jobs=0)
    monkeypatch.setattr(_cache, "folders", list)
    with pytest.raises(InputError, match="NUMBA_DISABLE_JIT"):
        recipes.warm(["tiny_knn"])
