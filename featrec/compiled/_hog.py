"""Histograms of oriented gradients: the gradient of each pixel, cells of pixels, and normalised blocks of cells."""

import math

import numpy as np
from numba import njit

L1, L1_SQRT, L2, L2_HYS, NONE = 0, 1, 2, 3, 4
EPSILON = 1e-5
LARGEST_SHARE = 0.2
# A table over all (dy, dx) of bytes: its rows, and where no gradient stands.
TABLE_ROW = 511
TABLE_MIDDLE = 255 * 512
# So many pixels are voted on before their votes are counted, so that they stay in the first cache.
BAND = 2048
# arctan(x) / x as a polynomial in x * x, for 0 <= x <= 1: fitted by least squares, weighted until the errors were even; the
# arc is off by 4e-8 at most, in float32 by 1.2e-7.
ARCTAN = (9.99999335e-01, -3.33298603e-01, 1.99465601e-01, -1.39086024e-01, 9.64212944e-02, -5.59114202e-02,
          2.18623428e-02, -4.05440058e-03)  # fmt: skip
# A direction that comes so close to the border of a bin, in half turns, is decided by NumPy's arctan2.
DOUBT = 1e-6


@njit(nogil=True, cache=True, error_model="numpy")
def hog_bytes(images, table, orientations, sizes, block_height, block_width, norm, codes):
    """Codes of 8-bit pictures, whose gradients are few enough for a table of bins.

    IN images (n, h, w, channels) uint8, table (511 * 511,) bins by dy and dx + 255, sizes (number, 2) the cells' rows
    and columns; OUT codes (n, width) float32, the sizes' codes one after another.
    """
    count, height, width, channels = images.shape
    rows = max(1, BAND // width)
    index, lengths = np.empty(rows * width, np.int32), np.empty(rows * width, np.float32)
    cells, sums = _workspace(height, width, orientations, sizes)
    for i in range(count):
        flat = images[i].reshape(-1)
        cells[:] = 0.0
        start = 0
        while start < height:
            inner = 0 < start < height - 1
            stop = min(start + rows, height - 1) if inner else start + 1
            step = width if inner else 0
            if channels == 1:
                _gray_votes(flat, width, start, stop, step, index, lengths)
            else:
                _colour_votes(flat, channels, width, start, stop, step, index, lengths)
            _count_votes(index, lengths, start, stop, height, width, table, orientations, sizes, cells)
            start = stop
        _all_blocks(cells, height, width, orientations, sizes, 255.0, block_height, block_width, norm, sums, codes[i])


@njit(nogil=True, cache=True, error_model="numpy")
def hog_codes(bins, lengths, height, width, orientations, sizes, block_height, block_width, norm, codes):
    """Codes of pictures whose pixels have a bin and a length each.

    IN bins (n, h * w) int32, lengths (n, h * w) float32, sizes (number, 2); OUT codes (n, width) float32.
    """
    table = np.arange(orientations).astype(np.uint32)
    cells, sums = _workspace(height, width, orientations, sizes)
    for i in range(bins.shape[0]):
        cells[:] = 0.0
        _count_votes(bins[i], lengths[i], 0, height, height, width, table, orientations, sizes, cells)
        _all_blocks(cells, height, width, orientations, sizes, 1.0, block_height, block_width, norm, sums, codes[i])


@njit(nogil=True, cache=True, error_model="numpy")
def hog_gradients(images, dx, dy):
    """Central differences of the channel where they are longest; none across the picture's border.

    IN images (n, h, w, channels) float32 or float64; OUT dx, dy (n, h, w) float64.
    """
    count, height, width, channels = images.shape
    for i in range(count):
        if channels == 1:
            _gray_differences(images[i].reshape(-1), height, width, dx[i].reshape(-1), dy[i].reshape(-1))
        else:
            _longest_differences(images[i], dx[i], dy[i])


@njit(nogil=True, cache=True, error_model="numpy")
def hog_directions(dx, dy, orientations, half_turn, axes, bins, lengths, doubtful):
    """The bin of each gradient, its length, and the places where the bin is in doubt, whose number is returned.

    IN dx, dy (pixels,) float64, half_turn in bins (orientations, or half as many where directions are signed), axes (4,) the
    bins of 0, 90, 180 and 270 degrees; OUT bins (pixels,) int32, lengths (pixels,) float32, doubtful (pixels,) int64, filled
    as far as there are doubts.
    """
    across, down, turns = np.empty(BAND, np.float32), np.empty(BAND, np.float32), np.empty(BAND, np.float32)
    quarters = np.array([0.0, 0.5 * half_turn, half_turn % orientations, (1.5 * half_turn) % orientations])
    # Multiplied out, a border may lie a rounding error above the axis that it stands for.
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


@njit(nogil=True, cache=True, error_model="numpy")
def _gray_votes(flat, width, start, stop, step, index, lengths):
    """Rows `start` to `stop` in one run, whose ends of rows are set right afterwards.

    IN flat (h * w,) uint8, step to the rows above and below; OUT index into the table and lengths, (pixels,).
    """
    first, last = start * width + 1, stop * width - 1
    left, right, above, below = flat[first - 1 :], flat[first + 1 :], flat[first - step :], flat[first + step :]
    inner_index, inner_lengths = index[1:], lengths[1:]
    for i in range(np.uintp(max(0, last - first))):
        dx = np.int32(right[i]) - np.int32(left[i])
        dy = np.int32(below[i]) - np.int32(above[i])
        inner_index[i] = np.int32(dy * np.int32(TABLE_ROW)) + np.int32(dx + np.int32(TABLE_MIDDLE))
        inner_lengths[i] = math.sqrt(np.float32(np.int32(dx * dx) + np.int32(dy * dy)))
    for row in range(start, stop):
        for pixel in (row * width, row * width + width - 1):
            down = np.int32(flat[pixel + step]) - np.int32(flat[pixel - step])
            index[pixel - start * width] = down * TABLE_ROW + TABLE_MIDDLE
            lengths[pixel - start * width] = abs(down)


@njit(nogil=True, cache=True, error_model="numpy")
def _colour_votes(flat, channels, width, start, stop, step, index, lengths):
    """Of the channels the first whose gradient is longest; IN and OUT as _gray_votes."""
    for row in range(start, stop):
        for x in range(width):
            pixel = (row * width + x) * channels
            aside = channels if 0 < x < width - 1 else 0
            longest = -1
            for channel in range(pixel, pixel + channels):
                dx = int(flat[channel + aside]) - int(flat[channel - aside])
                dy = int(flat[channel + step * channels]) - int(flat[channel - step * channels])
                if dx * dx + dy * dy > longest:
                    longest = dx * dx + dy * dy
                    index[(row - start) * width + x] = dy * TABLE_ROW + dx + TABLE_MIDDLE
            lengths[(row - start) * width + x] = math.sqrt(np.float32(longest))


@njit(nogil=True, cache=True, error_model="numpy")
def _gray_differences(flat, height, width, dx, dy):
    """In one run, whose ends of rows are set right afterwards. IN flat (h * w,); OUT dx, dy (h * w,)."""
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


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
def _narrow(dx, dy, across, down):
    """Twice as many numbers a register. IN dx, dy (pixels,) float64; OUT across, down float32, at least as long."""
    for i in range(np.uintp(dx.size)):
        across[i] = dx[i]
        down[i] = dy[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _directions(across, down, orientations, half_turn, turns, lengths):
    """Directions in bins, near enough to tell which are in doubt, and those of the axes without error.

    IN across, down (at least as many as pixels,) float32; OUT turns (as many), lengths (pixels,) float32.
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
    # To the other quadrants: signed directions fold over both axes, the others over one.
    if signed:
        for i in range(np.uintp(lengths.size)):
            turn = half - turns[i] if across[i] < zero else turns[i]
            turns[i] = whole - turn if down[i] < zero else turn
    else:
        for i in range(np.uintp(lengths.size)):
            over = ((across[i] < zero) & (down[i] > zero)) | ((across[i] > zero) & (down[i] < zero))
            turns[i] = half - turns[i] if over else turns[i]


@njit(nogil=True, cache=True, error_model="numpy")
def _whole_bins(across, down, turns, close, orientations, bins):
    """How many are in doubt. IN across, down, turns (at least as many as pixels,) float32; OUT bins (pixels,) int32."""
    doubts, last, zero = np.int32(0), np.int32(orientations - 1), np.float32(0.0)
    for i in range(np.uintp(bins.size)):
        bin_ = np.int32(turns[i])
        beyond = turns[i] - np.float32(bin_)
        near = (beyond < close) | (beyond > np.float32(1.0) - close)
        doubts += np.int32(near & (across[i] != zero) & (down[i] != zero))
        bins[i] = min(bin_, last)
    return doubts


@njit(nogil=True, cache=True, error_model="numpy")
def _workspace(height, width, orientations, sizes):
    """Room for the cells of all sizes, and for a sum of each cell of one."""
    count, most = 0, 0
    for size in range(sizes.shape[0]):
        cells = (height // sizes[size, 0]) * (width // sizes[size, 1])
        count += cells
        most = max(most, cells)
    return np.empty(count * orientations), np.empty(most, np.float32)


@njit(nogil=True, cache=True, error_model="numpy")
def _count_votes(index, lengths, start, stop, height, width, table, orientations, sizes, cells):
    """IN index, lengths (pixels of rows start to stop,), table of bins; IN and OUT cells of all sizes, flat."""
    offset = 0
    for size in range(sizes.shape[0]):
        tall, wide = sizes[size]
        rows, columns = height // tall, width // wide
        for y in range(start, min(stop, rows * tall)):
            # Unsigned places need no check for negative ones, which would take as long as the count.
            cell = np.uintp(offset + (y // tall) * columns * orientations)
            pixel = np.uintp((y - start) * width)
            for _ in range(columns):
                for _ in range(wide):
                    cells[cell + np.uintp(table[np.uintp(index[pixel])])] += lengths[pixel]
                    pixel += np.uintp(1)
                cell += np.uintp(orientations)
        offset += rows * columns * orientations


@njit(nogil=True, cache=True, error_model="numpy")
def _all_blocks(cells, height, width, orientations, sizes, top, block_height, block_width, norm, sums, code):
    """IN cells of all sizes, flat, `top` the value that means one; OUT sums of cells, as many; code (width,) float32."""
    offset, place = 0, np.uintp(0)
    for size in range(sizes.shape[0]):
        tall, wide = sizes[size]
        rows, columns = height // tall, width // wide
        share = 1.0 / (tall * wide * top)
        own = cells[offset : offset + rows * columns * orientations]
        _sums_of_cells(own, orientations, norm <= L1_SQRT, sums)
        place = _blocks(own, sums, rows, columns, orientations, share, block_height, block_width, norm, code, place)
        offset += rows * columns * orientations


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _sums_of_cells(cells, orientations, plain, sums):
    """Of values or of their squares: what several blocks need. IN cells, flat; OUT sums (at least as many as cells,)."""
    for cell in range(np.uintp(cells.size // orientations)):
        first, total = cell * np.uintp(orientations), np.float32(0.0)
        for i in range(np.uintp(orientations)):
            value = np.float32(cells[first + i])
            total += value if plain else value * value
        sums[cell] = total


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _blocks(cells, sums, rows, columns, orientations, share, block_height, block_width, norm, code, place):
    """Blocks of one size of cells; the next place in the code is returned. IN cells, sums; OUT code from `place` on."""
    run, length = np.uintp(block_width * orientations), np.uintp(block_height * block_width * orientations)
    most = np.float32(LARGEST_SHARE) if norm == L2_HYS else np.float32(np.inf)
    for row in range(rows - block_height + 1):
        for column in range(columns - block_width + 1):
            total = 0.0
            for r in range(row, row + block_height):
                for c in range(column, column + block_width):
                    total += sums[np.uintp(r * columns + c)]
            scale = np.float32(_scale(total, share, norm))
            i = place
            for r in range(row, row + block_height):
                first = np.uintp((r * columns + column) * orientations)
                for k in range(run):
                    code[i + k] = min(np.float32(cells[first + k]) * scale, most)
                i += run
            if norm == L1_SQRT:
                for k in range(length):
                    code[place + k] = math.sqrt(code[place + k])
            elif norm == L2_HYS:
                rest = np.float32(0.0)
                for k in range(length):
                    rest += code[place + k] * code[place + k]
                scale = np.float32(_scale(rest, 1.0, L2))
                for k in range(length):
                    code[place + k] *= scale
            place += length
    return place


@njit(nogil=True, cache=True, error_model="numpy")
def _scale(total, share, norm):
    """What each value of a block is multiplied by, given their sum, or that of their squares."""
    if norm == NONE:
        return share
    if norm <= L1_SQRT:
        return share / (total * share + EPSILON)
    return share / math.sqrt(total * share * share + EPSILON * EPSILON)
