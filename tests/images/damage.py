"""Generate damaged image files from a seed. Run as a program, read these files and print the outcomes as JSON."""

import functools
import hashlib
import io
import json
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from random import Random

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@functools.cache
def whole(kind):
    """Return valid files of a format, in its usual variants."""
    values = np.random.default_rng(7).integers(0, 256, (32, 27, 4), dtype=np.uint8)
    colour = Image.fromarray(values[..., :3])
    images = [(colour, {}), (colour.convert("L"), {})]
    if kind == "JPEG":
        images += [(colour, {"progressive": True}), (colour.convert("CMYK"), {}), (colour, {"restart_marker_blocks": 1})]
    if kind in ("PNG", "WEBP", "TIFF"):
        images += [(Image.fromarray(values), {})]
    if kind in ("PNG", "TIFF", "BMP", "GIF"):
        images += [(colour.quantize(16), {}), (colour.convert("1"), {})]
    if kind in ("PNG", "TIFF"):
        images += [(Image.fromarray(values[..., 0].astype(np.uint16) * 257), {})]
    if kind in ("PNG", "WEBP", "GIF", "TIFF"):
        images += [(colour, {"save_all": True, "append_images": [colour.rotate(90)]})]
    if kind == "TIFF":
        images += [(Image.fromarray(values[..., 0].astype(np.float32) / 255), {})]
        images += [(colour, {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")]
        images += [(colour.convert("1"), {"compression": "group4"})]
    if kind == "WEBP":
        images += [(colour, {"lossless": True})]
    files = [encoded(image, kind, **options) for image, options in images]
    wide = b"P5\n27 32\n65535\n" + values[..., 0].astype(">u2").tobytes()
    return [*files, wide, b"P3\n# plain\n2 2\n255\n" + b"1 2 3 " * 4] if kind == "PPM" else files


@functools.cache
def bombs(kind):
    """Return small files that unpack to a huge size: blank images below and above their limit, and other tricks."""
    files = [_blank(kind, side) for side in (3100, 4000)]
    if kind == "PNG":
        image = whole("PNG")[0]
        zeros = zlib.compress(bytes(50_000_000))
        for name, content in ((b"zTXt", b"a\0\0" + zeros), (b"iCCP", b"a\0\0" + zeros), (b"iTXt", b"a\0\1\0\0\0" + zeros)):
            files.append(image[:33] + chunk(name, content) + image[33:])
        files.append(image[:33] + chunk(b"IDAT", zeros) + chunk(b"IEND", b""))
    if kind == "BMP":
        files += [_run_length_bmp(3100), _run_length_bmp(60_000)]
    return files


def _blank(kind, side):
    if kind == "PPM":
        return b"P6 %d %d 255\n" % (side, side)
    if kind == "BMP":
        return _run_length_bmp(side)
    options = {"TIFF": {"compression": "tiff_adobe_deflate"}, "WEBP": {"lossless": True, "method": 0}}
    return encoded(Image.new("L" if kind == "GIF" else "RGB", (side, side)), kind, **options.get(kind, {}))


def _run_length_bmp(side):
    lines = (b"\xff\x01" * (side // 255) + bytes([side % 255, 1]) + b"\0\0") * min(side, 3100) + b"\0\1"
    start = 14 + 40 + 1024
    header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", start + len(lines), 0, 0, start, 40, side, side, 1, 8, 1, 0, 0, 0, 256, 0)
    return header + bytes(1024) + lines


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(lines, width, height, depth, kind, *more, interlaced=0):
    """Return a PNG of rows of bytes, of a kind that Pillow may not write; `more` are chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    content = zlib.compress(b"".join(b"\0" + line for line in lines))
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(b"IHDR", header), *more, chunk(b"IDAT", content), chunk(b"IEND", b"")])


def tiff(image, **options):
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, image, **options)
    return file.getvalue()


# Ways to damage a file.


def cut(data, random):
    return data[: random.randrange(len(data))]


def flip_bits(data, random):
    data = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 8, 64])):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def flip_header_bits(data, random):
    head = flip_bits(data[:120], random)
    return head + data[120:]


def zero_a_range(data, random):
    first, length = random.randrange(len(data)), random.randrange(1, 200)
    return data[:first] + bytes(len(data[first : first + length])) + data[first + length :]


def overwrite(data, random):
    first, length = random.randrange(len(data)), random.randrange(1, 40)
    return data[:first] + random.randbytes(length) + data[first + length :]


def drop_a_range(data, random):
    first = random.randrange(len(data))
    return data[:first] + data[first + random.randrange(1, 60) :]


def repeat_a_range(data, random):
    first = random.randrange(len(data))
    return data[:first] + data[first : first + random.randrange(1, 60)] * 3 + data[first:]


def wrong_type(data, random):
    """Return the head of one format with the body of another, or bytes that are not an image."""
    other = random.choice(whole(random.choice(FORMATS)))
    head = random.randrange(2, 64)
    return random.choice([other[:head] + data[head:], data[:head] + other, b"<html>" + data, bytes(len(data)), b""])


def lie(data, random):
    """Return a file whose header declares a wrong size but has a correct checksum."""
    number = random.choice([0, 1, 2, 255, 4000, 9999, 32767, 65535, random.randrange(65536)])
    kind = next((name for name, start in STARTS.items() if data.startswith(start)), "PPM")
    if kind == "PNG":
        content = bytearray(data[16:29])
        content[random.choice([0, 4]) :][:4] = struct.pack(">I", number)
        place = random.choice([0, 4, 8])
        content[place : place + 4] = struct.pack(">I", number) if place < 8 else random.randbytes(1) + content[9:12]
        return data[:8] + chunk(b"IHDR", bytes(content)) + data[33:]
    if kind == "PPM":
        fields = data.split(b"\n", 3)
        fields[random.randrange(min(3, len(fields)))] = b"%d %d" % (number, random.choice([number, 3, 70000]))
        return b"\n".join(fields)
    if kind == "TIFF":
        start = int.from_bytes(data[4:8], "little")
        entries = int.from_bytes(data[start : start + 2], "little")
        place = start + 2 + 12 * random.randrange(max(1, entries)) + random.choice([0, 2, 4, 8])
        return data[:place] + struct.pack("<H", number) + data[place + 2 :]
    place = {
        "JPEG": max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + random.choice([2, 5, 7]),
        "GIF": random.choice([6, 8, data.find(b",") + random.choice([1, 3, 5, 7])]),
        "BMP": random.choice([10, 14, 18, 20, 22, 24, 28, 30, 46]),
        "WEBP": random.choice([4, 16, 20, 21, 23, 24, 26, 27, 28, 30]),
    }[kind]
    return data[:place] + struct.pack(">H" if kind == "JPEG" else "<H", number) + data[place + 2 :]


def none(data, random):
    return data


STARTS = {"JPEG": b"\xff\xd8", "PNG": b"\x89PNG", "GIF": b"GIF8", "BMP": b"BM", "TIFF": b"II*\0", "WEBP": b"RIFF"}
WAYS = (cut, flip_bits, flip_header_bits, zero_a_range, overwrite, drop_a_range, repeat_a_range, wrong_type, lie, lie)


def damaged(kind, position):
    """Return a damaged file and how it was damaged; the same position always returns the same file."""
    random = Random(f"{kind} {position}")
    if position % 50 < len(bombs(kind)):
        way = none if position < 50 else random.choice([none, flip_header_bits, lie])
        return f"bomb {way.__name__}", way(bombs(kind)[position % 50], random)
    way = WAYS[position % len(WAYS)]
    return way.__name__, way(random.choice(whole(kind)), random)


def outcome(data):
    """Return the outcome of reading, and the CPU seconds, which do not depend on the load of the machine."""
    from featrec.exceptions import ImageError
    from featrec.images import read_image

    start = time.thread_time()
    try:
        image = read_image(data)
        name = "decoded" if image.dtype.kind in "uf" and image.ndim in (2, 3) and image.size else "broken contract"
    except ImageError as error:
        name = type(error).__name__
        name = name if str(error) and len(str(error)) < 1000 else f"message of {name}"
    except BaseException as error:
        name = f"escaped: {error!r}"
    return name, time.thread_time() - start


def peak_megabytes():
    """Return the peak memory of this process. ru_maxrss would include the memory of the parent process."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(kind, count):
    outcomes, slowest, escaped, digest = Counter(), (0.0, ""), [], hashlib.sha256()
    for position in range(count):
        way, data = damaged(kind, position)
        digest.update(data)
        name, seconds = outcome(data)
        outcomes[name.split(":")[0]] += 1
        slowest = max(slowest, (seconds, f"{position} {way}"))
        if "escaped" in name or "broken" in name or "message" in name:
            escaped.append(f"{position} {way}: {name}")
    return {
        "outcomes": outcomes,
        "slowest": slowest,
        "escaped": escaped,
        "megabytes": int(peak_megabytes()),
        "sha256": digest.hexdigest()[:16],
    }


if __name__ == "__main__":
    reports = {kind: report(kind, int(sys.argv[1])) for kind in sys.argv[2:]}
    sys.stdout.write(json.dumps(reports) + "\n")
