"""Write an extractor in one file: mean, standard deviation and skew of each colour channel.

    python docs/how_to/color_moments.py

An extractor of one row of numbers per image is a ``GlobalExtractor`` and implements ``_describe(image) -> vector``. An
extractor of local features is a ``LocalExtractor`` and implements ``_describe(image) -> Bag`` and ``_dimension()``. The base
class provides input checks, threads, feature names, tables, and errors that name the image. ``check_extractor`` reports what
is wrong and why it matters.

Stricker and Orengo, "Similarity of color images", 1995.
"""

from __future__ import annotations

import numpy as np

from featrec.images import GlobalExtractor, as_float, as_rgb


class ColorMoments(GlobalExtractor):
    """Mean, standard deviation and the cube root of the third moment of R, G and B."""

    _parameter_constraints = {**GlobalExtractor._parameter_constraints, "skew": ["boolean"]}

    def __init__(self, *, skew: bool = True, n_jobs: int | None = None, verbose: int = 0):
        self.skew = skew
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _describe(self, image: np.ndarray) -> np.ndarray:
        pixels = as_float(as_rgb(image)).reshape(-1, 3).astype(np.float64)
        centred = pixels - pixels.mean(axis=0)
        moments = [pixels.mean(axis=0), pixels.std(axis=0)]
        if self.skew:
            moments.append(np.cbrt((centred**3).mean(axis=0)))
        return np.concatenate(moments)


if __name__ == "__main__":
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline

    from featrec.datasets import load_dataset
    from featrec.evaluation import evaluate
    from featrec.testing import check_extractor

    check_extractor(ColorMoments())
    train, test = load_dataset("shapes")
    model = make_pipeline(ColorMoments(), RandomForestClassifier(random_state=0)).fit(train, train.labels)
    print(evaluate(model, test, test.labels))
