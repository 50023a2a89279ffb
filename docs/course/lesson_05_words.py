# %% [markdown] tags=["slide"]
# # Lesson 5: words
#
# **Aims.** After this lesson you can
#
# - explain why local descriptors are grouped before they are counted,
# - write k-means with two short functions, and
# - learn a vocabulary without looking at the test images.
#
# **Time.** 90 minutes: 25 to read, 45 for the exercises, 20 for the open question.
#
# **Prerequisites.** Lesson 3 (descriptors); arrays, axes and broadcasting of NumPy.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(5)

# %% [markdown] tags=["instructor"]
# **Plan.** 10 min the problem (no two descriptors are equal), 15 min k-means on the board with five points, 45 min exercises,
# 10 min pitfall, 10 min quiz. The open question is homework.
#
# **Misconceptions.**
#
# - *A word is a class.* It is not: one word occurs in images of many classes, as the figure of words shows.
# - *k-means finds the best words.* It finds a local minimum. Run it from other first words, and compare the objective.
# - *Learning words needs no labels, so test images may be used.* The result is still a model that has seen the test images.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (bytes, empty sets). Open question: 3
# points for a figure with at least five values of k and repeated runs, 2 points for a conclusion that the figure supports.

# %% [markdown] tags=["slide"]
# ## 1. No two descriptors are equal
#
# A descriptor is a list of 128 numbers. Two patches that look the same have similar descriptors, but never equal ones.
# Counting descriptors is therefore useless: each occurs once. We first group similar descriptors, and then count the groups.
#
# The centre of a group is called a **word**; all words are the **vocabulary**. In two dimensions, the groups are easy to see:

# %% tags=["slide"]
random = lesson.random("points")
centres = random.uniform(-4, 4, (5, 2))
points = np.concatenate([centre + random.normal(0, 0.8, (60, 2)) for centre in centres])
first = points[random.choice(len(points), 5, replace=False)]

figure, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
ax.scatter(*points.T, s=12, color="#8a919c", label="descriptors")
ax.scatter(*first.T, s=160, marker="*", color="#D55E00", edgecolor="white", label="first words")
ax.set(title="five groups, and five descriptors as first words", aspect="equal")
ax.legend()
lesson.keep(figure, "1_points")

# %% [markdown] tags=["slide"]
# ## 2. The formula
#
# k-means looks for words $w_1, \dots, w_k$ that are near to the descriptors $x_1, \dots, x_n$. It minimises the sum of
# squared distances
#
# $$E = \sum_{i=1}^{n} \min_j \Vert x_i - w_j \Vert^2.$$
#
# Two steps alternate, and neither can increase $E$:
#
# 1. **Assign**: $a_i = \arg\min_j \Vert x_i - w_j \Vert$, the nearest word of each descriptor.
# 2. **Move**: $w_j = \frac{1}{n_j} \sum_{i:\, a_i = j} x_i$, the mean of the $n_j$ descriptors of each word.

# %% [markdown]
# ## 3. Exercise: assign
#
# Return the index of the nearest word of each descriptor. `descriptors` has shape (n, d), `words` has shape (k, d), and the
# result has shape (n,). Replace each `...`.


# %% tags=["exercise"]
def assign_words(descriptors, words):
    differences = descriptors[:, None].astype(float) - words  # blank: each descriptor minus each word: shape (n, k, d)
    distances = (differences**2).sum(axis=2)  # blank: squared distances: shape (n, k)
    return distances.argmin(axis=1)  # blank: the index of the nearest word of each descriptor


# %%
print(lesson.check(assign_words))

# %% [markdown] tags=["solution"]
# Squared distances are enough: the word with the smallest distance also has the smallest squared distance. `astype(float)`
# matters for bytes, because differences of uint8 wrap round. `np.linalg.norm(differences, axis=2)` is the same in other
# words.

# %% [markdown]
# ## 4. Exercise: move
#
# Return new words: each is the mean of the descriptors that are assigned to it. A word without descriptors stays where it is.


# %% tags=["exercise"]
def move_words(descriptors, assigned, words):
    moved = words.astype(float)
    for number in range(len(words)):
        members = descriptors[assigned == number]  # blank: the descriptors of this word
        if len(members):
            moved[number] = members.mean(axis=0)  # blank: their mean: shape (d,)
    return moved


