"""The corruptions against the published code, where it is installed."""

from importlib.util import find_spec

import pytest

from benchmarks import corruptions


@pytest.mark.slow
def test_corruptions_agree_with_the_published_code():
    if find_spec("imagenet_c") is None:
        pytest.skip("imagenet-c is not installed")
    found = corruptions.differences(corruptions.photograph())
    assert len(found) >= 12
    for kind, severities in found.items():
        assert max(most for most, _ in severities) <= 1, kind
        assert max(share for _, share in severities) < 0.01, kind
