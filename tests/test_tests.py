"""Tests can fail: what is compared stands in an assertion, and each test has one that runs."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
# Beside assert: with pytest.raises and its kin, NumPy's assert_..., and scikit-learn's and our own check_....
SEES = ("raises", "warns", "fail", "xfail", "check")


def called(node):
    """The last parts of the names of all that is called inside a node."""
    functions = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    return {ast.unparse(function).rpartition(".")[2] for function in functions}


def comparisons_without_effect(tree):
    """Lines that look as if they compared something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            if isinstance(node.msg, (ast.Compare, ast.BoolOp)):
                yield node.lineno, "what stands behind the comma is a message and is never compared"
            if isinstance(node.test, (ast.Tuple, ast.List, ast.Lambda)) or (
                isinstance(node.test, ast.Constant) and node.test.value
            ):
                yield node.lineno, "this is always true"
            sides = [node.test.left, *node.test.comparators] if isinstance(node.test, ast.Compare) else []
            if len({ast.unparse(side) for side in sides}) == 1 and not called(node.test):  # two calls may differ
                yield node.lineno, "both sides are the same expression"
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
            yield node.lineno, "a comparison without assert"
        elif isinstance(node, ast.With) and any("raises" in called(item) for item in node.items):
            yield from ((inner.lineno, "an assertion inside raises") for inner in node.body if isinstance(inner, ast.Assert))


def asserts(node, helpers):
    names = called(node)
    return (
        any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
        or any(name.startswith(("assert_", *SEES)) for name in names)
        or bool(names & helpers)
    )


def helpers_of(trees):
    """The functions that hold an assertion, or call one that does."""
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, FUNCTION)]
    found, before = set(), None
    while found != before:
        before = set(found)
        found |= {node.name for node in functions if not node.name.startswith("test") and asserts(node, found)}
    return found


PATHS = sorted(TESTS.rglob("*.py"))


@pytest.fixture(scope="module")
def trees():
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in PATHS}


@pytest.fixture(scope="module")
def helpers(trees):
    return helpers_of(trees.values())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(TESTS)))
def test_every_test_can_fail(path, trees, helpers):
    found = [f"{line}: {reason}" for line, reason in comparisons_without_effect(trees[path])]
    for node in ast.walk(trees[path]):
        if isinstance(node, FUNCTION) and node.name.startswith("test_") and not asserts(node, helpers):
            found.append(f"{node.lineno}: {node.name} asserts nothing")
    assert not found


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("assert a, b == c", "behind the comma"),
        ("assert (a, b)", "always true"),
        ("assert a == a", "same expression"),
        ("a == b", "without assert"),
        ("with pytest.raises(ValueError, match='x'):\n    f()\n    assert a", "inside raises"),
    ],
)
def test_a_test_that_cannot_fail_is_found(code, reason):
    ((_, told),) = comparisons_without_effect(ast.parse(code))
    assert reason in told


def test_a_test_without_an_assertion_is_found():
    assert not asserts(ast.parse("def test_a():\n    f()"), {"g"})
    assert asserts(ast.parse("def test_a():\n    g()"), {"g"})
