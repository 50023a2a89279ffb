"""Files of other formats are recognised and named in the error."""

import bz2
import gzip
import io
import lzma
import pickle
import zlib

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.svm import LinearSVC

from featrec.cli import main
from featrec.exceptions import ModelFileError
from featrec.persistence import load

PICKLE = r"a pickle or joblib file.*would execute any code.*featrec\.persistence\.save\(joblib\.load\(path\), 'm\.featrec'\)"


class Trap:
    """An object that fails the test when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("it was executed",)


@pytest.mark.parametrize(("protocol", "name"), [(0, "m.PKL"), *((n, "m.bin") for n in range(2, pickle.HIGHEST_PROTOCOL + 1))])
def test_a_pickle_is_named_and_not_executed(tmp_path, protocol, name):
    """An old one is recognised by its suffix."""
    (tmp_path / name).write_bytes(pickle.dumps(Trap(), protocol=protocol))
    with pytest.raises(ModelFileError, match=PICKLE):
        load(tmp_path / name)


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)], ids=str)
def test_a_file_of_joblib_is_named(tmp_path, compress):
    joblib.dump(LinearSVC().fit(np.eye(4), [0, 1, 0, 1]), tmp_path / "m.bin", compress=compress)
    with pytest.raises(ModelFileError, match=PICKLE):
        load(tmp_path / "m.bin")


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress], ids=lambda pack: pack.__module__)
@pytest.mark.parametrize("size", [0, 1, 5000])
def test_other_compressed_files_are_not_called_pickles(tmp_path, pack, size):
    (tmp_path / "m.bin").write_bytes(pack(bytes(size)))
    with pytest.raises(ModelFileError, match="damaged, cut off or not a model file"):
        load(tmp_path / "m.bin")
    (tmp_path / "m.bin").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"not a model file \(zero bytes\)"):
        load(tmp_path / "m.bin")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF"])
def test_an_image_in_place_of_the_model_is_named(tmp_path, kind, capsys):
    file = io.BytesIO()
    Image.new("L", (4, 4)).save(file, kind)
    (tmp_path / "a").write_bytes(file.getvalue())
    assert main(["predict", str(tmp_path / "a"), "m.featrec"]) == 2
    assert f"an image ({kind}), not a model file; write 'featrec predict MODEL IMAGES'" in capsys.readouterr().err


def test_the_command_line_names_a_pickle(tmp_path, capsys):
    joblib.dump(Trap(), tmp_path / "m.joblib")
    assert main(["predict", str(tmp_path / "m.joblib"), "x.png"]) == 2
    said = capsys.readouterr().err
    assert "a pickle or joblib file" in said
    assert "damaged" not in said
