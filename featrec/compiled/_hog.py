"""Histograms of oriented gradients: gradients of pixels, histograms of cells, and normalised blocks of cells."""

import math

import numpy as np
from numba import njit, types

from featrec.compiled._parts import LOOP, part

L1, L1_SQRT, L2, L2_HYS, NONE = 0, 1, 2, 3, 4
EPSILON = 1e-5
LARGEST_SHARE = 0.2
# Row length of the table of all gradients (dy, dx) of 8-bit images, and the index of the zero gradient.
TABLE_ROW = np.int32(511)
TABLE_MIDDLE = np.int32(255 * 512)
# Number of pixels whose votes are computed before the votes are counted; these votes fit into the first-level cache.
BAND = 2048
# Polynomial in x * x that approximates arctan(x) / x for 0 <= x <= 1, by least squares with weights that even out the errors.
# The error of the angle is at most 4e-8, or 1.2e-7 if computed in float32.
ARCTAN = (9.99999335e-01, -3.33298603e-01, 1.99465601e-01, -1.39086024e-01, 9.64212944e-02, -5.59114202e-02,
          2.18623428e-02, -4.05440058e-03)  # fmt: skip
# Constants are converted here, because each conversion in a loop would be a function call that must be compiled.
ONE, TWO, NOTHING, UNSEEN = np.uintp(1), np.uintp(2), np.float32(0.0), np.float32(-1.0)
# Directions closer than this (in half turns) to the border of a bin are recomputed with NumPy's arctan2.
DOUBT = 1e-6


def hog_grids(height, width, orientations, sizes):
    """Return, for each cell size: height, width, number of rows and columns of cells, and the offset of their votes."""
    grids, start = np.empty((len(sizes), 5), np.int64), 0
    for grid, (tall, wide) in zip(grids, sizes, strict=True):
        grid[:] = tall, wide, height // tall, width // wide, start
        start += grid[2] * grid[3] * orientations
    return grids


