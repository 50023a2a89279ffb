import pytest


@pytest.fixture(autouse=True)
def _nothing_is_executed(tmp_path, monkeypatch):
    """Tests run in an empty folder; a hostile file that executed its payload would create "ran" there."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "ran").exists()
