"""LeNet5 and SmallResNet: training, errors, and side effects on torch."""

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
from featrec.exceptions import ImageError, InputError, MissingExtraError
from featrec.images import check_images
from featrec.networks import LeNet5, SmallResNet
from featrec.networks._learner import one_cycle
from featrec.networks._network_input import image_array
from featrec.networks._training import Augmentation, ImageBatches, arrays_of, initialized, torch_threads
from featrec.persistence import load, save
from featrec.preprocessing import Grayscale, Resize
from tests.tiny_network import noise

try:
    import skorch  # noqa: F401
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="torch and skorch are not installed: the extra torch")


def lenet(**options):
    return LeNet5(**{"epochs": 8, "batch_size": 12, "random_state": 0, "shift": 1} | options)


def resnet(**options):
    return SmallResNet(**{"width": 4, "epochs": 5, "batch_size": 12, "random_state": 0, "flip": False, "shift": 1} | options)


MODELS = [pytest.param(lenet, id="LeNet5"), pytest.param(resnet, id="SmallResNet")]


@needs_torch
@pytest.mark.parametrize("make", MODELS)
def test_it_learns_an_easy_task(make):
    (X, y), (unseen, expected) = noise(), noise(30, seed=1)
    model = make().fit(X, y)
    assert (model.predict(unseen) == expected).mean() > 0.9
    assert model.classes_.tolist() == ["left", "top"]
    probabilities = model.predict_proba(unseen)
    assert probabilities.shape == (30, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@needs_torch
@pytest.mark.parametrize("make", MODELS)
def test_the_history_has_one_entry_per_epoch(make):
    X, y = noise(channels=3)
    history = make(validation_fraction=0.25).fit(X, y).history_
    assert [epoch["epoch"] for epoch in history] == list(range(1, len(history) + 1))
    assert history[-1]["loss"] < history[0]["loss"]
    assert all(0 <= epoch["valid_accuracy"] <= 1 for epoch in history)
    assert all(set(epoch) == {"epoch", "loss"} for epoch in make().fit(X, y).history_)


@needs_torch
@pytest.mark.parametrize("make", MODELS)
def test_the_seed_determines_the_model(make):
    X, y = noise(24)
    model = make(epochs=2).fit(X, y)
    expected = model.predict_proba(X)
    assert (clone(model).fit(X, y).predict_proba(X) == expected).all()
    assert (clone(model).set_params(random_state=1).fit(X, y).predict_proba(X) != expected).any()


@needs_torch
def test_fit_and_predict_do_not_change_the_state_of_torch():
    X, y = noise(24)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    resnet(epochs=1, n_jobs=threads + 1).fit(X, y).predict(X)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    with pytest.raises(InputError, match="has not converged"):
        lenet(learning_rate=1e30).fit(X, y)
    assert torch.get_num_threads() == threads


@needs_torch
def test_numbers_of_parameters_layers_and_operations():
    gray, y = np.zeros((4, 28, 28), np.uint8), ["a", "b", "c", "d"]
    assert lenet(epochs=1).fit(gray, y).n_parameters_ == 61_706 - 6 * 85
    model = SmallResNet()
    model.shape_, model.classes_ = (32, 32, 3), np.arange(10)
    module = model._make_module()
    assert sum(parameter.numel() for parameter in module.parameters()) == 1_646_112
    assert sum(isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)) for layer in module.modules()) == 9
    counter = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode(display=False)
    with counter:
        module.train()(torch.zeros(2, 3, 32, 32)).sum().backward()
    per_image = counter.get_total_flops() / 2
    assert round(per_image * 50_000 / 1e13, 1) == 2.8
    assert round(per_image * 50_000 * model.usual_epochs / 1e14, 1) == 4.3


@pytest.mark.parametrize(
    ("n", "plan"), [(50_000, (256, 15)), (5_000, (256, 53)), (1_000, (125, 125)), (100, (16, 167)), (5, (5, 1000))]
)
def test_small_training_sets_get_smaller_batches_and_more_epochs(n, plan):
    assert SmallResNet()._plan(n) == plan
    assert SmallResNet(epochs=2)._plan(n) == (plan[0], 2)


@needs_torch
def test_floats_and_bytes_give_the_same_predictions():
    X, y = noise(24)
    bytes_, floats = lenet(epochs=2).fit(X, y), lenet(epochs=2).fit(X / 255, y)
    np.testing.assert_allclose(bytes_.predict_proba(X), floats.predict_proba(X / 255), atol=1e-4)
    np.testing.assert_allclose(bytes_.predict_proba(X), bytes_.predict_proba([image / 255 for image in X]), atol=1e-5)


@needs_torch
def test_bfloat16_gives_nearly_the_same_probabilities():
    X, y = noise(24, channels=3)
    model = resnet(precision="float32").fit(X, y)
    expected = model.predict_proba(X)
    assert abs(model.set_params(precision="bfloat16").predict_proba(X) - expected).max() < 0.1


