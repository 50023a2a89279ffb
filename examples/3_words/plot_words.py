"""
Words of textures
=================

A vocabulary is learned from descriptors, so its words are points in a space of 128 dimensions. To see what a word means, we
show the patches whose descriptors are nearest to it. Patches of one word should look alike.
"""

import matplotlib.pyplot as plt

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.plotting import plot_words
from featrec.vocabularies import KMeansVocabulary

train, _ = load_dataset("textures")
extractor = DenseSIFT(step=6, bin_sizes=(6,)).fit(train)
vocabulary = KMeansVocabulary(60, random_state=0).fit(extractor.transform(train))

plot_words(vocabulary, train, extractor, n_words=14, n_patches=10, stretch=True, random_state=2)
plt.show()
