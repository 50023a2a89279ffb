# %% [markdown] tags=["slide"]
# # Lesson 7: pyramids
#
# **Aims.** After this lesson you can
#
# - show what a bag of words loses,
# - build a spatial pyramid from the bags of regions, and
# - compare histograms with the intersection kernel, and say when a linear kernel is enough.
#
# **Time.** 90 minutes: 25 to read, 45 for the exercises, 20 for the open question.
#
# **Prerequisites.** Lesson 6 (bags); support vector machines as a user.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(7)

# %% [markdown] tags=["instructor"]
# **Plan.** 10 min the shuffled photograph (first figure), 15 min grids, regions and lengths of codes, 10 min kernels, 35 min
# exercises, 10 min pitfall, 10 min quiz. The open question is homework.
#
# **Misconceptions.**
#
# - *A pyramid of images.* SIFT's pyramid blurs the image; this pyramid divides it.
# - *More levels are better.* Small regions tolerate less movement, and their bags have few descriptors.
# - *Positions always help.* For surfaces, the position carries no information, only noise.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (border, empty cells, bytes). Open
# question: 3 points for accuracies of at least three grids on both datasets with their spread, 2 points for a conclusion that
# they support.

# %% [markdown] tags=["slide"]
# ## 1. What a bag loses
#
# Cut a photograph into 16 blocks and shuffle them. For the bag of words, nearly nothing has changed: it counts what is in the
# image, not where.

# %% tags=["slide"]
from skimage.data import camera
from sklearn.frozen import FrozenEstimator

from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.plotting import plot_word_map

photograph = camera()
blocks = [photograph[y : y + 128, x : x + 128] for y in range(0, 512, 128) for x in range(0, 512, 128)]
order = lesson.random("blocks").permutation(16)
shuffled = np.block([[blocks[order[4 * row + column]] for column in range(4)] for row in range(4)])

extractor = DenseSIFT(step=8, bin_sizes=8)
bags = list(extractor.transform([photograph, shuffled]))
encoder = BagOfWords(40, random_state=lesson.seed).fit(bags)
for number, (image, name) in enumerate(((photograph, "photograph"), (shuffled, "shuffled")), 1):
    lesson.keep(plot_word_map(image, extractor, encoder), f"{number}_{name}")

# %% [markdown] tags=["slide"]
# ## 2. The formulas
#
# A grid divides the image into regions. The code of a **spatial pyramid** consists of the bags of all regions of several
# grids, usually 1 × 1, 2 × 2 and 4 × 4: 21 bags. How much two bags $h$ and $g$ have in common is the **intersection**
#
# $$K(h, g) = \sum_{j=1}^{k} \min(h_j, g_j).$$
#
# Equal bags have the value 1, bags without a common word 0. The intersection is a kernel, so a support vector machine can use
# it.

# %% [markdown]
# ## 3. Exercise: cells of a grid
#
# `places` has rows (x, y), `size` is (height, width), `grid` is (n_rows, n_columns). Return the number of the cell of each
# place, counted row by row from 0. Places on the right and lower border belong to the last cell.


# %% tags=["exercise"]
def cells_of(places, size, grid):
    rows = (places[:, 1] * grid[0] / size[0]).astype(int)  # blank: the row of each place, from its y
    columns = (places[:, 0] * grid[1] / size[1]).astype(int)  # blank: the column of each place, from its x
    rows = np.minimum(rows, grid[0] - 1)  # blank: at most the last row
    columns = np.minimum(columns, grid[1] - 1)
    return rows * grid[1] + columns  # blank: the number of the cell


# %%
print(lesson.check(cells_of))

# %% [markdown] tags=["solution"]
# x belongs to columns and width, y to rows and height: all four orders of axes occur in this exercise. featrec uses the
# centres of pixels, so a position x of a frame is x + 0.5 in units of the width.

