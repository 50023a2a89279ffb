"""
Why two classes are confused
============================

Each wrongly classified image is explained by the difference between the predicted and the true class. Orange parts speak for
the wrong prediction, blue parts for the truth. The model here is too small on purpose.
"""

import matplotlib.pyplot as plt

from featrec.datasets import load_dataset
from featrec.explanation import explain_errors
from featrec.recipes import bovw_svm

train, test = load_dataset("shapes", n_train=120, n_test=240, noise=0.1)
model = bovw_svm(n_words=12).fit(train, train.labels)

errors = explain_errors(model, test, test.labels)
print(f"{len(errors)} of {len(test)} images are wrong")
errors.plot(12)
plt.show()
