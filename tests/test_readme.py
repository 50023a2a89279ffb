"""The README's Python runs as it stands, from top to bottom."""

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python"):
        exec(compile(block, str(README), "exec"), names)
        if "again = load" in block:
            assert (names["again"].predict(names["test"][:5]) == names["model"].predict(names["test"][:5])).all()
    assert names["report"].accuracy > 0.5
    assert names["model"].score(names["test"], names["test"].labels) > 0.98
    assert "colour" in capsys.readouterr().out


def test_the_first_example_is_short_and_the_commands_are_one_line():
    assert len(blocks("python")[0].strip().splitlines()) <= 11
    assert blocks("sh")[0].strip() == "python3 start.py demo"
    assert blocks("sh")[1].strip() == "python3 start.py test"


def test_what_the_readme_links_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert "://" in target or (README.parent / target).exists(), target
