"""
A gallery of visual words
=========================

A visual word is a number until one looks at the patches that belong to it. Each row shows a word: its nearest patches, each
from another image, and the class that has most of them. Some words are parts of a single class, such as the veins of leaves
or the rings of buttons; others are everywhere.
"""

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords
from featrec.explanation import word_gallery

train, test = load_dataset("shapes", n_train=320, n_test=80, noise=0.1, clutter=0.2)
model = make_pipeline(DenseSIFT(step=6, bin_sizes=6), BagOfWords(150, random_state=0), LinearSVC(random_state=0))
model.fit(train, train.labels)

gallery = word_gallery(model, train, train.labels)
print(gallery)
gallery.plot(12)
plt.show()
