# %% [markdown] tags=["slide"]
# # Lesson 8: VLAD and Fisher vectors
#
# **Aims.** After this lesson you can
#
# - explain what a count of words loses, and how residuals keep it,
# - write VLAD and the Fisher vector in a few lines, and
# - choose between many words that are counted and few words that are described.
#
# **Time.** 90 minutes: 30 to read, 45 for the exercises, 15 for the open question.
#
# **Prerequisites.** Lessons 5 and 6 (words, bags); the normal distribution; the chain rule.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(8)

# %% [markdown] tags=["instructor"]
# **Plan.** 10 min two images with equal counts (first figure), 15 min residuals and VLAD, 15 min mixtures and the gradient on
# the board for one dimension, 40 min exercises, 10 min pitfall and quiz. The open question is homework.
#
# **Misconceptions.**
#
# - *VLAD is a soft bag of words.* It is not: each descriptor has one word, but the code stores where it lies relative to the
#   word.
# - *A Fisher vector needs as many words as a bag.* It has 2 d numbers per component, so few components are enough.
# - *The gradient is taken to train the mixture.* The mixture is fixed; the gradient tells how an image would like to change
#   it.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (bytes, empty images, empty words).
# Open question: 3 points for accuracies at equal lengths of codes with their spread, 2 points for a conclusion that they
# support.

# %% [markdown] tags=["slide"]
# ## 1. Equal counts, different images
#
# A bag counts how many descriptors belong to each word. It does not know where they lie around the word. The two images below
# have the same bag, although all their descriptors differ:

# %% tags=["slide"]
random = lesson.random("points")
words = np.array([[-2.0, 0.0], [2.0, 0.5], [0.0, 3.0]])
assigned = np.repeat([0, 1, 2], [30, 20, 10])
shifts = random.normal(0, 0.25, (60, 2))
images = [words[assigned] + shifts + offset for offset in ([0.5, 0.3], [-0.4, -0.5])]

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained", sharey=True)
for ax, descriptors, color in zip(axes, images, ("#0072B2", "#009E73"), strict=True):
    ax.scatter(*descriptors.T, s=14, color=color)
    ax.scatter(*words.T, s=170, marker="*", color="#D55E00", edgecolor="white", zorder=3)
    for number, word in enumerate(words):
        across, down = (descriptors[assigned == number] - word).mean(axis=0)
        ax.arrow(*word, across, down, width=0.05, color="#2b2f36", length_includes_head=True, zorder=4)
    ax.set(title=f"counts {np.bincount(assigned).tolist()}; arrows: mean residuals", aspect="equal")
lesson.keep(figure, "1_equal_counts")

# %% [markdown] tags=["slide"]
# ## 2. The formulas
#
# **VLAD** sums the residuals of each word: with $a_i$ the nearest word of the descriptor $x_i$,
#
# $$v_j = \sum_{i:\, a_i = j} (x_i - w_j).$$
#
# The code has $k \cdot d$ numbers. The **Fisher vector** replaces words by a mixture of Gaussians with weights $\pi_j$, means
# $\mu_j$ and standard deviations $\sigma_j$. The posterior $q_{ij}$ is the probability that component $j$ has made descriptor
# $x_i$. With $z_{ij} = (x_i - \mu_j) / \sigma_j$, the code consists of the gradients of the log-likelihood, divided by the
# roots of the Fisher information:
#
# $$g^{\mu}_j = \frac{1}{n \sqrt{\pi_j}} \sum_{i} q_{ij}\, z_{ij}, \qquad
# g^{\sigma}_j = \frac{1}{n \sqrt{2 \pi_j}} \sum_{i} q_{ij} (z_{ij}^2 - 1).$$

# %% [markdown]
# ## 3. Exercise: sums of residuals
#
# Return an array of shape (k, d): for each word, the sum of its descriptors minus the word.


# %% tags=["exercise"]
def sum_residuals(descriptors, words):
    differences = descriptors[:, None].astype(float) - words  # blank: each descriptor minus each word: shape (n, k, d)
    nearest = (differences**2).sum(axis=2).argmin(axis=1)  # blank: the nearest word of each descriptor
    residuals = np.zeros(words.shape)
    for number in range(len(words)):
        residuals[number] = differences[nearest == number, number].sum(axis=0)  # blank: the sum of this word's residuals
    return residuals


# %%
print(lesson.check(sum_residuals))

# %% [markdown] tags=["solution"]
# `np.add.at(residuals, nearest, descriptors - words[nearest])` is the same in other words. `residuals[nearest] += ...` is
# not: NumPy adds once per index, so only the last descriptor of each word counts.

# %% [markdown]
# ## 4. Exercise: normalise words
#
# A word with many descriptors has long residuals and dominates the code. Divide the residuals of each word by their length,
# write all words in one row, and divide the row by its length. Zeros stay zeros.


