"""A local server for the tests of downloads."""

import pytest

from tests.datasets.local_site import LocalSite


@pytest.fixture
def site(monkeypatch):
    pytest.importorskip("pooch", reason='pip install "featrec[data]" brings pooch')
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    with LocalSite({}) as running:
        yield running
