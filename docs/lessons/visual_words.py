# %% [markdown]
# # Visual words
#
# How can a program distinguish grass from gravel? This lesson builds a classic method step by step: describe small patches of
# an image, assign each patch to one of a few dozen *words*, count the words, and train a classifier on the counts.
#
# You need to know what an array is. Everything runs offline, in less than a minute. As a script,
# `python docs/lessons/visual_words.py FOLDER` writes the figures to FOLDER. Editors that support `# %%` run it cell by cell.
# The course has a lesson on each step, with more exercises.

# %%
import numpy as np
from skimage.data import astronaut, camera
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.course import Lesson
from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.evaluation import evaluate
from featrec.plotting import plot_confusion_matrix, plot_keypoints, plot_word_map, plot_words
from featrec.vocabularies import KMeansVocabulary

try:
    import matplotlib.pyplot as plt
except ModuleNotFoundError as error:
    raise SystemExit(f'The demo needs matplotlib, which is missing ({error}): pip install ".[plot]"') from None

words_lesson, bags_lesson = Lesson(5), Lesson(6)  # of the course, for their checks

# %% [markdown]
# ## 1. A descriptor
#
# For a computer, a patch of 16 × 16 pixels is 256 numbers, and all of them change when a cloud passes. The gradients, which
# show *where the image gets lighter, and in which direction*, change less. We therefore divide the patch into 4 × 4 cells, and
# in each cell sum the strength of the gradients in each of 8 directions. This gives 4 × 4 × 8 = 128 numbers: a **descriptor**.


