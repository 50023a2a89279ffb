"""LeNet5 and SmallResNet: what they learn, what they refuse, and what they leave as it was."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import Parallel, delayed
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from featrec import recipes
from featrec.classifiers import LeNet5, SmallResNet
from featrec.classifiers._picture_array import picture_array
from featrec.classifiers._picture_batches import Augmentation, PictureBatches
from featrec.classifiers._skorch_network import arrays_of, initialized, one_cycle, torch_threads
from featrec.exceptions import InputError, MissingExtraError, UnsupportedImageError
from featrec.images import check_images
from featrec.persistence import load, save
from featrec.preprocessing import Grayscale, Resize

try:
    import skorch  # noqa: F401
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="torch and skorch are not installed: the extra torch")


def pictures(n=60, size=16, channels=None, seed=0):
    """Noise that is darker on the left in one class and at the top in the other."""
    random = np.random.default_rng(seed)
    X = random.integers(120, 256, (n, size, size, 3)[: 3 + (channels is not None)], dtype=np.uint8)
    y = np.resize(["left", "top"], n)
    X[y == "left", :, : size // 2] //= 3
    X[y == "top", : size // 2] //= 3
    return X, y


def lenet(**options):
    return LeNet5(**{"epochs": 8, "batch_size": 12, "random_state": 0, "shift": 1} | options)


def resnet(**options):
    return SmallResNet(**{"width": 4, "epochs": 5, "batch_size": 12, "random_state": 0, "flip": False, "shift": 1} | options)


MODELS = [pytest.param(lenet, id="LeNet5"), pytest.param(resnet, id="SmallResNet")]


@needs_torch
@pytest.mark.parametrize("make", MODELS)
def test_it_learns_what_is_easy(make):
    (X, y), (unseen, expected) = pictures(), pictures(30, seed=1)
    model = make().fit(X, y)
    assert (model.predict(unseen) == expected).mean() > 0.9
    assert model.classes_.tolist() == ["left", "top"]
    probabilities = model.predict_proba(unseen)
    assert probabilities.shape == (30, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@needs_torch
@pytest.mark.parametrize("make", MODELS)
def test_history_tells_of_each_epoch(make):
    X, y = pictures(channels=3)
    history = make(validation_fraction=0.25).fit(X, y).history_
    assert [epoch["epoch"] for epoch in history] == list(range(1, len(history) + 1))
    assert history[-1]["loss"] < history[0]["loss"]
    assert all(0 <= epoch["valid_accuracy"] <= 1 for epoch in history)
    assert all(set(epoch) == {"epoch", "loss"} for epoch in make().fit(X, y).history_)


@needs_torch
@pytest.mark.parametrize("make", MODELS)
def test_a_seed_decides_everything_and_copies_answer_alike(make, tmp_path):
    X, y = pictures(24)
    model = make(epochs=2).fit(X, y)
    expected = model.predict_proba(X)
    assert (clone(model).fit(X, y).predict_proba(X) == expected).all()
    assert (clone(model).set_params(random_state=1).fit(X, y).predict_proba(X) != expected).any()
    assert (pickle.loads(pickle.dumps(model)).predict_proba(X) == expected).all()
    save(model, tmp_path / "model.featrec")
    assert (load(tmp_path / "model.featrec").predict_proba(X) == expected).all()


@needs_torch
def test_torch_is_left_as_it_was():
    X, y = pictures(24)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    resnet(epochs=1, n_jobs=threads + 1).fit(X, y).predict(X)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    with pytest.raises(InputError, match="has not converged"):
        lenet(learning_rate=1e30).fit(X, y)
    assert torch.get_num_threads() == threads


@needs_torch
def test_the_published_sizes():
    gray, y = np.zeros((4, 28, 28), np.uint8), ["a", "b", "c", "d"]
    assert lenet(epochs=1).fit(gray, y).n_parameters_ == 61_706 - 6 * 85
    model = SmallResNet()
    model.shape_, model.classes_ = (32, 32, 3), np.arange(10)
    module = model._module()
    assert sum(parameter.numel() for parameter in module.parameters()) == 1_646_112
    assert sum(isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)) for layer in module.modules()) == 9
    counter = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode(display=False)
    with counter:
        module.train()(torch.zeros(2, 3, 32, 32)).sum().backward()
    per_picture = counter.get_total_flops() / 2
    assert round(per_picture * 50_000 / 1e13, 1) == 2.8
    assert round(per_picture * 50_000 * model.usual_epochs / 1e14, 1) == 4.3


@pytest.mark.parametrize(
    ("n", "plan"), [(50_000, (256, 15)), (5_000, (256, 53)), (1_000, (125, 125)), (100, (16, 167)), (5, (5, 1000))]
)
def test_few_pictures_are_learned_from_more_often(n, plan):
    assert SmallResNet()._plan(n) == plan
    assert SmallResNet(epochs=2)._plan(n) == (plan[0], 2)


@needs_torch
def test_floats_and_bytes_are_the_same_pictures():
    X, y = pictures(24)
    bytes_, floats = lenet(epochs=2).fit(X, y), lenet(epochs=2).fit(X / 255, y)
    np.testing.assert_allclose(bytes_.predict_proba(X), floats.predict_proba(X / 255), atol=1e-4)
    np.testing.assert_allclose(bytes_.predict_proba(X), bytes_.predict_proba([picture / 255 for picture in X]), atol=1e-5)


@needs_torch
def test_a_short_precision_answers_nearly_the_same():
    X, y = pictures(24, channels=3)
    model = resnet(precision="float32").fit(X, y)
    expected = model.predict_proba(X)
    assert abs(model.set_params(precision="bfloat16").predict_proba(X) - expected).max() < 0.1


@needs_torch
def test_files_through_a_pipeline_are_read_once(tmp_path):
    X, y = pictures(24, size=20)
    paths = [tmp_path / f"{i}.png" for i in range(24)]
    for path, picture in zip(paths, X, strict=True):
        Image.fromarray(picture).save(path)
    model = make_pipeline(Resize((16, 16)), resnet()).fit(paths, y)
    assert (model.predict(paths) == model.predict(X)).all()

    asked = []

    def counted(picture):
        asked.append(1)
        return picture

    lenet(epochs=3).fit(check_images(X).then(counted), y)
    assert len(asked) == 24


@needs_torch
@pytest.mark.parametrize(("name", "size"), [("pixels_lenet5", 28), ("pixels_resnet", 32)])
def test_recipes_take_pictures_of_any_size(name, size, tmp_path):
    X, y = pictures(40, size=size + 8, channels=3)
    mixed = [*X[:20], *X[20:, : size + 4, : size + 4]]
    model = recipes.make(name, epochs=4, **({"width": 2} if name == "pixels_resnet" else {})).fit(mixed, y)
    assert model[-1].shape_ == (size, size, 1 if name == "pixels_lenet5" else 3)
    save(model, tmp_path / "model.featrec")
    assert (load(tmp_path / "model.featrec").predict_proba(mixed) == model.predict_proba(mixed)).all()


@needs_torch
def test_recipes_may_be_calibrated():
    X, y = pictures(40)
    model = recipes.pixels_resnet(size=16, width=2, epochs=2, probability="calibrated").fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


@needs_torch
def test_cross_validation_cuts_lazy_pictures():
    X, y = pictures(36)
    assert cross_val_score(lenet(), Resize((16, 16)).transform(X), y, cv=2).mean() > 0.9


@needs_torch
def test_gray_for_colour_is_taken_and_colour_for_gray_refused():
    X, y = pictures(24)
    colour = np.repeat(X[..., None], 3, axis=3)
    model = resnet(epochs=1).fit(colour, y)
    assert (model.predict_proba(X) == model.predict_proba(colour)).all()
    gray = lenet(epochs=1).fit(X, y)
    with pytest.raises(InputError, match=r"learned from pictures of shape \(16, 16, 1\).*Grayscale\(\)"):
        gray.predict(colour)
    assert len(make_pipeline(Grayscale(), gray).predict(colour)) == 24
    with pytest.raises(InputError, match=r"Put Grayscale\(\) and Resize\(\(16, 16\)\) before it"):
        gray.predict(np.zeros((2, 20, 20, 3), np.uint8))
    with pytest.raises(InputError, match=r"these have \(20, 20, 1\)\. Put Resize\(\(16, 16\)\)"):
        gray.predict(np.zeros((2, 20, 20), np.uint8))
    assert gray.predict([]).shape == (0,)


@needs_torch
@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.zeros((16, 16)), np.zeros((16, 20))], r"of one size; these have 2, such as \(16, 16\) and \(16, 20\).*Resize"),
        (["a.png", "b.png"], r"item 0 is a str.*make_pipeline\(Resize\(\(32, 32\)\), LeNet5\(\)\)"),
        (np.zeros((2, 8, 8), np.uint8), r"12 × 12 pixels and more; these are 8 × 8. Put Resize"),
        (np.zeros((2, 784), np.uint8), r"\[picture\].*Unflatten"),
        (np.zeros((16, 16, 3), np.uint8), r"write \[picture\]"),
        (np.zeros((2, 16, 16), np.int64), "got int64"),
        (np.full((2, 16, 16), 7.0), "floats in \\[0, 1\\]; these lie between 7 and 7"),
        ("a.png", r"got one \(str\).*\[picture\]"),
        ([], "got none"),
    ],
)
def test_other_inputs_are_refused_with_the_way_out(X, message):
    with pytest.raises(InputError, match=message):
        lenet().fit(X, ["cat", "dog"])


@needs_torch
def test_networks_in_threads_draw_the_weights_of_their_seed_and_leave_torch_as_it_was():
    model = SmallResNet()
    model.shape_, model.classes_ = (16, 16, 1), np.arange(2)

    def made(seed):
        with torch_threads(1):
            return arrays_of(initialized(model._module, seed))

    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    alone = made(0)
    together = Parallel(8, backend="threading")(delayed(made)(number % 2) for number in range(40))
    for found in together[::2]:
        assert all((found[name] == alone[name]).all() for name in alone)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == threads


@needs_torch
def test_labels_are_checked():
    X, y = pictures(4)
    with pytest.raises(InputError, match="there is only one, 'cat'"):
        lenet().fit(X, ["cat"] * 4)
    with pytest.raises(InputError, match="4 images and 3 labels"):
        lenet().fit(X, y[:3])
    with pytest.raises(ValueError, match="Unknown label type"):
        lenet().fit(X, [0.1, 0.2, 0.3, 0.4])


@needs_torch
def test_labels_of_another_number_are_refused_before_a_picture_is_read():
    missing = Resize((16, 16)).transform(["nowhere.png"] * 3)
    with pytest.raises(InputError, match="3 images and 2 labels"):
        lenet().fit(missing, ["cat", "dog"])


@needs_torch
def test_a_device_that_is_not_here_is_refused():
    with pytest.raises(InputError, match=r"torch cannot use device='nowhere' here.*'cpu' always works"):
        lenet(device="nowhere").fit(*pictures(4))


@needs_torch
def test_an_interrupt_is_no_model(monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt("in the middle")

    model = lenet()
    monkeypatch.setattr(Augmentation, "apply", stop)
    with pytest.raises(KeyboardInterrupt, match="in the middle"):
        model.fit(*pictures(24))
    assert not hasattr(model, "state_")


@needs_torch
def test_progress_goes_to_the_standard_error_and_only_when_asked_for(capsys):
    lenet(epochs=2).fit(*pictures(24))
    assert capsys.readouterr() == ("", "")
    lenet(epochs=2, verbose=1).fit(*pictures(24))
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("epoch") == 2


def test_importing_and_building_them_loads_no_torch():
    code = (
        "import sys; from featrec.classifiers import LeNet5, SmallResNet; LeNet5(), SmallResNet();"
        "print(*[name for name in ('torch', 'skorch') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


@pytest.mark.parametrize("make", MODELS)
def test_without_torch_the_extra_is_named(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "skorch", None)
    with pytest.raises(MissingExtraError, match=r'needs torch and skorch; pip install "featrec\[torch\]"'):
        make().fit(*pictures(4))


def test_shifts_and_mirrors_are_those_of_a_plain_loop():
    X = np.arange(6 * 5 * 7, dtype=np.uint8).reshape(6, 5, 7, 1)
    changed = Augmentation(flip=True, shift=2).apply(X, np.random.default_rng(3))
    for picture, found in zip(X[..., 0], changed[..., 0], strict=True):
        padded = np.pad(picture, 2, mode="reflect")
        possible = [padded[dy : dy + 5, dx : dx + 7][:, ::step] for dy in range(5) for dx in range(5) for step in (1, -1)]
        assert any((found == one).all() for one in possible)
    assert len({found.tobytes() for found in changed - X}) > 1


def test_half_of_the_pictures_are_mirrored_and_every_shift_comes():
    X = np.tile(np.arange(30, dtype=np.uint8), (600, 30, 1))[..., None]
    mirrored = Augmentation(flip=True).apply(X, np.random.default_rng(0))
    assert 250 < (mirrored[:, 0, 0, 0] == 29).sum() < 350
    shifted = Augmentation(shift=2).apply(X, np.random.default_rng(0))
    _, counts = np.unique(shifted[:, 0, 10, 0], return_counts=True)
    assert len(counts) == 5
    assert counts.min() > 80


def test_cutout_covers_one_square_in_each():
    values = np.ones((50, 9, 12, 2), np.float32)
    Augmentation(cutout=4).cut(values, np.random.default_rng(0))
    for value in values:
        rows, columns = np.nonzero(value[..., 0] == 0)
        assert len(rows) == 16
        assert rows.max() - rows.min() == columns.max() - columns.min() == 3
    assert (values[..., 0] == values[..., 1]).all()
    assert len({value.tobytes() for value in values}) > 10
    whole = np.ones((5, 8, 20, 1), np.float32)
    Augmentation(cutout=8).cut(whole, np.random.default_rng(0))
    assert (whole == 0).sum(axis=(1, 2, 3)).tolist() == [16] * 5


@needs_torch
def test_the_smallest_pictures_are_learned_from():
    X, y = pictures(120, size=8)
    model = SmallResNet(width=4, epochs=6, flip=False, shift=1, random_state=0).fit(X, y)
    assert model.score(*pictures(60, size=8, seed=1)) > 0.9


@needs_torch
def test_an_epoch_leaves_out_what_fills_no_batch_and_prediction_nothing():
    class Labelled:
        X, y = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1), np.arange(10)

    scale = {"mean": np.zeros(1, np.float32), "deviation": np.ones(1, np.float32), "batch_size": 4}
    in_order = list(PictureBatches(Labelled, **scale))
    assert [len(numbers) for _, numbers in in_order] == [4, 4, 2]
    assert np.concatenate([numbers for _, numbers in in_order]).tolist() == list(range(10))
    drawn = list(PictureBatches(Labelled, **scale, random=np.random.default_rng(0)))
    assert [len(numbers) for _, numbers in drawn] == [4, 4]
    assert all((values[:, 0, 0, 0] * 255).round().int().tolist() == numbers.tolist() for values, numbers in drawn)


def test_pictures_become_one_array():
    gray, colour = np.full((4, 5), 51, np.uint8), np.full((4, 5, 3), 102, np.uint8)
    mixed = picture_array([gray, colour], stage="LeNet5")
    assert mixed.shape == (2, 4, 5, 3)
    assert mixed.dtype == np.uint8
    assert (mixed[0] == 51).all()
    values = picture_array([gray, colour / 255, np.ones((4, 5), bool)], stage="LeNet5")
    np.testing.assert_allclose(values[:, 0, 0, 0], [0.2, 0.4, 1], rtol=1e-6)
    assert picture_array(np.full((2, 4, 5), 65535, np.uint16), stage="LeNet5").max() == 1
    with pytest.raises(UnsupportedImageError, match="floats in"):
        picture_array(np.full((2, 4, 5), np.nan), stage="LeNet5")


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 5, 100])
def test_the_learning_rate_rises_and_falls_once(n_steps):
    rates = np.array([one_cycle(step, n_steps) for step in range(n_steps + 1)])
    top = rates.argmax()
    assert rates[top] == 1
    assert rates[-1] == 0
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert (rates[:-1] > 0).all()
    assert n_steps < 100 or 20 < top < 30


@needs_torch
def test_a_class_that_counts_more_is_predicted_more_often():
    random = np.random.default_rng(0)
    labels = np.repeat(["often", "seldom"], [180, 20])
    images = np.clip(random.normal(0.4, 0.25, (200, 12, 12)) + 0.03 * (labels == "seldom")[:, None, None], 0, 1)
    plain, weighted = (
        (LeNet5(epochs=10, random_state=0, class_weight=weight).fit(images, labels).predict(images) == "seldom").sum()
        for weight in (None, {"seldom": 100.0})
    )
    assert plain < 20
    assert weighted > 100
