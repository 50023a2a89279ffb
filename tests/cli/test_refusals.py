"""Wrong arguments and wrong files: one clear line on standard error, exit code 2, and nothing written."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featrec.cli import main
from featrec.persistence import save
from featrec.recipes import tiny_knn
from tests.tiny_network import write_tiny_network

RECIPE = '[[recipe]]\nname = "tiny_knn"\n'


@pytest.fixture(scope="module")
def mess(tmp_path_factory):
    """Create a working directory with files and folders that are easily confused."""
    folder = tmp_path_factory.mktemp("mess")
    rng = np.random.default_rng(0)
    for name in ("good/a", "good/b", "junk/a", "junk/b", "split/train/a", "split/test/a", "one/a"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            path = folder / name / f"{number}.png"
            Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8)).save(path)
            if "junk" in name:
                path.write_text("no image")
    (folder / "empty").mkdir()
    (folder / "folder.npy").mkdir()
    Image.new("L", (9, 9)).save(folder / "image.png")
    (folder / "text.model").write_text("hello")
    (folder / "empty.model").touch()
    (folder / "columns.csv").write_text("file,kind\nimage.png,a\n")
    (folder / "broken.toml").write_text("foo = [")
    for name, line in (("own", 'path = "nowhere"'), ("standard", 'path = "good"\nsplit = "standard"'),
                       ("options", 'path = "good"\noptions = { n = 1 }')):  # fmt: skip
        (folder / f"{name}.toml").write_text(f'[[dataset]]\nname = "mine"\n{line}\n{RECIPE}')
    textures = '[[dataset]]\nname = "textures"\noptions = { n_tests = 3 }\n'
    (folder / "textures.toml").write_text(textures + RECIPE)
    write_tiny_network(folder / "net.onnx")
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
    f"train split --holdout 0.5 {TRAIN}": "has its own train and test folders; omit --test and --holdout",
    "train good --recipe tiny_kn --out new.model": "there is no recipe 'tiny_kn'.*Did you mean 'tiny_knn'",
    "train good --recipe cnn_svm --out new.model": "cnn_svm needs a network file: --cnn FILE",
    "train good --recipe tiny_knn --out nowhere/new.model": "the folder nowhere does not exist; create it: mkdir -p nowhere",
    "train good --recipe tiny_knn --out /proc/new.model": "/proc/new.model cannot be written because of its permissions",
    "train good --recipe tiny_knn --out good": "good is a folder; use a file name, such as good/model.featrec",
    "train good --recipe tiny_knn --out text.model": "text.model exists; use --force to replace it",
    f"train good {TRAIN} --n-jobs 0": "--n-jobs: the number of threads must be at least 1, or -1 for all processors; got 0",
    f"train good {TRAIN} --n-jobs many": "--n-jobs: the number of threads .*; got many",
    f"train good {TRAIN} --seed -1": "--seed: a seed must be an integer of at least 0; got -1",
    f"train good {TRAIN} --holdout much": "--holdout: it must be between 0 and 1, such as 0.2; got much",
    f"train good {TRAIN} --holdout 1": "--holdout: a share must be less than 1, because the other images are for training",
    "train good": "the following arguments are required: --out",
    f"train good {TRAIN} --colour": r"unrecognized arguments: --colour \(see featrec --help\)",
    f"train good {TRAIN} --set n_neighbours=3": r"has no option 'n_neighbours' \(did you mean 'n_neighbors'\?\)",
    f"train good {TRAIN} --set random_state=3": "the seed and the number of threads have their own keys",
    f"train good {TRAIN} --set probability=calibrated": "set probability with --probability calibrated",
    "train good --cnn net.onnx --set size=3 --out new.model": "--set works only with --recipe; options of a network",
    "train good --cnn text.model --out new.model": "'text.model' is not an ONNX file",
    "train good --cnn nowhere.onnx,layer=x --out new.model": "there is no file 'nowhere.onnx'",
    "train good --cnn net.onnx,depth=3 --out new.model": r"--cnn has no option 'depth'; use FILE\|timm:NAME\[,layer=NAME\]",
    "train good --cnn net.onnx,size=big --out new.model": "such as size=224; got 'big'",
    "predict nowhere.model image.png": "there is no file 'nowhere.model'; a model file is created by 'featrec train'",
    "predict text.model image.png": "'text.model': .*not a model file",
    "predict empty.model image.png": "'empty.model': .*",
    "predict image.png image.png": "'image.png': .*not a model file",
    "predict empty image.png": "'empty': a folder; a model is a single file",
    "predict good.model empty": "no images in 'empty'",
    "predict good.model nowhere.png": "'nowhere.png': no such file",
    "predict good.model -": "standard input contains no path",
    "predict good.model image.png --top 0": "--top: a count must be an integer of at least 1; got 0",
    "predict good.model image.png --min-confidence high": "--min-confidence: it must be between 0 and 1, such as 0.2; got high",
    "predict good.model image.png --min-confidence 2": "--min-confidence: it must be between 0 and 1, such as 0.2; got 2",
    "encode good.model empty --out codes.npy": "no images in 'empty'",
    "encode nowhere.model good --out codes.npy": "there is no file 'nowhere.model'",
    "encode good.model good --out codes.csv": "--out must be a file name that ends in .npy; got 'codes.csv'",
    "encode good.model good --out nowhere/codes.npy": "cannot write nowhere/codes.npy: the folder nowhere does not exist",
    "encode good.model good --out folder.npy": "folder.npy is a folder; use a file name, such as folder.npy/codes.npy",
    "encode good.model good --out /proc/codes.npy": "/proc/codes.npy cannot be written",
    "encode good.model good --out codes.npy --n-jobs 0": "the number of threads must be at least 1",
    "encode good.model junk --out codes.npy": "none of the 6 images can be used; the first error: image 0 .*junk/a/0.png",
    "compare empty": "'empty' contains no class folders",
    "compare nowhere --recipes tiny_kn --cnn no.onnx": "there is no folder 'nowhere'",
    "compare good --recipes tiny_kn": "there is no recipe 'tiny_kn'",
    "compare good --recipes ,": "nothing to compare; set recipes",
    "compare good --cnn nowhere.onnx": "there is no file 'nowhere.onnx'",
    "compare good --recipes tiny_knn --cnn net.onnx,layer=no": "has no layer 'no'; nearest:",
    "compare good --recipes tiny_knn --cnn net.onnx,size=1": "size",
    "compare good --recipes tiny_knn --cnn net.onnx,preprocessing=no": "'preprocessing' .* must be a str among",
    "compare good --holdout 0": "--holdout must be more than 0",
    "compare split --cv 3": "omit --cv",
    "compare good --cv 1": "--cv: a number of folds must be an integer of at least 2; got 1",
    "compare good --cv 2.5": "--cv: a number of folds must be an integer of at least 2; got 2.5",
    "compare good --recipes tiny_knn --cv 9": "at least 9 images of each class, one for each fold; class 'a' has 3 images",
    "compare good --json nowhere/c": "mkdir -p nowhere",
    "compare good --markdown empty": "empty is a folder; use a file name",
    "compare good --json c --markdown c": "is used for two outputs; use two files",
    "compare good --predictions mine": "--predictions expects NAME=FILE.csv",
    "compare good --predictions mine=nowhere.csv": "the predictions in 'nowhere.csv' cannot be read: No such file",
    "compare good --predictions a=x --predictions a=y": "two --predictions have the same name 'a'",
    "suggest empty": "'empty' contains no class folders",
    "suggest good --cv many": "--cv: a number of folds must be an integer of at least 2; got many",
    "suggest good --seconds 0": "--seconds: a time must be a positive number of seconds; got 0",
    "bench nowhere.toml": "there is no file 'nowhere.toml'",
    "bench nowhere.jsonl": "there is no file 'nowhere.jsonl'; 'featrec bench CONFIG.toml' writes a file",
    "bench broken.toml": "broken.toml is not valid TOML",
    "bench empty": "empty is a folder; use a file in it, such as",
    "bench own.toml": "there is no folder 'nowhere'",
    "bench standard.toml": "'mine' has no train and test folders, so its split is always \"random\"; omit split",
    "bench options.toml": "'mine' is a folder: it needs a path such as path = .* and has no options",
    "bench textures.toml": "has no option n_tests",
    "bench textures.toml --out nowhere/x.jsonl": "mkdir -p nowhere",
    "bench textures.toml --only nothing": "--only nothing matches nothing in textures.toml",
    "demo --seed x": "--seed: a seed must be an integer of at least 0; got x",
    "check empty": "no images in 'empty'",
    "check -": "no images given",
    "paint": "invalid choice: 'paint'",
}


@pytest.mark.parametrize("command", WRONG)
def test_an_error_is_one_line_and_nothing_is_written(command, mess, monkeypatch, capsys):
    if "/proc/" in command and not Path("/proc").is_dir():
        pytest.skip("only Linux has this folder, in which nobody can write")
    monkeypatch.chdir(mess)
    monkeypatch.setattr("sys.stdin", [])
    before = sorted(mess.rglob("*"))
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
    assert len(lines) == 1 or "junk" in command, "only damaged images have further lines, one each"
    assert sorted(mess.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_refused_before_work(mess, tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["compare", str(mess / "good"), "--recipes", "tiny_knn", "--json", str(tmp_path / "c")]) == 2
    assert "cannot be written because of its permissions" in capsys.readouterr().err
