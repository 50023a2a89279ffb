"""Folders of images that the tests of several commands use."""

import numpy as np
from PIL import Image


def write_dark_and_light(root, n=8, size=(24, 32)):
    """Write n images into each of the class folders dark and light, which every recipe distinguishes."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (root / name).mkdir(parents=True)
        for number in range(n):
            pixels = (level + rng.integers(-20, 20, (*size, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def write_gray(root, n, size=(9, 9)):
    """Write n uniform gray images alternately into the class folders a and b."""
    for number in range(n):
        (root / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 10 * number).save(root / "ab"[number % 2] / f"{number}.png")
    return root
