"""Fit and ask every recipe with images as users have them, and print each loop that was not ready for it.

python tests/fit_as_users_do.py few       after the fits of warm in this process, whatever the cache holds
python tests/fit_as_users_do.py cached    with what the cache holds: what is printed had to be compiled
"""

import sys
import tempfile
import warnings
from pathlib import Path

import cv2
import numpy as np

from featrec import recipes
from featrec.compiled import _cache
from featrec.datasets import ImageFolder, load_dataset
from featrec.exceptions import InputError
from featrec.persistence import load, save
from featrec.recipes import _warm, variants


def specialisations():
    return {f"{loop.py_func.__name__}{signature}" for loop in _cache.loops() for signature in loop.overloads}


def compiled():
    return {f"{loop.py_func.__name__}{signature}" for loop in _cache.loops() for signature in loop.stats.cache_misses}


def batches(folder, n):
    """Images with labels: arrays of several sizes, gray, deep and small ones, a stack that cannot be written, and files."""
    shapes, _ = load_dataset("shapes", n_train=n, n_test=8)
    digits, _ = load_dataset("digits")
    labels = np.array(shapes.labels)
    color = [shapes[i][: 96 - 8 * (i % 3)] for i in range(n)]
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in color]
    stack = np.stack([cv2.resize(image, (48, 48)) for image in color])
    stack.setflags(write=False)
    for i in range(n):
        (folder / labels[i]).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / labels[i] / f"{i}.{('png', 'jpg')[i % 2]}"), (color, gray)[i % 3 == 0][i])
    files = ImageFolder(folder)
    return {
        "color": (color, labels),
        "of one size": (np.stack([cv2.resize(image, (96, 96)) for image in color]), labels),
        "gray and deep": ([image.astype(np.uint16) * 200 if i % 2 else image for i, image in enumerate(gray)], labels),
        "floats": ([image / 255 for image in gray], labels),
        "a stack": (stack, labels),
        "digits": (digits[:n], digits.labels[:n]),
        "files": (files, files.labels),
        "paths": (list(files.paths), files.labels),
    }


def use(name, images, labels, file):
    """As far as the images are enough for the recipe, whose reasons are not those looked for here."""
    try:
        model = recipes.make(name, n_jobs=2).fit(images, labels)
    except InputError:
        return 0
    model.predict(images[:5])
    model.predict(images[:1])
    save(model, file)
    load(file).predict(images[:3])
    return 1


def main(how, chosen):
    names = [name for name in chosen or variants() if not _warm.reason_against(name)]
    if how == "few":
        for name in names:
            _warm.use(_warm.small(name))
    ready, n_fits = specialisations(), dict.fromkeys(names, 0)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "images").mkdir()
        given = batches(Path(folder) / "images", 12 if how == "few" else 40)
        if how == "few":
            given = {kind: given[kind] for kind in ("color", "gray and deep", "files")}
        for name in names:
            for images, labels in given.values():
                n_fits[name] += use(name, images, labels, Path(folder) / "model")
    missing = specialisations() - ready if how == "few" else compiled()
    sys.stdout.write("\n".join(sorted(missing)))
    never = [name for name, n in n_fits.items() if not n]
    if never:
        sys.exit(f"never fitted: {never}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], sys.argv[2:])
