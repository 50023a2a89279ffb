# %% [markdown] tags=["slide"]
# # Lesson 1: pixels, colour, and why they fail
#
# **Aims.** After this lesson you can
#
# - read an image as an array, with the right order of axes and channels,
# - compute gray values and colour histograms, and
# - show with an experiment why raw pixels are a poor description of an image.
#
# **Time.** 90 minutes: 25 to read, 40 for the exercises, 25 for the open question.
#
# **Prerequisites.** Python; arrays, slices and axes of NumPy.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(1)

# %% [markdown] tags=["instructor"]
# **Plan.** 15 min arrays and channels (first figure, with a printed image of 5 × 5 pixels), 10 min nearest neighbours of
# pixels, 10 min histograms, 35 min exercises, 10 min pitfall, 10 min quiz. The open question is homework.
#
# **Misconceptions.**
#
# - *A small distance of pixels means the same object.* A shift by three pixels changes more pixels than another object does.
# - *Colour identifies an object.* It identifies the light as well, and often the background.
# - *The order of files does not matter.* It does, as soon as labels come from another list than the images.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (gray images, white pixels, folders in
# folders). Open question: 3 points for a figure with at least five shifts and both descriptions, 2 points for a conclusion
# that it supports.

# %% [markdown] tags=["slide"]
# ## 1. An image is an array
#
# A gray image has the shape (height, width), a colour image (height, width, 3). The first axis runs downwards, the second to
# the right, and the third contains red, green and blue. Values are bytes from 0 (dark) to 255 (light).

# %% tags=["slide"]
from featrec.datasets import load_dataset

train, _ = load_dataset("shapes", n_train=160, n_test=8, color=1, noise=0.1, random_state=lesson.seed)
classes = lesson.order(train.classes)
image = train[list(train.labels).index(classes[0])]

figure, axes = plt.subplots(1, 4, figsize=(12, 3.3), layout="constrained")
axes[0].imshow(image)
axes[0].set_title(f"{classes[0]}, shape {image.shape}")
for channel, (name, colors) in enumerate({"red": "Reds_r", "green": "Greens_r", "blue": "Blues_r"}.items()):
    ax = axes[channel + 1]
    ax.imshow(image[..., channel], cmap=colors, vmin=0, vmax=255)
    ax.set_title(f"image[..., {channel}]: {name}")
for ax in axes:
    ax.set_axis_off()
lesson.keep(figure, "1_channels")

# %% [markdown] tags=["slide"]
# ## 2. The formula: luma
#
# Green looks lighter than red, and red lighter than blue. The gray value of a colour is therefore a weighted sum, the
# **luma**:
#
# $$Y = 0.299\, R + 0.587\, G + 0.114\, B.$$
#
# The weights sum to 1, so white (255, 255, 255) has the luma 255.

# %% [markdown]
# ## 3. Exercise: luma
#
# Return the gray values of an RGB image as floats from 0 to 255. A gray image (two axes) is returned with its values
# unchanged.


# %% tags=["exercise"]
def luma(image):
    if image.ndim == 2:
        return image.astype(float)  # blank: a gray image keeps its values
    weights = np.array([0.299, 0.587, 0.114])  # blank: the weights of red, green and blue
    return image @ weights  # blank: the weighted sum of the channels: shape (height, width)


# %%
print(lesson.check(luma))

# %% [markdown] tags=["solution"]
# `image @ weights` sums over the last axis. `(image * weights).sum(axis=2)` is the same in other words. `image.mean(axis=2)`
# is not: it weights all channels equally.

# %% [markdown] tags=["slide"]
# ## 4. Why pixels fail
#
# The distance of two images is the root of the sum of squared differences of their pixels. Is an image nearer to itself,
# shifted by a few pixels, or to an image of another class?

