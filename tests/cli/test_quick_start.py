"""Short commands run without garbage collection."""

import subprocess
import sys

CODE = """
import gc
from featrec.cli._terminal import uncollected
with uncollected():
    assert not gc.isenabled()
assert gc.isenabled() and gc.get_freeze_count() > 0
"""


def test_garbage_collection_is_enabled_again_afterwards():
    done = subprocess.run([sys.executable, "-W", "error", "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
