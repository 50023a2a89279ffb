# %% [markdown] tags=["slide"]
# # Lesson 6: bags, soft assignment, LLC
#
# **Aims.** After this lesson you can
#
# - count words in a way that is comparable between images,
# - share the vote of a descriptor among several words, and
# - reconstruct a descriptor from its nearest words (LLC), and say when this helps.
#
# **Time.** 90 minutes: 25 to read, 50 for the exercises, 15 for the open question.
#
# **Prerequisites.** Lesson 5 (words); the normal distribution; systems of linear equations.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(6)

# %% [markdown] tags=["instructor"]
# **Plan.** 10 min histograms of two images (first figure), 10 min plain bag, 15 min the border between two words and soft
# assignment, 15 min LLC on the board with two words, 30 min exercises, 10 min pitfall and quiz. The open question is
# homework.
#
# **Misconceptions.**
#
# - *Counts are fine, the classifier scales them.* It cannot: the factor differs from image to image.
# - *A dict of counts is the same as an array.* Words that do not occur have no entry, so positions do not match.
# - *Softer is better.* With a large sigma, all images have the same bag.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (empty images, far descriptors, many
# words). Open question: 3 points for a curve over sigma with its spread, 2 points for a conclusion that the figure supports.

# %% [markdown] tags=["slide"]
# ## 1. From words to a row of numbers
#
# Each descriptor has a word. The **bag of words** of an image is the share of each word. It has the same length for every
# image, whatever its size, so any classifier can use it.

# %% tags=["slide"]
from sklearn.frozen import FrozenEstimator

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import LLC, BagOfWords, SoftBagOfWords, SpatialPyramid
from featrec.plotting import plot_word_map

train, _ = load_dataset("textures", n_train=12, n_test=1, random_state=lesson.seed)
classes = lesson.order(train.classes)
extractor = DenseSIFT(step=4, bin_sizes=4)
bags = list(extractor.transform(train))
encoder = BagOfWords(30, random_state=lesson.seed).fit(bags)
words_ = encoder.vocabulary_.words_.astype(float)
for number, name in enumerate(classes[:2], 1):
    place = list(train.labels).index(name)
    figure = plot_word_map(train[place], extractor, encoder)
    figure.suptitle(name)
    lesson.keep(figure, f"{number}_{name}")

# %% [markdown] tags=["slide"]
# ## 2. The formulas
#
# With $a_i$ the word of descriptor $i$ of $n$, and $[\,\cdot\,]$ equal to 1 if the condition holds and 0 otherwise, the share
# of word $j$ is
#
# $$h_j = \frac{1}{n} \sum_{i=1}^{n} [a_i = j].$$
#
# A descriptor between two words has to choose one of them, and a little noise changes its choice. **Soft assignment** shares
# its vote: with $z_{ij}$ the distance from word $j$,
#
# $$u_{ij} = \frac{\exp(-z_{ij}^2 / 2 \sigma^2)}{\sum_{l} \exp(-z_{il}^2 / 2 \sigma^2)}, \qquad
# h_j = \frac{1}{n} \sum_{i=1}^{n} u_{ij}.$$

# %% [markdown]
# ## 3. Exercise: a bag
#
# `words` are the words of all descriptors of one image, each from 0 to k - 1. Return the k shares; all zeros for an image
# without descriptors.


# %% tags=["exercise"]
def bag(words, k):
    counts = np.bincount(words, minlength=k)  # blank: how often each word occurs: shape (k,)
    return counts / max(1, len(words))  # blank: the shares; never divide by 0


# %%
print(lesson.check(bag))

# %% [markdown] tags=["solution"]
# `np.histogram(words, bins=k, range=(0, k))[0] / max(1, len(words))` is the same in other words. Without the range, the bins
# depend on the smallest and largest word of the image: the program runs, and the accuracy is lower.

# %% [markdown]
# ## 4. Exercise: a soft bag
#
# `distances` has shape (n, k). Return the mean votes of the k words. A descriptor may be so far from all words that all its
# weights are rounded to 0: multiply all weights of a descriptor by the same number first; it cancels in the division.


