"""What is told of compiling, which seconds count as work, and who compiles at a time."""

import gc
import multiprocessing
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from numba import njit, types
from numba.core import event

from featrec import compilation
from featrec.compiled import _cache
from featrec.compiled._cache import COMPILATIONS, Compilations
from featrec.compiled._parts import part, stay_apart
from featrec.compiled._rows import root_shares
from featrec.descriptors import LBP, RootSIFT, Whiten
from featrec.encoders import BagOfWords

# A loop that a fresh process compiles in half a second.
COMPILE = """
import numpy as np
from featrec.compiled._parts import part
from featrec.compiled._rows import root_shares
root_shares(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32))
"""


def loop(name="hog_bytes", module="featrec.compiled._hog", kept="/cache"):
    function = SimpleNamespace(__name__=name, __module__=module)
    return {"dispatcher": SimpleNamespace(py_func=function, stats=SimpleNamespace(cache_path=kept))}


def start_of(data):
    return event.Event("numba:compile", event.EventStatus.START, data)


def end_of(data):
    return event.Event("numba:compile", event.EventStatus.END, data)


def compile_with(listener, *loops):
    for data in loops:
        listener.notify(start_of(data))
        listener.notify(end_of(data))


@pytest.fixture
def listener(monkeypatch):
    monkeypatch.setattr(_cache, "time", SimpleNamespace(perf_counter=iter(range(100)).__next__))
    yield Compilations("featrec.compiled")
    gc.enable()  # some tests end while the compiler runs


@pytest.fixture
def terminal(monkeypatch, capsys):
    """What is said on a terminal since it was last asked."""
    monkeypatch.setattr(_cache, "_is_terminal", lambda: True)
    return lambda: capsys.readouterr().err


def test_only_the_outermost_of_nested_compilations_is_timed(listener):
    outer, inner = loop(), loop("_blocks")
    for one in (start_of(outer), start_of(inner), end_of(inner), start_of(inner), end_of(inner), end_of(outer)):
        listener.notify(one)
    assert listener.n_loops == 3
    assert listener.seconds == 1  # the clock was read twice
    compile_with(listener, inner)
    assert listener.seconds == 2


@pytest.mark.parametrize(
    "other", [loop(module="somebody.compiled._hog"), loop(module="featrec.compiled_by_me"), loop(module=None), loop(kept=None)]
)
def test_functions_of_other_packages_are_ignored(listener, terminal, other):
    compile_with(listener, other)
    assert (listener.n_loops, listener.seconds, terminal()) == (0, 0, "")


def test_a_terminal_gets_one_line_about_the_first(listener, terminal):
    compile_with(listener, loop("hog_bytes"), loop("dense_sift"))
    line = terminal()
    assert line.count("\n") == 1
    for words in ("hog_bytes", "once on this machine", "/cache", "featrec warm"):
        assert words in line


def test_a_pipe_gets_the_line_only_on_request(listener, capsys):
    compile_with(listener, loop())
    assert capsys.readouterr().err == ""
    listener.wanted = True
    listener.notify(start_of(loop()))
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("name", "n_lines"), [("LokyProcess-1", 1), ("LokyProcess-2", 0)])
def test_one_worker_process_reports(listener, terminal, monkeypatch, name, n_lines):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "the parent")
    monkeypatch.setattr(multiprocessing, "current_process", lambda: SimpleNamespace(name=name))
    listener.notify(start_of(loop()))
    assert terminal().count("\n") == n_lines


