"""The 15 common corruptions of ImageNet-C: noise, blur, weather, contrast, elastic distortion, large pixels and JPEG.

Each corruption is a function of an image (uint8 of shape (h, w, channels)), a severity from 1 to 5, and a generator of random
numbers; it returns values from 0 to 255. All constants are the values that ImageNet-C uses for images of 224 × 224 pixels. For
other sizes, lengths in pixels are multiplied by :func:`scale_of`. The strengths of noise in single pixels are multiplied by the
square root of this scale, which gives about as much noise as CIFAR-10-C has at 32 × 32 pixels.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["COMMON_CORRUPTIONS"]

SIDE = 224
# One value or one tuple per severity.
GAUSSIAN_DEVIATION = (0.08, 0.12, 0.18, 0.26, 0.38)
PHOTONS = (60, 25, 12, 5, 3)
IMPULSE_SHARE = (0.03, 0.06, 0.09, 0.17, 0.27)
DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius of the disk, deviation of its smooth border
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # deviation, largest shift, rounds
MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # radius, deviation
ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))  # end (exclusive) and step of the zoom factors
# Mean and deviation of the noise, size of a flake, threshold, radius and deviation of the blur, share of the image.
SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
FROST = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # weights of the image and of the ice
FOG = ((1.5, 2), (2.0, 2), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # thickness, decay of the noise from coarse to fine
BRIGHTER = (0.1, 0.2, 0.3, 0.4, 0.5)
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
# Strength and deviation of the displacements, and shift of three points, in units of 244 pixels. The published code has 244 for
# images of 224 pixels.
ELASTIC = ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
ELASTIC_SIDE = 244
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
JPEG_QUALITY = (25, 18, 15, 10, 7)


def scale_of(image: np.ndarray) -> float:
    """Return the shorter side of an image in units of 224 pixels."""
    return min(image.shape[:2]) / SIDE


def gaussian_noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise, as in poor light."""
    deviation = GAUSSIAN_DEVIATION[severity - 1] * np.sqrt(scale_of(image))
    return np.clip(image / 255.0 + random.normal(scale=deviation, size=image.shape), 0, 1) * 255


def shot_noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Add photon noise: the number of photons per value varies by chance, with its square root as standard deviation."""
    photons = PHOTONS[severity - 1] / scale_of(image)
    return np.clip(random.poisson(image / 255.0 * photons) / photons, 0, 1) * 255


def impulse_noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Set individual values to black or white (salt and pepper)."""
    hit = random.random(image.shape) <= IMPULSE_SHARE[severity - 1] * np.sqrt(scale_of(image))
    white = random.random(image.shape) <= 0.5
    return np.where(hit, np.where(white, 255, 0), image)


