"""Naive implementation of threshold codes of the patches and mirrored patches of an image, in loops over integers."""

import numpy as np


def patch_codes(
    images, size, unit, contrast, basis, offsets, scale, places, filled, cells, words, starts, limits, n_even, mirror,
    factors, members, region_starts, shares, codes,
):  # fmt: skip
    n_words, width = len(factors), basis.shape[1]
    numbers = words.transpose(0, 2, 1).copy().view(np.int8).reshape(-1, width).astype(int)
    for image, code in zip(images, codes, strict=True):
        sums = np.zeros((cells.max() + 1, 2, n_words), int)
        for place, patch in zip(places, cut(image, size, len(basis) // size, unit, contrast), strict=True):
            point = [rounded(float(patch @ basis[:, f]), float(offsets[f]), float(scale)) for f in range(width)]
            for j in range(n_words):
                even = sum(x * w for x, w in zip(point[: 4 * n_even], numbers[j, : 4 * n_even], strict=True))
                odd = sum(x * w for x, w in zip(point[4 * n_even :], numbers[j, 4 * n_even :], strict=True))
                for side, product in enumerate((even + odd, even - odd)[: 2 if mirror else 1]):
                    limit = int(limits.ravel()[j])
                    sums[cells[place // 6, side], 0, j] += max(0, product - limit)
                    sums[cells[place // 6, side], 1, j] += max(0, -product - limit)
        for r in range(len(shares)):
            here = members[region_starts[r] : region_starts[r + 1]]
            region = sum(sums[cell] for cell in here) * factors * shares[r]
            code[2 * r * n_words : 2 * (r + 1) * n_words] = region.ravel()


def patch_codes_by_blas(
    images, size, unit, contrast, basis, offsets, scale, places, filled, cells, words, starts, limits, n_even, mirror,
    factors, members, region_starts, shares, codes,
):  # fmt: skip
    patch_codes(
        images, size, unit, contrast, basis, offsets, scale, places, filled, cells, words, starts, limits, n_even, mirror,
        factors, members, region_starts, shares, codes,
    )  # fmt: skip


def patch_points(image, size, unit, contrast, basis, offsets, scale, places, filled, points):
    points[:] = 128
    for place, patch in zip(places, cut(image, size, len(basis) // size, unit, contrast), strict=True):
        for f in range(basis.shape[1]):
            points[place, f] = 128 + rounded(float(patch @ basis[:, f]), float(offsets[f]), float(scale))


def cut(image, size, length, unit, contrast):
    step = length // size
    for y in range(image.shape[0] - size + 1):
        for x in range(0, image.shape[1] - length + 1, step):
            patch = unit * image[y : y + size, x : x + length].astype(float).ravel()
            deviations = patch - patch.mean()
            yield deviations / np.sqrt(deviations @ deviations / max(1, len(patch) - 1) + contrast)


def rounded(product, offset, scale):
    return int(np.floor(min(max((product - offset) * scale, -127.0), 127.0) + 0.5))
