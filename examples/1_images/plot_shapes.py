"""
A dataset that can be made harder
=================================

The dataset "shapes" is generated, so its difficulty is a choice. Each of its strengths lies between 0 and 1. Set one of
them to 1 and all others to 0 to see which change a model tolerates and which it does not.
"""

import matplotlib.pyplot as plt

from featrec.datasets import load_dataset

STRENGTHS = ("texture", "rotation", "scale", "light", "clutter", "noise", "color")
plain = dict.fromkeys(STRENGTHS, 0.0)
settings = {"all 0": plain, **{f"{name} 1": {**plain, name: 1.0} for name in STRENGTHS}, "all 1": dict.fromkeys(STRENGTHS, 1.0)}

# %%
# One row for each setting, one column for each class. Images of one class differ in every draw.

figure, panels = plt.subplots(len(settings), 8, figsize=(8.5, 9.4), layout="constrained")
for row, (title, options) in zip(panels, settings.items(), strict=True):
    train, _ = load_dataset("shapes", n_train=64, n_test=8, random_state=3, **options)
    for ax, name in zip(row, train.classes, strict=True):
        ax.imshow(train[list(train.labels).index(name)])
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(title, rotation=0, ha="right", va="center")
for ax, name in zip(panels[0], train.classes, strict=True):
    ax.set_title(name, fontsize=10)
plt.show()
