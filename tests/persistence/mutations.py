"""Random damage and edits of model files, and the results of load and predict, for a separate process.

``python -m tests.persistence.mutations START STOP FOLDER`` prints one line of JSON per file. The number of a file determines
its original model and its mutation. This module does not use pytest: a crash, a hang or exhausted memory ends only this
process.
"""

from __future__ import annotations

import faulthandler
import importlib
import io
import json
import os
import resource
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from featrec.exceptions import ModelFileError
from featrec.persistence import _archive, load
from featrec.persistence._schema import nodes
from tests.data.make_model_fixtures import FOLDER, PREFIX, pictures, scores
from tests.persistence.archives import packed, unpacked

FAMILIES = ("bytes", "content")
KINDS = ("linear", "kernel", "forest", "neighbours", "brute", "calibrated")
GIGABYTE = 2**30
SECONDS = 10

Random = np.random.Generator

# Events that would show that a file executed something. None of them happens in a normal load or prediction.
ALARMS = frozenset(
    {"os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove", "os.mkdir", "pickle.find_class", "socket.connect"}
    | {"subprocess.Popen", "shutil.rmtree", "webbrowser.open", "ctypes.dlopen"}
)

NUMBERS = ["0", "-1", "1", "2", "-7", "1000000007", "1" + "0" * 18, "-" + "9" * 30, "1" + "0" * 5000, "1e308", "0.5"]
WORDS = ["NaN", "Infinity", "null", "true", "[]", "{}", "[[1, [2, [3]]]]", '""', '"precomputed"', '"linear"', '"auto"', '"rbf"']
TEXTS = ['"brute"', '"kd_tree"', '"/etc/passwd"', '"../../x"', '"mean"', '"' + "a" * 10_000 + '"', "[1, 2", '"\\ud800"']
NAMES = [
    (module, name)
    for module, names in {
        "os": ["system"],
        "builtins": ["eval", "exec"],
        "subprocess": ["Popen"],
        "numpy": ["fromfile", "void", "memmap"],
        "operator": ["methodcaller"],
        "functools": ["partial"],
        "joblib.memory": ["Memory"],
        "sklearn.svm._classes": ["SVC", "LinearSVC", "OneClassSVM"],
        "sklearn.cluster._kmeans": ["KMeans"],
        "sklearn.pipeline": ["Pipeline"],
        "sklearn.tree._tree": ["Tree"],
        "sklearn.tree._classes": ["DecisionTreeClassifier", "ExtraTreeRegressor"],
        "sklearn.neighbors._kd_tree": ["KDTree"],
        "sklearn.neighbors._ball_tree": ["BallTree"],
        "sklearn.neighbors._classification": ["KNeighborsClassifier", "RadiusNeighborsClassifier"],
        "sklearn.ensemble._forest": ["RandomForestClassifier", "RandomForestRegressor"],
        "sklearn.linear_model._logistic": ["LogisticRegression"],
        "sklearn.preprocessing._function_transformer": ["FunctionTransformer"],
        "featrec.encoders": ["BagOfWords", "SpatialPyramid"],
        "featrec.networks": ["CNNFeatures", "CNNMaps"],
        "featrec.descriptors": ["SIFT", "TinyImage"],
        "featrec.pairwise": ["chi2_kernel"],
        "featrec.persistence": ["load"],
        "featrec.encoders._base": ["Encoder"],
    }.items()
    for name in names
]
ATTRIBUTES = ["predict", "transform", "_pool", "_check_parameters", "_parameter_constraints", "__class__", "__dict__", "n_jobs"]
ATTRIBUTES += ["n_features_in_", "classes_", "_y", "metric", "kernel", "memory", "levels", "size", "_sparse", "estimators_"]
STRANGE: list[Any] = [None, 7, "x", [], {}, [None], {"__loader__": "JsonNode"}, 1e300, "array-999.npy", "../x.npy", "TypeNode"]
TYPES = ["<f4", "<f8", ">f8", "<i4", "<i8", ">i8", "u1", "?", "<c16", "<U4", "S3", "<f2", "V8", "M8[s]"]


