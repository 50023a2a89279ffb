# %% [markdown] tags=["slide"]
# # Lesson 2: gradients and HOG
#
# **Aims.** After this lesson you can
#
# - explain why gradients change less with the light than pixels do,
# - compute gradients and their orientations with NumPy, and
# - build the histograms of HOG, and say what the normalisation of blocks adds.
#
# **Time.** 90 minutes: 25 to read, 45 for the exercises, 20 for the open question.
#
# **Prerequisites.** Lesson 1 (pixels and colour); arrays and slices of NumPy; the angle of a vector.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(2)

# %% [markdown] tags=["instructor"]
# **Plan.** 10 min what light does to pixels (first figure), 15 min gradients and orientations on the board with a patch of 3
# × 3 pixels, 45 min exercises, 10 min blocks and pitfall, 10 min quiz. The open question is homework.
#
# **Misconceptions.**
#
# - *x is the first axis.* An image is indexed image[row, column]: x runs along axis 1.
# - *A gradient runs along an edge.* It is perpendicular to the edge, and points to the lighter side.
# - *Dividing by the contrast is only cosmetic.* Without it, the classifier mainly sees how strong the light was.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (bytes, 180 degrees, small images).
# Open question: 3 points for a table with at least four settings and cross-validated accuracies with their spread, 2 points
# for a conclusion that the table supports.

# %% [markdown] tags=["slide"]
# ## 1. What light does to pixels
#
# The same object in other light has other pixels. Two effects are common: all values are multiplied by a number (less light),
# and a constant is added (haze). Differences of neighbouring pixels cancel the constant, and ratios of differences cancel the
# factor.

# %% tags=["slide"]
from featrec.datasets import load_dataset

train, _ = load_dataset("shapes", n_train=160, n_test=8, random_state=lesson.seed)
classes = lesson.order(train.classes)
image = train[list(train.labels).index(classes[0])].mean(axis=2)
darker = 0.4 * image + 60

figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
for ax, shown, title in zip(axes, (image, darker), ("an image", "the same in other light"), strict=False):
    ax.imshow(shown, cmap="gray", vmin=0, vmax=255)
    ax.set(title=title)
    ax.set_axis_off()
row = image.shape[0] // 2
axes[2].plot(image[row], label="image", color="#0072B2")
axes[2].plot(darker[row], label="other light", color="#D55E00")
axes[2].set(title="the middle row", xlabel="column", ylabel="pixel value")
axes[2].legend()
lesson.keep(figure, "1_light")

# %% [markdown] tags=["slide"]
# ## 2. The formula
#
# The **gradient** of an image $I$ at row $y$ and column $x$ consists of two differences:
#
# $$d_x = I(y, x + 1) - I(y, x - 1), \qquad d_y = I(y + 1, x) - I(y - 1, x).$$
#
# Its **magnitude** is $m = \sqrt{d_x^2 + d_y^2}$. Its **orientation** is the angle $\theta = \arctan(d_y / d_x)$, from 0 to
# 180 degrees: opposite directions count as one, because an object may be lighter or darker than its background.
# `np.arctan2(dy, dx)` computes angles from -180 to 180 degrees (in radians) without a division, so $d_x$ may be 0.

# %% [markdown]
# ## 3. Exercise: gradients
#
# Return an array of shape (2, height, width) with dx and dy. The first and last column of dx and the first and last row of dy
# are zero, because a neighbour is missing there.


# %% tags=["exercise"]
def image_gradients(image):
    image = image.astype(float)  # blank: the image as floats, so that differences may be negative
    gradients = np.zeros((2, *image.shape))
    gradients[0, :, 1:-1] = image[:, 2:] - image[:, :-2]  # blank: right neighbour minus left neighbour
    gradients[1, 1:-1] = image[2:] - image[:-2]  # blank: lower neighbour minus upper neighbour
    return gradients


# %%
print(lesson.check(image_gradients))

# %% [markdown] tags=["solution"]
# `image[:, 2:]` are all pixels that have two columns to their left. `np.gradient` is similar, but divides by 2 and treats the
# border differently. Some textbooks write $y$ upwards; here it runs downwards, like the rows.