@pytest.mark.parametrize("stream", [None, SimpleNamespace()])
def test_without_a_standard_error_nothing_is_told(listener, monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    listener.notify(start_of(loop()))
    assert not listener.told


@pytest.mark.parametrize(
    ("estimator", "asks"),
    [
        (LBP(verbose=1), True),
        (Whiten(2, verbose=1), True),
        (BagOfWords(2, verbose=1), True),
        (BagOfWords(2), False),
        (RootSIFT(), False),
    ],
    ids=str,
)
def test_verbose_asks(monkeypatch, estimator, asks):
    monkeypatch.setattr(COMPILATIONS, "wanted", False)
    estimator._check_parameters()
    assert COMPILATIONS.wanted is asks


def test_seconds_of_work_are_those_without_compiling(monkeypatch):
    monkeypatch.setattr(COMPILATIONS, "seconds", 7.0)
    with compilation.timed() as spent:
        time.sleep(0.03)
        COMPILATIONS.seconds += 0.02
    assert spent.compile_seconds == pytest.approx(0.02)
    assert 0.009 < spent.seconds < 5
    with pytest.raises(ZeroDivisionError, match="division by zero"), compilation.timed() as spent:
        1 / 0  # noqa: B018
    assert spent.seconds > 0
    assert spent.compile_seconds == 0


def test_looking_at_the_time_loads_no_numba():
    code = "import sys\nfrom featrec.compilation import tell_of_compiling, timed\ntell_of_compiling()\n"
    code += "with timed():\n    print('numba' in sys.modules)"
    assert run(code).stdout == "False\n"


def run(code, *, cache=None, **environment):
    environment = {**os.environ, **environment}
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_a_terminal_is_told_once_on_a_machine(tmp_path):
    in_terminal = f"import pty, sys; sys.exit(pty.spawn([sys.executable, '-c', {COMPILE!r}]))"
    (line,) = run(in_terminal, cache=tmp_path).stdout.splitlines()
    assert line.startswith("featrec: compiling the required loops, starting with root_shares")
    (folder,) = tmp_path.iterdir()
    assert str(folder) in line
    assert run(in_terminal, cache=tmp_path).stdout == ""


@pytest.mark.skipif(not _cache.can_take_turns(), reason="this system has no such locks")
def test_two_processes_that_take_turns_compile_a_loop_once(tmp_path):
    """Without turns all of them find the cache empty, since compiling takes longer than starting."""
    code = (
        "import sys\nfrom featrec.compilation import compiled_so_far, warming\nimport featrec.compiled._rows\n"
        f"sys.stdin.readline()\nwith warming():\n    exec({COMPILE!r})\nprint(compiled_so_far().n_loops)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    several = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    for one in several:
        one.stdin.write("go\n")
        one.stdin.flush()
    assert sorted(int(one.communicate()[0]) for one in several) == [0, 1]


@pytest.mark.skipif(not _cache.can_take_turns(), reason="this system has no such locks")
def test_a_loop_that_cannot_be_compiled_keeps_nobody_waiting():
    with compilation.warming(), pytest.raises(Exception, match="Unknown attribute 'shape'"):
        root_shares("no array", "no array")
    run(f"from featrec.compilation import warming\nwith warming():\n    exec({COMPILE!r})")


def test_without_locks_one_process_compiles_and_nobody_waits(monkeypatch):
    def refuse(*given):
        raise OSError(37, "No locks available")

    if _cache.fcntl is not None:
        monkeypatch.setattr(_cache.fcntl, "lockf", refuse)
    assert not compilation.can_share_cache()
    with compilation.warming():
        root_shares(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32))
    monkeypatch.setattr(_cache, "fcntl", None)
    assert not compilation.can_share_cache()


def test_the_cache_is_counted():
    root_shares(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32))
    cache = compilation.look_at_cache()
    assert 1 <= cache.n_cached <= cache.n_loops
    assert cache.n_bytes > 10_000
    assert cache.folder.is_dir()


def test_what_was_made_for_another_processor_is_not_counted(tmp_path):
    done = run(COMPILE, cache=tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert (done.stdout, done.stderr) == ("", ""), "a pipe is told nothing"
    code = "from featrec.compilation import look_at_cache as look; print(look().n_cached, look().processor)"
    assert run(code, cache=tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="").stdout == "1 generic\n"
    assert run(code, cache=tmp_path).stdout.startswith("0 ")


@pytest.mark.parametrize("before", [True, False])
def test_no_garbage_is_collected_while_a_loop_is_compiled(listener, before):
    if not before:
        gc.disable()
    outer, inner = loop(), loop("_blocks")
    seen = []
    for one in (start_of(outer), start_of(inner), end_of(inner), end_of(outer)):
        listener.notify(one)
        seen.append(gc.isenabled())
    assert seen == [False, False, False, before]


@part(returns=types.int64)
def _doubled(number):
    return 2 * number


@part()
def _fill(numbers, value):
    stay_apart()
    for i in range(len(numbers)):
        numbers[i] = _doubled(value) + _doubled(i)


def test_a_part_is_compiled_once_into_the_loop_that_calls_it():
    @njit(error_model="numpy")
    def loop(first, second):
        _fill(first, 1)
        _fill(second, 2)
        return _doubled(5)

    first, second = np.zeros((2, 3), np.int64)
    assert loop(first, second) == 10
    np.testing.assert_array_equal([first, second], [[2, 4, 6], [4, 6, 8]])
    definitions = [line for line in loop.inspect_asm(loop.signatures[0]).splitlines() if line.endswith(":") and "_fill" in line]
    assert len(definitions) == 1, definitions
