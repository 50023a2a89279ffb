# %% [markdown] tags=["slide"]
# # Lesson 3: keypoints and SIFT
#
# **Aims.** After this lesson you can
#
# - explain why keypoints are found at several scales,
# - normalise a SIFT descriptor, and
# - match two images of the same scene with the ratio test.
#
# **Time.** 90 minutes: 30 to read, 45 for the exercises, 15 for the open question.
#
# **Prerequisites.** Lesson 2 (gradients, histograms of cells); Gaussian blur; sorting with NumPy.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(3)

# %% [markdown] tags=["instructor"]
# **Plan.** 10 min two images of one scene (what must stay the same?), 15 min differences of Gaussians and maxima, 10 min the
# descriptor, 40 min exercises, 15 min matching, pitfall and quiz. The open question is homework.
#
# **Misconceptions.**
#
# - *A keypoint is a corner.* SIFT's keypoints are blobs: places that differ from their surroundings at one scale.
# - *The descriptor contains the position.* It does not; position, scale and direction are in the frame.
# - *The nearest descriptor is a match.* Every descriptor has a nearest one, also if its object is not in the other image.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (equal neighbours, flat patches, bytes,
# no descriptors). Open question: 3 points for a figure over at least four angles and scales, 2 points for a conclusion that
# it supports.

# %% [markdown] tags=["slide"]
# ## 1. What stays the same?
#
# The same scene, turned and seen from a larger distance: no pixel is where it was. But the eye of the camera is still a dark
# spot, only smaller. A **keypoint** is a place that can be found again in both images, with its scale and direction.

# %% tags=["slide"]
from scipy.ndimage import gaussian_filter, rotate, zoom
from skimage.data import camera

random = lesson.random("view")
angle, scale = float(random.uniform(20, 50)), float(random.uniform(0.6, 0.8))
photograph = camera()[::2, ::2].astype(float) / 255
other = np.clip(zoom(rotate(photograph, angle, reshape=False, order=1, mode="nearest"), scale, order=1), 0, 1)

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for ax, image, title in zip(
    axes, (photograph, other), ("first view", f"turned by {angle:.0f} degrees, scaled by {scale:.2f}"), strict=True
):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set(title=title)
    ax.set_axis_off()
lesson.keep(figure, "1_views")

# %% [markdown] tags=["slide"]
# ## 2. The formula: difference of Gaussians
#
# Let $G_\sigma$ be the image, blurred with a Gaussian of standard deviation $\sigma$. The **difference of Gaussians**
#
# $$D_\sigma(y, x) = G_{k \sigma}(y, x) - G_{\sigma}(y, x)$$
#
# is large at the centre of dark blobs whose radius is about $1.4\, \sigma$, and small at that of light ones. With several
# $\sigma$, blobs of all sizes are found. A keypoint is a maximum or minimum of $D$ among its neighbours; SIFT also compares
# with the next smaller and larger scale.

# %% [markdown]
# ## 3. Exercise: local maxima
#
# Return the rows and columns of all pixels that are larger than the threshold and larger than each of their eight neighbours,
# in reading order, with shape (n, 2). Pixels at the border lack neighbours and do not count.


# %% tags=["exercise"]
def local_maxima(response, threshold):
    middle = response[1:-1, 1:-1]
    is_maximum = middle > threshold  # blank: which inner pixels are strong enough
    height, width = middle.shape
    for y in range(3):
        for x in range(3):
            if (y, x) != (1, 1):
                is_maximum &= middle > response[y : y + height, x : x + width]  # blank: and larger than this neighbour
    return np.argwhere(is_maximum) + 1  # blank: positions in the whole map


# %%
print(lesson.check(local_maxima))

# %% [markdown] tags=["solution"]
# `response[y : y + height, x : x + width]` is the map, shifted by one neighbour. The positions in `middle` lack the first row
# and column, hence `+ 1`. `scipy.ndimage.maximum_filter` is the same in other words, but needs a footprint without the centre
# to be strict.

# %% tags=["slide"]
try:
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    for ax, sigma in zip(axes, (1.5, 3, 6), strict=True):
        response = gaussian_filter(photograph, 1.6 * sigma) - gaussian_filter(photograph, sigma)
        places = local_maxima(response, 0.03)
        ax.imshow(photograph, cmap="gray", alpha=0.7)
        ax.scatter(places[:, 1], places[:, 0], s=(2 * sigma) ** 2 * 3, facecolor="none", edgecolor="#D55E00")
        ax.set(title=f"dark blobs, sigma {sigma}: {len(places)}")
        ax.set_axis_off()
    lesson.keep(figure, "2_blobs")