def kind_and_family(number: int) -> tuple[str, str]:
    """Return the original of the file with this number."""
    return KINDS[number % len(KINDS)], FAMILIES[number // len(KINDS) % len(FAMILIES)]


def mutate(data: bytes, family: str, random: Random) -> bytes:
    """Return one damaged or edited file. The same state of `random` gives the same file."""
    if family == "bytes":
        return _choice(BYTES, random)(data, random)
    facts, members = unpacked(data)
    members = dict(members)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        _choice(CONTENTS, random)(facts, members, random)
    return packed(facts, members)


def _choice(values: Any, random: Random) -> Any:
    """Unlike random.choice, return the object itself."""
    return values[random.integers(len(values))]


# ---- Family "bytes": damage in transfer. The hash does not change.


def _flip_bits(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for place in random.integers(0, len(data), random.choice([1, 1, 2, 8, 64])):
        changed[place] ^= 1 << random.integers(8)
    return bytes(changed)


def _overwrite(data: bytes, random: Random) -> bytes:
    start, length = random.integers(len(data)), random.integers(1, 200)
    filler = random.choice([b"\0" * length, b"\xff" * length, random.bytes(length)])
    return data[:start] + filler + data[start + length :]


def _repeat_range(data: bytes, random: Random) -> bytes:
    start, end = np.sort(random.integers(0, len(data) + 1, 2))
    place = random.integers(len(data))
    return data[:place] + data[start:end] + data[place:]


def _drop_range(data: bytes, random: Random) -> bytes:
    start = random.integers(len(data))
    return data[:start] + data[start + random.integers(1, 300) :]


def _edit_members(data: bytes, random: Random) -> bytes:
    """Swap, lose or damage members, and keep the header with its hash."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    one, other = random.choice(sorted(members), 2, replace=False)
    match random.integers(4):
        case 0:
            members[one], members[other] = members[other], members[one]
        case 1:
            del members[one]
        case _:
            members[one] = _flip_bits(members[one], random)
    return _archive.plain_zip(members)


BYTES: list[Callable[[bytes, Random], bytes]] = [_flip_bits, _overwrite, _repeat_range, _drop_range]
BYTES += [_flip_bits, *[_edit_members] * 4]
BYTES += [
    lambda data, random: data[: random.integers(len(data))],
    lambda data, random: data[random.integers(1, len(data)) :],
    lambda data, random: data + random.bytes(random.integers(1, 300)),
]


# ---- Family "content": edits of an attacker who also writes a matching hash.


def _array_name(members: dict[str, bytes], random: Random) -> str:
    return _choice(sorted(name for name in members if name.endswith(".npy")), random)


def _edit_array(change: Callable[[np.ndarray, Random], np.ndarray]) -> Callable:
    def edit(facts: dict, members: dict[str, bytes], random: Random) -> None:
        name = _array_name(members, random)
        try:
            array = np.load(io.BytesIO(members[name]), allow_pickle=False)
            buffer = io.BytesIO()
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                np.save(buffer, change(array, random), allow_pickle=False)
            members[name] = buffer.getvalue()
        except (ValueError, TypeError, IndexError, OverflowError, MemoryError):
            members[name] = members[name][: random.integers(len(members[name]))]

    return edit


def _values(array: np.ndarray, random: Random) -> np.ndarray:
    array = np.array(array)
    flat = array[_choice(array.dtype.names, random)] if array.dtype.names else array.reshape(-1)
    places = random.integers(0, len(flat), random.choice([1, 1, 3, len(flat)]))
    if flat.dtype.kind == "f":
        flat[places] = random.choice([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e38, 1e-40])
    elif flat.dtype.kind in "iu":
        limits = np.iinfo(flat.dtype)
        flat[places] = _choice([0, 1, limits.max, limits.min, limits.max // 2, 7, 1000], random)
        if random.random() < 0.5 and limits.min < 0:
            flat[places] = -random.integers(1, 100)
    else:
        flat[places] = flat[::-1][places]
    return array


SHAPES: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda array: array[:-1],
    lambda array: array[1:],
    lambda array: array[..., :-1],
    lambda array: array[:0],
    lambda array: array.T,
    lambda array: array.reshape(-1),
    lambda array: array[None],
    lambda array: array[..., None],
    lambda array: np.concatenate([array, array]),
    lambda array: np.concatenate([array, array], axis=-1),
    lambda array: array.reshape(-1)[0],
    lambda array: np.resize(array, 100_000),
    lambda array: np.zeros(0, array.dtype),
]


def _dtype(array: np.ndarray, random: Random) -> np.ndarray:
    if random.random() < 0.2:
        return np.asfortranarray(array)
    if random.random() < 0.2:
        return array.astype(array.dtype.newbyteorder(">"))
    return array.astype(_choice(TYPES, random))


def _announce(facts: dict, members: dict[str, bytes], random: Random) -> None:
    buffer = io.BytesIO()
    shape = _choice([(10**12,), (2**62,), (-1,), (0, 10**15), (3,) * 40, (10**6, 10**6)], random)
    descr = _choice(["<f8", "<i4", "|O", "<U1000000", "|V2000000000"], random)
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    members[_array_name(members, random)] = buffer.getvalue() + bytes(64)


def _swap_arrays(facts: dict, members: dict[str, bytes], random: Random) -> None:
    one, other = _array_name(members, random), _array_name(members, random)
    members[one], members[other] = members[other], members[one]


def _edit_schema(change: Callable[[list[dict], Random], None]) -> Callable:
    def edit(facts: dict, members: dict[str, bytes], random: Random) -> None:
        schema = json.loads(members["schema.json"])
        try:
            change(list(nodes(schema)), random)
        except (KeyError, IndexError, ValueError, TypeError):
            schema["protocol"] = 7
        try:
            members["schema.json"] = json.dumps(schema).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):
            members["schema.json"] = b"[" * 10_000

    return edit


def _pick(found: list[dict], random: Random, loader: str | None = None) -> dict:
    return _choice([node for node in found if loader in (None, node["__loader__"])], random)


def _number(found: list[dict], random: Random) -> None:
    _pick(found, random, "JsonNode")["content"] = _choice(NUMBERS if random.random() < 0.6 else WORDS + TEXTS, random)


def _name(found: list[dict], random: Random) -> None:
    node = _pick(found, random, "ObjectNode" if random.random() < 0.7 else None)
    node["__module__"], node["__class__"] = _choice(NAMES, random)


def _attribute(found: list[dict], random: Random) -> None:
    """Lose, rename or add an attribute, with a type for each key, because only the attribute itself should be wrong."""
    node, added = _pick(found, random, "DictNode"), _choice(ATTRIBUTES, random)
    lost = _choice(sorted(node["content"]), random)
    match random.integers(3):
        case 0:
            del node["content"][lost]
        case 1:
            node["content"][added] = node["content"].pop(lost)
        case 2:
            node["content"][added] = json.loads(json.dumps(_pick(found, random)))
    types = node["key_types"]["content"]
    node["key_types"]["content"] = (types + types[-1:])[: len(node["content"])]


def _graft(found: list[dict], random: Random) -> None:
    """Replace a node by another node, a function, or lists around it."""
    place = _pick(found[1:], random)
    module, name = _choice(NAMES, random)
    nested = dict(place)
    for _ in range(random.choice([1, 2, 50, 200])):
        nested = {"__loader__": "ListNode", "__module__": "builtins", "__class__": "list", "content": [nested]}
    function = {"__loader__": "FunctionNode", "__module__": module, "__class__": name}
    new = _choice([json.loads(json.dumps(_pick(found, random)))] * 2 + [function, nested], random)
    place.clear()
    place.update(new)


def _swap(found: list[dict], random: Random) -> None:
    """Replace a loader, a list, a reference or anything else of a node by that of another node, or by something strange."""
    node, other = _pick(found, random), _pick(found, random)
    key = _choice(sorted(node), random)
    node[key] = json.loads(json.dumps(other[key])) if key in other and random.random() < 0.7 else _choice(STRANGE, random)


def _header(facts: dict, members: dict[str, bytes], random: Random) -> None:
    value = _choice([None, "", "99.9.9", "0.0.1", "x.y", 7, [], {}, "9" * 5000], random)
    place = facts["versions"] if random.random() < 0.6 else facts
    place[_choice([*sorted(place), "other"], random)] = value


def _member(facts: dict, members: dict[str, bytes], random: Random) -> None:
    names = ["../x.npy", "/etc/x.npy", "array-77.npy", "code.py", "array-78.bin", "pickle-0.bin"]
    members[_choice(names, random)] = random.bytes(50)


ARRAYS = [_values] * 4 + [lambda array, random: _choice(SHAPES, random)(array)] * 4 + [_dtype] * 2
SCHEMAS = [_number] * 6 + [_graft] * 4 + [_attribute] * 3 + [_name] + [_swap] * 6
CONTENTS = [*map(_edit_array, [*ARRAYS, lambda array, random: random.permutation(array)]), *map(_edit_schema, SCHEMAS)]
CONTENTS += [_announce, _swap_arrays, _header, _member]


# ---- The process that loads the files.


def outcome(path: str, given: list, expected: tuple) -> tuple[str, str]:
    """Return the result of a file: refused, same, changed, error (in predict), memory, or leak (any other error in load)."""
    try:
        model = load(path)
    except ModelFileError as error:
        return ("memory" if "MemoryError" in repr(error.__cause__) else "refused"), str(error)
    except BaseException as error:
        return "leak", repr(error)
    try:
        labels = model.predict(given)
        found = scores(model, given)
        same = np.array_equal(labels, expected[0]) and np.array_equal(found, expected[1])
    except MemoryError as error:
        return "memory", repr(error)
    except Exception as error:
        return "error", repr(error)
    return ("same" if same else "changed"), ""


def _harmless(event: str, arguments: tuple) -> bool:
    """Return whether numba reads or writes a loop, or threadpoolctl opens a library that is loaded already."""
    if event == "ctypes.dlopen":
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            return str(arguments[0]) in file.read()
    return any(path.endswith("numba/core/caching.py") for path in _files_of_the_stack())


def _files_of_the_stack() -> Iterator[str]:
    frame = sys._getframe()
    while frame is not None:
        yield frame.f_code.co_filename.replace(os.sep, "/")
        frame = frame.f_back


def _watch() -> None:
    """End the process at forbidden events from now on, and limit memory to a gigabyte more than it uses now."""

    def hook(event: str, arguments: tuple) -> None:
        if event in ALARMS and WATCHING and not _harmless(event, arguments):
            os.write(2, f"executed {event} {arguments!r:.200}\n".encode())
            os._exit(77)

    sys.addaudithook(hook)
    with open("/proc/self/statm", encoding="ascii") as file:
        in_use = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + GIGABYTE, in_use + GIGABYTE))


WATCHING: list[bool] = []


def main(start: int, stop: int, folder: str) -> None:
    """Load the files with these numbers."""
    warnings.simplefilter("ignore")
    given, path = pictures(), os.path.join(folder, f"{start}.featrec")
    originals, expected = {}, {}
    for kind in KINDS:
        file = FOLDER / f"{PREFIX}_{kind}.featrec"
        model = load(file)
        originals[kind] = file.read_bytes()
        expected[kind] = model.predict(given), scores(model, given)
    importlib.import_module("skops.io")  # import skops now, because its imports unpickle data
    _watch()
    for number in range(start, stop):
        kind, family = kind_and_family(number)
        with open(path, "wb") as written:
            written.write(mutate(originals[kind], family, np.random.default_rng(number)))
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        WATCHING.append(True)
        found, detail = outcome(path, given, expected[kind])
        WATCHING.clear()
        faulthandler.cancel_dump_traceback_later()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        sys.stdout.write(json.dumps([number, found, detail[:300], peak]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    faulthandler.enable()
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
