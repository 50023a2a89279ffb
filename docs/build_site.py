"""Build the site into build/site, with warnings as errors, and check it.

    python start.py docs                  install the extra docs and build everything
    python docs/build_site.py             build in this environment
    python docs/build_site.py --quick     leave out running the gallery and the lessons, to look at text

Examples and lessons run again only if their text has changed. To run all of them again, delete docs/gallery and build.

Checks: spelling (codespell), links and anchors within the site, that no page loads anything from another server, and that the
first cell of each notebook installs featrec.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = ROOT / "build" / "site"
SPELLED = ["docs", "examples", "featrec", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
NOT_SPELLED = "*.svg,*.png,*.css,*.js,docs/gallery,docs/api,__pycache__"
# A parameter of BRISK, and names in code.
WORDS = "thresh,wit,sav"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="do not run the examples of the gallery")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    forget_removed_examples(HERE / "gallery", ROOT / "examples")
    for step in (spelling, lambda: pages(quick=options.quick), links):
        if code := step():
            return code
    print(f"{OUT / 'index.html'}: built and checked in {time.perf_counter() - started:.0f} s{slowest()}")
    return 0


def slowest() -> str:
    """The number of examples and the slowest of them, by the clock, as sphinx-gallery recorded when each last ran."""
    seconds = {path: json.loads(path.read_text())["time"] for path in (HERE / "gallery").rglob("*.cost.json")}
    if not seconds:
        return ""
    longest = max(seconds, key=lambda path: seconds[path])
    return f"; {len(seconds)} examples ran, the slowest in {seconds[longest]:.0f} s ({longest.name.partition('.')[0]})"


def forget_removed_examples(gallery: Path, examples: Path) -> None:
    """Delete what sphinx-gallery wrote for examples that are gone; otherwise, their pages would stay."""
    names = {path.stem for path in examples.rglob("plot_*.py")}
    for path in gallery.rglob("plot_*"):
        if path.name.partition(".")[0] not in names:
            path.unlink()


def spelling() -> int:
    command = [sys.executable, "-m", "codespell_lib", "--skip", NOT_SPELLED, "--ignore-words-list", WORDS, *SPELLED]
    return subprocess.call(command, cwd=ROOT)


def pages(*, quick: bool = False) -> int:
    """Run Sphinx on all pages; warnings and examples that fail are errors. Unchanged examples do not run again."""
    options = ["-D", "plot_gallery=0"] if quick else []
    command = [sys.executable, "-m", "sphinx", "-E", "-W", "--keep-going", "-q", "-b", "html"]
    return subprocess.call([*command, *options, "-d", str(ROOT / "build" / "doctrees"), str(HERE), str(OUT)], cwd=ROOT)


def links() -> int:
    from check_site import problems

    found = problems(OUT)
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