# %% tags=["slide"]
try:
    dx, dy = image_gradients(image)
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for ax, shown, title in zip(axes, (dx, dy, np.hypot(dx, dy)), ("dx", "dy", "magnitude"), strict=True):
        limit = np.abs(shown).max()
        ax.imshow(shown, cmap="RdBu" if shown.min() < 0 else "gray", vmin=-limit if shown.min() < 0 else 0, vmax=limit)
        ax.set(title=title)
        ax.set_axis_off()
    lesson.keep(figure, "2_gradients")
    light = np.abs(image_gradients(darker) - 0.4 * image_gradients(image)).max()
    print(f"The added constant changes no gradient: {light:.1g}")
except Exception as error:
    print("Solve exercise 3 first:", error)

# %% [markdown]
# ## 4. Exercise: orientations
#
# Divide the half circle into `n_bins` equal bins, and return the bin of each pixel. Bin 0 reaches from 0 to 180 / n_bins
# degrees.


# %% tags=["exercise"]
def orientation_bins(dx, dy, n_bins):
    angles = np.degrees(np.arctan2(dy, dx)) % 180  # blank: angles in degrees, from 0 to less than 180
    bins = angles / (180 / n_bins)  # blank: angles in units of the width of a bin
    return np.minimum(bins.astype(int), n_bins - 1)  # blank: whole numbers, at most n_bins - 1


# %%
print(lesson.check(orientation_bins))

# %% [markdown] tags=["solution"]
# `np.arctan2(dy, dx)` takes y first, and does not divide by zero. `% 180` joins opposite directions. The minimum is needed
# because a tiny negative angle modulo 180 is rounded to 180. `np.arctan(dy / dx)` modulo 180 is the same in other words, but
# fails for dx = 0.

# %% [markdown]
# ## 5. Exercise: histograms of cells
#
# Divide the image into cells of side × side pixels; pixels that are left over at the right and at the bottom are ignored. For
# each cell and each bin, sum the magnitudes of its pixels, and divide by the number of pixels of a cell. The shape is (rows,
# columns, n_bins).


