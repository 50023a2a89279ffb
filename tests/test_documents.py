"""What the documents and the commands print can be given to the shell and to Python as it stands.

Every line of a fenced block of sh or python in the README, in CONTRIBUTING and in docs/ runs here on a few images of mixed
sizes, beside files of the names that the documents use; NOT_RUN lists the lines that do not, each with its reason.
"""

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from featrec.cli import _bench, _bench_cell, main
from featrec.cli._main import COMMANDS, _parser
from featrec.cli._recipes import summaries
from featrec.recipes._names import variants
from tests.tiny_network import network_bytes

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

BENCHMARK = "{} runs it on a small set"
GUIDE = "tests/serving/test_guide.py runs the whole block in a shell"
IN_A_COPY = "tests/test_contributing.py runs it in a copy of the repository that has what the page adds"
NOT_RUN = {
    "python3 start.py demo": "it installs the package; tests/test_start.py runs it without a network",
    "python3 start.py test": "it runs this suite; tests/test_start.py",
    "pip uninstall --yes opencv-contrib-python && pip install --no-deps opencv-contrib-python-headless": "it changes what is "
    "installed; tests/test_start.py has the same command",
    "python3 start.py docs": "it installs Sphinx; tests/docs/test_site.py builds the text if Sphinx is installed",
    "python docs/build_site.py --quick": "tests/docs/test_site.py builds the text if Sphinx is installed",
    'pip install ".[plot]"': "it installs",
    "python docs/lessons/visual_words.py figures": "tests/test_lessons.py runs it",
    'pip install ".[course,plot]"': "it installs",
    "python docs/course/lesson_05_words.py figures": "tests/course/test_masters.py runs it",
    "featrec course DIR --term 2027a --execute": "tests/course/test_layout.py has the same call",
    "featrec course DIR --grade SUBMISSIONS --lms moodle": "tests/course/test_layout.py grades submissions",
    "featrec course DIR --leaderboard ENTRIES": "tests/course/test_capstone.py has the same call",
    "export FEATREC_DATA=...": "a place to fill in",
    "python benchmarks/render.py": BENCHMARK.format("tests/benchmarks/test_render.py"),
    "python benchmarks/networks_study.py WEIGHTS --out benchmarks/results/networks_study.jsonl": BENCHMARK.format(
        "tests/benchmarks/test_networks_study.py"
    ),
    "python benchmarks/robustness.py --out benchmarks/results/robustness.jsonl": BENCHMARK.format(
        "tests/benchmarks/test_robustness.py"
    ),
    "python benchmarks/few_images.py && python benchmarks/render.py": BENCHMARK.format("tests/benchmarks/test_few_images.py"),
    "python benchmarks/end_to_end.py --data $FEATREC_DATA/scene15 --out benchmarks/results/end_to_end.jsonl": BENCHMARK.format(
        "tests/benchmarks/test_end_to_end.py"
    ),
    "python benchmarks/speed.py --json benchmarks/results/speed.jsonl": BENCHMARK.format("tests/benchmarks/test_speed.py"),
    "python benchmarks/serving.py --data $FEATREC_DATA/scene15 --out benchmarks/results/serving.jsonl": BENCHMARK.format(
        "tests/benchmarks/test_serving.py"
    ),
    "IMAGES=folder locust -f benchmarks/locustfile.py --headless -u 8 -r 8 -t 60s -H http://127.0.0.1:8000": "it needs a "
    "server that runs for a minute; it is three lines of locust",
    "ONE/bin/python benchmarks/cross_version.py write FOLDER": "it needs two installations; tests/test_versions.py",
    "OTHER/bin/python benchmarks/cross_version.py check FOLDER": "it needs two installations; tests/test_versions.py",
    "featrec serve guide.model --port 8765 &": GUIDE,
    "curl --silent --fail --retry 60 --retry-delay 1 --retry-connrefused http://127.0.0.1:8765/v2/health/ready": GUIDE,
    "curl --silent --fail -F image=@holiday.jpg http://127.0.0.1:8765/predict": GUIDE,
    'curl --silent --fail -F image=@holiday.jpg "http://127.0.0.1:8765/explain?parts=3"': GUIDE,
    "curl --silent --fail http://127.0.0.1:8765/metrics": GUIDE,
    "kill %1 && wait %1": GUIDE,
    "python benchmarks/serving.py --data $FEATREC_DATA/scene15": "it takes minutes and needs the dataset",
    ". .venv/bin/activate": "it changes the shell",
    "pip install pre-commit && pre-commit install --hook-type pre-commit --hook-type pre-push": "it installs",
    "pip install build twine && python -m build && python -m twine check --strict dist/*": "it installs",
    "python -m ruff check . && python -m ruff format --check . && python -m mypy": ".ci/run has the same commands",
    "python -m pytest tests/descriptors/test_baselines.py": "it runs part of this suite",
    "python -m pytest tests/contract -k ColorHistogram": "it runs part of this suite",
    "python -m pytest -n auto": "it runs this suite",
    "python benchmarks/speed.py --only hog": BENCHMARK.format("tests/benchmarks/test_speed.py"),
    "python benchmarks/start_up.py --against ../before --repeats 5": BENCHMARK.format("tests/benchmarks/test_start_up.py"),
    "python benchmarks/cold_start.py hog_svm --against ../before": BENCHMARK.format("tests/benchmarks/test_cold_start.py"),
    "python docs/make_reference.py": IN_A_COPY,
    "python -m pytest tests/descriptors/test_color_moments.py featrec/descriptors/_color_moments.py": IN_A_COPY,
    "python -m pytest tests/encoders/test_word_presence.py featrec/encoders/_word_presence.py": IN_A_COPY,
    "python -m pytest tests/contract -k ColorMoments": IN_A_COPY,
    "python -m pytest tests/contract -k WordPresence": IN_A_COPY,
    "python -m pytest tests/test_architecture.py tests/test_reference.py": IN_A_COPY,
    'python -m pytest tests/test_recipes.py -k "moments_svm or names_describe"': IN_A_COPY,
    'python -m pytest tests/test_documents.py -m "slow or not slow" -k "moments_svm or list_of_recipes"': IN_A_COPY,
    "python -m pytest featrec/recipes/__init__.py tests/test_architecture.py tests/test_reference.py": IN_A_COPY,
}
# Lines that take long; they run with -m slow.
SLOW = {"featrec demo", "featrec suggest pictures/", "featrec warm"}
# tests/test_readme.py and tests/test_contributing.py run these, and look at what comes out.
PYTHON_ELSEWHERE = {"README.md": 4, "CONTRIBUTING.md": 5, "docs/small_pictures.md": 2}

