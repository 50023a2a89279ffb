"""Base of steps from Bags to Bags: input checks and lazy evaluation."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from featrec.bag import Bag
from featrec.base import NoOutputContainer, Tags, Transformer, check_bags, check_is_fitted
from featrec.exceptions import InputError, MetricError
from featrec.lazy import Bags

__all__ = ["BagStep"]


class BagStep(NoOutputContainer, Transformer):
    """Base of steps from Bags to Bags, between extractor and encoder. A subclass implements ``_change(bag) -> Bag``.

    A subclass that changes the dimensions also implements ``get_feature_names_out``. An empty bag must stay empty and have the
    same width as the others.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the type of input; no bag is computed.

        Parameters
        ----------
        X : Bags, or list of Bag
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        check_bags(X, stage=f"{type(self).__name__}.fit")
        return self

    def transform(self, X: Any) -> Bags:
        """Add this step to the bags; it runs when a bag is accessed.

        Parameters
        ----------
        X : Bags, or list of Bag

        Returns
        -------
        Bags
        """
        check_is_fitted(self)
        self._check_parameters()
        return check_bags(X, stage=type(self).__name__).then(copy.copy(self)._change)

    def apply(self, bag: Bag) -> Bag:
        """Change one bag."""
        return self.transform([bag])[0]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the descriptor dimensions: `input_features`, which a Pipeline passes from step to step."""
        if input_features is None:
            raise InputError(
                f"{type(self).__name__} keeps the names of its input dimensions: "
                "pass input_features, the result of the extractor's get_feature_names_out()"
            )
        return np.array(input_features, dtype=object)

    def _change(self, bag: Bag) -> Bag:
        raise NotImplementedError

    def _refuse_bits(self, bag: Bag) -> None:
        if bag.metric != "euclidean":
            raise MetricError(
                f"{type(self).__name__} expects numbers (euclidean); got packed bits ({bag.metric}), which have "
                f"neither sums nor "
                f"means. Omit {type(self).__name__}, or use SIFT or DenseSIFT."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
