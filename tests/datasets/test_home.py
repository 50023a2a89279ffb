"""The folder of published datasets, errors if a dataset is missing, and descriptions of datasets."""

import hashlib
import os
import re
from pathlib import Path

import pytest

from featrec.datasets import load_dataset
from featrec.datasets._home import PublishedFile, PublishedSet, dataset_folder
from featrec.datasets._published import CALTECH101, CIFAR10, CIFAR100, FASHION_MNIST, MNIST, SCENE15, load_mnist
from featrec.exceptions import DatasetError, InputError
from tests.datasets.test_files import put_idx

SETS = (CALTECH101, CIFAR10, CIFAR100, FASHION_MNIST, MNIST, SCENE15)
PLAIN = PublishedSet("tiny", "tiny-set", ("a.bin",), "https://example.org/tiny")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("FEATREC_DATA", raising=False)
    for name in ("one", "two"):
        (tmp_path / name / "tiny-set").mkdir(parents=True)
        (tmp_path / name / "tiny-set" / "a.bin").write_bytes(b"")
    return tmp_path


def test_data_home_takes_precedence_over_the_variable(home, monkeypatch):
    monkeypatch.setenv("FEATREC_DATA", str(home / "one"))
    assert dataset_folder(PLAIN, None, False) == home / "one" / "tiny-set"
    assert dataset_folder(PLAIN, home / "two", False) == home / "two" / "tiny-set"
    assert dataset_folder(PLAIN, str(home / "two"), False) == home / "two" / "tiny-set"
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    assert dataset_folder(PLAIN, "~/one", False) == home / "one" / "tiny-set"


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize(
    ("name", "has_home", "message"),
    [
        ("mnist", False, r"FEATREC_DATA or data_home=\.\.\., but neither is set; expected: mnist/"),
        ("scene15", True, "missing train, test; expected: scene15/.* cannot be downloaded automatically, because no checksum"),
    ],
)
def test_nothing_is_downloaded_without_a_folder_or_a_checksum(home, name, has_home, download, message):
    with pytest.raises(DatasetError, match=message):
        load_dataset(name, data_home=home if has_home else None, download=download)
    assert not (home / name).exists()


def test_the_error_offers_the_download(home):
    offer = r"expected: .* load_dataset\('mnist', data_home=.*, download=True\) downloads it \(12 MB\)"
    with pytest.raises(DatasetError, match=rf"missing train-images.*; {offer}"):
        load_dataset("mnist", data_home=home)
    assert not (home / "mnist").exists()


def test_invalid_options_are_refused():
    with pytest.raises(InputError, match="data_home of the dataset 'mnist' must be a path or None; got 5"):
        load_dataset("mnist", data_home=5)
    with pytest.raises(InputError, match="download of the dataset 'mnist' must be True or False; got 'yes'"):
        load_dataset("mnist", download="yes")


def test_download_and_load(site, tmp_path, rng):
    """The first call downloads the dataset into an empty folder; the second call sends no request."""
    kinds = {"images-idx3": rng.integers(0, 256, (5, 28, 28)), "labels-idx1": rng.integers(0, 10, 5)}
    files = []
    for name in MNIST.content:
        path = put_idx(tmp_path, name, kinds[name.split("-", 1)[1].removesuffix("-ubyte.gz")])
        site.files[name] = path.read_bytes()
        checksum = f"sha256:{hashlib.sha256(site.files[name]).hexdigest()}"
        files.append(PublishedFile(name, (site.address + name,), len(site.files[name]), checksum))
    small = PublishedSet("mnist", "mnist", MNIST.content, MNIST.homepage, tuple(files))
    for _ in range(2):
        train, test = load_mnist(data_home=tmp_path / "home", download=True, _published=small)
        assert train[4].tolist() == test[4].tolist() == kinds["images-idx3"][4].tolist()
        assert train.labels.tolist() == kinds["labels-idx1"].astype(str).tolist()
    assert len(site.requests) == 4


@pytest.mark.parametrize("published", SETS, ids=lambda published: published.name)
def test_descriptions_of_published_datasets(published):
    assert published.homepage.startswith("https://")
    assert bool(published.sources) == (published is not SCENE15)
    assert {file.name for file in published.files} <= set(published.content)
    assert published.archive or len(published.files) in (0, len(published.content))
    for file in published.sources:
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", file.checksum)
        assert all(f"/{file.name}" in url and url.startswith("http") for url in file.urls)
        assert file.size > 4_000
    assert len({file.checksum for each in SETS for file in each.sources}) == 11


@pytest.mark.data
@pytest.mark.parametrize("published", [MNIST, FASHION_MNIST], ids=lambda published: published.name)
def test_checksums_of_existing_files(published):
    if not os.environ.get("FEATREC_DATA"):
        pytest.skip("FEATREC_DATA is not set")
    for file in published.files:
        content = (Path(os.environ["FEATREC_DATA"]) / published.folder / file.name).read_bytes()
        assert (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}") == (file.size, file.checksum)
