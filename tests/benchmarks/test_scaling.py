import pytest

from benchmarks import scaling


@pytest.mark.slow
def test_each_n_is_measured(capsys):
    rows = scaling.main(1, 2)
    assert [row["images"] for row in rows] == [1, 2]
    assert all(row["transform"] > 0 and row["peak_mb"] > row["codes_mb"] > 0 for row in rows)
    assert "grows as n^" in capsys.readouterr().out


def test_the_exponent_of_a_power_law():
    rows = [{"images": n, "time": 3.0 * n**1.5} for n in (1, 2, 4, 8)]
    assert abs(scaling.exponent(rows, "time") - 1.5) < 1e-12