# %%
print(lesson.check(move_words))

# %% [markdown] tags=["solution"]
# `words.astype(float)` makes a copy, so the argument is not changed. Without `if len(members)`, the mean of nothing is NaN,
# and one NaN makes all later distances NaN.

# %% [markdown]
# With both functions, the words find the groups. (If a function is not right yet, the figure is not either.)

# %% tags=["slide"]
try:
    history = [first]
    for _ in range(8):
        history.append(move_words(points, assign_words(points, history[-1]), history[-1]))
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained", sharey=True)
    for ax, n_rounds in zip(axes, (0, 1, 8), strict=True):
        words = history[n_rounds]
        ax.scatter(*points.T, s=12, c=assign_words(points, words), cmap="Set2")
        ax.plot(*np.array(history[: n_rounds + 1]).transpose(2, 0, 1), color="#2b2f36", lw=1)
        ax.scatter(*words.T, s=160, marker="*", color="#D55E00", edgecolor="white", zorder=3)
        ax.set(title=f"after {n_rounds} rounds", aspect="equal")
    lesson.keep(figure, "2_rounds")
except Exception as error:
    print("Solve exercises 3 and 4 first:", error)

# %% [markdown]
# ## 5. Exercise: learn a vocabulary
#
# Images come as two lists: `train[i]` and `test[i]` are the descriptors of one image. Start with the given words, repeat both
# steps `n_rounds` times, and return the words. Which images may you use? (The function calls those of exercises 3 and 4, so
# solve them first.)


# %% tags=["exercise"]
def learn_vocabulary(train, test, words, n_rounds):
    descriptors = np.concatenate(train)  # blank: the descriptors of all images that may be used: shape (n, d)
    for _ in range(n_rounds):
        assigned = assign_words(descriptors, words)  # blank: the first step
        words = move_words(descriptors, assigned, words)  # blank: the second step
    return words


# %%
print(lesson.check(learn_vocabulary))

# %% [markdown] tags=["solution"]
# The test images stand for images that nobody has seen yet. Words that were learned from them fit them better than they will
# fit new images, so the measured accuracy is too high.

# %% [markdown] tags=["slide"]
# ## 6. Words of real images
#
# The same functions on dense SIFT descriptors of eight surfaces. Each row shows the patches whose descriptors are nearest to
# one word.

# %% tags=["slide"]
from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.plotting import plot_words
from featrec.vocabularies import KMeansVocabulary

train, test = load_dataset("textures", n_train=10, n_test=10, random_state=lesson.seed)
extractor = DenseSIFT(step=8, bin_sizes=4)
bags = list(extractor.transform(train))
vocabulary = KMeansVocabulary(20, max_iter=100, tol=0, random_state=lesson.seed).fit(bags)
lesson.keep(plot_words(vocabulary, train, extractor, n_words=8, n_patches=10, stretch=True), "3_words")

# %% [markdown]
# featrec's `KMeansVocabulary` does what your two functions do, until no descriptor changes its word. Its words are therefore
# a fixed point of your two steps:

# %%
try:
    descriptors = np.concatenate([bag.descriptors for bag in bags]).astype(float)
    again = move_words(descriptors, assign_words(descriptors, vocabulary.words_), vocabulary.words_)
    lesson.report("largest move of a word", np.abs(again - vocabulary.words_).max(), tolerance=0.01)
except Exception as error:
    print("Solve exercises 3 and 4 first:", error)
lesson.report("sum of squared distances per descriptor", vocabulary.inertia_ / len(descriptors), tolerance=0.01)

# %% [markdown] tags=["slide"]
# ## 7. Pitfall: an array of n · k · d numbers
#
# `descriptors[:, None] - words` is short, but it holds one number per descriptor, word and dimension. How much memory is that
# for 100,000 descriptors, 500 words and 128 dimensions?

# %%
print(f"{100_000 * 500 * 128 * 8 / 1e9:.0f} GB")

# %% [markdown]
# The square can be expanded: $\Vert x - w \Vert^2 = \Vert x \Vert^2 - 2\, x \cdot w + \Vert w \Vert^2$. The first term does
# not depend on the word, and the second is a matrix product, so $n \cdot k$ numbers are enough:

