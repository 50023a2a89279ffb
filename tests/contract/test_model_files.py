"""Public estimators declare limits for all settings with which a model file could use too much memory or time."""

from numbers import Integral

import pytest

from featrec.base import Interval
from featrec.encoders import Encoder
from featrec.model_files import SizeLimit
from featrec.testing import random_bags
from tests.contract.estimators import make, public_estimators

# Settings that loaded models do not use.
USED_BY_FIT = {"alphas", "cutout", "cv", "epochs", "landmarks", "loo_samples", "max_descriptors", "max_iter", "max_patches"}
USED_BY_FIT |= {
    "max_rows",
    "n_blocks",
    "n_components",
    "n_dimensions",
    "n_init",
    "n_words",
    "patience",
    "shift",
    "vocabulary",
    "width",
}
# Settings that are limited by their constraint, by the image, by other arrays of the file, or by a check of the class.
LIMITED_OTHERWISE = {
    "BRISK": {"thresh"},
    "BlurFaces": {"detector"},
    "CNNMaps": {"scales"},
    "DenseSIFT": {"step"},
    "FineTuned": {"batch_size"},
    "HOG": {"pixels_per_cell"},
    "LBP": {"n_points", "radius", "grids"},
    "LeNet5": {"batch_size"},
    "NystroemRidgeClassifier": {"n_views"},
    "ORB": {"edge_threshold", "fast_threshold"},
    "PatchCodes": {"size"},
    "Patches": {"size", "stride"},
    "PixelsNetwork": {"batch_size"},
    "Rescale": {"max_value", "bits", "percentiles"},
    "Resize": {"bounds", "multiple"},
    "SmallResNet": {"batch_size"},
    "SpatialPyramid": {"levels"},
    "Unflatten": {"shape"},
}
ESTIMATORS = sorted(public_estimators().items())


def takes_integers(constraints):
    return isinstance(constraints, list) and any(
        constraint in (tuple, list, "array-like") or (isinstance(constraint, Interval) and constraint.type is Integral)
        for constraint in constraints
    )


@pytest.mark.parametrize(("name", "cls"), ESTIMATORS, ids=[name for name, _ in ESTIMATORS])
def test_integer_settings_have_a_limit(name, cls):
    limits = getattr(cls, "_file_limits", {})
    assert all(isinstance(limit, SizeLimit) for limit in limits.values())
    settings = {parameter for parameter, constraints in cls._parameter_constraints.items() if takes_integers(constraints)}
    assert settings - limits.keys() - USED_BY_FIT - LIMITED_OTHERWISE.get(name, set()) == set()


@pytest.mark.parametrize("options", [{}, {"average": True}, {"weight_gradients": True}], ids=str)
@pytest.mark.parametrize("cls", [cls for _, cls in ESTIMATORS if issubclass(cls, Encoder)])
def test_encoders_declare_the_most_numbers_that_they_pool(cls, options):
    encoder = make(cls, None)
    encoder.set_params(**{name: value for name, value in options.items() if name in encoder.get_params()})
    bags = random_bags()
    encoder.fit(bags)
    n_words = encoder.vocabulary
    assert encoder._width() <= encoder._most_pooled(n_words, bags[0].descriptors.shape[1])
    assert encoder._pooled_width() <= encoder._most_pooled(n_words, bags[0].descriptors.shape[1])
