"""The site: its checks find what is wrong, its examples follow their rules, and its text builds without warnings."""

import ast
import importlib.util
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
    assert repository_links.contents(text, "guide/README", {"guide/a", "guide/b", "README"}) == [
        "/guide/b",
        "/guide/a",
        "/README",
    ]
    sections = repository_links.contents("", "index", {"five_minutes", "api/index"})
    assert sections == ["Five minutes </five_minutes>", "API </api/index>"]


def test_how_to_scripts_and_lessons_become_pages():
    pytest.importorskip("myst_parser")
    markdown = load(DOCS / "_extensions" / "python_pages.py").markdown
    script = '"""Do a thing: with care.\n\n    python it.py\n\nA group\n    Its text.\n"""\n\nx = 1\n'
    assert markdown(script) == (
        "# Do a thing\n\nWith care.\n\n    python it.py\n\n**A group**\n\nIts text.\n\n## The script\n\n```python\nx = 1\n```\n"
    )
    assert markdown("# %% [markdown]\n# # Title\n#\n# Text\n\n# %%\nx = 1\n") == "# Title\n\nText\n\n```python\nx = 1\n```\n"


@pytest.mark.slow
def test_the_text_builds_without_warnings():
    pytest.importorskip("sphinx_gallery", reason='the site needs the extra docs: pip install ".[plot,docs]"')
    done = subprocess.run([sys.executable, str(DOCS / "build_site.py"), "--quick"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
