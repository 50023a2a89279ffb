"""
The words of one photograph
===========================

After assignment, an image is a map of words. The most frequent words have colours; the histogram of all words is what
:class:`~featrec.encoders.BagOfWords` passes to a classifier. Note what it loses: where the words were.
"""

import matplotlib.pyplot as plt
from skimage import data

from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords
from featrec.plotting import plot_word_map

image = data.coffee()
extractor = DenseSIFT(step=4, bin_sizes=(6,)).fit([image])
encoder = BagOfWords(40, random_state=0).fit(extractor.transform([image]))

plot_word_map(image, extractor, encoder, n_colors=8)
plt.show()
