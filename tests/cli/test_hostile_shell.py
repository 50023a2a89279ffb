"""What a newcomer does wrong in a shell: one clear line on the standard error, exit code 2, and no work before it."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featrec.cli import main
from featrec.persistence import save
from featrec.recipes import tiny_knn


@pytest.fixture(scope="module")
def mess(tmp_path_factory):
    """A working directory with everything that can be mistaken for something else."""
    folder = tmp_path_factory.mktemp("mess")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "good" / name).mkdir(parents=True)
        (folder / "junk" / name).mkdir(parents=True)
        for place in range(3):
            Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8)).save(folder / "good" / name / f"{place}.png")
            (folder / "junk" / name / f"{place}.png").write_text("no image")
    (folder / "empty").mkdir()
    (folder / "one" / "a").mkdir(parents=True)
    for place in range(3):
        Image.new("L", (9, 9)).save(folder / "one" / "a" / f"{place}.png")
    Image.new("L", (9, 9)).save(folder / "image.png")
    (folder / "text.model").write_text("hello")
    (folder / "empty.model").touch()
    (folder / "columns.csv").write_text("file,kind\nimage.png,a\n")
    (folder / "broken.toml").write_text("foo = [")
    (folder / "own.toml").write_text('[[dataset]]\nname = "mine"\npath = "nowhere"\n[[recipe]]\nname = "tiny_knn"\n')
    (folder / "standard.toml").write_text(
        '[[dataset]]\nname = "mine"\npath = "good"\nsplit = "standard"\n[[recipe]]\nname = "tiny_knn"\n'
    )
    (folder / "options.toml").write_text(
        '[[dataset]]\nname = "mine"\npath = "good"\noptions = { n = 1 }\n[[recipe]]\nname = "tiny_knn"\n'
    )
    images = rng.integers(0, 256, (6, 20, 20), dtype=np.uint8)
    save(tiny_knn().fit(images, ["a", "b"] * 3), folder / "good.model")
    return folder


TRAIN = "--recipe tiny_knn --out new.model"
WRONG = {
    f"train empty {TRAIN}": "'empty' contains no class folders",
    f"train one {TRAIN}": "contains only one class, 'a'; a classifier needs at least two",
    f"train junk {TRAIN}": "none of the .* can be read",
    f"train nowhere {TRAIN}": "there is no folder 'nowhere'; check the path",
    f"train image.png {TRAIN}": "'image.png' is a file.*for a single image, use 'featrec predict'",
    f"train columns.csv {TRAIN}": "no column 'path' and no column 'label'.*Rename the columns to 'path' and 'label'",
    "train good --recipe tiny_kn --out new.model": "there is no recipe 'tiny_kn'.*Did you mean 'tiny_knn'",
    "train good --recipe tiny_knn --out nowhere/new.model": "there is no folder nowhere to write .* mkdir -p nowhere",
    "train good --recipe tiny_knn --out /proc/new.model": "/proc/new.model cannot be written because of its permissions",
    "train good --recipe tiny_knn --out good": "good is a folder; use a file name, such as good/model.featrec",
    "train good --recipe tiny_knn --out text.model": "text.model exists; use --force to replace it",
    f"train good {TRAIN} --n-jobs 0": "--n-jobs: the number of threads must be at least 1, or -1 for all processors; got 0",
    f"train good {TRAIN} --n-jobs many": "--n-jobs: the number of threads .*; got many",
    f"train good {TRAIN} --seed -1": "--seed: a seed must be an integer of at least 0; got -1",
    f"train good {TRAIN} --holdout much": "--holdout: a share must be at least 0 and less than 1, such as 0.2; got much",
    f"train good {TRAIN} --colour": r"unrecognized arguments: --colour \(see featrec --help\)",
    "train good --cnn text.model --out new.model": "'text.model' is not an ONNX file",
    "train good --cnn nowhere.onnx --out new.model": "there is no file 'nowhere.onnx'",
    "predict nowhere.model image.png": "there is no file 'nowhere.model'; a model file is created by 'featrec train'",
    "predict text.model image.png": "'text.model': .*not a model file",
    "predict empty.model image.png": "'empty.model': .*",
    "predict image.png image.png": "'image.png': .*not a model file",
    "predict empty image.png": "'empty': a folder; a model is a single file",
    "predict good.model empty": "no images in 'empty'",
    "predict good.model nowhere.png": "'nowhere.png': no such file",
    "predict good.model image.png --top 0": "--top: a count must be an integer of at least 1; got 0",
    "predict good.model image.png --min-confidence high": "--min-confidence: it must be between 0 and 1, such as 0.2; got high",
    "encode good.model empty --out codes.npy": "no images in 'empty'",
    "encode nowhere.model good --out codes.npy": "there is no file 'nowhere.model'",
    "encode good.model good --out codes.csv": "--out must be a file name that ends in .npy; got 'codes.csv'",
    "encode good.model good --out /proc/codes.npy": "/proc/codes.npy cannot be written",
    "encode good.model junk --out codes.npy": "none of the 6 .* can be used; the first error: .*junk/a/0.png",
    "compare empty": "'empty' contains no class folders",
    "compare good --recipes tiny_kn": "there is no recipe 'tiny_kn'",
    "suggest empty": "'empty' contains no class folders",
    "bench nowhere.toml": "there is no file 'nowhere.toml'",
    "bench broken.toml": "broken.toml is not valid TOML",
    "bench empty": "empty is a folder; use a file in it",
    "bench own.toml": "there is no folder 'nowhere'",
    "bench standard.toml": "'mine' has no train and test folders, so its split is always \"random\"; omit split",
    "bench options.toml": "'mine' is a folder with a path, such as path = .*, and has no options",
    "demo --seed x": "--seed: a seed must be an integer of at least 0; got x",
    "check empty": "no images in 'empty'",
    "paint": "invalid choice: 'paint'",
}


@pytest.mark.parametrize("command", WRONG)
def test_one_line_and_exit_code_2(command, mess, monkeypatch, capsys):
    if "/proc/" in command and not Path("/proc").is_dir():
        pytest.skip("a folder in which nobody can write is Linux's")
    monkeypatch.chdir(mess)
    try:
        code = main(command.split())
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    *_, line = lines = captured.err.splitlines()
    assert re.fullmatch(f"featrec: error: .*{WRONG[command]}.*", line)
    assert not re.search(r"Error: |Traceback|invalid _", captured.err)
    assert len(lines) == 1 or "junk" in command, "each damaged image has a line of its own, nothing else has two"


def test_a_standard_input_without_a_path_is_no_answer(mess, monkeypatch, capsys):
    monkeypatch.chdir(mess)
    monkeypatch.setattr("sys.stdin", [])
    assert main(["predict", "good.model", "-"]) == 2
    assert "standard input contains no path" in capsys.readouterr().err
