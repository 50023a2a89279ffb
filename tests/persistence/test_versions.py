"""Versions are accepted, accepted with a warning, or refused as in the table of docs/model_files.md."""

import json
import re
import warnings
from pathlib import Path

import pytest
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB

from featrec.exceptions import ModelFileError, VersionWarning
from featrec.persistence import load, save
from featrec.persistence._origin import TABLE, installed_versions
from tests.persistence.archives import packed, unpacked

X, Y = load_digits(n_class=3, return_X_y=True)
HERE = installed_versions()


def part(package, *, major=0, minor=0, patch=""):
    """Return the installed version of a package with changed parts."""
    found = [int(number) for number in HERE[package].split(".")[:2]]
    return f"{found[0] + major}.{found[1] + minor}{patch}"


@pytest.fixture
def written_by(tmp_path):
    """Save a model and change the versions in its header."""

    def write(**versions):
        path = tmp_path / "model.featrec"
        save(GaussianNB().fit(X, Y), path)
        facts, members = unpacked(path.read_bytes())
        facts["versions"] |= {name.replace("_", "-"): version for name, version in versions.items()}
        path.write_bytes(packed(facts, members))
        return path

    return write


SILENT = [
    {},
    {"featrec": part("featrec", patch=".99")},
    {"scikit_learn": part("scikit-learn", patch=".99")},
    {"opencv": part("opencv", minor=7, patch=".0.1")},
    {"numpy": "1.0"},
    {"python": "3.99.0"},
    {"skops": "99.0"},
]


@pytest.mark.parametrize("versions", SILENT, ids=str)
def test_versions_that_are_accepted(versions, written_by):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(written_by(**versions)).classes_.tolist() == [0, 1, 2]


WARNED = [
    {"featrec": part("featrec", minor=1, patch=".0")},
    {"featrec": part("featrec", major=1, patch=".0")},
    {"scikit_learn": part("scikit-learn", minor=1, patch=".0")},
    {"scikit_learn": part("scikit-learn", minor=-1, patch=".0")},
    {"opencv": part("opencv", major=1)},
    {"opencv": part("opencv", major=-1)},
    {"opencv": None},
    {"featrec": "x.y"},
    {"featrec": 7},
]


@pytest.mark.parametrize("versions", WARNED, ids=str)
def test_versions_with_a_warning(versions, written_by):
    path = written_by(**versions)
    ((package, version),) = versions.items()
    with pytest.warns(VersionWarning, match=rf"written with {package.replace('_', '-')} {version} \(installed: ") as caught:
        assert load(path).classes_.tolist() == [0, 1, 2]
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert str(path) in str(caught[0].message)


@pytest.mark.parametrize("version", [part("scikit-learn", major=1), part("scikit-learn", major=-1), "x.y", None, 7], ids=str)
def test_another_major_scikit_learn_is_refused(version, written_by):
    match = f"written with scikit-learn {version}, which {HERE['scikit-learn']} cannot read; install that version, or fit"
    with pytest.raises(ModelFileError, match=match):
        load(written_by(scikit_learn=version))


def test_the_warning_names_all_differences(written_by):
    with pytest.warns(VersionWarning, match=r"featrec 77\.0 .*, opencv 99\.0 \(installed"):
        load(written_by(featrec="77.0", opencv="99.0"))


def test_a_long_version_is_cut(written_by):
    with pytest.raises(ModelFileError, match=r"written with scikit-learn 9{40}, which"):
        load(written_by(scikit_learn="9" * 100_000))


def test_a_newer_format_is_refused_with_advice(written_by):
    path = written_by(featrec="3.1.4")
    facts, members = unpacked(path.read_bytes())
    path.write_bytes(packed({**facts, "format": 2}, members))
    with pytest.raises(ModelFileError, match=r"format 2; this version reads format 1.*featrec 3\.1\.4.*install that version"):
        load(path)


def test_the_error_of_a_model_of_another_version_names_it(written_by):
    path = written_by(featrec="0.77.0")
    facts, members = unpacked(path.read_bytes())
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["var_smoothing"]["content"] = "no json"
    path.write_bytes(packed(facts, {**members, "schema.json": json.dumps(schema).encode()}))
    with pytest.raises(ModelFileError, match=r"do not fit together.*It was written with featrec 0\.77\.0"):
        load(path)


def test_the_documented_table_is_up_to_date():
    text = (Path(__file__).parents[2] / "docs" / "model_files.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (featrec|scikit-learn|OpenCV) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    parts = {"never": 0, "another major": 1, "another minor": 2, "any": None}
    said = {name.lower(): (parts[warned.strip()], parts[refused.strip()]) for name, _, warned, refused in rows}
    assert said == {name: tuple(agreement) for name, agreement in TABLE.items()}