REDUCED = """
n_jobs = 1
[[dataset]]
name = "textures"
options = { n_train = 3, n_test = 2 }
[[recipe]]
name = "tiny_knn"
"""
HAS_CALLBACKS = importlib.util.find_spec("sklearn.callback") is not None  # scikit-learn 1.9
PLACEHOLDERS = {"DIR": "pictures", "FILES": "holiday.jpg", "FILE": "network.onnx", "MODEL": "my.model"}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def printed_lines():
    """Each line of a shell block, without its remark, by page."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                if command := re.sub(r"(^|\s)#.*", "", line).strip():
                    yield str(page.relative_to(ROOT)), command


LINES = list(printed_lines())


def draw(root, rng, size=None, n=6):
    """Three kinds of waves, gray and coloured, as JPEG and PNG."""
    for number, name in enumerate(["bricks", "grass", "sky"]):
        (root / name).mkdir(parents=True)
        for place in range(n):
            height, width = size or rng.integers(48, 81, 2)
            y, x = np.mgrid[:height, :width]
            wave = 60 * np.sin((x * (number + 1) + y * (2 - number)) / 3) + rng.normal(128, 15, (height, width))
            gray = wave.clip(0, 255).astype(np.uint8)
            image = np.stack([gray, gray // (number + 1), 255 - gray], axis=-1) if place % 3 else gray
            Image.fromarray(image).save(root / name / f"{place}.{'png' if place % 2 else 'jpg'}")


def film(path, rng, n=120):
    """A short video of a wave that moves."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for number in range(n):
        wave = 60 * np.sin((np.arange(64) + 2 * number) / 4) + rng.normal(128, 15, (48, 64))
        writer.write(np.repeat(wave.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2))
    writer.release()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory with files of the names that the documents use."""
    folder = tmp_path_factory.mktemp("documents")
    rng = np.random.default_rng(0)
    draw(folder / "pictures", rng)
    draw(folder / "same_size", rng, size=(64, 64))
    film(folder / "street.avi", rng)
    (folder / "holiday.jpg").write_bytes((folder / "pictures" / "sky" / "0.jpg").read_bytes())
    (folder / "network.onnx").write_bytes(network_bytes().replace(b"feat", b"NAME"))
    (folder / "benchmarks" / "results").mkdir(parents=True)
    for path in (ROOT / "benchmarks").glob("*.toml"):
        (folder / "benchmarks" / path.name).write_text(REDUCED, encoding="utf-8")
    return folder


@pytest.fixture
def here(place, monkeypatch):
    """In that directory; what bench runs in processes of their own (tests/cli/test_bench.py) runs in this one."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(_bench, "_in_fresh_process", lambda cell, result: _bench_cell.run_cell(cell))
    before = set(place.iterdir())
    yield place
    for path in set(place.iterdir()) - before:  # so that two pages may write files of the same name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def run(command):
    """The exit code of a printed line."""
    words = shlex.split(command)
    assert words[0] == "featrec", f"{command!r} is no command of featrec; run it another way, or say in NOT_RUN why not"
    return main(words[1:])