# %% [markdown]
# ## 4. Exercise: bags of regions
#
# `words` and `cells` contain the word and the cell of each descriptor. Return one bag per cell, shape (n_cells, k). Each
# region is normalised like an image of its own; an empty region has zeros.


# %% tags=["exercise"]
def region_bags(words, cells, k, n_cells):
    bags = np.zeros((n_cells, k))
    for cell in range(n_cells):
        inside = words[cells == cell]  # blank: the words of this cell
        counts = np.bincount(inside, minlength=k)  # blank: how often each word occurs: shape (k,)
        bags[cell] = counts / max(1, len(inside))  # blank: the shares; never divide by 0
    return bags


# %%
print(lesson.check(region_bags))

# %% [markdown] tags=["solution"]
# `np.bincount(cells * k + words, minlength=n_cells * k).reshape(n_cells, k)` counts all cells at once. Each descriptor needs
# its word only once, whatever the number of levels.

# %%
pyramid = SpatialPyramid(FrozenEstimator(encoder), levels=[(1, 1), (2, 2)]).fit(bags)
try:
    bag = bags[0]
    words = encoder.vocabulary_.nearest(bag.descriptors)
    ours = []
    for grid in ((1, 1), (2, 2)):
        cells = cells_of(bag.frames[:, :2] + 0.5, bag.size, grid)
        ours.append(region_bags(words, cells, 40, grid[0] * grid[1]).ravel())
    theirs = pyramid.transform(bags[:1])[0]
    ours = np.concatenate(ours)
    difference = np.abs(ours / ours.sum() - theirs / theirs.sum()).max()
    lesson.report("largest difference from featrec's pyramid", difference, tolerance=1e-5)
except Exception as error:
    print("Solve exercises 3 and 4 first:", error)

# %% [markdown]
# ## 5. Exercise: the intersection
#
# Return the intersections of all bags of `first`, shape (n, k), with all bags of `second`, shape (m, k): shape (n, m).


# %% tags=["exercise"]
def intersection(first, second):
    smaller = np.minimum(first[:, None], second)  # blank: the smaller share of each word: shape (n, m, k)
    return smaller.sum(axis=2, dtype=float)  # blank: their sums


# %%
print(lesson.check(intersection))

# %% [markdown] tags=["solution"]
# For bags that sum to 1, the intersection is 1 minus half the Manhattan distance. `scipy.spatial.distance.cdist(...,
# "cityblock")` gives it in other words.

# %% tags=["slide"]
from skimage.data import astronaut

images = [photograph, shuffled, astronaut()]
try:
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    found = list(extractor.transform(images))
    encoders = {"bag of words": encoder, "pyramid, 3 levels": SpatialPyramid(FrozenEstimator(encoder))}
    for ax, (name, one) in zip(axes, encoders.items(), strict=True):
        codes = one.fit(found).transform(found)
        codes = codes / codes.sum(axis=1, keepdims=True)
        table = intersection(codes, codes)
        ax.imshow(table, vmin=0, vmax=1, cmap="Blues")
        for (row, column), value in np.ndenumerate(table):
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "black")
        ax.set_xticks(range(3), ["photograph", "shuffled", "another"])
        ax.set_yticks(range(3), ["photograph", "shuffled", "another"])
        ax.set_title(name)
    lesson.keep(figure, "3_in_common")
except Exception as error:
    print("Solve exercise 5 first:", error)

# %% [markdown]
# For the bag, the shuffled photograph is nearly the same image. For the pyramid, it is hardly more similar than another
# photograph.

# %% [markdown] tags=["slide"]
# ## 6. Pitfall: the length of the code
#
# A pyramid multiplies the length of the code by the number of regions, and with it the memory and the time of the classifier:

# %%
for levels in (1, 2, 3, 4):
    regions = sum(4**level for level in range(levels))
    megabytes = regions * 4000 * 1000 / 1e6
    print(f"{levels} levels of 1,000 words: {regions * 1000:,} numbers, {megabytes:,.0f} MB for 1,000 images")

