"""Maps of contributions over an image, and patches cut from it: arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from featrec.images import as_uint8
from featrec.plotting._words import between_pixels

__all__ = [
    "AGAINST",
    "FOR",
    "cut_patch",
    "faded",
    "layers_of",
    "patch_strip",
    "reduced",
    "scale_of",
    "scaled_outlines",
    "spread",
    "tinted",
    "widened",
]

# Orange favours a decision, blue is against it. Orange is the lighter colour, so that the two differ in gray print, too.
FOR, AGAINST = "#E69F00", "#0072B2"
# Maximum side of an image in a figure, and of a patch, in pixels.
SIDE, PATCH = 640, 72
# The strongest colour hides this share of the image below it.
STRONGEST = 0.85
# Opacity of the gray copy of the image.
FADED = 0.42
# Smallest sides of parts in a map, and of patches, as shares of the longer side of the image. Smaller parts are widened.
IN_MAP, IN_PATCH = 1 / 48, 1 / 16
# Number of points that are processed at once.
BLOCK = 2**21


def spread(values: np.ndarray, outlines: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Spread each value evenly over the area of its outline.

    Parameters
    ----------
    values : array of shape (n,)
    outlines : array of shape (n, 4, 2)
        Corners of parallelograms, x first; NaN for parts without a place.
    shape : tuple (h, w)
        Size of the image. What is outside is left out.

    Returns
    -------
    array of shape (2, h, w)
        The sum of the positive values in each pixel, and the sum of the negative values.
    """
    values, outlines = np.asarray(values, np.float64), np.asarray(outlines, np.float64)
    placed = np.isfinite(outlines).all(axis=(1, 2))
    sides = outlines - np.roll(outlines, 1, axis=1)
    upright = (np.abs(sides).min(axis=2) < 1e-6).all(axis=1)
    layers = []
    for signed in (values > 0, values < 0):
        boxes, turned = placed & signed & upright, placed & signed & ~upright
        layer = _of_boxes(values[boxes], outlines[boxes], shape)
        layers.append(layer + _of_points(values[turned], outlines[turned], shape))
    return np.stack(layers)


