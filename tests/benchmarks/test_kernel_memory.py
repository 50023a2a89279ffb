import pytest

from benchmarks import kernel_memory


@pytest.mark.slow
def test_fit_needs_no_more_memory_than_announced(capsys):
    found = kernel_memory.main(1500, 100)
    assert found["ours"]["fit_mb"] <= found["ours"]["announced_mb"]
    assert "1,500 × 100 in" in capsys.readouterr().out


@pytest.mark.slow
def test_less_than_a_third_of_the_memory_of_scikit_learn():
    found = kernel_memory.main(6000, 500)
    assert found["ours"]["fit_mb"] <= found["ours"]["announced_mb"]
    assert 3 * found["ours"]["fit_mb"] < found["theirs"]["fit_mb"]
