"""Damaged files are found before the work starts, and on_error="drop" leaves them out with their labels."""

import io
import pickle
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from featrec.datasets import ImageFolder
from featrec.descriptors import HOG, SIFT, ColorHistogram, DenseSIFT, Patches, TinyImage
from featrec.evaluation import compare, evaluate
from featrec.exceptions import DatasetError, DroppedImageWarning, FailedImageWarning, ImageError, InputError
from featrec.recipes import make, names
from tests.datasets.test_archive import pack

CLASSES = ("cat", "dog", "owl")
# Positions of the damaged files; each class has five files.
BAD = {1: b"", 7: b"this is no image", 13: b"half"}


def files(bad=BAD):
    """Write images whose gray value is ten times their position."""
    found = {}
    for place in range(15):
        data = io.BytesIO()
        Image.fromarray(np.full((12, 12), 10 * place, np.uint8)).save(data, "PNG")
        whole = data.getvalue()
        content = bad.get(place, whole)
        found[f"{CLASSES[place // 5]}/{place:02}.png"] = whole[:45] if content == b"half" else content
    return found


def write(root, contents):
    for name, data in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def as_manifest(root, contents):
    write(root / "below", contents)
    lines = [f"below/{name},{name[:3]},{place}" for place, name in enumerate(contents)]
    (root / "m.csv").write_text("path,label,place\n" + "\n".join(lines) + "\n")
    return root / "m.csv"


SOURCES = {
    "folder": lambda root, contents: write(root / "f", contents),
    "zip": lambda root, contents: pack(root / "f.zip", contents),
    "tar": lambda root, contents: pack(root / "f.tar", contents),
    "tar.gz": lambda root, contents: pack(root / "f.tar.gz", contents),
    "manifest": as_manifest,
}


@pytest.fixture
def clean(tmp_path):
    return ImageFolder(write(tmp_path / "clean", files({})))


@pytest.fixture
def mixed(tmp_path):
    return ImageFolder(write(tmp_path / "mixed", files()))


