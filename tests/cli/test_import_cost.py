"""What importing costs: heavy packages come with the stages that need them, not with featrec or its help."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from featrec.cli import main
from featrec.cli._main import COMMANDS

STAGE = {"numba", "sklearn", "skimage", "cv2", "matplotlib", "onnxruntime", "torch"}
HEAVY = STAGE | {"numpy", "scipy", "joblib", "PIL", "pandas"}


def loaded_after(code: str) -> set[str]:
    """The packages that a fresh Python has loaded after a line of code."""
    report = "import json, sys; print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_root_loads_nothing_heavy():
    assert not loaded_after("import featrec") & HEAVY


def test_the_command_line_loads_nothing_heavy():
    assert not loaded_after("import featrec.cli") & HEAVY


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["compare", "--nonsense"], ["recipes"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_and_complaints_load_nothing_heavy(words):
    code = f"from featrec.cli import main\ntry:\n    main({words!r})\nexcept SystemExit:\n    pass"
    assert not loaded_after(code) & HEAVY


def modules_after(code: str) -> set[str]:
    """The modules that a fresh Python has loaded after some lines of code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n' + ' '.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_a_name_loads_its_module_alone():
    loaded = modules_after("from featrec.descriptors import ColorHistogram")
    assert {"featrec.descriptors._baselines", "cv2"} <= loaded
    assert not {"featrec.descriptors._hog", "featrec.descriptors._dense_sift", "numba", "featrec.compiled"} & loaded


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (root / name).mkdir()
        for number in range(6):
            pixels = (level + rng.integers(-20, 20, (40, 40, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


# What a prediction does not use: compiled loops only where the model has some, of scikit-learn the classifier's own parts.
UNUSED = {"skops", "skimage", "matplotlib"}
UNUSED |= {"featrec.recipes", "featrec.evaluation", "featrec.cli._bench", "featrec.cli._train"}


@pytest.mark.parametrize(
    ("recipe", "used", "unused"),
    [
        ("tiny_knn", {"sklearn.neighbors"}, {"numba", "sklearn.ensemble"}),
        ("color_forest", {"sklearn.ensemble"}, {"numba"}),
        ("hog_svm", {"featrec.compiled._hog"}, {"sklearn.ensemble", "sklearn.svm", "sklearn.neighbors", "featrec.encoders"}),
        ("bovw_svm", {"featrec.compiled._dense_sift", "sklearn.svm"}, {"sklearn.ensemble", "featrec.descriptors._hog"}),
    ],
)
def test_predict_loads_what_its_model_needs(images, tmp_path, recipe, used, unused):
    model = str(tmp_path / "model.featrec")
    words = ["--set", "n_words=20"] if recipe == "bovw_svm" else []
    assert main(["train", str(images), "--recipe", recipe, "--out", model, "--holdout", "0", "--n-jobs", "1", *words]) == 0
    image = str(images / "light" / "0.png")
    loaded = modules_after(f"from featrec.cli import main\nassert main(['predict', {model!r}, {image!r}]) == 0")
    assert used <= loaded
    assert not (UNUSED | unused) & loaded


def test_a_noun_loads_no_stage():
    assert not loaded_after("from featrec import Bag, Bags, Images") & STAGE


def test_importing_takes_no_time_worth_mentioning():
    """A loose bound for a loaded machine; what it guards against (a stage at the root) costs a second."""
    code = "import time; start = time.perf_counter(); import featrec; print(time.perf_counter() - start)"
    seconds = min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in range(3))
    assert seconds < 0.2


def test_help_appears_at_once():
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "featrec", "--help"], capture_output=True, check=True)
    assert time.perf_counter() - start < 2.0
