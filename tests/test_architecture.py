"""Who may import whom: the table of docs/architecture.md, held against the imports as they stand in the source."""

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "featrec"
ROOTS = {
    *("bag", "base", "callbacks", "compilation", "exceptions", "html_page", "labels", "lazy", "model_files"),
    *("on_demand", "parallel", "shared_docs"),
}
STAGES = {
    "datasets",
    "images",
    "preprocessing",
    "descriptors",
    "networks",
    "vocabularies",
    "encoders",
    "pairwise",
    "classifiers",
    "evaluation",
}

# layer: (layers it may import, third-party packages it may import when loaded)
TABLE = {
    "compiled": (set(), {"numpy", "numba"}),
    # The one root module that looks into the compiled loops: evaluation, which knows no model, asks it for seconds.
    "compilation": ({"compiled"}, set()),
    "exceptions": (set(), set()),
    # What a package's __init__ takes to load its modules on demand.
    "on_demand": (set(), set()),
    # Results and explanations are pages of one style.
    "html_page": (set(), set()),
    "labels": ({"exceptions"}, {"numpy"}),
    "shared_docs": (set(), set()),
    "model_files": (set(), {"numpy"}),
    "bag": ({"exceptions"}, {"numpy"}),
    "lazy": ({"bag", "exceptions", "parallel"}, {"numpy"}),
    "parallel": ({"exceptions"}, {"joblib", "threadpoolctl"}),
    "callbacks": ({"parallel"}, {"sklearn"}),
    "base": ({"bag", "callbacks", "compilation", "lazy", "exceptions", "parallel"}, {"numpy", "sklearn"}),
    "images": (ROOTS, {"numpy", "cv2", "PIL"}),
    "datasets": (ROOTS | {"images"}, {"numpy", "sklearn", "skimage", "PIL"}),
    "preprocessing": (ROOTS | {"images", "compiled"}, {"numpy", "cv2", "skimage", "sklearn"}),
    "descriptors": (ROOTS | {"images", "compiled"}, {"numpy", "cv2", "skimage", "sklearn"}),
    "networks": (ROOTS | {"images", "preprocessing"}, {"numpy", "cv2", "sklearn"}),
    "vocabularies": (ROOTS | {"compiled"}, {"numpy", "sklearn"}),
    "encoders": (ROOTS | {"compiled", "vocabularies"}, {"numpy", "sklearn"}),
    "pairwise": (ROOTS | {"compiled"}, {"numpy", "sklearn"}),
    "classifiers": (ROOTS | {"compiled", "pairwise"}, {"numpy", "scipy", "sklearn"}),
    # Its corruptions change images; cv2 and Pillow are imported inside functions.
    "evaluation": (ROOTS | {"images", "preprocessing", "persistence"}, {"numpy", "scipy", "sklearn"}),
    "explanation": (ROOTS | STAGES - {"datasets", "evaluation"}, {"numpy", "sklearn"}),
    # What suggest returns is a result of evaluation.
    "recipes": (ROOTS | STAGES - {"datasets"}, {"numpy", "sklearn"}),
    "persistence": (ROOTS | STAGES - {"datasets", "evaluation"}, {"numpy", "sklearn"}),
    "testing": (ROOTS | STAGES | {"recipes", "persistence"}, {"numpy", "sklearn"}),
    # A result of evaluation or explanation draws itself with plotting, so plotting imports no result.
    "plotting": (ROOTS | {"images", "descriptors", "vocabularies"}, {"numpy", "sklearn"}),
    "cli": (ROOTS | STAGES | {"recipes", "persistence", "plotting", "explanation", "course", "serving"}, {"numpy"}),
    # Notebooks of students import it, so it needs NumPy only; otter and nbformat are imported inside functions.
    "course": (ROOTS | STAGES | {"recipes", "persistence", "plotting"}, {"numpy"}),
    # It reads videos. The web server and its engines are imported inside functions.
    "serving": (
        ROOTS | {"images", "preprocessing", "classifiers", "explanation", "persistence", "evaluation"},
        {"numpy", "sklearn", "cv2"},
    ),
}


def layer_of(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def modules():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if layer_of(path) not in {"__init__", "__main__"}]


def runs_at_import(tree):
    """Statements outside functions and TYPE_CHECKING blocks."""
    stack = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        stack += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def imported(nodes):
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = (node.module or "").split(".")
            yield from ([*base, alias.name] for alias in node.names)


every = pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))


@every
def test_imports_follow_the_table(path):
    layer = layer_of(path)
    assert layer in TABLE, f"{layer} has no row in the table"
    layers, packages = TABLE[layer]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_import = list(imported(runs_at_import(tree)))
    for parts in at_import:
        if parts[0] != "featrec" and parts[0] not in sys.stdlib_module_names:
            assert parts[0] in packages, f"{path} imports {parts[0]} when loaded"
    for parts in imported(ast.walk(tree)):
        if parts[0] != "featrec" or len(parts) < 2:
            continue
        allowed = layers | {layer}
        if layer in {"evaluation", "explanation"}:
            allowed = allowed | {"plotting"} if parts not in at_import else allowed
        assert parts[1] in allowed or parts[1] not in TABLE, f"{path}: {layer} imports {parts[1]}"


