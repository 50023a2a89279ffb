"""
Your own extractor
==================

An extractor needs one method that turns an image into a vector. The base class checks the input, runs threads, and names
the image in errors. Here: the spectrum of an image, in rings of equal frequency and wedges of equal direction.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from featrec.datasets import load_dataset
from featrec.evaluation import evaluate
from featrec.images import GlobalExtractor, as_float, as_gray
from featrec.plotting import plot_confusion_matrix
from featrec.testing import check_extractor


class Spectrum(GlobalExtractor):
    """Logarithm of the energy in 8 rings and 8 wedges of the Fourier transform."""

    def _describe(self, image):
        gray = as_gray(as_float(image))
        energy = np.abs(np.fft.fftshift(np.fft.fft2(gray - gray.mean()))) ** 2
        y, x = (np.fft.fftshift(np.fft.fftfreq(n)) for n in gray.shape)
        radius, angle = np.hypot(y[:, None], x), np.arctan2(y[:, None], x + 0 * y[:, None]) % np.pi
        ring = np.minimum((radius * 16).astype(int), 7)
        wedge = np.minimum((angle / np.pi * 8).astype(int), 7)
        sums = [np.bincount(place.ravel(), energy.ravel(), minlength=8) for place in (ring, wedge)]
        return np.log1p(np.concatenate(sums))


check_extractor(Spectrum())
train, test = load_dataset("textures")
model = make_pipeline(Spectrum(), RandomForestClassifier(random_state=0)).fit(train, train.labels)
report = evaluate(model, test, test.labels)

# %%
# Left: the mean code of each class, relative to the mean of all. Right: which classes are confused.

codes = Spectrum().fit_transform(train)
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.8), layout="constrained")
relative = np.array([codes[train.labels == name].mean(axis=0) for name in train.classes]) - codes.mean(axis=0)
drawn = left.imshow(relative, cmap="RdBu_r", vmin=-np.abs(relative).max(), vmax=np.abs(relative).max(), aspect="auto")
left.set(
    yticks=range(8),
    yticklabels=train.classes,
    xticks=[3.5, 11.5],
    xticklabels=["rings: low to high frequency", "wedges: direction"],
)
left.axvline(7.5, color="black")
left.set_title("mean code, less the mean of all classes")
figure.colorbar(drawn, ax=left)
plot_confusion_matrix(report.confusion, report.classes, ax=right)
right.set_title(f"{report.accuracy:.1%} of {report.n} test images correct")
plt.show()
