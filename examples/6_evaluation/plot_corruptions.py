"""
Nineteen ways to spoil an image
===============================

:func:`~featrec.evaluation.corrupt` has the fifteen corruptions of ImageNet-C, and four changes of viewpoint and colour, in
five severities. The figure shows each at severity 4.
"""

import matplotlib.pyplot as plt
from skimage import data
from skimage.transform import resize

from featrec.evaluation import corrupt, corruption_names
from featrec.images import as_uint8

image = as_uint8(resize(data.chelsea()[:, 75:375], (150, 150), anti_aliasing=True))

figure, panels = plt.subplots(4, 5, figsize=(11, 9.4), layout="constrained")
panels[0, 0].imshow(image)
panels[0, 0].set_title("original")
for ax, name in zip(panels.flat[1:], corruption_names(), strict=True):
    ax.imshow(corrupt([image], name, 4, random_state=0)[0])
    ax.set_title(name.replace("_", " "))
for ax in panels.flat:
    ax.set(xticks=[], yticks=[])
plt.show()
