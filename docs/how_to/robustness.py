"""How much accuracy is lost on worse images, with fewer training images, under attack, and with another camera.

    python docs/how_to/robustness.py [FOLDER]

The accuracy on a test set holds for images like those that the model was fitted on. Four functions of ``featrec.evaluation``
measure the accuracy under other conditions:

- ``robustness``: the test images with noise, blur, snow, compression and other corruptions, at several severities. ``corrupt``
  returns such images for your own use, and ``corruption_names`` lists the corruptions.
- ``data_efficiency``: models that are fitted on 2, 5, 10 ... images of each class, with several random draws.
- ``attack``: the test images with small changes that are chosen to make the model wrong.
- ``shift``: two test sets, such as images of two cameras.

Each result prints a table, draws a figure (``plot``), and converts to JSON, Markdown and DataFrames. Compare both the accuracy
under corruption and the relative drop, because a model with a low accuracy cannot lose much. All models see the same corrupted
images, and the interval of the difference between two models takes this into account.

To test a remedy, measure it as another model. Here, the second model is also fitted on copies with noise. If a remedy resembles
one of the corruptions, look at the others, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from featrec.evaluation import attack, corrupt, data_efficiency, robustness, shift
from featrec.preprocessing import Augmented
from featrec.recipes import hog_svm

CORRUPTIONS = ("gaussian_noise", "defocus_blur", "fog", "jpeg_compression", "rotation", "occlusion")


def models():
    """Two models to compare: a plain one, and one that is also fitted on copies with noise."""
    return {"hog": hog_svm(), "hog and noise": Augmented(hog_svm(), noise=0.1, copies=2, random_state=0)}


def measured(train, test, *, corruptions=CORRUPTIONS, n_per_class=(2, 5, 10), n_queries=20, few=20):
    """All four results. `few` images are attacked, because an attack predicts each image many times."""
    fitted = {name: model.fit(train, train.labels) for name, model in models().items()}
    half = len(test) // 2
    # In your own work, the second set consists of other images, such as those of another camera.
    foggy = corrupt(test[half:], "fog", severity=3, random_state=0)
    return {
        "robustness": robustness(fitted, test, test.labels, corruptions=corruptions, random_state=0),
        "data efficiency": data_efficiency(
            models(), train, train.labels, test=(test, test.labels), n_per_class=n_per_class, random_state=0
        ),
        "attack": attack(fitted, test[:few], test.labels[:few], epsilon=8, n_queries=n_queries, random_state=0),
        "shift": shift(fitted, (test[:half], test.labels[:half]), (foggy, test.labels[half:])),
    }


if __name__ == "__main__":
    from featrec.datasets import load_dataset

    train, test = load_dataset("shapes", n_train=160, n_test=80)
    for title, result in measured(train, test).items():
        print(f"{title}\n\n{result}\n")
        if len(sys.argv) > 1:
            path = Path(sys.argv[1]) / f"{title.replace(' ', '_')}.png"
            result.plot().figure.savefig(path)
            print(f"figure: {path}\n")
