"""Plain twins of the corruptions, for one channel where channels do not matter. Nothing is imported from featrec."""

import math

import numpy as np


def disk_kernel(radius, n_parts):
    """The share of each of 17 × 17 pixels that a disk covers, counted in n_parts × n_parts points per pixel."""
    kernel = np.zeros((17, 17))
    for row in range(17):
        for column in range(17):
            for i in range(n_parts):
                for j in range(n_parts):
                    y, x = ((n_parts * a + b - (17 * n_parts - 1) / 2) / n_parts for a, b in ((row, i), (column, j)))
                    kernel[row, column] += y * y + x * x <= radius**2
    return kernel / kernel.sum()


def shuffled(image, shift, rounds, random):
    """Each pixel in turn, from the last to the first, takes the value of a neighbour."""
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(rounds):
        for y in range(height - shift, shift, -1):
            for x in range(width - shift, shift, -1):
                dx, dy = random.integers(-shift, shift, size=2)
                image[y, x] = image[y + dy, x + dx]
    return image


def line_average(image, radius, deviation, angle):
    """The weighted mean of the pixels along a line; the weights are half a normal curve."""
    height, width = image.shape
    n = 2 * math.ceil(radius) + 1
    weights = [math.exp(-0.5 * (i / deviation) ** 2) for i in range(n)]
    found = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for i, weight in enumerate(weights):
                down = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
                right = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
                found[y, x] += weight * image[min(max(y + down, 0), height - 1), min(max(x + right, 0), width - 1)]
    return found / sum(weights)


def plasma(side, decay, random):
    """Diamond-square on a grid whose borders join: the mean of four neighbours and noise that decays."""
    grid = np.zeros((side, side))
    step, wobble = side, 100.0
    while step >= 2:
        half = step // 2
        for row, column, neighbours in (
            (half, half, ((-half, -half), (-half, half), (half, -half), (half, half))),
            (0, half, ((0, -half), (0, half), (-half, 0), (half, 0))),
            (half, 0, ((0, -half), (0, half), (-half, 0), (half, 0))),
        ):
            n = side // step
            noise = random.uniform(-wobble, wobble, (n, n))
            for i in range(n):
                for j in range(n):
                    y, x = row + i * step, column + j * step
                    mean = sum(grid[(y + dy) % side, (x + dx) % side] for dy, dx in neighbours) / 4
                    grid[y, x] = mean + wobble * noise[i, j]
        step, wobble = half, wobble / decay
    return (grid - grid.min()) / (grid.max() - grid.min())


def bilinear(image, y, x):
    """The value between four pixels; places outside are reflected at the border's outer edge (d c b a | a b c d)."""
    height, width = image.shape
    top, left = math.floor(y), math.floor(x)
    found = 0.0
    for i, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
        for j, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
            i, j = i % (2 * height), j % (2 * width)
            found += weight_y * weight_x * image[min(i, 2 * height - 1 - i), min(j, 2 * width - 1 - j)]
    return found
