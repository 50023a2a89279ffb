# %% [markdown] tags=["slide"]
# # Lesson 9: classifiers and honest evaluation
#
# **Aims.** After this lesson you can
#
# - write k-nearest neighbours, and state what a support vector machine minimises,
# - name what may be learned from which images, and
# - report an accuracy with its interval, and say when two accuracies differ.
#
# **Time.** 90 minutes: 30 to read, 40 for the exercises, 20 for the open question.
#
# **Prerequisites.** Lessons 2 and 6 (codes); mean and standard deviation; the binomial distribution.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(9)

# %% [markdown] tags=["instructor"]
# **Plan.** 15 min three classifiers on the same points (first figure), 10 min margin and hinge loss on the board, 35 min
# exercises, 20 min honest evaluation with the figure of the best of many models, 10 min quiz. The open question is homework.
#
# **Misconceptions.**
#
# - *The best of many test accuracies is the accuracy of the best model.* It is too high, even if all models guess.
# - *Scaling is harmless, it uses no labels.* It is part of the model, so it is learned from the training images.
# - *A difference of one point is a difference.* With 200 images, the interval is about ten points wide.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (bytes, ties, constant numbers);
# exercise 5 has 3 points for ordinary arguments. Open question: 3 points for a nested comparison with its spread, 2 points
# for an honest conclusion.

# %% [markdown] tags=["slide"]
# ## 1. Three ways to draw a border
#
# A classifier assigns a class to each point of the space of codes. **k-nearest neighbours** let the nearest training codes
# vote. A **support vector machine** (SVM) draws a straight line with the widest margin. A **forest** asks a sequence of
# questions about single numbers, many times, and lets the answers vote.

# %% tags=["slide"]
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

random = lesson.random("points")
points = np.concatenate([random.normal((-1, 0), (1.0, 0.7), (60, 2)), random.normal((1.2, 0.8), (0.8, 1.0), (60, 2))])
kinds = np.repeat([0, 1], 60)
grid = np.stack(np.meshgrid(np.linspace(-4, 4, 160), np.linspace(-3, 4, 140)), axis=-1)

