"""DriftReport: what Drift has found so far."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from featrec.evaluation._result import Table, TableResult, frame, number, p_value, percent
from featrec.evaluation._two_samples import stability_terms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

    from featrec.evaluation._drift_channels import Numbers

__all__ = ["DriftLook", "DriftReport"]

FEW_REFERENCE = 50
# Name, statistic, and the attributes of a DriftLook that contain the p value and the statistic.
CHANNELS = (
    ("codes", "MMD", "mmd_p", "mmd"),
    ("confidences", "PSI", "psi_p", "psi"),
    ("brightness", "PSI", "brightness_p", "brightness_psi"),
)


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
    brightness_psi, brightness_p : float or None
        Population stability index of the mean brightness, and its p value. None without brightness.
    differing : tuple of str
        The channels in which the drift was found: "codes", "confidences" and "brightness".
    """

    image: int
    drift: bool
    mmd: float | None = None
    mmd_p: float | None = None
    psi: float | None = None
    psi_p: float | None = None
    brightness_psi: float | None = None
    brightness_p: float | None = None
    differing: tuple[str, ...] = ()


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
    causes : tuple of tuple of str
        For each alarm, the channels that differed: "codes", "confidences" and "brightness".
    differing : tuple of str
        The channels that differ now.
    looks : tuple of DriftLook
        The latest 1,000 looks.
    level : float
        A drift begins when a p value is at most this number, and at most ten times this number at the next look.
    alpha, horizon : float, int
        The expected number of false alarms in `horizon` images is at most `alpha`.
    thin_codes, thin_confidences, thin_brightness : int or None
        Every how many images one is used, because images that follow each other resemble each other.
    n_reference, n_recent : int
        Number of images that are compared: of the reference, and of the latest; the smallest numbers of all channels.
    brightness : tuple of two floats, or of None
        Mean brightness of the latest images and of the reference, from 0 (black) to 1 (white).
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
    causes: tuple[tuple[str, ...], ...]
    differing: tuple[str, ...]
    looks: tuple[DriftLook, ...]
    level: float
    alpha: float
    horizon: int
    thin_codes: int | None
    thin_confidences: int | None
    thin_brightness: int | None
    n_reference: int
    n_recent: int
    brightness: tuple[float | None, float | None]
    edges: np.ndarray
    reference_shares: np.ndarray
    recent_shares: np.ndarray
    stability_terms: np.ndarray

    @property
    def change(self) -> str:
        """What differs, in words; empty without a drift."""
        if not self.differing:
            return ""
        means = "" if self.brightness[0] is None else f"{self.brightness[0]:.3f} instead of {self.brightness[1]:.3f}"
        if self.differing == ("brightness",):
            return f"the light changed: the mean brightness is {means}"
        names = " and ".join(self.differing).replace("brightness", f"brightness ({means})")
        return f"the latest images differ from {self.reference} in {names}"

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per look. Needs pandas."""
        names = [field.name for field in fields(DriftLook) if field.name != "image"]
        columns = {name: [getattr(look, name) for look in self.looks] for name in names}
        columns["differing"] = [", ".join(look.differing) for look in self.looks]
        return frame(columns, index=[look.image for look in self.looks])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the p values of all looks, the level, and the beginning of each drift. Needs matplotlib."""
        from featrec.plotting import INK, PALETTE, axes_for

        ax = axes_for(ax, 6.5, 3.4)
        for color, (name, label, field, _) in zip((4, 5, 2), CHANNELS, strict=True):
            points = [(look.image, getattr(look, field)) for look in self.looks if getattr(look, field) is not None]
            if points:
                ax.plot(*zip(*points, strict=True), color=PALETTE[color], linewidth=1.5, label=f"{name} ({label})")
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
        state = f"The latest images do not differ significantly from {self.reference}"
        if self.drift:
            state = f"{self.change[0].upper()}{self.change[1:]}, since image {self.alarms[-1]:,}"
        counts = Counter(" and ".join(names) for names in self.causes)
        causes = f" ({', '.join(f'{count} in {names}' for names, count in counts.items())})" if counts else ""
        return f"{state}. Alarms in {self.n_images:,} images: {len(self.alarms)}{causes}."

    def _measures(self) -> str:
        if not self.looks:
            return ""
        found = []
        for name, label, *places in CHANNELS:
            value, p = (getattr(self.looks[-1], place) for place in reversed(places))
            if value is not None:
                found.append(f"{name}: {label.replace('MMD', 'MMD²')} {number(value)}, {p_value(p)}")
        level = f"A drift begins when a look has p ≤ {self.level:.2g} and the next one confirms it"
        rate = f"which allows {self.alpha:g} false alarms in {self.horizon:,} images"
        return f"Latest look: {'; '.join(found)}. {level}, {rate}."

    def _remarks(self) -> list[str]:
        remarks = []
        thin = max(self.thin_codes or 1, self.thin_confidences or 1, self.thin_brightness or 1)
        if thin > 1:
            remarks.append(f"Images that follow each other resemble each other, so one of {thin} is used.")
        if self.looks and self.n_reference < FEW_REFERENCE:
            few = f"The reference has only {self.n_reference} images that are independent"
            remarks.append(f"{few}, so small changes cannot be found; use a reference of more images.")
        return remarks


def bins_of(channel: Numbers) -> dict[str, np.ndarray]:
    """Return the fields of the report about bins of confidences."""
    if channel.reference is None or not channel.recent:
        return dict.fromkeys(("edges", "reference_shares", "recent_shares", "stability_terms"), np.zeros(0))
    recent, reference, _ = channel.features()
    edges = channel.edges()
    shares, latest = reference.mean(axis=0, dtype=float), recent.mean(axis=0, dtype=float)
    terms = stability_terms(latest, shares, len(recent), len(reference))
    return {"edges": edges, "reference_shares": shares, "recent_shares": latest, "stability_terms": terms}