# %% tags=["exercise"]
def cell_histograms(magnitudes, bins, n_bins, side):
    rows, columns = magnitudes.shape[0] // side, magnitudes.shape[1] // side
    cells = np.zeros((rows, columns, n_bins))
    for y in range(rows * side):
        for x in range(columns * side):
            cells[y // side, x // side, bins[y, x]] += magnitudes[y, x]  # blank: add the vote of this pixel
    return cells / side**2  # blank: the mean over the pixels of a cell


# %%
print(lesson.check(cell_histograms))

# %% [markdown] tags=["solution"]
# The magnitude is the weight of the vote, so that noise in flat regions hardly counts. featrec and scikit-image compute the
# same; the paper (Dalal and Triggs, 2005) also divides each vote among neighbouring cells and bins.

# %% [markdown] tags=["slide"]
# The three functions together are the first half of HOG. featrec draws its cells as strokes along the edges:

# %% tags=["slide"]
from featrec.descriptors import HOG
from featrec.plotting import plot_hog

hog = HOG(orientations=9, pixels_per_cell=8)
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
axes[0].imshow(image, cmap="gray")
axes[0].set_axis_off()
plot_hog(image / 255, hog, ax=axes[1])
lesson.keep(figure, "3_hog")
try:
    dx, dy = image_gradients(image / 255)
    ours = cell_histograms(np.hypot(dx, dy), orientation_bins(dx, dy, 9), 9, 8)
    lesson.report("largest difference from featrec's cells", np.abs(ours - hog.cells(image / 255)).max(), tolerance=0.01)
except Exception as error:
    print("Solve the exercises first:", error)

# %% [markdown] tags=["slide"]
# ## 6. Blocks remove the contrast
#
# The added constant is gone, but the factor is not: with half the light, all magnitudes are halved. HOG therefore joins 3 × 3
# neighbouring cells to a **block** $v$, and divides it by its length:
#
# $$v' = \frac{v}{\sqrt{\Vert v \Vert^2 + \epsilon^2}}.$$
#
# Blocks overlap, so each cell occurs in several blocks, each time compared with other neighbours.

# %%
whole, dimmed = hog.extract(image / 255), hog.extract(darker / 255)
before, after = hog.cells(image / 255), hog.cells(darker / 255)
lesson.report("cells: largest value in other light, relative to before", after.max() / before.max(), tolerance=0.01)
lesson.report("blocks: largest change in other light", np.abs(whole - dimmed).max(), tolerance=0.05)

# %% [markdown] tags=["slide"]
# ## 7. Pitfall: bytes
#
# Images are arrays of uint8, and NumPy computes with bytes modulo 256. The difference of two bytes is never negative:

# %%
print(np.array([3], np.uint8) - np.array([5], np.uint8))

# %% [markdown]
# Nothing fails and the figure still looks like edges, but half of the orientations are wrong. Convert to floats first.

# %% [markdown] tags=["slide"]
# ## 8. Open question: which cells, which bins?
#
# Large cells tolerate shifts, small cells keep detail. Many bins separate similar orientations, few bins tolerate rotation.
# Plan an experiment on the training set below: vary `pixels_per_cell`, `orientations` and `signed`, and compare
# cross-validated accuracies with their spread. Which setting matters most for these objects, and is the difference larger
# than the spread?

# %%
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.descriptors import TinyImage

for name, extractor in (("pixels", TinyImage()), ("HOG", hog)):
    model = make_pipeline(extractor, LinearSVC(random_state=0))
    scores = cross_val_score(model, train, train.labels, cv=3)
    lesson.report(f"accuracy of {name}, cross-validated on the training set", scores.mean(), tolerance=0.06)

# %% [markdown] tags=["solution"]
# The size of the cells matters most: with very small cells, a shift by a few pixels moves votes to other cells; with very
# large ones, the shape is lost. Between 8 and 12 bins, differences are usually within the spread of the folds. A good answer
# says so, instead of naming the largest mean as the winner.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - Differences cancel what is added to all pixels; division by the length of a block cancels what multiplies them.
# - HOG sums magnitudes by orientation in cells, and normalises blocks of cells.
# - Convert bytes to floats before you subtract.

# %% [markdown] tags=["quiz"]
# **Question 1.** A constant is added to all pixels. What changes in the gradients?
#
# - (x) a) Nothing. :: The constant cancels in the difference of two pixels.
# - ( ) b) All magnitudes grow. :: Magnitudes grow if pixels are multiplied, not if a constant is added.
# - ( ) c) Only the orientations change. :: Orientations are computed from the differences, which stay the same.
# - ( ) d) Only gradients at the border change. :: The border is zero before and after.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** An edge runs from top to bottom: dark on the left, light on the right. What is its gradient?
#
# - ( ) a) It points down, along the edge. :: A gradient is perpendicular to the edge.
# - (x) b) It points to the right. :: The gradient points to the lighter side: dx > 0 and dy = 0.
# - ( ) c) It points to the left. :: That would be the darker side.
# - ( ) d) It is zero. :: It is zero only where neighbours are equal.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** Why does HOG join opposite directions?
#
# - ( ) a) To make the code shorter. :: This is a side effect; with 18 signed bins, the code is only twice as long.
# - ( ) b) Because arctan2 cannot tell them apart. :: It can: it returns angles from -180 to 180 degrees.
# - (x) c) Because an object may be lighter or darker than its background. :: Then all its gradients are reversed, but its
#   shape is the same.
# - ( ) d) Because gradients are never negative. :: dx and dy may be negative.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** What does the normalisation of blocks achieve?
#
# - ( ) a) The code does not change if the object moves. :: Cells tolerate small shifts; normalisation does nothing for
#   shifts.
# - ( ) b) The code becomes shorter. :: It becomes longer, because blocks overlap.
# - ( ) c) The code does not change if the object rotates. :: A rotation moves votes to other bins.
# - (x) d) The code does not change if the contrast of a region changes. :: The factor cancels in the division by the length.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** Images have different sizes. What happens to their HOG codes?
#
# - ( ) a) Nothing, codes have a fixed length. :: The length is proportional to the number of blocks.
# - (x) b) Their lengths differ, so images must be resized first. :: A classifier needs rows of equal length.
# - ( ) c) Small images get zeros at the end. :: Nothing is filled in; featrec refuses codes of different lengths.
# - ( ) d) Cells become larger for large images. :: Cells have a fixed number of pixels.

# %%
lesson.quiz(5, "")
