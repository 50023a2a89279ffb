"""
How many training images are needed
===================================

:func:`~featrec.evaluation.data_efficiency` fits models on several numbers of images per class and measures them on one test
set. If a curve still rises at its right end, more images will help; if it is flat, other features may.
"""

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline

from featrec.classifiers import WideRidge
from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.evaluation import data_efficiency
from featrec.recipes import color_forest, tiny_knn

train, test = load_dataset("shapes", n_train=320, n_test=160)
hog = make_pipeline(HOG(pixels_per_cell=(16, 16)), WideRidge())
models = {"tiny_knn": tiny_knn(), "color_forest": color_forest(n_estimators=50), "HOG": hog}
numbers = (3, 10, 20, 40)
result = data_efficiency(models, train, train.labels, test=(test, test.labels), n_per_class=numbers, n_draws=2, random_state=0)
print(result)

# %%
result.plot()
plt.show()
