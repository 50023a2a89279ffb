"""
One word, several words, or weights that sum to one
===================================================

A descriptor that lies between two words must choose in :class:`~featrec.encoders.BagOfWords`.
:class:`~featrec.encoders.SoftBagOfWords` divides its vote among nearby words, and :class:`~featrec.encoders.LLC` looks for
weights that reconstruct it from its nearest words.
"""

import matplotlib.pyplot as plt
import numpy as np

from featrec import Bag
from featrec.encoders import LLC, BagOfWords, SoftBagOfWords
from featrec.vocabularies import KMeansVocabulary

random = np.random.default_rng(4)
centers = random.uniform(0, 1, (12, 2))
points = np.concatenate([random.normal(center, 0.06, (40, 2)) for center in centers]).astype(np.float32)
vocabulary = KMeansVocabulary(12, random_state=0).fit(points)

# %%
# An image with a single descriptor, at the cross. The size of each word shows its entry in the code.

point = np.array([[0.45, 0.55]], np.float32)
encoders = {
    "BagOfWords": BagOfWords(vocabulary, norm=None),
    "SoftBagOfWords": SoftBagOfWords(vocabulary, norm=None, n_neighbors=4),
    "LLC": LLC(vocabulary, norm=None, n_neighbors=4),
}
figure, panels = plt.subplots(1, 3, figsize=(13, 4.5), layout="constrained", sharex=True, sharey=True)
for ax, (name, encoder) in zip(panels, encoders.items(), strict=True):
    code = encoder.fit([Bag(points)]).transform([Bag(point)])[0]
    ax.scatter(*points.T, s=4, color="lightgray")
    words = encoder.vocabulary_.words_
    for (x, y), weight in zip(words, code, strict=True):
        ax.scatter(x, y, s=30 + 700 * abs(weight), color="#D55E00" if weight < 0 else "#0072B2", alpha=0.75)
        if weight:
            ax.annotate(f"{weight:.2f}", (x, y), (8, 8), textcoords="offset points")
    ax.plot(*point.T, "x", color="black", markersize=12, markeredgewidth=3)
    ax.set(title=name, aspect="equal", xticks=[], yticks=[])
plt.show()
