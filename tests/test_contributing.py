"""CONTRIBUTING.md is true: its walk-throughs fit the code, and a copy of the repository that follows them passes its tests."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

import featrec

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACES = ("featrec", "tests", "docs", "benchmarks", ".github")


class Block(NamedTuple):
    """A fenced block: its language, the file that the line before it names, and its lines."""

    language: str
    path: str
    text: str


def blocks(page):
    """All fenced blocks, in their order; the path is empty where the paragraph above names no file to write or to change."""
    for found in re.finditer(r"^([^\n]*)\n\n```(\w+)\n(.*?)^```", page, flags=re.S | re.M):
        above, language, text = found.groups()
        named = re.search(r"(?:New file|[Ii]n) `([^`]+)`[^`]*:$", above)
        yield Block(language, named[1] if named else "", text)


BLOCKS = list(blocks(PAGE))
NEW = [block for block in BLOCKS if block.language == "python" and block.path]
CHANGES = [block for block in BLOCKS if block.language == "diff"]


def hunks(diff):
    """What stands in the file before, and what after."""
    for hunk in re.split(r"^@@\n", diff, flags=re.M):
        lines = [(line[:1] or " ", line[1:]) for line in hunk.splitlines()]
        yield tuple("".join(f"{text}\n" for sign, text in lines if sign in f" {kept}") for kept in "-+")


def apply(block, root):
    """Write the new file, or make the changes, each of which fits in exactly one place."""
    path = root / block.path
    if block.language == "python":
        assert not path.exists(), f"{block.path} is there already; the page needs another example"
        path.write_text(block.text, encoding="utf-8")
        return
    source = path.read_text(encoding="utf-8")
    for before, after in hunks(block.text):
        assert source.count(before) == 1, f"{block.path} has these lines {source.count(before)} times:\n{before}"
        source = source.replace(before, after)
    path.write_text(source, encoding="utf-8")


def test_there_is_something_to_apply():
    assert [block.path for block in NEW] == [
        "featrec/descriptors/_color_moments.py",
        "tests/descriptors/test_color_moments.py",
        "featrec/encoders/_word_presence.py",
        "tests/encoders/test_word_presence.py",
    ]
    assert len(NEW) == 4
    assert len(CHANGES) == 7
    assert all(block.path for block in CHANGES)


def test_the_walk_throughs_fit_the_code(tmp_path):
    """In a copy of the files that they change; what they write is formatted as the rest is."""
    for block in [*NEW, *CHANGES]:
        copy = tmp_path / block.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if block.language == "diff" and not copy.exists():
            shutil.copy(ROOT / block.path, copy)
        apply(block, tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "comparison.py").touch()  # imported by what is checked; first-party because it is there
    for words in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *words, "."], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_comparison_for_a_new_recipe_runs(capsys):
    (block,) = [block for block in BLOCKS if block.language == "python" and not block.path]
    exec(compile(block.text, "CONTRIBUTING.md", "exec"), {})
    assert "lbp_svm" in capsys.readouterr().out


@pytest.mark.slow
def test_a_copy_that_follows_the_page_passes(tmp_path):
    """The commands of the walk-throughs as printed, after all that is to be written is written."""
    copy = tmp_path / "featrec"
    left_out = shutil.ignore_patterns(".git", ".venv*", "build", "dist", "*.egg-info", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, copy, ignore=left_out)
    for block in [*NEW, *CHANGES]:
        apply(block, copy)
    walks = PAGE[PAGE.index("## Add an extractor") : PAGE.index("## Measure speed")]
    commands = [line for block in blocks(walks) if block.language == "sh" for line in block.text.splitlines()]
    assert len(commands) == 12
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    for command in dict.fromkeys(commands):
        program, *words = shlex.split(command)
        assert program == "python"
        done = subprocess.run([sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    assert "- **ColorMoments** `(*, skew=True," in (copy / "docs" / "reference.md").read_text(encoding="utf-8")


def test_files_that_the_page_names_are_there():
    to_write = {block.path for block in NEW}
    named = {path for path in re.findall(r"`([\w./]+)`", PAGE) if path.partition("/")[0] in PLACES and "/" in path}
    assert len(named) > 10
    assert not [path for path in named - to_write if not (ROOT / path).exists()]
    assert not [to for to in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in to and not (ROOT / to).exists()]
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.*)$", PAGE, flags=re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings


def test_options_that_recipes_share_are_seven():
    from featrec.recipes._general import GENERAL

    assert len(GENERAL) == 7
    assert "the same seven options" in PAGE.replace("\n", " ")


def test_the_citation_names_this_version_and_license():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {featrec.__version__}" in citation
    assert f"license: {project['license']}" in citation


FORGE = [
    *sorted((ROOT / ".github").rglob("*.yml")),
    ROOT / ".pre-commit-config.yaml",
    ROOT / "CITATION.cff",
]


@pytest.mark.parametrize("path", FORGE, ids=lambda path: path.name)
def test_the_files_of_the_forge_are_yaml(path):
    yaml = pytest.importorskip("yaml")
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_workflows_run_on_what_the_package_supports():
    """Each says that it has not been run, pins its actions, and the oldest Python is the package's."""
    yaml = pytest.importorskip("yaml")
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert len(workflows) == 4
    for path in workflows:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# Not run on a forge yet."), path.name
        outside = [used for used in re.findall(r"uses: (\S+)", text) if not used.startswith("./")]
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used) for used in outside), path.name
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["tests"]["strategy"]["matrix"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={matrix['python'][0]}"
    (opencv,) = [line for line in project["dependencies"] if line.startswith("opencv")]
    assert f">={matrix['opencv'][0]}." in opencv
    assert opencv.endswith(f"<{int(matrix['opencv'][-1]) + 1}")
