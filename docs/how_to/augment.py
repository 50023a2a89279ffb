"""Augment a small training set with changed copies, and test by cross-validation whether this helps.

    python docs/how_to/augment.py

``Augmented`` makes the copies inside ``fit``. In a cross-validation or a grid search, each fold therefore makes copies only
of its own training images. Copies made earlier would be in both parts of a split, and scores would be too optimistic.
"""

from __future__ import annotations

from featrec.preprocessing import Augmented
from featrec.recipes import hog_svm

# With C, hog_svm is an exact kernel SVM, which is suitable for few images and gains more from copies than kernel ridge.
PENALTY = 10.0
# Useful changes depend on the images: digits must not be mirrored, leaves may be.
SETTINGS = {
    "as they are": {"copies": 0},
    "rotated": {"rotate": 20},
    "rotated and shifted": {"rotate": 20, "translate": 0.05},
    "mirrored": {"flip": "horizontal"},
}


def scores(images, labels, settings, *, copies=4, folds=5):
    """The cross-validated accuracy of each setting."""
    from sklearn.model_selection import cross_val_score

    found = {}
    for name, limits in settings.items():
        model = Augmented(hog_svm(C=PENALTY), **{"copies": copies, "random_state": 0, **limits})
        found[name] = cross_val_score(model, images, labels, cv=folds).mean()
    return found


if __name__ == "__main__":
    from featrec.datasets import load_dataset

    train, test = load_dataset("shapes", n_train=80, n_test=400)
    found = scores(train, train.labels, SETTINGS)
    for name, accuracy in found.items():
        print(f"{name:<20} {100 * accuracy:.1f} % in five folds of {len(train)} images")
    best = max(found, key=found.get)
    model = Augmented(hog_svm(C=PENALTY), **{"copies": 9, "random_state": 0, **SETTINGS[best]}).fit(train, train.labels)
    print(f"{best}, nine copies: {100 * model.score(test, test.labels):.1f} % of {len(test)} test images")
    plain = hog_svm(C=PENALTY).fit(train, train.labels)
    print(f"as they are: {100 * plain.score(test, test.labels):.1f} %")