def test_the_list_of_lines_not_run_is_exact():
    """A line that is added to the list changes this number, and one that no page prints any more is taken out."""
    assert len(NOT_RUN) == 49
    assert not NOT_RUN.keys() - {command for _, command in LINES}
    assert not SLOW - {command for _, command in LINES}


@pytest.mark.parametrize("page", sorted({page for page, _ in LINES}))
def test_the_shell_of_a_page_runs_as_printed(page, here, capsys):
    """In their order: the model that one line saves is what the next one reads."""
    for command in [command for name, command in LINES if name == page]:
        if command not in NOT_RUN and command not in SLOW:
            code = run(command)
            captured = capsys.readouterr()
            assert code == 0 or (code == 1 and command == "featrec doctor"), (command, captured.err)
            assert captured.out


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(SLOW))
def test_long_lines_run_as_printed(command, here, capsys):
    assert run(command) == 0
    assert capsys.readouterr().out


def test_the_python_of_every_page_runs(here):
    """But for the pages whose blocks another test runs; their number says that it knows them all."""
    for page in PAGES:
        found = blocks(page, "python")
        name = page.relative_to(ROOT).as_posix()
        if name in PYTHON_ELSEWHERE:
            assert len(found) == PYTHON_ELSEWHERE[name]
            continue
        names = {}
        for block in found:
            if "sklearn.callback" in block and not HAS_CALLBACKS:
                continue
            exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_and_files_that_a_page_names_exist(page):
    """CONTRIBUTING.md also names the files that its reader writes."""
    text = page.read_text(encoding="utf-8")
    written = set(re.findall(r"New file `([^`]+)`", text))
    for path, test in re.findall(r"`((?:tests|featrec|benchmarks|docs)/[\w/]+\.\w+)(?:::(\w+))?`", text):
        if path not in written:
            assert (ROOT / path).is_file(), path
            assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8") if test else True, test


