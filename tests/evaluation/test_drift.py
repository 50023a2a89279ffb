"""Drift finds a change of the latest images, and raises few false alarms, also if images resemble those before them."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from featrec.evaluation import Drift, TrainingSummary
from featrec.evaluation._two_samples import projected
from featrec.exceptions import InputError

WIDTH = 48


def images(rng, n, shift=0.0):
    """Return codes and confidences of n independent images."""
    return rng.normal(shift, 1, (n, WIDTH)).astype(np.float32), rng.beta(5, 2, n)


def summary_of(rng, n=150):
    codes, confidences = images(rng, n)
    return TrainingSummary(projected(codes), confidences.astype(np.float32), WIDTH, n)


@pytest.fixture(params=["training", "first"])
def reference(request, rng):
    return summary_of(rng) if request.param == "training" else 200


def test_a_change_is_found_within_200_images(reference, rng):
    drift = Drift(reference)
    drift.update(*images(rng, 600))
    assert not drift.drifted
    drift.update(*images(rng, 200, shift=0.5))
    assert drift.drifted
    (alarm,) = drift.report().alarms
    assert 600 < alarm <= 800


def test_confidences_alone_suffice(rng):
    drift = Drift(200)
    drift.update(confidences=rng.beta(5, 2, 500))
    assert not drift.drifted
    drift.update(confidences=rng.beta(2, 5, 100))
    assert drift.drifted
    assert drift.report().looks[-1].mmd is None


@pytest.mark.parametrize("from_training", [True, False])
def test_a_change_of_light_is_found_although_codes_and_confidences_stay(from_training, rng):
    summary = replace(summary_of(rng), brightness=rng.beta(3, 3, 150).astype(np.float32))
    drift, blind = (Drift(summary if from_training else 200, brightness=brightness) for brightness in (True, False))
    for factor in (1.0, 0.6):
        codes, confidences = images(rng, 400)
        light = factor * rng.beta(3, 3, 400)
        drift.update(codes, confidences, light)
        blind.update(codes, confidences, light)
    report = drift.report()
    (alarm,) = report.alarms
    assert 400 < alarm <= 600
    assert report.causes == (("brightness",),)
    assert drift.differing == report.differing == report.looks[-1].differing == ("brightness",)
    assert blind.report().alarms == blind.differing == ()


def test_brightness_of_independent_images_raises_few_alarms():
    """In 30 runs. A fifth of the images is black."""
    n_alarms = n_black = 0
    for seed in range(30):
        light = np.clip(np.random.default_rng((6, seed)).normal(0.2, 0.25, 1200), 0, 1)
        n_black += np.count_nonzero(light == 0)
        drift = Drift(200)
        drift.update(brightness=light)
        assert drift.report().looks
        n_alarms += len(drift.report().alarms)
    assert n_black > 0.2 * 30 * 1200
    assert n_alarms == 0


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_a_change_of_light_in_a_film_with_few_independent_images(factor, rng):
    """Scenes of 12 images. Bins that contain five images of the reference could not tell its darkest image from darker ones."""
    drift = Drift(200)
    light = np.repeat(rng.uniform(0.4, 0.6, 120), 12)
    light[720:] *= factor
    drift.update(brightness=light)
    assert drift.report().n_reference < 20
    assert all(720 < image < 1440 for image in drift.report().alarms)
    assert drift.drifted


@pytest.mark.parametrize("change", [0.002, -0.002])
def test_frames_of_equal_brightness_that_become_brighter_or_darker(change):
    """Such as black frames. A limit between bins on one side of the number would not tell it from larger numbers."""
    drift = Drift(100)
    drift.update(brightness=np.full(400, 0.25))
    assert not drift.drifted
    drift.update(brightness=np.full(100, 0.25 + change))
    assert drift.drifted


def test_brightness_that_is_unknown_is_left_out(rng):
    light = rng.uniform(size=450)
    some, all_known = Drift(200), Drift(200)
    all_known.update(brightness=light)
    some.update(brightness=np.insert(light, [3, 100, 300], np.nan))
    assert some.n_images == 453
    assert [look.brightness_psi for look in some.report().looks] != []
    assert some.report().brightness[1] == pytest.approx(all_known.report().brightness[1])


def test_each_channel_confirms_its_own_difference(rng):
    """In scenes of 30 images, brightness has no new image at some looks. Looks at codes do not interrupt its drift."""
    drift = Drift(1200, window=600)
    codes, light = rng.normal(size=(3000, 2)), np.repeat(rng.uniform(size=100), 30)
    light[1800:] *= 0.1
    drift.update(codes, brightness=light)
    report = drift.report()
    assert report.thin_brightness > drift.every
    assert {look.brightness_p is None for look in report.looks if look.image > 2400} == {False, True}
    assert all(look.differing == ("brightness",) for look in report.looks if look.image > 2700)


def test_the_memory_does_not_grow(rng):
    def size():
        parts = [each for channel in drift._channels.values() for each in (channel.first, channel.recent, channel.reference)]
        return sum(map(len, parts))

    drift = Drift(200, every=100)
    drift.update(*images(rng, 400), rng.uniform(size=400))
    before = size()
    for _ in range(5):
        drift.update(*images(rng, 400), rng.uniform(size=400))
    assert size() == before == 3 * (200 + 100)


def test_false_alarms_are_rare(reference):
    n_alarms = 0
    for seed in range(3):
        drift = Drift(reference, random_state=seed)
        drift.update(*images(np.random.default_rng((7, seed)), 500))
        n_alarms += len(drift.report().alarms)
    assert n_alarms <= 1


def test_one_look_is_no_drift(rng):
    """Looks every 100 images at the latest 20 share no image."""
    drift = Drift(200, window=20, every=100)
    drift.update(*images(rng, 280))
    drift.update(*images(rng, 20, shift=1))
    assert drift.report().looks[-1].mmd_p < drift.report().level
    assert not drift.drifted
    drift.update(*images(rng, 180))
    for _ in range(2):
        assert not drift.drifted
        drift.update(*images(rng, 100, shift=1))
    assert drift.report().alarms == (600,)


def test_the_next_look_confirms_at_ten_times_the_level():
    found = []
    for seed in range(60):
        rng = np.random.default_rng((5, seed))
        drift = Drift(200, window=20, every=100, thin=1)
        drift.update(*images(rng, 300, shift=0))
        drift.update(*images(rng, 200, shift=0.25))
        *_, first, second = drift.report().looks
        p, level = min(second.mmd_p, second.psi_p), drift.report().level
        if min(first.mmd_p, first.psi_p) <= level:
            assert second.drift == (p <= 10 * level)
            found.append((p > level, second.drift))
    assert {(True, True), (True, False)} <= set(found), found


def film(rng, n_scenes, length=8):
    """Return codes of scenes; the images of a scene are nearly equal."""
    scenes = np.repeat(rng.normal(size=(n_scenes, WIDTH)), length, axis=0)
    return (scenes + 0.1 * rng.normal(size=scenes.shape)).astype(np.float32)


@pytest.mark.parametrize("from_training", [True, False])
def test_images_of_one_scene_count_as_one(from_training):
    for seed in range(2):
        rng = np.random.default_rng((3, seed))
        drift = Drift(summary_of(rng, 100) if from_training else 240)
        drift.update(film(rng, 100))
        assert 8 <= drift.report().thin_codes <= 15
        assert not drift.report().alarms


def test_a_few_sure_images_do_not_hide_a_film():
    """Margins of an SVM have a heavy tail."""
    for seed in range(3):
        rng = np.random.default_rng((4, seed))
        margins = np.repeat(rng.normal(size=100), 8) + 0.1 * rng.normal(size=800)
        margins[::40] += 100
        drift = Drift(200)
        drift.update(confidences=margins)
        assert 8 <= drift.report().thin_confidences <= 30
        assert not drift.report().alarms


def test_with_all_images_of_a_film_scenes_look_like_a_drift(rng):
    """So the test above can fail."""
    drift = Drift(240, thin=1)
    drift.update(film(rng, 60))
    assert drift.report().alarms


def test_a_change_in_a_film_is_found(rng):
    drift = Drift(240)
    drift.update(film(rng, 80))
    assert not drift.drifted
    drift.update(film(rng, 40) + 1.0)
    assert drift.drifted
    assert "one of" in str(drift.report())


def test_a_drift_ends(rng):
    drift = Drift(200)
    for shift in (0, 1, 0):
        drift.update(*images(rng, 400, shift))
    assert not drift.drifted
    assert len(drift.report().alarms) == 1


def test_batches_change_nothing(rng):
    codes, confidences = images(rng, 450)
    together, alone = Drift(200), Drift(200)
    together.update(codes, confidences)
    for row in range(450):
        alone.update(codes[row : row + 1], confidences[row : row + 1])
    assert together.report().looks == alone.report().looks
    assert len(together.report().looks) == 7  # at 300, 325, ..., 450


def test_the_level_is_divided_by_looks_and_tests(rng):
    drift = Drift(200, alpha=0.02, every=50, horizon=1000)
    drift.update(*images(rng, 300))
    assert drift.report().level == pytest.approx(0.02 / 20 / 2)
    one = Drift(200, alpha=0.02, every=50, horizon=1000)
    one.update(confidences=rng.uniform(size=300))
    assert one.report().level == pytest.approx(0.02 / 20)
    drift.update(brightness=rng.uniform(size=50))
    assert drift.report().level == pytest.approx(0.02 / 20 / 3)


def test_gauges_are_those_of_the_report(rng):
    drift = Drift(summary_of(rng))
    before = drift.gauges()
    assert (before["drift"], before["images"], before["alarms"]) == (0, 0, 0)
    assert math.isnan(before["codes_mmd"])
    assert math.isnan(before["confidence_p"])
    assert math.isnan(before["brightness_p"])
    drift.update(*images(rng, 200, shift=1), rng.uniform(size=200))
    assert math.isnan(drift.gauges()["brightness_psi"])  # this summary has no brightness
    drift = Drift(replace(summary_of(rng), brightness=rng.uniform(size=150).astype(np.float32)))
    drift.update(*images(rng, 200, shift=1), rng.uniform(size=200))
    now, last = drift.gauges(), drift.report().looks[-1]
    assert now.keys() == before.keys()
    assert all(type(value) is float for value in now.values())
    assert (now["drift"], now["images"], now["alarms"]) == (1, 200, 1)
    assert (now["codes_mmd"], now["codes_p"]) == (last.mmd, last.mmd_p)
    assert (now["confidence_psi"], now["confidence_p"]) == (last.psi, last.psi_p)
    assert (now["brightness_psi"], now["brightness_p"]) == (last.brightness_psi, last.brightness_p)


def test_confidences_are_binned_as_in_a_summary():
    """A summary keeps float32; an edge between 1/3 in float32 and in float64 would move all votes of 1/3."""
    rng = np.random.default_rng(0)
    votes = rng.integers(1, 4, 900) / 3
    drift = Drift(TrainingSummary(None, votes[:300].astype(np.float32), 0, 300))
    drift.update(confidences=votes[300:])
    assert not drift.report().alarms


def test_report(rng):
    drift = Drift(200)
    drift.update(*images(rng, 100))
    assert str(drift.report()) == "100 images so far; too few to compare them with the first 200 images."
    drift.update(*images(rng, 300))
    drift.update(*images(rng, 100, shift=1))
    report = drift.report()
    text = str(report)
    assert (
        "The latest images differ from the first 200 images in codes, since image 450. "
        "Alarms in 500 images: 1 (1 in codes)." in text
    )
    assert "which allows 0.01 false alarms in 2,000 images." in text
    assert report.reference_shares.sum() == pytest.approx(1)
    assert report.stability_terms.sum() == pytest.approx(report.looks[-1].psi)
    assert len(report.to_csv().splitlines()) == 1 + len(report.recent_shares)
    table = report.to_frame()
    assert list(table.index) == [look.image for look in report.looks]
    assert table["drift"].tolist() == [look.drift for look in report.looks]
    facts = json.loads(report.to_json())
    assert facts["alarms"] == list(report.alarms)
    assert facts["looks"][-1]["drift"] is True
    with pytest.raises(AttributeError, match="drift"):
        report.drift = False


def test_the_report_names_what_differs(rng):
    drift = Drift(200)
    drift.update(*images(rng, 400), rng.uniform(size=400))
    assert drift.report().change == ""
    drift.update(*images(rng, 100), 0.3 * rng.uniform(size=100))
    report = drift.report()
    latest, before = report.brightness
    assert (latest, before) == (pytest.approx(0.15, abs=0.02), pytest.approx(0.5, abs=0.05))
    assert (
        f"The light changed: the mean brightness is {latest:.3f} instead of {before:.3f}, since image {report.alarms[0]}."
        in str(report)
    )
    assert "Alarms in 500 images: 1 (1 in brightness)." in str(report)
    assert "; brightness: PSI " in str(report)
    assert json.loads(report.to_json())["causes"] == [["brightness"]]
    assert json.loads(report.to_json())["looks"][-1]["differing"] == ["brightness"]
    assert report.to_frame()["differing"].tolist()[-2:] == ["", "brightness"]
    drift.update(*images(rng, 100, shift=1), 0.3 * rng.uniform(size=100))
    assert drift.report().change.startswith("the latest images differ from the first 200 images in codes and brightness (0.")
    assert drift.report().alarms == report.alarms


def test_a_small_reference_is_told(rng):
    drift = Drift(summary_of(rng, n=30))
    drift.update(*images(rng, 200))
    assert "The reference has only 30 images that are independent" in str(drift.report())


def test_plot(rng):
    pytest.importorskip("matplotlib")
    drift = Drift(200)
    drift.update(*images(rng, 400), rng.uniform(size=400))
    drift.update(*images(rng, 100, shift=1), rng.uniform(size=100))
    ax = drift.report().plot()
    names = ["codes (MMD)", "confidences (PSI)", "brightness (PSI)", "level"]
    assert [line.get_label() for line in ax.lines][:4] == names
    assert len(ax.lines[0].get_xdata()) == len(drift.report().looks)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"reference": 5}, "reference must be an integer of at least 20 or a TrainingSummary; got 5"),
        ({"reference": "training"}, "reference must be an integer of at least 20 or a TrainingSummary; got 'training'"),
        ({"window": 10}, "window must be an integer of at least 20; got 10"),
        ({"every": 0}, "every must be an integer of at least 1; got 0"),
        ({"thin": 0}, "thin must be an integer of at least 1; got 0"),
        ({"alpha": 0}, "alpha must be greater than 0 and at most 1, such as 0.05; got 0"),
        ({"horizon": 10}, "horizon must be an integer of at least 25; got 10"),
        ({"horizon": 10**6}, "look less often or use a greater alpha"),
    ],
)
def test_parameters_are_checked(options, match):
    with pytest.raises(InputError, match=match):
        Drift(**{"reference": 100, **options})


def test_images_are_checked(rng):
    drift = Drift(summary_of(rng))
    codes, confidences = images(rng, 4)
    with pytest.raises(InputError, match=r"the reference has codes of 48 columns; got 20\. Use the same model"):
        drift.update(codes[:, :20])
    with pytest.raises(InputError, match=r"codes must be finite numbers of shape \(n, width\); got shape \(48,\)"):
        drift.update(codes[0])
    with pytest.raises(InputError, match="codes must be finite"):
        drift.update(codes * np.nan)
    with pytest.raises(InputError, match=r"confidences must be finite numbers of shape \(n,\); got shape \(2, 2\)"):
        drift.update(confidences=confidences.reshape(2, 2))
    with pytest.raises(InputError, match="4 codes and 3 confidences; give one of each per image"):
        drift.update(codes, confidences[:3])
    with pytest.raises(InputError, match="4 codes and 1 brightness; give one of each per image"):
        drift.update(codes, brightness=[0.5])
    with pytest.raises(InputError, match=r"brightness must be numbers from 0 to 1 of shape \(n,\); got shape \(2,\)"):
        drift.update(brightness=[0.5, 127.0])
    assert drift.n_images == 0
