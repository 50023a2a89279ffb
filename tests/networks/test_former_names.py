"""Networks were once in other packages of featrec: old imports and old model files still work."""

import importlib
import json
import warnings

import pytest

from featrec import networks
from featrec.exceptions import ModelFileError
from featrec.persistence import load, save
from tests.persistence.archives import packed, unpacked

FORMER = [("descriptors", "CNNFeatures"), ("classifiers", "LeNet5"), ("classifiers", "SmallResNet")]


@pytest.mark.parametrize(("stage", "name"), FORMER)
def test_the_old_import_works_with_a_warning(stage, name):
    module = importlib.import_module(f"featrec.{stage}")
    with pytest.warns(FutureWarning, match=rf"featrec\.{stage}\.{name} has moved; import it from featrec\.networks") as caught:
        assert getattr(module, name) is getattr(networks, name)
    assert caught[0].filename == __file__
    assert name not in dir(module)


@pytest.mark.parametrize("stage", ["descriptors", "classifiers"])
def test_a_star_import_does_not_warn(stage):
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(f"from featrec.{stage} import *", names)
    assert not {"CNNFeatures", "LeNet5", "SmallResNet"} & names.keys()


def written_before(model, stage, path, **changed):
    """A model file that names the former stage, with changed parameters."""
    save(model, path)
    facts, members = unpacked(path.read_bytes())
    schema = json.loads(members["schema.json"])
    assert schema["__module__"] == "featrec.networks"
    schema["__module__"] = f"featrec.{stage}"
    for name, value in changed.items():
        schema["content"]["content"][name]["content"] = json.dumps(value)
    path.write_bytes(packed(facts, {**members, "schema.json": json.dumps(schema).encode()}))
    return path


@pytest.mark.parametrize(("stage", "name"), FORMER)
def test_a_model_file_with_the_old_name_loads_without_a_warning(stage, name, tmp_path):
    model = getattr(networks, name)(**({"model": "net.onnx"} if name == "CNNFeatures" else {"epochs": 3}))
    path = written_before(model, stage, tmp_path / "model.featrec")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load(path)
    assert type(loaded) is type(model)
    assert loaded.get_params() == model.get_params()


def test_limits_of_settings_also_apply_to_the_old_name(tmp_path):
    path = written_before(networks.CNNFeatures("net.onnx"), "descriptors", tmp_path / "model.featrec", batch_size=10**9)
    with pytest.raises(ModelFileError, match="CNNFeatures: batch_size=1000000000 is above the limit"):
        load(path)
