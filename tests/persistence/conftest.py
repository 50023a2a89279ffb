import pytest


@pytest.fixture(autouse=True)
def _nothing_is_executed(tmp_path, monkeypatch):
    """Run tests in an empty folder. If a hostile file executed its payload, a file "ran" would appear there."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "ran").exists()
