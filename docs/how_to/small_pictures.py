"""Small pictures in a table, a row each, as MNIST comes from OpenML: which recipe to try, and the strong one within its memory.

    python docs/how_to/small_pictures.py

The digits here are those that come with scikit-learn, 1,797 of 8 × 8 pixels, so that the page runs in seconds and offline.
``fetch_openml("mnist_784")`` gives 70,000 rows of 784 numbers from 0 to 255: ``Unflatten((28, 28), max_value=255)``. What
recipes reach on MNIST, Fashion-MNIST and CIFAR-10 stands in docs/comparison.md, what their steps and options are in
docs/small_pictures.md.
"""

from __future__ import annotations

from sklearn.pipeline import make_pipeline

from featrec import recipes
from featrec.preprocessing import Unflatten

# Patches as large as a stroke is wide, in the four quarters of the picture; a mirrored digit is no digit.
SMALL = {"n_words": 200, "size": 4, "grid": 2, "mirror": False, "random_state": 0}


def try_recipes(rows, labels, unflatten, *, n_images=300):
    """Cross-validate three kinds of recipes on a few hundred pictures, timed."""
    wanted = {"tiny_knn": {"size": 8}, "hog_svm": {"size": 32}, "patches_ridge": SMALL}
    return recipes.suggest(unflatten.fit_transform(rows), labels, n_images=n_images, recipes=wanted)


def memory(model, n_train):
    """The gigabytes that fitting the last step of patches_kernel takes on so many pictures, before anything is computed."""
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
        print(f"{name}: {100 * model.score(test, test_labels):.1f} % of {len(test)} rows never seen")
    print(f"patches_kernel on 60,000 pictures: {memory(recipes.patches_kernel(), 60_000):.1f} GB")
    print(f"with 8,000 landmarks: {memory(recipes.patches_kernel(landmarks=8000), 60_000):.1f} GB")
