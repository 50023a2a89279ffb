"""Predictions of another program in a comparison."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from sklearn.naive_bayes import GaussianNB

from featrec.datasets import ImageFolder
from featrec.evaluation import compare, paths_of
from featrec.exceptions import InputError, UnknownLabelWarning
from featrec.preprocessing import Resize
from featrec.recipes import tiny_knn

LABELS = ["flower"] * 4 + ["leaf"] * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for number, label in enumerate(LABELS):
        (root / label).mkdir(exist_ok=True)
        Image.new("L", (8, 8), 30 * number).save(root / label / f"{number}.png")
    return ImageFolder(root)


def own(folder, **changed):
    """Return a dict of path to label; all labels are correct except those in `changed`."""
    return dict(zip(folder.paths, folder.labels, strict=True)) | changed


def test_a_dict_in_another_order_equals_an_array(folder):
    shuffled = dict(reversed(own(folder).items()))
    compared = compare({"array": folder.labels, "dict": shuffled}, folder, folder.labels, cv=2)
    assert compared["dict"].kind == "predictions"
    np.testing.assert_array_equal(compared["dict"].y_pred, compared["array"].y_pred)
    assert compared["dict"].accuracy == 1.0


@pytest.mark.parametrize("spelled", [
    lambda path, root: os.path.relpath(path, root),
    lambda path, root: os.path.basename(path),
    lambda path, root: os.path.relpath(path),
    lambda path, root: os.path.join(os.path.dirname(path), ".", os.path.basename(path)),
], ids=["in the folder", "name", "from here", "dotted"])  # fmt: skip
def test_paths_may_be_relative_or_shortened(folder, spelled):
    given = {spelled(path, folder.path): label for path, label in own(folder).items()}
    assert compare({"own": given}, folder, folder.labels, cv=2)["own"].accuracy == 1.0


def test_predictions_for_training_images_are_ignored(folder):
    train, test = folder[[0, 1, 4, 5]], folder[[2, 3, 6, 7]]
    compared = compare({"own": own(folder), "tiny": tiny_knn()}, train, train.labels, test=(test, test.labels))
    assert compared["own"].y_pred.tolist() == test.labels.tolist()
    assert compared.remarks == ()


def test_missing_unknown_and_duplicate_paths_are_refused(folder):
    def refused(given, match):
        with pytest.raises(InputError, match=match):
            compare({"own": given}, folder, folder.labels, cv=2)

    refused(dict(list(own(folder).items())[:-1]), r"'own' have no label for '.*7\.png'; each of the 8 test images")
    refused({folder.paths[0]: "leaf"}, r"no label for '.*1\.png', '.*2\.png', '.*3\.png' and 4 more")
    refused(
        own(folder, **{"leaf/9.png": "leaf"}), r"'own' contain 'leaf/9\.png', which is not an image of this comparison; write"
    )
    refused(own(folder, **{"leaf/7.png": "leaf"}), r"'own' contain '.*7\.png' twice; keep one label for each image")
    refused({3: "leaf"}, "'own' are a dict of path to label; got the key 3")
    refused(own(folder) | {folder.paths[0]: None}, "the predictions 'own' must be all strings or all integers")


def test_an_ambiguous_path_is_refused(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(2):
            Image.new("L", (8, 8)).save(tmp_path / label / f"{number}.png")
    folder = ImageFolder(tmp_path)
    with pytest.raises(InputError, match=r"contain '0\.png', which matches 2 images; write more of the path"):
        compare({"own": {"0.png": "a"}}, folder, folder.labels, cv=2)


def test_unknown_labels_are_reported_with_count_and_nearest_label(folder):
    given = folder.labels.astype("<U9")
    given[:3], given[4], given[5] = "Flower", "leafs", "qqq"
    with pytest.warns(UnknownLabelWarning, match="own predicts labels that no image has"):
        compared = compare({"own": given}, folder, folder.labels, cv=2)
    (remark,) = compared.remarks
    assert remark == (
        "own predicts labels that no image has, which count as errors: 'Flower' (3 of 8; did you mean 'flower'?), "
        "'leafs' (1 of 8; did you mean 'leaf'?), 'qqq' (1 of 8)."
    )
    assert remark in str(compared)
    assert remark in compared.to_markdown()
    assert json.loads(compared.to_json())["remarks"] == [remark]
    assert compared["own"].accuracy == 3 / 8


def test_unknown_numbers_are_reported():
    with pytest.warns(UnknownLabelWarning, match=r"'?7'? \(1 of 4\)\."):
        compare({"own": [0, 1, 0, 7]}, np.zeros((4, 1)), [0, 1, 0, 1], cv=2)


def test_a_comparison_contains_the_paths(folder):
    compared = compare({"tiny": tiny_knn(n_neighbors=1)}, folder, folder.labels, cv=2)
    assert list(compared.paths) == folder.paths
    assert json.loads(compared.to_json())["paths"] == folder.paths
    table = compared.predictions_to_frame()
    assert table.index.tolist() == folder.paths
    assert table["y_true"].tolist() == folder.labels.tolist()
    assert table["tiny"].tolist() == compared["tiny"].y_pred.tolist()


def test_without_paths():
    rows = np.arange(8.0)[:, None]
    compared = compare({"bayes": GaussianNB()}, rows, LABELS, test=(rows, LABELS))
    assert compared.paths is None
    assert json.loads(compared.to_json())["paths"] is None
    assert compared.predictions_to_frame().index.tolist() == list(range(8))


def test_paths_of_all_forms_of_images(folder, tmp_path):
    import pandas as pd

    paths = folder.paths
    assert paths_of(folder) == tuple(paths)
    assert paths_of(Resize((4, 4)).transform(folder)[2:4]) == tuple(paths[2:4])
    for form in (list, np.array, pd.Series, lambda paths: pd.Series(paths, name="path"), lambda paths: np.array(paths, object)):
        assert paths_of(form(paths)) == tuple(paths)
    assert paths_of([tmp_path / "a.png", b"bytes"]) == (str(tmp_path / "a.png"), None)
    assert paths_of([b"bytes"]) is None
    assert paths_of(np.zeros((3, 4))) is None
    assert paths_of(pd.DataFrame({"a": [1.0]})) is None
    polars = pytest.importorskip("polars")
    assert paths_of(polars.Series("path", paths)) == tuple(paths)
