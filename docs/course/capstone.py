# %% [markdown]
# # Capstone: the best classifier for one dataset
#
# **Task.** Build the best classifier that you can from 320 training images, with any features and classifiers of this course.
# Submit predictions for 800 test images whose labels nobody has been given, or a model file. The leaderboard shows the
# accuracy of each student with its confidence interval.
#
# **Data.** Put the folder `capstone` next to this notebook. `capstone/train/CLASS/0001.png` are the training images,
# `capstone/test/0001.png` the test images. Both were generated for this course and this term, so they are not on the internet.
# Each image shows one object: an arrow, button, crescent, cross, gear, heart, leaf or star. Objects are rotated and may have
# any colour; clutter lies behind and in front of them, the light is uneven, and there is noise.
#
# **Rules.**
#
# 1. Everything is learned from the training images. Do not label test images by hand. Model files are also tested on
#    images that nobody has seen, and a model that fits only the test images is worse there.
# 2. Your last file counts, not your best. Choose with cross-validation: a choice among many results on the leaderboard is
#    too optimistic (lesson 9).
# 3. The report counts more than the rank: what you tried, why, what it brought with its uncertainty, and what your model gets
#    wrong.
#
# **Time.** 10 to 15 hours in the last three weeks of the course. **Prerequisites.** Lessons 1 to 9.

# %% tags=["setup"]
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_score

from featrec.datasets import ImageFolder
from featrec.evaluation import compare
from featrec.persistence import load, save
from featrec.recipes import make

train = ImageFolder("capstone/train")
test = sorted(Path("capstone/test").glob("*.png"))
print(len(train), "training images of", len(train.classes), "classes;", len(test), "test images")

# %% [markdown] tags=["instructor"]
# **Plan.** Introduce the task after lesson 8. Ask for a first submission after one week, so that everybody has a working file.
# Show the leaderboard once a week: `featrec course DIR --leaderboard SUBMISSIONS`. In the last week, each group explains one
# error of its model in five minutes.
#
# **Misconceptions.**
#
# - *The first of the leaderboard has the best model.* Among many entries, the first is also the luckiest. Entries whose
#   difference may be chance are named; the accuracy on unseen images is a second, independent look.
# - *More features are always better.* With 320 images, a long code may fit the training images only.
# - *A higher cross-validated score proves an improvement.* Its interval is about eight points wide here.
#
# **Rubric** (20 points). A working submission: 3. A sound comparison of at least three pipelines, chosen without the test
# images: 6. One own idea, tested by an experiment that changes nothing else: 5. Uncertainty stated and respected: 3. Errors
# looked at and explained: 3. The rank gives no points, so nobody gains by labelling test images.

# %% [markdown]
# ## 1. Look at the data

# %%
labels = np.asarray(train.labels)
figure, axes = plt.subplots(2, 8, figsize=(11, 3), layout="constrained")
for column, name in enumerate(train.classes):
    for ax, row in zip(axes[:, column], np.flatnonzero(labels == name), strict=False):
        ax.imshow(train[row])
        ax.set_axis_off()
    axes[0, column].set_title(name)

# %% [markdown]
# ## 2. A first model, and how good it is
#
# Cross-validation uses the training images only. Each part of the training set is predicted by a model that has not seen it.

# %%
model = make("vlad_svm", random_state=0)
folds = StratifiedKFold(4, shuffle=True, random_state=0)
scores = cross_val_score(model, train, labels, cv=folds)
print(f"vlad_svm: {scores.mean():.3f} ({', '.join(f'{score:.2f}' for score in scores)} in the parts)")

# %% [markdown]
# ## 3. Your models
#
# Add your own pipelines. `compare` uses the same folds for all, and tells which differences may be chance.

# %%
models = {"vlad_svm": model, "bovw_svm": make("bovw_svm", random_state=0)}
comparison = compare(models, train, labels, cv=folds)
print(comparison)

# %% [markdown] tags=["instructor"]
# **What students may find.** Objects are rotated by up to 63 degrees, and much of an image may be clutter, so local features
# are better than one HOG of the whole image (`hog_svm`). Colour does not depend on the class. Worth a try: rotated and
# mirrored copies of the training images (`Augmented`), Fisher vectors, several scales, explanations of errors. The cell below
# compares three models.

# %% tags=["instructor"]
others = {"hog_svm": make("hog_svm", random_state=0), "vlad_svm": model, "fisher_svm": make("fisher_svm", random_state=0)}
print(compare(others, train, labels, cv=folds))

# %% [markdown]
# ## 4. Submit
#
# Train your best model on all training images. Submit **one** of these files under your name:
#
# - `NAME.csv`: one line `0001.png,arrow` for each test image.
# - `NAME.model`: a model file. It is loaded without executing anything in it, so it may contain parts of featrec and
#   scikit-learn only, and gets 120 seconds for 1,600 images. Only model files have a result on unseen images.

# %%
model.fit(train, labels)
predictions = model.predict(test)
lines = ["image,label", *(f"{path.name},{label}" for path, label in zip(test, predictions, strict=True))]
Path("my_name.csv").write_text("\n".join(lines) + "\n")
save(model, "my_name.model")

# %% [markdown]
# Does the file do the same after it has been loaded?

# %%
print("the same predictions:", np.array_equal(load("my_name.model").predict(test[:20]), predictions[:20]))