@needs_torch
def test_files_through_a_pipeline_are_read_once(tmp_path):
    X, y = noise(24, size=20)
    paths = [tmp_path / f"{i}.png" for i in range(24)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    model = make_pipeline(Resize((16, 16)), resnet()).fit(paths, y)
    assert (model.predict(paths) == model.predict(X)).all()

    calls = []

    def counted(image):
        calls.append(1)
        return image

    lenet(epochs=3).fit(check_images(X).then(counted), y)
    assert len(calls) == 24


@needs_torch
@pytest.mark.parametrize(("name", "size"), [("pixels_lenet5", 28), ("pixels_resnet", 32)])
def test_recipes_accept_images_of_any_size(name, size, tmp_path):
    X, y = noise(40, size=size + 8, channels=3)
    mixed = [*X[:20], *X[20:, : size + 4, : size + 4]]
    model = recipes.make(name, epochs=4, **({"width": 2} if name == "pixels_resnet" else {})).fit(mixed, y)
    assert model[-1].shape_ == (size, size, 1 if name == "pixels_lenet5" else 3)
    save(model, tmp_path / "model.featrec")
    assert (load(tmp_path / "model.featrec").predict_proba(mixed) == model.predict_proba(mixed)).all()


@needs_torch
def test_recipes_can_be_calibrated():
    X, y = noise(40)
    model = recipes.pixels_resnet(size=16, width=2, epochs=2, probability="calibrated").fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


@needs_torch
def test_cross_validation_splits_lazy_images():
    X, y = noise(36)
    assert cross_val_score(lenet(), Resize((16, 16)).transform(X), y, cv=2).mean() > 0.9


@needs_torch
def test_gray_images_fit_a_colour_network_but_not_the_reverse():
    X, y = noise(24)
    colour = np.repeat(X[..., None], 3, axis=3)
    model = resnet(epochs=1).fit(colour, y)
    assert (model.predict_proba(X) == model.predict_proba(colour)).all()
    gray = lenet(epochs=1).fit(X, y)
    with pytest.raises(InputError, match=r"fitted on images of shape \(16, 16, 1\).*Grayscale\(\)"):
        gray.predict(colour)
    assert len(make_pipeline(Grayscale(), gray).predict(colour)) == 24
    with pytest.raises(InputError, match=r"Put Grayscale\(\) and Resize\(\(16, 16\)\) before it"):
        gray.predict(np.zeros((2, 20, 20, 3), np.uint8))
    with pytest.raises(InputError, match=r"got \(20, 20, 1\)\. Put Resize\(\(16, 16\)\)"):
        gray.predict(np.zeros((2, 20, 20), np.uint8))
    assert gray.predict([]).shape == (0,)


@needs_torch
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            [np.zeros((16, 16)), np.zeros((16, 20))],
            r"of equal size; these have 2 sizes, such as \(16, 16\) and \(16, 20\).*Resize",
        ),
        (["nowhere.png", "b.png"], "nowhere.png"),
        (np.zeros((2, 8, 8), np.uint8), r"at least 12 × 12 pixels; these have 8 × 8. Put Resize"),
        (np.zeros((2, 784), np.uint8), r"use \[image\].*Unflatten"),
        (np.zeros((16, 16, 3), np.uint8), r"use \[image\]"),
        (np.zeros((2, 16, 16), np.int64), "int64 are not supported"),
        (np.full((2, 16, 16), 7.0), r"must contain values in \[0, 1\]; found 7.0 to 7.0"),
        (np.full((2, 16, 16), np.nan), "found NaN"),
        ("a.png", r"got one image \(str\)\. Use a list: \[image\]"),
        ([], "got none"),
    ],
)
def test_unsuitable_images_are_errors_with_a_solution(X, message):
    with pytest.raises((InputError, ImageError), match=message):
        lenet().fit(X, ["cat", "dog"] if len(X) else [])


@needs_torch
def test_networks_in_threads_draw_their_own_weights_and_restore_torch():
    model = SmallResNet()
    model.shape_, model.classes_ = (16, 16, 1), np.arange(2)

    def made(seed):
        with torch_threads(1):
            return arrays_of(initialized(model._make_module, seed))

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
    X, _ = noise(4)
    with pytest.raises(InputError, match="all labels are 'cat'"):
        lenet().fit(X, ["cat"] * 4)
    with pytest.raises(ValueError, match="Unknown label type"):
        lenet().fit(X, [0.1, 0.2, 0.3, 0.4])


@needs_torch
def test_a_wrong_number_of_labels_is_an_error_before_any_image_is_read():
    missing = Resize((16, 16)).transform(["nowhere.png"] * 3)
    with pytest.raises(InputError, match="3 images and 2 labels"):
        lenet().fit(missing, ["cat", "dog"])


@needs_torch
def test_an_unknown_device_is_an_error():
    with pytest.raises(InputError, match=r"torch cannot use device='nowhere' here.*'cpu' always works"):
        lenet(device="nowhere").fit(*noise(4))


