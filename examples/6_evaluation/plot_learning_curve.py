"""
How many training images are needed
===================================

:func:`~featrec.evaluation.data_efficiency` fits models on several numbers of images per class and measures them on one test set. If a
curve still rises at its right end, more images will help; if it is flat, other features may.
"""

import matplotlib.pyplot as plt

from featrec.datasets import load_dataset
from featrec.evaluation import data_efficiency
from featrec.recipes import color_forest, hog_svm, tiny_knn

train, test = load_dataset("shapes", n_train=480, n_test=200)
models = {"tiny_knn": tiny_knn(), "color_forest": color_forest(n_estimators=50), "hog_svm": hog_svm(pixels_per_cell=(16, 16), size=(96, 96))}
result = data_efficiency(
    models, train, train.labels, test=(test, test.labels), n_per_class=(3, 10, 30, 60), n_draws=2, random_state=0
)
print(result)

# %%
result.plot()
plt.show()
