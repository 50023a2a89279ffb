# %% [markdown] tags=["slide"]
# # Lesson 4: ORB and Hamming space
#
# **Aims.** After this lesson you can
#
# - find the direction of a patch by its centre of mass,
# - describe a patch by comparisons of pixels, one bit each, and
# - explain why packed bits need the Hamming distance and cannot be averaged.
#
# **Time.** 90 minutes: 25 to read, 45 for the exercises, 20 for the open question.
#
# **Prerequisites.** Lesson 3 (keypoints, matching); binary numbers, exclusive or.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from featrec.course import Lesson

lesson = Lesson(4)

# %% [markdown] tags=["instructor"]
# **Plan.** 10 min why 128 floats are expensive (a photograph with 1,000 keypoints: 512 kB), 15 min tests and bits on the
# board, 10 min direction, 35 min exercises, 10 min pitfall, 10 min quiz. The open question is homework.
#
# **Misconceptions.**
#
# - *A byte of a descriptor is a number.* It is eight answers; 127 and 128 are neighbours as numbers and opposites as bits.
# - *Bits lose too much.* 256 bits of a patch identify it well, because the tests are many and nearly independent.
# - *The direction must be exact.* An error turns all tests a little; most answers stay the same.
#
# **Rubric.** Each exercise: 2 points for ordinary arguments, 1 point for special ones (bytes, equal pixels, long codes). Open
# question: 3 points for times and matches of both methods on the same images, 2 points for a conclusion that they support.

# %% [markdown] tags=["slide"]
# ## 1. Questions instead of numbers
#
# A SIFT descriptor has 128 floats, 512 bytes. **ORB** asks 256 questions about a patch: is this pixel darker than that one?
# Each answer is one bit, so a descriptor has 32 bytes. The answers do not change if the light changes, because the order of
# two pixels stays the same.

# %% tags=["slide"]
from skimage.data import camera

random = lesson.random("pairs")
photograph = camera().astype(float)
top, left = random.integers(90, 160), random.integers(200, 250)
patch = photograph[top : top + 31, left : left + 31]
pairs = np.clip(np.rint(random.normal(15, 6, (256, 4))), 0, 30).astype(int)

figure, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
for ax, shown, title in zip(axes, (patch, 0.5 * patch + 60), ("a patch and 40 of 256 tests", "in other light"), strict=False):
    ax.imshow(shown, cmap="gray", vmin=0, vmax=255)
    for x1, y1, x2, y2 in pairs[:40]:
        ax.plot([x1, x2], [y1, y2], lw=0.8, color="#D55E00" if shown[y1, x1] < shown[y2, x2] else "#56B4E9")
    ax.set(title=title)
    ax.set_axis_off()
bits = patch[pairs[:, 1], pairs[:, 0]] < patch[pairs[:, 3], pairs[:, 2]]
axes[2].imshow(bits.reshape(16, 16), cmap="gray")
axes[2].set(title="the 256 answers")
axes[2].set_axis_off()
lesson.keep(figure, "1_tests")

# %% [markdown] tags=["slide"]
# ## 2. The formulas
#
# The bit of a pair of pixels $p$ and $q$ of an image $I$ is 1 if $I(p) < I(q)$, and 0 otherwise. The distance of two
# descriptors $a$ and $b$ is the number of different bits, the **Hamming distance**
#
# $$h(a, b) = \sum_{i} |a_i - b_i|.$$
#
# If the patch is turned, the pairs must be turned with it. The direction of a patch is the angle of its centre of mass,
# relative to its centre:
#
# $$\theta = \arctan \frac{m_y}{m_x}, \qquad m_x = \sum_{x, y} x\, I(y, x), \qquad m_y = \sum_{x, y} y\, I(y, x).$$

# %% [markdown]
# ## 3. Exercise: the direction of patches
#
# `patches` has the shape (n, height, width). Positions are relative to the centre of a patch: x is positive to the right, y
# downwards. Return n angles in degrees from -180 to 180. The whole patch counts. (ORB uses only a disc, so that the corners
# do not matter.)


