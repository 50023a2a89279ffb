"""Drift: whether new images still look to a model like those that it was made for."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from featrec.evaluation._drift_channels import LEAST_RECENT, Channel, Codes, Light, Numbers
from featrec.evaluation._drift_report import DriftLook, DriftReport, bins_of
from featrec.evaluation._training_summary import TrainingSummary
from featrec.evaluation._two_samples import projected
from featrec.exceptions import InputError
from featrec.parallel import one_inner_thread

__all__ = ["Drift"]

MOST_LOOKS = 1000
# A smaller level would need more than 500,000 permutations in a test.
LEAST_LEVEL = 4e-6


class Drift:
    """Find out when new images stop looking to a model like a reference: those it was trained for, or the first images.

    A model goes on predicting when the light changes, a lens becomes dirty or a camera is turned. This class compares three
    channels of the latest images with those of a reference: codes, by a maximum mean discrepancy (MMD), confidences and mean
    brightness, by a population stability index (PSI); each with a permutation test. Labels are not needed. Brightness also
    finds changes of light that the model does not see.

    **Repeated looks.** Each look has the level ``alpha * every / horizon``, divided by the number of channels in use. In
    `horizon` images without any change, the expected number of false alarms is at most `alpha`.

    **Two looks in a row.** A drift begins when a look finds a difference in a channel and the next look at this channel
    confirms it, at ten times the level.
    The level holds on average over references. A single reference is a sample, too: if it is unusual by chance, it is unusual
    at each look. The second look leaves room for that, and for a stream of images that come back. It costs `every` images.

    **Images that follow each other** in a film are not independent. The distance at which their correlation falls below 0.1 is
    estimated from the first images (of confidences and brightness, by ranks), and one image per 1.5 such distances is used. If
    all first images show one scene, another scene is a change, too.

    Parameters
    ----------
    reference : TrainingSummary or int
        A summary of images like those of the training set; or the number of first images to compare with. A fixed camera needs
        the first images, because its single scene always differs from a training set of many scenes.
    window : int, default=100
        Number of latest images that are compared with the reference. More images find smaller changes, later.
    every : int, default=25
        Number of images between looks.
    alpha : float, default=0.01
        Maximum expected number of false alarms in `horizon` images.
    horizon : int, default=2000
        With the defaults, one false alarm in 200,000 images, which a camera takes in two hours.
    thin : int or "auto", default="auto"
        Use one of so many images. "auto": as estimated from the first images. 1: all, if images are independent.
    brightness : bool, default=True
        Whether to compare the brightness. With False, nothing is found if only the light changes and the model does not see it.
    random_state : int, default=0
        Seed of the permutations.

    References
    ----------
    A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf and A. Smola, "A kernel two-sample test", JMLR 2012.
    A. Rahimi and B. Recht, "Random features for large-scale kernel machines", NIPS 2007.
    J. Besag and P. Clifford, "Sequential Monte Carlo p-values", Biometrika 1991.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.evaluation import Drift
    >>> random = np.random.default_rng(0)
    >>> drift = Drift(200)
    >>> drift.update(random.normal(size=(600, 8)), random.uniform(size=600), random.uniform(size=600))
    >>> drift.drifted
    False
    >>> drift.update(random.normal(size=(100, 8)), random.uniform(size=100), 0.1 * random.uniform(size=100))
    >>> drift.differing, drift.report().alarms
    (('brightness',), (675,))
    """

    def __init__(
        self,
        reference: TrainingSummary | int,
        *,
        window: int = 100,
        every: int = 25,
        alpha: float = 0.01,
        horizon: int = 2000,
        thin: int | str = "auto",
        brightness: bool = True,
        random_state: int = 0,
    ):
        self.reference, self.window, self.every = (
            reference,
            _integer("window", window, LEAST_RECENT),
            _integer("every", every, 1),
        )
        self.horizon = _integer("horizon", horizon, self.every)
        if not isinstance(alpha, (int, float)) or not 0 < alpha <= 1:
            raise InputError(f"alpha must be greater than 0 and at most 1, such as 0.05; got {alpha!r}")
        self.alpha, self.thin = float(alpha), thin if thin == "auto" else _integer("thin", thin, 1)
        self.brightness = bool(brightness)
        if self.alpha * self.every / self.horizon / (2 + self.brightness) < LEAST_LEVEL:
            raise InputError(
                f"alpha={alpha} in horizon={horizon} images with a look every {every} images leaves a level below "
                f"{LEAST_LEVEL:g} for a test, which would need too many permutations; look less often or use a greater alpha"
            )
        self.random_state = random_state
        self._random = np.random.default_rng(random_state)
        self._width: int | None = None
        self._codes, self._confidences, self._light = self._made()
        self._channels: dict[str, Channel] = {
            "codes": self._codes,
            "confidences": self._confidences,
            "brightness": self._light,
        }
        self._n_images, self._drifted = 0, False
        self._alarms: list[tuple[int, tuple[str, ...]]] = []
        self._looks: deque[DriftLook] = deque(maxlen=MOST_LOOKS)

    @property
    def drifted(self) -> bool:
        """Whether the latest images differ from the reference, found by a look and confirmed by the next."""
        return self._drifted

    @property
    def differing(self) -> tuple[str, ...]:
        """The channels that differ: "codes", "confidences" and "brightness"; empty without a drift."""
        return tuple(name for name, channel in self._channels.items() if channel.differs)

    @property
    def n_images(self) -> int:
        """Number of images so far."""
        return self._n_images

    def update(self, codes: Any = None, confidences: Any = None, brightness: Any = None) -> None:
        """Add images in their order, and look at the latest ones every `every` images.

        Parameters
        ----------
        codes : array of shape (n, width), optional
            Inputs of the classifier. Always of the same width.
        confidences : array of shape (n,), optional
            How sure the model is of each image; always of the same kind.
        brightness : array of shape (n,), optional
            Mean of all values of each image, from 0 (black) to 1 (white). NaN: unknown; the image is left out.
        """
        given = self._checked(codes, confidences, brightness)
        n = next((len(rows) for rows in given if rows is not None), 0)
        start = 0
        while start < n:
            end = min(n, start + self.every - self._n_images % self.every)
            for channel, rows in zip(self._channels.values(), given, strict=True):
                channel.add(None if rows is None else rows[start:end])
            self._n_images, start = self._n_images + end - start, end
            if self._n_images % self.every == 0:
                with one_inner_thread():  # the products are small
                    self._look()

    def gauges(self) -> dict[str, float]:
        """Return the current measures by name, for the metrics of a server; NaN before the first look.

        Returns
        -------
        gauges : dict of str to float
            "drift" (0 or 1), "images", "alarms", "level", "codes_mmd", "codes_p", "confidence_psi", "confidence_p",
            "brightness_psi" and "brightness_p".
        """
        last = self._looks[-1] if self._looks else DriftLook(0, False)
        known = {"codes_mmd": last.mmd, "codes_p": last.mmd_p, "confidence_psi": last.psi, "confidence_p": last.psi_p}
        known |= {"brightness_psi": last.brightness_psi, "brightness_p": last.brightness_p}
        counts = {"drift": self._drifted, "images": self._n_images, "alarms": len(self._alarms), "level": self._level()}
        return {name: math.nan if value is None else float(value) for name, value in (counts | known).items()}

    def report(self) -> DriftReport:
        """Return everything found so far.

        Returns
        -------
        report : DriftReport
        """
        compared = [channel for channel in self._channels.values() if channel.used and channel.reference is not None]
        return DriftReport(
            reference=self._described(),
            n_images=self._n_images,
            drift=self._drifted,
            alarms=tuple(image for image, _ in self._alarms),
            causes=tuple(names for _, names in self._alarms),
            differing=self.differing,
            looks=tuple(self._looks),
            level=self._level(),
            alpha=self.alpha,
            horizon=self.horizon,
            thin_codes=self._codes.thin,
            thin_confidences=self._confidences.thin,
            thin_brightness=self._light.thin,
            n_reference=min((len(channel.reference) for channel in compared), default=0),  # type: ignore[arg-type]
            n_recent=min((len(channel.recent) for channel in compared), default=0),
            brightness=self._light.means(),
            **bins_of(self._confidences),
        )

    def _made(self) -> tuple[Codes, Numbers, Light]:
        """Return the channels."""
        thin, n_first = None if self.thin == "auto" else int(self.thin), 0
        codes = confidences = brightness = None
        if isinstance(self.reference, TrainingSummary):
            codes, confidences, brightness = self.reference.codes, self.reference.confidences, self.reference.brightness
            self._width = self.reference.width or None
        else:
            n_first = _integer("reference", self.reference, LEAST_RECENT)
        return (
            Codes(codes, n_first, self.window, thin),
            Numbers(confidences, n_first, self.window, thin),
            Light(brightness, n_first, self.window, thin),
        )

    def _described(self) -> str:
        if isinstance(self.reference, TrainingSummary):
            return f"the summary of {self.reference.n_images:,} images of the training set"
        return f"the first {self.reference:,} images"

    def _level(self) -> float:
        """Return the level of one test: a share of `alpha`, for each look in `horizon` images and for each of its tests."""
        n_tests = sum(channel.used for channel in self._channels.values())
        return self.alpha * self.every / self.horizon / max(1, n_tests)

    def _look(self) -> None:
        level = self._level()
        (mmd, mmd_p), (psi, psi_p), light = [channel.look(level, self._random) for channel in self._channels.values()]
        if mmd_p is psi_p is light[1] is None:
            return
        drift = bool(self.differing)
        if drift and not self._drifted:
            self._alarms.append((self._n_images, self.differing))
        self._drifted = drift
        self._looks.append(DriftLook(self._n_images, drift, mmd, mmd_p, psi, psi_p, *light, self.differing))

    def _checked(self, codes: Any, confidences: Any, brightness: Any) -> tuple[np.ndarray | None, ...]:
        rows = None if codes is None else np.asarray(codes)
        if rows is not None:
            if rows.ndim != 2 or not np.isfinite(rows).all():
                raise InputError(f"codes must be finite numbers of shape (n, width); got shape {rows.shape}")
            if self._width not in (None, rows.shape[1]):
                raise InputError(f"the reference has codes of {self._width} columns; got {rows.shape[1]}. Use the same model")
            self._width = rows.shape[1]
            rows = projected(rows)
        shares = None if confidences is None else np.asarray(confidences, np.float32)  # as in a summary
        if shares is not None and (shares.ndim != 1 or not np.isfinite(shares).all()):
            raise InputError(f"confidences must be finite numbers of shape (n,); got shape {shares.shape}")
        light = None if brightness is None or not self.brightness else np.asarray(brightness, np.float32)
        if light is not None and (light.ndim != 1 or (light < 0).any() or (light > 1).any()):
            raise InputError(f"brightness must be numbers from 0 to 1 of shape (n,); got shape {light.shape}")
        given = {"codes": rows, "confidences": shares, "brightness": light}
        counts = {name: len(each) for name, each in given.items() if each is not None}
        if len(set(counts.values())) > 1:
            numbers = " and ".join(f"{count} {name}" for name, count in counts.items())
            raise InputError(f"{numbers}; give one of each per image")
        return rows, shares, light


def _integer(name: str, value: Any, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        kind = " or a TrainingSummary" if name == "reference" else ""
        raise InputError(f"{name} must be an integer of at least {least}{kind}; got {value!r:.80}")
    return int(value)