# %% [markdown]
# A kernel needs one number per pair of images instead, but its time grows with the square of the number of images. For large
# training sets, use square roots of shares with a linear classifier: this is the Hellinger kernel, and nearly as good.

# %% [markdown] tags=["slide"]
# ## 7. Open question: which grid for which images?
#
# Compare the grids 1 × 1, 2 × 2, 3 × 1 (three bands) and a pyramid of three levels on two training sets: surfaces
# ("textures"), where the position carries no information, and objects ("shapes"), which are near the middle. Use
# cross-validation, and several seeds. For which images does a grid help, and for which does it hurt?

# %%
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset

for dataset, options in (("textures", {"n_train": 10, "n_test": 1}), ("shapes", {"n_train": 120, "n_test": 8, "size": 64})):
    train, _ = load_dataset(dataset, random_state=lesson.seed, **options)
    for name, levels in (("bag", 1), ("pyramid", 2)):
        one = SpatialPyramid(BagOfWords(30, norm="hellinger", random_state=lesson.seed), levels=levels)
        model = make_pipeline(DenseSIFT(step=6, bin_sizes=4), one, LinearSVC(random_state=0))
        scores = cross_val_score(model, train, train.labels, cv=3)
        lesson.report(f"{dataset}: accuracy of a {name}, cross-validated on the training set", scores.mean(), tolerance=0.08)

# %% [markdown] tags=["solution"]
# For surfaces, regions only make the bags noisier. For objects and scenes, rough positions help: the sky is above, the object
# in the middle. Fine grids hurt as soon as objects move by more than a cell. A good answer shows that the differences exceed
# the spread.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - A bag of words knows what is in an image, but not where; a pyramid knows both roughly.
# - Each descriptor has one word; regions only count it again.
# - Positions help if they carry information, and cost a code that is many times longer.

# %% [markdown] tags=["quiz"]
# **Question 1.** A pyramid has the grids 1 × 1, 2 × 2 and 4 × 4, and 200 words. How long is its code?
#
# - ( ) a) 600. :: That counts grids instead of regions.
# - ( ) b) 3,200. :: That is the finest grid only.
# - (x) c) 4,200. :: 1 + 4 + 16 = 21 regions with 200 numbers each.
# - ( ) d) 200. :: That is a bag without regions.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** Two bags sum to 1. Their Manhattan distance is 0.6. What is their intersection?
#
# - (x) a) 0.7. :: It is 1 minus half the Manhattan distance.
# - ( ) b) 0.4. :: The differences count twice in the distance: once where one bag is larger, once where the other is.
# - ( ) c) 0.6. :: This is a distance; the intersection is large for similar bags.
# - ( ) d) It depends on the words. :: For bags that sum to 1, it does not.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** Why is each region normalised on its own?
#
# - ( ) a) To save time. :: It takes a little time.
# - ( ) b) So that the whole code sums to 1. :: It sums to the number of regions with descriptors.
# - ( ) c) So that empty regions get ones. :: They have zeros.
# - (x) d) So that a region with few descriptors is compared by its content, not by its number. :: With keypoints, the number
#   differs much between regions.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** For which images does a pyramid hurt?
#
# - ( ) a) For photographs of landscapes. :: Sky and ground have typical positions, which help.
# - (x) b) For surfaces and for objects at any place. :: The position is random, so regions only add noise.
# - ( ) c) For faces that are centred. :: Eyes and mouth have typical positions.
# - ( ) d) For large images. :: Regions are fractions of the image, so its size does not matter.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** Must the words be learned again for each region?
#
# - (x) a) No: one vocabulary serves all regions, and each descriptor is assigned once. :: A word means the same in all
#   regions.
# - ( ) b) Yes, because regions look different. :: Words are shared, so that regions can be compared.
# - ( ) c) Yes, otherwise test images are used. :: The vocabulary comes from training images in any case.
# - ( ) d) Only for the finest grid. :: All grids use the same words.

# %%
lesson.quiz(5, "")
