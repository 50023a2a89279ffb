"""The command line: from arguments to a subcommand, and from an error to one line."""

import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest

from featrec.cli import _main, main
from featrec.exceptions import EmptyBagWarning, InputError


@pytest.fixture
def command(monkeypatch):
    """Return a function that installs a subcommand `try`, which calls a given function."""

    def install(action):
        module = SimpleNamespace(run_try=lambda arguments: action())
        monkeypatch.setitem(sys.modules, "featrec.cli._try", module)
        monkeypatch.setitem(_main.COMMANDS, "try", "_try")

    return install


def raising(error):
    def action():
        raise error

    return action


def test_no_command_prints_the_help(capsys):
    assert main([]) == 0
    assert "featrec demo" in capsys.readouterr().out


def test_the_exit_code_is_that_of_the_command(command):
    command(lambda: 1)
    assert main(["try"]) == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("no image;\ntake another"), "no image; take another"),
        (FileNotFoundError(2, "No such file or directory", "a.png"), "No such file or directory: 'a.png'"),
        (OSError("disk full"), "disk full"),
        (ImportError("libGL.so.1: no"), "libGL.so.1: no; run 'featrec doctor' to see how to repair it"),
        (
            RuntimeError("cannot cache function 'vlad': no locator available for file 'x.py'"),
            "cannot cache function 'vlad': no locator available for file 'x.py'; set a writable folder: "
            "export NUMBA_CACHE_DIR=FOLDER (see 'featrec doctor')",
        ),
        (KeyError("x"), "KeyError: 'x' (use --debug to see where)"),
        (KeyboardInterrupt(), "interrupted; files reported as saved are complete"),
    ],
)
def test_an_error_is_one_line_on_standard_error(command, capsys, error, line):
    command(raising(error))
    assert main(["try"]) == 2
    assert capsys.readouterr() == ("", f"featrec: error: {line}\n")


@pytest.mark.parametrize("words", [["--debug", "try"], ["try", "--debug"]])
def test_debug_raises_the_error(command, words):
    command(raising(InputError("no image")))
    with pytest.raises(InputError, match="no image"):
        main(words)


def test_a_warning_is_one_line(command, capsys):
    def action():
        warnings.simplefilter("always")
        warnings.warn("3 images have\nno descriptors", EmptyBagWarning, stacklevel=1)
        return 0

    command(action)
    assert main(["try"]) == 0
    assert capsys.readouterr().err == "featrec: warning: 3 images have no descriptors\n"


def test_a_closed_pipe_is_no_error():
    code = "from featrec.cli import _recipes, main; _recipes.run_demo = lambda _: print('x' * 99999) or 0; main(['demo'])"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert errors == b""


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "featrec", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("featrec ")


UNCOLLECTED = """
import gc
from featrec.cli._terminal import uncollected
with uncollected():
    assert not gc.isenabled()
assert gc.isenabled() and gc.get_freeze_count() > 0
"""


def test_short_commands_run_without_garbage_collection_which_is_enabled_again_afterwards():
    done = subprocess.run([sys.executable, "-W", "error", "-c", UNCOLLECTED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
