# %% [markdown] tags=["slide"]
# # Lesson 10: against the networks, and why
#
# **Aims.** After this lesson you can
#
# - explain how a convolutional network resembles HOG and bags, and where it differs,
# - compare methods by accuracy, cost, few images and corrupted images, and
# - explain a decision exactly, descriptor by descriptor.
#
# **Time.** 90 minutes: 30 to read, 40 for the exercises, 20 for the open question.
#
# **Prerequisites.** All lessons before, above all 2, 6 and 9.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(10)

# %% [markdown] tags=["instructor"]
# **Plan.** 15 min HOG as a network (table on the board), 10 min cost of a layer, 35 min exercises, 20 min few images,
# corruption and explanations, 10 min quiz. The open question is homework, and may become the capstone.
#
# **Misconceptions.**
#
# - *Networks are always better.* With many images they are, or if they were trained on many images before. With few they are
#   not.
# - *A network has no engineered parts.* Its layers, augmentations and losses are chosen by people as well.
# - *A heat map explains a network.* It approximates; for a linear model of shares, contributions are exact.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (bytes, stride 1, empty images). Open
# question: 3 points for curves of both methods over the number of images, with their spread, 2 points for a conclusion that
# states the conditions.

# %% [markdown] tags=["slide"]
# ## 1. The same steps, chosen or learned
#
# | step | HOG or a bag | convolutional network |
# | :--- | :--- | :--- |
# | filter | differences of neighbours | learned kernels |
# | non-linearity | bin of the orientation, nearest word | rectifier, max(0, x) |
# | pooling | histograms of cells or regions | mean or maximum of cells |
# | normalisation | length of blocks, square roots | batch normalisation |
# | classifier | linear | linear |
#
# A network repeats the first four steps many times, and learns all numbers from labels. Engineered features do them once,
# with numbers that follow from what is known about light and movement.

# %% [markdown] tags=["slide"]
# ## 2. The formula: convolution
#
# A kernel $w$ of $a \times b$ numbers moves over the image $I$. At each position, its products with the pixels below are
# summed:
#
# $$(I * w)(y, x) = \sum_{i=0}^{a-1} \sum_{j=0}^{b-1} I(y + i,\, x + j)\, w(i, j).$$
#
# With the kernel (-1, 0, 1), this is the gradient of lesson 2.

# %% [markdown]
# ## 3. Exercise: convolution
#
# Return the sums for all positions at which the kernel lies completely in the image. The kernel is not flipped.


# %% tags=["exercise"]
def convolve(image, kernel):
    image = image.astype(float)
    rows = image.shape[0] - kernel.shape[0] + 1  # blank: the number of positions from top to bottom
    columns = image.shape[1] - kernel.shape[1] + 1  # blank: the number of positions from left to right
    sums = np.zeros((rows, columns))
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            sums += kernel[i, j] * image[i : i + rows, j : j + columns]  # blank: one kernel number times the shifted image
    return sums


# %%
print(lesson.check(convolve))

# %% [markdown] tags=["solution"]
# The loops run over the kernel, which is small, and each step handles the whole image. `scipy.signal.correlate2d(image,
# kernel, "valid")` is the same in other words; `convolve2d` flips the kernel.

# %% tags=["slide"]
from skimage.data import camera

photograph = camera()[::4, ::4].astype(float)
kernels = {
    "to the right": np.array([[-1.0, 0, 1]]),
    "downwards": np.array([[-1.0], [0], [1]]),
    "random": lesson.random("kernel").normal(size=(5, 5)),
}
try:
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.3), layout="constrained")
    axes[0].imshow(photograph, cmap="gray")
    axes[0].set_title("image")
    for ax, (name, kernel) in zip(axes[1:], kernels.items(), strict=True):
        shown = convolve(photograph, kernel)
        limit = np.quantile(np.abs(shown), 0.99)
        ax.imshow(shown, cmap="RdBu", vmin=-limit, vmax=limit)
        ax.set_title(f"kernel: {name}")
    for ax in axes:
        ax.set_axis_off()
    lesson.keep(figure, "1_kernels")
except Exception as error:
    print("Solve exercise 3 first:", error)

# %% [markdown]
# ## 4. Exercise: what a layer costs
#
# A layer applies `filters` kernels to an image of height × width pixels with `channels` channels. Each kernel has side × side
# numbers per channel, moves by `stride` pixels in both directions, and lies completely in the image. Return the number of
# multiplications.


# %% tags=["exercise"]
def count_products(height, width, channels, filters, side, stride):
    rows = (height - side) // stride + 1  # blank: the number of positions from top to bottom
    columns = (width - side) // stride + 1  # blank: the number of positions from left to right
    per_position = side**2 * channels  # blank: the multiplications of one kernel at one position
    return rows * columns * filters * per_position