models = {
    "1 neighbour": KNeighborsClassifier(1),
    "15 neighbours": KNeighborsClassifier(15),
    "SVM": LinearSVC(),
    "forest": RandomForestClassifier(100, random_state=0),
}
figure, axes = plt.subplots(1, 4, figsize=(13, 3.3), layout="constrained", sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    areas = model.fit(points, kinds).predict(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    ax.contourf(*np.moveaxis(grid, -1, 0), areas, levels=1, colors=["#56B4E9", "#E69F00"], alpha=0.35)
    ax.scatter(*points.T, c=kinds, s=10, cmap="coolwarm")
    ax.set(title=f"{name}: {model.score(points, kinds):.0%} of its training set")
lesson.keep(figure, "1_borders")

# %% [markdown]
# One neighbour makes no errors on its training set, because each point is its own neighbour. This number says nothing about
# new points.

# %% [markdown]
# ## 2. Exercise: k nearest neighbours
#
# For each test code, let the `k` nearest training codes vote, and return the most frequent label. If several labels are
# equally frequent, return the smallest. Labels are integers from 0.


# %% tags=["exercise"]
def k_nearest(train, labels, test, k):
    distances = np.linalg.norm(test[:, None].astype(float) - train, axis=2)  # blank: all distances: shape (n_test, n_train)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]  # blank: the k nearest of each test code: shape (n_test, k)
    votes = labels[nearest]  # blank: their labels
    return np.array([np.bincount(row).argmax() for row in votes])  # blank: the most frequent label of each row


# %%
print(lesson.check(k_nearest))

# %% [markdown] tags=["solution"]
# `np.bincount(...).argmax()` returns the first maximum, which is the smallest label. A label is a name: its mean has no
# meaning.

# %% [markdown]
# ## 3. Exercise: scale without a leak
#
# Numbers of a code may have very different scales, and large ones would determine all distances. Return the **test** codes
# with each column shifted and scaled, as it would give the **training** codes mean 0 and standard deviation 1.


# %% tags=["exercise"]
def standardize(train, test):
    means = train.mean(axis=0)  # blank: one mean per column, from which codes?
    deviations = train.std(axis=0)  # blank: one standard deviation per column
    deviations = np.where(deviations > 0, deviations, 1)  # blank: 1 instead of 0
    return (test - means) / deviations


# %%
print(lesson.check(standardize))

# %% [markdown] tags=["solution"]
# Everything that is learned is part of the model, including means. In scikit-learn, put the scaler into the pipeline; then
# `cross_val_score` learns it from each training part.

# %% [markdown] tags=["slide"]
# ## 4. The formula: a support vector machine
#
# The score of a code $x$ is $w \cdot x + b$; its sign is the predicted class, $y = 1$ or $y = -1$. The SVM minimises
#
# $$\frac{1}{2} \Vert w \Vert^2 + C \sum_{i=1}^{n} \max(0,\; 1 - y_i (w \cdot x_i + b)).$$
#
# Short weights mean a wide margin: its width is $2 / \Vert w \Vert$. A code on the right side of the margin costs nothing,
# all others cost the more, the further they are on the wrong side. $C$ decides what matters more.

# %% [markdown]
# ## 5. Exercise: the objective
#
# `signs` contains 1 and -1. Return one number.


# %% tags=["exercise"]
def hinge_objective(weights, bias, codes, signs, C):
    scores = codes @ weights + bias  # blank: the score of each code: shape (n,)
    losses = np.maximum(0, 1 - signs * scores)  # blank: the loss of each code
    return 0.5 * weights @ weights + C * losses.sum()  # blank: the objective


# %%
print(lesson.check(hinge_objective))

# %% [markdown] tags=["solution"]
# The bias is not part of the squared length: it only shifts the border. `LinearSVC` squares the losses by default
# (`loss="squared_hinge"`) and includes the bias in the length; with many codes, the results hardly differ.

# %% tags=["slide"]
from sklearn.svm import SVC

try:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", sharey=True)
    signs = np.where(kinds == 1, 1, -1)
    for ax, C in zip(axes, (0.01, 10.0), strict=True):
        machine = SVC(kernel="linear", C=C).fit(points, kinds)
        weights, bias = machine.coef_[0], float(machine.intercept_[0])
        scores = grid @ weights + bias
        ax.contour(*np.moveaxis(grid, -1, 0), scores, levels=[-1, 0, 1], colors="#2b2f36", linestyles=["--", "-", "--"])
        ax.scatter(*points.T, c=kinds, s=10, cmap="coolwarm")
        ax.set(title=f"C = {C:g}, objective {hinge_objective(weights, bias, points, signs, C):.2f}")
        for _ in range(20):
            other = weights + random.normal(0, 0.05, 2)
            assert hinge_objective(other, bias, points, signs, C) > hinge_objective(weights, bias, points, signs, C) - 0.01
    lesson.keep(figure, "2_margins")
except Exception as error:
    print("Solve exercise 5 first:", error)

# %% [markdown] tags=["slide"]
# ## 6. Pitfall: the best of many models
#
# Suppose 50 models guess, on a test set of 100 images of two classes. Each is right for about half of them. How good is the
# best?

# %% tags=["slide"]
guesses = random.integers(0, 2, (400, 50, 100)).mean(axis=2)
best = np.maximum.accumulate(guesses, axis=1)
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
ax.fill_between(range(1, 51), *np.quantile(best, [0.05, 0.95], axis=0), color="#56B4E9", alpha=0.4, label="90 % of all cases")
ax.plot(range(1, 51), best.mean(axis=0), color="#0072B2", label="best of all models so far, mean")
ax.axhline(0.5, color="#D55E00", label="true accuracy of each model")
ax.set(xlabel="number of models tried on the same test set", ylabel="accuracy", ylim=(0.4, 0.75))
ax.legend()
lesson.keep(figure, "3_best_of_many")
lesson.report("mean accuracy of the best of 50 guessing models", best[:, -1].mean(), tolerance=0.01)

# %% [markdown]
# The test set was used to choose, so it is no test any more. Choose with cross-validation on the training set, and use the
# test set once.
#
# Even one honest accuracy is uncertain. featrec reports it with an interval:

# %%
from sklearn.pipeline import make_pipeline

from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.evaluation import evaluate

train, test = load_dataset("shapes", n_train=240, n_test=160, size=64, random_state=lesson.seed)
model = make_pipeline(HOG(pixels_per_cell=8), LinearSVC(random_state=0)).fit(train, train.labels)
report = evaluate(model, test, test.labels)
low, high = report.interval
print(f"{report.accuracy:.1%} of {report.n} images; 95 % interval {low:.1%} to {high:.1%}")
lesson.report("accuracy of HOG and an SVM on the test set", report.accuracy, tolerance=0.05)

# %% [markdown] tags=["slide"]
# ## 7. Open question: which classifier?
#
# Compare k-nearest neighbours, an SVM and a forest on HOG codes of the training set. Each has a parameter (k, C, number of
# trees). Choose it in an inner cross-validation, and measure in an outer one (`GridSearchCV` inside `cross_val_score`). How
# large is the difference to an accuracy that was measured where the parameter was chosen? Is any classifier better than the
# others by more than the spread?

# %%
from sklearn.model_selection import cross_val_score

for one in (KNeighborsClassifier(5), LinearSVC(random_state=0), RandomForestClassifier(random_state=0)):
    scores = cross_val_score(make_pipeline(HOG(pixels_per_cell=8), one), train, train.labels, cv=3)
    lesson.report(f"accuracy of {type(one).__name__}, cross-validated on the training set", scores.mean(), tolerance=0.06)

# %% [markdown] tags=["solution"]
# On long codes with few images, a linear SVM is usually ahead. The accuracy where the parameter was chosen is a little too
# high; the effect grows with the number of values tried, and shrinks with the number of images. A good answer compares on the
# same folds, and states how often each classifier is ahead.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - The accuracy on the training set says nothing; one neighbour always has 100 %.
# - Means, words and parameters are learned: from training images only.
# - The test set is used once. An accuracy needs an interval, and a comparison needs the same images.

# %% [markdown] tags=["quiz"]
# **Question 1.** A model has 100 % on its training set. What does this tell?
#
# - ( ) a) It is perfect. :: It may have memorised its training set, as one neighbour does.
# - ( ) b) It is useless. :: It may be good or bad on new images.
# - (x) c) Nothing about new images. :: They must be predicted without having been learned from.
# - ( ) d) The training set is too small. :: One neighbour has 100 % on any training set without duplicates.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** What happens in k-nearest neighbours if one number of the code is multiplied by 1,000?
#
# - (x) a) It determines nearly all distances. :: Squared differences of this number are a million times larger.
# - ( ) b) Nothing, because distances are relative. :: Distances are absolute sums.
# - ( ) c) k must be larger. :: Another k does not change which codes are near.
# - ( ) d) The labels change their order. :: Labels do not depend on the scale.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** A code has the score 0.4 and the sign 1. What is its hinge loss?
#
# - ( ) a) 0, because it is on the right side. :: It is on the right side of the border, but within the margin.
# - ( ) b) 0.4. :: This is the score.
# - ( ) c) 1.4. :: This would be the loss for the sign -1.
# - (x) d) 0.6. :: max(0, 1 - 0.4): it lacks 0.6 to the margin.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** 88 of 100 test images are right with model A, 90 with model B. Which statement is honest?
#
# - ( ) a) B is better. :: The intervals overlap widely; on other images, A may be ahead.
# - (x) b) The difference may be chance; count the images on which they differ. :: A test on the same images (McNemar) tells
#   whether the difference is significant.
# - ( ) c) Both are equally good. :: This is not shown either.
# - ( ) d) B is better, if its training took longer. :: Time has nothing to do with it.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** A vocabulary is learned from all images, before the cross-validation. What is wrong?
#
# - ( ) a) Nothing, since it uses no labels. :: The words still fit the images that are held out.
# - ( ) b) The vocabulary becomes too large. :: Its size is chosen.
# - (x) c) The held-out images have influenced the model. :: Put the vocabulary into the pipeline, so that each fold learns
#   its own.
# - ( ) d) It takes longer. :: It is faster, which is why people do it.

# %%
lesson.quiz(5, "")
