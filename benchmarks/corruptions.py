"""Compare the corruptions with the published code of ImageNet-C, given the same random numbers.

    pip install imagenet-c==0.0.3 Wand
    python benchmarks/corruptions.py

The published code is made for images of 224 × 224 pixels. It calls functions that NumPy, SciPy, scikit-image and Pillow have
removed or renamed since; here they are supplied from outside, and its random numbers come from the same generator as ours.
Motion blur and snow need ImageMagick and Wand, and are left out without them. Frost is left out, because the package lacks its
photographs and our texture is another one.

It prints the largest difference of any value (0 to 255), and the share of values that differ.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import numpy as np
from PIL import Image

from featrec.evaluation import corrupt, corruption_names
from featrec.evaluation._corrupt import seed_from

SIDE = 224
N_COMMON = 15
NEED_WAND = ("motion_blur", "snow")


class Instead:
    """A module with some names replaced."""

    def __init__(self, module: Any, **names: Any):
        self._module = module
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class GlobalRandom:
    """The functions of ``np.random``, with numbers from a generator."""

    def __init__(self, random: np.random.Generator):
        self.normal, self.poisson, self.uniform, self.randint = random.normal, random.poisson, random.uniform, random.integers


def published_module() -> Any:
    """Import the published code."""
    names: tuple[str, ...] = ("pkg_resources", "scipy.ndimage.interpolation", "wand", "wand.image", "wand.api", "wand.color")
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            sys.modules[name] = types.ModuleType(name)
    sys.modules["pkg_resources"].__dict__.setdefault("resource_filename", None)
    sys.modules["scipy.ndimage.interpolation"].map_coordinates = importlib.import_module("scipy.ndimage").map_coordinates
    sys.modules["wand.image"].__dict__.setdefault("Image", object)
    sys.modules["wand.api"].__dict__.setdefault("library", types.SimpleNamespace(MagickMotionBlurImage=types.SimpleNamespace()))
    return importlib.import_module("imagenet_c.corruptions")


def published(module: Any, image: np.ndarray, kind: str, severity: int, random: np.random.Generator) -> np.ndarray:
    """Run one published corruption with random numbers from the generator."""
    import skimage
    from skimage.filters import gaussian

    def smoothed(image: np.ndarray, sigma: float, multichannel: bool = False, **options: Any) -> np.ndarray:
        return gaussian(image, sigma, channel_axis=-1 if multichannel else None, **options)

    def sprinkled(image: np.ndarray, **options: Any) -> np.ndarray:
        return skimage.util.random_noise(image, rng=random, **options)

    module.np = Instead(np, random=GlobalRandom(random), float_=np.float64, fromstring=np.frombuffer)
    module.gaussian = smoothed
    module.sk = Instead(skimage, util=types.SimpleNamespace(random_noise=sprinkled))
    module.PILImage = Instead(Image, fromarray=lambda pixels, mode=None: Image.fromarray(pixels), BOX=Image.Resampling.BOX)
    return np.uint8(getattr(module, kind)(Image.fromarray(image), severity))


def differences(image: np.ndarray, seed: int = 0) -> dict[str, list[tuple[int, float]]]:
    """Return the largest difference and the share of differing values, for each corruption and severity."""
    module = published_module()
    has_wand = hasattr(sys.modules["wand.image"].Image, "make_blob")
    found: dict[str, list[tuple[int, float]]] = {}
    for kind in corruption_names()[:N_COMMON]:
        if kind == "frost" or (kind in NEED_WAND and not has_wand):
            continue
        found[kind] = []
        for severity in range(1, 6):
            ours = corrupt([image], kind, severity, random_state=seed)[0].astype(int)
            random = np.random.default_rng((seed_from(seed), 0))
            off = np.abs(ours - published(module, image, kind, severity, random))
            found[kind].append((int(off.max()), float((off > 0).mean())))
    return found


def photograph() -> np.ndarray:
    """A photograph of 224 × 224 pixels that is part of scikit-image."""
    from skimage.data import astronaut

    return np.asarray(Image.fromarray(astronaut()).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def main() -> None:
    for kind, severities in differences(photograph()).items():
        print(f"{kind:<18}", "  ".join(f"{most} ({100 * share:.3f} %)" for most, share in severities))


if __name__ == "__main__":
    main()
