"""
Find a shortcut of a model
==========================

A model may be right for a wrong reason. All hearts in this training set have a purple mark in a corner.
:func:`~featrec.explanation.summarize` averages the explanations of each class: the strongest word of the hearts is the mark,
and the strongest place is the corner. Without the mark, the model finds fewer hearts.
"""

import matplotlib.pyplot as plt
import numpy as np

from featrec.datasets import load_dataset
from featrec.explanation import explain, summarize
from featrec.recipes import bovw_svm


def marked(images):
    found = np.stack(list(images))
    found[images.labels == "heart", 4:20, 4:20] = (255, 0, 220)
    found[images.labels == "heart", 8:16, 8:16] = (20, 0, 0)
    return found


train, test = load_dataset("shapes", n_train=320, n_test=160, noise=0.1)
model = bovw_svm(n_words=80).fit(marked(train), train.labels)

hearts = test.labels == "heart"
for name, images in (("with the mark", marked(test)), ("without it", np.stack(list(test)))):
    print(f"hearts found {name}: {np.mean(model.predict(images)[hearts] == 'heart'):.0%}")

# %%
# The summary of the class, over the test images with the mark:

summary = summarize(explain(model, marked(test), test.labels))
print(summary["heart"].top(1), summary["heart"].top(1, kind="place"))
summary.plot("heart")
plt.show()