def inline_commands():
    """What stands as `featrec ...` in the text of the pages, and as 'featrec ...' in what the package says."""
    for page in PAGES:
        yield from ((page.name, found) for found in re.findall(r"`(featrec [^`\n]+)`", page.read_text(encoding="utf-8")))
    for path in sorted((ROOT / "featrec").rglob("*.py")):
        yield from ((path.name, found) for found in re.findall(r"'(featrec [^'\n{}]+)'", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("where", "command"), sorted(set(inline_commands())))
def test_commands_in_the_text_are_commands(where, command):
    _, name, *options = command.split()
    assert name in COMMANDS, where
    known = {text for action in _parser()._actions for text in _options_of(action, name)}
    assert not {option.partition("=")[0] for option in options if option.startswith("--")} - known


def _options_of(action, command):
    choices = action.choices if isinstance(action.choices, dict) else {}
    return [text for each in getattr(choices.get(command), "_actions", ()) for text in each.option_strings]


# ---- Each command with what it requires and nothing more.

LEAST = {  # None where that takes longer: the slow test below runs these
    "demo": None,
    "recipes": "",
    "check": "pictures",
    "suggest": None,
    "warm": None,
    "train": "pictures --recipe tiny_knn --out least.model",
    "predict": "least.model holiday.jpg",
    "explain": "least.model holiday.jpg --out least.html",
    "anonymize": "pictures --out least_copies",
    "serve": None,
    "watch": "least.model pictures/sky",
    "encode": "least.model pictures --out least.npy",
    "compare": "pictures",
    "bench": "benchmarks/small.toml",
    "network": "show network.onnx",
    "doctor": "",
    "course": None,
}


def test_every_command_runs_with_no_options_beyond_the_required(here, capsys):
    assert LEAST.keys() == set(COMMANDS)
    (here / "least.model").unlink(missing_ok=True)
    for name, words in LEAST.items():
        if words is not None:
            code = main([name, *words.split()])
            captured = capsys.readouterr()
            assert code == 0 or (code == 1 and name == "doctor"), captured.err
            assert captured.out


LONG = {"suggest": ["pictures"], "course": ["course", "--term", "2027a", "--lessons", "5"]}


# It runs until it is stopped; tests/serving/test_server.py starts it with nothing but a model.
ENDLESS = {"serve"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, words in LEAST.items() if words is None and name not in ENDLESS])
def test_the_long_commands_run_with_no_options(name, here, capsys):
    if name == "course":
        pytest.importorskip("otter")
    assert main([name, *LONG.get(name, [])]) == 0
    assert any(capsys.readouterr())


# ---- What a command prints is taken by the command that it is for.

QUICK = {"tiny_knn", "hog_svm", "lbp_svm"}


NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in summaries()]


def test_the_list_of_recipes_is_the_list_of_names(capsys):
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(summaries()) == list(variants())
    assert set(summaries()) > QUICK


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_that_is_listed_can_be_trained_by_its_name(name, here, capsys):
    if name.startswith("pixels_"):
        pytest.importorskip("skorch")
    network = ["--cnn", "network.onnx,layer=NAME,preprocessing=torch"]
    model = network if name.startswith("cnn_") else ["--recipe", name]
    assert main(["train", "same_size", *model, "--out", "listed.model", "--force", "--n-jobs", "1"]) == 0
    following = re.search(r"next: (featrec .*)", capsys.readouterr().out)[1]
    assert run(following.replace("FILES", "same_size/sky/1.png")) == 0  # some recipes take images of one size only
    assert capsys.readouterr().out.startswith("same_size/sky/1.png\t")


def first_words(table):
    """The first column of a table, without its head."""
    return [line.split()[0] for line in table.split("\n\n")[0].splitlines()[1:]]


def test_what_suggest_prints_can_be_trained(here, capsys):
    words = ["suggest", "pictures", "--images", "12", "--cv", "2", "--recipes", "tiny_knn,lbp_svm,patches_ridge:objects"]
    assert main([*words, "--total-seconds", "20"]) == 0
    captured = capsys.readouterr().out
    names = first_words(captured)
    assert set(names) <= set(summaries())
    assert len(names) >= 2
    following = re.search(r"next: (featrec .*)", captured)[1]
    (here / "my.model").unlink(missing_ok=True)
    assert run(following) == 0
    (here / "my.model").unlink()


def test_what_compare_prints_can_be_trained(here, capsys):
    assert main(["compare", "pictures", "--recipes", "tiny_knn,lbp_svm"]) == 0
    for name in first_words(capsys.readouterr().out):
        assert main(["train", "pictures", "--recipe", name, "--out", "compared.model", "--force"]) == 0


def test_the_next_commands_of_the_demo_run(here, capsys):
    from featrec.cli._recipes import NEXT

    lines = re.findall(r"^ +(featrec .*)$", NEXT, flags=re.M)
    assert len(lines) >= 3
    (here / "my.model").unlink(missing_ok=True)
    for line in lines:
        words = [PLACEHOLDERS.get(word, word) for word in line.split()]
        assert main(words[1:]) == 0, capsys.readouterr().err