@every
def test_private_modules_are_imported_by_their_own_stage_only(path):
    """And of scikit-learn's, base alone imports any."""
    for parts in imported(ast.walk(ast.parse(path.read_text(encoding="utf-8")))):
        if parts[0] == "featrec" and len(parts) > 3 and parts[1] not in {layer_of(path), "compiled"}:
            assert not parts[2].startswith("_"), f"{path} imports {'.'.join(parts)}; its stage exports what others need"
        if parts[0] == "sklearn" and layer_of(path) != "base":
            assert not any(part.startswith("_") for part in parts), f"{path} imports {'.'.join(parts)}"


def test_import_featrec_loads_nothing_heavy():
    code = "import featrec, sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"numba", "sklearn", "cv2", "matplotlib", "onnxruntime", "torch", "skimage", "joblib", "numpy", "scipy", "pandas"}
    assert not heavy & set(loaded)


def test_importing_every_stage_changes_no_global_setting():
    code = (
        "import cv2, importlib, numba, warnings, numpy as np;"
        "before = cv2.getNumThreads(), numba.get_num_threads(), cv2.useOptimized(), list(warnings.filters);"
        "state = np.random.get_state()[1].tobytes();"
        f"stages = [importlib.import_module('featrec.' + s) for s in {sorted(public_stages())!r}];"
        "[getattr(stage, name) for stage in stages for name in stage.__all__];"
        "after = cv2.getNumThreads(), numba.get_num_threads(), cv2.useOptimized();"
        "assert after == before[:3], (before, after);"
        "assert np.random.get_state()[1].tobytes() == state;"
        "print([f for f in warnings.filters if f not in before[3] and 'featrec' in str(f)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def public_stages():
    return [name for name in sorted(STAGES | {"plotting"}) if (PACKAGE / name / "__init__.py").exists()]


@pytest.mark.parametrize("name", [*public_stages(), "recipes", "persistence", "testing", "exceptions", "course", "serving"])
def test_public_names_exist_and_say_where_they_live(name):
    module = importlib.import_module(f"featrec.{name}")
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        found = getattr(module, public)
        assert inspect.isclass(found) or callable(found), public
        assert found.__module__.startswith(f"featrec.{name}"), f"{public} comes from {found.__module__}"


ON_DEMAND = [path for path in sorted(PACKAGE.glob("*/__init__.py")) if "on_demand(" in path.read_text(encoding="utf-8")]


def test_stages_load_on_demand():
    assert {path.parent.name for path in ON_DEMAND} == STAGES | {"explanation", "recipes"}


@pytest.mark.parametrize("path", ON_DEMAND, ids=lambda path: path.parent.name)
def test_lazy_imports_equal_those_of_type_checkers(path):
    """The imports under TYPE_CHECKING, the table that is handed over, and ``__all__``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = f"featrec.{path.parent.name}"
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    call = next(node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call))
    table = ast.literal_eval(call.args[1])
    handed = {name: importlib.util.resolve_name(home, package) for home, names in table.items() for name in names}
    assert handed == seen
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(handed)
    # A name that is not in __all__ is for other packages of featrec, and says so by "name as name".
    private = {alias.asname for node in block.body for alias in node.names if alias.asname == alias.name}
    assert set(handed) == set(module.__all__) | private, "a class is missing in __all__"
    assert set(handed) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        module.Nothing  # noqa: B018


@every
def test_modules_stay_small_and_named(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 400
    headings = re.findall(r"^.*\w -{4,}.*$", source, re.M)
    assert not headings, "numpydoc takes a heading that shares its line with the text for text"
    assert path.stem.strip("_") not in {"utils", "util", "helpers", "common", "misc"}
    if layer_of(path) in STAGES | {"compiled"} and path.stem != "__init__":
        assert path.stem.startswith("_"), "modules of a stage are private; the stage exports"


def test_the_options_that_loops_share():
    from featrec.compiled._parts import LOOP

    assert {"nogil", "cache"} <= {name for name, value in LOOP.items() if value is True}
    assert LOOP["error_model"] == "numpy"
    assert not LOOP.get("parallel")


def functions(paths, decorator=""):
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and decorator in " ".join(map(ast.unparse, node.decorator_list)):
                yield node.name


def test_every_loop_that_a_stage_calls_has_a_naive_twin():
    loops = set(functions((PACKAGE / "compiled").glob("*.py"), "njit"))
    stages = [path for path in modules() if layer_of(path) != "compiled"]
    called = {parts[-1] for path in stages for parts in imported(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))}
    assert len(loops & called) > 15
    assert loops & called <= set(functions(Path(__file__).parent.glob("naive/*.py")))


@every
def test_compiled_loops_live_in_compiled(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            decorators = " ".join(ast.unparse(d) for d in node.decorator_list)
            if "jit" in decorators:
                assert layer_of(path) == "compiled"
                assert "parallel=True" not in decorators
                assert "**LOOP" in decorators
