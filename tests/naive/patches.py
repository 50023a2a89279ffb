"""Naive implementation of Patches: all squares of an image, minus their means and divided by their contrasts."""

import numpy as np


def cut_patches(images, size, channels, stride, unit, contrast, descriptors):
    n = 0
    for image in images.reshape(*images.shape[:2], -1, channels):
        for y in range(0, image.shape[0] - size + 1, stride):
            for x in range(0, image.shape[1] - size + 1, stride):
                patch = image[y : y + size, x : x + size].astype(np.float64).ravel() * unit
                if contrast >= 0:
                    deviations = patch - patch.mean()
                    variance = (deviations**2).sum() / max(patch.size - 1, 1)
                    patch = deviations / np.sqrt(variance + contrast) if variance > 0 else 0 * deviations
                descriptors[n] = patch
                n += 1
