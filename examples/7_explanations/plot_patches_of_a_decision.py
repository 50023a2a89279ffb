"""
The patches behind a decision
=============================

Which parts of an image decide? The patches with the largest contributions, for the class and against it, are often easier to
read than a map. Here, a Fisher vector of dense SIFT tells leaves from gears, stars and other things.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import FisherVector
from featrec.explanation import explain

train, test = load_dataset("shapes", n_train=240, n_test=80, noise=0.1)
model = make_pipeline(DenseSIFT(step=6, bin_sizes=(4, 6)), FisherVector(16, random_state=0), LinearSVC(random_state=0))
model.fit(train, train.labels)

leaf = np.flatnonzero(test.labels == "leaf")[:1]
item = explain(model, test[leaf])[0]
print(item)
item.plot()
item.plot_patches(8)
plt.show()