# %% tags=["exercise"]
def soft_bag(distances, sigma):
    squares = distances**2
    squares = squares - squares.min(axis=1, keepdims=True)  # blank: squares minus the smallest square of each descriptor
    weights = np.exp(-squares / (2 * sigma**2))  # blank: Gaussian weights: shape (n, k)
    votes = weights / weights.sum(axis=1, keepdims=True)  # blank: the votes of each descriptor sum to 1
    return votes.sum(axis=0) / max(1, len(votes))


# %%
print(lesson.check(soft_bag))

# %% [markdown] tags=["solution"]
# $\exp(-(z^2 - m) / 2\sigma^2) = \exp(m / 2\sigma^2) \exp(-z^2 / 2\sigma^2)$: the factor is the same for all words of a
# descriptor, and cancels. This trick is worth remembering; softmax layers use it too.

# %% tags=["slide"]
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
try:
    positions = np.linspace(-1, 4, 400)
    to_words = np.abs(positions[:, None] - np.array([0.0, 1.0, 3.0]))
    for sigma, style in ((0.05, ":"), (0.4, "-"), (1.5, "--")):
        votes = np.array([soft_bag(row[None], sigma) for row in to_words])
        for vote, color in zip(votes.T, ("#0072B2", "#D55E00", "#009E73"), strict=True):
            ax.plot(positions, vote, style, color=color)
    ax.plot([0, 1, 3], [0, 0, 0], "*", color="#2b2f36", markersize=12)
    ax.set(xlabel="position of a descriptor; stars are words", ylabel="vote", title="sigma 0.05 (dotted), 0.4, 1.5 (dashed)")
    lesson.keep(figure, "3_votes")
except Exception as error:
    print("Solve exercise 4 first:", error)

# %% [markdown] tags=["slide"]
# ## 5. LLC: reconstruct the descriptor
#
# Soft votes depend on distances only. **Locality-constrained linear coding** looks for weights $c$ of the nearest words so
# that the weighted mean of the words is the descriptor. With the differences $Z$, one row $w_j - x$ per word, it minimises
#
# $$\Vert c^T Z \Vert^2 + \lambda\, \mathrm{tr}(Z Z^T) \Vert c \Vert^2 \quad \mathrm{with} \quad \sum_j c_j = 1.$$
#
# The solution: solve $(C + \lambda\, \mathrm{tr}(C)\, I)\, c = 1$ with $C = Z Z^T$, and divide $c$ by its sum. The codes of
# an image are pooled by their maximum, not by their mean.

# %% [markdown]
# ## 6. Exercise: LLC
#
# `descriptor` has shape (d,), `near` contains its nearest words, shape (m, d). Return the m weights.


# %% tags=["exercise"]
def llc_weights(descriptor, near, regularization):
    differences = near - descriptor  # blank: words minus descriptor: shape (m, d)
    gram = differences @ differences.T  # blank: products of all pairs of differences: shape (m, m)
    matrix = gram + regularization * np.trace(gram) * np.eye(len(near))  # blank: the regularised matrix
    weights = np.linalg.solve(matrix, np.ones(len(near)))  # blank: solve matrix · weights = 1
    return weights / weights.sum()


# %%
print(lesson.check(llc_weights))

# %% [markdown] tags=["solution"]
# The Lagrange function of the minimum gives $(C + \lambda\, \mathrm{tr}(C) I)\, c = \mu 1$; the multiplier $\mu$ only scales
# $c$, and the constraint fixes the scale. Weights may be negative: a word on the other side is subtracted.

# %% [markdown]
# featrec computes the same three codes:

# %%
try:
    x = bags[0].descriptors.astype(float)
    z = np.linalg.norm(x[:, None] - words_, axis=2)
    theirs = encoder.transform(bags[:1])[0]
    lesson.report("bag: largest difference", np.abs(bag(z.argmin(axis=1), 30) - theirs).max(), tolerance=1e-5)
    frozen = FrozenEstimator(encoder.vocabulary_)
    soft = SoftBagOfWords(frozen, n_neighbors=None).fit(bags)
    theirs = soft.transform(bags[:1])[0]
    lesson.report("soft bag: largest difference", np.abs(soft_bag(z, soft.sigma_) - theirs).max(), tolerance=1e-4)
    codes = np.zeros((len(x), 30))
    for code, descriptor, row in zip(codes, x, z, strict=True):
        near = np.argsort(row)[:5]
        code[near] = llc_weights(descriptor, words_[near], 1e-4)
    llc = LLC(frozen, n_neighbors=5, norm=None).fit(bags)
    lesson.report("LLC: largest difference", np.abs(codes.max(axis=0) - llc.transform(bags[:1])[0]).max(), tolerance=1e-3)