@needs_torch
def test_an_interrupt_stops_fit_without_a_model(monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    model = lenet()
    monkeypatch.setattr(Augmentation, "apply", stop)
    with pytest.raises(KeyboardInterrupt, match="the training was interrupted"):
        model.fit(*noise(24))
    assert not hasattr(model, "state_")


@needs_torch
def test_progress_is_shown_on_standard_error_with_verbose_only(capsys):
    lenet(epochs=2).fit(*noise(24))
    assert capsys.readouterr() == ("", "")
    lenet(epochs=2, verbose=1).fit(*noise(24))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("epoch") == 2


def test_importing_and_creating_networks_does_not_load_torch():
    code = (
        "import sys; from featrec.networks import FineTuned, LeNet5, PixelsNetwork, SmallResNet;"
        "LeNet5(), SmallResNet(), repr(PixelsNetwork('timm:resnet18')), repr(FineTuned('timm:resnet18'));"
        "print(*[name for name in ('torch', 'skorch', 'timm', 'onnxruntime') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


@pytest.mark.parametrize("make", MODELS)
def test_the_error_without_torch_names_the_extra(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "skorch", None)
    with pytest.raises(MissingExtraError, match=r'needs torch and skorch; pip install "featrec\[torch\]"'):
        make().fit(*noise(4))


def test_shifted_and_mirrored_images_equal_those_of_a_plain_loop():
    X = np.arange(6 * 5 * 7, dtype=np.uint8).reshape(6, 5, 7, 1)
    changed = Augmentation(flip=True, shift=2).apply(X, np.random.default_rng(3))
    for image, found in zip(X[..., 0], changed[..., 0], strict=True):
        padded = np.pad(image, 2, mode="reflect")
        possible = [padded[dy : dy + 5, dx : dx + 7][:, ::step] for dy in range(5) for dx in range(5) for step in (1, -1)]
        assert any((found == one).all() for one in possible)
    assert len({found.tobytes() for found in changed - X}) > 1


def test_half_of_the_images_are_mirrored_and_all_shifts_occur():
    X = np.tile(np.arange(30, dtype=np.uint8), (600, 30, 1))[..., None]
    mirrored = Augmentation(flip=True).apply(X, np.random.default_rng(0))
    assert 250 < (mirrored[:, 0, 0, 0] == 29).sum() < 350
    shifted = Augmentation(shift=2).apply(X, np.random.default_rng(0))
    _, counts = np.unique(shifted[:, 0, 10, 0], return_counts=True)
    assert len(counts) == 5
    assert counts.min() > 80


def test_cutout_covers_one_square_per_image():
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
def test_images_of_the_smallest_size_can_be_learned():
    X, y = noise(120, size=8)
    model = SmallResNet(width=4, epochs=6, flip=False, shift=1, random_state=0).fit(X, y)
    assert model.score(*noise(60, size=8, seed=1)) > 0.9


@needs_torch
def test_training_drops_an_incomplete_batch_and_prediction_drops_nothing():
    class Labelled:
        X, y = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1), np.arange(10)

    scale = {"mean": np.zeros(1, np.float32), "deviation": np.ones(1, np.float32), "batch_size": 4}
    in_order = list(ImageBatches(Labelled, **scale))
    assert [len(numbers) for _, numbers in in_order] == [4, 4, 2]
    assert np.concatenate([numbers for _, numbers in in_order]).tolist() == list(range(10))
    drawn = list(ImageBatches(Labelled, **scale, random=np.random.default_rng(0)))
    assert [len(numbers) for _, numbers in drawn] == [4, 4]
    assert all((values[:, 0, 0, 0] * 255).round().int().tolist() == numbers.tolist() for values, numbers in drawn)


def test_images_are_joined_into_one_array():
    gray, colour = np.full((4, 5), 51, np.uint8), np.full((4, 5, 3), 102, np.uint8)
    mixed = image_array([gray, colour], stage="LeNet5")
    assert mixed.shape == (2, 4, 5, 3)
    assert mixed.dtype == np.uint8
    assert (mixed[0] == 51).all()
    values = image_array([gray, colour / 255, np.ones((4, 5), bool)], stage="LeNet5")
    np.testing.assert_allclose(values[:, 0, 0, 0], [0.2, 0.4, 1], rtol=1e-6)
    assert image_array(np.full((2, 4, 5), 65535, np.uint16), stage="LeNet5").max() == 1


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 5, 100])
def test_the_learning_rate_rises_once_and_falls_once(n_steps):
    rates = np.array([one_cycle(step, n_steps) for step in range(n_steps + 1)])
    top = rates.argmax()
    assert rates[top] == 1
    assert rates[-1] == 0
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert (rates[:-1] > 0).all()
    assert n_steps < 100 or 20 < top < 30


@needs_torch
def test_a_class_with_more_weight_is_predicted_more_often():
    random = np.random.default_rng(0)
    labels = np.repeat(["often", "seldom"], [180, 20])
    images = np.clip(random.normal(0.4, 0.25, (200, 12, 12)) + 0.03 * (labels == "seldom")[:, None, None], 0, 1)
    plain, weighted = (
        (LeNet5(epochs=10, random_state=0, class_weight=weight).fit(images, labels).predict(images) == "seldom").sum()
        for weight in (None, {"seldom": 100.0})
    )
    assert plain < 20
    assert weighted > 100
