# %% [markdown]
# # Visual words
#
# How does a program tell grass from gravel? This lesson builds one of the oldest good answers, piece by piece: describe small
# patches of a picture, give each patch one of a few dozen *words*, count the words, and let a classifier read the counts.
#
# You need to know what an array is. Everything runs offline, in under a minute. As a script:
# `python docs/lessons/visual_words.py FOLDER` writes the figures to FOLDER. In an editor that knows `# %%`, run cell by cell.

# %%
import numpy as np
from checks import check_assign_words, check_bag
from figures import Figures, plt
from skimage.data import astronaut, camera
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.evaluation import evaluate
from featrec.plotting import plot_confusion_matrix, plot_keypoints, plot_word_map, plot_words
from featrec.vocabularies import KMeansVocabulary

figures = Figures("visual_words")

# %% [markdown]
# ## 1. A descriptor
#
# To a computer a patch of 16 × 16 pixels is 256 numbers, and all of them change when a cloud passes. What changes less is
# *where the picture gets lighter, and in which direction*: its gradients. So we cut the patch into 4 × 4 cells, and in each
# cell add up how strong the gradients are in each of 8 directions. That makes 4 × 4 × 8 = 128 numbers: a **descriptor**.


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
second.set_title("its gradients point to the light")
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
figures.keep(figure, "1_descriptor")

# %% [markdown]
# Does it stand a passing cloud? Darken the patch by half, and add a little: every pixel changes, the descriptor does not.
# (Adding leaves gradients as they are; halving shrinks all of them alike, and the division by the length takes that out.)

# %%
darker = 0.5 * patch + 20
print(f"pixels differ by {np.abs(patch - darker).mean():.0f} gray levels on average")
print(f"descriptors differ by {np.abs(descriptor - describe(darker)).max():.1g} at most")

# %% [markdown]
# This is, in a dozen lines, the heart of **SIFT** (Lowe, 2004). featrec's `DenseSIFT` does the same at every point of a
# lattice, with one refinement: a gradient near the border of two cells or directions gives a share to both, so that
# nothing jumps when the patch moves by a pixel. How alike are the two? 1 would be the same.

# %%
around = photograph[top - 24 : top + 40, left - 24 : left + 40]
bag = DenseSIFT(step=1, bin_sizes=4, magnif=None).extract(around)
nearest = np.hypot(bag.frames[:, 0] - 31.5, bag.frames[:, 1] - 31.5).argmin()
print(f"ours and DenseSIFT's descriptor of this patch: {descriptor.ravel() @ bag.descriptors[nearest]:.2f}")

# %% [markdown]
# ## 2. A picture is a bag of descriptors
#
# Eight kinds of surfaces, 40 pictures of each to learn from and 40 others to test on. Every picture is described at each
# point of a lattice; the square shows how much of the picture one descriptor sees.

# %%
train, test = load_dataset("textures")
extractor = DenseSIFT(step=4, bin_sizes=4)
kinds = list(train.classes)
examples = [list(train.labels).index(kind) for kind in kinds]

figure, axes = plt.subplots(2, 4, figsize=(11, 6), layout="constrained")
for ax, example, kind in zip(axes.flat, examples, kinds, strict=True):
    plot_keypoints(train[example], extractor.extract(train[example]), ax=ax)
    ax.set_title(kind)
figures.keep(figure, "2_bags")
print(extractor.extract(train[0]))

# %% [markdown]
# ## 3. A word
#
# No two descriptors are quite the same, so they cannot be counted as they are. But they come in kinds: an edge from left to
# right, a bright corner, a blob. **k-means** finds such kinds. It puts down k points among the descriptors, and moves each to
# the mean of the descriptors that are nearest to it, again and again. The points where that comes to rest are the
# **words**, and all of them together the **vocabulary**.
#
# Only training pictures may be used for it. A vocabulary that has seen the test pictures has seen part of the exam.

# %%
vocabulary = KMeansVocabulary(60, random_state=0).fit(extractor.transform(train))
print("words:", vocabulary.words_.shape)
figures.keep(plot_words(vocabulary, train, extractor, n_words=12, n_patches=10, stretch=True), "3_words")

# %% [markdown]
# Each row is a word, shown by the patches whose descriptors are nearest to it, at full contrast. Patches in a row look
# alike, and some come from different surfaces: a word is not a class, as a letter is not a language. (Some words stand for
# noise; the night sky has much of it.)
#
# ## 4. Counting words
#
# Now a picture becomes a row of 60 numbers: for each word the share of the picture's descriptors that are nearest to it.
# Counts are divided by the number of descriptors, so that a large picture and a small one can be compared.