except Exception as error:
    print("Solve exercise 3 first:", error)

# %% [markdown] tags=["slide"]
# ## 4. The descriptor
#
# Around each keypoint, a square is cut out, at the scale of the keypoint and turned to its main direction. It has 4 × 4 cells
# with histograms of 8 directions, as in lesson 2: 128 numbers. Three steps make them robust against light:
#
# 1. divide by the length: this removes the contrast,
# 2. set numbers above 0.2 to 0.2: a single strong edge, such as a reflection, must not dominate,
# 3. divide by the length again.

# %% [markdown]
# ## 5. Exercise: normalise descriptors
#
# `raw` has one descriptor per row. Apply the three steps to each row. A row of zeros (a flat patch) stays zero.


# %% tags=["exercise"]
def normalize_descriptors(raw):
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)  # blank: the length of each row: shape (n, 1)
    rows = raw / np.where(lengths > 0, lengths, 1)  # blank: rows of length 1
    rows = np.minimum(rows, 0.2)  # blank: at most 0.2
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)  # blank: the new lengths
    return rows / np.where(lengths > 0, lengths, 1)


# %%
print(lesson.check(normalize_descriptors))

# %% [markdown] tags=["solution"]
# After the second division, numbers may exceed 0.2 again; this is intended. `np.clip(rows, 0, 0.2)` is the same, because
# histograms are never negative.

# %% tags=["slide"]
from featrec.descriptors import SIFT
from featrec.plotting import plot_keypoints

sift = SIFT()
one, two = sift.extract(photograph), sift.extract(other)
figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
for ax, image, found in zip(axes, (photograph, other), (one, two), strict=True):
    plot_keypoints(image, found, max_frames=80, ax=ax)
lesson.keep(figure, "3_keypoints")
lesson.report("keypoints in the first view", len(one.descriptors), tolerance=10)

# %% [markdown]
# featrec's dense SIFT normalises in the same way, so your function changes its descriptors only if the second division has
# lifted a number above 0.2:

# %%
from featrec.descriptors import DenseSIFT

try:
    dense = DenseSIFT(step=16).extract(photograph).descriptors
    dense = dense[(dense.max(axis=1) > 0) & (dense.max(axis=1) <= 0.2)]
    lesson.report(
        "largest change of a normalised descriptor", np.abs(normalize_descriptors(dense) - dense).max(initial=0), tolerance=0.01
    )
except Exception as error:
    print("Solve exercise 5 first:", error)

# %% [markdown]
# ## 6. Exercise: match
#
# For each descriptor of the first image, find the nearest and the second-nearest of the second image. Keep the pair (i, j) if
# the nearest is nearer than `ratio` times the second-nearest. Return the pairs with shape (n, 2), sorted by i.


# %% tags=["exercise"]
def match(first, second, ratio):
    distances = np.linalg.norm(first[:, None].astype(float) - second, axis=2)  # blank: all distances: shape (n, m)
    nearest = distances.argmin(axis=1)  # blank: the index of the nearest
    two_smallest = np.sort(distances, axis=1)[:, :2]  # blank: the two smallest distances: shape (n, 2)
    is_clear = two_smallest[:, 0] < ratio * two_smallest[:, 1]  # blank: the ratio test
    return np.stack([np.flatnonzero(is_clear), nearest[is_clear]], axis=1)


# %%
print(lesson.check(match))

# %% [markdown] tags=["solution"]
# With squared distances, compare with `ratio**2`. `np.partition(distances, 1, axis=1)` finds the two smallest without sorting
# the rest.