# %% tags=["slide"]
gray = np.array([one @ np.array([0.299, 0.587, 0.114]) for one in train])
first = gray[list(train.labels).index(classes[0])]
others = gray[np.array(train.labels) != classes[0]]
shifts = range(13)
moved = [np.linalg.norm(np.roll(first, shift, axis=1)[:, 12:-12] - first[:, 12:-12]) for shift in shifts]
nearest_other = np.linalg.norm(others[:, :, 12:-12] - first[:, 12:-12], axis=(1, 2)).min()

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
ax.plot(shifts, moved, "o-", color="#0072B2", label="the same image, shifted")
ax.axhline(nearest_other, color="#D55E00", label="nearest image of another class")
ax.set(xlabel="shift in pixels", ylabel="distance of pixels", ylim=(0, None))
ax.legend()
lesson.keep(figure, "2_shifts")
lesson.report(
    "distance after a shift of 6 pixels, relative to the nearest other class", moved[6] / nearest_other, tolerance=0.02
)

# %% [markdown]
# After a shift of a few pixels, the image is nearly as far from itself as from another class. Pixels describe what is at each
# place. If the object moves, each place shows something else. One way out is to forget the places: count how often each
# colour occurs.

# %% [markdown]
# ## 5. Exercise: a colour histogram
#
# Divide the values 0 to 255 into `n_bins` equal bins. For each channel, return the share of pixels in each bin: shape (3,
# n_bins), in the order red, green, blue. The value 255 belongs to the last bin.


# %% tags=["exercise"]
def color_histogram(image, n_bins):
    bins = image.astype(int) * n_bins // 256  # blank: the bin of each value, from 0 to n_bins - 1
    histograms = np.zeros((3, n_bins))
    for channel in range(3):
        counts = np.bincount(bins[..., channel].ravel(), minlength=n_bins)  # blank: how often each bin occurs
        histograms[channel] = counts / bins[..., channel].size  # blank: the shares
    return histograms


# %%
print(lesson.check(color_histogram))

# %% [markdown] tags=["solution"]
# `astype(int)` matters: the product of a byte and a number above 1 wraps round at 256. `np.histogram(..., bins=n_bins,
# range=(0, 256))` is the same in other words.

# %% tags=["slide"]
try:
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", sharey=True)
    for ax, name in zip(axes, classes[:2], strict=True):
        histogram = color_histogram(train[list(train.labels).index(name)], 16)
        for row, color in zip(histogram, ("#D55E00", "#009E73", "#0072B2"), strict=True):
            ax.step(np.arange(16) * 16 + 8, row, where="mid", color=color)
        ax.set(title=name, xlabel="value", ylabel="share of pixels")
    lesson.keep(figure, "3_histograms")
    shifted = np.roll(image, 6, axis=1)
    change = np.abs(color_histogram(shifted, 16) - color_histogram(image, 16)).max()
    print(f"A shift changes the histogram by {change:.1g}")
except Exception as error:
    print("Solve exercise 5 first:", error)

# %% [markdown]
# ## 6. Exercise: labels of files
#
# Images usually lie in one folder per class. `paths` are paths such as `images/moss/123.png`, and `classes` the names of the
# folders in the order of the course. Return the index of the class of each path.


# %% tags=["exercise"]
def class_indices(paths, classes):
    folders = [path.split("/")[-2] for path in paths]  # blank: the name of the last folder of each path
    indices = [classes.index(folder) for folder in folders]  # blank: its position in the list of classes
    return np.array(indices)


# %%
print(lesson.check(class_indices))

# %% [markdown] tags=["solution"]
# The order in which a file system lists folders is not defined, and `sorted` puts "10" before "2". A label must therefore
# come from the path itself. featrec's `ImageFolder` does this.

# %% [markdown] tags=["slide"]
# ## 7. Pitfall: red or blue first?
#
# OpenCV's `imread` returns blue first, most other libraries red first. Nothing fails, and gray values look almost right:

