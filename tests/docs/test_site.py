"""The site: its checks find what is wrong, its examples follow their rules, and its text builds without warnings."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLES = sorted((ROOT / "examples").rglob("plot_*.py"))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def problems():
    return load(DOCS / "check_site.py").problems


def site(folder, **pages):
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    return folder


def test_links_within_the_site_are_followed(tmp_path, problems):
    page = '<h1 id="top">x</h1><a href="other.html#part">x</a><a href="#top">x</a><a href="https://example.org">x</a>'
    page += f'<img alt="drawn" src="data:image/png;base64,{"A" * 9000}">'
    assert problems(site(tmp_path, index=page, other='<p id="part">x</p>')) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="gone.html">x</a>', "index.html: links to gone.html, which does not exist"),
        ('<a href="index.html#gone">x</a>', "index.html: links to index.html#gone, which has no such anchor"),
        ('<script src="https://cdn.example/x.js"></script>', "index.html: loads https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', "index.html: loads //fonts.example/x.css"),
        ("<p style=\"background: url('https://a.example/x.png')\">x</p>", "index.html: loads https://a.example/x.png"),
        ('<img src="gone.png" alt="x">', "index.html: loads gone.png, which does not exist"),
        ('<img src="data:image/png;base64,AA">', "index.html: data:image/png;base64,AA has no alt text"),
    ],
)
def test_each_problem_is_named(tmp_path, problems, body, problem):
    assert problems(site(tmp_path, index=body)) == [problem]


def test_fonts_of_style_sheets_and_an_empty_folder_are_noticed(tmp_path, problems):
    assert problems(tmp_path) == [f"{tmp_path} contains no pages"]
    (tmp_path / "site.css").write_text("@import 'https://fonts.example/a.css';", encoding="utf-8")
    assert problems(site(tmp_path, index="x")) == ["site.css: loads https://fonts.example/a.css"]


def test_notebooks_whose_first_cell_does_not_install_are_noticed(tmp_path, problems):
    site(tmp_path, index="x")
    cells = {
        "good": ("code", ["%pip install featrec"]),
        "late": ("markdown", ["# %pip install"]),
        "other": ("code", ["import os"]),
    }
    for name, (kind, source) in cells.items():
        text = json.dumps({"cells": [{"cell_type": kind, "source": source}]})
        (tmp_path / f"{name}.ipynb").write_text(text, encoding="utf-8")
    assert [line.partition(":")[0] for line in problems(tmp_path)] == ["late.ipynb", "other.ipynb"]


def test_there_are_enough_examples():
    assert len(EXAMPLES) >= 25


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_a_title_and_ends_in_a_figure_without_a_download(path):
    source = path.read_text(encoding="utf-8")
    title, line, *_ = ast.get_docstring(ast.parse(source)).splitlines()
    assert line == "=" * len(title)
    assert source.count("plt.show()") >= 1
    assert "download" not in source
    names = re.findall(r"load_dataset\(\"([\w-]+)\"", source)
    assert set(names) <= {"digits", "faces", "shapes", "textures"}


def test_every_page_is_listed_on_an_index_page():
    """A page that no index page links to is not in the navigation of the site."""
    indexes = [DOCS / "index.md", DOCS / "background.md", *DOCS.glob("*/README.md")]
    linked = {
        (index.parent / target).resolve()
        for index in indexes
        for target in re.findall(r"\]\(([\w./-]+)", index.read_text(encoding="utf-8"))
    }
    pages = {page for page in DOCS.rglob("*.md") if not {"project", "course"} & set(page.relative_to(DOCS).parts)}
    assert {page.relative_to(DOCS).as_posix() for page in pages - linked} == {"index.md"}


@pytest.fixture(scope="module")
def repository_links():
    return load(DOCS / "_extensions" / "repository_links.py")


@pytest.mark.parametrize(
    ("link", "written"),
    [
        ("](../trust.md#images)", "](../trust.md#images)"),
        ("](../../CONTRIBUTING.md#release)", "](../project/contributing.md#release)"),
        ("](../../benchmarks/results)", "](../project/results.md)"),
        ("](../../benchmarks/speed.py)", "](path:../../benchmarks/speed.py)"),
        ("](../pictures/overview.png)", "](../pictures/overview.png)"),
        ("](https://example.org/a.md)", "](https://example.org/a.md)"),
    ],
)
def test_links_of_a_code_host_become_links_of_the_site(repository_links, link, written):
    documents = {"trust", "project/contributing", "project/results"}
    assert repository_links.rewritten(link, "guide", "guide", documents) == written


def test_a_file_that_is_shown_elsewhere_keeps_its_links(repository_links):
    assert repository_links.rewritten("](docs/trust.md)", "..", "project", {"trust"}) == "](../trust.md)"


def test_the_contents_are_the_links_of_an_index_page_in_their_order(repository_links):
    text = "[b](b.md) [a](a.py) [b again](b.md#x) [out](../README.md) [none](none.md)"
    documents = {"guide/a", "guide/b", "README", "how_to/a"}
    assert repository_links.contents(text, "guide/README", documents) == ["/guide/b", "/guide/a"]
    assert repository_links.contents("[a](guide/a.md) [c](c.md)", "background", {"guide/a", "c"}) == ["/guide/a", "/c"]
    sections = repository_links.contents("", "index", {"five_minutes", "api/index"})
    assert sections == ["Five minutes </five_minutes>", "API </api/index>"]


def test_how_to_scripts_become_pages():
    pytest.importorskip("myst_parser")
    sys.path.insert(0, str(DOCS / "_extensions"))
    try:
        markdown = load(DOCS / "_extensions" / "python_pages.py").markdown
    finally:
        sys.path.remove(str(DOCS / "_extensions"))
    script = '"""Do a thing: with care.\n\n    python it.py\n\nA group\n    Its text.\n"""\n\nx = 1\n'
    assert markdown(script) == (
        "# Do a thing\n\nWith care.\n\n    python it.py\n\n**A group**\n\nIts text.\n\n## The script\n\n```python\nx = 1\n```\n"
    )


@pytest.mark.slow
def test_the_text_builds_without_warnings():
    pytest.importorskip("sphinx_gallery", reason='the site needs the extra docs: pip install ".[plot,docs]"')
    done = subprocess.run([sys.executable, str(DOCS / "build_site.py"), "--quick"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def lesson_pages():
    sys.path.insert(0, str(DOCS / "_extensions"))
    try:
        yield load(DOCS / "_extensions" / "lesson_pages.py")
    finally:
        sys.path.remove(str(DOCS / "_extensions"))


LESSONS = sorted((DOCS / "course").glob("lesson_*.py"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_notebook_of_a_lesson_installs_and_contains_no_solution(lesson_pages, path):
    master = lesson_pages.master_of(path)
    cells = lesson_pages.notebook(master)["cells"]
    assert cells[0]["cell_type"] == "code"
    assert '%pip install "featrec[plot]"' in "".join(cells[0]["source"])
    text = "".join(line for cell in cells for line in cell["source"])
    assert "# blank:" not in text
    assert not any(cell.source in text for cell in master.cells if {"exercise", "solution", "instructor"} & set(cell.tags))
    assert len(cells) == 1 + len(master.student_cells(0))


MASTER = """\
# %% [markdown]
# # Title
#
# Text

