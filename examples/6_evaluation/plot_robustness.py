"""
How much accuracy is lost on worse images
=========================================

Test images often resemble the training images more than images in use will. :func:`~featrec.evaluation.robustness` measures
fitted models on corrupted copies of the test images.
"""

import matplotlib.pyplot as plt

from featrec.datasets import load_dataset
from featrec.evaluation import robustness
from featrec.recipes import color_forest, lbp_svm, tiny_knn

train, test = load_dataset("shapes", n_train=320, n_test=160)
models = {"tiny_knn": tiny_knn(), "color_forest": color_forest(n_estimators=50), "lbp_svm": lbp_svm()}
for model in models.values():
    model.fit(train, train.labels)
kinds = ["gaussian_noise", "motion_blur", "brightness", "contrast", "jpeg_compression", "rotation", "occlusion", "color_shift"]
result = robustness(models, test, test.labels, corruptions=kinds, severities=(1, 3, 5), random_state=0)
print(result)

# %%
# Left: the mean of all corruptions by severity. Right: which corruptions cost which model most.

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.8), layout="constrained")
result.plot(left)
result.plot_corruptions(right)
plt.show()