# %% tags=["exercise"]
def normalize_words(residuals):
    lengths = np.linalg.norm(residuals, axis=1, keepdims=True)  # blank: the length of each row: shape (k, 1)
    code = (residuals / np.where(lengths > 0, lengths, 1)).ravel()  # blank: rows of length 1, written in one row
    length = np.linalg.norm(code)  # blank: the length of the code
    return code / (length if length > 0 else 1)


# %%
print(lesson.check(normalize_words))

# %% [markdown] tags=["solution"]
# This is intra-normalisation (Arandjelović and Zisserman, 2013). `keepdims=True` keeps the axis, so that each row is divided
# by its own length. Without `np.where`, an empty word gives 0 / 0.

# %% tags=["slide"]
from sklearn.pipeline import make_pipeline

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT, Whiten
from featrec.encoders import VLAD, BagOfWords, FisherVector
from featrec.vocabularies import GaussianVocabulary

train, _ = load_dataset("textures", n_train=12, n_test=1, random_state=lesson.seed)
classes = lesson.order(train.classes)
extractor = make_pipeline(DenseSIFT(step=8, bin_sizes=4), Whiten(16, whiten=False))
bags = list(extractor.fit(train).transform(train))
encoder = VLAD(8, random_state=lesson.seed).fit(bags)
try:
    ours = normalize_words(sum_residuals(bags[0].descriptors, encoder.vocabulary_.words_))
    lesson.report("largest difference from featrec's VLAD", np.abs(ours - encoder.transform(bags[:1])[0]).max(), tolerance=1e-4)
except Exception as error:
    print("Solve exercises 3 and 4 first:", error)

figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), layout="constrained", sharey=True)
for ax, name in zip(axes, classes, strict=False):
    place = list(train.labels).index(name)
    ax.imshow(encoder.transform(bags[place : place + 1]).reshape(8, -1), cmap="RdBu", vmin=-0.25, vmax=0.25)
    ax.set(title=name, xlabel="dimension")
axes[0].set_ylabel("word")
lesson.keep(figure, "2_codes")

# %% [markdown]
# ## 5. Exercise: Fisher vector
#
# The arguments are the descriptors (n, d), their posteriors (n, k), and weights (k,), means (k, d) and variances (k, d) of
# the mixture. Return one row: the gradients with respect to all means, component after component, and then those with respect
# to all standard deviations. An image without descriptors has zeros.


# %% tags=["exercise"]
def fisher_vector(descriptors, posteriors, weights, means, variances):
    z = (descriptors[:, None] - means) / np.sqrt(variances)  # blank: standardised differences: shape (n, k, d)
    q = posteriors[:, :, None]
    by_mean = (q * z).sum(axis=0) / np.sqrt(weights)[:, None]  # blank: sums with respect to the means: shape (k, d)
    by_deviation = (q * (z**2 - 1)).sum(axis=0) / np.sqrt(2 * weights)[:, None]  # blank: with respect to the deviations
    return np.concatenate([by_mean, by_deviation]).ravel() / max(1, len(descriptors))


# %%
print(lesson.check(fisher_vector))

# %% [markdown] tags=["solution"]
# The gradient with respect to $\mu_j$ follows from $\log p(x) = \log \sum_j \pi_j p_j(x)$: its derivative is $q_j$ times the
# derivative of $\log p_j(x)$, which is $z / \sigma$. The division by the root of the Fisher information turns $z / \sigma$ to
# $z / \sqrt{\pi}$.

# %%
gaussians = GaussianVocabulary(4, min_variance=0.01, random_state=lesson.seed)
fisher = FisherVector(gaussians, power=1, norm=None).fit(bags)
mixture = fisher.vocabulary_
try:
    x = bags[0].descriptors.astype(float)
    logs = np.log(mixture.weights_) - 0.5 * (
        np.log(2 * np.pi * mixture.covariances_) + (x[:, None] - mixture.means_) ** 2 / mixture.covariances_
    ).sum(axis=2)
    posteriors = np.exp(logs - logs.max(axis=1, keepdims=True))
    posteriors /= posteriors.sum(axis=1, keepdims=True)
    ours = fisher_vector(x, posteriors, mixture.weights_, mixture.means_, mixture.covariances_)
    theirs = fisher.transform(bags[:1])[0]
    difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
    lesson.report("largest difference from featrec's Fisher vector, relative", difference, tolerance=1e-3)
except Exception as error:
    print("Solve exercise 5 first:", error)

