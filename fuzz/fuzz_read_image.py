"""Fuzz read_image: bytes give a valid image or an error of featrec within a second.

Run ``python fuzz/fuzz_read_image.py WORK fuzz/seeds/read_image -max_total_time=600``; see README.md in this folder.
"""

import random
import struct
import sys
import time
import zlib

import atheris

with atheris.instrument_imports(include=["PIL", "featrec.images"]):
    from PIL import Image

    from featrec.exceptions import ImageError
    from featrec.images import read_image

    Image.init()

# CPU seconds, which do not depend on other programs on the machine.
LONGEST = 1.0


def one_input(data: bytes) -> None:
    start = time.thread_time()
    try:
        image = read_image(data)
    except ImageError:
        image = None
    spent = time.thread_time() - start
    assert spent < LONGEST, f"took {spent:.1f} s"
    if image is not None:
        check_image(image)


def check_image(image) -> None:
    assert image.dtype in ("uint8", "uint16", "float32", "float64"), image.dtype
    assert image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3), image.shape
    assert min(image.shape) >= 1
    assert image.flags.c_contiguous
    if image.dtype.kind == "f":
        assert image.min() >= 0
        assert image.max() <= 1


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Mutate with libFuzzer; usually correct the checksums of a PNG, because decoders stop at a wrong one."""
    data = atheris.Mutate(data, max_size)
    return with_checksums(data)[:max_size] if data.startswith(b"\x89PNG") and random.Random(seed).random() < 0.9 else data


def with_checksums(data: bytes) -> bytes:
    parts, position = [data[:8]], 8
    while position + 12 <= len(data):
        length = min(int.from_bytes(data[position : position + 4], "big"), len(data) - position - 12)
        content = data[position + 4 : position + 8 + length]
        parts.append(struct.pack(">I", length) + content + struct.pack(">I", zlib.crc32(content)))
        position += 12 + length
    return b"".join(parts) + data[position:]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()
