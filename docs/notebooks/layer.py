# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Notebook: learning where to look
#
# A network sees a canvas reduced to a quarter, and is to place a window on the digit in it. What
# teaches it is the overlap of its window with the digit's box: the gradient goes through the window.
#
# This page is `docs/notebooks/layer.py`, text that Jupyter opens with
# [jupytext](https://jupytext.readthedocs.io).

# %%
import keras
import matplotlib.pyplot as plt
import tensorflow as tf

import ratm_tf
from ratm_tf.visualize import GREEN, RED, draw_boxes

keras.utils.set_random_seed(0)
SIZE = (28, 28)


def canvases(split, count):
    """Single frames of 100x100 with a digit, and its box."""
    sequences = ratm_tf.datasets.moving_mnist_sequences(
        split, num_frames=1, batch_size=32, num_sequences=count, fallback=True
    )
    return sequences.map(
        lambda example: (example["frames"][:, 0], example["boxes"][:, 0])
    )


# %% [markdown]
# ## A model with a glimpse in it
#
# The last dense layer gives the six raw numbers of a window. Zero weights and a bias of the whole frame
# let it begin with a look at all of it.

# %%
inputs = keras.Input([100, 100, 1], dtype="uint8")
scaled = keras.layers.Rescaling(1 / 255)(inputs)
hidden = keras.layers.AveragePooling2D(4)(scaled)
for filters in (16, 32):
    hidden = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(hidden)
hidden = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(hidden))
activations = keras.layers.Dense(
    6,
    kernel_initializer="zeros",
    bias_initializer=keras.initializers.Constant([0, 0, 2, 2, 1, 1]),
)(hidden)
glimpses, windows = ratm_tf.GaussianGlimpse(SIZE, return_window=True)(
    scaled, activations
)
model = keras.Model(inputs, windows)
reader = keras.Model(inputs, [windows, glimpses])

# %% [markdown]
# ## Training it
#
# The loss sees the box that a window draws. `iou` tells how well it fits; as a loss, the mean
# distance of the edges also has a gradient where boxes do not meet.


# %%
def edges(boxes, windows):
    drawn = ratm_tf.boxes.box_from_window(windows, SIZE, "extent")
    return tf.reduce_mean(abs(boxes - drawn), axis=-1)


def overlap(boxes, windows):
    drawn = ratm_tf.boxes.box_from_window(windows, SIZE, "extent")
    return ratm_tf.boxes.iou(boxes, drawn)


model.compile(
    keras.optimizers.Adam(2e-3, global_clipnorm=1.0),
    loss=edges,
    metrics=[overlap],
)
test = canvases("test", 320)
before = model.evaluate(test, return_dict=True, verbose=0)
model.fit(canvases("train", 32 * 400), shuffle=False, verbose=0)
after = model.evaluate(test, return_dict=True, verbose=0)
print(f"IoU before {before['overlap']:.2f}, after {after['overlap']:.2f}")
assert after["overlap"] > 2 * before["overlap"]

# %% [markdown]
# ## What it sees
#
# True boxes are green, the window's red; below is the glimpse.

# %%
frames, boxes = next(iter(test))
windows, glimpses = reader.predict(frames, verbose=0)
drawn = ratm_tf.boxes.box_from_window(windows, SIZE, "extent").numpy()
pictures = draw_boxes(
    draw_boxes(frames[:8], boxes[:8], GREEN, 2), 2 * drawn[:8] + 0.5, RED, 1
)
_, axes = plt.subplots(2, 8, figsize=(12, 3))
for column, picture, glimpse in zip(axes.T, pictures, glimpses, strict=False):
    column[0].imshow(picture)
    column[1].imshow(glimpse[..., 0], cmap="gray")
    for ax in column:
        ax.axis("off")
plt.show()

# %% [markdown]
# ## And then
#
# Feed `glimpses` to a classifier, [in two phases](../layer.html#in-two-phases); or let the window follow
# from frame to frame: that is [the tracker](../tracker.html).
