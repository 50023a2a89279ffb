"""The advice for images without descriptors depends on the extractor."""

import numpy as np
import pytest

from featrec.bag import Bag
from featrec.base import WHY_EMPTY, why_empty
from featrec.descriptors import AKAZE, BRISK, ORB, SIFT, DenseSIFT, Patches, RootSIFT
from featrec.encoders import BagOfWords
from featrec.exceptions import EmptyBagWarning, InputError
from featrec.lazy import Bags
from tests.images.own_extractors import Rows

SMALL = [np.zeros((9, 9), np.uint8), np.zeros((2, 2), np.uint8)]


def advice(extractor):
    return why_empty(extractor.fit(SMALL).transform(SMALL))


@pytest.mark.parametrize("on_error", ["raise", "empty"])
@pytest.mark.parametrize("extractor", [SIFT(), ORB(), AKAZE(), BRISK()], ids=str)
def test_keypoint_detectors_advise_dense_sift(extractor, on_error):
    text = advice(extractor.set_params(on_error=on_error))
    assert f"too small for {type(extractor).__name__} (use Resize first)" in text
    assert "DenseSIFT needs none" in text


@pytest.mark.parametrize("on_error", ["raise", "empty"])
@pytest.mark.parametrize("extractor", [DenseSIFT(), Patches(), Rows()], ids=str)
def test_dense_extractors_do_not_advise_dense_sift(extractor, on_error):
    if hasattr(extractor, "on_error"):
        extractor.on_error = on_error
    text = advice(extractor)
    assert type(extractor).__name__ in text
    assert "Resize first" in text
    assert "needs none" not in text


def test_the_warning_of_a_pipeline_with_dense_sift(rng):
    extractor = DenseSIFT()
    images = [rng.integers(0, 256, (40, 40), dtype=np.uint8) for _ in range(3)]
    encoder = BagOfWords(2, random_state=0).fit(RootSIFT().transform(extractor.transform(images)))
    with pytest.warns(
        EmptyBagWarning, match=r"2 of 3 images .*too small for bin_sizes of DenseSIFT: use Resize first"
    ) as caught:
        encoder.transform(RootSIFT().transform(extractor.transform([*SMALL, images[0]])))
    assert "needs none" not in str(caught[0].message)


def test_the_error_where_nothing_can_be_learned():
    with pytest.raises(InputError, match=r"all bags are empty.*too small for bin_sizes of DenseSIFT"):
        BagOfWords(2).fit(DenseSIFT().transform(SMALL))
    with pytest.raises(InputError, match=r"all bags are empty.*or have no keypoints; DenseSIFT needs none"):
        BagOfWords(2).fit(SIFT().transform(SMALL))


def test_bags_of_an_unknown_extractor_get_general_advice():
    assert why_empty(Bags([Bag(np.empty((0, 4)))])) == WHY_EMPTY
    assert "DenseSIFT" not in WHY_EMPTY