# %% tags=["slide"]
try:
    pairs = match(one.descriptors, two.descriptors, 0.75)
    figure, ax = plt.subplots(figsize=(11, 5), layout="constrained")
    canvas = np.ones((len(photograph), photograph.shape[1] + other.shape[1]))
    canvas[:, : photograph.shape[1]] = photograph
    canvas[: len(other), photograph.shape[1] :] = other
    ax.imshow(canvas, cmap="gray", vmin=0, vmax=1)
    for i, j in pairs[:: max(1, len(pairs) // 60)]:
        (x1, y1), (x2, y2) = one.frames[i, :2], two.frames[j, :2]
        ax.plot([x1, x2 + photograph.shape[1]], [y1, y2], lw=0.8, color="#009E73")
    ax.set(title=f"{len(pairs)} matches")
    ax.set_axis_off()
    lesson.keep(figure, "4_matches")
    turns = (one.frames[pairs[:, 0], 3] - two.frames[pairs[:, 1], 3] + 180) % 360 - 180
    lesson.report("median difference of directions, in degrees", float(np.median(turns)), tolerance=3)
    print(f"the image was turned by {angle:.0f} degrees")
except Exception as error:
    print("Solve exercise 6 first:", error)

# %% [markdown] tags=["slide"]
# ## 7. Pitfall: x is not the first axis
#
# Frames contain x, y: first to the right, then downwards. Arrays are indexed by row, column: first downwards. The pixel of a
# frame is therefore `image[round(y), round(x)]`. In a square image, a swap does not even raise an error:

# %%
x, y = one.frames[0, :2]
print(f"right: {photograph[round(y), round(x)]:.2f}, swapped: {photograph[round(x), round(y)]:.2f}")

# %% [markdown] tags=["slide"]
# ## 8. Open question: how far can the view change?
#
# Turn and scale the photograph by other amounts, and add noise or blur. You know where each point goes, so you can count
# right matches. Draw their share over the angle and over the scale, with and without the ratio test. Where does matching
# break down, and which of scale, direction and descriptor fails first?

# %% [markdown] tags=["solution"]
# Rotation hardly matters, apart from interpolation. Scale factors up to about 3 are tolerated, as long as blobs stay larger
# than a few pixels. Strong blur removes small keypoints. A tilt out of the image plane is the hardest, because the square is
# not tilted. A good answer checks matches with the known transformation instead of looking at lines.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - A keypoint is a maximum of the difference of Gaussians over position and scale.
# - A descriptor has length 1, and no number dominates.
# - The nearest descriptor is a match only if it is clearly nearer than the second-nearest.

# %% [markdown] tags=["quiz"]
# **Question 1.** Why does SIFT look for keypoints at several scales?
#
# - (x) a) A blob has another size in another image, and must still be found. :: The scale of the keypoint then tells how
#   large its square must be.
# - ( ) b) To find more keypoints. :: It finds more, but this is not the reason: they must be the same ones in both images.
# - ( ) c) To remove noise. :: The blur removes noise, but one scale would be enough for that.
# - ( ) d) To find the direction. :: The direction comes from the gradients around the keypoint.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** What does an image look like in which SIFT finds nothing?
#
# - ( ) a) It is very large. :: Large images have more keypoints.
# - ( ) b) It is noisy. :: Noise gives many small keypoints.
# - ( ) c) It has many straight edges. :: Along an edge, positions are not stable, but real images have corners and blobs as
#   well.
# - (x) d) It is flat, or only a few pixels in size. :: Without differences there are no maxima. featrec returns an empty Bag.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** Why is the descriptor clipped at 0.2?
#
# - ( ) a) To save memory. :: The number of values stays the same.
# - (x) b) A single strong edge would otherwise determine all distances. :: Non-linear changes of light affect strong
#   gradients most.
# - ( ) c) To make it shorter than 1. :: It is divided by its length again afterwards.
# - ( ) d) Because gradients are never larger. :: Before the first division, they may be of any size.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** A ratio test with 0.8 uses squared distances by mistake. What happens?
#
# - ( ) a) Nothing, the order of distances is the same. :: The order is, but the ratio is not.
# - ( ) b) No pair passes. :: Clear pairs still pass.
# - (x) c) More pairs pass, because it tests for a ratio of 0.89. :: The root of 0.8 is 0.89.
# - ( ) d) Fewer pairs pass, because it tests for a ratio of 0.64. :: Squares of numbers with a ratio of 0.89 have a ratio of
#   0.8, so the test is weaker.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** The direction of a keypoint is wrong by 90 degrees in one of two images. What follows?
#
# - (x) a) The square is turned, the descriptor differs, and the match is lost. :: The descriptor is computed relative to the
#   direction.
# - ( ) b) The match is found, but the position is wrong. :: The position does not depend on the direction.
# - ( ) c) Nothing: the descriptor does not depend on the direction. :: It does not depend on the direction of the image,
#   because the square is turned with the keypoint.
# - ( ) d) The scale is wrong, too. :: The scale is found before the direction.

# %%
lesson.quiz(5, "")