except Exception as error:
    print("Solve the exercises first:", error)

# %% [markdown] tags=["slide"]
# ## 7. Pitfall: np.histogram without a range
#
# This code runs, its result sums to 1, and it looks like a bag. What is wrong with it?

# %%
print(lesson.check(lambda words, k: np.histogram(words, bins=k)[0] / len(words), "bag"))

# %% [markdown] tags=["slide"]
# ## 8. Open question: how soft?
#
# Vary `smoothing` of `SoftBagOfWords` from 0.05 to 2, for 10 and for 100 words. Draw the cross-validated accuracy on the
# training set with its spread over seeds. For which number of words does soft assignment help more, and why?

# %%
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

for name, one in (
    ("a bag", BagOfWords(30, random_state=lesson.seed)),
    ("a soft bag", SoftBagOfWords(30, random_state=lesson.seed)),
    ("LLC in a pyramid", SpatialPyramid(LLC(30, random_state=lesson.seed), levels=2)),
):
    model = make_pipeline(DenseSIFT(step=8, bin_sizes=4), one, LinearSVC(random_state=0))
    scores = cross_val_score(model, train, train.labels, cv=3)
    lesson.report(f"accuracy of {name}, cross-validated on the training set", scores.mean(), tolerance=0.08)

# %% [markdown] tags=["solution"]
# Soft assignment helps more with many words: their cells are small, so many descriptors lie near a border. With a large
# sigma, all images get nearly the same bag, and the accuracy falls to that of guessing. A good answer shows this fall, so the
# range of sigma was wide enough.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - A bag has one position per word, for every image, and sums to 1.
# - Soft assignment shares each vote; sigma decides between a plain bag and no information.
# - LLC reconstructs descriptors from near words, and is pooled by the maximum.

# %% [markdown] tags=["quiz"]
# **Question 1.** Why is a bag divided by the number of descriptors?
#
# - ( ) a) So that numbers are small. :: Small numbers are no advantage by themselves.
# - ( ) b) Because classifiers need probabilities. :: Most classifiers accept any numbers.
# - (x) c) So that a large and a small image of the same surface have similar bags. :: Counts grow with the number of
#   descriptors; shares do not.
# - ( ) d) So that rare words count more. :: All words are divided by the same number; idf gives rare words more weight.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** `collections.Counter(words)` counts correctly. Why is it no code?
#
# - (x) a) It has no entry for words that do not occur, and no order. :: A classifier needs the same position for the same
#   word in every image.
# - ( ) b) It is too slow. :: It is slower than np.bincount, but this is not the reason.
# - ( ) c) It counts only up to 255. :: Python's integers have no such limit.
# - ( ) d) It contains floats. :: It contains integers.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** What is a soft bag for a very large sigma?
#
# - ( ) a) A plain bag. :: That is the limit of a very small sigma.
# - ( ) b) All zeros. :: The votes of each descriptor always sum to 1.
# - (x) c) The same share for all words, for every image. :: All weights become 1, whatever the distances.
# - ( ) d) The share of the nearest word only. :: That is a plain bag, the limit of a small sigma.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** A descriptor equals one of its near words. Which weights does LLC give, with a tiny regularisation?
#
# - ( ) a) Equal weights. :: They would reconstruct the mean of the near words.
# - (x) b) Nearly 1 for this word and nearly 0 for the others. :: This reconstructs the descriptor without error.
# - ( ) c) None: the matrix has no inverse. :: The regularisation makes it invertible.
# - ( ) d) Weights that are proportional to the distances. :: Far words would then count more.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** Where does a bag of words lose information that a pyramid keeps?
#
# - ( ) a) In the number of descriptors. :: Both divide by it.
# - ( ) b) In the vocabulary. :: Both use the same words.
# - ( ) c) In the distances to the words. :: Neither keeps them; soft assignment and VLAD do in part.
# - (x) d) In the positions of the descriptors. :: A bag does not know where a word occurred; a pyramid knows the region.

# %%
lesson.quiz(5, "")