# %% tags=["exercise"]
def patch_directions(patches):
    patches = patches.astype(float)
    height, width = patches.shape[1:]
    y, x = np.mgrid[:height, :width].astype(float)
    y -= (height - 1) / 2  # blank: so much that y is 0 in the middle row
    x -= (width - 1) / 2  # blank: so much that x is 0 in the middle column
    m_x = (x * patches).sum(axis=(1, 2))  # blank: the sum of x, weighted with the pixels: shape (n,)
    m_y = (y * patches).sum(axis=(1, 2))  # blank: the sum of y, weighted with the pixels
    return np.degrees(np.arctan2(m_y, m_x))


# %%
print(lesson.check(patch_directions))

# %% [markdown] tags=["solution"]
# The division by the total mass cancels in the angle, so the moments are enough. `np.arctan2` knows the quadrant, `np.arctan`
# does not.

# %% [markdown]
# ## 4. Exercise: binary tests
#
# Each row of `pairs` contains x1, y1, x2, y2. Return one bit per pair, 0 or 1: is the pixel at x1, y1 darker than the pixel
# at x2, y2?


# %% tags=["exercise"]
def binary_tests(patch, pairs):
    first = patch[pairs[:, 1], pairs[:, 0]]  # blank: the first pixel of each pair: shape (n,)
    second = patch[pairs[:, 3], pairs[:, 2]]  # blank: the second pixel of each pair
    return (first < second).astype(int)  # blank: 1 if the first is darker, else 0


# %%
print(lesson.check(binary_tests))

# %% [markdown] tags=["solution"]
# Two arrays of indices select one pixel per row of `pairs`: first the row y, then the column x. The order of x and y is the
# usual source of errors here.

# %% tags=["slide"]
try:
    print("bits that change in other light:", int((binary_tests(patch, pairs) != binary_tests(0.5 * patch + 60, pairs)).sum()))
    noise = random.normal(size=patch.shape)
    levels = np.array([0, 2, 5, 10, 20, 40])
    changed = [(binary_tests(patch, pairs) != binary_tests(patch + level * noise, pairs)).mean() for level in levels]
    figure, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
    ax.plot(levels, changed, "o-", color="#0072B2")
    ax.axhline(0.5, color="#8a919c", linestyle="--", label="unrelated patches")
    ax.set(xlabel="standard deviation of noise, in gray values", ylabel="share of changed bits", ylim=(0, 0.6))
    ax.legend()
    lesson.keep(figure, "2_noise")
except Exception as error:
    print("Solve exercise 4 first:", error)

# %% [markdown]
# ## 5. Exercise: Hamming distances
#
# Eight bits are packed into one byte (`np.packbits`). `first` has shape (n, b), `second` shape (m, b), both uint8. Return the
# number of different bits of all pairs, as integers with shape (n, m). `a ^ b` has a 1 where the bits of two bytes differ.


# %% tags=["exercise"]
def hamming_distances(first, second):
    different = first[:, None] ^ second  # blank: bytes with ones where bits differ: shape (n, m, b)
    bits = np.unpackbits(different, axis=2)  # blank: their bits: shape (n, m, 8 b)
    return bits.sum(axis=2, dtype=int)  # blank: the number of ones


# %%
print(lesson.check(hamming_distances))

# %% [markdown] tags=["solution"]
# `np.bitwise_count(different).sum(axis=2, dtype=int)` is the same in other words, and faster. Without `dtype=int`, the sum of
# uint8 is computed with 64 bits on most systems, but an explicit `dtype=np.uint8` wraps round.

# %% tags=["slide"]
from scipy.ndimage import rotate

from featrec.descriptors import ORB

angle = float(random.uniform(20, 50))
turned = rotate(photograph, angle, reshape=False, order=1, mode="nearest")
one, two = (ORB(n_features=400).extract(np.clip(image, 0, 255).astype(np.uint8)) for image in (photograph, turned))
try:
    distances = hamming_distances(one.descriptors, two.descriptors)
    nearest = distances.argmin(axis=1)
    turns = (one.frames[:, 3] - two.frames[nearest, 3] + 180) % 360 - 180
    right = np.abs(turns - angle) < 15
    figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
    bins = np.arange(0, 128, 6)
    ax.hist([distances.min(axis=1)[right], distances.min(axis=1)[~right]], bins, stacked=True, color=["#009E73", "#D55E00"])
    ax.legend(["turned as the image was", "turned otherwise"])
    ax.set(
        xlabel="Hamming distance to the nearest descriptor", ylabel="keypoints", title=f"an image turned by {angle:.0f} degrees"
    )
    lesson.keep(figure, "3_distances")
    lesson.report("share of nearest descriptors that are turned as the image was", right.mean(), tolerance=0.05)
    lesson.report("median distance of these descriptors", float(np.median(distances.min(axis=1)[right])), tolerance=8)