def hog_room(height, width, orientations, grids, frame=0):
    """Return work space for loops over bytes: table indices and lengths of a band, votes and sums of cells, and the band."""
    rows, stride, cells = min(height, max(1, BAND // width)), width + 2 * frame, grids[:, 2] * grids[:, 3]
    votes, sums = np.empty(cells.sum() * orientations), np.empty(cells.max(), np.float32)
    padded = np.empty((rows + 2 * frame) * stride, np.uint8)
    return (np.zeros(rows * stride, np.int32), np.empty(rows * stride, np.float32), votes, sums), padded


@njit(**LOOP)
def hog_gray(images, height, width, table, orientations, grids, block_height, block_width, norm, room, codes):
    """Compute codes of 8-bit gray images; a table contains the bins of all possible gradients.

    IN images (n, h * w) uint8, table (511 * 511,) with the bin of each dy and dx + 255, grids from `hog_grids`; work space:
    room from `hog_room`; OUT codes (n, width) float32, the codes of the sizes one after another.
    """
    index, lengths, cells, sums = room
    rows = index.size // width
    for i in range(images.shape[0]):
        cells[:] = 0.0
        # The loop starts at a typed zero; for a literal 0, the functions called here would be compiled a second time.
        start = np.int64(0)
        while start < height:
            inner = 0 < start < height - 1
            stop = start + rows if inner else start + 1
            stop = stop if stop < height - 1 or not inner else height - 1
            step = np.uintp(width if inner else 0)
            # One loop computes all rows; the first and last pixels of rows are corrected afterwards.
            first, number = np.uintp(start * width), (stop - start) * width
            for p in range(ONE, np.uintp(number - 1 if number > 1 else 1)):
                q = first + p
                dx = np.int32(np.int32(images[i, q + ONE]) - np.int32(images[i, q - ONE]))
                dy = np.int32(np.int32(images[i, q + step]) - np.int32(images[i, q - step]))
                index[p] = np.int32(dy * TABLE_ROW + dx + TABLE_MIDDLE)
                lengths[p] = math.sqrt(np.float32(np.int32(dx * dx + dy * dy)))
            for end in range(2 * (stop - start)):
                p = np.uintp(end // 2 * width + end % 2 * (width - 1))  # type: ignore[assignment]
                q = first + p
                dy = np.int32(np.int32(images[i, q + step]) - np.int32(images[i, q - step]))
                index[p] = dy * TABLE_ROW + TABLE_MIDDLE
                lengths[p] = abs(dy)
            _count_votes(index, lengths, width, start, stop, table, orientations, grids, cells)
            start = stop
        _all_blocks(cells, grids, orientations, 255.0, block_height, block_width, norm, sums, codes[i])


@njit(**LOOP)
def hog_colour(
    images, channels, height, width, table, orientations, grids, block_height, block_width, norm, room, padded, codes
):
    """Compute codes of 8-bit images with several channels; at each pixel, the longest gradient of a channel is used.

    IN images (n, h * w * channels) uint8, otherwise as in `hog_gray`; work space: padded and room, from `hog_room` for images
    with a frame of one pixel. If several gradients are equally long, the first is used.
    """
    index, lengths, cells, sums = room
    stride = width + 2
    rows, next_to_border = index.size // stride, 1 if height > 1 else 0
    columns, far, every = np.uintp(width), np.uintp(width + 1), np.uintp(channels)
    inner, outer = np.uintp(2 if width > 1 else 1), np.uintp(width - 1 if width > 1 else 1)
    middle, below = np.uintp(stride), np.uintp(2 * stride + 1)
    for i in range(images.shape[0]):
        cells[:] = 0.0
        start = np.int64(0)
        while start < height:
            stop = start + rows if start + rows < height else height
            votes = np.uintp((stop - start) * stride - 2)
            lengths[:] = UNSEEN
            for channel in range(channels):
                # The frame repeats pixels of the image such that gradients across the border are zero.
                for y in range(start - 1, stop + 1):
                    inside = y if 0 <= y < height else next_to_border if y < 0 else height - 1 - next_to_border
                    row, line = np.uintp((y - start + 1) * stride), np.uintp(inside * width * channels + channel)
                    for x in range(columns):
                        padded[row + ONE + x] = images[i, line]
                        line += every
                    padded[row] = padded[row + inner]
                    padded[row + far] = padded[row + outer]
                for p in range(votes):
                    dx = np.int32(np.int32(padded[p + middle + TWO]) - np.int32(padded[p + middle]))
                    dy = np.int32(np.int32(padded[p + below]) - np.int32(padded[p + ONE]))
                    square = np.float32(np.int32(dx * dx + dy * dy))
                    longer = square > lengths[p]
                    place = np.int32(dy * TABLE_ROW + dx + TABLE_MIDDLE)
                    index[p] = place if longer else index[p]
                    lengths[p] = square if longer else lengths[p]
            for p in range(votes):
                lengths[p] = math.sqrt(lengths[p])
            _count_votes(index, lengths, stride, start, stop, table, orientations, grids, cells)
            start = stop
        _all_blocks(cells, grids, orientations, 255.0, block_height, block_width, norm, sums, codes[i])


@njit(**LOOP)
def hog_codes(bins, lengths, width, table, orientations, grids, block_height, block_width, norm, cells, sums, codes):
    """Compute codes of images from the bins and lengths of their gradients.

    IN bins (n, h * w) int32, lengths (n, h * w) float32, table (orientations,) with the number of each bin, grids from
    `hog_grids`; work space from `hog_room`; OUT codes (n, width) float32.
    """
    for i in range(bins.shape[0]):
        cells[:] = 0.0
        _count_votes(bins[i], lengths[i], width, 0, bins.shape[1] // width, table, orientations, grids, cells)
        _all_blocks(cells, grids, orientations, 1.0, block_height, block_width, norm, sums, codes[i])


@njit(**LOOP)
def hog_gradients(images, dx, dy):
    """Compute central differences of the channel with the longest gradient; across the border of the image, they are zero.

    IN images (n, h, w, channels) float32 or float64; OUT dx, dy (n, h, w) float64.
    """
    count, height, width, channels = images.shape
    for i in range(count):
        if channels == 1:
            _gray_differences(images[i].reshape(-1), height, width, dx[i].reshape(-1), dy[i].reshape(-1))
        else:
            _longest_differences(images[i], dx[i], dy[i])


@njit(**LOOP)
def hog_directions(dx, dy, orientations, half_turn, axes, bins, lengths, doubtful):
    """Find the bin and length of each gradient, and the indices of pixels with a doubtful bin; return how many are doubtful.

    IN dx, dy (pixels,) float64, half_turn (number of bins per half turn: orientations, or half of this for signed directions),
    axes (4,) with the bins of 0, 90, 180 and 270 degrees; OUT bins (pixels,) int32, lengths (pixels,) float32, doubtful
    (pixels,) int64, of which only the first entries are set.
    """
    across, down, turns = np.empty(BAND, np.float32), np.empty(BAND, np.float32), np.empty(BAND, np.float32)
    quarters = np.array([0.0, 0.5 * half_turn, half_turn % orientations, (1.5 * half_turn) % orientations])
    # Because of rounding, an axis on the border between two bins may belong to the lower bin.
    usual = np.all(quarters.astype(np.int32) == axes)
    close = np.float32(DOUBT * half_turn)
    number = 0
    for start in range(0, dx.size, BAND):
        stop = min(start + BAND, dx.size)
        _narrow(dx[start:stop], dy[start:stop], across, down)
        _directions(across, down, orientations, half_turn, turns, lengths[start:stop])
        if _whole_bins(across, down, turns, close, orientations, bins[start:stop]):
            for pixel in range(start, stop):
                beyond = abs(turns[pixel - start] - round(turns[pixel - start]))
                if beyond < close and across[pixel - start] != 0.0 and down[pixel - start] != 0.0:
                    doubtful[number] = pixel
                    number += 1
        if not usual:
            for pixel in range(start, stop):
                if dy[pixel] == 0.0:
                    bins[pixel] = axes[2 if dx[pixel] < 0.0 else 0]
                elif dx[pixel] == 0.0:
                    bins[pixel] = axes[3 if dy[pixel] < 0.0 else 1]
    return number


@part()
def _gray_differences(flat, height, width, dx, dy):
    """Process all rows in one loop, then correct the first and last pixels of rows. IN flat (h * w,); OUT dx, dy (h * w,)."""
    dx[0] = dx[-1] = 0.0
    right, inner = flat[2:], dx[1:]
    for i in range(np.uintp(max(0, flat.size - 2))):
        inner[i] = np.float64(right[i]) - np.float64(flat[i])
    dx[::width] = 0.0
    dx[width - 1 :: width] = 0.0
    dy[:width] = 0.0
    dy[(height - 1) * width :] = 0.0
    below, inner = flat[2 * width :], dy[width:]
    for i in range(np.uintp(max(0, flat.size - 2 * width))):
        inner[i] = np.float64(below[i]) - np.float64(flat[i])


@part()
def _longest_differences(image, dx, dy):
    """IN image (h, w, channels); OUT dx, dy (h, w)."""
    height, width, channels = image.shape
    for y in range(height):
        above, below = (y - 1, y + 1) if 0 < y < height - 1 else (y, y)
        for x in range(width):
            left, right = (x - 1, x + 1) if 0 < x < width - 1 else (x, x)
            longest = -1.0
            for channel in range(channels):
                across = np.float64(image[y, right, channel]) - np.float64(image[y, left, channel])
                down = np.float64(image[below, x, channel]) - np.float64(image[above, x, channel])
                length = np.hypot(across, down)
                if length > longest:
                    longest = length
                    dx[y, x], dy[y, x] = across, down


@part()
def _narrow(dx, dy, across, down):
    """Convert to float32, because a register holds twice as many float32 as float64 values.

    IN dx, dy (pixels,) float64; OUT across, down float32, at least as long.
    """
    for i in range(np.uintp(dx.size)):
        across[i] = dx[i]
        down[i] = dy[i]


@part(fastmath={"contract"})
def _directions(across, down, orientations, half_turn, turns, lengths):
    """Compute directions in bins: exactly along the axes, and elsewhere accurately enough to find doubtful bins.

    IN across, down (pixels or more,) float32; OUT turns (pixels or more,), lengths (pixels,) float32.
    """
    quarter, half, whole = np.float32(0.5 * half_turn), np.float32(half_turn), np.float32(orientations)
    bins, zero, tiny = np.float32(half_turn / math.pi), np.float32(0.0), np.float32(1e-30)
    signed = half_turn < orientations
    for i in range(np.uintp(lengths.size)):
        x, y = across[i], down[i]
        longer, shorter = max(abs(x), abs(y)), min(abs(x), abs(y))
        ratio = shorter / (longer + tiny)
        square = ratio * ratio
        series = np.float32(ARCTAN[7])
        series = series * square + np.float32(ARCTAN[6])
        series = series * square + np.float32(ARCTAN[5])
        series = series * square + np.float32(ARCTAN[4])
        series = series * square + np.float32(ARCTAN[3])
        series = series * square + np.float32(ARCTAN[2])
        series = series * square + np.float32(ARCTAN[1])
        series = series * square + np.float32(ARCTAN[0])
        turn = series * ratio * bins
        turns[i] = quarter - turn if abs(y) > abs(x) else turn
        lengths[i] = math.sqrt(x * x + y * y)
    # For the other quadrants, signed directions are mirrored about both axes, and unsigned directions about one axis.
    if signed:
        for i in range(np.uintp(lengths.size)):
            turn = half - turns[i] if across[i] < zero else turns[i]
            turns[i] = whole - turn if down[i] < zero else turn
    else:
        for i in range(np.uintp(lengths.size)):
            over = ((across[i] < zero) & (down[i] > zero)) | ((across[i] > zero) & (down[i] < zero))
            turns[i] = half - turns[i] if over else turns[i]


@part(returns=types.int64)
def _whole_bins(across, down, turns, close, orientations, bins):
    """Round directions down to bins; return the number of doubtful bins.

    IN across, down, turns (pixels or more,) float32; OUT bins (pixels,) int32.
    """
    doubts, last, zero = np.int32(0), np.int32(orientations - 1), np.float32(0.0)
    for i in range(np.uintp(bins.size)):
        bin_ = np.int32(turns[i])
        beyond = turns[i] - np.float32(bin_)
        near = (beyond < close) | (beyond > np.float32(1.0) - close)
        doubts += np.int32(near & (across[i] != zero) & (down[i] != zero))
        bins[i] = min(bin_, last)
    return doubts


@part()
def _count_votes(index, lengths, stride, start, stop, table, orientations, grids, cells):
    """Add the votes of rows `start:stop`.

    IN index and lengths of these rows; IN and OUT cells of all sizes, as one vector.
    """
    bins = np.uintp(orientations)
    for size in range(grids.shape[0]):
        tall, wide, columns = grids[size, 0], grids[size, 1], grids[size, 3]
        for y in range(start, min(stop, grids[size, 2] * tall)):
            # Indices are unsigned, because the check for negative indices would take as long as the counting.
            cell = np.uintp(grids[size, 4] + (y // tall) * columns * orientations)
            pixel = np.uintp((y - start) * stride)
            for _ in range(columns):
                for _ in range(wide):
                    cells[cell + np.uintp(table[np.uintp(index[pixel])])] += lengths[pixel]
                    pixel += ONE
                cell += bins


@part(fastmath={"reassoc", "nsz", "contract"})
def _all_blocks(cells, grids, orientations, top, block_height, block_width, norm, sums, code):
    """Normalise blocks. IN cells of all sizes, as one vector, top (the white value); OUT sums of cells, code (width,)."""
    place, run, bins = np.uintp(0), np.uintp(block_width * orientations), np.uintp(orientations)
    most = np.float32(LARGEST_SHARE) if norm == L2_HYS else np.float32(np.inf)
    for size in range(grids.shape[0]):
        rows, columns, first_cell = grids[size, 2], grids[size, 3], np.uintp(grids[size, 4])
        share = 1.0 / (grids[size, 0] * grids[size, 1] * top)
        # The sums of values or of squares in each cell are computed once, because several blocks use them.
        for cell in range(np.uintp(rows * columns)):
            first, total = first_cell + cell * bins, NOTHING
            for i in range(bins):
                value = np.float32(cells[first + i])
                total += value if norm <= L1_SQRT else value * value
            sums[cell] = total
        for row in range(rows - block_height + 1):
            for column in range(columns - block_width + 1):
                total = 0.0  # type: ignore[assignment]
                for r in range(row, row + block_height):
                    for c in range(column, column + block_width):
                        total += sums[np.uintp(r * columns + c)]
                scale = share
                if norm <= L1_SQRT:
                    scale = share / (total * share + EPSILON)
                elif norm != NONE:
                    scale = share / math.sqrt(total * share * share + EPSILON * EPSILON)
                factor, rest, i = np.float32(scale), NOTHING, place  # type: ignore[assignment]
                for r in range(row, row + block_height):
                    first = first_cell + np.uintp((r * columns + column) * orientations)
                    for k in range(run):
                        value = min(np.float32(cells[first + k]) * factor, most)
                        code[i + k] = value
                        rest += value * value
                    i += run  # type: ignore[assignment]
                if norm == L1_SQRT:
                    for k in range(place, i):
                        code[k] = math.sqrt(code[k])
                elif norm == L2_HYS:
                    factor = np.float32(1.0 / math.sqrt(rest + EPSILON * EPSILON))
                    for k in range(place, i):
                        code[k] *= factor
                place = i  # type: ignore[assignment]