# %%
def describe(patch):
    dy, dx = np.gradient(patch.astype(float))
    strength = np.hypot(dx, dy)
    direction = np.rint(np.arctan2(dy, dx) / (2 * np.pi) * 8).astype(int) % 8
    cells = np.zeros((4, 4, 8))
    for y in range(16):
        for x in range(16):
            cells[y // 4, x // 4, direction[y, x]] += strength[y, x]
    return cells / np.linalg.norm(cells)


photograph = camera()
top, left = 160, 320
patch = photograph[top : top + 16, left : left + 16]
descriptor = describe(patch)

# %%
dy, dx = np.gradient(patch.astype(float))
figure, (first, second, third) = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
first.imshow(patch, cmap="gray", vmin=0, vmax=255)
first.set_title("a patch")
second.imshow(patch, cmap="gray", vmin=-150, vmax=255)
second.quiver(dx, dy, color="#D55E00", angles="xy", scale=700, width=0.006)
second.set_title("its gradients point towards light pixels")
third.set(xlim=(0, 4), ylim=(4, 0), aspect="equal", title="its descriptor: 4 × 4 cells, 8 directions")
for row, column, k in np.argwhere(descriptor > 0):
    length, angle = 0.9 * descriptor[row, column, k] / descriptor.max(), 2 * np.pi * k / 8
    across, down = length * np.cos(angle), length * np.sin(angle)
    third.quiver(column + 0.5, row + 0.5, across, down, color="#0072B2", angles="xy", scale_units="xy", scale=1, width=0.008)
third.set_xticks(range(5), [])
third.set_yticks(range(5), [])
third.grid(color="#d5d9df")
for ax in (first, second):
    ax.set_axis_off()
bags_lesson.keep(figure, "1_descriptor")

# %% [markdown]
# Does the descriptor change when a cloud passes? Halve all pixel values and add a constant: every pixel changes, but the
# descriptor does not. (A constant does not change gradients. Halving halves all of them, and the division by the length
# cancels this factor.)

# %%
darker = 0.5 * patch + 20
print(f"pixels differ by {np.abs(patch - darker).mean():.0f} gray levels on average")
print(f"descriptors differ by {np.abs(descriptor - describe(darker)).max():.1g} at most")

# %% [markdown]
# These dozen lines are the core of **SIFT** (Lowe, 2004). featrec's `DenseSIFT` does the same at every point of a grid, with
# one refinement: a gradient near the border of two cells or directions counts partly for both, so that the descriptor
# changes little when the patch moves by a pixel. The next cell compares the two descriptors; 1 means identical.

# %%
around = photograph[top - 24 : top + 40, left - 24 : left + 40]
bag = DenseSIFT(step=1, bin_sizes=4, magnif=None).extract(around)
nearest = np.hypot(bag.frames[:, 0] - 31.5, bag.frames[:, 1] - 31.5).argmin()
print(f"ours and DenseSIFT's descriptor of this patch: {descriptor.ravel() @ bag.descriptors[nearest]:.2f}")

# %% [markdown]
# ## 2. An image is a bag of descriptors
#
# The dataset has eight types of surfaces, with 40 training images and 40 test images each. The extractor describes each image
# at all points of a grid. The square shows the part of the image that one descriptor covers.

# %%
train, test = load_dataset("textures")
extractor = DenseSIFT(step=4, bin_sizes=4)
kinds = list(train.classes)
examples = [list(train.labels).index(kind) for kind in kinds]

figure, axes = plt.subplots(2, 4, figsize=(11, 6), layout="constrained")
for ax, example, kind in zip(axes.flat, examples, kinds, strict=True):
    plot_keypoints(train[example], extractor.extract(train[example]), ax=ax)
    ax.set_title(kind)
bags_lesson.keep(figure, "2_bags")
print(extractor.extract(train[0]))

# %% [markdown]
# ## 3. A word
#
# No two descriptors are exactly equal, so we cannot count them directly. But many are similar: an edge from left to right, a
# bright corner, a blob. **k-means** finds such groups. It starts with k points among the descriptors, and repeatedly moves
# each point to the mean of the descriptors that are nearest to it. When the points no longer move, they are the **words**;
# together they form the **vocabulary**.
#
# Only training images may be used for this. A vocabulary learned from test images makes the test too easy.

# %%
vocabulary = KMeansVocabulary(60, random_state=0).fit(extractor.transform(train))
print("words:", vocabulary.words_.shape)
bags_lesson.keep(plot_words(vocabulary, train, extractor, n_words=12, n_patches=10, stretch=True), "3_words")

# %% [markdown]
# Each row shows one word: the patches whose descriptors are nearest to it, with stretched contrast. Patches in a row look
# similar, although some show different surfaces. A word is therefore not a class. (Some words represent noise, of which
# the night sky has a lot.)
#
# ## 4. Counting words
#
# Each image now becomes a row of 60 numbers: for each word, the share of the image's descriptors that are nearest to it.
# Dividing the counts by the number of descriptors makes large and small images comparable.

# %%
words = BagOfWords(FrozenEstimator(vocabulary)).fit(extractor.transform(train))
for kind in ("brick", "grass"):
    bags_lesson.keep(plot_word_map(train[examples[kinds.index(kind)]], extractor, words), f"4_map_{kind}")

# %% [markdown]
# The vocabulary is the same, but the histograms differ. The classifier sees only this difference.
#
# ## 5. What a bag of words loses
#
# A bag of words contains *what* is in an image, but not *where*. To see this, we cut a photograph into 16 blocks and shuffle
# them. How much do the two rows of shares have in common? (For each word, take the smaller share, and sum them; 1 means
# equal.) For comparison, we also use another photograph.


# %%
def in_common(first, second):
    return np.minimum(first, second).sum() / first.sum()


blocks = [photograph[y : y + 128, x : x + 128] for y in range(0, 512, 128) for x in range(0, 512, 128)]
order = np.random.default_rng(0).permutation(16)
shuffled = np.block([[blocks[order[4 * row + column]] for column in range(4)] for row in range(4)])

coarse = DenseSIFT(step=8, bin_sizes=8)
three = coarse.transform([photograph, shuffled, astronaut()])
photo_words = BagOfWords(60, random_state=0).fit(three)
pyramid = SpatialPyramid(FrozenEstimator(photo_words), levels=3).fit(three)
for name, encoder in (("bag of words", photo_words), ("pyramid", pyramid)):
    whole, pieces, other = encoder.transform(three)
    print(f"{name} of {len(whole):,} numbers, in common with the photograph:")
    print(f"  shuffled {in_common(whole, pieces):.0%}, another photograph {in_common(whole, other):.0%}")

bags_lesson.keep(plot_word_map(photograph, coarse, photo_words), "5_photograph")
bags_lesson.keep(plot_word_map(shuffled, coarse, photo_words), "5_shuffled")

# %% [markdown]
# For the bag of words, the shuffled photograph is nearly the same image. Only the words along the cuts differ. A **spatial
# pyramid** counts the words in the whole image, in each quarter and in each sixteenth, and concatenates the 1 + 4 + 16 bags
# to one row. It contains rough positions: for the pyramid, the shuffled photograph is hardly more similar to the original
# than another photograph is.
#
# Losing positions can be useful. Gravel looks like gravel wherever the stones lie, so for surfaces the plain bag is enough.
# For scenes, with sky above and road below, a pyramid is better.
#
# ## 6. A classifier
#
# The rest is plain scikit-learn: rows of numbers in, labels out. The pipeline learns its own vocabulary from the images that
# it is fitted on, so no test image can influence it.

# %%
model = make_pipeline(extractor, BagOfWords(60, norm="hellinger", random_state=0), LinearSVC(random_state=0))
model.fit(train, train.labels)
report = evaluate(model, test, test.labels)
low, high = report.interval
print(f"{report.accuracy:.1%} of {report.n} images correct; guessing would give {1 / len(kinds):.1%}")
print(f"95 % confidence interval of the accuracy on all such images: {low:.1%} to {high:.1%}.")
for true, taken, count in report.most_confused(3):
    print(f"  {true} predicted as {taken}: {count} times")
bags_lesson.keep(plot_confusion_matrix(report.confusion, report.classes).figure, "6_confusion")

# %% [markdown]
# The interval is important: if another model is one point better on these images, this may be chance.
# (`featrec.evaluation.compare` compares two models image by image, and tests whether a difference is significant.)
#
# ## 7. Your turn
#
# Write the two central functions of the method:
#
# - `assign_words(descriptors, words)`: the index of the nearest word for each descriptor.
# - `bag(words, k)`: the share of each of the k words; all zeros for an image without descriptors.
#
# Then run the checks, which recognise the usual mistakes. A solution is at the end of this page.


# %%
def assign_words(descriptors, words): ...


def bag(words, k): ...


print(words_lesson.check(assign_words))
print(bags_lesson.check(bag))

# %% [markdown]
# The next cell shows the check for the most common mistake: code that runs and looks right, but loses accuracy silently.


# %%
def mistaken_bag(words, k):
    return np.histogram(words, bins=k)[0] / len(words)


print(bags_lesson.check(mistaken_bag, "bag"))

# %% [markdown]
# ## 8. Next steps
#
# - Use 10 words, then 500. When does the accuracy stop increasing? Lesson 5 of the course plans this experiment.
# - Use `SpatialPyramid(BagOfWords(60))` in the model. Does it help on `textures`? On `load_dataset("shapes")`? Lesson 7 builds
#   the pyramid.
# - Classify your own image: `model.predict(["my_wall.jpg"])`.
# - Take [the course](../course/README.md): ten lessons from pixels to the comparison with networks, in which you write each
#   step.

# %% [markdown]
# ## 9. One solution
#
# Squared distances are enough: the word with the smallest distance also has the smallest squared distance.


# %%
def assign_words(descriptors, words):
    differences = descriptors[:, None].astype(float) - words
    return (differences**2).sum(axis=2).argmin(axis=1)


def bag(words, k):
    return np.bincount(words, minlength=k) / max(1, len(words))


print(words_lesson.check(assign_words))
print(bags_lesson.check(bag))

# %% [markdown]
# Does featrec compute the same? The next cell compares our bag of one image with `BagOfWords` from section 4.

# %%
ours = bag(assign_words(extractor.extract(test[0]).descriptors, vocabulary.words_), 60)
theirs = words.transform(extractor.transform(test[:1]))[0]
print("the same:", np.allclose(ours, theirs, atol=1e-6))
