"""Parameters that are described once and inserted where they are missing."""

import itertools

import pytest

from featrec.shared_docs import SHARED, with_shared_docs


class Estimator:
    """Say what it does.

    Parameters
    ----------
    n_words, levels : int
        Their own description.

        In two paragraphs.
    verbose : int
        A description of its own.

    Attributes
    ----------
    failures_ : list

    Examples
    --------
    >>> 1 + 1
    2
    """

    def __init__(self, n_words, on_error, levels, *, cache, n_jobs=None, verbose=0, other=None): ...


def sections(text):
    lines = text.splitlines()
    return [line for line, under in itertools.pairwise(lines) if under.startswith("---")]


def entries(text):
    section = text.split("----------\n", 1)[1].split("\n\nAttributes")[0]
    return [line.split(" :")[0] for line in section.splitlines() if line and not line.startswith(" ")]


def test_missing_parameters_are_inserted_in_the_order_of_the_signature():
    text = with_shared_docs(Estimator).__doc__
    assert entries(text) == ["n_words, levels", "on_error", "cache", "n_jobs", "verbose"]
    assert sections(text) == ["Parameters", "Attributes", "Examples"]
    assert SHARED["cache"] in text
    assert "A description of its own." in text
    assert SHARED["verbose"] not in text
    assert with_shared_docs(Estimator).__doc__ == text, "a second time changes nothing"


def test_a_function_without_a_section_gets_one_before_the_first_section():
    def recipe(*, random_state=None):
        """Make a model.

        Returns
        -------
        model : Pipeline
        """

    text = with_shared_docs(recipe).__doc__
    assert sections(text) == ["Parameters", "Returns"]
    assert SHARED["random_state"] in text


def test_the_default_is_that_of_the_signature():
    def recipe(*, random_state=0, max_descriptors=100_000):
        """Make a model."""

    text = with_shared_docs(recipe).__doc__
    assert "random_state : int, RandomState or None, default=0\n" in text
    assert SHARED["max_descriptors"] in text


@pytest.mark.parametrize("text", [None, "", "Only a summary."])
def test_nothing_is_inserted_without_shared_parameters(text):
    def plain(own): ...

    plain.__doc__ = text
    assert with_shared_docs(plain).__doc__ == text


def test_names_of_shared_parameters_lead_their_descriptions():
    assert all(text.startswith(f"{name} : ") for name, text in SHARED.items())
    assert all(line.startswith("    ") for text in SHARED.values() for line in text.splitlines()[1:])
