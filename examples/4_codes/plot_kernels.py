"""
Kernels between histograms
==========================

The dot product of two histograms is dominated by their large bins. The intersection sums what two histograms share in each
bin, and chi-square relates differences to the size of the bin. Both are usual for bags of words.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords
from featrec.pairwise import chi2_kernel, intersection_kernel

train, test = load_dataset("textures")
encode = make_pipeline(DenseSIFT(step=8), BagOfWords(100, random_state=0)).fit(train)
codes, test_codes = encode.transform(train), encode.transform(test)
order = np.argsort(train.labels, kind="stable")
kernels = {
    "linear": lambda a, b: (a @ b.T) / np.mean(np.einsum("ij,ij->i", codes, codes)),
    "intersection": intersection_kernel,
    "chi-square": lambda a, b: chi2_kernel(a, b, gamma=2.0),
}

# %%
# Each matrix compares all training images, sorted by class. A good kernel shows light squares along the diagonal.

figure, panels = plt.subplots(1, 3, figsize=(13, 4.8), layout="constrained")
edges = np.cumsum([np.sum(train.labels == name) for name in train.classes])
for ax, (name, kernel) in zip(panels, kernels.items(), strict=True):
    gram = kernel(codes, codes)
    model = SVC(kernel="precomputed", C=10).fit(gram, train.labels)
    accuracy = model.score(kernel(test_codes, codes), test.labels)
    ax.imshow(gram[np.ix_(order, order)], cmap="viridis", vmax=np.percentile(gram, 99))
    ax.set_title(f"{name}: {accuracy:.1%} of the test images")
    ax.set(xticks=[], yticks=edges - 20, yticklabels=train.classes)
plt.show()