# %%
print(lesson.check(count_products))

# %% [markdown] tags=["solution"]
# Half the resolution costs a quarter; twice the channels in all layers cost four times as much, because both `channels` and
# `filters` double.

# %%
try:
    layer = count_products(224, 224, 64, 64, 3, 1)
    print(f"one layer of 64 filters at 224 × 224 pixels: {layer / 1e9:.1f} billion multiplications")
    print(f"gradients of the same image: about {2 * 224 * 224 / 1e6:.1f} million differences")
except Exception as error:
    print("Solve exercise 4 first:", error)

# %% [markdown] tags=["slide"]
# ## 5. Few images
#
# A network that learns everything needs many images. Here, a network of one hidden layer on pixels, trained from scratch,
# stands for it, because it runs everywhere in seconds. Both methods see the same images:

# %% tags=["slide"]
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import HOG, TinyImage

train, _ = load_dataset("shapes", n_train=320, n_test=8, size=32, noise=0.1, clutter=0.2, random_state=lesson.seed)
methods = {
    "HOG and SVM": make_pipeline(HOG(pixels_per_cell=4), LinearSVC(random_state=0)),
    "network on pixels": make_pipeline(TinyImage(), StandardScaler(), MLPClassifier((64,), max_iter=30, random_state=0)),
}
sizes = (40, 80, 160, 240)
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    for (name, model), color in zip(methods.items(), ("#0072B2", "#D55E00"), strict=True):
        scores = np.array([cross_val_score(model, train[:n], train.labels[:n], cv=3) for n in sizes])
        ax.errorbar(sizes, scores.mean(axis=1), scores.std(axis=1), marker="o", capsize=3, color=color, label=name)
        lesson.report(f"accuracy of {name} with {sizes[-1]} images, cross-validated", scores[-1].mean(), tolerance=0.06)
ax.set(xscale="log", xlabel="images", ylabel="accuracy, cross-validated", ylim=(0, 1))
ax.minorticks_off()
ax.set_xticks(sizes, sizes)
ax.legend()
lesson.keep(figure, "2_few_images")

# %% [markdown]
# A network that was trained on a million other images is another competitor: it brings what it has learned. featrec's
# `CNNFeatures` and `FineTuned` put such networks into the same pipelines, with the same evaluation.

# %% [markdown] tags=["slide"]
# ## 6. Corrupted images
#
# A camera shakes, a lens is dirty, it is foggy. `featrec.evaluation.corrupt` changes images in 19 ways and five strengths.
# Which method loses how much?

# %% tags=["slide"]
from featrec.evaluation import corrupt

known, unseen = train[:240], train[240:]
kinds = ("gaussian_noise", "motion_blur", "fog", "contrast")
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    for place, ((name, model), color) in enumerate(zip(methods.items(), ("#0072B2", "#D55E00"), strict=True)):
        model.fit(known, known.labels)
        accuracies = [np.mean(model.predict(unseen) == unseen.labels)]
        for kind in kinds:
            changed = corrupt(unseen, kind, 3, random_state=lesson.seed)
            accuracies.append(np.mean(model.predict(changed) == unseen.labels))
        ax.bar(np.arange(5) + 0.4 * place, accuracies, 0.38, color=color, label=name)
ax.set_xticks(np.arange(5) + 0.2, ["unchanged", *kinds])
ax.set(ylabel="accuracy", ylim=(0, 1), title="80 images that were held out of the training set")
ax.legend(loc="lower left", framealpha=1)
lesson.keep(figure, "3_corrupted")

# %% [markdown] tags=["slide"]
# ## 7. An exact explanation
#
# The score of a linear classifier on a bag is $\sum_j w_j h_j$, and the share $h_j$ is a sum over descriptors. The score is
# therefore a sum over descriptors, too: each contributes the weight of its word, divided by the number of descriptors.

# %% [markdown]
# ## 8. Exercise: contributions
#
# `words` has the word of each descriptor, `weights` one row per class. Return what each descriptor contributes to the score
# of the class `target`, without the intercept.


# %% tags=["exercise"]
def contributions(words, weights, target):
    row = weights[target]  # blank: the weights of the target class: shape (k,)
    of_descriptors = row[words]  # blank: the weight of each descriptor's word: shape (n,)
    return of_descriptors / max(1, len(words))  # blank: its part of the score


# %%
print(lesson.check(contributions))

# %% [markdown] tags=["solution"]
# The sum over all descriptors is $\sum_j w_j n_j / n = \sum_j w_j h_j$, the score. Nothing is approximated. For square roots
# of shares, the root of each share is divided among its descriptors in the same way.

# %% tags=["slide"]
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords

