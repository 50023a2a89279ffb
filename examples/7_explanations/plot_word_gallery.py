"""
A gallery of visual words
=========================

A visual word is a number until one looks at the patches that belong to it. Each row shows a word: the nearest patches of
different images, how often it occurs, and in which class most.
"""

import matplotlib.pyplot as plt

from featrec.datasets import load_dataset
from featrec.explanation import word_gallery
from featrec.recipes import bovw_svm

train, test = load_dataset("shapes", n_train=160, n_test=80)
model = bovw_svm(n_words=60).fit(train, train.labels)

gallery = word_gallery(model, train, train.labels)
print(gallery)
gallery.plot(14)
plt.show()
