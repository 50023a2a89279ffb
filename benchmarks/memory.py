"""Does memory grow with the number of images? A pipeline runs on few and on many images, each time in a new process.

    python benchmarks/memory.py [FEW MANY]

Images of 250×250 pixels are generated when they are read, so they take no memory. The peak is reported by the operating system.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np

N_WORDS = 500
SIZE = 250


class Pictures:
    """n images of smoothed noise, each with a different seed."""

    holds_images = True

    def __init__(self, n: int):
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, position: int) -> np.ndarray:
        coarse = np.random.default_rng(position).integers(0, 256, (SIZE // 5, SIZE // 5), dtype=np.uint8)
        return np.kron(coarse, np.ones((5, 5), np.uint8))


def measure(n: int, n_words: int) -> dict:
    """Fit and transform in this process; return megabytes."""
    from sklearn.pipeline import make_pipeline

    from featrec.descriptors import DenseSIFT
    from featrec.encoders import BagOfWords

    encoder = BagOfWords(n_words, max_descriptors=50_000, random_state=0, n_jobs=2)
    codes = make_pipeline(DenseSIFT(), encoder).fit_transform(Pictures(n))
    return {"images": n, "peak_mb": round(peak_megabytes(), 1), "codes_mb": round(codes.nbytes / 2**20, 1)}


def peak_megabytes() -> float:
    """Return the peak memory of this process. ru_maxrss is not used, because it may be the memory of the parent process."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_fresh_process(n: int, n_words: int) -> dict:
    """Run `measure` in a new process."""
    command = [sys.executable, __file__, "--measure", str(n), str(n_words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main(few: int = 500, many: int = 4000, n_words: int = N_WORDS) -> float:
    """Print both peaks; return how many megabytes more the larger run needs, without the codes."""
    small, large = in_fresh_process(few, n_words), in_fresh_process(many, n_words)
    growth = (large["peak_mb"] - large["codes_mb"]) - (small["peak_mb"] - small["codes_mb"])
    for row in (small, large):
        print(f"{row['images']:>6} images: peak {row['peak_mb']:.0f} MB, of which codes {row['codes_mb']:.0f} MB")
    print(f"growth beyond the codes: {growth:.1f} MB")
    return growth


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(*map(int, sys.argv[2:]))))
    else:
        main(*map(int, sys.argv[1:3]))