# %%
rgb = image @ np.array([0.299, 0.587, 0.114])
bgr = image[..., ::-1] @ np.array([0.299, 0.587, 0.114])
lesson.report("mean difference of gray values, if red and blue are swapped", np.abs(rgb - bgr).mean(), tolerance=0.5)

# %% [markdown]
# A model that was trained with one order and used with the other loses accuracy without an error. featrec reads all images as
# RGB.

# %% [markdown] tags=["slide"]
# ## 8. Open question: which changes of an image hurt which description?
#
# Compare pixels and colour histograms on the training set below with cross-validation. Then change the images that are
# predicted: shift them, make them darker, add noise, swap red and blue. Draw the accuracy of both descriptions over the
# strength of each change. Which description survives which change, and why does neither survive darker light?

# %%
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.descriptors import ColorHistogram, TinyImage

for name, extractor in (("pixels", TinyImage()), ("colour histograms", ColorHistogram(bins=4))):
    model = make_pipeline(extractor, LinearSVC(random_state=0))
    scores = cross_val_score(model, train, train.labels, cv=3)
    lesson.report(f"accuracy of {name}, cross-validated on the training set", scores.mean(), tolerance=0.06)

# %% [markdown] tags=["solution"]
# Both are far from what gradients reach in lesson 2. Histograms survive shifts, pixels do not. Darker light moves all values
# to other bins, and changes all pixels. Swapped channels hurt histograms more than pixels, which keep the shape. A good
# answer changes one thing at a time, and shows the accuracy without a change as a reference.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - An image is an array (height, width, channel) of bytes; red is first.
# - Pixels depend on the position, histograms do not; both depend on the light.
# - A histogram needs the same bins for all images, and a label must come from the path.

# %% [markdown] tags=["quiz"]
# **Question 1.** An image has the shape (480, 640, 3). What is `image[10, 20, 2]`?
#
# - ( ) a) The red value of column 10, row 20. :: The first axis is the row, and channel 2 is blue.
# - (x) b) The blue value of row 10, column 20. :: Row first, then column, then channel; red, green, blue are 0, 1, 2.
# - ( ) c) The blue value of column 10, row 20. :: The first axis runs downwards: it is the row.
# - ( ) d) An error. :: All three indices are in range.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** Why is the luma not the mean of the channels?
#
# - ( ) a) The mean may exceed 255. :: The mean of three bytes is at most 255.
# - ( ) b) The mean is slower. :: Both are sums of three products.
# - (x) c) Equal values of green, red and blue do not look equally light. :: The weights follow the sensitivity of the eye.
# - ( ) d) Blue is always dark. :: Blue may have any value; it only contributes less.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** All pixels of an image are shuffled. What happens to its colour histogram?
#
# - (x) a) Nothing. :: A histogram counts values, whatever their position. This is its strength and its weakness.
# - ( ) b) It becomes flat. :: It would be flat only if all values were equally frequent.
# - ( ) c) It is shuffled as well. :: Bins are ordered by value, not by position.
# - ( ) d) It cannot be computed. :: Only the values are needed.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** What does `np.histogram(image, bins=8)` use as range?
#
# - ( ) a) 0 to 255. :: NumPy does not know that these are the possible values.
# - ( ) b) 0 to 1. :: It does not scale the values.
# - ( ) c) 0 to 8. :: The number of bins does not determine the range.
# - (x) d) The smallest and largest value of this image. :: A bin therefore means another colour in each image.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** Colour histograms reach a high accuracy on photographs of birds. What should you test first?
#
# - ( ) a) Whether more bins are better. :: A better number does not tell what the model has learned.
# - ( ) b) Whether a neural network is better. :: First find out what this model uses.
# - (x) c) Whether it still works if the background is removed or exchanged. :: Water birds on blue ground and forest birds on
#   green ground are separated by the background.
# - ( ) d) Whether the images are large enough. :: Histograms hardly depend on the size.

# %%
lesson.quiz(5, "")
