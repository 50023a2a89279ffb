"""
One winner on several datasets?
===============================

A model that wins on one dataset may lose on the next. :func:`~featrec.evaluation.compare_datasets` ranks the models on each dataset and
says which mean ranks differ by more than chance. Bars connect models that do not differ significantly.
"""

import matplotlib.pyplot as plt

from featrec.datasets import load_dataset
from featrec.evaluation import compare_datasets
from featrec.recipes import color_forest, hog_svm, lbp_svm, tiny_knn

small = {"n_train": 120, "n_test": 120, "size": 64}
datasets = {
    "digits": tuple(part[::4] for part in load_dataset("digits")),
    "faces": load_dataset("faces"),
    "textures": load_dataset("textures", n_train=15, n_test=15),
    "shapes, plain": load_dataset("shapes", clutter=0, noise=0, light=0, **small),
    "shapes, coloured": load_dataset("shapes", color=1, **small),
    "shapes, turned": load_dataset("shapes", rotation=1, **small),
}
models = {"tiny_knn": tiny_knn(), "color_forest": color_forest(n_estimators=50), "lbp_svm": lbp_svm(), "hog_svm": hog_svm()}
result = compare_datasets(models, datasets)
print(result)

# %%
result.plot()
plt.show()
