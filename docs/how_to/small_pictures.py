"""Small images in the rows of a table, like MNIST from OpenML: which recipes to try, and the memory of the best one.

    python docs/how_to/small_pictures.py

This page uses the digits of scikit-learn (1,797 images of 8 × 8 pixels), so that it runs offline in seconds. For the 70,000
rows of ``fetch_openml("mnist_784")``, with 784 numbers from 0 to 255, use ``Unflatten((28, 28), max_value=255)``.
docs/comparison.md shows the accuracy of recipes on MNIST, Fashion-MNIST and CIFAR-10; docs/small_pictures.md explains their
steps and options.
"""

from __future__ import annotations

from sklearn.pipeline import make_pipeline

from featrec import recipes
from featrec.preprocessing import Unflatten

# Patches are as large as the width of a stroke, pooled in four quarters. Mirrored digits are not digits.
SMALL = {"n_words": 200, "size": 4, "grid": 2, "mirror": False, "random_state": 0}


def try_recipes(rows, labels, unflatten, *, n_images=300):
    """Cross-validate and time three recipes on a few hundred images."""
    wanted = {"tiny_knn": {"size": 8}, "hog_svm": {"size": 32}, "patches_ridge": SMALL}
    return recipes.suggest(unflatten.fit_transform(rows), labels, n_images=n_images, recipes=wanted)


def memory(model, n_train):
    """Memory in GB to fit the last step of patches_kernel on `n_train` images, known before the computation."""
    words = model.named_steps["spatialpyramid"]
    rows, columns = words.levels[0]
    n_columns = 2 * words.encoder.vocabulary * rows * columns  # two for each word and region
    return model[-1].memory_needed(n_train, n_columns) / 1e9


if __name__ == "__main__":
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    split = train_test_split(digits.data, digits.target, test_size=500, stratify=digits.target, random_state=0)
    train, test, train_labels, test_labels = split
    unflatten = Unflatten((8, 8), max_value=16)
    print(try_recipes(train, train_labels, unflatten))

    for name in ("patches_ridge", "patches_kernel"):
        model = make_pipeline(unflatten, recipes.make(name, **SMALL)).fit(train, train_labels)
        print(f"{name}: {100 * model.score(test, test_labels):.1f} % of {len(test)} test images")
    print(f"patches_kernel on 60,000 images: {memory(recipes.patches_kernel(), 60_000):.1f} GB")
    print(f"with 8,000 landmarks: {memory(recipes.patches_kernel(landmarks=8000), 60_000):.1f} GB")