def defocus_blur(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Average over a disk, like a lens that is out of focus."""
    import cv2

    kernel = disk(*DEFOCUS[severity - 1], scale_of(image))
    channels = [cv2.filter2D(channel, -1, kernel) for channel in np.moveaxis(image / 255.0, -1, 0)]
    return np.clip(np.stack(channels, axis=-1), 0, 1) * 255


def disk(radius: float, deviation: float, scale: float) -> np.ndarray:
    """Make the kernel of an out-of-focus lens.

    At scale 1, a pixel is inside or outside the disk, as in the published code. At smaller scales, each pixel has the share of
    its area that the disk covers, because the disk may be smaller than a pixel.
    """
    import cv2

    radius, deviation = radius * scale, deviation * scale
    side = 2 * max(8, int(np.ceil(radius))) + 1
    parts = int(np.ceil(1 / scale)) | 1  # per pixel side; odd, so that one part is in the middle
    fine = (np.arange(side * parts) - (side * parts - 1) / 2) / parts
    inside = fine[:, None] ** 2 + fine**2 <= radius**2
    covered = inside.reshape(side, parts, side, parts).sum(axis=(1, 3)).astype(np.float32)
    size = (3, 3) if radius <= 8 else (5, 5)
    return cv2.GaussianBlur(covered / covered.sum(), size, deviation)


def glass_blur(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Replace each pixel by a random neighbour, with a weak Gaussian blur before and after.

    The published code is meant to swap the two pixels, but it copies only one of them; this function does the same.
    """
    deviation, shift, rounds = GLASS[severity - 1]
    scale = scale_of(image)
    deviation, shift = deviation * scale, max(1, round(shift * scale))
    height, width, channels = image.shape
    blurred = np.uint8(gaussian_filter(image / 255.0, (deviation, deviation, 0), mode="nearest") * 255)
    places = np.arange(height - shift, shift, -1)[:, None] * width + np.arange(width - shift, shift, -1)
    shifts = random.integers(-shift, shift, size=(rounds, *places.shape, 2))
    neighbours = places + shifts[..., 1] * width + shifts[..., 0]
    # Each step depends on the steps before it, so they run one by one. A list is faster than an array for this.
    origin = list(range(height * width))
    for one_round in neighbours.reshape(rounds, -1).tolist():
        for place, neighbour in zip(places.ravel().tolist(), one_round, strict=True):
            origin[place] = origin[neighbour]
    moved = blurred.reshape(-1, channels)[origin].reshape(image.shape)
    return np.clip(gaussian_filter(moved / 255.0, (deviation, deviation, 0), mode="nearest"), 0, 1) * 255


def motion_blur(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Average along a line in a random direction within 45 degrees of the horizontal, as if the camera moved."""
    radius, deviation = MOTION[severity - 1]
    scale = scale_of(image)
    return along_line(image, radius * scale, deviation * scale, random.uniform(-45, 45))


def along_line(image: np.ndarray, radius: float, deviation: float, angle: float) -> np.ndarray:
    """Average pixels along a line, as ImageMagick's motion blur does; the weights are half a normal curve.

    The line begins at the pixel and has ``2 * ceil(radius) + 1`` points. Pixels outside the image have the value of the nearest
    pixel inside.
    """
    n = 2 * int(np.ceil(radius)) + 1
    steps = np.arange(n)
    weights = np.exp(-(steps**2) / (2 * deviation**2))
    weights /= weights.sum()
    turn = np.deg2rad(angle)
    right = np.ceil(steps * np.cos(turn) - 0.5).astype(int)
    down = np.ceil(steps * np.sin(turn) - 0.5).astype(int)
    height, width = image.shape[:2]
    padded = np.pad(image.astype(np.float64), ((n, n), (n, n), (0, 0)), mode="edge")
    blurred = np.zeros(image.shape)
    for weight, x, y in zip(weights, right + n, down + n, strict=True):
        blurred += weight * padded[y : y + height, x : x + width]
    return np.rint(257 * blurred) // 257  # ImageMagick rounds to 16 bits and keeps the upper 8


def zoom_blur(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Average the image and enlarged copies of it, as if the camera moved towards the scene."""
    end, step = ZOOM[severity - 1]
    factors = np.arange(1, end, step)
    values = (image / 255.0).astype(np.float32)
    total = np.zeros_like(values)
    for factor in factors:
        total += zoomed(values, factor)
    return np.clip((values + total) / (len(factors) + 1), 0, 1) * 255


def zoomed(values: np.ndarray, factor: float) -> np.ndarray:
    """Enlarge the centre of an image linearly, and cut it to the size of the image."""
    for axis in (0, 1):
        values = _stretched(values, factor, axis)
    return values


def _stretched(values: np.ndarray, factor: float, axis: int) -> np.ndarray:
    """Enlarge the centre along one axis. The first and the last pixel of the centre keep their values."""
    side = values.shape[axis]
    n = int(np.ceil(side / factor))
    size = round(n * factor)
    cut = (size - side) // 2
    places = (np.arange(size) * ((n - 1) / (size - 1)))[cut : cut + side]
    below = np.minimum(places.astype(int), n - 2)
    share = np.expand_dims(places - below, tuple(range(1, values.ndim)))
    centre = np.moveaxis(values, axis, 0)[(side - n) // 2 :]
    stretched = centre[below] * (1 - share) + centre[below + 1] * share
    return np.moveaxis(stretched, 0, axis).astype(values.dtype)


def snow(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Whiten the image and add streaks of flakes."""
    import cv2

    mean, deviation, size, threshold, radius, blur, share = SNOW[severity - 1]
    scale = scale_of(image)
    flakes = zoomed(random.normal(mean, deviation, image.shape[:2])[..., None], max(1, size * scale))
    flakes[flakes < threshold] = 0
    flakes = (np.clip(flakes, 0, 1) * 255).astype(np.uint8)
    streaks = along_line(flakes, radius * scale, blur * scale, random.uniform(-135, -45)) / 255
    values = image.astype(np.float32) / np.float32(255)
    gray = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)[..., None] if image.shape[2] == 3 else values
    whiter = share * values + (1 - share) * np.maximum(values, gray * np.float32(1.5) + np.float32(0.5))
    return np.clip(whiter + streaks + np.rot90(streaks, k=2), 0, 1) * 255


def frost(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Make the image look as if seen through ice crystals on glass.

    The published corruption adds parts of six photographs. This one adds a computed texture instead, so its results are only
    similar to the published ones.
    """
    kept, added = FROST[severity - 1]
    ice = ice_texture(image.shape[0], image.shape[1], random)
    if image.shape[2] == 1:
        ice = ice.mean(axis=2, keepdims=True)
    return np.clip(kept * image + added * ice, 0, 255)


def ice_texture(height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Make ice crystals: straight needles in a few directions, denser in some places, slightly blue, values 0 to 255."""
    side = _power_of_two(max(height, width))
    clusters = plasma(side, 1.8, random)[:height, :width]
    needles = np.zeros((height, width))
    y, x = np.mgrid[:height, :width] / side
    for angle in random.uniform(0, np.pi) + np.array([0, 1, 2]) * np.pi / 3:
        bent = 0.06 * (plasma(side, 2.2, random)[:height, :width] - 0.5)
        across = np.cos(angle) * x + np.sin(angle) * y + bent
        waves = sum(np.sin(2 * np.pi * (f * across + random.uniform())) for f in random.uniform(8, 40, size=4)) / 4
        needles = np.maximum(needles, np.abs(waves) ** 0.7 * plasma(side, 1.6, random)[:height, :width])
    light = np.clip(0.3 + 0.9 * clusters * (0.3 + needles), 0, 1)
    return 255 * light[..., None] ** np.array([1.15, 1.0, 0.9])


def fog(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Mix the image with a fractal cloud."""
    thickness, decay = FOG[severity - 1]
    height, width = image.shape[:2]
    values = image / 255.0
    brightest = values.max()
    cloud = plasma(_power_of_two(max(height, width)), decay, random)[:height, :width, None]
    return np.clip((values + thickness * cloud) * brightest / (brightest + thickness), 0, 1) * 255


def _power_of_two(side: int) -> int:
    return 1 << (side - 1).bit_length()


def plasma(side: int, decay: float, random: np.random.Generator) -> np.ndarray:
    """Make a fractal of values from 0 to 1 by the diamond-square algorithm.

    Opposite borders match, and `side` is a power of two.
    """
    values = np.zeros((side, side))
    step, wobble = side, 100.0

    def settle(total: np.ndarray) -> np.ndarray:
        return total / 4 + wobble * random.uniform(-wobble, wobble, total.shape)

    while step >= 2:
        half = step // 2
        corners = values[::step, ::step]
        rows = corners + np.roll(corners, -1, axis=0)
        values[half::step, half::step] = settle(rows + np.roll(rows, -1, axis=1))
        middles = values[half::step, half::step]
        values[::step, half::step] = settle(middles + np.roll(middles, 1, axis=0) + corners + np.roll(corners, -1, axis=1))
        values[half::step, ::step] = settle(middles + np.roll(middles, 1, axis=1) + corners + np.roll(corners, -1, axis=0))
        step, wobble = half, wobble / decay
    values -= values.min()
    return values / values.max()


def brightness(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Increase the value of the colour model HSV, which is the largest channel; hue and saturation do not change."""
    values = image / 255.0
    largest = values.max(axis=2, keepdims=True)
    brighter = np.clip(largest + BRIGHTER[severity - 1], 0, 1)
    shares = np.divide(values, largest, out=np.ones_like(values), where=largest > 0)
    return np.clip(shares * brighter, 0, 1) * 255


def contrast(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Reduce the distance of each value from the mean of its channel."""
    values = image / 255.0
    mean = values.mean(axis=(0, 1), keepdims=True)
    return np.clip((values - mean) * CONTRAST[severity - 1] + mean, 0, 1) * 255


def elastic_transform(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Shear the image slightly, and displace its pixels by smooth noise.

    Smoothing noise over a larger area weakens it. The strength is therefore multiplied by the square of the scale, so that the
    displacements are proportional to the size of the image.
    """
    strength, deviation, corner = (ELASTIC_SIDE * value for value in ELASTIC[severity - 1])
    scale = scale_of(image)
    values = _sheared(image.astype(np.float32) / 255, random.uniform(-corner * scale, corner * scale, (3, 2)))
    height, width, channels = image.shape
    moves = []
    for _ in range(2):
        noise = random.uniform(-1, 1, (height, width))
        smooth = gaussian_filter(noise, deviation * scale, mode="reflect", truncate=3)
        moves.append((smooth * (strength * scale**2)).astype(np.float32))
    y, x = np.mgrid[:height, :width]
    places = np.stack([y + moves[1], x + moves[0]])
    moved = [map_coordinates(values[..., channel], places, order=1, mode="reflect") for channel in range(channels)]
    return np.clip(np.stack(moved, axis=-1), 0, 1) * 255


def _sheared(values: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Move three points around the centre, and the whole image with them."""
    import cv2

    size = np.array(values.shape[:2])
    middle, arm = size // 2, size.min() // 3
    points = np.array([middle + arm, [middle[0] + arm, middle[1] - arm], middle - arm], np.float32)
    matrix = cv2.getAffineTransform(points, points + shifts.astype(np.float32))
    sheared = cv2.warpAffine(values, matrix, tuple(size[::-1].tolist()), borderMode=cv2.BORDER_REFLECT_101)
    return sheared.reshape(values.shape)


def pixelate(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Reduce the number of pixels, then enlarge the image to its original size."""
    from PIL import Image

    height, width = image.shape[:2]
    share = PIXELATE[severity - 1] ** np.sqrt(scale_of(image))
    small = _as_pillow(image).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return _as_pixels(small.resize((width, height), Image.Resampling.BOX), image.shape)


def jpeg_compression(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Encode as a low-quality JPEG."""
    from PIL import Image

    quality = scaled_quality(JPEG_QUALITY[severity - 1], float(np.sqrt(scale_of(image))))
    buffer = io.BytesIO()
    _as_pillow(image).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as decoded:
        return _as_pixels(decoded, image.shape)


def scaled_quality(quality: int, factor: float) -> int:
    """Return the quality whose quantisation steps are `factor` times those of a given quality below 50.

    For a quality below 50, libjpeg multiplies its table of steps by 50 / quality; otherwise, by 2 - quality / 50.
    """
    steps = 50 / quality * factor
    return max(1, round(50 / steps if steps > 1 else 100 - 50 * steps))


def _as_pillow(image: np.ndarray) -> Image.Image:
    from PIL import Image

    return Image.fromarray(image if image.shape[2] == 3 else image[..., 0])


def _as_pixels(image: Image.Image, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(image).reshape(shape)


# In the published order.
COMMON_CORRUPTIONS = (
    *(gaussian_noise, shot_noise, impulse_noise),
    *(defocus_blur, glass_blur, motion_blur, zoom_blur),
    *(snow, frost, fog, brightness),
    *(contrast, elastic_transform, pixelate, jpeg_compression),
)
