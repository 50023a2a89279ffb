import pytest

from benchmarks import memory


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(capsys):
    growth = memory.main(8, 32, n_words=50)
    assert "growth beyond the codes" in capsys.readouterr().out
    assert growth < 60


@pytest.mark.slow
def test_memory_is_flat_from_500_to_4000_images():
    assert memory.main() < 60
