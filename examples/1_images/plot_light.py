"""
Images under uneven light
=========================

A scan or a photograph of a page is darker at one side, so one threshold cannot separate ink from paper. Three preprocessors
change this in different ways: :class:`~featrec.preprocessing.CLAHE` equalises the contrast of tiles,
:class:`~featrec.preprocessing.NormalizeContrast` gives the whole image, or each local window, the same mean and spread.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from featrec.preprocessing import CLAHE, NormalizeContrast

page = data.page()
steps = {
    "original": None,
    "CLAHE()": CLAHE(),
    "NormalizeContrast()": NormalizeContrast(),
    "NormalizeContrast(window=0.15)": NormalizeContrast(window=0.15),
}
changed = {name: page if step is None else np.asarray(step.fit_transform([page])[0]) for name, step in steps.items()}

# %%
# The lower row shows the mean gray value of each column of pixels. A flat line means that left and right are equally light.

figure, (upper, lower) = plt.subplots(2, 4, figsize=(13, 4.6), layout="constrained", height_ratios=[3, 2], sharey="row")
for image_ax, line_ax, (name, image) in zip(upper, lower, changed.items(), strict=True):
    white = 255 if image.dtype == np.uint8 else 1
    image_ax.imshow(image, cmap="gray", vmin=0, vmax=white)
    image_ax.set(title=name, xticks=[], yticks=[])
    line_ax.plot(image.mean(axis=0) / white)
    line_ax.set(ylim=(0, 1), xlabel="column")
lower[0].set_ylabel("mean gray value")
plt.show()
