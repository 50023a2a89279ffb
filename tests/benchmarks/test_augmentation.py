import numpy as np
import pytest

from benchmarks import augmentation


def test_both_steps_run(capsys):
    found = augmentation.judge("hog_svm", 3, copies=1, seeds=(0, 1), n_test=40)
    augmentation.tell("hog_svm", 3, found)
    assert found["comparison"].n == 80
    assert found["interval"][0] <= np.mean(found["gains"]) <= found["interval"][1]
    assert "McNemar p" in capsys.readouterr().out


@pytest.mark.slow
def test_copies_help_with_few_images():
    """With five seeds that were not used to choose the settings, each seed gains, and the total gain is significant."""
    found = augmentation.judge("hog_svm", 10, copies=9)
    assert min(found["gains"]) > 0
    assert found["interval"][0] > 0
    assert found["comparison"].pair("plain", "augmented").p < 0.01