# %% [markdown] tags=["slide"]
# ## 6. Pitfall: bursts
#
# Repeated structures, such as bricks, produce many similar descriptors. A few numbers of the code then become large and
# decide all distances. The **signed square root** $\mathrm{sign}(v) \sqrt{|v|}$ makes large numbers smaller; the code is
# divided by its length afterwards. Forgetting this step costs accuracy without any error.

# %% tags=["slide"]
raw = fisher.transform(bags)
improved = np.sign(raw) * np.sqrt(np.abs(raw))
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for codes, name, color in ((raw, "gradients", "#D55E00"), (improved, "signed square roots", "#0072B2")):
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    ax.plot(np.sort(unit**2, axis=1)[:, ::-1].mean(axis=0).cumsum(), label=name, color=color)
ax.set(xscale="log", xlabel="largest numbers of the code", ylabel="share of the squared length", title="bursts")
ax.legend()
lesson.keep(figure, "3_bursts")

# %% [markdown] tags=["slide"]
# ## 7. Open question: many words or few?
#
# Compare codes of equal length: a bag of 512 words, VLAD with 32 words and a Fisher vector with 16 components, for
# descriptors of 16 dimensions. Vary the length from 64 to 2,048. Repeat with several seeds, and use cross-validation on the
# training set. At which length does which code win? Does the answer change if only three images per class are available?

# %%
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC

for name, one in (
    ("256 counts", BagOfWords(256, norm="hellinger", random_state=lesson.seed)),
    ("VLAD of 16 words", VLAD(16, random_state=lesson.seed)),
    ("Fisher vector of 8 components", FisherVector(8, random_state=lesson.seed)),
):
    model = make_pipeline(extractor, one, LinearSVC(random_state=0))
    scores = cross_val_score(model, train, train.labels, cv=3)
    lesson.report(f"accuracy of {name}, cross-validated on the training set", scores.mean(), tolerance=0.08)

# %% [markdown] tags=["solution"]
# With few words, VLAD and Fisher vectors are usually ahead, because a residual tells more than a count. With thousands of
# words, cells become so small that the position in a cell hardly matters, and the bag catches up, at the price of a slower
# assignment. A good answer states the spread over seeds and folds, and does not call a difference within it a win.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - A count tells how many descriptors a word has; a residual tells where they lie.
# - VLAD sums residuals of the nearest word; the Fisher vector weights them with posteriors, and adds second moments.
# - Normalise: words or signed square roots first, then the whole code.

# %% [markdown] tags=["quiz"]
# **Question 1.** Descriptors lie symmetrically around their word. What is the word's part of a VLAD code?
#
# - ( ) a) The number of descriptors. :: VLAD does not count; it sums differences.
# - (x) b) Zero. :: Differences in opposite directions cancel. The gradient with respect to the deviation would still differ.
# - ( ) c) The length of the word. :: The word is subtracted from each descriptor.
# - ( ) d) The variance of the descriptors. :: Variances need squares; they are part of the Fisher vector.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** Descriptors have 64 dimensions. How long is a Fisher vector of 32 components, without gradients of weights?
#
# - ( ) a) 32. :: That is the length of a bag of 32 words.
# - ( ) b) 2,048. :: That is VLAD with 32 words: 32 · 64.
# - ( ) c) 4,128. :: That is 2 · 32 · 64 + 32, with gradients of weights.
# - (x) d) 4,096. :: 2 · 32 · 64: one number per component and dimension for means, and one for deviations.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** The descriptors of an image follow the mixture exactly. What is its Fisher vector?
#
# - (x) a) Nearly zero. :: The likelihood is already at its maximum for such descriptors, so the gradient vanishes.
# - ( ) b) One for each component. :: A gradient is zero where nothing should change.
# - ( ) c) The weights of the mixture. :: Gradients tell the differences from the mixture, not the mixture.
# - ( ) d) Undefined. :: The gradient exists everywhere.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** Why is each word of a VLAD code divided by its own length?
#
# - ( ) a) To make the code shorter. :: The code keeps its k · d numbers.
# - ( ) b) To make all numbers positive. :: Signs do not change.
# - (x) c) So that words with many similar descriptors do not dominate. :: Distances between codes then depend on all words.
# - ( ) d) Because a classifier needs numbers from 0 to 1. :: A linear classifier needs no such range.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** A bag of 4,096 words and a Fisher vector of 4,096 numbers: which is computed faster?
#
# - (x) a) The Fisher vector, because a descriptor is compared with 32 components instead of 4,096 words. :: The comparison
#   with words takes most of the time.
# - ( ) b) The bag, because it only counts. :: Before it counts, it must find the nearest of 4,096 words for each descriptor.
# - ( ) c) Both take the same time, because the codes are equally long. :: The time depends on the number of words, not on the
#   length of the code.
# - ( ) d) It depends on the classifier. :: The classifier sees codes of the same length.

# %%
lesson.quiz(5, "")
