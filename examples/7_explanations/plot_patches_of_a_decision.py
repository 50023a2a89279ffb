"""
The patches behind a decision
=============================

Which parts of an image decide? The patches with the largest contributions, for the class and against it, are easier to read
than a map. Here, a Fisher vector classifies a texture.
"""

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import FisherVector
from featrec.explanation import explain

train, test = load_dataset("textures")
model = make_pipeline(DenseSIFT(step=6), FisherVector(16, random_state=0), LinearSVC(random_state=0))
model.fit(train, train.labels)

item = explain(model, test[:1])[0]
print(item)
item.plot_patches(8)
plt.show()