# %% tags=["setup"]
lesson = Lesson(3)

# %% tags=["exercise"]
def f(x):
    return x + 1  # blank: one more

# %% tags=["solution"]
print("secret")

# %%
print(lesson.check(f))

# %% [markdown] tags=["quiz"]
# **Question 1.** Which one?
#
# - ( ) a) `first` :: It is not.
# - (x) b) $x_1$ :: It is.

# %%
lesson.quiz(1, "")
"""


def test_the_page_of_a_lesson_shows_blanks_outputs_figures_and_reasons(lesson_pages, tmp_path, monkeypatch):
    pytest.importorskip("myst_parser")
    path = tmp_path / "course" / "lesson_03_test.py"
    runs = tmp_path / "build" / "lessons"
    (runs / path.stem).mkdir(parents=True)
    path.parent.mkdir()
    path.write_text(MASTER, encoding="utf-8")
    monkeypatch.setattr(lesson_pages, "RUNS", runs)
    monkeypatch.setattr(lesson_pages, "NOTEBOOKS", tmp_path / "build" / "notebooks")
    page = lesson_pages.markdown(path)
    assert "return ...  # one more" in page
    assert "secret" not in page
    assert "quiz(1" not in page
    assert "<summary>b) <math" in page
    assert "<strong>Right.</strong> It is.</p>" in page
    assert "Right: good" not in page
    outputs = ["", "", "secret\n", f"Right: good\n[figure: {tmp_path}/2_one_edge.png]\nafter\n", "x"]
    (runs / path.stem / "outputs.json").write_text(json.dumps({"outputs": outputs}), encoding="utf-8")
    monkeypatch.setattr(lesson_pages, "has_run", lambda script, folder: folder == runs / path.stem)
    page = lesson_pages.markdown(path)
    assert page.index("Right: good") < page.index("lesson_03_test/2_one_edge.png") < page.index("after")
    assert ":alt: 'Title: one edge'" in page
    assert "secret" not in page


def test_roles_and_headings_that_screen_readers_stumble_over_are_corrected():
    corrected = load(DOCS / "_extensions" / "plain_html.py").corrected
    assert corrected('<div role="list" class="a">x</div>') == '<div class="a">x</div>'
    assert corrected('<div class="b" id="r-1" role="doc-biblioentry">x</div>') == '<div class="b" id="r-1">x</div>'
    assert corrected('<tr><th class="head text-left"><p></p></th><th class="head"><p>a</p></th></tr>') == (
        '<tr><td></td><th class="head"><p>a</p></th></tr>'
    )


def test_lines_on_machines_are_folded(repository_links):
    text = repository_links.MEASURED.sub(
        "FOLDED\n", "| a |\n\nMeasured on A.\nMeasured on B.\n<!-- end -->\n\nMeasured by hand.\n"
    )
    assert text == "| a |\n\nFOLDED\n<!-- end -->\n\nMeasured by hand.\n"


def test_initials_of_authors_are_no_lists():
    sys.path[:0] = [str(DOCS), str(DOCS / "_extensions")]
    try:
        escape = load(DOCS / "_extensions" / "api_pages.py").escape_attributes
    finally:
        del sys.path[:2]
    lines = ["   .. [1] F. Perronnin, J. Sánchez.", "means_ : array of shape (n_components_, d)", "   a_ and B. remain"]
    escape(None, "class", "x", None, None, lines)
    assert lines == [
        "   .. [1] \\F. Perronnin, J. Sánchez.",
        "means_ : array of shape (n_components\\_, d)",
        "   a_ and B. remain",
    ]


def test_pages_of_removed_examples_are_deleted(tmp_path):
    forget = load(DOCS / "build_site.py").forget_removed_examples
    for folder, names in (
        ("examples/1_a", ["plot_a.py"]),
        ("gallery/1_a", ["plot_a.rst", "plot_b.rst", "plot_b.py.md5", "index.rst"]),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / name).touch()
    forget(tmp_path / "gallery", tmp_path / "examples")
    assert sorted(path.name for path in (tmp_path / "gallery" / "1_a").iterdir()) == ["index.rst", "plot_a.rst"]