def _of_boxes(values: np.ndarray, outlines: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Add up rectangles: their corners are differences, whose sums over rows and columns are the areas."""
    low, high = outlines.min(axis=1) + 0.5, outlines.max(axis=1) + 0.5
    density = values / np.maximum(high - low, 1e-3).prod(axis=1)
    differences = np.zeros((shape[0] + 2, shape[1] + 2))
    for x, sign in ((low[:, 0], 1), (high[:, 0], -1)):
        for y, factor in ((low[:, 1], sign), (high[:, 1], -sign)):
            _add_points(differences, np.clip(x, 0, shape[1]), np.clip(y, 0, shape[0]), factor * density)
    sums: np.ndarray = differences.cumsum(axis=0).cumsum(axis=1)
    return sums[: shape[0], : shape[1]]


def _of_points(values: np.ndarray, outlines: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Add up turned outlines as grids of points, about two points per pixel."""
    found = np.zeros((shape[0] + 2, shape[1] + 2))  # with a border of one pixel
    along, across = outlines[:, 1] - outlines[:, 0], outlines[:, 3] - outlines[:, 0]
    longest = np.maximum(np.linalg.norm(along, axis=1), np.linalg.norm(across, axis=1))
    counts = np.clip(np.ceil(1.5 * longest) + 1, 2, 96).astype(int)
    for n in np.unique(counts):
        u, v = (grid.ravel() for grid in np.meshgrid(*2 * [(np.arange(n) + 0.5) / n]))
        members = np.flatnonzero(counts == n)
        for start in range(0, len(members), max(1, BLOCK // n**2)):
            some = members[start : start + max(1, BLOCK // n**2)]
            points = outlines[some, 0, None] + along[some, None] * u[:, None] + across[some, None] * v[:, None]
            shares = np.repeat(values[some] / n**2, n**2)
            x, y = points.reshape(-1, 2).T + 1
            inside = (x >= 0) & (y >= 0) & (x < shape[1] + 1) & (y < shape[0] + 1)
            _add_points(found, x[inside], y[inside], shares[inside])
    return found[1:-1, 1:-1]


def _add_points(found: np.ndarray, x: np.ndarray, y: np.ndarray, values: np.ndarray) -> None:
    """Add values at positions between pixels to the four pixels around them."""
    left, top = x.astype(int), y.astype(int)
    beside, below = x - left, y - top
    width = found.shape[1]
    for down, weight in ((0, 1 - below), (1, below)):
        for right, share in ((0, 1 - beside), (1, beside)):
            places = (top + down) * width + left + right
            found += np.bincount(places, weights=values * weight * share, minlength=found.size).reshape(found.shape)


def scale_of(*layers: np.ndarray) -> float:
    """Return the absolute value of the strongest colour; few pixels may exceed it."""
    sizes = np.abs(np.concatenate([layer.ravel() for layer in layers]))
    return float(np.quantile(sizes, 0.995)) or float(sizes.max(initial=0.0)) or 1.0


def tinted(signed: np.ndarray, limit: float) -> np.ndarray:
    """Return signed values as colours with an opacity, of shape (h, w, 4), uint8."""
    strength = np.minimum(np.abs(signed) / limit, 1) ** 0.8
    colors = np.array([_rgb(AGAINST), _rgb(FOR)], np.uint8)
    opacity = np.rint(255 * STRONGEST * strength).astype(np.uint8)
    return np.concatenate([colors[(signed > 0).astype(int)], opacity[..., None]], axis=-1)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def layers_of(values: np.ndarray, outlines: np.ndarray, original: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return the maps of positive and of negative contributions over a resized image, of shape (2, h, w).

    `original` is the shape of the image that the outlines belong to. Parts that would be too small to be seen are widened.
    """
    scaled = scaled_outlines(outlines, original, shape)
    return spread(values, widened(scaled, IN_MAP * max(shape[:2])), shape[:2])


def faded(gray: np.ndarray) -> np.ndarray:
    """Return a gray image mixed with white."""
    return np.rint(255 - FADED * (255 - as_uint8(gray).astype(np.float32))).astype(np.uint8)


def reduced(image: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Return the image as uint8 with sides of at most `side` pixels."""
    image = as_uint8(image)
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    from PIL import Image

    height, width = (max(1, round(scale * length)) for length in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))


def scaled_outlines(outlines: np.ndarray, original: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return outlines in a resized image; the arguments are the shapes of both images."""
    factors = np.array([shape[1] / original[1], shape[0] / original[0]])
    scaled: np.ndarray = (outlines + 0.5) * factors - 0.5
    return scaled


def widened(outlines: np.ndarray, least: float) -> np.ndarray:
    """Return outlines whose sides are at least `least` pixels long, with the same centres and directions."""
    along, across = outlines[:, 1] - outlines[:, 0], outlines[:, 3] - outlines[:, 0]
    lengths = [np.maximum(np.linalg.norm(side, axis=1), 1e-9) for side in (along, across)]
    if min(length.min(initial=least) for length in lengths) >= least:
        return outlines
    along, across = (
        side * (np.maximum(length, least) / length / 2)[:, None] for side, length in zip((along, across), lengths, strict=True)
    )
    corners = np.stack([-along - across, along - across, along + across, across - along], axis=1)
    wide: np.ndarray = outlines.mean(axis=1, keepdims=True) + corners
    return wide


def cut_patch(image: np.ndarray, outline: np.ndarray, side: int = PATCH) -> np.ndarray:
    """Return the inside of an outline, turned upright. Pixels beyond the border repeat the pixels at the border.

    `image` has the shape (h, w, 3) and the type uint8. A part that is much smaller than the image is cut with its surroundings.
    """
    (outline,) = widened(outline[None], IN_PATCH * max(image.shape[:2]))
    along, across = outline[1] - outline[0], outline[3] - outline[0]
    lengths = np.array([np.linalg.norm(across), np.linalg.norm(along)])
    height, width = np.clip(np.rint(lengths * min(1.0, side / max(lengths.max(), 1e-9))), 1, side).astype(int)
    v, u = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    columns, rows = (outline[0, axis] + u * along[axis] + v * across[axis] for axis in (0, 1))
    return between_pixels(image, rows, columns)


def patch_strip(image: np.ndarray, outlines: np.ndarray, side: int) -> np.ndarray:
    """Return patches of the same height side by side in one image, with gray gaps."""
    gap = np.full((side, 2, 3), 150, np.uint8)
    tiles: list[np.ndarray] = []
    for outline in outlines:
        patch = cut_patch(image, outline, side)
        height, width = patch.shape[:2]
        wide = int(np.clip(round(width * side / height), 1, 2 * side))
        tiles += [patch[np.arange(side) * height // side][:, np.arange(wide) * width // wide], gap]
    return np.concatenate(tiles[:-1], axis=1)