except Exception as error:
    print("Solve exercise 5 first:", error)

# %% [markdown] tags=["slide"]
# ## 6. Pitfall: the mean of bits
#
# k-means averages descriptors. The mean of bytes is a byte, so nothing fails, but it is no mean of bits: the bytes 127 and
# 129 have the mean 128. How many bits does each of them share with it?

# %%
for byte in (127, 129):
    print(f"{byte:08b} and {128:08b} share {8 - int(np.bitwise_count(np.uint8(byte ^ 128)))} bits")

# %% [markdown]
# The right centre of packed bits is the majority of each bit. featrec's `BinaryVocabulary` computes it, and its other
# vocabularies refuse packed bits: the attribute `metric` of a Bag is "hamming".

# %% [markdown] tags=["slide"]
# ## 7. Open question: 32 bytes or 512?
#
# Compare ORB and SIFT on turned, scaled and noisy versions of a photograph: the time to describe and to match, the memory,
# and the share of right matches. When is ORB enough? Which of the changes does it tolerate least, and can you see why in its
# construction?

# %% [markdown] tags=["solution"]
# ORB is faster by an order of magnitude and needs a sixteenth of the memory. Turned images are no problem. Its scales are
# coarser and its corners less repeatable under blur and scale, so the share of right matches falls earlier. A good answer
# times both several times and reports medians.

# %% [markdown] tags=["slide"]
# ## Take-aways
#
# - A bit of ORB tells which of two pixels is darker; it does not depend on the light.
# - The distance of packed bits is the number of different bits: exclusive or, then count.
# - Bits have majorities, not means.

# %% [markdown] tags=["quiz"]
# **Question 1.** All pixels are multiplied by 0.5. How many bits of ORB change, apart from rounding?
#
# - ( ) a) Half of them. :: The order of two pixels does not change, so no answer changes.
# - (x) b) None. :: If one pixel is darker than the other, so is its half.
# - ( ) c) All of them. :: A bit changes only if the order of two pixels is reversed.
# - ( ) d) Those of dark pixels. :: Dark pixels keep their order as well.

# %%
lesson.quiz(1, "")

# %% [markdown] tags=["quiz"]
# **Question 2.** Which distance do 256 random bits have from 256 other random bits, on average?
#
# - ( ) a) 0. :: That would mean that all bits are equal.
# - ( ) b) 16. :: 16 is the root of 256, about twice the standard deviation of the distance.
# - (x) c) 128. :: Each bit differs with probability 1/2.
# - ( ) d) 256. :: That would mean that all bits differ.

# %%
lesson.quiz(2, "")

# %% [markdown] tags=["quiz"]
# **Question 3.** Why does ORB turn its pairs with the patch?
#
# - (x) a) Otherwise a turned image would get other answers. :: The pairs must ask about the same places of the object.
# - ( ) b) To avoid pixels outside the image. :: Keypoints near the border are left out for this reason.
# - ( ) c) To get more different bits. :: The number of bits stays the same.
# - ( ) d) To make the bits independent of the light. :: They are independent of the light without it.

# %%
lesson.quiz(3, "")

# %% [markdown] tags=["quiz"]
# **Question 4.** What does `np.mean` of packed descriptors return?
#
# - ( ) a) The majority of each bit. :: The mean of bytes mixes bits of different weight.
# - ( ) b) An error. :: Bytes are numbers for NumPy.
# - ( ) c) The descriptor that is nearest to all others. :: The mean need not be near to any descriptor.
# - (x) d) Numbers without a meaning. :: A byte is a list of eight answers, not a quantity.

# %%
lesson.quiz(4, "")

# %% [markdown] tags=["quiz"]
# **Question 5.** How many bits may differ between the bytes 127 and 128, although the numbers differ by 1?
#
# - ( ) a) 1. :: That is the difference of the numbers.
# - ( ) b) 7. :: 128 has its only 1 where 127 has its only 0.
# - (x) c) 8. :: 01111111 and 10000000 differ everywhere.
# - ( ) d) 255. :: A byte has only 8 bits.

# %%
lesson.quiz(5, "")
