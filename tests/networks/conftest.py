import pytest


@pytest.fixture(scope="session")
def timm():
    return pytest.importorskip("tests.networks.tiny_modules").timm_or_none() or pytest.skip("timm is not installed")
