"""Heavy packages are imported with the stages that need them, not with featrec or its help."""

import subprocess
import sys

import pytest

from featrec.cli import main
from featrec.cli._main import COMMANDS
from tests.cli.folders import write_dark_and_light

STAGE = {"numba", "sklearn", "skimage", "cv2", "matplotlib", "onnxruntime", "torch"}
HEAVY = STAGE | {"numpy", "scipy", "joblib", "PIL", "pandas"}


def loaded_after(code: str) -> set[str]:
    """Return the modules that a new Python process has loaded after running the code."""
    report = "import sys; print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_and_usage_errors_load_nothing_heavy():
    words = [["--help"], ["--version"], ["compare", "--nonsense"], ["recipes"], *([name, "--help"] for name in COMMANDS)]
    code = "from contextlib import suppress\nimport featrec\nfrom featrec.cli import main\n"
    code += f"for words in {words!r}:\n    with suppress(SystemExit):\n        main(words)"
    assert not loaded_after(code) & HEAVY


def test_bags_and_images_load_no_stage():
    assert not loaded_after("from featrec import Bag, Bags, Images") & STAGE


def test_a_class_loads_only_its_own_module():
    loaded = loaded_after("from featrec.descriptors import ColorHistogram")
    assert {"featrec.descriptors._baselines", "cv2"} <= loaded
    assert not {"featrec.descriptors._hog", "featrec.descriptors._dense_sift", "numba", "featrec.compiled"} & loaded


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_dark_and_light(tmp_path_factory.mktemp("images"), 6, (40, 40))


# Modules that no prediction needs.
UNUSED = {"skops", "skimage", "matplotlib", "featrec.recipes", "featrec.evaluation", "featrec.cli._bench", "featrec.cli._train"}


@pytest.mark.parametrize(
    ("recipe", "used", "unused"),
    [
        ("tiny_knn", {"sklearn.neighbors"}, {"numba", "sklearn.ensemble"}),
        ("color_forest", {"sklearn.ensemble"}, {"numba"}),
        ("hog_svm", {"featrec.compiled._hog"}, {"sklearn.ensemble", "sklearn.svm", "sklearn.neighbors", "featrec.encoders"}),
        ("bovw_svm", {"featrec.compiled._dense_sift", "sklearn.svm"}, {"sklearn.ensemble", "featrec.descriptors._hog"}),
    ],
)
def test_predict_loads_only_modules_that_its_model_needs(images, tmp_path, recipe, used, unused):
    model = str(tmp_path / "model.featrec")
    words = ["--set", "n_words=20"] if recipe == "bovw_svm" else []
    assert main(["train", str(images), "--recipe", recipe, "--out", model, "--holdout", "0", "--n-jobs", "1", *words]) == 0
    image = str(images / "light" / "0.png")
    loaded = loaded_after(f"from featrec.cli import main\nassert main(['predict', {model!r}, {image!r}]) == 0")
    assert used <= loaded
    assert not (UNUSED | unused) & loaded


def test_importing_featrec_is_fast():
    """The limit is high enough for a busy machine, but importing a heavy package would take a second."""
    code = "import time; start = time.perf_counter(); import featrec; print(time.perf_counter() - start)"
    seconds = min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in range(3))
    assert seconds < 0.2
