"""
One winner on several datasets?
===============================

A model that wins on one dataset may lose on the next. :func:`~featrec.evaluation.compare_datasets` ranks the models on each
dataset and says which mean ranks differ by more than chance. Bars connect models that do not differ significantly.
"""

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline

from featrec.classifiers import WideRidge
from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.evaluation import compare_datasets
from featrec.preprocessing import Resize
from featrec.recipes import color_forest, lbp_svm, tiny_knn

small = {"n_train": 120, "n_test": 120, "size": 64}
datasets = {
    "digits": tuple(part[::4] for part in load_dataset("digits")),
    "faces": load_dataset("faces"),
    "textures": load_dataset("textures", n_train=15, n_test=15),
    "shapes, plain": load_dataset("shapes", clutter=0, noise=0, light=0, **small),
    "shapes, coloured": load_dataset("shapes", color=1, **small),
    "shapes, turned": load_dataset("shapes", rotation=1, **small),
}
hog = make_pipeline(Resize((48, 48)), HOG(), WideRidge())
models = {"tiny_knn": tiny_knn(), "color_forest": color_forest(n_estimators=50), "lbp_svm": lbp_svm(), "HOG": hog}
result = compare_datasets(models, datasets)
print(result)

# %%
result.plot()
plt.show()