# %%
try:
    expanded = (vocabulary.words_.astype(float) ** 2).sum(axis=1) - 2 * descriptors @ vocabulary.words_.T
    assigned = assign_words(descriptors, vocabulary.words_)
    print("the same words:", np.array_equal(expanded[np.arange(len(assigned)), assigned], expanded.min(axis=1)))
except Exception as error:
    print("Solve exercise 3 first:", error)

# %% [markdown]
# The price is precision: two large numbers are subtracted. In float32, a common offset of the descriptors of a thousand times
# their spread makes many results wrong. Subtract the mean first.

# %% [markdown] tags=["slide"]
# ## 8. Open question: how many words?
#
# With more words, the sum of squared distances always decreases. Does the accuracy always increase? Plan an experiment:
# choose values of k, repeat each with several seeds, use only part of the training images for learning and the rest for
# choosing, and draw both curves with their spread. At which k would you stop, and what does your figure say about it?

# %%
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.encoders import BagOfWords

model = make_pipeline(extractor, BagOfWords(20, random_state=lesson.seed), LinearSVC(random_state=0))
scores = cross_val_score(model, train, train.labels, cv=3)
lesson.report("accuracy with 20 words, cross-validated on the training set", scores.mean(), tolerance=0.06)

# %% [markdown] tags=["solution"]
# The sum of squared distances decreases down to 0 at k = n. The accuracy rises steeply for small k, then stays within the
# spread of the seeds. With few training images and many words, most counts are 0 or 1 and it may fall. A good answer stops at
# the smallest k whose mean lies within one standard deviation of the best, and does not use the test images for this choice.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - A word is the mean of a group of similar descriptors. It is not a class.
# - k-means alternates two steps; neither increases the sum of squared distances. The result depends on the first words.
# - Everything that is learned, words included, is learned from training images only.

# %% [markdown] tags=["quiz"]
# **Question 1.** Why are descriptors grouped before they are counted?
#
# - ( ) a) Grouping makes them shorter. :: A word is as long as a descriptor. Grouping reduces the number of different
#   descriptors.
# - (x) b) Hardly two descriptors are equal, so each would be counted once. :: Counts are useful only if the same thing occurs
#   again.
# - ( ) c) Grouping needs no labels. :: That is true, but it is no reason to group.
# - ( ) d) Each group is a class. :: A word occurs in images of several classes.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** The move step takes the mean. Which sum is smallest for the mean?
#
# - ( ) a) The sum of distances. :: The point with the smallest sum of distances is the geometric median.
# - ( ) b) The sum of absolute differences. :: The median of each dimension has the smallest sum of absolute differences.
# - (x) c) The sum of squared distances. :: Setting the derivative to zero gives the mean.
# - ( ) d) The largest distance. :: The centre of the smallest enclosing ball has the smallest largest distance.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** Two runs from different first words give different words. Why?
#
# - (x) a) k-means stops in a local minimum. :: Each step only decreases the sum from where it is.
# - ( ) b) There is an error: the result must be the same. :: Only the best possible sum is unique, and k-means may miss it.
# - ( ) c) The number of rounds was too small. :: More rounds do not leave a local minimum.
# - ( ) d) The mean is not unique. :: The mean of a set is unique.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** Learning words needs no labels. May the test images be used?
#
# - ( ) a) Yes, because the labels are not used. :: The words still fit the test images better than new images.
# - ( ) b) Yes, if there are more training images than test images. :: A small influence is still an influence.
# - (x) c) No: nothing may be learned from images that stand for unseen ones. :: The accuracy must hold for images that did
#   not exist when the model was made.
# - ( ) d) No, because it takes longer. :: Time is not the reason.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** ORB descriptors are packed bits. What happens if k-means treats their bytes as numbers?
#
# - ( ) a) Nothing, the nearest word stays the same. :: Distances between bytes and distances between bits have different
#   orders.
# - (x) b) It runs, but finds wrong neighbours: one different bit may count as 1 or as 128. :: The metric of bits is the
#   Hamming distance; lesson 4 explains it.
# - ( ) c) It fails with an error. :: NumPy computes the mean of any bytes; that is why the error is not noticed. featrec
#   refuses it.
# - ( ) d) The words become longer. :: The length stays the same.

# %%
lesson.quiz(5, "")
