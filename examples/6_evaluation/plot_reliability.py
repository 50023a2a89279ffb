"""
Is a probability of 80 % right in 80 % of cases?
================================================

Scores of a classifier are not probabilities. A reliability diagram compares the probability of a prediction with the share
of correct predictions. :class:`~featrec.classifiers.Calibrated` learns the relation on held-out training images.
"""

import matplotlib.pyplot as plt
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from featrec.classifiers import Calibrated
from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.evaluation import compare

train, test = load_dataset("shapes", n_train=320, n_test=320)
forest = RandomForestClassifier(60, random_state=0)
features = HOG(pixels_per_cell=(24, 24), cells_per_block=(2, 2))
models = {
    "forest": make_pipeline(features, forest),
    "forest, sigmoid": make_pipeline(features, Calibrated(forest, method="sigmoid", cv=3)),
    "forest, temperature": make_pipeline(features, Calibrated(forest, method="temperature", cv=3)),
}
comparison = compare(models, train, train.labels, test=(test, test.labels), calibration=True)

# %%
# Points below the diagonal are too sure, points above it not sure enough. The size of a point shows how many images it
# stands for.

figure, panels = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained", sharey=True)
for ax, result in zip(panels, comparison.results, strict=True):
    calibration = result.calibration
    used = calibration.count > 0
    ax.plot([0, 1], [0, 1], color="gray", linewidth=1)
    ax.scatter(calibration.confidence[used], calibration.accuracy[used], s=6 * calibration.count[used], alpha=0.7)
    ax.set(
        title=f"{result.name}: error {calibration.ece:.3f}",
        xlabel="probability of the prediction",
        aspect="equal",
        xlim=(0, 1.03),
        ylim=(0, 1.03),
    )
panels[0].set_ylabel("share that is correct")
plt.show()
print(
    {result.name: f"{result.accuracy:.1%} correct, log loss {result.calibration.log_loss:.2f}" for result in comparison.results}
)