surfaces, _ = load_dataset("textures", n_train=12, n_test=1, random_state=lesson.seed)
extractor = DenseSIFT(step=4, bin_sizes=4)
bags = list(extractor.transform(surfaces))
encoder = BagOfWords(40, random_state=lesson.seed).fit(bags)
machine = LinearSVC(C=100, random_state=0).fit(encoder.transform(bags), surfaces.labels)
two = lesson.order(surfaces.classes)[:2]
first, second = (surfaces[list(surfaces.labels).index(name)] for name in two)
mixed = np.hstack([first[:, :32], second[:, 32:]])
bag = extractor.extract(mixed)
try:
    words = encoder.vocabulary_.nearest(bag.descriptors)
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    axes[0].imshow(mixed, cmap="gray")
    axes[0].set_title(f"left half {two[0]}, right half {two[1]}")
    for ax, name in zip(axes[1:], two, strict=True):
        target = list(machine.classes_).index(name)
        parts = contributions(words, machine.coef_, target)
        score = machine.decision_function(encoder.transform([bag]))[0, target]
        rest = score - machine.intercept_[target] - parts.sum()
        lesson.report(f"{name}: score minus sum of contributions", rest, tolerance=1e-4)
        limit = np.abs(parts).max()
        ax.imshow(mixed, cmap="gray", alpha=0.3)
        ax.scatter(*bag.frames[:, :2].T, c=parts, cmap="RdBu", vmin=-limit, vmax=limit, s=34)
        ax.set_title(f"for (blue) or against {name}")
    for ax in axes:
        ax.set_axis_off()
    lesson.keep(figure, "4_contributions")
except Exception as error:
    print("Solve exercise 8 first:", error)

# %% [markdown] tags=["slide"]
# ## 9. Pitfall: an unfair comparison
#
# A comparison is only as good as its conditions. Ask of each: Did both methods see the same images? Was one trained on other
# images before? Were the parameters of both chosen with the same effort, and not on the test set? Were both timed on the same
# machine, after the first call? Is there an interval?

# %% [markdown] tags=["slide"]
# ## 10. Open question: where do the curves cross?
#
# Extend the figure of few images: more images, another network (for example featrec's `SmallResNet`, with the extra `torch`),
# other engineered features, augmented images. With how many images does the network overtake? Does augmentation move the
# crossing? Report the seconds of training and prediction as well.

# %% [markdown] tags=["solution"]
# From scratch, networks overtake with some hundreds to some thousands of images per class, depending on how much the objects
# vary. Augmentation moves the crossing to fewer images, because it states what is known: a mirrored object is the same
# object. A network that was trained before is often ahead from the start. A good answer states for each curve what was known
# before.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - Engineered features and networks share their steps; one chooses the numbers, the other learns them.
# - Learning needs images and time; what is known need not be learned.
# - A linear model on shares explains its decisions exactly.

# %% [markdown] tags=["quiz"]
# **Question 1.** Which part of a network corresponds to a histogram of a HOG cell?
#
# - ( ) a) A kernel. :: A kernel corresponds to the differences of pixels.
# - (x) b) Pooling. :: Both join what is found at near positions.
# - ( ) c) The rectifier. :: It corresponds to the choice of a bin.
# - ( ) d) The last layer. :: It corresponds to the linear classifier.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** The height and width of the input are doubled. How does the cost of a convolutional layer change?
#
# - ( ) a) It doubles. :: The number of positions grows in both directions.
# - ( ) b) It stays the same, because the weights are the same. :: Each weight is multiplied at each position.
# - ( ) c) It grows by a factor of 16. :: This would need more channels as well.
# - (x) d) It grows by a factor of about 4. :: There are about four times as many positions.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** Why does HOG with an SVM need fewer images than a network from scratch?
#
# - (x) a) It need not learn that light and small shifts do not matter. :: This knowledge is built in.
# - ( ) b) It has no parameters. :: The SVM has one weight per number of the code.
# - ( ) c) It uses larger images. :: Both see the same images.
# - ( ) d) It looks at the test images. :: Neither method sees a test image.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** A network was trained on a million images before, and beats HOG with ten images per class. What is an honest
# statement?
#
# - ( ) a) Networks need fewer images. :: It has seen a million.
# - ( ) b) The comparison is invalid. :: It is valid if its conditions are stated.
# - (x) c) Features that were learned from other images beat HOG with ten images per class. :: This states what each method
#   has seen.
# - ( ) d) HOG is obsolete. :: This depends on the images, the machine, and what must be explained.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** The contributions of all descriptors are summed. What is the result?
#
# - ( ) a) 1. :: They are no shares of the score.
# - (x) b) The score of the class, without the intercept. :: This is what makes the explanation exact.
# - ( ) c) The probability of the class. :: A score is no probability.
# - ( ) d) The number of descriptors. :: Each contributes a weight, divided by this number.

# %%
lesson.quiz(5, "")
