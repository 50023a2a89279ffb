"""
Words of bits
=============

ORB describes a corner by 256 comparisons of pixels, packed into 32 bytes. The mean of packed bytes means nothing, so
:class:`~featrec.vocabularies.BinaryVocabulary` learns words by majority: each bit of a word has the value that most of its
members have. Vocabularies for numbers refuse packed bits.
"""

import matplotlib.pyplot as plt
import numpy as np

from featrec.datasets import load_dataset
from featrec.descriptors import ORB
from featrec.vocabularies import BinaryVocabulary

train, _ = load_dataset("shapes", n_train=160, n_test=8)
bags = ORB(edge_threshold=12, patch_size=19).fit_transform(train)
vocabulary = BinaryVocabulary(32, random_state=0).fit(bags)
descriptors = np.concatenate([bag.descriptors for bag in bags])
nearest = vocabulary.nearest(descriptors)

# %%
# How often is each bit set among the members of a word? Blue and red bits have the same value in nearly all of them; pale
# bits are undecided. Bits that most words share carry little information.

bits = np.unpackbits(descriptors, axis=1)
order = np.argsort(-np.bincount(nearest, minlength=32))
shares = np.array([bits[nearest == word].mean(axis=0) for word in order])
figure, (upper, lower) = plt.subplots(2, 1, figsize=(11, 5.4), layout="constrained", height_ratios=[3, 1])
drawn = upper.imshow(shares, cmap="RdBu", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
upper.set(ylabel="word, most frequent first", xlabel="bit", title="share of members whose bit is set")
figure.colorbar(drawn, ax=upper)
lower.bar(np.arange(32), np.bincount(nearest, minlength=32)[order])
lower.set(xlabel="word", ylabel="members")
plt.show()