def dropping(read, *arguments, **options):
    with pytest.warns(DroppedImageWarning, match=f"{len(BAD)} of 15 images cannot be read and were left out") as caught:
        found = read(*arguments, on_error="drop", **options)
    assert len(caught) == 1
    assert caught[0].filename == __file__, "the warning points at the user's line"
    return found


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("kind", SOURCES)
def test_damaged_files_are_left_out_with_their_labels(tmp_path, kind, n_jobs):
    path = SOURCES[kind](tmp_path, files())
    folder = dropping(ImageFolder, path, n_jobs=n_jobs)
    kept = [place for place in range(15) if place not in BAD]
    assert [int(image[0, 0]) // 10 for image in folder] == kept
    assert folder.labels.tolist() == [CLASSES[place // 5] for place in kept]
    assert folder.classes == list(CLASSES)
    assert [failure.index for failure in folder.dropped] == sorted(BAD)
    assert [failure.item for failure in folder.dropped] == [ImageFolder(path).paths[place] for place in sorted(BAD)]
    reasons = [failure.reason for failure in folder.dropped]
    for reason, word in zip(reasons, ("zero bytes", "unsupported image format", "damaged or truncated"), strict=True):
        assert word in reason
    copy = pickle.loads(pickle.dumps(folder))
    assert copy.paths == folder.paths
    assert len(copy.dropped) == 3


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
def test_both_halves_of_a_split(tmp_path, kind):
    halves = {f"train/{name}": data for name, data in files().items()} | {f"test/{n}": d for n, d in files({}).items()}
    train, test = dropping(ImageFolder.split, SOURCES[kind](tmp_path, halves))
    assert (len(train), len(train.dropped), len(test), len(test.dropped)) == (12, 3, 15, 0)


def test_rows_of_a_manifest_are_dropped_with_their_columns(tmp_path):
    path = as_manifest(tmp_path, files({7: b""}))
    (tmp_path / "below/cat/01.png").unlink()
    (tmp_path / "below/owl/13.png").unlink()
    with pytest.raises(DatasetError, match=r"line 3 .*does not exist \(2 files are missing in total\)"):
        ImageFolder(path)
    for read in (ImageFolder, ImageFolder.from_manifest):
        folder = dropping(read, path)
        assert folder.column("place").astype(int).tolist() == [place for place in range(15) if place not in BAD]
        assert folder.labels.tolist() == [path.split("/")[-2] for path in folder.paths]
        assert "no such file" in folder.dropped[0].reason


def test_nothing_is_dropped_from_a_clean_folder(clean):
    folder = ImageFolder(clean.path, on_error="drop")
    assert folder.paths == clean.paths
    assert len(folder.dropped) == len(folder.damaged()) == 0


def test_slices_do_not_list_dropped_files(mixed):
    folder = dropping(ImageFolder, mixed.path)
    assert len(folder[:5].dropped) == len(folder[folder.labels == "cat"].dropped) == 0
    assert len(folder.dropped) == 3


def test_the_warning_names_classes_without_images(tmp_path):
    write(tmp_path, files(dict.fromkeys(range(5, 10), b"")))
    with pytest.warns(DroppedImageWarning, match=r"5 of 15 .*; the classes \['dog'\] have no images left"):
        folder = ImageFolder(tmp_path, on_error="drop")
    assert set(folder.labels.tolist()) == {"cat", "owl"}


def test_a_folder_with_only_damaged_files_is_an_error(tmp_path):
    write(tmp_path, files(dict.fromkeys(range(15), b"")))
    with pytest.raises(DatasetError, match=r"none of the 15 images of .* can be read; the first error: .*00\.png': zero bytes"):
        ImageFolder(tmp_path, on_error="drop")


@pytest.mark.parametrize("read", [ImageFolder, ImageFolder.from_manifest, ImageFolder.split])
@pytest.mark.parametrize(("word", "message"), [
    ("empty", 'on_error="empty" is only available in extractors and recipes.*ImageFolder accepts "raise", or "drop"'),
    ("skip", 'on_error of ImageFolder must be "raise" or "drop"; got \'skip\''),
])  # fmt: skip
def test_other_values_are_refused_before_the_folder_is_listed(read, word, message):
    with pytest.raises(InputError, match=message):
        read("nowhere", on_error=word)


@pytest.mark.parametrize("kind", SOURCES)
def test_damaged_lists_all_damaged_files(tmp_path, kind):
    folder = ImageFolder(SOURCES[kind](tmp_path, files()))
    damaged = folder.damaged(n_jobs=2)
    assert [(failure.index, failure.item) for failure in damaged] == [(place, folder.paths[place]) for place in sorted(BAD)]
    assert len(folder) == 15
    assert [failure.index for failure in folder[5:10].damaged()] == [2]


def test_decoded_images_are_not_kept(tmp_path):
    for i in range(30):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((400, 500, 3), np.uint8)).save(tmp_path / f"a/{i}.png")
    tracemalloc.start()
    ImageFolder(tmp_path, on_error="drop")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 600_000, "all images have 18 million bytes"


DROP = r'cannot drop the label of an image\. featrec\.datasets\.ImageFolder\(path, on_error="drop"\) leaves out damaged files'


@pytest.mark.parametrize("extractor", [HOG(), TinyImage(), ColorHistogram(), SIFT(), DenseSIFT(), Patches()], ids=str)
def test_extractors_refuse_drop(extractor, rng):
    images = [rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)]
    extractor.set_params(on_error="drop")
    for ask in (extractor.fit, extractor.fit_transform):
        with pytest.raises(InputError, match=DROP):
            ask(images)


@pytest.mark.parametrize("recipe", names())
def test_recipes_refuse_drop(recipe):
    options = {"model": "net.onnx"} if recipe.startswith("cnn_") else {}
    with pytest.raises(InputError, match=DROP):
        make(recipe, on_error="drop", **options)


def test_the_error_names_both_ways_to_continue(mixed):
    with pytest.raises(ImageError, match=r"01\.png'\): zero bytes; .*\. To continue without it, use ") as caught:
        TinyImage().fit(mixed).transform(mixed)
    assert 'ImageFolder(path, on_error="drop"), or on_error="empty" of an extractor or recipe.' in str(caught.value)
    assert "on_error" not in caught.value.reason


def tree(**options):
    return make_pipeline(TinyImage(**options), DecisionTreeClassifier(random_state=0))


@pytest.mark.parametrize(
    "extractor", [TinyImage(on_error="empty"), HOG(pixels_per_cell=4, cells_per_block=2, on_error="empty", n_jobs=2)], ids=str
)
def test_a_report_counts_unreadable_images(clean, mixed, extractor):
    model = make_pipeline(extractor, DecisionTreeClassifier(random_state=0)).fit(clean, clean.labels)
    with pytest.warns(FailedImageWarning, match="3 of 15 images"):
        report = evaluate(model, mixed, mixed.labels)
    assert (report.n, report.n_unreadable, report.n_dropped) == (15, 3, 0)
    for text in (str(report), report._repr_html_()):
        assert "3 of 15 images could not be read" in text
    assert '"n_unreadable": 3' in report.to_json()
    assert report.to_frame()["unreadable"].tolist() == report.unreadable.tolist() == [1, 1, 1]
    whole = evaluate(model, clean, clean.labels)
    assert whole.n_unreadable == whole.unreadable.sum() == 0
    assert "could not be read" not in str(whole)


def test_a_report_counts_unreadable_images_of_a_slice(clean, mixed):
    model = make("bovw_svm", n_words=2, n_jobs=2)
    model = make_pipeline(Patches(on_error="empty", contrast=None), *[step for _, step in model.steps[1:]])
    model.fit(clean, clean.labels)
    rows = np.array([13, 0, 7, 8])
    with pytest.warns(FailedImageWarning, match="2 of 4 images"):
        report = evaluate(model, mixed[rows], mixed.labels[rows])
    assert (report.n_unreadable, report.unreadable.tolist()) == (2, [0, 1, 1])


def test_a_report_counts_dropped_images(clean, mixed):
    test = dropping(ImageFolder, mixed.path)
    report = evaluate(tree().fit(clean, clean.labels), test, test.labels)
    assert (report.n, report.n_unreadable, report.n_dropped) == (12, 0, 3)
    assert 'Damaged images that were left out (on_error="drop") and are not included: 3.' in str(report)
    assert '"n_dropped": 3' in report.to_json()


def test_a_comparison_counts_unreadable_and_dropped_images(clean, mixed):
    guess = {"guess": tree(on_error="empty")}
    with pytest.warns(FailedImageWarning, match="3 of 15 images"):
        found = compare(guess | {"own": mixed.labels}, clean, clean.labels, test=(mixed, mixed.labels))
    assert (found["guess"].n_unreadable, found["own"].n_unreadable, found.n_dropped) == (3, 0, 0)
    assert "guess guessed the labels of 3 unreadable images" in str(found)
    assert found.to_frame()["n_unreadable"].to_dict() == {"guess": 3, "own": 0}
    with pytest.warns(FailedImageWarning, match=r"\d of (5|10) images"):
        assert compare(guess, mixed, mixed.labels, cv=3)["guess"].n_unreadable == 3
    test = dropping(ImageFolder, mixed.path)
    found = compare(guess, clean, clean.labels, test=(test, test.labels))
    assert (found["guess"].n_unreadable, found.n_dropped, found.n) == (0, 3, 12)
    assert 'Damaged images that were left out (on_error="drop"): 3.' in found.to_markdown()
    assert '"n_dropped": 3' in found.to_json()
    assert "damaged" not in str(compare(guess, clean, clean.labels, cv=3))
