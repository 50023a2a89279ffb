import pytest

from benchmarks import cold_start


def test_images_have_three_classes_and_are_repeatable():
    made, labels = cold_start.images(6, 3)
    again, _ = cold_start.images(6, 3)
    assert labels == ["coarse", "fine", "striped"] * 2
    assert {image.shape for image in made} == {(120, 120, 3)}
    assert all((one == other).all() for one, other in zip(made, again, strict=True))


def test_compilations_are_listed_and_a_second_call_compiles_nothing():
    from numba import config, njit

    if config.DISABLE_JIT:
        pytest.skip("nothing is compiled")

    @njit
    def inner(x):
        return x + 1

    @njit
    def outer(x):
        return inner(x) * 2

    with cold_start.Compilations() as compiled:
        assert outer(1) == 4
    module = __name__.rpartition(".")[2]
    assert set(compiled.seconds) == {f"{module}.inner", f"{module}.outer"}
    with cold_start.Compilations() as compiled:
        outer(2)
    assert not compiled.seconds


def test_a_summary_takes_medians(capsys):
    runs = [
        {"cold": c, "warm": 1.0, "extra": c - 1, "functions": {"a.b": c}, "times": {"a.b": 2}, "again": [], "answers": []}
        for c in (3.0, 9.0, 4.0)
    ]
    side = cold_start.summary(runs)
    assert (side["extra"], side["functions"]["a.b"]) == (3.0, 4.0)
    cold_start.tell("recipe", [side, side | {"extra": 9.0, "answers": ["x"]}], False)
    told = capsys.readouterr().out
    assert "3.0 times less" in told
    assert "other answers" in told
