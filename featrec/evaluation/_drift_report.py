"""DriftReport: what Drift has found so far."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from featrec.evaluation._result import Table, TableResult, frame, number, p_value, percent
from featrec.evaluation._two_samples import stability_terms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["DriftLook", "DriftReport"]

FEW_REFERENCE = 50


@dataclass(frozen=True)
class DriftLook:
    """One comparison of the latest images with the reference.

    Attributes
    ----------
    image : int
        Number of images seen until then.
    drift : bool
        Whether the latest images differ from the reference, found by a look and confirmed by the next.
    mmd, mmd_p : float or None
        Squared maximum mean discrepancy of the codes, and its p value. None without codes.
    psi, psi_p : float or None
        Population stability index of the confidences, and its p value. None without confidences.
    """

    image: int
    drift: bool
    mmd: float | None
    mmd_p: float | None
    psi: float | None
    psi_p: float | None


@dataclass(frozen=True, eq=False, repr=False)
class DriftReport(TableResult):
    """Result of :meth:`Drift.report`.

    Attributes
    ----------
    reference : str
        What the images are compared with.
    n_images : int
    drift : bool
        Whether the latest images differ from the reference.
    alarms : tuple of int
        Number of images seen at the beginning of each drift.
    looks : tuple of DriftLook
        The latest 1,000 looks.
    level : float
        A drift begins when a p value is at most this number, and at most ten times this number at the next look.
    alpha, horizon : float, int
        The expected number of false alarms in `horizon` images is at most `alpha`.
    thin_codes, thin_confidences : int or None
        Every how many images one is used, because images that follow each other resemble each other.
    n_reference, n_recent : int
        Number of images that are compared: of the reference, and of the latest.
    edges : array of shape (n_bins - 1,)
        Limits between bins of confidences; empty without confidences.
    reference_shares, recent_shares : arrays of shape (n_bins,)
        Share of images in each bin.
    stability_terms : array of shape (n_bins,)
        What each bin adds to the population stability index.
    """

    reference: str
    n_images: int
    drift: bool
    alarms: tuple[int, ...]
    looks: tuple[DriftLook, ...]
    level: float
    alpha: float
    horizon: int
    thin_codes: int | None
    thin_confidences: int | None
    n_reference: int
    n_recent: int
    edges: np.ndarray
    reference_shares: np.ndarray
    recent_shares: np.ndarray
    stability_terms: np.ndarray

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per look. Needs pandas."""
        names = [field.name for field in fields(DriftLook) if field.name != "image"]
        columns = {name: [getattr(look, name) for look in self.looks] for name in names}
        return frame(columns, index=[look.image for look in self.looks])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the p values of all looks, the level, and the beginning of each drift. Needs matplotlib."""
        from featrec.plotting import INK, PALETTE, axes_for

        ax = axes_for(ax, 6.5, 3.4)
        for name, label, color in (("mmd_p", "codes (MMD)", 4), ("psi_p", "confidences (PSI)", 5)):
            points = [(look.image, getattr(look, name)) for look in self.looks if getattr(look, name) is not None]
            if points:
                ax.plot(*zip(*points, strict=True), color=PALETTE[color], linewidth=1.5, label=label)
        ax.axhline(self.level, color=INK, linewidth=0.8, linestyle="--", label="level")
        for image in self.alarms:
            ax.axvline(image, color=INK, linewidth=0.8, linestyle=":")
        ax.set_yscale("log")
        ax.set_xlabel("images", color=INK)
        ax.set_ylabel("p value", color=INK)
        ax.legend(frameon=False, fontsize=8, labelcolor=INK)
        ax.spines[["top", "right"]].set_visible(False)
        return ax

    def __str__(self) -> str:
        return super().__str__() if self._table().rows else "\n".join(self._sentences())

    def _heading(self) -> str:
        return "Drift"

    def _table(self) -> Table:
        limits = ["", *(f"{edge:.3g}" for edge in self.edges), ""]
        names = [f"{low} to {high}".strip() for low, high in itertools.pairwise(limits)]
        columns = zip(names, self.reference_shares, self.recent_shares, self.stability_terms, strict=False)
        rows = [[name, percent(before), percent(now), f"{term:.3f}"] for name, before, now, term in columns if self.looks]
        return Table(["confidence", "reference, %", "latest, %", "adds to PSI"], rows)

    def _sentences(self) -> list[str]:
        return list(filter(None, [self._verdict(), self._measures(), *self._remarks()]))

    def _verdict(self) -> str:
        if not self.looks:
            return f"{self.n_images:,} images so far; too few to compare them with {self.reference}."
        since = f", since image {self.alarms[-1]:,}" if self.drift else ""
        state = "differ" if self.drift else "do not differ significantly"
        return (
            f"The latest images {state} from {self.reference}{since}. Alarms in {self.n_images:,} images: {len(self.alarms)}."
        )

    def _measures(self) -> str:
        if not self.looks:
            return ""
        last = self.looks[-1]
        codes = None if last.mmd is None else f"codes: MMD² {number(last.mmd)}, {p_value(last.mmd_p)}"  # type: ignore[arg-type]
        confidences = None if last.psi is None else f"confidences: PSI {number(last.psi)}, {p_value(last.psi_p)}"  # type: ignore[arg-type]
        level = f"A drift begins when a look has p ≤ {self.level:.2g} and the next one confirms it"
        rate = f"which allows {self.alpha:g} false alarms in {self.horizon:,} images"
        return f"Latest look: {'; '.join(filter(None, [codes, confidences]))}. {level}, {rate}."

    def _remarks(self) -> list[str]:
        remarks = []
        thin = max(self.thin_codes or 1, self.thin_confidences or 1)
        if thin > 1:
            remarks.append(f"Images that follow each other resemble each other, so one of {thin} is used.")
        if self.looks and self.n_reference < FEW_REFERENCE:
            few = f"The reference has only {self.n_reference} images that are independent"
            remarks.append(f"{few}, so small changes cannot be found; use a reference of more images.")
        return remarks


def bins_of(edges: np.ndarray, reference: np.ndarray, recent: np.ndarray) -> dict[str, np.ndarray]:
    """Return the fields of the report about bins, from features of the rows (see :func:`bin_features`)."""
    shares, latest = reference.mean(axis=0, dtype=float), recent.mean(axis=0, dtype=float)
    terms = stability_terms(latest, shares, len(recent), len(reference))
    return {"edges": edges, "reference_shares": shares, "recent_shares": latest, "stability_terms": terms}