# %%
words = BagOfWords(FrozenEstimator(vocabulary)).fit(extractor.transform(train))
for kind in ("brick", "grass"):
    figures.keep(plot_word_map(train[examples[kinds.index(kind)]], extractor, words), f"4_map_{kind}")

# %% [markdown]
# Same vocabulary, different histograms: that difference is all the classifier will see.
#
# ## 5. What a bag forgets
#
# A bag of words knows *what* is in a picture and not *where*. Take a photograph apart into 16 blocks, shuffle them, and
# compare: how much do two rows of shares have in common? (The sum of the smaller of each two shares; 1 is everything.) To
# have a measure, compare with another photograph, too.


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

figures.keep(plot_word_map(photograph, coarse, photo_words), "5_photograph")
figures.keep(plot_word_map(shuffled, coarse, photo_words), "5_shuffled")

# %% [markdown]
# To the bag, the shuffled photograph is much the same picture; what they do not have in common are the words along the
# cuts. A **spatial pyramid** counts the whole, then each quarter, then each sixteenth on its own, and joins the 1 + 4 + 16
# bags into one row. It remembers roughly where things were: to it the shuffled photograph is little more like the
# photograph than another one is.
#
# Forgetting is no fault. Gravel is gravel in whatever order the stones lie; for surfaces the plain bag is just right. For
# scenes, with the sky above and the road below, a pyramid is worth its numbers.
#
# ## 6. A classifier
#
# From here on it is plain scikit-learn: rows of numbers in, labels out. The pipeline learns its own vocabulary from the
# pictures that it is fitted on, so nothing of the test pictures can leak in.

# %%
model = make_pipeline(extractor, BagOfWords(60, norm="hellinger", random_state=0), LinearSVC(random_state=0))
model.fit(train, train.labels)
report = evaluate(model, test, test.labels)
low, high = report.interval
print(f"{report.accuracy:.1%} of {report.n} pictures right; guessing would give {1 / len(kinds):.1%}")
print(f"These pictures are a sample: on all such pictures it may be right for {low:.1%} to {high:.1%}.")
for true, taken, count in report.most_confused(3):
    print(f"  {true} taken for {taken}: {count} times")
figures.keep(plot_confusion_matrix(report.confusion, report.classes).figure, "6_confusion")

# %% [markdown]
# The interval is part of the answer: if another model has one point more on these pictures, that says nothing yet.
# (`featrec.evaluation.compare` sets two models side by side, picture by picture, and tells what is beyond chance.)
#
# ## 7. Your turn
#
# Write the two functions in the middle of it all.
#
# - `assign_words(descriptors, words)`: the number of the nearest word of each descriptor.
# - `bag(words, k)`: the share of each of the k words; all zeros for a picture without descriptors.
#
# Then run the checks. They know the usual mistakes by name.


# %%
def assign_words(descriptors, words): ...


def bag(words, k): ...


print(check_assign_words(assign_words))
print(check_bag(bag))

# %% [markdown]
# What a check says about the commonest mistake of all: a program that runs, looks right, and loses accuracy silently.


# %%
def mistaken_bag(words, k):
    return np.histogram(words, bins=k)[0] / len(words)


print(check_bag(mistaken_bag))

# %% [markdown]
# ### One solution
#
# Squared distances are enough: where the distance is smallest, its square is, too.


# %%
def assign_words(descriptors, words):
    differences = descriptors[:, None].astype(float) - words
    return (differences**2).sum(axis=2).argmin(axis=1)


def bag(words, k):
    return np.bincount(words, minlength=k) / max(1, len(words))


print(check_assign_words(assign_words))
print(check_bag(bag))

# %% [markdown]
# And are they what featrec computes? Ours first, for one picture, then `BagOfWords` from section 4.

# %%
ours = bag(assign_words(extractor.extract(test[0]).descriptors, vocabulary.words_), 60)
theirs = words.transform(extractor.transform(test[:1]))[0]
print("the same:", np.allclose(ours, theirs, atol=1e-6))

# %% [markdown]
# ## To go on
#
# - Take 10 words, then 500. Where does the accuracy stop growing?
# - Put `SpatialPyramid(BagOfWords(60))` into the model. Does it help on `textures`? On `load_dataset("shapes")`?
# - Show the model a picture of your own: `model.predict(["my_wall.jpg"])`.
