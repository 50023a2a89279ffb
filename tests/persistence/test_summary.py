"""The summary beside a model: load checks it, and crafted ones are refused."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from featrec.exceptions import InputError, ModelFileError
from featrec.persistence import load, load_summary, save
from featrec.persistence._summary import SUMMARY
from tests.persistence.archives import packed, refused, saved, unpacked


class Arrays:
    def __init__(self, **arrays):
        self.arrays = arrays

    def to_arrays(self):
        return self.arrays


@pytest.fixture
def model():
    return GaussianNB().fit([[0.0], [1.0]], ["cat", "dog"])


def with_summary(model, content):
    facts, members = unpacked(saved(model))
    return packed(facts, members | {SUMMARY: content})


def zip_of(*members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name) if method == zipfile.ZIP_STORED else name, content, method)
    return buffer.getvalue()


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


def test_arrays_come_back(model):
    arrays = {"codes": np.arange(6, dtype=np.float32).reshape(2, 3), "counts": np.array([3, 2])}
    save(model, "a.featrec", summary=Arrays(**arrays))
    found = load_summary("a.featrec")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert load("a.featrec").predict([[0.9]]) == ["dog"]


def test_the_same_summary_gives_the_same_bytes(model):
    for name in ("a.featrec", "b.featrec"):
        save(model, name, summary=Arrays(codes=np.ones((5, 2), np.float32)))
    with open("a.featrec", "rb") as a, open("b.featrec", "rb") as b:
        assert a.read() == b.read()


def test_a_summary_does_not_change_the_model(model):
    _, plain = unpacked(saved(model))
    save(model, "a.featrec", summary=Arrays(codes=np.ones((5, 2), np.float32)))
    with open("a.featrec", "rb") as file:
        _, members = unpacked(file.read())
    assert members.pop(SUMMARY)
    assert members == plain


GOOD = npy(np.ones((5, 2), np.float32))
BAD = {
    "no zip": b"text",
    "nothing": zip_of(),
    "too many": zip_of(*((f"a{number}.npy", GOOD) for number in range(9))),
    "another name": zip_of(("../codes.npy", GOOD)),
    "another suffix": zip_of(("codes.txt", GOOD)),
    "compressed": zip_of(("codes.npy", GOOD), method=zipfile.ZIP_DEFLATED),
    "objects": zip_of(("codes.npy", npy(np.array([print], object), allow_pickle=True))),
    "a pickle": zip_of(("codes.npy", pickle.dumps(print))),
    "text inside": zip_of(("codes.npy", npy(np.array(["a"])))),
    "three axes": zip_of(("codes.npy", npy(np.zeros((2, 2, 2))))),
    "records": zip_of(("codes.npy", npy(np.zeros(2, [("a", "f4")])))),
    "cut": zip_of(("codes.npy", GOOD[:-4])),
    "large": zip_of(("codes.npy", npy(np.zeros(2**21 + 1)))),
}


@pytest.mark.parametrize("content", list(BAD.values()), ids=list(BAD))
def test_crafted_summaries_are_refused(model, content):
    data = with_summary(model, content)
    refused(data, r"summary|codes\.npy")
    with pytest.raises(ModelFileError, match=r"'attack\.featrec': .*(summary|codes\.npy)"):
        load_summary("attack.featrec")


def test_a_member_twice_is_refused(model):
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = zip_of(("codes.npy", GOOD), ("codes.npy", GOOD))
    refused(with_summary(model, content), "is not a summary .*expected 1 to 8, each once")


def test_an_announced_size_is_compared_with_the_content(model):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    refused(with_summary(model, zip_of(("codes.npy", buffer.getvalue()))), "declares 8,000,000,000,000 bytes")


def test_a_model_cannot_refer_to_it(model):
    """The schema of a model must not use the summary as one of its arrays."""
    facts, members = unpacked(saved(model))
    schema = members["schema.json"].replace(b"array-0.npy", SUMMARY.encode())
    data = packed(facts, members | {SUMMARY: zip_of(("codes.npy", GOOD)), "schema.json": schema})
    with open("attack.featrec", "wb") as file:
        file.write(data)
    with pytest.raises(ModelFileError, match=r"its schema was not written by `save` \(KeyError\('summary\.npz'\)\)"):
        load("attack.featrec")


def test_files_that_are_no_model_files():
    with open("text", "wb") as file:
        file.write(b"text")
    with pytest.raises(ModelFileError, match="'text': damaged, cut off or not a model file"):
        load_summary("text")


@pytest.mark.parametrize("array", [np.zeros(2**21 + 1), np.array(["a"]), np.zeros((2, 2, 2))])
def test_save_refuses_what_load_refuses(model, array):
    with pytest.raises(InputError, match="the summary cannot be kept in a model file"):
        save(model, "a.featrec", summary=Arrays(codes=array))
