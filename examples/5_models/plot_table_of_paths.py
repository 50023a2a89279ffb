"""
A table of paths and numbers
============================

Images often come with other columns: a weight, a camera, a time. A featrec pipeline takes a column of paths, so
:class:`~sklearn.compose.ColumnTransformer` can join codes of images with columns of numbers.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.compose import make_column_transformer
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.plotting import plot_confusion_matrix

# %%
# Write images to a folder, and invent a weight in grams that differs between classes, with large deviations.

images, _ = load_dataset("shapes", n_train=240, n_test=8)
folder = Path(tempfile.mkdtemp())
random = np.random.default_rng(0)
numbers = np.searchsorted(images.classes, images.labels)
table = pd.DataFrame({"path": [str(folder / f"{i}.png") for i in range(len(images))]})
table["grams"] = 10 + 3 * numbers + random.normal(0, 6, len(images))
for path, image in zip(table["path"], images, strict=True):
    Image.fromarray(image).save(path)
print(table.head(3).assign(path=lambda head: head["path"].map(lambda path: Path(path).name)))

# %%
# The predictions come from three folds, so no model has seen the images that it predicts.

inputs = {
    "weight": make_column_transformer((StandardScaler(), ["grams"])),
    "image": make_column_transformer((HOG(pixels_per_cell=(24, 24), cells_per_block=(2, 2)), ["path"])),
    "both": make_column_transformer(
        (HOG(pixels_per_cell=(24, 24), cells_per_block=(2, 2)), ["path"]), (StandardScaler(), ["grams"])
    ),
}
figure, panels = plt.subplots(1, 3, figsize=(14, 4.8), layout="constrained")
for ax, (name, columns) in zip(panels, inputs.items(), strict=True):
    model = make_pipeline(columns, RidgeClassifier())
    found = cross_val_predict(model, table, images.labels, cv=3)
    matrix = pd.crosstab(images.labels, found).reindex(index=images.classes, columns=images.classes, fill_value=0)
    plot_confusion_matrix(matrix.to_numpy(), images.classes, ax=ax)
    ax.set_title(f"{name}: {np.mean(found == images.labels):.1%} correct")
plt.show()
