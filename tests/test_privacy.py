"""The table of docs/privacy.md is true for every recipe, and nothing leaves the machine."""

import inspect
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featrec import recipes
from featrec.datasets import ImageFolder, load_dataset
from featrec.descriptors import PatchCodes, Patches
from featrec.descriptors._patch_table import MirrorWhitening
from featrec.persistence import save
from featrec.recipes._names import variants
from tests.test_recipes import SMALL
from tests.tiny_network import write_tiny_network

PAGE = Path(__file__).resolve().parent.parent / "docs" / "privacy.md"
FEW, MORE = 16, 24
CODES = {"_fit_X", "X_fit_", "_BaseLibSVM__Xfit"}
# Arrays beside the codes that also have one row, column or entry per image.
BESIDE = {"_y", "dual_coef_", "_dual_coef_", "support_", "squared_lengths_", "components_", "scales_", "offsets_", "_tree"}
BESIDE |= {"held_out_scores_"}  # its length says whether views were compared


def table():
    """The two columns of the table, by recipe."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", PAGE.read_text(encoding="utf-8"), flags=re.M)
    return {name: (codes, patches) for name, codes, patches in rows}


TABLE = table()


@pytest.fixture(scope="module")
def shapes():
    train, _ = load_dataset("shapes", n_train=MORE, n_test=8, random_state=0)
    return [np.asarray(image)[::2, ::2] for image in train], np.asarray(train.labels)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return write_tiny_network(tmp_path_factory.mktemp("network") / "tiny.onnx")


def make(name, network, **more):
    base = name.partition(":")[0]
    if base.startswith("pixels_"):
        pytest.importorskip("skorch")
        more |= {"epochs": 1}
    if base.startswith("cnn_"):
        more |= {"model": network, "preprocessing": "tf", "size": 32}
    model = recipes.make(name, **SMALL.get(base, {}), **more)
    seeds = [option for option in model.get_params() if option.rpartition("__")[2] == "random_state"]
    return model.set_params(**dict.fromkeys(seeds, 0))


def stored_shapes(model, path):
    """The shapes of the arrays of a model file, by their place in the model."""
    save(model, path)
    with zipfile.ZipFile(path) as file:
        found = {}
        _walk(json.loads(file.read("schema.json")), "", file, found)
    assert found
    return found


def _walk(node, place, file, found):
    if isinstance(node, dict):
        name = node.get("file")
        if isinstance(name, str) and name.endswith(".npy"):
            found[place] = np.load(io.BytesIO(file.read(name))).shape
        for key, value in node.items():
            _walk(value, place if key == "content" else f"{place}.{key}", file, found)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            _walk(value, f"{place}[{number}]", file, found)


@pytest.fixture(scope="module")
def fitted(shapes, network):
    """Fit a recipe to a number of images, once for all tests."""
    images, labels = shapes
    kept = {}

    def fit(name, n, **options):
        key = name, n, *options.items()
        if key not in kept:
            kept[key] = make(name, network, **options).fit(images[:n], labels[:n])
        return kept[key]

    return fit


def growing(name, fitted, folder, **options):
    """The arrays whose shapes depend on the number of images, by their places, with the shapes for FEW and MORE images."""
    few, more = (stored_shapes(fitted(name, n, **options), folder / f"{n}.model") for n in (FEW, MORE))
    return {place: (few.get(place), more.get(place)) for place in few.keys() | more.keys() if few.get(place) != more.get(place)}


def last(place):
    return re.sub(r"(\[\d+\])+$", "", place.rpartition(".")[2])


def test_the_table_has_all_recipes():
    assert list(TABLE) == recipes.names()


VARIANTS = [pytest.param(name, marks=[pytest.mark.slow] if ":" in name else []) for name in variants()]


@pytest.mark.parametrize("name", VARIANTS)
def test_codes_that_a_model_file_keeps(name, fitted, tmp_path):
    codes, _ = TABLE[name.partition(":")[0]]
    found = growing(name, fitted, tmp_path)
    names = {last(place) for place in found}
    kept = [shapes for place, shapes in found.items() if last(place) in CODES]
    if codes == "none":
        assert not found
    elif codes.startswith("none as such; trees"):
        assert found
        assert all(".tree_." in place for place in found)
    elif codes.startswith("of all"):
        assert [(few[0], more[0]) for few, more in kept] == [(FEW, MORE)]
        assert names <= CODES | BESIDE
    else:
        assert codes.startswith("of at most 6,000")
        assert "landmarks_" in names
        assert names <= BESIDE | {"landmarks_"}


def test_thumbnails_of_tiny_knn_are_recognisable(shapes, fitted):
    images = shapes[0][:FEW]
    step, classifier = fitted("tiny_knn", FEW)
    assert classifier._fit_X.shape == (len(images), 16 * 16)
    assert "16×16" in TABLE["tiny_knn"][0]
    np.testing.assert_array_equal(classifier._fit_X, step.transform(images))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hog_svm", "patches_kernel"])
def test_landmarks_limit_the_codes_that_are_kept(name, fitted, tmp_path):
    from featrec.classifiers._nystroem_ridge import LANDMARKS

    assert LANDMARKS == 6000
    found = growing(name, fitted, tmp_path, landmarks=10)
    assert not {last(place) for place in found} & {*CODES, "dual_coef_"}
    assert {few[0] for place, (few, _) in found.items() if last(place) == "landmarks_"} <= {10}


WITH_WORDS = [name for name in recipes.names() if "n_words" in SMALL.get(name, {}) and name != "fisher_lbp_svm"]


@pytest.mark.parametrize("name", WITH_WORDS)
def test_words_that_are_patches_of_training_images(name, shapes, fitted):
    images, model = shapes[0], fitted(name, FEW)
    words, descriptors = of_patch_codes(model, images[:FEW]) if name == "patches_compact" else of_encoder(model, images[:FEW])
    if TABLE[name][1] == "none":
        distances = np.linalg.norm(words[:, None].astype(float) - descriptors, axis=2).min(axis=1)
        assert (distances > 1e-4 * np.linalg.norm(words, axis=1)).mean() > 0.5
    else:
        cosines = unit(words) @ unit(descriptors).T
        equal = (cosines.max(axis=1) > (0.999 if name == "patches_compact" else 1 - 1e-5)).mean()  # int8 against float32
        assert "1,600 whitened patches of 6×6 pixels" in TABLE[name][1]
        assert equal == 1
        defaults = inspect.signature(getattr(recipes, name)).parameters
        assert (defaults["n_words"].default, defaults["size"].default) == (1600, 6)


def of_encoder(model, images):
    place = next(number for number, step in enumerate(model) if hasattr(step, "vocabulary_") or hasattr(step, "encoder_"))
    encoder = getattr(model[place], "encoder_", model[place])
    learned = vars(encoder.vocabulary_)
    words = learned["words_"] if "words_" in learned else learned["means_"]
    descriptors = np.concatenate([bag.descriptors for bag in model[:place].transform(images)])
    if words.dtype == np.uint8 == descriptors.dtype and words.shape[1] == 32:
        return np.unpackbits(words, axis=1), np.unpackbits(descriptors, axis=1)
    return words, descriptors


def of_patch_codes(model, images):
    step = next(step for step in model if isinstance(step, PatchCodes))
    place = list(model).index(step)
    images = model[:place].transform(images)
    patches = Patches(step.size, contrast=step.contrast, color=step.color_).fit(images).transform(images)
    whitening = MirrorWhitening(step.basis_, step.offsets_, step.n_even_)
    return step.words_, whitening.apply(np.concatenate([bag.descriptors for bag in patches]))


def unit(rows):
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def test_no_path_is_in_a_model_file(tmp_path):
    folder = tmp_path / "secret_folder"
    rng = np.random.default_rng(0)
    for label in ("dark", "light"):
        (folder / label).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 100, (32, 32), dtype=np.uint8) + (100 if label == "light" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"name_of_a_person_{number}.png")
    images = ImageFolder(folder)
    save(recipes.hog_svm().fit(images, images.labels), tmp_path / "my.model")
    with zipfile.ZipFile(tmp_path / "my.model") as file:
        contents = b"".join(file.read(name) for name in file.namelist())
    assert b"light" in contents
    assert b"secret_folder" not in contents
    assert b"name_of_a_person" not in contents
    assert str(tmp_path).encode() not in contents


CODE = """
import sys
def forbid(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.bind"):
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(forbid)
from featrec.cli import main
for words in (
    "check pictures", "train pictures --recipe tiny_knn --out my.model", "predict my.model pictures",
    "explain my.model pictures --out page.html --method occlusion --limit 1", "encode my.model pictures --out codes.npy",
    "anonymize pictures --out copies --detector lbp --n-jobs 2", "compare pictures --recipes tiny_knn --cv 2",
):
    if main(words.split()):
        raise SystemExit(words)
"""


@pytest.mark.slow
def test_nothing_leaves_the_machine(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / label / f"{number}.png")
    done = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    forbidden = CODE.partition("from featrec.cli")[0] + "import socket; socket.create_connection(('127.0.0.1', 9))"
    refused = subprocess.run([sys.executable, "-c", forbidden], capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.startswith("socket.")
